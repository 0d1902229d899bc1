// A machine's hardware as a page and as JSON.
#pragma once

#include "libconvert/hardware/hardware.hpp"
#include "tools/vm2oci/page.hpp"

namespace vm2oci::cli {

// Adds rows under the heading that the caller has set.
void describe_machine(Page& page, const MachineHardware& hardware);

} // namespace vm2oci::cli
