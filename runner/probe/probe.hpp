// Does this machine's KVM run an unmodified 64-bit kernel? Found by running one's instructions in it.
//
// That /dev/kvm exists and opens says little: paravirtual and broken KVMs answer every ioctl and then run guest kernels
// in an instruction emulator, or fault once the guest has been in ring 3. The probe runs a small kernel-like program in
// a forked child, checks each step's result and then the instruction rate, and needs a few milliseconds.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class KvmVerdict {
    usable,
    absent,      // no such device
    not_allowed, // it is there, and this user may not open it
    broken,      // it opens, and cannot run 64-bit supervisor code right
    too_slow,    // it runs the code in an emulator
};
std::string_view to_string(KvmVerdict verdict); // "usable", "absent", "not_allowed", "broken", "too_slow"

struct KvmProbeStep {
    std::string name; // "control registers"
    std::chrono::microseconds at{0};
};

struct KvmProbe {
    KvmVerdict verdict = KvmVerdict::absent;
    std::string reason;              // one line for people
    std::vector<KvmProbeStep> steps; // those that the guest program passed
    std::chrono::microseconds elapsed{0};

    bool usable() const { return verdict == KvmVerdict::usable; }
};

// Never throws for what KVM does, never waits longer than the limits in observation.hpp, leaves no process behind.
KvmProbe probe_kvm(const std::filesystem::path& device = "/dev/kvm");

} // namespace vm2oci
