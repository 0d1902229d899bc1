#include "runner/boot_run.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "runner/report/boot_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace vm2oci {
namespace {

constexpr Milliseconds kWaitLimit{100};
constexpr std::chrono::seconds kPowerOnLimit{60};
// Reading a process's times out of /proc costs more than anything else here.
constexpr Milliseconds kSampleInterval{20};
constexpr int kMaxSerialRounds = 64;              // more than the pipe between the machine and us holds
constexpr Milliseconds kSystemStateLimit{170000}; // systemctl waits for the last job of the boot
constexpr Milliseconds kCommandLimit{60000};      // a check is a short command
constexpr Milliseconds kScreenshotLimit{5000};
constexpr std::chrono::minutes kFactsLimit{5};       // an emulated guest on a busy machine finishes its last units
constexpr std::size_t kMessagesLimit = 16ull * 1024; // of what runs the machine is kept
constexpr std::size_t kTypedLimit = 4096;

std::string first_word(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \r\n\t");
    if (begin == std::string_view::npos)
        return "";
    const std::size_t end = text.find_first_of(" \r\n\t", begin);
    return std::string(text.substr(begin, end == std::string_view::npos ? end : end - begin));
}

} // namespace

BootRun::BootRun(Machine& machine, const std::vector<PortForward>& forwards, const BootOptions& options,
                 JudgePolicy policy, BootReport& report, BootObserver& observer, const OperationContext& operation)
    : machine_(machine), options_(options), report_(report), observer_(observer), operation_(operation),
      judge_(std::move(policy)), ports_(forwards) {
    report_.qemu_arguments = machine_.arguments();
    if (const std::string problem = machine_.notify_problem(); !problem.empty())
        report_.profile_reasons.push_back("systemd in the guest would tell by vsock when it is up, but " + problem);
}

BootInstant BootRun::now() {
    if (!power_on_)
        return {};
    const Milliseconds clock = machine_.clock();
    const Milliseconds wall = clock - *power_on_;
    if (!sampled_at_ || clock - *sampled_at_ >= kSampleInterval) {
        sampled_at_ = clock;
        const ProcessorTimes times = machine_.processor_times();
        sample_.cpu = times.used;
        // Several threads wait at once, and their host may wait for its own; no more passed than the clock says.
        sample_.starved += std::clamp(times.waited - waited_, Milliseconds{0}, wall - starved_until_);
        waited_ = times.waited;
        starved_until_ = wall;
    }
    sample_.wall = wall;
    return sample_;
}

void BootRun::run() {
    const Milliseconds started = machine_.clock();
    while (!judge_.verdict()) {
        wait_for_something();
        // Before power-on nothing of the guest can end the run; only what runs it can hang.
        if (!power_on_ && machine_.clock() - started > kPowerOnLimit)
            fail(ErrorKind::external, "QEMU did not answer on its monitor within 60 s");
    }
    if (judge_.verdict()->outcome == Outcome::ready)
        run_commands();
    if (judge_.verdict()->outcome == Outcome::ready && options_.facts == FactsChoice::ask)
        gather_facts();
    update_checks();
    if (power_on_ && !machine_.exit())
        report_.screenshot = machine_.take_screenshot(kScreenshotLimit);
    update_report();
    observer_.progress(report_);
}

void BootRun::wait_for_something() {
    machine_.wait(kWaitLimit, {!agent_.output().empty(), !own_agent_.output().empty(), observer_.input_fd()});
    if (operation_.cancellation != nullptr && operation_.cancellation->cancelled())
        judge_.event(GuestEvent::stopped_by_user, now());
    read_guest();
    serve_agent();
    serve_own_agent();
    read_messages();
    forward_input();
    if (const auto problem = machine_.disk_error())
        judge_.failure("disk-read-error", *problem, now());
    check_exit();
    watch_ports();
    const DiskUse use = machine_.disk_use();
    if (use.read != report_.disk.read || use.written != report_.disk.written)
        judge_.disk_activity(now());
    if (power_on_)
        judge_.tick(now());
    update_report();
    observer_.progress(report_);
}

void BootRun::watch_ports() {
    if (!power_on_ || ports_.empty())
        return;
    if (const auto connections = machine_.take_connections())
        ports_.take_connections(*connections, now().wall);
    if (ports_.poll(now().wall))
        machine_.ask_connections();
    if (ports_.all_open())
        judge_.event(GuestEvent::ports_open, now());
}

bool BootRun::read_serial() {
    const std::string bytes = machine_.read_serial();
    if (bytes.empty())
        return false;
    report_.console.append(bytes);
    observer_.console(bytes);
    judge_.console(bytes, now());
    return true;
}

void BootRun::read_guest() {
    // An event is judged behind all that the guest had printed before it: what killed a machine, and the reset.
    const std::vector<MachineEvent> events = machine_.take_events();
    int rounds = 0;
    while (rounds < kMaxSerialRounds && read_serial())
        ++rounds;
    for (const MachineEvent& event : events)
        handle(event);
}

void BootRun::handle(const MachineEvent& event) {
    switch (event.kind) {
    case MachineEventKind::powered_on:
        report_.qemu_version = machine_.version();
        power_on_ = machine_.clock();
        break;
    case MachineEventKind::reset:
        return judge_.event(GuestEvent::reset, now());
    case MachineEventKind::shutdown:
        return judge_.event(GuestEvent::shutdown, now());
    case MachineEventKind::panicked:
        return judge_.event(GuestEvent::panicked, now());
    case MachineEventKind::notified_ready:
        return judge_.event(GuestEvent::system_running, now());
    case MachineEventKind::channel_opened:
        judge_.event(GuestEvent::agent_port_opened, now());
        if (event.channel == GuestChannel::agent)
            agent_.port_opened();
        break;
    case MachineEventKind::channel_closed:
        if (event.channel == GuestChannel::agent)
            agent_.port_closed();
        else
            own_agent_.port_closed();
        break;
    }
}

void BootRun::serve_agent() {
    const std::string bytes = machine_.read(GuestChannel::agent);
    const Milliseconds at = now().own();
    if (!bytes.empty())
        agent_.feed(bytes, at);
    agent_.tick(at);
    machine_.write(GuestChannel::agent, agent_.output());
    if (agent_.info() && !agent_greeted_)
        greet_agent();
}

void BootRun::greet_agent() {
    agent_greeted_ = true;
    report_.agent = agent_.info();
    judge_.event(GuestEvent::agent_answered, now());
    if (!agent_.info()->can_execute)
        return;
    ask_system_state();
    ask_cloud_init();
}

void BootRun::serve_own_agent() {
    const std::string bytes = machine_.read(GuestChannel::own_agent);
    const Milliseconds at = now().own();
    if (!bytes.empty())
        own_agent_.feed(bytes, at);
    own_agent_.tick(at);
    machine_.write(GuestChannel::own_agent, own_agent_.output());
    if (own_agent_.hello() && !own_agent_greeted_) {
        own_agent_greeted_ = true;
        judge_.event(GuestEvent::agent_answered, now());
    }
    if (own_agent_.ready() && !own_ready_taken_)
        take_own_ready();
}

void BootRun::take_own_ready() {
    own_ready_taken_ = true;
    const OwnAgentReady& ready = *own_agent_.ready();
    report_.own_agent = ready;
    for (const std::string& unit : ready.units_failed)
        judge_.failure("unit-failed", unit + " is in state failed", now());
    // Without a service manager that can tell, its word is no more than that the agent runs.
    if (ready.state == "running" || ready.state == "degraded")
        judge_.event(GuestEvent::system_running, now());
}

void BootRun::ask_system_state() {
    // systemd before 240 does not know --wait, and then says nothing useful: that is no failure.
    agent_.execute("systemctl is-system-running --wait", kSystemStateLimit,
                   [this](const ExecResult& result) { take_system_state(result); });
}

void BootRun::take_system_state(const ExecResult& result) {
    const std::string state = first_word(result.output);
    if (state == "running")
        judge_.event(GuestEvent::system_running, now());
    if (state != "degraded")
        return;
    agent_.execute("systemctl list-units --failed --plain --no-legend --no-pager", kCommandLimit,
                   [this](const ExecResult& list) {
                       std::string_view rest = list.output;
                       while (!rest.empty()) {
                           const std::size_t end = rest.find('\n');
                           const std::string unit = first_word(rest.substr(0, end));
                           if (!unit.empty())
                               judge_.failure("unit-failed", unit + " is in state failed", now());
                           rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
                       }
                       judge_.event(GuestEvent::system_running, now());
                   });
}

void BootRun::ask_cloud_init() {
    const auto& ready = judge_.policy().ready;
    const bool wanted = std::any_of(ready.begin(), ready.end(), [](const ReadyCondition& condition) {
        return condition.signal == ReadySignal::cloud_init;
    });
    if (!wanted)
        return;
    // The exit code differs between distributions for "done, with remarks"; the word does not.
    agent_.execute("cloud-init status --wait", kSystemStateLimit, [this](const ExecResult& result) {
        if (result.output.find("status: error") != std::string::npos)
            judge_.failure("cloud-init-error", result.output, now());
        if (result.output.find("status: ") != std::string::npos)
            judge_.event(GuestEvent::cloud_init_done, now());
    });
}

void BootRun::read_messages() {
    report_.qemu_messages += machine_.take_messages();
    if (report_.qemu_messages.size() > kMessagesLimit)
        report_.qemu_messages.erase(0, report_.qemu_messages.size() - kMessagesLimit);
}

void BootRun::check_exit() {
    const std::optional<MachineExit> ended = machine_.exit();
    if (!ended || judge_.verdict())
        return;
    // What it wrote before it ended is still in the pipes.
    read_messages();
    read_guest();
    exit_ = ended;
    judge_.failure("hypervisor-died", ended->description, now());
}

void BootRun::forward_input() {
    if (observer_.leave_wanted())
        judge_.event(GuestEvent::stopped_by_user, now());
    if (typed_.size() < kTypedLimit)
        typed_ += observer_.input();
    if (!typed_.empty())
        machine_.write_serial(typed_);
}

bool BootRun::execute(const std::string& command, std::function<void(ExecResult)> done) {
    if (own_agent_.hello())
        own_agent_.execute(command, kCommandLimit, std::move(done));
    else if (report_.agent && report_.agent->can_execute)
        agent_.execute(command, kCommandLimit, std::move(done));
    else
        return false;
    return true;
}

void BootRun::run_commands() {
    for (const std::string& command : options_.commands) {
        const std::string name = boot_check::command_name(command);
        const auto check = std::find_if(report_.checks.begin(), report_.checks.end(),
                                        [&](const Check& candidate) { return candidate.name == name; });
        bool answered = false;
        const bool started = execute(command, [&](const ExecResult& result) {
            answered = true;
            check->state = result.exit_code == 0 ? CheckState::passed : CheckState::failed;
            check->message = result.exit_code ? fmt::format("exit code {}", *result.exit_code) : result.problem;
            check->output = result.output;
            check->at = now();
        });
        if (!started) {
            check->state = CheckState::failed;
            check->message = report_.agent ? "the guest agent does not allow guest-exec" : "there is no guest agent";
            check->at = now();
            continue;
        }
        // The sessions give every command up at its limit, so this ends; unless QEMU has.
        while (!answered && !machine_.exit()) {
            operation_.check_cancelled();
            wait_for_something();
        }
        if (!answered) {
            check->state = CheckState::failed;
            check->message = "the machine ended";
        }
    }
}

void BootRun::gather_facts() {
    // The verdict may have come from a login prompt, before the agent or the last unit.
    const Milliseconds deadline = machine_.clock() + kFactsLimit;
    const auto waiting = [&] { return machine_.clock() < deadline && !machine_.exit(); };
    while (!own_agent_.ready() && waiting()) {
        operation_.check_cancelled();
        wait_for_something();
    }
    if (!own_agent_.ready())
        return;
    own_agent_.ask_facts([this](const OwnAgentFacts& facts) { report_.facts = facts; });
    while (!report_.facts && waiting()) {
        operation_.check_cancelled();
        wait_for_something();
    }
}

void BootRun::update_report() {
    report_.verdict = judge_.verdict();
    report_.milestones = judge_.milestones();
    report_.findings = judge_.findings();
    report_.resets = judge_.resets();
    report_.last_line = judge_.last_line();
    report_.elapsed = now();
    report_.disk = machine_.disk_use();
    update_checks();
}

void BootRun::update_checks() {
    const auto& verdict = judge_.verdict();
    const bool timed_out = verdict && verdict->outcome == Outcome::timed_out;
    const auto find = [&](std::string_view name) -> Check* {
        const auto check = std::find_if(report_.checks.begin(), report_.checks.end(), [&](const Check& candidate) {
            return candidate.name == name && candidate.state == CheckState::not_run;
        });
        return check == report_.checks.end() ? nullptr : &*check;
    };
    const auto answer = [&](std::string_view name, CheckState state, std::string message = {}) {
        if (Check* check = find(name)) {
            check->state = state;
            check->message = std::move(message);
            check->at = now();
        }
    };
    // What has not come when the time is up has failed; what has not come when something else ended the boot was
    // never answered.
    const auto settle = [&](std::string_view name, bool met) {
        if (met)
            answer(name, CheckState::passed);
        else if (timed_out)
            answer(name, CheckState::failed, "it did not come in time");
    };
    const auto furthest = judge_.furthest();
    settle(boot_check::kernel, furthest && *furthest >= Milestone::kernel);
    settle(boot_check::init, furthest && *furthest >= Milestone::init);
    const JudgePolicy& policy = judge_.policy();
    for (std::size_t i = 0; i < policy.ready.size(); ++i)
        settle(boot_check::ready_name(policy.ready[i]), judge_.condition_met(i));
    for (std::size_t i = 0; i < policy.expected.size(); ++i)
        settle(boot_check::expected_name(policy.expected[i]), judge_.expectation_met(i));
    for (std::size_t i = 0; i < ports_.size(); ++i)
        settle(boot_check::port_name(ports_.forward(i)), ports_.opened_at(i).has_value());
    settle(boot_check::ready, judge_.ready_since().has_value());
    if (verdict && verdict->outcome == Outcome::ready)
        answer(boot_check::sound, CheckState::passed);
    else if (verdict && verdict->outcome == Outcome::failed)
        answer(boot_check::sound, CheckState::failed, std::string(verdict->rule->title));
}

} // namespace vm2oci
