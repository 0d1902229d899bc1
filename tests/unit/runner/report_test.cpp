#include "runner/report/boot_checks.hpp"
#include "runner/report/html.hpp"
#include "runner/report/json.hpp"
#include "runner/report/junit.hpp"
#include "runner/report/markup.hpp"
#include "runner/report/summary.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

BootReport failed_report() {
    BootReport report;
    report.source = "oci:images:web01";
    report.console.append("SeaBIOS (version 1.16)\r\n[    0.000000] Linux version 6.1\r\n\x1b[31mKernel panic - not "
                          "syncing: VFS: Unable to mount root fs <script>alert(1)</script>\xff\r\n");
    const Rule* rule = find_rule("root-not-mounted");
    Finding finding{
        rule, "Kernel panic - not syncing: VFS: Unable to mount root fs <script>alert(1)</script>\xff", 3, {4s, 3s}, 1};
    report.findings = {finding};
    report.verdict = Verdict{Outcome::failed, rule, finding, "", {4700ms, 3500ms}};
    report.milestones = {{Milestone::firmware, {500ms, 400ms}}, {Milestone::kernel, {2s, 1800ms}}};
    report.checks = boot_check::planned({}, {}, {"true"});
    report.checks[0].state = CheckState::passed;
    report.checks[0].at = BootInstant{2s, 1800ms};
    report.checks[3].state = CheckState::failed;
    report.checks[3].message = "the kernel cannot mount \"root\"";
    report.checks[3].at = BootInstant{4700ms, 3500ms};
    report.accelerator_reason = "KVM is not usable: <none>";
    report.elapsed = {4700ms, 3500ms};
    return report;
}

BootReport ready_report() {
    BootReport report;
    report.source = "disk.qcow2";
    report.verdict = Verdict{Outcome::ready, nullptr, std::nullopt, "", {33100ms, 49700ms}};
    report.checks = boot_check::planned({}, {}, {});
    for (Check& check : report.checks)
        check.state = CheckState::passed;
    return report;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a report passes when the machine was ready and no check failed") {
    CHECK(ready_report().passed());
    CHECK_FALSE(failed_report().passed());
    CHECK_FALSE(BootReport{}.passed());
    BootReport report = ready_report();
    report.checks.back().state = CheckState::failed;
    CHECK_FALSE(report.passed());
    CHECK(verdict_sentence(report) == "ready after 33.1 s (49.7 s of processor time), but a check failed");
}

TEST_CASE("the summary says what happened, where, and what mends it") {
    const BootReport report = failed_report();
    CHECK(verdict_sentence(report) ==
          "failed after 4.7 s: the kernel cannot mount the root file system [root-not-mounted]");
    CHECK(has(verdict_line(report), "\\xff"));
    CHECK(has(verdict_advice(report), "the fix 'virtio'"));
    CHECK(verdict_sentence(BootReport{}) == "not finished");
}

TEST_CASE("JSON holds the whole report") {
    const auto document = nlohmann::json::parse(boot_report_json(failed_report()));
    CHECK(document["passed"] == false);
    CHECK(document["verdict"]["rule"] == "root-not-mounted");
    CHECK(document["verdict"]["fix"] == "virtio");
    CHECK(document["verdict"]["line_number"] == 3);
    CHECK(document["milestones"][1]["name"] == "kernel");
    CHECK(document["checks"][4]["state"] == "not_run");
    const auto empty = nlohmann::json::parse(boot_report_json(BootReport{}));
    CHECK(empty["verdict"].is_null());
    const auto probe = nlohmann::json::parse(probe_json(KvmProbe{KvmVerdict::too_slow, "slow", {}, {}}));
    CHECK(probe["verdict"] == "too_slow");
    CHECK(probe["usable"] == false);
}

TEST_CASE("JUnit: every check is a case from the beginning, and nothing of the guest is markup") {
    const std::string text = boot_report_junit(failed_report());
    CHECK(has(text, "tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"3\""));
    CHECK(has(text, "<testcase classname=\"vm2oci.boot\" name=\"the kernel starts\" time=\"2.000\"/>"));
    CHECK(has(text, "<failure type=\"root-not-mounted\" message=\"the kernel cannot mount &quot;root&quot;\">"));
    CHECK(has(text, "<skipped message=\"not run\"/>"));
    CHECK(has(text, "&lt;script&gt;"));
    CHECK_FALSE(has(text, "<script>"));
    CHECK_FALSE(has(text, "\x1b"));
    BootReport fresh;
    fresh.checks = boot_check::planned({}, {{8022, 22}}, {});
    CHECK(has(boot_report_junit(fresh), "tests=\"5\" failures=\"0\" errors=\"0\" skipped=\"5\""));
}

TEST_CASE("the page is self-contained and holds no markup of the guest") {
    BootReport report = failed_report();
    report.screenshot = {std::byte{1}, std::byte{2}};
    const std::string page = boot_report_html(report);
    CHECK(has(page, "It does not boot"));
    CHECK(has(page, "id=\"line-3\" data-line=\"3\" class=\"failed blamed\""));
    CHECK(has(page, "data:image/png;base64,AQI="));
    CHECK_FALSE(has(page, "<script"));
    CHECK_FALSE(has(page, "src=\"http"));
    CHECK(has(page, "default-src 'none'"));
    CHECK(has(page, "KVM is not usable: &lt;none&gt;"));
}

TEST_CASE("the page's headline tells a machine that does not boot from one that does and is not well") {
    CHECK(has(boot_report_html(ready_report()), "<h1>It boots</h1>"));
    BootReport checked = ready_report();
    checked.checks.back().state = CheckState::failed;
    CHECK(has(boot_report_html(checked), "<h1>It boots, but a check failed</h1>"));
    BootReport unsound = failed_report();
    for (Check& check : unsound.checks)
        check.state = CheckState::passed;
    CHECK(has(boot_report_html(unsound), "<h1>It boots, but something is wrong</h1>"));
    BootReport stopped = failed_report();
    stopped.verdict->outcome = Outcome::stopped;
    CHECK(has(boot_report_html(stopped), "<h1>It was stopped before the verdict</h1>"));
    CHECK(has(boot_report_html(BootReport{}), "<h1>It has not been judged yet</h1>"));
}

TEST_CASE("a console of a million lines becomes a page of bounded size") {
    BootReport report = ready_report();
    for (int i = 0; i < 100000; ++i)
        report.console.append("line after line after line\r\n");
    CHECK(boot_report_html(report).size() < 2 * 1024 * 1024);
    CHECK(has(boot_report_html(report), "data-line=\"100000\""));
}

TEST_CASE("the console's log keeps the beginning and the end") {
    ConsoleLog log;
    log.append("begin");
    const std::string middle(1024 * 1024, 'x');
    for (int i = 0; i < 40; ++i)
        log.append(middle);
    log.append("end");
    const std::string text = log.text();
    CHECK(text.starts_with("begin"));
    CHECK(text.ends_with("end"));
    CHECK(has(text, "bytes left out"));
    CHECK(text.size() <= kConsoleLogHead + 2 * kConsoleLogTail + 100);
    CHECK(log.total() == 40 * middle.size() + 8);
    ConsoleLog small;
    small.append("all");
    CHECK(small.text() == "all");
}

TEST_CASE("markup: what is no XML character is replaced") {
    CHECK(markup_text("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
    CHECK(markup_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") == "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    const std::string bad = "\xef\xbf\xbd";
    CHECK(markup_text(std::string("\0\x01\x7f", 3)) == bad + bad + bad);
    CHECK(markup_text("\xff") == bad);
    CHECK(markup_text("\xc3") == bad);
    CHECK(markup_text("\xe2\x80\xae") == bad + bad + bad); // right-to-left override
    CHECK(markup_text("\n\t") == "\n\t");
}
