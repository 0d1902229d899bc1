// Each part of a boot's reports: members of the JSON, cases of JUnit, sections of the page, files of the folder.
#include "formats/base/outputs.hpp"
#include "formats/base/size.hpp"
#include "runner/report/boot_checks.hpp"
#include "runner/report/files.hpp"
#include "runner/report/html.hpp"
#include "runner/report/json.hpp"
#include "runner/report/junit.hpp"
#include "runner/report/markup.hpp"
#include "runner/report/summary.hpp"
#include "tests/support/temporary_folder.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <fstream>
#include <set>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

nlohmann::json json_of(const BootReport& report) {
    return nlohmann::json::parse(boot_report_json(report));
}

// A machine that came up, with all that can be known of one.
BootReport full_report() {
    BootReport report;
    report.source = "web \xff<1>.qcow2";
    report.verdict = Verdict{Outcome::ready, nullptr, std::nullopt, "", {20s, 9s}};
    report.milestones = {{Milestone::kernel, {2s, 1s}}, {Milestone::login, {20s, 9s}}};
    report.checks = boot_check::planned({}, {}, {});
    report.accelerator = Accelerator::kvm;
    report.accelerator_reason = "KVM works";
    report.firmware = Firmware::uefi_secure;
    report.profile = {MachineType::i440fx, DiskBus::ide, NetworkModel::rtl8139, CpuLevel::v3, ""};
    report.profile_reasons = {"the guest is of 2008"};
    report.memory = 3 * GiB;
    report.cpus = 5;
    report.network = NetworkMode::user;
    report.qemu_version = "7.2.22";
    report.qemu_arguments = {"-machine", "pc"};
    report.qemu_messages = "warning: \x01";
    report.resets = 1;
    report.disk = {10 * GiB, 2 * MiB, 3 * MiB, 4 * MiB};
    report.last_line = "web login: \xfe";
    report.elapsed = {21s, 9500ms, 1s};
    return report;
}

} // namespace

TEST_CASE("the JSON has each fact of the machine under its own name") {
    BootReport report = full_report();
    const auto document = json_of(report);
    const auto& machine = document["machine"];
    CHECK(machine["accelerator"] == "kvm");
    CHECK(machine["accelerator_reason"] == "KVM works");
    CHECK(machine["restart_reason"].is_null());
    CHECK(machine["firmware"] == "uefi-secure");
    CHECK(machine["direct_kernel_size"].is_null());
    CHECK(machine["type"] == "i440fx");
    CHECK(machine["disk_bus"] == "ide");
    CHECK(machine["network_model"] == "rtl8139");
    CHECK(machine["cpu_level"] == "x86-64-v3");
    CHECK(machine["profile_reasons"] == nlohmann::json{"the guest is of 2008"});
    CHECK(machine["network"] == "user");
    CHECK(machine["memory"] == 3221225472);
    CHECK(machine["cpus"] == 5);
    CHECK(machine["qemu_version"] == "7.2.22");
    CHECK(machine["qemu_arguments"] == nlohmann::json{"-machine", "pc"});
    CHECK(document["source"] == "web \xef\xbf\xbd<1>.qcow2");
    CHECK(document["last_line"] == "web login: \xef\xbf\xbd");
    CHECK(document["resets"] == 1);
    CHECK(document["elapsed"] == nlohmann::json{{"wall_ms", 21000}, {"cpu_ms", 9500}});
    CHECK(document["disk"] ==
          nlohmann::json{{"size", 10737418240}, {"touched", 2097152}, {"read", 3145728}, {"written", 4194304}});
    CHECK(document["verdict"]["outcome"] == "ready");
    for (const char* none : {"rule", "title", "advice", "fix", "detail", "line", "line_number"})
        CHECK(document["verdict"].at(none).is_null());
    for (const char* none : {"probe", "agent", "vm2oci_agent"})
        CHECK(document.at(none).is_null());
    CHECK_FALSE(document.contains("facts"));
    CHECK_FALSE(document.contains("comparison"));
    report.direct_kernel_size = 512;
    report.restart_reason = "vsock is not there";
    report.network = NetworkMode::none;
    const auto direct = json_of(report)["machine"];
    CHECK(direct["firmware"] == "none");
    CHECK(direct["direct_kernel_size"] == 512);
    CHECK(direct["restart_reason"] == "vsock is not there");
    CHECK(direct["network"] == "none");
}

TEST_CASE("the JSON has what agents said, checks and findings, and nothing where there is nothing") {
    BootReport report = full_report();
    report.agent = AgentInfo{"7.2.22", "Debian 12", "6.1.0", true};
    report.own_agent = OwnAgentReady();
    report.own_agent->uptime = 1500ms;
    report.own_agent->state = "degraded";
    report.own_agent->os_name = "Debian";
    report.own_agent->addresses = {"10.0.2.15"};
    report.own_agent->units_failed = {"x.service"};
    report.facts = OwnAgentFacts{{"a.service"}, {"b.service"}, {"tcp 22"}, {"ext4"}};
    Check check;
    check.name = "exec: true";
    check.state = CheckState::failed;
    check.message = "exit code 1";
    check.output = "no";
    check.at = BootInstant{3s, 2s};
    report.checks = {check, Check{}};
    const Rule* rule = find_rule("unit-failed");
    REQUIRE(rule != nullptr);
    report.findings = {{rule, "[FAILED]", 7, {4s, 1s}, 3}, {rule, "detail", 0, {5s, 2s}, 1}};
    report.verdict->rule = rule;
    report.verdict->outcome = Outcome::failed;
    report.verdict->detail = "the machine is up, but not sound";
    report.verdict->evidence = report.findings[0];
    const auto document = json_of(report);
    CHECK(document["agent"] ==
          nlohmann::json{{"version", "7.2.22"}, {"os", "Debian 12"}, {"kernel", "6.1.0"}, {"guest_exec", true}});
    CHECK(document["vm2oci_agent"] == nlohmann::json{{"uptime_ms", 1500},
                                                     {"state", "degraded"},
                                                     {"os", "Debian"},
                                                     {"addresses", {"10.0.2.15"}},
                                                     {"units_failed", {"x.service"}}});
    CHECK(document["facts"]["units"] == nlohmann::json{"a.service"});
    CHECK(document["facts"]["units_failed"] == nlohmann::json{"b.service"});
    CHECK(document["facts"]["listening"] == nlohmann::json{"tcp 22"});
    CHECK(document["facts"]["modules"] == nlohmann::json{"ext4"});
    CHECK(document["checks"][0] == nlohmann::json{{"name", "exec: true"},
                                                  {"state", "failed"},
                                                  {"at", {{"wall_ms", 3000}, {"cpu_ms", 2000}}},
                                                  {"message", "exit code 1"},
                                                  {"output", "no"}});
    CHECK(document["checks"][1] == nlohmann::json{{"name", ""}, {"state", "not_run"}, {"at", nullptr}});
    CHECK(document["findings"][0]["line_number"] == 7);
    CHECK(document["findings"][0]["count"] == 3);
    CHECK(document["findings"][0]["severity"] == "failure");
    CHECK(document["findings"][0]["fix"].is_null());
    CHECK(document["findings"][0]["at"]["wall_ms"] == 4000);
    CHECK(document["findings"][1]["line_number"].is_null());
    CHECK(document["verdict"]["rule"] == "unit-failed");
    CHECK(document["verdict"]["line"] == "[FAILED]");
    CHECK(document["verdict"]["line_number"] == 7);
    CHECK(document["verdict"]["detail"] == "the machine is up, but not sound");
}

TEST_CASE("a case of JUnit has the time since the one before it, and its failure the rule") {
    BootReport report = full_report();
    report.checks.clear();
    const std::pair<CheckState, std::optional<BootInstant>> cases[] = {{CheckState::passed, BootInstant{2s, 1s}},
                                                                       {CheckState::passed, BootInstant{5500ms, 1s}},
                                                                       {CheckState::passed, BootInstant{5s, 1s}},
                                                                       {CheckState::not_run, std::nullopt},
                                                                       {CheckState::failed, BootInstant{9s, 1s}}};
    for (const auto& [state, when] : cases) {
        Check check;
        check.name = "c" + std::to_string(report.checks.size());
        check.state = state;
        check.at = when;
        report.checks.push_back(check);
    }
    report.checks.back().message = "<no>";
    report.checks.back().output = "a&b";
    const std::string text = boot_report_junit(report);
    for (const char* part :
         {"name=\"c0\" time=\"2.000\"/>", "name=\"c1\" time=\"3.500\"/>", "name=\"c2\" time=\"0.000\"/>",
          "name=\"c3\" time=\"0.000\">\n      <skipped message=\"not run\"/>", "name=\"c4\" time=\"3.500\">",
          "<failure type=\"check\" message=\"&lt;no&gt;\">&lt;no&gt;\na&amp;b</failure>",
          "tests=\"5\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"21.000\"",
          "<property name=\"firmware\" value=\"uefi-secure\"/>", "<property name=\"accelerator\" value=\"kvm\"/>",
          "<property name=\"summary\" value=\"ready after 20.0 s, but a check failed\"/>",
          "<testsuite name=\"vm2oci boot web \xef\xbf\xbd&lt;1&gt;.qcow2\"",
          "<system-err>warning: \xef\xbf\xbd</system-err>"}) {
        CAPTURE(part);
        CHECK(has(text, part));
    }
    CHECK_FALSE(has(text, "restart_reason"));
    report.restart_reason = "x";
    report.direct_kernel_size = 1;
    const std::string direct = boot_report_junit(report);
    CHECK(has(direct, "<property name=\"restart_reason\" value=\"x\"/>"));
    CHECK(has(direct, "<property name=\"firmware\" value=\"none\"/>"));
    // Of a long console the end is kept, as plain lines.
    for (int i = 0; i < 5000; ++i)
        report.console.append("\x1b[1mline " + std::to_string(i) + "\x1b[0m\r\n");
    const std::string tail = boot_report_junit(report);
    CHECK(has(tail, "line 4999\n</system-out>"));
    CHECK_FALSE(has(tail, "line 1\n"));
    CHECK_FALSE(has(tail, "[1m"));
}

TEST_CASE("the page has a row for each fact, and sections only for what there is") {
    BootReport report = full_report();
    std::string page = boot_report_html(report);
    for (const char* part :
         {"<h2>Timeline (kvm)</h2>", "i440fx, 5 processors, 3 GiB memory",
          "<th scope=\"row\">Firmware</th><td>uefi-secure</td>", "10 GiB by ide; read 2 MiB of it, wrote 4 MiB",
          "<th scope=\"row\">Network</th><td>user mode</td>", "<th scope=\"row\">Resets</th><td>1</td>",
          "<th scope=\"row\">Note</th><td>the guest is of 2008</td>", "The serial console stayed empty.",
          "left:10.00%;width:90.00%", "left:100.00%;width:0.00%", "class=\"verdict yes\"",
          "<title>Boot of web \xef\xbf\xbd&lt;1&gt;.qcow2</title>"}) {
        CAPTURE(part);
        CHECK(has(page, part));
    }
    for (const char* absent : {"Second start", "Guest agent", "vm2oci agent", "<h2>What the console says</h2>",
                               "<h2>Screen at the end</h2>", "<h2>Beside the original</h2>", "bar end"}) {
        CAPTURE(absent);
        CHECK_FALSE(has(page, absent));
    }
    report.accelerator = Accelerator::tcg;
    report.direct_kernel_size = 5 * MiB;
    report.restart_reason = "again <b>";
    report.network = NetworkMode::none;
    report.agent = AgentInfo{"7.2", "Debian", "6.1", true};
    report.milestones.clear();
    report.comparison = BootComparison();
    report.comparison->original = "a<b";
    const Rule* warning = find_rule("segfault");
    const Rule* failure = find_rule("unit-failed");
    REQUIRE((warning != nullptr && failure != nullptr));
    report.console.append("one\r\ntwo <i>\r\nthree\r\nfour");
    report.findings = {{warning, "one", 1, {1s, 0s}, 1}, {failure, "two", 2, {2s, 0s}, 4}, {failure, "x", 0, {}, 1}};
    report.verdict = Verdict{Outcome::failed, failure, report.findings[1], "", {3s, 2s}};
    page = boot_report_html(report);
    for (const char* part :
         {"<h2>Timeline (emulated: tcg)</h2>", "The machine gave no sign of life.", "booted directly, 5 MiB",
          "<th scope=\"row\">Second start</th><td>again &lt;b&gt;</td>", "<td>none</td>",
          "version 7.2, Debian, kernel 6.1", "<h2>Beside the original</h2>\n<p>Nothing is lost.</p>",
          "<span id=\"line-1\" data-line=\"1\" class=\"warning\">one</span>",
          "<span id=\"line-2\" data-line=\"2\" class=\"failed blamed\">two &lt;i&gt;</span>",
          "<span id=\"line-3\" data-line=\"3\">three</span>", "<span id=\"line-4\" data-line=\"4\">four</span>",
          "<a href=\"#line-2\">Line 2</a>: <code>two</code>", "(4 times)", "<td class=\"number\">–</td>",
          "class=\"verdict no\"", "<h1>It does not boot</h1>"}) {
        CAPTURE(part);
        CHECK(has(page, part));
    }
    report.verdict->outcome = Outcome::stopped;
    CHECK(has(boot_report_html(report), "<h1>It was stopped before the verdict</h1>"));
    report.verdict.reset();
    CHECK(has(boot_report_html(report), "<h1>It has not been judged yet</h1>"));
}

TEST_CASE("markup takes what XML 1.0 and a browser take, and nothing else") {
    const std::string bad = "\xef\xbf\xbd";
    const std::pair<std::string, std::string> rows[] = {
        {"a<b>&\"'c", "a&lt;b&gt;&amp;&quot;&#39;c"},
        {"tab\tline\n", "tab\tline\n"},
        {std::string("\0\r\x1b\x7f", 4), bad + bad + bad + bad},
        {"\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf"},
        {"\xc2\x80\xc2\x9f", bad + bad + bad + bad}, // C1 controls
        {"\xc0\xaf", bad + bad},                     // overlong
        {"\xe0\x9f\xbf", bad + bad + bad},           //
        {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"},
        {"\xed\xa0\x80", bad + bad + bad},                               // a surrogate
        {"\xef\xbf\xbe\xef\xbf\xbf", bad + bad + bad + bad + bad + bad}, // not characters
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"},
        {"\xf0\x8f\xbf\xbf", bad + bad + bad + bad},
        {"\xf4\x90\x80\x80", bad + bad + bad + bad},
        {"\xf5\x80", bad + bad},
        {"\xe2\x80\xae\xe2\x81\xa6", bad + bad + bad + bad + bad + bad}, // what reorders text
        {"\xe2\x80\xaf\xe2\x81\xa5", "\xe2\x80\xaf\xe2\x81\xa5"},
        {"\xe2\x82", bad + bad},
        {"\xe2\x82x", bad + bad + "x"},
        {"\xf0\x9f\x98", bad + bad + bad},
    };
    for (const auto& [raw, expected] : rows) {
        CAPTURE(raw);
        CHECK(markup_text(raw) == expected);
    }
    // Whatever two bytes stand side by side: nothing of them is markup or a control character.
    for (unsigned first = 0; first < 256; ++first)
        for (const unsigned second : {0x00U, 0x3cU, 0x80U, 0x9fU, 0xbfU, 0xffU}) {
            const std::string text = markup_text(std::string{static_cast<char>(first), static_cast<char>(second)});
            const bool is_clean = text.find_first_of("<>\r\x1b\x7f") == std::string::npos &&
                                  text.find('\0') == std::string::npos && !text.empty();
            if (!is_clean)
                FAIL(first << " " << second);
        }
}

TEST_CASE("a report's files lie in its folder, and the JUnit file may be one of them") {
    const test::TemporaryFolder folder;
    const auto write = [&](const std::filesystem::path& junit, const std::filesystem::path& reports,
                           const BootReport& report) {
        Outputs outputs;
        ReportFiles files(outputs, junit, reports);
        files.fill(report);
        outputs.write();
        outputs.commit();
    };
    const auto names = [](const std::filesystem::path& where) {
        std::set<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(where))
            found.insert(entry.path().filename().string());
        return found;
    };
    BootReport report = full_report();
    report.console.append("hello\r\n");
    report.screenshot = {std::byte{0x89}, std::byte{'P'}};
    const auto reports = folder.path() / "reports";
    write(folder.path() / "junit.xml", reports, report);
    CHECK(names(reports) ==
          std::set<std::string>{"console.log", "boot.json", "junit.xml", "report.html", "screenshot.png"});
    const auto text = [](const std::filesystem::path& path) {
        std::ifstream file(path, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    };
    CHECK(text(reports / "console.log") == "hello\r\n");
    CHECK(text(reports / "boot.json") == boot_report_json(report) + "\n");
    CHECK(text(reports / "screenshot.png") == "\x89P");
    CHECK(text(folder.path() / "junit.xml") == boot_report_junit(report));
    CHECK(text(reports / "junit.xml") == boot_report_junit(report));
    // The same place by another way is written once.
    const auto again = folder.path() / "again";
    std::filesystem::create_directories(again);
    write(folder.path() / "again" / "." / "junit.xml", again, report);
    CHECK(text(again / "junit.xml") == boot_report_junit(report));
    // Without either nothing is written.
    const auto empty = folder.path() / "empty";
    std::filesystem::create_directories(empty);
    write("", "", report);
    CHECK(names(empty).empty());
    write(empty / "j.xml", "", report);
    CHECK(names(empty) == std::set<std::string>{"j.xml"});
}

TEST_CASE("checks are planned in the order of a boot, each with a name of its own") {
    JudgePolicy policy;
    policy.ready = {{ReadySignal::login, std::nullopt},
                    {ReadySignal::port, std::nullopt},
                    {ReadySignal::pattern, ConsolePattern("up$")}};
    policy.expected.emplace_back("fine");
    std::vector<std::string> names;
    for (const Check& check : boot_check::planned(policy, {{8080, 80}, {8022, 22}}, {"id", "true"})) {
        CHECK(check.state == CheckState::not_run);
        CHECK_FALSE(check.at);
        names.push_back(check.name);
    }
    CHECK(names == std::vector<std::string>{std::string(boot_check::kernel), std::string(boot_check::init),
                                            "ready: login", "ready: up$", "port 80 answers", "port 22 answers",
                                            "expect: fine", std::string(boot_check::sound), "exec: id", "exec: true"});
    CHECK(boot_check::planned({}, {}, {}).at(2).name == boot_check::ready);
}
