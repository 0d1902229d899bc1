// Boots for those who use the library: nobody sits at the console.
#pragma once

#include "tools/flows/boot.hpp"

#include <vm2oci/boot.hpp>

namespace vm2oci::v0 {

vm2oci::BootRequest to_internal(const BootRequest& request);
BootReport to_public(const vm2oci::BootReport& report);
// `operation` outlives the result.
BootMachine silent_machine(const OperationContext& operation);

} // namespace vm2oci::v0
