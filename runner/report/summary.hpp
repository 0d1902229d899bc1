// A boot's verdict in words, for every kind of report.
#pragma once

#include "runner/report/boot_report.hpp"

#include <string>

namespace vm2oci {

// "ready after 33.1 s (49.7 s of processor time)", "failed: the kernel cannot mount the root file system". Safe to
// print: what the guest wrote is not in it.
std::string verdict_sentence(const BootReport& report);

// The line of the console that shows it, escaped; empty where there is none.
std::string verdict_line(const BootReport& report);

// "the initrd is missing …; the fix 'virtio' usually mends it"; empty where there is no advice.
std::string verdict_advice(const BootReport& report);

// "33.1 s"
std::string seconds_text(Milliseconds time);

} // namespace vm2oci
