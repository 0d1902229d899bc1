#include "runner/boot.hpp"

#include "formats/base/error.hpp"
#include "runner/acceleration.hpp"
#include "runner/boot_run.hpp"
#include "runner/qemu/machine.hpp"
#include "runner/report/boot_checks.hpp"
#include "runner/report/summary.hpp"

#include <algorithm>
#include <memory>

namespace vm2oci {
namespace {

// Emulation: a Debian 12 needs 50 s of processor time to its login prompt. Busy hosts range the wall clock, so that
// is only a ceiling.
constexpr Milliseconds kEmulatedCpuLimit{180000};
constexpr int kEmulatedWallFactor = 5;
constexpr Milliseconds kHardwareWallLimit{180000};

JudgePolicy policy_for(const VmSpec& spec, const BootOptions& options, Accelerator accelerator) {
    JudgePolicy policy = options.policy;
    const bool emulated = accelerator == Accelerator::tcg;
    if (emulated)
        policy.cpu_limit = options.timeout.value_or(kEmulatedCpuLimit);
    policy.wall_limit =
        emulated ? *policy.cpu_limit * kEmulatedWallFactor : options.timeout.value_or(kHardwareWallLimit);
    const auto wants = [&](ReadySignal signal) {
        return std::any_of(policy.ready.begin(), policy.ready.end(),
                           [&](const ReadyCondition& condition) { return condition.signal == signal; });
    };
    // Commands run by the agent, so it must be there; ports that were forwarded are there to be reached.
    if (!options.commands.empty() && !wants(ReadySignal::agent))
        policy.ready.push_back({ReadySignal::agent, std::nullopt});
    if (!spec.forwards.empty() && !wants(ReadySignal::port))
        policy.ready.push_back({ReadySignal::port, std::nullopt});
    return policy;
}

std::unique_ptr<Machine> start_machine(const VmSpec& spec, const BootOptions& options, Accelerator accelerator,
                                       const OperationContext& operation) {
    switch (options.backend) {
    case MachineBackend::automatic:
    case MachineBackend::qemu:
        return std::make_unique<QemuMachine>(spec, accelerator, options.qemu_binary, operation.scratch_folder);
    }
    fail(ErrorKind::usage, "nothing runs machines that way");
}

// One run of QEMU, and how it ended where that is reason for another.
struct Attempt {
    BootReport report;
    bool died_at_once = false;
    bool crashed = false;
};

Attempt try_to_boot(const VmSpec& wanted, const BootOptions& options, const ChosenAccelerator& choice,
                    const std::string& restart_reason, BootObserver& observer, const OperationContext& operation) {
    const VmSpec spec = for_accelerator(wanted, choice.accelerator);
    BootReport report;
    report.source = options.source;
    report.accelerator = choice.accelerator;
    report.accelerator_reason = choice.reason;
    report.restart_reason = restart_reason;
    report.probe = choice.probe;
    report.firmware = spec.firmware;
    report.profile = spec.profile;
    report.profile_reasons = spec.profile_reasons;
    report.memory = spec.memory;
    report.cpus = spec.cpus;
    report.network = spec.network;
    if (spec.kernel)
        report.direct_kernel_size = spec.kernel->image->size();
    JudgePolicy policy = policy_for(spec, options, choice.accelerator);
    report.checks = boot_check::planned(policy, spec.forwards, options.commands);
    observer.progress(report);
    const std::unique_ptr<Machine> machine = start_machine(spec, options, choice.accelerator, operation);
    BootRun run(*machine, spec.forwards, options, std::move(policy), report, observer, operation);
    run.run();
    return {std::move(report), run.died_at_once(), run.crashed()};
}

} // namespace

BootReport boot_machine(const VmSpec& spec, const BootOptions& options, BootObserver& observer,
                        const OperationContext& operation) {
    ChosenAccelerator choice = choose_accelerator(options.acceleration, options.kvm_device);
    Attempt attempt = try_to_boot(spec, options, choice, "", observer, operation);
    if (attempt.died_at_once && choice.accelerator == Accelerator::kvm &&
        options.acceleration == AccelerationChoice::automatic) {
        choice.accelerator = Accelerator::tcg;
        choice.reason = "QEMU ended under KVM before the machine printed anything, so it was started again without";
        attempt = try_to_boot(spec, options, choice, "", observer, operation);
    }
    if (!attempt.crashed)
        return std::move(attempt.report);
    // Seen with 7.2: one emulated processor writes to a memory region that the other is just moving (a null region in
    // memory_region_dispatch_write), once in some hundred boots. That says nothing about the image; a second crash may.
    const std::string reason = "QEMU was " + verdict_line(attempt.report) + " after " +
                               seconds_text(attempt.report.verdict->at.wall) + ", so the machine was started again";
    return try_to_boot(spec, options, choice, reason, observer, operation).report;
}

} // namespace vm2oci
