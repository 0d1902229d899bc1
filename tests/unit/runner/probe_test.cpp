#include "runner/probe/guest_layout.h"
#include "runner/probe/observation.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

using namespace vm2oci;
using std::chrono::microseconds;

namespace {

std::vector<ProbeStepReport> steps_until(int last) {
    std::vector<ProbeStepReport> steps;
    microseconds at{1000};
    for (const int step : {PROBE_STEP_ENTERED, PROBE_STEP_CONTROL_REGISTERS, PROBE_STEP_MSR, PROBE_STEP_TASK_REGISTER,
                           PROBE_STEP_INVALID_OPCODE, PROBE_STEP_PAGE_FAULT, PROBE_STEP_RING3, PROBE_STEP_CR3_SWITCH,
                           PROBE_STEP_CR3_RELOADS}) {
        steps.push_back({static_cast<std::uint8_t>(step), at, microseconds{20}});
        at += microseconds{20};
        if (step == last)
            break;
    }
    return steps;
}

ProbeObservation observation(ProbeEnd end) {
    ProbeObservation result;
    result.device = "/dev/kvm";
    result.end = end;
    return result;
}

ProbeObservation with_rate(std::initializer_list<int> intervals_us, ProbeEnd end = ProbeEnd::rate_known) {
    ProbeObservation result = observation(end);
    result.steps = steps_until(PROBE_STEP_CR3_RELOADS);
    // On a machine with one processor each report hands it over to the reader.
    constexpr microseconds report_cost{30000};
    microseconds at = result.steps.back().at;
    for (const int interval : intervals_us) {
        at += microseconds{interval} + report_cost;
        result.steps.push_back({PROBE_STEP_RATE, at, microseconds{interval}});
    }
    return result;
}

} // namespace

TEST_CASE("opening the device tells absent, forbidden and broken apart") {
    const auto verdict = [](int error_number) {
        ProbeObservation seen = observation(ProbeEnd::cannot_open);
        seen.error_number = error_number;
        return judge_probe(seen).verdict;
    };
    CHECK(verdict(ENOENT) == KvmVerdict::absent);
    CHECK(verdict(ENODEV) == KvmVerdict::absent);
    CHECK(verdict(ENXIO) == KvmVerdict::absent);
    CHECK(verdict(EACCES) == KvmVerdict::not_allowed);
    CHECK(verdict(EPERM) == KvmVerdict::not_allowed);
    CHECK(verdict(EIO) == KvmVerdict::broken);
}

TEST_CASE("the rate is the best of the intervals, since any one may have waited for a processor") {
    CHECK(judge_probe(with_rate({60000, 70000, 30})).verdict == KvmVerdict::usable);
    CHECK(judge_probe(with_rate({4999})).verdict == KvmVerdict::usable);
    CHECK(judge_probe(with_rate({5000, 5000, 5000})).verdict == KvmVerdict::too_slow);
    CHECK(best_rate_interval(with_rate({60000, 30, 70000}).steps) == microseconds{30});
    CHECK(best_rate_interval(steps_until(PROBE_STEP_CR3_RELOADS)) == std::nullopt);
}

TEST_CASE("a hang is slowness in the rate loop and brokenness anywhere else") {
    CHECK(judge_probe(with_rate({}, ProbeEnd::hang)).verdict == KvmVerdict::too_slow);
    CHECK(judge_probe(with_rate({900000}, ProbeEnd::hang)).verdict == KvmVerdict::too_slow);
    ProbeObservation early = observation(ProbeEnd::hang);
    early.steps = steps_until(PROBE_STEP_MSR);
    const KvmProbe probe = judge_probe(early);
    CHECK(probe.verdict == KvmVerdict::broken);
    CHECK(probe.reason.find("model-specific registers") != std::string::npos);
}

TEST_CASE("a fault after user mode is what a paravirtual KVM shows") {
    ProbeObservation seen = observation(ProbeEnd::guest_fault);
    seen.vector = 13;
    seen.steps = steps_until(PROBE_STEP_PAGE_FAULT);
    const KvmProbe probe = judge_probe(seen);
    CHECK(probe.verdict == KvmVerdict::broken);
    CHECK(probe.reason == "unexpected exception 13 in the guest after the step 'page fault'");
    CHECK(probe.steps.size() == 6);
}

TEST_CASE("every other end is broken and names its cause") {
    ProbeObservation refused = observation(ProbeEnd::ioctl_failed);
    refused.operation = "KVM_CREATE_VM";
    refused.error_number = ENOTTY;
    CHECK(judge_probe(refused).reason == "KVM refused KVM_CREATE_VM: Inappropriate ioctl for device");
    ProbeObservation stopped = observation(ProbeEnd::guest_stopped);
    stopped.exit_reason = 17;
    CHECK(judge_probe(stopped).reason.find("exit reason 17") != std::string::npos);
    for (const ProbeEnd end :
         {ProbeEnd::ioctl_failed, ProbeEnd::guest_stopped, ProbeEnd::wrong_result, ProbeEnd::child_died})
        CHECK(judge_probe(observation(end)).verdict == KvmVerdict::broken);
}

TEST_CASE("the rate loop appears once among the steps") {
    CHECK(judge_probe(with_rate({9000, 9000, 30})).steps.size() == 10);
}
