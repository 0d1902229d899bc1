// Watches a boot and says when it is over, and how: a pure state machine over console bytes, events and time.
//
// It does no I/O and reads no clock: what is fed to it again in the same order gives the same verdict, so that any
// console log can be judged after the fact. Memory is bounded whatever the guest prints.
#pragma once

#include "runner/judge/console_lines.hpp"
#include "runner/judge/instant.hpp"
#include "runner/judge/milestones.hpp"
#include "runner/judge/pattern.hpp"
#include "runner/judge/rules.hpp"
#include "runner/judge/starvation.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class ReadySignal { login, agent, cloud_init, system, pattern, port };
std::string_view to_string(ReadySignal signal);

struct ReadyCondition {
    ReadySignal signal = ReadySignal::login;
    std::optional<ConsolePattern> pattern; // for ReadySignal::pattern
};

// What makes a machine ready about which nothing else was asked.
enum class DefaultReady {
    login,   // a login prompt, or a guest agent that says that the system is up
    agent,   // the guest has an agent: it must answer, and the system be up, by its word or by a login prompt
    program, // vm2oci's init has started a container's program, or it has ended well already
    healthy, // the program's health check has passed
};

// Ready when all conditions hold; when none is given, by default. An agent that answers and cannot say more counts
// after `agent_patience`.
struct JudgePolicy {
    std::vector<ReadyCondition> ready;
    DefaultReady by_default = DefaultReady::login;
    std::vector<ConsolePattern> expected;  // lines that must come too, whatever makes the machine ready
    std::vector<ConsolePattern> fail;      // lines that must not come
    std::vector<std::string> ignored;      // ids of rules that become warnings (fatal ones too)
    std::optional<Milliseconds> cpu_limit; // the deadline of an emulated machine
    // All that follow are the machine's own time: what its host kept from it is left out.
    Milliseconds wall_limit{180000};
    Milliseconds idle_limit{60000}; // without output and with idle processors: the machine has stopped
    Milliseconds agent_patience{30000};
    Milliseconds settle{1500}; // after "ready": failures that are printed a moment later count
    Milliseconds linger{700};  // after a fatal line: those behind it belong to the report
    unsigned max_resets = 3;   // a first boot may reset once or twice (relabel, repartition)
};

struct Finding {
    const Rule* rule = nullptr;
    std::string line; // raw text of the guest: escape before printing
    std::uint64_t line_number = 0;
    BootInstant at;
    unsigned count = 1; // how often the rule matched with this text
};

struct MilestoneTime {
    Milestone milestone = Milestone::firmware;
    BootInstant at;
};

enum class Outcome { ready, failed, timed_out, stopped };
std::string_view to_string(Outcome outcome); // "ready", "failed", "timed_out", "stopped"

struct Verdict {
    Outcome outcome = Outcome::failed;
    const Rule* rule = nullptr;      // the reason; null when ready or stopped
    std::optional<Finding> evidence; // the line that shows it, if there is one
    std::string detail;              // what no rule can say ("the limit of 180 s of processor time")
    BootInstant at;
};

enum class GuestEvent {
    reset,
    shutdown,
    panicked,
    agent_port_opened,
    agent_answered,
    system_running, // the agent asked systemd: running or degraded
    cloud_init_done,
    ports_open, // every port that was asked for answers
    stopped_by_user,
};

class Judge {
  public:
    explicit Judge(JudgePolicy policy);

    void console(std::string_view bytes, BootInstant at);
    void event(GuestEvent what, BootInstant at);
    // A failure that did not come by the console; `rule_id` is one of judge_rules() or of the table ("unit-failed").
    void failure(std::string_view rule_id, const std::string& detail, BootInstant at);
    // The machine reads or writes its disk: it has not stopped, whatever its console says.
    void disk_activity(BootInstant at);
    // Call at least every second: deadlines and prompts are found by time alone.
    void tick(BootInstant at);

    const std::optional<Verdict>& verdict() const { return verdict_; }
    const std::vector<MilestoneTime>& milestones() const { return milestones_; }
    const std::vector<Finding>& findings() const { return findings_; }
    std::optional<Milestone> furthest() const;
    bool has_reached(Milestone milestone) const;
    unsigned resets() const { return resets_; }
    bool has_console_output() const { return console_bytes_ > 0; }
    // The last line with text in it, for a status display; raw text of the guest.
    const std::string& last_line() const { return last_line_; }
    // What is still missing, for a status display and the timeout's text.
    std::vector<std::string> missing() const;
    bool condition_met(std::size_t index) const { return is_met(index); }
    bool expectation_met(std::size_t index) const { return expected_seen_[index]; }
    const JudgePolicy& policy() const { return policy_; }
    // When all conditions held for the first time.
    const std::optional<BootInstant>& ready_since() const { return ready_at_; }

  private:
    struct Pending {
        std::size_t finding;
        Milliseconds since;        // own time
        std::uint64_t line_number; // output on a later line takes it back
    };

    void take_line(const ConsoleLine& line, BootInstant at);
    void reach(Milestone milestone, BootInstant at);
    std::size_t record(const Rule& rule, std::string_view line, std::uint64_t line_number, BootInstant at);
    Severity severity_of(const Rule& rule) const;
    // The machine resets or switches itself off: what its disk said just before is no reason for it.
    void shut_down(BootInstant at);
    void excuse_cut_io(BootInstant at);
    // The finding that explains an end that is only a symptom.
    const Finding* blame(const Rule& ending) const;
    void end_with(const Rule& rule, std::string detail, std::optional<Finding> evidence, BootInstant at,
                  Outcome outcome = Outcome::failed);
    void end_by_finding(std::size_t index, BootInstant at);
    bool is_met(std::size_t condition) const;
    bool is_ready(BootInstant at) const;
    bool is_up(BootInstant at) const; // by default
    void check_ready(BootInstant at);
    void finish_ready(BootInstant at);
    void check_silence(BootInstant at);
    // Nothing but the serial console can make it ready, and no kernel was ever heard there.
    bool depends_on_mute_console() const;
    void advance(BootInstant at);
    // A failure that only says that something took too long, while the host had no time for the machine.
    void excuse_starved(std::size_t index, BootInstant at);
    void end_silent(std::string_view rule_id, Milliseconds quiet, BootInstant at);
    void check_deadline(BootInstant at);

    JudgePolicy policy_;
    ConsoleLines lines_;
    std::vector<MilestoneTime> milestones_;
    std::vector<Finding> findings_;
    std::vector<bool> pattern_seen_;  // one for each ready condition
    std::vector<bool> expected_seen_; // one for each expected line
    std::optional<Verdict> verdict_;
    std::optional<std::size_t> fatal_; // finding that ends the boot when the lingering is over
    Milliseconds fatal_at_{0};         // own time
    std::optional<Pending> pending_;   // fatal unless something else is printed
    BootInstant last_reset_;
    std::optional<BootInstant> ready_at_;
    std::optional<BootInstant> agent_at_;
    BootInstant last_output_; // or another sign of life
    BootInstant last_seen_;   // of any event
    // The machine's own time without its host's: processors that it waited for, disks that it read.
    Milliseconds own_{0};
    Milliseconds own_at_console_{0}; // when it printed last
    bool disk_used_ = false;         // since last_seen_
    bool menu_shown_ = false;        // a boot loader's, and no kernel behind it
    std::optional<BootInstant> kernel_at_;
    StartingUnits starting_;
    bool was_starved_ = false; // something failed for it
    std::uint64_t console_bytes_ = 0;
    std::string last_line_;
    unsigned resets_ = 0;
    bool system_running_ = false;
    bool ports_open_ = false;
    bool program_ended_ = false; // a container's: the machine switches itself off
};

} // namespace vm2oci
