// The child process behind ask_credential_helper().
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "libconvert/registry/credentials.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

namespace vm2oci::registry {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kMaxAnswerBytes = 64 * KiB;  // tokens of cloud registries are some KiB
constexpr std::chrono::seconds kHelperTimeout{60}; // a helper may ask a person, or a network

struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
    Pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0)
            fail_errno("cannot make a pipe", errno);
        read_end = UniqueFd(ends[0]);
        write_end = UniqueFd(ends[1]);
    }
};

class SpawnActions {
  public:
    SpawnActions() { posix_spawn_file_actions_init(&actions_); }
    ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;
    void redirect(int from, int to) { posix_spawn_file_actions_adddup2(&actions_, from, to); }
    const posix_spawn_file_actions_t* get() const { return &actions_; }

  private:
    posix_spawn_file_actions_t actions_{};
};

// A child that is waited for in any case, and killed if it is still there.
class Child {
  public:
    Child(const std::string& program, int input, int output) {
        SpawnActions actions;
        actions.redirect(input, STDIN_FILENO);
        actions.redirect(output, STDOUT_FILENO);
        std::string name = program;
        std::string verb = "get";
        std::array<char*, 3> arguments{name.data(), verb.data(), nullptr};
        const int error = ::posix_spawnp(&pid_, program.c_str(), actions.get(), nullptr, arguments.data(), environ);
        if (error != 0)
            fail(ErrorKind::external, fmt::format("cannot run {}: {}", program, std::strerror(error)));
    }
    ~Child() {
        if (pid_ <= 0)
            return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // The exit code; nullopt when it was killed by a signal or is still running at `deadline`.
    std::optional<int> wait(SteadyClock::time_point deadline) {
        int status = 0;
        while (true) {
            const pid_t done = ::waitpid(pid_, &status, WNOHANG);
            if (done == pid_)
                break;
            if (done < 0 && errno != EINTR)
                return std::nullopt;
            if (SteadyClock::now() >= deadline)
                return std::nullopt;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        pid_ = -1;
        return WIFEXITED(status) ? std::optional(WEXITSTATUS(status)) : std::nullopt;
    }

  private:
    pid_t pid_ = -1;
};

std::string read_answer(int fd, SteadyClock::time_point deadline) {
    std::string answer;
    std::array<char, 4096> buffer{};
    while (answer.size() <= kMaxAnswerBytes) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now());
        pollfd wanted{fd, POLLIN, 0};
        const int ready = ::poll(&wanted, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0)
            fail(ErrorKind::external, fmt::format("it did not answer within {} s", kHelperTimeout.count()));
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            fail_errno("cannot read its answer", errno);
        if (count == 0)
            return answer;
        answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    fail(ErrorKind::external, "its answer is too long");
}

bool is_plain_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.';
    });
}

} // namespace

std::optional<Credentials> ask_credential_helper(const std::string& name, const std::string& server) {
    if (!is_plain_name(name))
        fail(ErrorKind::unsafe,
             fmt::format("the credential helper's name {} is not a plain name", quote_untrusted(name)));
    const std::string program = "docker-credential-" + name;
    return with_context("asking " + program + " about " + server, [&]() -> std::optional<Credentials> {
        Pipe question;
        Pipe answer;
        Child child(program, question.read_end.get(), answer.write_end.get());
        question.read_end.reset();
        answer.write_end.reset();
        try {
            write_exactly(question.write_end.get(), as_bytes(server)); // far less than a pipe holds
        } catch (const Error&) {
            // A helper that ends without reading still has an answer or an exit code, which says more.
        }
        question.write_end.reset();
        const SteadyClock::time_point deadline = SteadyClock::now() + kHelperTimeout;
        const std::string text = read_answer(answer.read_end.get(), deadline);
        const std::optional<int> code = child.wait(deadline);
        if (code == 0)
            return parse_helper_answer(text);
        // The protocol has no code for "unknown": a fixed sentence on standard output says it.
        if (text.find("credentials not found") != std::string::npos)
            return std::nullopt;
        fail(ErrorKind::external,
             code ? fmt::format("it failed with exit code {}", *code) : std::string("it did not end by itself"));
    });
}

} // namespace vm2oci::registry
