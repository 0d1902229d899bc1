// A machine's hardware as a page and as JSON.
#pragma once

#include "libconvert/hardware/hardware.hpp"
#include "tools/vm2oci/page.hpp"

#include <nlohmann/json_fwd.hpp>

namespace vm2oci::cli {

// Adds rows under the heading that the caller has set.
void describe_machine(Page& page, const MachineHardware& hardware);

nlohmann::ordered_json machine_to_json(const MachineHardware& hardware);

} // namespace vm2oci::cli
