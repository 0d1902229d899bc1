// What the probe's child saw, and the verdict that follows from it (a pure function, so that it can be tested without
// any KVM).
#pragma once

#include "runner/probe/probe.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Steps take microseconds on hardware and milliseconds inside an emulated machine; there, on a host with eight busy
// processes for each processor, the first one (it includes making the virtual machine) took more than a second. Longer
// than this is a hang.
inline constexpr std::chrono::milliseconds kProbeFirstStepLimit{8000};
inline constexpr std::chrono::milliseconds kProbeStepLimit{3000};
inline constexpr std::chrono::milliseconds kProbeTotalLimit{12000};

// 40 000 instructions in 5 ms: 8 million a second. Hardware does that in 20 us; the instruction emulator of a
// paravirtual KVM needs 30 ms at its best. The best of several intervals counts, because on a busy machine any single
// one may have waited for a processor.
inline constexpr std::chrono::microseconds kProbeRateInterval{5000};
inline constexpr unsigned kProbeRateAttempts = 8;

enum class ProbeEnd {
    rate_known,    // the rate loop gave enough intervals
    cannot_open,   // error_number says why
    ioctl_failed,  // `operation` and error_number
    guest_stopped, // KVM_RUN came back with exit_reason
    wrong_result,  // an instruction gave a wrong result
    guest_fault,   // exception `vector`, which the program did not cause
    hang,          // no step within the limit
    child_died,    // the kernel ended the child
};

struct ProbeStepReport {
    std::uint8_t step = 0; // PROBE_STEP_*
    std::chrono::microseconds at{0};
    std::chrono::microseconds ran{0}; // of the guest alone: the reports before it may wake the reader on its processor
};

struct ProbeObservation {
    std::string device;
    ProbeEnd end = ProbeEnd::cannot_open;
    int error_number = 0;
    std::string operation;
    std::uint32_t exit_reason = 0;
    std::uint8_t vector = 0;
    std::vector<ProbeStepReport> steps; // in order; a PROBE_STEP_RATE for each interval
    std::chrono::microseconds elapsed{0};
};

// The shortest time that the guest needed for a turn of the rate loop.
std::optional<std::chrono::microseconds> best_rate_interval(const std::vector<ProbeStepReport>& steps);

KvmProbe judge_probe(const ProbeObservation& observation);

} // namespace vm2oci
