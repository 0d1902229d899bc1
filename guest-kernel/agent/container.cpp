#include "guest-kernel/agent/container.hpp"

#include "formats/base/error.hpp"

#include "guest-kernel/agent/agent.hpp"
#include "guest-kernel/agent/container_root.hpp"
#include "guest-kernel/agent/network.hpp"
#include "guest-kernel/agent/port.hpp"
#include "guest-kernel/agent/program_start.hpp"
#include "guest-kernel/agent/text.hpp"
#include <fcntl.h>
#include <linux/input.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>
#include <utility>

namespace vm2oci::guest {
namespace {

using Clock = std::chrono::steady_clock;

constexpr rlim_t kOpenFiles = 1048576; // containerd's; the kernel's own limit is as high
// What the agent wants handed to the program: the number is the signal's value.
const int kForwardSignal = SIGRTMIN + 5;
constexpr int kKilled = 128;

// The terminal that the kernel's messages go to: /dev/console itself never becomes a controlling terminal by opening.
int open_console() {
    const std::string active(trim(read_text("/sys/class/tty/console/active", 256).value_or("")));
    const std::string name = active.substr(active.rfind(' ') + 1);
    int fd = name.empty() ? -1 : ::open(("/dev/" + name).c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        fd = ::open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
    return fd;
}

// Bytes as they are: for a reader that is no terminal.
void make_plain(int console) {
    termios settings{};
    if (::tcgetattr(console, &settings) != 0)
        return;
    ::cfmakeraw(&settings);
    ::tcsetattr(console, TCSANOW, &settings);
}

// The kernel tells who is in the foreground by a SIGWINCH.
bool set_size(int console, const TerminalSize& size) {
    winsize wanted{};
    wanted.ws_row = size.rows;
    wanted.ws_col = size.columns;
    return ::ioctl(console, TIOCSWINSZ, &wanted) == 0;
}

std::vector<int> open_power_buttons() {
    std::vector<int> buttons;
    for (const std::string& name : list_folder("/dev/input")) {
        const int fd =
            name.starts_with("event") ? ::open(("/dev/input/" + name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
        if (fd < 0)
            continue;
        std::array<unsigned char, KEY_MAX / 8 + 1> keys{};
        const bool is_button = ::ioctl(fd, EVIOCGBIT(EV_KEY, keys.size()), keys.data()) >= 0 &&
                               (keys[KEY_POWER / 8] & 1U << KEY_POWER % 8) != 0;
        if (is_button)
            buttons.push_back(fd);
        else
            ::close(fd);
    }
    return buttons;
}

bool was_pressed(int button) {
    std::array<input_event, 16> events{};
    bool pressed = false;
    for (ssize_t n = 0; (n = ::read(button, events.data(), sizeof events)) > 0;)
        for (std::size_t i = 0; i < static_cast<std::size_t>(n) / sizeof(input_event); ++i)
            pressed = pressed || (events[i].type == EV_KEY && events[i].code == KEY_POWER && events[i].value == 1);
    return pressed;
}

int shell_code(int status) {
    return WIFSIGNALED(status) ? kKilled + WTERMSIG(status) : WEXITSTATUS(status);
}

class ContainerLife {
  public:
    ContainerLife(const ContainerProgram& program, const BootLine& line) : program_(program), line_(line) {
        // Before there are children: none of their ends is missed.
        sigset_t wanted;
        sigemptyset(&wanted);
        for (const int signal : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPWR, kForwardSignal})
            sigaddset(&wanted, signal);
        ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
        signals_ = ::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
        ::reboot(RB_DISABLE_CAD); // Ctrl-Alt-Del becomes a SIGINT: Firecracker's way to ask for the end
        buttons_ = open_power_buttons();
    }

    void start() {
        const int console = open_console();
        streams_ = {console, console, true};
        if (line_.console == ConsoleUse::plain) {
            make_plain(console);
            streams_.input = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            streams_.is_terminal = false;
        } else {
            // This process, which stays, has the terminal: with a session's first process the kernel throws away what
            // that has printed and no wire has taken yet.
            ::setsid();
            ::ioctl(console, TIOCSCTTY, 1);
            if (line_.terminal_size.rows != 0)
                set_size(console, line_.terminal_size);
        }
        if (line_.agent)
            start_agent();
        say_line("starting " + json_quote(program_.arguments.front()));
        main_ = fork_program(program_.arguments);
        if (main_ < 0)
            fail_errno("cannot start a process", errno);
        started_ = Clock::now();
        if (program_.health)
            next_check_ = started_ + check_interval(*program_.health);
    }

    int run() {
        while (!exit_code_) {
            wait();
            read_signals();
            for (const int button : buttons_)
                if (was_pressed(button))
                    stop();
            reap();
            if (kill_at_ && Clock::now() >= *kill_at_) {
                ::kill(-1, SIGKILL);
                kill_at_.reset();
            }
            check_health();
        }
        return *exit_code_;
    }

  private:
    pid_t fork_program(const std::vector<std::string>& arguments) {
        const pid_t child = ::fork();
        if (child == 0)
            become_program(program_, arguments, streams_);
        return child;
    }

    void start_agent() {
        if (::fork() != 0)
            return;
        sigset_t none;
        sigemptyset(&none);
        ::sigprocmask(SIG_SETMASK, &none, nullptr);
        ::setsid();
        ::clearenv();
        for (const std::string& variable : program_.environment)
            ::putenv(const_cast<char*>(variable.c_str()));
        ContainerReach reach;
        reach.signal = [](int signal) {
            sigval value{};
            value.sival_int = signal;
            return ::sigqueue(1, kForwardSignal, value) == 0;
        };
        reach.resize = [this](int rows, int columns) {
            return streams_.is_terminal &&
                   set_size(streams_.output, {static_cast<std::uint16_t>(rows), static_cast<std::uint16_t>(columns)});
        };
        ::_exit(run_agent({}, std::move(reach)));
    }

    void wait() {
        std::vector<pollfd> entries = {{signals_, POLLIN, 0}};
        for (const int button : buttons_)
            entries.push_back({button, POLLIN, 0});
        std::optional<Clock::time_point> next = kill_at_;
        if (next_check_ && (!next || *next_check_ < *next))
            next = next_check_;
        int limit = -1;
        if (next)
            limit = static_cast<int>(
                std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count()));
        ::poll(entries.data(), entries.size(), limit);
    }

    void read_signals() {
        signalfd_siginfo info{};
        while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
            const int signal = static_cast<int>(info.ssi_signo);
            if (signal == kForwardSignal)
                ::kill(main_, info.ssi_int);
            else if (signal == SIGTERM || signal == SIGINT || signal == SIGPWR)
                stop();
            else if (signal != SIGCHLD)
                ::kill(main_, signal);
        }
    }

    // As its image wants to be asked; then with all that runs, without asking.
    void stop() {
        if (kill_at_)
            return;
        ::kill(main_, static_cast<int>(program_.stop_signal));
        kill_at_ = Clock::now() + std::chrono::seconds(kStopSeconds);
    }

    void reap() {
        int status = 0;
        for (pid_t child = 0; (child = ::waitpid(-1, &status, WNOHANG)) > 0;) {
            if (child == main_)
                exit_code_ = shell_code(status);
            else if (child == check_)
                take_check(shell_code(status) == 0);
        }
    }

    void check_health() {
        if (!program_.health || !next_check_ || Clock::now() < *next_check_)
            return;
        const ProgramHealth& health = *program_.health;
        if (check_ > 0) { // its time is over
            ::kill(check_, SIGKILL);
            ::waitpid(check_, nullptr, 0);
            return take_check(false);
        }
        check_ = fork_check(health.test);
        next_check_ = Clock::now() + std::chrono::seconds(health.timeout_seconds);
    }

    pid_t fork_check(const std::vector<std::string>& test) {
        const pid_t child = ::fork();
        if (child != 0)
            return child;
        const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        ::dup2(nothing, STDERR_FILENO);
        become_program(program_, test, {nothing, nothing, false});
    }

    void take_check(bool passed) {
        if (!program_.health)
            return;
        const ProgramHealth& health = *program_.health;
        check_ = -1;
        if (passed) {
            failures_ = 0;
            if (!healthy_)
                say_line("healthy after " + std::to_string(age_in_seconds()) + " s");
            healthy_ = true;
        } else if (!is_starting(health) && ++failures_ == health.retries) {
            say_line("unhealthy: the health check has failed " + std::to_string(failures_) + " times in a row");
        }
        next_check_ = Clock::now() + check_interval(health);
    }

    std::int64_t age_in_seconds() const {
        return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - started_).count();
    }
    bool is_starting(const ProgramHealth& health) const {
        return !healthy_ && age_in_seconds() < static_cast<std::int64_t>(health.start_seconds);
    }
    std::chrono::seconds check_interval(const ProgramHealth& health) const {
        return std::chrono::seconds(is_starting(health) ? health.start_interval_seconds : health.interval_seconds);
    }

    const ContainerProgram& program_;
    const BootLine& line_;
    int signals_ = -1;
    std::vector<int> buttons_;
    StartedStreams streams_;
    pid_t main_ = -1;
    std::optional<int> exit_code_;
    std::optional<Clock::time_point> kill_at_;
    Clock::time_point started_;
    pid_t check_ = -1;
    std::optional<Clock::time_point> next_check_; // or when the one that runs has had its time
    std::uint32_t failures_ = 0;
    bool healthy_ = false;
};

void raise_limits() {
    const rlimit limit{kOpenFiles, kOpenFiles};
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

void tell_host_of_end(int code) {
    const std::string device = find_port();
    const int port = device.empty() ? -1 : ::open(device.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (port < 0)
        return;
    const std::string message = "{\"type\":\"exited\",\"exit\":" + std::to_string(code) + "}\n";
    [[maybe_unused]] const ssize_t n = ::write(port, message.data(), message.size());
    ::close(port);
}

void end_machine(int code, const BootLine& line) {
    ::kill(-1, SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
    }
    ::sync();
    ::mount(nullptr, "/", nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
    // On a line of its own, whatever the program printed last.
    const std::string last = "\n" + std::string(kProgramEnded) + std::to_string(code) + "\n";
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, last.data(), last.size());
    ::tcdrain(STDERR_FILENO);
    tell_host_of_end(code);
    ::reboot(line.reboots_to_end ? RB_AUTOBOOT : RB_POWER_OFF);
    ::reboot(static_cast<int>(RB_HALT_SYSTEM));
}

} // namespace

void run_container(const ContainerProgram& program, const BootLine& line) {
    ::umask(022);
    raise_limits();
    furnish_root(program);
    write_names(program, set_up_network(line.address));
    ContainerProgram told = program;
    const bool has_type = std::any_of(told.environment.begin(), told.environment.end(),
                                      [](const std::string& variable) { return variable.starts_with("TERM="); });
    if (!line.terminal.empty() && !has_type)
        told.environment.push_back("TERM=" + line.terminal);
    ContainerLife life(told, line);
    life.start();
    end_machine(life.run(), line);
}

} // namespace vm2oci::guest
