// What a boot was, as a value: the source of the JSON, JUnit and HTML reports.
//
// Strings that came from the guest are raw; whoever prints them escapes them.
#pragma once

#include "runner/agent/agent_session.hpp"
#include "runner/agent/own_session.hpp"
#include "runner/judge/judge.hpp"
#include "runner/probe/probe.hpp"
#include "runner/qemu/arguments.hpp"
#include "runner/spec.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

enum class CheckState { not_run, passed, failed };
std::string_view to_string(CheckState state);

// One question that the boot answers: a JUnit test case.
struct Check {
    std::string name; // "the kernel starts", "exec: systemctl is-active nginx"
    CheckState state = CheckState::not_run;
    std::optional<BootInstant> at; // when it was answered
    std::string message;           // of a failure, for people
    std::string output;            // of a command
};

struct DiskUse {
    std::uint64_t size = 0;
    std::uint64_t touched =
        0; // bytes of data that the machine read at least once, in blocks of 64 KiB; holes cost nothing
    std::uint64_t read = 0;    // all bytes that it read of the image
    std::uint64_t written = 0; // went to the scratch file
};

// The console as it came, up to a limit: the beginning and the end are kept, the middle goes.
class ConsoleLog {
  public:
    void append(std::string_view bytes);
    // With a line that says how much is missing, if anything is.
    std::string text() const;
    std::uint64_t total() const { return total_; }

  private:
    std::string head_;
    std::string tail_;
    std::uint64_t total_ = 0;
};
inline constexpr std::size_t kConsoleLogHead = 4 * 1024 * 1024; // a verbose boot prints some 200 KiB
inline constexpr std::size_t kConsoleLogTail = 4 * 1024 * 1024;

struct BootReport {
    std::string source; // the reference as the user wrote it
    std::optional<Verdict> verdict;
    std::vector<MilestoneTime> milestones;
    std::vector<Finding> findings;
    std::vector<Check> checks;
    unsigned resets = 0;

    Accelerator accelerator = Accelerator::tcg;
    std::string accelerator_reason; // why this one, for people
    std::optional<KvmProbe> probe;
    Firmware firmware = Firmware::bios;
    MachineProfile profile;
    std::vector<std::string> profile_reasons; // why it is not the default machine
    std::uint64_t memory = 0;
    unsigned cpus = 0;
    NetworkMode network = NetworkMode::none;

    std::string qemu_version;
    std::vector<std::string> qemu_arguments;
    std::string qemu_messages;              // what QEMU wrote to its standard error; raw
    std::optional<AgentInfo> agent;         // qemu-guest-agent
    std::optional<OwnAgentReady> own_agent; // vm2oci's, when the system was up
    DiskUse disk;
    ConsoleLog console;
    std::string last_line;
    std::vector<std::byte> screenshot; // PNG; empty: none could be taken
    BootInstant elapsed;

    bool passed() const;
};

} // namespace vm2oci
