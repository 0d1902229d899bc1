// The boot as one self-contained page: no script, no resource from elsewhere, readable in light, dark and print.
#pragma once

#include "runner/report/boot_report.hpp"

#include <string>

namespace vm2oci {

// Of a longer console, the page shows this many lines at the end; console.log has all of them.
inline constexpr std::size_t kHtmlConsoleLines = 5000;

std::string boot_report_html(const BootReport& report);

} // namespace vm2oci
