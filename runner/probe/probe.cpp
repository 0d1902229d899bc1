#include "runner/probe/probe.hpp"

#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "runner/probe/guest_layout.h"
#include "runner/probe/kvm_child.hpp"
#include "runner/probe/observation.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

namespace vm2oci {
namespace {

// How long a killed child may take to leave the kernel before it is left to init.
constexpr unsigned kReapAttempts = 200; // of 1 ms

// Ends the child. One that hangs in the kernel and cannot be killed must not hang us: it is given up.
void reap(pid_t child) {
    ::kill(child, SIGKILL);
    for (unsigned i = 0; i < kReapAttempts; ++i) {
        const pid_t result = ::waitpid(child, nullptr, WNOHANG);
        if (result == child || (result < 0 && errno != EINTR))
            return;
        ::usleep(1000);
    }
}

// One message, or nullopt at the end of the pipe. Sets `timed_out` when nothing came in time.
std::optional<ChildMessage> read_message(int fd, std::uint64_t deadline_us, bool& timed_out) {
    ChildMessage message{};
    for (;;) {
        const std::uint64_t now = monotonic_us();
        const int wait_ms = now >= deadline_us ? 0 : static_cast<int>((deadline_us - now) / 1000 + 1);
        pollfd entry{fd, POLLIN, 0};
        const int ready = ::poll(&entry, 1, wait_ms);
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            timed_out = true;
            return std::nullopt;
        }
        const ssize_t n = ::read(fd, &message, sizeof message);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != static_cast<ssize_t>(sizeof message))
            return std::nullopt;
        return message;
    }
}

// Takes one message in; true if it was the last.
bool take(const ChildMessage& message, ProbeObservation& observation) {
    switch (message.kind) {
    case ChildMessageKind::step: {
        const auto step = static_cast<std::uint8_t>(message.value);
        if (step == PROBE_WRONG_RESULT) {
            observation.end = ProbeEnd::wrong_result;
            return true;
        }
        if (step >= PROBE_FAULT) {
            observation.end = ProbeEnd::guest_fault;
            observation.vector = static_cast<std::uint8_t>(step - PROBE_FAULT);
            return true;
        }
        observation.steps.push_back(
            {step, std::chrono::microseconds(message.at_us), std::chrono::microseconds(message.ran_us)});
        return false;
    }
    case ChildMessageKind::cannot_open:
        observation.end = ProbeEnd::cannot_open;
        observation.error_number = static_cast<int>(message.value);
        return true;
    case ChildMessageKind::ioctl_failed:
        observation.end = ProbeEnd::ioctl_failed;
        observation.error_number = static_cast<int>(message.value);
        observation.operation = message.operation;
        return true;
    case ChildMessageKind::guest_stopped:
        observation.end = ProbeEnd::guest_stopped;
        observation.exit_reason = message.value;
        return true;
    case ChildMessageKind::rate_known:
        observation.end = ProbeEnd::rate_known;
        return true;
    }
    observation.end = ProbeEnd::child_died;
    return true;
}

void watch(int fd, std::uint64_t start_us, ProbeObservation& observation) {
    const auto microseconds = [](std::chrono::milliseconds limit) {
        return static_cast<std::uint64_t>(std::chrono::microseconds(limit).count());
    };
    const std::uint64_t last_moment = start_us + microseconds(kProbeTotalLimit);
    for (;;) {
        const auto patience = observation.steps.empty() ? kProbeFirstStepLimit : kProbeStepLimit;
        const std::uint64_t step_limit = monotonic_us() + microseconds(patience);
        bool timed_out = false;
        const auto message = read_message(fd, std::min(step_limit, last_moment), timed_out);
        if (!message) {
            observation.end = timed_out ? ProbeEnd::hang : ProbeEnd::child_died;
            return;
        }
        if (take(*message, observation))
            return;
    }
}

} // namespace

KvmProbe probe_kvm(const std::filesystem::path& device) {
    ProbeObservation observation;
    observation.device = device.string();
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        fail_errno("cannot make a pipe", errno);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    const std::uint64_t start_us = monotonic_us();
    const pid_t child = ::fork();
    if (child < 0)
        fail_errno("cannot fork", errno);
    if (child == 0)
        run_probe_child(device.c_str(), writer.get(), start_us);
    writer.reset();
    watch(reader.get(), start_us, observation);
    observation.elapsed = std::chrono::microseconds(monotonic_us() - start_us);
    reap(child);
    return judge_probe(observation);
}

} // namespace vm2oci
