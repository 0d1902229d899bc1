#include "runner/report/junit.hpp"

#include "runner/judge/console_lines.hpp"
#include "runner/report/markup.hpp"
#include "runner/report/summary.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

double seconds(Milliseconds time) {
    return static_cast<double>(time.count()) / 1000.0;
}

std::string plain_tail(const BootReport& report) {
    const std::string text = report.console.text();
    std::string plain;
    ConsoleLines lines;
    const std::size_t begin = text.size() > kJunitConsoleTail ? text.size() - kJunitConsoleTail : 0;
    lines.feed(std::string_view(text).substr(begin), [&](const ConsoleLine& line) { plain += line.text + "\n"; });
    return plain + lines.current().text;
}

std::string failure_text(const BootReport& report, const Check& check) {
    std::string text = check.message;
    const std::string line = verdict_line(report);
    const std::string advice = verdict_advice(report);
    if (!line.empty())
        text += "\nconsole: " + line;
    if (!advice.empty())
        text += "\n" + advice;
    if (!check.output.empty())
        text += "\n" + check.output;
    return text;
}

std::string test_case(const BootReport& report, const Check& check, Milliseconds previous) {
    const Milliseconds at = check.at ? check.at->wall : previous;
    std::string text = fmt::format("    <testcase classname=\"vm2oci.boot\" name=\"{}\" time=\"{:.3f}\"",
                                   markup_text(check.name), seconds(std::max(at - previous, Milliseconds{0})));
    switch (check.state) {
    case CheckState::passed:
        return text + "/>\n";
    case CheckState::not_run:
        return text + ">\n      <skipped message=\"not run\"/>\n    </testcase>\n";
    case CheckState::failed:
        break;
    }
    const std::string_view type =
        report.verdict && report.verdict->rule != nullptr ? report.verdict->rule->id : std::string_view("check");
    return text + fmt::format(">\n      <failure type=\"{}\" message=\"{}\">{}</failure>\n    </testcase>\n", type,
                              markup_text(check.message), markup_text(failure_text(report, check)));
}

} // namespace

std::string boot_report_junit(const BootReport& report) {
    const auto count = [&](CheckState state) {
        return std::count_if(report.checks.begin(), report.checks.end(),
                             [&](const Check& check) { return check.state == state; });
    };
    const std::string numbers =
        fmt::format("tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{:.3f}\"", report.checks.size(),
                    count(CheckState::failed), count(CheckState::not_run), seconds(report.elapsed.wall));
    std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    text += fmt::format("<testsuites name=\"vm2oci boot\" {}>\n", numbers);
    text += fmt::format("  <testsuite name=\"{}\" {}>\n", markup_text("vm2oci boot " + report.source), numbers);
    text += "    <properties>\n";
    const auto property = [&](std::string_view name, std::string_view value) {
        text += fmt::format("      <property name=\"{}\" value=\"{}\"/>\n", name, markup_text(value));
    };
    property("accelerator", to_string(report.accelerator));
    property("accelerator_reason", report.accelerator_reason);
    if (!report.restart_reason.empty())
        property("restart_reason", report.restart_reason);
    property("firmware", report.direct_kernel_size ? "none" : to_string(report.firmware));
    property("summary", verdict_sentence(report));
    text += "    </properties>\n";
    Milliseconds previous{0};
    for (const Check& check : report.checks) {
        text += test_case(report, check, previous);
        if (check.at)
            previous = std::max(previous, check.at->wall);
    }
    text += "    <system-out>" + markup_text(plain_tail(report)) + "</system-out>\n";
    text += "    <system-err>" + markup_text(report.qemu_messages) + "</system-err>\n";
    return text + "  </testsuite>\n</testsuites>\n";
}

} // namespace vm2oci
