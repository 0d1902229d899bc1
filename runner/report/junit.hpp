// The boot as a JUnit XML file: one test case for each check, readable by the usual CI systems.
#pragma once

#include "runner/report/boot_report.hpp"

#include <string>

namespace vm2oci {

// Of the console, this much of the end is in the file.
inline constexpr std::size_t kJunitConsoleTail = 32ull * 1024;

// Checks that have not run are "skipped", so the file is valid from the first second on.
std::string boot_report_junit(const BootReport& report);

} // namespace vm2oci
