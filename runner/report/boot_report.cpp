#include "runner/report/boot_report.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {

std::string_view to_string(CheckState state) {
    switch (state) {
    case CheckState::not_run:
        return "not_run";
    case CheckState::passed:
        return "passed";
    case CheckState::failed:
        return "failed";
    }
    return "not_run";
}

void ConsoleLog::append(std::string_view bytes) {
    total_ += bytes.size();
    const std::size_t to_head = std::min(bytes.size(), kConsoleLogHead - head_.size());
    head_ += bytes.substr(0, to_head);
    tail_ += bytes.substr(to_head);
    // Twice the limit before cutting, so that each byte is moved once at most.
    if (tail_.size() > 2 * kConsoleLogTail)
        tail_.erase(0, tail_.size() - kConsoleLogTail);
}

std::string ConsoleLog::text() const {
    const std::uint64_t kept = head_.size() + tail_.size();
    if (kept == total_)
        return head_ + tail_;
    return head_ + fmt::format("\r\n[... {} bytes left out ...]\r\n", total_ - kept) + tail_;
}

bool BootReport::passed() const {
    return verdict && verdict->outcome == Outcome::ready &&
           std::none_of(checks.begin(), checks.end(),
                        [](const Check& check) { return check.state == CheckState::failed; });
}

} // namespace vm2oci
