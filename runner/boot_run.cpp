#include "runner/boot_run.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "runner/boot_checks.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace vm2oci {
namespace {

constexpr int kPollMilliseconds = 100;
// QEMU sends a console byte by byte: each would wake us, and that costs a boot more than reading them together.
constexpr int kGatherMilliseconds = 5;
// Reading a process's times out of /proc costs more than anything else here.
constexpr Milliseconds kSampleInterval{20};
constexpr int kMaxSerialRounds = 64;              // more than the socket between QEMU and us holds
constexpr Milliseconds kSystemStateLimit{170000}; // systemctl waits for the last job of the boot
constexpr Milliseconds kCommandLimit{60000};      // a check is a short command
constexpr Milliseconds kScreenshotLimit{5000};
constexpr std::chrono::minutes kFactsLimit{5}; // an emulated guest on a busy machine finishes its last units
constexpr std::size_t kErrorLimit = 16 * 1024; // of QEMU's standard error is kept
constexpr std::size_t kTypedLimit = 4096;

std::string first_word(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \r\n\t");
    if (begin == std::string_view::npos)
        return "";
    const std::size_t end = text.find_first_of(" \r\n\t", begin);
    return std::string(text.substr(begin, end == std::string_view::npos ? end : end - begin));
}

// Writes what the socket takes and removes it from the front.
void drain(int fd, std::string& bytes) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
        bytes.erase(0, static_cast<std::size_t>(n));
    else if (errno != EAGAIN && errno != EINTR)
        bytes.clear();
}

} // namespace

BootRun::BootRun(const VmSpec& spec, const BootOptions& options, JudgePolicy policy, BootReport& report,
                 BootObserver& observer, const OperationContext& operation)
    : options_(options), report_(report), observer_(observer), operation_(operation), judge_(std::move(policy)),
      machine_(spec, report.accelerator, options.qemu_binary, std::filesystem::path(operation.scratch_folder)),
      ports_(spec.forwards) {
    report_.qemu_arguments = machine_.arguments();
    if (!machine_.notify_problem().empty())
        report_.profile_reasons.push_back("systemd in the guest would tell by vsock when it is up, but " +
                                          machine_.notify_problem());
}

BootInstant BootRun::now() {
    if (!power_on_)
        return {};
    const Clock::time_point clock = Clock::now();
    if (!sampled_at_ || clock - *sampled_at_ >= kSampleInterval) {
        sampled_at_ = clock;
        sample_.cpu = machine_.process().cpu_time();
        // Several threads wait at once, and their host may wait for its own; no more passed than the clock says.
        const Milliseconds waited = machine_.process().starved_time() + stolen_time();
        const auto wall = std::chrono::duration_cast<Milliseconds>(clock - *power_on_);
        sample_.starved += std::clamp(waited - waited_, Milliseconds{0}, wall - starved_until_);
        waited_ = waited;
        starved_until_ = wall;
    }
    sample_.wall = std::chrono::duration_cast<Milliseconds>(clock - *power_on_);
    return sample_;
}

void BootRun::run() {
    const Clock::time_point started = Clock::now();
    while (!judge_.verdict()) {
        wait_for_something();
        // Before power-on nothing of the guest can end the run; only QEMU itself can hang.
        if (!power_on_ && Clock::now() - started > std::chrono::seconds(60))
            fail(ErrorKind::external, "QEMU did not answer on its monitor within 60 s");
    }
    if (judge_.verdict()->outcome == Outcome::ready)
        run_commands();
    if (judge_.verdict()->outcome == Outcome::ready && options_.facts == FactsChoice::ask)
        gather_facts();
    update_checks();
    take_screenshot();
    update_report();
    observer_.progress(report_);
}

void BootRun::wait_for_something() {
    std::array<pollfd, 7> entries = {{
        {machine_.monitor_fd(), POLLIN, 0},
        {machine_.serial_fd(), POLLIN, 0},
        {machine_.agent_fd(), static_cast<short>(agent_.output().empty() ? POLLIN : POLLIN | POLLOUT), 0},
        {machine_.own_agent_fd(), static_cast<short>(own_agent_.output().empty() ? POLLIN : POLLIN | POLLOUT), 0},
        {machine_.notify_fd(), POLLIN, 0},
        {machine_.process().error_fd(), POLLIN, 0},
        {observer_.input_fd(), POLLIN, 0},
    }};
    // A peer that has gone would wake us without end; the process check below finds it.
    const bool gone = machine_.process().poll_exit().has_value();
    if (printing_ && !gone)
        ::poll(nullptr, 0, kGatherMilliseconds);
    ::poll(entries.data(), gone ? 0 : entries.size(), gone ? 0 : kPollMilliseconds);
    if (operation_.cancellation != nullptr && operation_.cancellation->cancelled())
        judge_.event(GuestEvent::stopped_by_user, now());
    read_guest();
    serve_agent();
    serve_own_agent();
    read_notices();
    read_errors();
    forward_input();
    if (const auto problem = machine_.disk_error())
        judge_.failure("disk-read-error", *problem, now());
    check_process();
    if (power_on_ && !ports_.empty()) {
        if (ports_.poll(now().wall))
            machine_.send("human-monitor-command", R"({"command-line":"info usernet"})");
        if (ports_.all_open())
            judge_.event(GuestEvent::ports_open, now());
    }
    const DiskUse use = machine_.disk_use();
    if (use.read != report_.disk.read || use.written != report_.disk.written)
        judge_.disk_activity(now());
    if (power_on_)
        judge_.tick(now());
    update_report();
    observer_.progress(report_);
}

bool BootRun::read_serial() {
    std::array<char, 16384> buffer{};
    const ssize_t n = ::recv(machine_.serial_fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (n <= 0)
        return false;
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(n));
    report_.console.append(bytes);
    observer_.console(bytes);
    judge_.console(bytes, now());
    return true;
}

void BootRun::read_monitor() {
    for (const MonitorMessage& message : machine_.read_monitor())
        handle(message);
}

void BootRun::read_guest() {
    // An event is judged behind all that the guest had printed before it: what killed a machine, and the reset.
    const std::vector<MonitorMessage> messages = machine_.read_monitor();
    int rounds = 0;
    while (rounds < kMaxSerialRounds && read_serial())
        ++rounds;
    printing_ = rounds > 0;
    for (const MonitorMessage& message : messages)
        handle(message);
}

void BootRun::handle(const MonitorMessage& message) {
    switch (message.kind) {
    case MonitorMessageKind::greeting:
        report_.qemu_version = message.text;
        machine_.send("qmp_capabilities");
        power_on_ = Clock::now();
        waited_ = machine_.process().starved_time() + stolen_time();
        continue_id_ = machine_.send("cont");
        break;
    case MonitorMessageKind::result:
        if (message.id == screenshot_id_ && screenshot_id_ != 0)
            screenshot_answered_ = true;
        else if (message.text.find("Protocol[State]") != std::string::npos)
            ports_.take_table(message.text, now().wall);
        break;
    case MonitorMessageKind::error:
        if (message.id == screenshot_id_ && screenshot_id_ != 0)
            screenshot_answered_ = true;
        else if (message.id == continue_id_ && continue_id_ != 0)
            fail(ErrorKind::external, "QEMU cannot start the machine: " + escape_untrusted(message.text));
        break;
    case MonitorMessageKind::event:
        handle_event(message);
        break;
    }
}

void BootRun::handle_event(const MonitorMessage& message) {
    const BootInstant at = now();
    if (message.text == "RESET") {
        if (message.guest_reason.starts_with("guest"))
            judge_.event(GuestEvent::reset, at);
    } else if (message.text == "SHUTDOWN") {
        if (message.guest_reason.starts_with("guest"))
            judge_.event(GuestEvent::shutdown, at);
    } else if (message.text == "GUEST_PANICKED") {
        judge_.event(GuestEvent::panicked, at);
    } else if (message.text == "VSERPORT_CHANGE" && message.port == "own-agent") {
        if (message.port_open)
            judge_.event(GuestEvent::agent_port_opened, at);
        else
            own_agent_.port_closed();
    } else if (message.text == "VSERPORT_CHANGE" && message.port == "agent") {
        if (message.port_open) {
            judge_.event(GuestEvent::agent_port_opened, at);
            agent_.port_opened();
        } else {
            agent_.port_closed();
        }
    }
}

void BootRun::serve_agent() {
    std::array<char, 16384> buffer{};
    const ssize_t n = ::recv(machine_.agent_fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    const Milliseconds at = now().own();
    if (n > 0)
        agent_.feed({buffer.data(), static_cast<std::size_t>(n)}, at);
    agent_.tick(at);
    if (!agent_.output().empty())
        drain(machine_.agent_fd(), agent_.output());
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
    std::array<char, 16384> buffer{};
    const ssize_t n = ::recv(machine_.own_agent_fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    const Milliseconds at = now().own();
    if (n > 0)
        own_agent_.feed({buffer.data(), static_cast<std::size_t>(n)}, at);
    own_agent_.tick(at);
    if (!own_agent_.output().empty())
        drain(machine_.own_agent_fd(), own_agent_.output());
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

void BootRun::read_notices() {
    for (const NotifyMessage& notice : machine_.read_notices())
        if (notice.ready)
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

void BootRun::read_errors() {
    std::array<char, 4096> buffer{};
    const ssize_t n = ::read(machine_.process().error_fd(), buffer.data(), buffer.size());
    if (n <= 0)
        return;
    report_.qemu_messages.append(buffer.data(), static_cast<std::size_t>(n));
    if (report_.qemu_messages.size() > kErrorLimit)
        report_.qemu_messages.erase(0, report_.qemu_messages.size() - kErrorLimit);
}

void BootRun::check_process() {
    const auto status = machine_.process().poll_exit();
    if (!status || judge_.verdict())
        return;
    // What it wrote before it ended is still in the pipes.
    read_errors();
    read_guest();
    exit_status_ = status;
    judge_.failure("hypervisor-died", describe_exit(*status), now());
}

bool BootRun::crashed() const {
    return exit_status_ && has_crashed(*exit_status_);
}

void BootRun::forward_input() {
    if (observer_.leave_wanted())
        judge_.event(GuestEvent::stopped_by_user, now());
    if (typed_.size() < kTypedLimit)
        typed_ += observer_.input();
    if (!typed_.empty())
        drain(machine_.serial_fd(), typed_);
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
        while (!answered && !machine_.process().poll_exit()) {
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
    const Clock::time_point deadline = Clock::now() + kFactsLimit;
    const auto waiting = [&] { return Clock::now() < deadline && !machine_.process().poll_exit(); };
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

void BootRun::take_screenshot() {
    if (machine_.process().poll_exit() || !power_on_)
        return;
    screenshot_id_ = machine_.request_screenshot();
    const Clock::time_point deadline = Clock::now() + kScreenshotLimit;
    while (!screenshot_answered_ && Clock::now() < deadline && !machine_.process().poll_exit()) {
        pollfd entry{machine_.monitor_fd(), POLLIN, 0};
        ::poll(&entry, 1, kPollMilliseconds);
        read_monitor();
    }
    if (screenshot_answered_)
        report_.screenshot = machine_.screenshot();
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
