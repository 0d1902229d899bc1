// What a boot was, as a value: the source of the JSON, JUnit and HTML reports.
//
// Strings that came from the guest are raw; whoever prints them escapes them.
#pragma once

#include "runner/agent/agent_session.hpp"
#include "runner/agent/own_session.hpp"
#include "runner/judge/judge.hpp"
#include "runner/machine/machine.hpp"
#include "runner/machine/spec.hpp"
#include "runner/probe/probe.hpp"

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
inline constexpr std::size_t kConsoleLogHead = 4ull * 1024 * 1024; // a verbose boot prints some 200 KiB
inline constexpr std::size_t kConsoleLogTail = 4ull * 1024 * 1024;

// What the machine of this report lacks, or has, beside another one. Strings are the guests'.
struct BootComparison {
    std::string original; // the reference as the user wrote it
    bool original_passed = false;
    std::string problem;                    // why what runs could not be compared; empty: it was
    std::vector<std::string> units_missing; // active there, not here
    std::vector<std::string> units_left;    // missing too, but there only for boot loader, partitions and swap
    std::vector<std::string> units_added;
    std::vector<std::string> failed_here; // and not there
    std::vector<std::string> ports_missing;
    std::vector<std::string> ports_added;
    std::size_t units_there = 0;
    std::size_t ports_there = 0;
    std::vector<std::string>
        modules_there; // loaded there: drivers and file systems that this kernel must have built in
    // Until the machine was ready, the guest's kernel until it was, and the disk's stored size; 0: not known.
    BootInstant ready_there;
    BootInstant ready_here;
    BootInstant kernel_there; // from the kernel's first line to ready
    BootInstant kernel_here;

    // Nothing that ran there is gone, and nothing else failed.
    bool fits() const;
};

struct BootReport {
    std::string source; // the reference as the user wrote it
    std::optional<Verdict> verdict;
    std::vector<MilestoneTime> milestones;
    std::vector<Finding> findings;
    std::vector<Check> checks;
    unsigned resets = 0;

    Accelerator accelerator = Accelerator::tcg;
    std::string accelerator_reason; // why this one, for people
    std::string restart_reason;     // why QEMU was started a second time, for people; empty: it was not
    std::optional<KvmProbe> probe;
    Firmware firmware = Firmware::bios;
    MachineProfile profile;
    std::vector<std::string> profile_reasons; // why it is not the default machine
    std::uint64_t memory = 0;
    unsigned cpus = 0;
    NetworkMode network = NetworkMode::none;

    std::string qemu_version;
    std::vector<std::string> qemu_arguments;
    std::string qemu_messages;                       // what QEMU wrote to its standard error; raw
    std::optional<AgentInfo> agent;                  // qemu-guest-agent
    std::optional<std::uint64_t> direct_kernel_size; // bytes of the kernel that was booted directly; none: by firmware
    std::optional<OwnAgentFacts> facts;              // what ran when it was up, where that was asked
    std::optional<BootComparison> comparison;        // with another machine that was booted for it
    std::optional<OwnAgentReady> own_agent;          // vm2oci's, when the system was up
    DiskUse disk;
    ConsoleLog console;
    std::string last_line;
    std::vector<std::byte> screenshot; // PNG; empty: none could be taken
    BootInstant elapsed;

    bool passed() const;
};

} // namespace vm2oci
