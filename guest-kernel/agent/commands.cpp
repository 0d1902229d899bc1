#include "guest-kernel/agent/commands.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace vm2oci::guest {
namespace {

constexpr const char* kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

[[noreturn]] void become(std::vector<char*>& arguments, int output, int errors) {
    ::setsid();
    const int nothing = ::open("/dev/null", O_RDONLY);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(errors, STDERR_FILENO);
    ::signal(SIGPIPE, SIG_DFL);
    ::setenv("PATH", kPath, 1);
    ::setenv("LC_ALL", "C", 1);
    ::execvp(arguments.front(), arguments.data());
    const int error = errno;
    const std::string message = std::string(arguments.front()) + ": " + std::strerror(error) + "\n";
    [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, message.data(), message.size());
    ::_exit(error == ENOENT ? 127 : 126);
}

void close_and_forget(int& fd) {
    if (fd >= 0)
        ::close(fd);
    fd = -1;
}

} // namespace

Commands::~Commands() {
    for (Running& command : running_) {
        ::kill(-command.pid, SIGKILL);
        ::waitpid(command.pid, nullptr, 0);
        close_and_forget(command.output);
        close_and_forget(command.errors);
    }
}

void Commands::start(const std::vector<std::string>& arguments, std::chrono::seconds timeout, Done done) {
    std::array<int, 2> output = {-1, -1};
    std::array<int, 2> errors = {-1, -1};
    Running command;
    command.deadline = Clock::now() + timeout;
    command.done = std::move(done);
    if (!arguments.empty() && ::pipe2(output.data(), O_CLOEXEC) == 0 && ::pipe2(errors.data(), O_CLOEXEC) == 0) {
        std::vector<char*> pointers;
        pointers.reserve(arguments.size() + 1);
        for (const std::string& argument : arguments)
            pointers.push_back(const_cast<char*>(argument.c_str()));
        pointers.push_back(nullptr);
        command.pid = ::fork();
        if (command.pid == 0)
            become(pointers, output[1], errors[1]);
    }
    close_and_forget(output[1]);
    close_and_forget(errors[1]);
    if (command.pid < 0) {
        close_and_forget(output[0]);
        close_and_forget(errors[0]);
        command.result.exit_code = 126;
        command.result.errors = arguments.empty() ? "no program was named\n" : "no process could be started\n";
    } else {
        ::fcntl(output[0], F_SETFL, O_NONBLOCK);
        ::fcntl(errors[0], F_SETFL, O_NONBLOCK);
        command.output = output[0];
        command.errors = errors[0];
    }
    running_.push_back(std::move(command));
}

void Commands::add_to(std::vector<pollfd>& entries) const {
    for (const Running& command : running_)
        for (const int fd : {command.output, command.errors})
            if (fd >= 0)
                entries.push_back({fd, POLLIN, 0});
}

void Commands::read_stream(int& fd, std::string& text, bool& truncated) {
    std::array<char, 16384> buffer{};
    while (fd >= 0) {
        const ssize_t n = ::read(fd, buffer.data(), buffer.size());
        if (n > 0) {
            const std::size_t kept = std::min(static_cast<std::size_t>(n), kOutputLimit - text.size());
            text.append(buffer.data(), kept);
            truncated = truncated || kept < static_cast<std::size_t>(n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else if (n < 0 && errno == EAGAIN) {
            return;
        } else {
            close_and_forget(fd);
        }
    }
}

bool Commands::has_ended(Running& command) {
    if (command.pid < 0)
        return true;
    int status = 0;
    // Asked before the pipes are read: what the program wrote is then certainly in them.
    pid_t ended = ::waitpid(command.pid, &status, WNOHANG);
    if (ended == 0 && Clock::now() >= command.deadline) {
        command.result.timed_out = true;
        ::kill(-command.pid, SIGKILL);
        ended = ::waitpid(command.pid, &status, 0);
    }
    read_stream(command.output, command.result.output, command.result.truncated);
    read_stream(command.errors, command.result.errors, command.result.truncated);
    if (ended == 0)
        return false;
    command.result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
}

void Commands::poll() {
    std::list<Running> ended;
    for (auto command = running_.begin(); command != running_.end();) {
        const auto next = std::next(command);
        if (has_ended(*command))
            ended.splice(ended.end(), running_, command);
        command = next;
    }
    for (Running& command : ended) {
        // A service that the program left behind may hold the pipes for good.
        close_and_forget(command.output);
        close_and_forget(command.errors);
        command.done(command.result);
    }
}

} // namespace vm2oci::guest
