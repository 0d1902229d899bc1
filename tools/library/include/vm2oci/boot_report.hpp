// What a boot was, as values. Strings from the guest are as the guest wrote them: escape them before printing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci::v0 {

struct BootTime {
    std::int64_t wall_ms = 0;
    std::int64_t cpu_ms = 0; // of the machine's processors
};

struct BootVerdict {
    std::string outcome; // "ready", "failed", "timed_out", "stopped"
    BootTime at;
    std::optional<std::string> rule; // none: ready or stopped
    std::optional<std::string> title;
    std::optional<std::string> advice;
    std::optional<std::string> fix; // in Edits::fixes
    std::optional<std::string> detail;
    std::optional<std::string> line; // of the console, that shows it
    std::optional<std::uint64_t> line_number;
};

struct BootMilestone {
    std::string name;
    BootTime at;
};

struct BootCheck {
    std::string name;
    std::string state; // "passed", "failed", "not_run"
    std::optional<BootTime> at;
    std::optional<std::string> message;
    std::optional<std::string> output;
};

struct BootFinding {
    std::string rule;
    std::string severity;
    std::string title;
    std::string advice;
    std::optional<std::string> fix;
    std::string line;
    std::optional<std::uint64_t> line_number;
    std::uint64_t count = 1;
    BootTime at;
};

struct BootedMachine {
    std::string accelerator;
    std::string accelerator_reason;
    std::optional<std::string> restart_reason;
    std::string firmware;
    std::optional<std::uint64_t> direct_kernel_size;
    std::string type;
    std::string disk_bus;
    std::string network_model;
    std::string cpu_level;
    std::vector<std::string> profile_reasons;
    std::string network;
    std::uint64_t memory = 0;
    std::uint64_t cpus = 0;
    std::string qemu_version;
    std::vector<std::string> qemu_arguments;
    std::string qemu_messages;
};

struct ProbeStep {
    std::string name;
    std::uint64_t at_us = 0;
};

struct ProbeResult {
    std::string verdict;
    bool usable = false;
    std::string reason;
    std::uint64_t elapsed_us = 0;
    std::vector<ProbeStep> steps;
};

struct BootAgent {
    std::string version;
    std::string os;
    std::string kernel;
    bool guest_exec = false;
};

struct BootOwnAgent {
    std::uint64_t uptime_ms = 0;
    std::string state;
    std::string os;
    std::vector<std::string> addresses;
    std::vector<std::string> units_failed;
};

struct BootFacts {
    std::vector<std::string> units;
    std::vector<std::string> units_failed;
    std::vector<std::string> listening;
    std::vector<std::string> modules;
};

struct BootTimes {
    BootTime there;
    BootTime here;
};

struct BootComparison {
    std::string original;
    bool original_passed = false;
    bool fits = false;
    std::optional<std::string> problem;
    std::uint64_t units_there = 0;
    std::vector<std::string> units_missing;
    std::vector<std::string> units_gone_with_the_disk;
    std::vector<std::string> units_added;
    std::vector<std::string> failed_here;
    std::uint64_t ports_there = 0;
    std::vector<std::string> ports_missing;
    std::vector<std::string> ports_added;
    std::vector<std::string> modules_there;
    BootTimes ready;
    BootTimes kernel_to_ready;
};

struct BootDiskUse {
    std::uint64_t size = 0;
    std::uint64_t touched = 0;
    std::uint64_t read = 0;
    std::uint64_t written = 0;
};

struct BootReport {
    std::string source;
    bool passed = false;
    std::string summary; // one sentence for people; escaped
    std::optional<BootVerdict> verdict;
    std::vector<BootMilestone> milestones;
    std::vector<BootCheck> checks;
    std::vector<BootFinding> findings;
    std::uint64_t resets = 0;
    BootedMachine machine;
    std::optional<ProbeResult> probe;
    std::optional<BootAgent> agent;           // qemu-guest-agent
    std::optional<BootOwnAgent> vm2oci_agent; // vm2oci's
    std::optional<BootFacts> facts;           // what ran when it was up, where that was asked
    std::optional<BootComparison> comparison; // with another machine that was booted for it
    BootDiskUse disk;
    std::uint64_t console_bytes = 0;
    std::string last_line;
    BootTime elapsed;
};

} // namespace vm2oci::v0
