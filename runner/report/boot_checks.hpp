// The names of the checks that every boot answers: stable, because they are the cases of the JUnit file.
#pragma once

#include "runner/judge/judge.hpp"
#include "runner/machine/spec.hpp"
#include "runner/report/boot_report.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::boot_check {

inline constexpr std::string_view kernel = "the kernel starts";
inline constexpr std::string_view init = "the system starts";
inline constexpr std::string_view ready = "the machine is ready";
inline constexpr std::string_view sound = "nothing fails";

std::string ready_name(const ReadyCondition& condition);  // "ready: login"
std::string expected_name(const ConsolePattern& pattern); // "expect: REGEX"
std::string port_name(const PortForward& forward);        // "port 22 answers"
std::string command_name(std::string_view command);       // "exec: COMMAND"

// All of them, not run yet, in the order in which a boot answers them.
std::vector<Check> planned(const JudgePolicy& policy, const std::vector<PortForward>& forwards,
                           const std::vector<std::string>& commands);

} // namespace vm2oci::boot_check
