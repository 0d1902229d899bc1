// boot.json, and what --json prints.
#pragma once

#include "runner/report/boot_report.hpp"

#include <string>

namespace vm2oci {

// One document, indented. Times are milliseconds. Text of the guest is in it as JSON strings, bytes that are no UTF-8
// replaced.
std::string boot_report_json(const BootReport& report);
std::string probe_json(const KvmProbe& probe);

} // namespace vm2oci
