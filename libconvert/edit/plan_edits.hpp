// From what the user wants to what will be done.
#pragma once

#include "libconvert/edit/plan.hpp"
#include "libconvert/edit/request.hpp"
#include "libconvert/guest/guest.hpp"

#include <string>
#include <vector>

namespace vm2oci {

struct BootProblem {
    std::string fix;  // the name that --fix takes; empty: none mends it
    std::string text; // what would keep the guest from booting or from its network, one line, escaped
};

// Pure: reads the guest, writes nothing. Error{unsafe} for targets that may not be written, Error{unsupported} where
// the guest lacks what an edit needs, Error{usage} for what can never be right.
EditPlan plan_edits(const Guest& guest, const std::vector<DiskVolume>& volumes, const EditRequest& request);

// What every fix but those in `except` would mend, without mending it.
std::vector<BootProblem> diagnose(const Guest& guest, const std::vector<DiskVolume>& volumes,
                                  const std::vector<std::string>& except);

} // namespace vm2oci
