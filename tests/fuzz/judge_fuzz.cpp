// The judge under a console that does anything: bounded findings, a verdict that stays, and the same one again when the
// recording is judged again. The reports are made of what came out.
#include "runner/judge/judge.hpp"
#include "runner/report/html.hpp"
#include "runner/report/json.hpp"
#include "runner/report/junit.hpp"

#include <cstdlib>
#include <string_view>

namespace {

using namespace vm2oci;

// Each byte 0xf8 and above is an event or a step of time; the rest is console.
Judge play(std::string_view input) {
    Judge judge{JudgePolicy{}};
    BootInstant now;
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= input.size(); ++i) {
        const bool special = i < input.size() && static_cast<unsigned char>(input[i]) >= 0xf8;
        if (!special && i < input.size() && i - begin < 200)
            continue;
        judge.console(input.substr(begin, i - begin), now);
        begin = i;
        if (!special)
            continue;
        begin = i + 1;
        const int code = static_cast<unsigned char>(input[i]) - 0xf8;
        now.wall += std::chrono::milliseconds(700 * code);
        now.cpu += std::chrono::milliseconds(code % 2 == 0 ? 300 * code : 0);
        if (code < 4)
            judge.event(static_cast<GuestEvent>(code * 2), now);
        else
            judge.tick(now);
    }
    return judge;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const Judge first = play(input);
    const Judge second = play(input);
    if (first.findings().size() > 200 || first.milestones().size() > 11)
        std::abort();
    if (first.verdict().has_value() != second.verdict().has_value())
        std::abort();
    if (first.verdict() &&
        (first.verdict()->rule != second.verdict()->rule || first.verdict()->outcome != second.verdict()->outcome))
        std::abort();
    BootReport report;
    report.console.append(input);
    report.findings = first.findings();
    report.milestones = first.milestones();
    report.verdict = first.verdict();
    report.last_line = first.last_line();
    if (boot_report_html(report).find("<script") != std::string::npos)
        std::abort();
    if (boot_report_junit(report).find('\x1b') != std::string::npos)
        std::abort();
    boot_report_json(report);
    return 0;
}
