// What vm2oci's init starts in a container image's micro-VM: a value, and the bytes of the file beside /init that it
// reads it from.
//
// The file: "NAME=VALUE" and a NUL for each field, as /proc/PID/environ has it; lists repeat their name, and
// every other name stands there once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

inline constexpr const char* kProgramFile = "program"; // in the initramfs, beside "init"
// Linux takes an argument of 128 KiB and 2 MiB of all; images have a few KiB.
inline constexpr std::size_t kMaxProgramBytes = 4ull * 1024 * 1024;
// What people wait for until what does not end by its stop signal is killed, as docker and podman do it.
inline constexpr unsigned kStopSeconds = 10;

// What the console says of it, each on a line of its own, so that whoever reads the console knows. The second and third
// have a number behind them, the third as a shell has it: 128 + n killed by signal n, 127 not found, 126 not runnable.
inline constexpr const char* kProgramStarts = "vm2oci-init: starting ";
inline constexpr const char* kProgramHealthy = "vm2oci-init: healthy after ";
inline constexpr const char* kProgramEnded = "vm2oci-init: the program ended with exit code ";

enum class ProgramRole {
    child, // of vm2oci's init, which takes care of orphans, signals and the end of the machine
    init,  // takes its place: systemd and its like want to be process 1
};

struct ProgramHealth {
    std::vector<std::string> test; // the program and its arguments
    std::uint32_t interval_seconds = 30;
    std::uint32_t timeout_seconds = 30;
    std::uint32_t start_seconds = 0;          // failures before that do not count
    std::uint32_t start_interval_seconds = 5; // until then, unless it is healthy before
    std::uint32_t retries = 3;                // so many failures in a row, and it is not healthy
    bool operator==(const ProgramHealth&) const = default;
};

struct ContainerProgram {
    ProgramRole role = ProgramRole::child;
    std::vector<std::string> arguments;   // the first is looked for in the environment's PATH; never empty
    std::uint32_t entrypoint = 0;         // so many of them are the image's entrypoint, which other arguments follow
    std::vector<std::string> environment; // "NAME=value"
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;   // supplementary, in ascending order
    std::string working_folder = "/";    // absolute; made when it is not there
    std::vector<std::string> volumes;    // absolute; folders that are made when they are not there
    std::string hostname = "micro-vm";   // what resolves to the machine itself
    std::uint32_t stop_signal = 15;      // SIGTERM; by number, as Linux on x86 and arm has it
    std::optional<ProgramHealth> health; // none: nothing tells
    bool operator==(const ContainerProgram&) const = default;
};

// Error{unsafe}: a text holds a NUL. Error{limit}: more than kMaxProgramBytes.
std::string encode_program(const ContainerProgram& program);
// Error{corrupt} for anything that encode_program() would not have written.
ContainerProgram decode_program(std::string_view bytes);

} // namespace vm2oci
