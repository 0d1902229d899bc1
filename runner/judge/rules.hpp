// What the console says when a boot goes wrong: the table of rules.
//
// A pattern is text with three special characters: '*' stands for anything, '^' at the front means that the line begins
// there (behind the kernel's time stamp, if it has one), '$' at the end that the line ends there, trailing blanks
// aside. Matching takes time linear in the line: no expression of a rule can be made slow by a guest.
#pragma once

#include <chrono>
#include <span>
#include <string_view>

namespace vm2oci {

enum class Severity {
    fatal,         // the boot is over: the run ends at once
    fatal_if_last, // the boot is over unless something else is printed soon (a prompt, a question)
    failure,       // the boot goes on, and the verdict will be no
    warning,       // worth telling
};
std::string_view to_string(Severity severity); // "fatal", "fatal_if_last", "failure", "warning"

enum class RuleRole {
    cause,   // says why
    symptom, // says that something is wrong: an earlier cause is the better reason
};

struct Rule {
    std::string_view id; // stable: in JSON, JUnit, --ignore
    Severity severity = Severity::warning;
    RuleRole role = RuleRole::cause;
    std::string_view title;  // what happened, for people
    std::string_view advice; // what usually mends it
    std::string_view fix;    // the --fix operation that usually mends it; empty: none does
    std::span<const std::string_view> patterns;
};

// How long a fatal_if_last line must stay the last.
inline constexpr std::chrono::milliseconds kLastLineStays{4000};

// In order: the first rule that matches a line is the one.
std::span<const Rule> boot_loader_rules();
std::span<const Rule> kernel_rules();
std::span<const Rule> initramfs_rules();
std::span<const Rule> system_rules();

// The rule of the whole table that matches, or null. `line` as it came from ConsoleLines.
const Rule* match_rule(std::string_view line);

// Null when there is no such rule. Knows the judge's own rules too (judge_rules()).
const Rule* find_rule(std::string_view id);

// Verdicts that no line carries: "timeout", "silent", "stalled", "reboot-loop", "powered-off", …
std::span<const Rule> judge_rules();

// Whether a reset that cuts I/O off can bring such lines, on a disk that is well.
bool is_trouble_of_a_disk(const Rule& rule);

bool matches_pattern(std::string_view pattern, std::string_view line);

} // namespace vm2oci
