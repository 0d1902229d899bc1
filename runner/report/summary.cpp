#include "runner/report/summary.hpp"

#include "formats/base/escape.hpp"

#include <fmt/format.h>

namespace vm2oci {

std::string seconds_text(Milliseconds time) {
    return fmt::format("{:.1f} s", static_cast<double>(time.count()) / 1000.0);
}

std::string verdict_sentence(const BootReport& report) {
    if (!report.verdict)
        return "not finished";
    const Verdict& verdict = *report.verdict;
    if (verdict.outcome == Outcome::stopped)
        return "stopped by the user";
    if (verdict.outcome == Outcome::ready) {
        std::string text = "ready after " + seconds_text(verdict.at.wall);
        if (report.accelerator == Accelerator::tcg)
            text += " (" + seconds_text(verdict.at.cpu) + " of processor time)";
        if (!report.passed())
            text += ", but a check failed";
        return text;
    }
    std::string text = "failed after " + seconds_text(verdict.at.wall) + ": " + std::string(verdict.rule->title);
    if (!verdict.detail.empty())
        text += " (" + escape_untrusted(verdict.detail) + ")";
    return text + fmt::format(" [{}]", verdict.rule->id);
}

std::string verdict_line(const BootReport& report) {
    if (!report.verdict || !report.verdict->evidence)
        return "";
    return escape_untrusted(report.verdict->evidence->line);
}

std::string verdict_advice(const BootReport& report) {
    if (!report.verdict || report.verdict->rule == nullptr)
        return "";
    const Rule& rule = *report.verdict->rule;
    std::string text(rule.advice);
    if (!rule.fix.empty())
        text += (text.empty() ? "" : "; ") + fmt::format("the fix '{}' usually mends it", rule.fix);
    return text;
}

} // namespace vm2oci
