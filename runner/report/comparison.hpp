// Two boots side by side: what the second machine lacks of the first.
#pragma once

#include "runner/report/boot_report.hpp"

#include <string>
#include <vector>

namespace vm2oci {

// Both reports carry facts where their machines came up and were asked; without them `problem` says what is missing.
// Counted are services, sockets, timers, paths, mounts and targets; devices, slices and sessions are the machine's.
BootComparison compare_boots(const BootReport& original, const BootReport& here);

// Lines for people, safe to print, the first one the summary.
std::vector<std::string> comparison_lines(const BootComparison& comparison);

} // namespace vm2oci
