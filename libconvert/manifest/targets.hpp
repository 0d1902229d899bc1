// Who runs machines, and what each must be given: pure functions from a machine to text.
#pragma once

#include "libconvert/manifest/runnable_machine.hpp"

#include <span>
#include <string>
#include <string_view>

namespace vm2oci {

struct ManifestTarget {
    std::string_view name;        // "kubevirt"
    std::string_view description; // for people
    // Error{unsupported}: it does not run what this machine is; says what would.
    std::string (*write)(const RunnableMachine& machine);
};

std::span<const ManifestTarget> manifest_targets();

// Error{usage} for a name that is none, listing those that are.
const ManifestTarget& find_manifest_target(std::string_view name);

// KubeVirt's VirtualMachine alone, as JSON: what its machine artifacts hold. Each disk is a claim of its name.
std::string virtual_machine_json(const RunnableMachine& machine);

} // namespace vm2oci
