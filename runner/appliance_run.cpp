#include "runner/appliance_run.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "runner/qemu/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

namespace vm2oci {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kApplianceWait{100};
constexpr int kConsoleRounds = 64;                           // more than the pipe between the machine and us holds
constexpr std::size_t kConsoleTail = std::size_t{16} * 1024; // of what the kernel said is kept
constexpr std::size_t kQuotedLines = 3;
// It says a word for each step and for each MiB of content, and either takes more than this of the job's disk.
constexpr std::uint64_t kJobBytesOfWord = 32;
constexpr std::uint64_t kApplianceMemory = 512 * MiB; // for the kernel's caches while it replays a log
// Errors of the kernel are printed, and no more; the first mistake in it ends the machine. No security module has a
// say about labels.
constexpr const char* kApplianceLine =
    "console=ttyS0 quiet loglevel=4 panic=-1 oops=panic apparmor=0 selinux=0 vm2oci.appliance";

// Firmware prints before it.
bool is_of_kernel(std::string_view line) {
    return line.starts_with('[') || line.starts_with("vm2oci");
}

class ApplianceWatch {
  public:
    ApplianceWatch(Machine& machine, const ApplianceLimits& limits, const OperationContext& operation)
        : machine_(machine), limits_(limits), operation_(operation), heard_(effort()) {}

    ApplianceAnswer wait() {
        while (true) {
            operation_.check_cancelled();
            machine_.wait(kApplianceWait, {});
            if (const auto problem = machine_.disk_error())
                fail(ErrorKind::io, "a disk of the appliance: " + *problem);
            const std::vector<MachineEvent> events = machine_.take_events();
            read_console();
            if (auto answer = read_answers())
                return *answer;
            for (const MachineEvent& event : events)
                judge(event);
            check_exit();
            check_silence();
        }
    }

    // Before its first step nothing is changed but what a mount replays, which another mount does as well.
    bool has_begun() const { return begun_; }

  private:
    // What the machine had of processors, at least by one of two clocks.
    milliseconds effort() {
        const ProcessorTimes times = machine_.processor_times();
        return std::max(times.used, machine_.clock() - times.waited);
    }

    void read_console() {
        for (int i = 0; i < kConsoleRounds; ++i) {
            const std::string bytes = machine_.read_serial();
            if (bytes.empty())
                break;
            console_ += bytes;
            if (console_.size() > 2 * kConsoleTail)
                console_.erase(0, console_.size() - kConsoleTail);
        }
    }

    // The last lines of the kernel, quoted; empty: it said nothing.
    std::string last_words() const {
        std::string text;
        std::string_view rest = console_;
        for (std::size_t lines = 0; !rest.empty() && lines < kQuotedLines;) {
            while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r'))
                rest.remove_suffix(1);
            const std::size_t begin = rest.find_last_of("\r\n") + 1; // npos + 1 is 0
            if (const std::string_view line = rest.substr(begin); is_of_kernel(line)) {
                text.insert(0, escape_untrusted(line) + (text.empty() ? "" : "; "));
                ++lines;
            }
            rest = rest.substr(0, begin);
        }
        return text.empty() ? text : "; its kernel said last: " + text;
    }

    // Error{external} for what is no answer. nullopt: it has not ended yet.
    std::optional<ApplianceAnswer> read_answers() {
        const std::string bytes = machine_.read(GuestChannel::own_agent);
        if (bytes.empty())
            return std::nullopt;
        try {
            for (ApplianceAnswer& answer : parser_.feed(bytes)) {
                heard_ = effort();
                begun_ = true;
                if (answer.kind == AnswerKind::step) {
                    if (++words_ > limits_.words)
                        fail(ErrorKind::external, "it says more often how far it is than its job has steps");
                    continue;
                }
                if (answer.kind == AnswerKind::failed)
                    answer.text = escape_untrusted(answer.text) + last_words();
                return std::move(answer);
            }
        } catch (const Error& error) {
            fail(ErrorKind::external,
                 "vm2oci's appliance cannot be believed: " + std::string(error.what()) + last_words());
        }
        return std::nullopt;
    }

    void judge(const MachineEvent& event) {
        switch (event.kind) {
        case MachineEventKind::powered_on:
            heard_ = effort(); // which is counted anew from here
            return;
        case MachineEventKind::panicked:
            fail(ErrorKind::external, "the appliance's kernel panicked" + last_words());
        case MachineEventKind::reset:
        case MachineEventKind::shutdown:
            fail(ErrorKind::external, "the appliance ended without an answer" + last_words());
        default:
            return;
        }
    }

    void check_exit() const {
        if (const auto exit = machine_.exit())
            fail(ErrorKind::external,
                 fmt::format("QEMU ended ({}) before the appliance had answered{}", exit->description, last_words()));
    }

    void check_silence() {
        if (effort() - heard_ <= limits_.silence)
            return;
        fail(ErrorKind::external, fmt::format("the appliance has said nothing for {} s of its time{}",
                                              limits_.silence.count() / 1000, last_words()));
    }

    Machine& machine_;
    const ApplianceLimits& limits_;
    const OperationContext& operation_;
    AnswerParser parser_;
    std::string console_;
    milliseconds heard_; // the effort when it last said something
    std::uint64_t words_ = 0;
    bool begun_ = false;
};

} // namespace

VmSpec appliance_machine(std::shared_ptr<const BlockDevice> kernel, std::shared_ptr<const BlockDevice> initramfs,
                         std::shared_ptr<const BlockDevice> job, std::vector<FurtherDisk> volumes) {
    VmSpec spec;
    spec.memory = kApplianceMemory;
    spec.cpus = 1;
    spec.disk = std::move(job);
    spec.further_disks = std::move(volumes);
    DirectKernel direct;
    direct.image = std::move(kernel);
    direct.initramfs = std::move(initramfs);
    direct.command_line = kApplianceLine;
    direct.devices = KernelDevices::pci_or_mmio;
    spec.kernel = std::move(direct);
    return spec;
}

ApplianceAnswer watch_appliance(Machine& machine, const ApplianceLimits& limits, const OperationContext& operation) {
    return ApplianceWatch(machine, limits, operation).wait();
}

ApplianceAnswer run_appliance(const VmSpec& spec, const ApplianceRunOptions& options,
                              const OperationContext& operation) {
    const ChosenAccelerator choice = choose_accelerator(options.acceleration, options.kvm_device);
    ApplianceLimits limits = options.limits;
    limits.words = std::min(limits.words, spec.disk->size() / kJobBytesOfWord);
    const auto start = [&](Accelerator accelerator) {
        return std::make_unique<QemuMachine>(for_accelerator(spec, accelerator), accelerator, options.qemu_binary,
                                             operation.scratch_folder);
    };
    {
        const std::unique_ptr<QemuMachine> machine = start(choice.accelerator);
        ApplianceWatch watch(*machine, limits, operation);
        try {
            return watch.wait();
        } catch (const Error& error) {
            if (error.kind() != ErrorKind::external || choice.accelerator == Accelerator::tcg ||
                options.acceleration != AccelerationChoice::automatic || watch.has_begun() || !machine->exit())
                throw;
            operation.progress->note(std::string(error.what()) + ": it is started again by emulation");
        }
    }
    const std::unique_ptr<QemuMachine> machine = start(Accelerator::tcg);
    return ApplianceWatch(*machine, limits, operation).wait();
}

} // namespace vm2oci
