// KubeVirt's common-instancetypes: the preference and the instance type that fit a machine.
//
// kubevirt/common-instancetypes: preferences/, instancetypes/u/1.
#pragma once

#include "libconvert/manifest/runnable_machine.hpp"

#include <cstdint>
#include <string>

namespace vm2oci {

// By the guest's operating system; "linux", "linux.efi", "linux.virtiotransitional" or "legacy" for others. A machine's
// own firmware, bus and models win over what a preference prefers.
std::string preference_for(const RunnableMachine& machine);

// The smallest of the series u1 with at least those processors and that memory; the largest if none has.
std::string instance_type_for(unsigned processors, std::uint64_t memory);

} // namespace vm2oci
