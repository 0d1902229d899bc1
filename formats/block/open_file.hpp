// A file that the user named, as the bytes of a disk.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/layer.hpp"

#include <filesystem>

namespace vm2oci {

// Error{unsafe} if somebody else may be writing to it, unless the policy allows that.
DevicePtr open_disk_file(const std::filesystem::path& path, const DiskPolicy& policy);
// The same of a file that is open already; `path` is used in messages.
DevicePtr adopt_disk_file(UniqueFd file, const std::filesystem::path& path, const DiskPolicy& policy);

} // namespace vm2oci
