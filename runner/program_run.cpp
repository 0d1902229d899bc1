#include "runner/program_run.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "runner/agent/own_session.hpp"
#include "runner/program_console.hpp"
#include "runner/qemu/machine.hpp"

#include <memory>

namespace vm2oci {
namespace {

constexpr std::chrono::milliseconds kWait{100};
constexpr int kMaxRounds = 64; // more than the pipe between the machine and us holds
constexpr std::chrono::seconds kPowerOnPatience{60};

class ProgramRun {
  public:
    ProgramRun(Machine& machine, ProgramTerminal& terminal, const OperationContext& operation)
        : machine_(machine), terminal_(terminal), operation_(operation) {}

    ProgramEnd run() {
        const std::chrono::milliseconds begin = machine_.clock();
        while (!console_.exit_code() && end_.reason.empty() && !end_.was_left) {
            machine_.wait(kWait, {false, !agent_.output().empty(), terminal_.input_fd()});
            operation_.check_cancelled();
            read_guest();
            serve_agent();
            forward_input();
            check_machine();
            if (!powered_on_ && machine_.clock() - begin > kPowerOnPatience)
                fail(ErrorKind::external, "QEMU did not answer on its monitor within 60 s");
        }
        terminal_.output(console_.finish());
        end_.exit_code = console_.exit_code();
        end_.has_started = console_.has_started();
        end_.messages = console_.before();
        return std::move(end_);
    }

    // With KVM that says more about the host than about the image.
    bool died_at_once() const { return died_ && !heard_; }

  private:
    void read_guest() {
        const std::vector<MachineEvent> events = machine_.take_events();
        for (int round = 0; round < kMaxRounds; ++round) {
            const std::string bytes = machine_.read_serial();
            if (bytes.empty())
                break;
            heard_ = true;
            if (const std::string text = console_.feed(bytes); !text.empty())
                terminal_.output(text);
        }
        for (const MachineEvent& event : events)
            handle(event);
    }

    void handle(const MachineEvent& event) {
        const bool ended = console_.exit_code().has_value();
        switch (event.kind) {
        case MachineEventKind::powered_on:
            powered_on_ = true;
            break;
        case MachineEventKind::shutdown:
        case MachineEventKind::reset:
            if (!ended)
                end_.reason = event.kind == MachineEventKind::reset
                                  ? "the machine restarted before its program ended"
                                  : "the machine switched off before its program ended";
            break;
        case MachineEventKind::panicked:
            if (!ended)
                end_.reason = "the machine's kernel panicked";
            break;
        case MachineEventKind::channel_closed:
            if (event.channel == GuestChannel::own_agent)
                agent_.port_closed();
            break;
        case MachineEventKind::channel_opened:
        case MachineEventKind::notified_ready:
            break;
        }
    }

    void serve_agent() {
        for (const int signal : terminal_.take_signals())
            agent_.pass_signal(signal);
        if (const auto size = terminal_.take_resize())
            agent_.resize(size->rows, size->columns);
        if (const std::string bytes = machine_.read(GuestChannel::own_agent); !bytes.empty())
            agent_.feed(bytes, machine_.clock());
        machine_.write(GuestChannel::own_agent, agent_.output());
    }

    void forward_input() {
        constexpr std::size_t typed_limit = 4096;
        if (typed_.size() < typed_limit)
            typed_ += terminal_.input();
        // Before the program runs nobody reads it, and the terminal would print it.
        if (!typed_.empty() && console_.has_started())
            machine_.write_serial(typed_);
        end_.was_left = terminal_.leave_wanted();
    }

    void check_machine() {
        if (const auto problem = machine_.disk_error())
            fail(ErrorKind::corrupt, "the disk cannot be read: " + escape_untrusted(*problem));
        const std::optional<MachineExit> exit = machine_.exit();
        if (!exit || console_.exit_code() || !end_.reason.empty())
            return;
        read_guest();
        if (console_.exit_code() || !end_.reason.empty())
            return;
        died_ = true;
        end_.reason = "QEMU ended: " + exit->description + ": " + escape_untrusted(machine_.take_messages());
    }

    Machine& machine_;
    ProgramTerminal& terminal_;
    const OperationContext& operation_;
    ProgramConsole console_;
    OwnAgentSession agent_;
    ProgramEnd end_;
    std::string typed_;
    bool powered_on_ = false;
    bool heard_ = false;
    bool died_ = false;
};

} // namespace

ProgramEnd run_program(const VmSpec& spec, const ProgramOptions& options, ProgramTerminal& terminal,
                       const OperationContext& operation) {
    ChosenAccelerator choice = choose_accelerator(options.acceleration, options.kvm_device);
    while (true) {
        terminal.chosen(choice.accelerator, choice.reason);
        QemuMachine machine(for_accelerator(spec, choice.accelerator), choice.accelerator, options.qemu_binary,
                            operation.scratch_folder);
        ProgramRun run(machine, terminal, operation);
        ProgramEnd end = run.run();
        const bool again = run.died_at_once() && choice.accelerator == Accelerator::kvm &&
                           options.acceleration == AccelerationChoice::automatic;
        if (!again)
            return end;
        choice.accelerator = Accelerator::tcg;
        choice.reason = "QEMU ended under KVM before the machine printed anything, so it was started again without";
    }
}

} // namespace vm2oci
