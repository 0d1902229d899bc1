// What runs a machine's processors.
#pragma once

#include "runner/machine/spec.hpp"
#include "runner/probe/probe.hpp"

#include <filesystem>
#include <optional>
#include <string>

namespace vm2oci {

enum class AccelerationChoice {
    automatic, // KVM where the probe says that it works, else TCG, and says why
    kvm,       // never falls back: Error{external} when KVM is unusable
    tcg,
};

struct ChosenAccelerator {
    Accelerator accelerator = Accelerator::tcg;
    std::string reason;
    std::optional<KvmProbe> probe; // none: it was not asked
};

ChosenAccelerator choose_accelerator(AccelerationChoice choice, const std::filesystem::path& kvm_device);

// The micro-VM is for KVM only: emulated, it has no clock that a kernel could measure its processor with.
VmSpec for_accelerator(VmSpec spec, Accelerator accelerator);

} // namespace vm2oci
