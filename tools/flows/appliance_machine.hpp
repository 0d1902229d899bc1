// vm2oci's appliance, run by this machine's QEMU: what the engine asks for, from the runner.
#pragma once

#include "libconvert/guest/appliance_machine.hpp"

#include <memory>

namespace vm2oci {

// The kernel and the program that are installed beside the running program; where they or QEMU are missing, its
// obstacle() says what brings them.
std::shared_ptr<const ApplianceMachine> installed_appliance();

} // namespace vm2oci
