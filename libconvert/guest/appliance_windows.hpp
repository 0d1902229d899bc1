// Inside of the room: the registry of a Windows guest. Its hives are parsed inside of the appliance, by the hivex that
// is there: a hostile hive breaks that machine, not this process.
#pragma once

#include "libconvert/guest/appliance_session.hpp"
#include "libconvert/guest/windows.hpp"

namespace vm2oci {

// `root` as libguestfs' inspection names it; its file system is mounted on "/". A hive that is missing or damaged
// leaves its fields empty and adds a remark.
WindowsFacts read_windows(const ApplianceSession& appliance, const std::string& root,
                          std::vector<std::string>& remarks);

} // namespace vm2oci
