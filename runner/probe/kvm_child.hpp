// The child side of the probe: makes a virtual machine, runs the guest program and streams what it sees into a pipe.
#pragma once

#include <cstdint>

namespace vm2oci {

enum class ChildMessageKind : std::uint8_t {
    step,          // value: the byte that the guest reported
    cannot_open,   // value: errno
    ioctl_failed,  // value: errno; `operation` names it
    guest_stopped, // value: KVM's exit reason
    rate_known,    // the rate loop has run often enough, or once fast enough
};

// Written whole (it is smaller than PIPE_BUF), so the reader sees messages or nothing.
struct ChildMessage {
    ChildMessageKind kind;
    std::uint32_t value;
    std::uint64_t at_us;  // since the probe began
    std::uint64_t ran_us; // step: how long the guest ran for it, without what reporting the one before cost
    char operation[24];
};

// Runs in the forked child and ends in _exit(). Uses only async-signal-safe calls: the parent may have other threads,
// whose locks the child inherits locked.
[[noreturn]] void run_probe_child(const char* device, int pipe_fd, std::uint64_t start_us);

std::uint64_t monotonic_us();

} // namespace vm2oci
