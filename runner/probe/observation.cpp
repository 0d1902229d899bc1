#include "runner/probe/observation.hpp"

#include "runner/probe/guest_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace vm2oci {
namespace {

struct StepName {
    std::uint8_t step;
    const char* name;
};

constexpr StepName kStepNames[] = {
    {PROBE_STEP_ENTERED, "64-bit code entered"},
    {PROBE_STEP_CONTROL_REGISTERS, "control registers"},
    {PROBE_STEP_MSR, "model-specific registers"},
    {PROBE_STEP_TASK_REGISTER, "task register"},
    {PROBE_STEP_INVALID_OPCODE, "invalid-opcode exception"},
    {PROBE_STEP_PAGE_FAULT, "page fault"},
    {PROBE_STEP_RING3, "user mode and back"},
    {PROBE_STEP_CR3_SWITCH, "page-table switch"},
    {PROBE_STEP_CR3_RELOADS, "page-table reloads"},
    {PROBE_STEP_RATE, "instruction rate"},
};

std::string step_name(std::uint8_t step) {
    for (const StepName& entry : kStepNames)
        if (entry.step == step)
            return entry.name;
    return fmt::format("step {:#x}", step);
}

std::string error_text(int number) {
    return std::generic_category().message(number);
}

// "after 'user mode and back'", or "before its first instruction".
std::string position(const ProbeObservation& observation) {
    if (observation.steps.empty())
        return "before its first instruction was done";
    return "after the step '" + step_name(observation.steps.back().step) + "'";
}

std::string open_reason(const ProbeObservation& observation) {
    switch (observation.error_number) {
    case ENOENT:
        return observation.device + " does not exist: this machine or container offers no KVM";
    case EACCES:
    case EPERM:
        return observation.device + " may not be opened by this user (" + error_text(observation.error_number) +
               "): join the group that owns it, or give it to the container";
    case ENXIO:
    case ENODEV:
        return observation.device + " has no driver behind it: load the module kvm_intel or kvm_amd";
    default:
        return observation.device + " cannot be opened: " + error_text(observation.error_number);
    }
}

KvmVerdict open_verdict(int error_number) {
    switch (error_number) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        return KvmVerdict::absent;
    case EACCES:
    case EPERM:
        return KvmVerdict::not_allowed;
    default:
        return KvmVerdict::broken;
    }
}

void judge_rate(const ProbeObservation& observation, KvmProbe& probe) {
    const auto best = best_rate_interval(observation.steps);
    if (best && *best < kProbeRateInterval) {
        probe.verdict = KvmVerdict::usable;
        probe.reason = "runs 64-bit kernel code";
        return;
    }
    probe.verdict = KvmVerdict::too_slow;
    probe.reason = best ? fmt::format("KVM emulates kernel code instead of running it ({} instructions took {} us)",
                                      2 * PROBE_RATE_TURNS, best->count())
                        : "KVM did not finish the first rate measurement";
}

} // namespace

std::string_view to_string(KvmVerdict verdict) {
    switch (verdict) {
    case KvmVerdict::usable:
        return "usable";
    case KvmVerdict::absent:
        return "absent";
    case KvmVerdict::not_allowed:
        return "not_allowed";
    case KvmVerdict::broken:
        return "broken";
    case KvmVerdict::too_slow:
        return "too_slow";
    }
    return "broken";
}

std::optional<std::chrono::microseconds> best_rate_interval(const std::vector<ProbeStepReport>& steps) {
    std::optional<std::chrono::microseconds> best;
    for (const ProbeStepReport& report : steps)
        if (report.step == PROBE_STEP_RATE)
            best = best ? std::min(*best, report.ran) : report.ran;
    return best;
}

KvmProbe judge_probe(const ProbeObservation& observation) {
    KvmProbe probe;
    probe.elapsed = observation.elapsed;
    for (const ProbeStepReport& report : observation.steps)
        if (probe.steps.empty() || report.step != PROBE_STEP_RATE || probe.steps.back().name != step_name(report.step))
            probe.steps.push_back({step_name(report.step), report.at});
    probe.verdict = KvmVerdict::broken;
    switch (observation.end) {
    case ProbeEnd::rate_known:
        judge_rate(observation, probe);
        break;
    case ProbeEnd::cannot_open:
        probe.verdict = open_verdict(observation.error_number);
        probe.reason = open_reason(observation);
        break;
    case ProbeEnd::ioctl_failed:
        probe.reason = "KVM refused " + observation.operation + ": " + error_text(observation.error_number);
        break;
    case ProbeEnd::guest_stopped:
        probe.reason =
            fmt::format("KVM stopped the guest {} (exit reason {})", position(observation), observation.exit_reason);
        break;
    case ProbeEnd::wrong_result:
        probe.reason = "a processor instruction gave a wrong result " + position(observation);
        break;
    case ProbeEnd::guest_fault:
        probe.reason =
            fmt::format("unexpected exception {} in the guest {}", observation.vector, position(observation));
        break;
    case ProbeEnd::hang:
        // In the rate loop a hang is slowness: each report there means 40 000 instructions more.
        if (!observation.steps.empty() && observation.steps.back().step >= PROBE_STEP_CR3_RELOADS)
            judge_rate(observation, probe);
        else
            probe.reason = "the guest hung " + position(observation);
        break;
    case ProbeEnd::child_died:
        probe.reason = "the kernel killed the process that used KVM, " + position(observation);
        break;
    }
    return probe;
}

} // namespace vm2oci
