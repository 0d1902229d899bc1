#include "runner/report/html.hpp"

#include "formats/base/base64.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/size.hpp"
#include "runner/judge/console_lines.hpp"
#include "runner/report/boot_checks.hpp"
#include "runner/report/comparison.hpp"
#include "runner/report/markup.hpp"
#include "runner/report/style.hpp"
#include "runner/report/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

namespace vm2oci {
namespace {

std::string row(std::string_view name, std::string_view value) {
    return fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", name, value);
}

std::string_view headline(const BootReport& report) {
    if (report.passed())
        return "It boots";
    if (!report.verdict)
        return "It has not been judged yet";
    if (report.verdict->outcome == Outcome::stopped)
        return "It was stopped before the verdict";
    if (report.verdict->outcome == Outcome::ready)
        return "It boots, but a check failed";
    const bool up = std::any_of(report.checks.begin(), report.checks.end(), [](const Check& check) {
        return check.name == boot_check::ready && check.state == CheckState::passed;
    });
    return up ? "It boots, but something is wrong" : "It does not boot";
}

std::string banner(const BootReport& report) {
    const bool yes = report.passed();
    std::string text = fmt::format("<div class=\"verdict {}\" role=\"status\">\n<h1>{}</h1>\n<p>{}</p>\n",
                                   yes ? "yes" : "no", headline(report), markup_text(verdict_sentence(report)));
    if (report.verdict && report.verdict->evidence && !report.verdict->evidence->line.empty()) {
        const Finding& evidence = *report.verdict->evidence;
        const std::string line = "<code>" + markup_text(evidence.line) + "</code>";
        text += evidence.line_number == 0
                    ? "<p>" + line + "</p>\n"
                    : fmt::format("<p><a href=\"#line-{0}\">Line {0}</a>: {1}</p>\n", evidence.line_number, line);
    }
    const std::string advice = verdict_advice(report);
    if (!advice.empty())
        text += "<p>" + markup_text(advice) + "</p>\n";
    return text + "</div>\n";
}

std::string timeline(const BootReport& report) {
    if (report.milestones.empty())
        return "<p>The machine gave no sign of life.</p>\n";
    std::vector<MilestoneTime> marks = report.milestones;
    std::stable_sort(marks.begin(), marks.end(),
                     [](const MilestoneTime& a, const MilestoneTime& b) { return a.at.wall < b.at.wall; });
    const BootInstant end = report.verdict ? report.verdict->at : report.elapsed;
    const double total = std::max(1.0, static_cast<double>(std::max(end.wall, marks.back().at.wall).count()));
    std::string text = "<ol class=\"timeline\">\n";
    for (std::size_t i = 0; i < marks.size(); ++i) {
        const Milliseconds begin = marks[i].at.wall;
        const bool last = i + 1 == marks.size();
        const Milliseconds until = std::max(begin, last ? end.wall : marks[i + 1].at.wall);
        const bool ended_badly = last && report.verdict && report.verdict->outcome != Outcome::ready;
        text += fmt::format("<li><span>{}</span><span class=\"track\"><span class=\"bar{}\" "
                            "style=\"left:{:.2f}%;width:{:.2f}%\"></span></span>"
                            "<span class=\"number\" title=\"{} of processor time\">{}</span></li>\n",
                            display_name(marks[i].milestone), ended_badly ? " end" : "",
                            100.0 * static_cast<double>(begin.count()) / total,
                            100.0 * static_cast<double>((until - begin).count()) / total, seconds_text(marks[i].at.cpu),
                            seconds_text(begin));
    }
    return text + "</ol>\n";
}

std::string checks(const BootReport& report) {
    std::string text = "<table>\n";
    for (const Check& check : report.checks) {
        const std::string_view word = check.state == CheckState::passed   ? "passed"
                                      : check.state == CheckState::failed ? "failed"
                                                                          : "not run";
        text += fmt::format("<tr><td>{}", markup_text(check.name));
        if (!check.message.empty())
            text += "<br><small>" + markup_text(check.message) + "</small>";
        if (!check.output.empty())
            text += "<pre>" + markup_text(check.output) + "</pre>";
        text += fmt::format(
            "</td><td class=\"number\">{}</td><td class=\"narrow\"><span class=\"state {}\">{}</span></td></tr>\n",
            check.at ? seconds_text(check.at->wall) : "", to_string(check.state), word);
    }
    return text + "</table>\n";
}

std::string findings(const BootReport& report) {
    std::string text = "<table>\n";
    for (const Finding& finding : report.findings) {
        const std::string place = finding.line_number == 0
                                      ? std::string("–")
                                      : fmt::format("<a href=\"#line-{0}\">{0}</a>", finding.line_number);
        text +=
            fmt::format("<tr><td class=\"number\">{}</td><td class=\"narrow\"><span class=\"state {}\">{}</span></td>"
                        "<td>{}{}<br><code>{}</code></td><td class=\"number\">{}</td></tr>\n",
                        place, to_string(finding.rule->severity), finding.rule->id, markup_text(finding.rule->title),
                        finding.count > 1 ? fmt::format(" ({} times)", finding.count) : "", markup_text(finding.line),
                        seconds_text(finding.at.wall));
    }
    return text + "</table>\n";
}

std::string machine(const BootReport& report) {
    std::string text = "<table>\n";
    text += row("Accelerator",
                fmt::format("{}: {}", to_string(report.accelerator), markup_text(report.accelerator_reason)));
    if (!report.restart_reason.empty())
        text += row("Second start", markup_text(report.restart_reason));
    text += row("Machine", fmt::format("{}, {} processors, {} memory", to_string(report.profile.machine), report.cpus,
                                       format_size(report.memory)));
    if (report.direct_kernel_size)
        text += row("Kernel", "booted directly, " + format_size(*report.direct_kernel_size));
    else
        text += row("Firmware", to_string(report.firmware));
    text += row("Disk", fmt::format("{} by {}; read {} of it, wrote {}", format_size(report.disk.size),
                                    to_string(report.profile.disk), format_size(report.disk.touched),
                                    format_size(report.disk.written)));
    text += row("Network", report.network == NetworkMode::none ? "none" : "user mode");
    text += row("QEMU", markup_text(report.qemu_version));
    if (report.agent)
        text += row("Guest agent", markup_text("version " + report.agent->version + ", " + report.agent->os_name +
                                               ", kernel " + report.agent->kernel));
    if (report.own_agent)
        text += row("vm2oci agent", markup_text(report.own_agent->os_name + ", " + report.own_agent->state));
    for (const std::string& reason : report.profile_reasons)
        text += row("Note", markup_text(reason));
    if (report.resets > 0)
        text += row("Resets", std::to_string(report.resets));
    if (!report.qemu_messages.empty())
        text += row("QEMU says", "<pre>" + markup_text(report.qemu_messages) + "</pre>");
    return text + "</table>\n";
}

std::string console(const BootReport& report) {
    // The worst finding of a line marks it.
    std::map<std::uint64_t, Severity> marks;
    for (const Finding& finding : report.findings)
        if (finding.line_number != 0)
            marks.emplace(finding.line_number, finding.rule->severity);
    const std::uint64_t blamed = report.verdict && report.verdict->evidence ? report.verdict->evidence->line_number : 0;
    std::deque<ConsoleLine> shown;
    const auto keep = [&](const ConsoleLine& line) {
        shown.push_back(line);
        if (shown.size() > kHtmlConsoleLines)
            shown.pop_front();
    };
    ConsoleLines lines;
    lines.feed(report.console.text(), keep);
    if (!lines.current().text.empty())
        keep(lines.current());
    if (shown.empty())
        return "<p>The serial console stayed empty.</p>\n";
    std::string text = "<pre class=\"console\" tabindex=\"0\" aria-label=\"Serial console\">";
    for (const ConsoleLine& line : shown) {
        std::string style;
        if (const auto mark = marks.find(line.number); mark != marks.end())
            style = mark->second == Severity::warning ? "warning" : "failed";
        if (line.number == blamed && blamed != 0)
            style += " blamed";
        text += fmt::format("<span id=\"line-{0}\" data-line=\"{0}\"{1}>{2}</span>", line.number,
                            style.empty() ? "" : " class=\"" + style + "\"", markup_text(line.text));
    }
    return text + "</pre>\n";
}

std::string comparison(const BootComparison& beside) {
    std::string text = beside.fits() ? "<p>Nothing is lost.</p>\n<ul>\n" : "<ul>\n";
    for (const std::string& line : comparison_lines(beside))
        text += "<li>" + markup_text(line) + "</li>\n";
    return text + "</ul>\n";
}

std::string section(std::string_view title, const std::string& body) {
    return fmt::format("<section>\n<h2>{}</h2>\n{}</section>\n", title, body);
}

} // namespace

std::string boot_report_html(const BootReport& report) {
    const std::string title = markup_text("Boot of " + report.source);
    std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    // Text of the guest stands on this page: whatever slips through may neither run nor load anything.
    page += "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
            "img-src data:\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<link rel=\"icon\" href=\"data:,\">\n";
    page += "<title>" + title + "</title>\n<style>" + std::string(kReportStyle) + "</style>\n</head>\n<body>\n";
    page += "<header>\n<p class=\"source\">" + title + "</p>\n" + banner(report) + "</header>\n<main>\n";
    page += section(report.accelerator == Accelerator::tcg ? "Timeline (emulated: tcg)" : "Timeline (kvm)",
                    timeline(report));
    page += section("Checks", checks(report));
    if (report.comparison)
        page += section("Beside the original", comparison(*report.comparison));
    if (!report.findings.empty())
        page += section("What the console says", findings(report));
    if (!report.screenshot.empty())
        page += section("Screen at the end",
                        "<img alt=\"The machine's screen at the end of the boot\" src=\"data:image/png;base64," +
                            encode_base64(as_text(report.screenshot)) + "\">\n");
    page += section("Machine", machine(report));
    page += section("Serial console", console(report));
    return page + "</main>\n<footer>Written by vm2oci boot.</footer>\n</body>\n</html>\n";
}

} // namespace vm2oci
