#include "runner/qemu/process.hpp"

#include "formats/base/error.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>

namespace vm2oci {
namespace {

constexpr int kLowestSafeFd = 100; // above every number that a child asks for

// Between fork and exec: only async-signal-safe calls. Reports errno through `status_fd` when it fails.
[[noreturn]] void run_child(char* const* arguments, std::vector<InheritedFd>& inherited, int error_fd, int status_fd,
                            pid_t parent) {
    const auto give_up = [&] {
        const int number = errno;
        (void)!::write(status_fd, &number, sizeof number);
        ::_exit(127);
    };
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent)
        ::_exit(127); // it died before the line above
    ::setpgid(0, 0);
    // Out of the way first, so that no target number overwrites a source.
    for (InheritedFd& entry : inherited) {
        entry.ours = ::fcntl(entry.ours, F_DUPFD, kLowestSafeFd);
        if (entry.ours < 0)
            give_up();
    }
    const int error_copy = ::fcntl(error_fd, F_DUPFD, kLowestSafeFd);
    const int status_copy = ::fcntl(status_fd, F_DUPFD_CLOEXEC, kLowestSafeFd);
    if (error_copy < 0 || status_copy < 0)
        give_up();
    status_fd = status_copy;
    const int null = ::open("/dev/null", O_RDWR);
    if (null < 0 || ::dup2(null, STDIN_FILENO) < 0 || ::dup2(null, STDOUT_FILENO) < 0 ||
        ::dup2(error_copy, STDERR_FILENO) < 0)
        give_up();
    int highest = STDERR_FILENO;
    for (const InheritedFd& entry : inherited) {
        if (::dup2(entry.ours, entry.theirs) < 0)
            give_up();
        highest = std::max(highest, entry.theirs);
    }
    ::syscall(SYS_close_range, static_cast<unsigned>(highest) + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    // What the parent ignores or blocks is not the child's business.
    ::signal(SIGPIPE, SIG_DFL);
    ::signal(SIGINT, SIG_DFL);
    ::signal(SIGTERM, SIG_DFL);
    ::execvp(arguments[0], arguments);
    give_up();
    ::_exit(127);
}

std::array<UniqueFd, 2> make_pipe(int flags) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, flags) != 0)
        fail_errno("cannot make a pipe", errno);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// utime and stime, in clock ticks, are fields 14 and 15 of /proc/PID/stat; field 2, the name, ends with the last ')'.
std::optional<std::chrono::milliseconds> cpu_time_of(pid_t pid) {
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    if (!stat)
        return std::nullopt;
    const std::size_t name_end = stat->rfind(')');
    if (name_end == std::string::npos)
        return std::nullopt;
    unsigned long user = 0;
    unsigned long system = 0;
    if (std::sscanf(stat->c_str() + name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                    &system) != 2)
        return std::nullopt;
    const long ticks = std::max(::sysconf(_SC_CLK_TCK), 1L);
    return std::chrono::milliseconds((user + system) * 1000 / static_cast<unsigned long>(ticks));
}

} // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const std::vector<InheritedFd>& inherited) {
    std::vector<std::string> words = arguments;
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::vector<InheritedFd> descriptors = inherited;
    auto [error_reader, error_writer] = make_pipe(O_CLOEXEC);
    auto [status_reader, status_writer] = make_pipe(O_CLOEXEC);
    ::fcntl(error_reader.get(), F_SETFL, O_NONBLOCK);

    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0)
        fail_errno("cannot start a process", errno);
    if (pid_ == 0)
        run_child(pointers.data(), descriptors, error_writer.get(), status_writer.get(), parent);
    ::setpgid(pid_, pid_); // both sides, so that it holds whoever comes first
    error_ = std::move(error_reader);
    error_writer.reset();
    status_writer.reset();

    int error_number = 0;
    ssize_t got = 0;
    do
        got = ::read(status_reader.get(), &error_number, sizeof error_number);
    while (got < 0 && errno == EINTR);
    if (got == static_cast<ssize_t>(sizeof error_number)) {
        kill();
        if (error_number == ENOENT)
            fail(ErrorKind::external, arguments[0] + " is not installed (on Debian: package qemu-system-x86)");
        fail(ErrorKind::external, "cannot start " + arguments[0] + ": " + std::strerror(error_number));
    }
}

ChildProcess::~ChildProcess() {
    kill();
}

std::optional<int> ChildProcess::poll_exit() {
    if (status_)
        return status_;
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid != pid_)
        return std::nullopt;
    cpu_time(); // what it used in all is gone with it
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_)
        status_ = status;
    return status_;
}

std::chrono::milliseconds ChildProcess::cpu_time() {
    if (!status_)
        cpu_time_ = std::max(cpu_time_, cpu_time_of(pid_).value_or(cpu_time_));
    return cpu_time_;
}

std::chrono::milliseconds parse_stolen_time(std::string_view stat, long ticks_per_second) {
    // "cpu  user nice system idle iowait irq softirq steal …", then one line for each processor (proc(5)).
    std::uint64_t stolen = 0;
    std::uint64_t processors = 0;
    std::istringstream lines{std::string(stat)};
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("cpu"))
            break;
        std::istringstream fields(line);
        std::string name;
        fields >> name;
        std::uint64_t value = 0;
        for (int i = 0; i < 8 && fields >> value; ++i)
            stolen = name == "cpu" && i == 7 ? value : stolen;
        processors += name == "cpu" ? 0U : 1U;
    }
    if (processors == 0 || ticks_per_second <= 0)
        return std::chrono::milliseconds{0};
    return std::chrono::milliseconds(stolen * 1000 / static_cast<std::uint64_t>(ticks_per_second) / processors);
}

std::chrono::milliseconds stolen_time() {
    const UniqueFd file(::open("/proc/stat", O_RDONLY | O_CLOEXEC));
    std::array<char, 16384> text{};
    const ssize_t n = file ? ::read(file.get(), text.data(), text.size()) : 0;
    return n > 0 ? parse_stolen_time({text.data(), static_cast<std::size_t>(n)}, ::sysconf(_SC_CLK_TCK))
                 : std::chrono::milliseconds{0};
}

std::chrono::milliseconds ChildProcess::starved_time() {
    // /proc/PID/task/TID/schedstat: nanoseconds on a processor, nanoseconds waiting for one, time slices. A kernel
    // without it says nothing, and starvation then counts as idleness.
    std::uint64_t waited_ns = 0;
    std::error_code error;
    const std::string folder = "/proc/" + std::to_string(pid_) + "/task";
    for (auto task = std::filesystem::directory_iterator(folder, error);
         !error && task != std::filesystem::directory_iterator(); task.increment(error)) {
        const UniqueFd file(::open((task->path() / "schedstat").c_str(), O_RDONLY | O_CLOEXEC));
        char text[128] = {};
        unsigned long long on_processor = 0;
        unsigned long long waiting = 0;
        if (file && ::read(file.get(), text, sizeof text - 1) > 0 &&
            std::sscanf(text, "%llu %llu", &on_processor, &waiting) == 2)
            waited_ns += waiting;
    }
    // Threads that end take their share with them.
    starved_time_ = std::max(starved_time_, std::chrono::milliseconds(waited_ns / 1000000));
    return starved_time_;
}

void ChildProcess::kill() {
    if (status_ || pid_ <= 0)
        return;
    cpu_time();
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL); // the group may not exist yet
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR)
        ;
    status_ = status;
}

void ChildProcess::end(std::chrono::milliseconds patience) {
    constexpr std::chrono::milliseconds kInterval(10);
    if (status_ || pid_ <= 0)
        return;
    ::kill(pid_, SIGTERM);
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!poll_exit() && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(kInterval);
    kill();
}

bool has_crashed(int status) {
    if (!WIFSIGNALED(status))
        return false;
    const int signal = WTERMSIG(status);
    return signal == SIGSEGV || signal == SIGABRT || signal == SIGBUS || signal == SIGILL || signal == SIGFPE;
}

std::string describe_exit(int status) {
    if (WIFSIGNALED(status))
        return "killed by signal " + std::to_string(WTERMSIG(status)) + " (" + ::strsignal(WTERMSIG(status)) + ")";
    return "exit code " + std::to_string(WEXITSTATUS(status));
}

} // namespace vm2oci
