// KubeVirt's common-instancetypes: the preference and the instance type that fit a machine.
//
// kubevirt/common-instancetypes: preferences/, instancetypes/u/1.
#pragma once

#include "libconvert/manifest/runnable_machine.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci {

// By the guest's operating system; "linux", "linux.efi", "linux.virtiotransitional" or "legacy" for others. A machine's
// own firmware, bus and models win over what a preference prefers.
std::string preference_for(const RunnableMachine& machine);
// One that asks for no size, for machines that are smaller than what the other asks for.
std::string modest_preference_for(const RunnableMachine& machine);

// What KubeVirt refuses a machine for that has less.
struct PreferenceNeeds {
    unsigned processors = 1;
    std::uint64_t memory = 0;
};
// {1, 0} for a preference that is not known here, or asks for nothing.
PreferenceNeeds needs_of_preference(std::string_view preference);

// The smallest of the series u1 with at least those processors and that memory; the largest if none has.
std::string instance_type_for(unsigned processors, std::uint64_t memory);

} // namespace vm2oci
