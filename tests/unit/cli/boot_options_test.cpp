// The words of a boot, and what is said of its verdict.
#include "formats/base/size.hpp"
#include "runner/judge/rules.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/unit/cli/said.hpp"
#include "tools/vm2oci/boot_options.hpp"
#include "tools/vm2oci/boot_test.hpp"

#include <nlohmann/json.hpp>

#include <chrono>

using namespace vm2oci;
using namespace vm2oci::cli;
using namespace std::chrono_literals;
using test::refusal_of;
using test::Words;
using test::write_text;

namespace {

BootRequest request_of(const Words& words, SeedOptions seed = SeedOptions::offered) {
    return test::options_with([&](CLI::App& app) { return add_boot_test_options(app, seed); }, words)->request();
}

BootReport report_of(Outcome outcome, const char* rule = nullptr) {
    BootReport report;
    report.source = "web01.qcow2";
    report.accelerator = Accelerator::kvm;
    report.verdict = Verdict{};
    report.verdict->outcome = outcome;
    report.verdict->at.wall = 12340ms;
    if (rule != nullptr)
        report.verdict->rule = find_rule(rule);
    return report;
}

Check check_of(const char* name, CheckState state, const char* message = "", const char* output = "") {
    Check check;
    check.name = name;
    check.state = state;
    check.message = message;
    check.output = output;
    return check;
}

struct Printed {
    GlobalOptions global;
    std::ostringstream out;
    std::ostringstream err;
    Invocation call{global, out, err, {}};
};

std::string printed(const BootReport& report) {
    Printed page;
    print_verdict(report, page.call);
    return page.out.str();
}

} // namespace

TEST_CASE("what is not said of a boot is left to the guest and its disk") {
    const BootRequest request = request_of({});
    CHECK(request.acceleration == AccelerationChoice::automatic);
    CHECK(request.backend == MachineBackend::automatic);
    CHECK_FALSE(request.firmware);
    CHECK_FALSE(request.machine);
    CHECK_FALSE(request.disk_bus);
    CHECK_FALSE(request.network_model);
    CHECK_FALSE(request.memory);
    CHECK_FALSE(request.cpus);
    CHECK_FALSE(request.timeout);
    CHECK_FALSE(request.seed);
    CHECK(request.network == NetworkMode::none);
    CHECK(request.console == ConsoleMode::status);
    CHECK(request.ready.empty());
    CHECK(request.junit.empty());
}

TEST_CASE("each word of a boot stands for its value") {
    CHECK(request_of({"--accel", "kvm"}).acceleration == AccelerationChoice::kvm);
    CHECK(request_of({"--accel", "tcg"}).acceleration == AccelerationChoice::tcg);
    CHECK(request_of({"--backend", "qemu"}).backend == MachineBackend::qemu);
    CHECK(request_of({"--firmware", "bios"}).firmware == Firmware::bios);
    CHECK(request_of({"--firmware", "uefi"}).firmware == Firmware::uefi);
    CHECK(request_of({"--firmware", "uefi-secure"}).firmware == Firmware::uefi_secure);
    CHECK_FALSE(request_of({"--firmware", "auto"}).firmware);
    CHECK(request_of({"--machine", "q35"}).machine == MachineType::q35);
    CHECK(request_of({"--machine", "i440fx"}).machine == MachineType::i440fx);
    CHECK(request_of({"--disk-bus", "virtio"}).disk_bus == DiskBus::virtio);
    CHECK(request_of({"--disk-bus", "sata"}).disk_bus == DiskBus::sata);
    CHECK(request_of({"--disk-bus", "ide"}).disk_bus == DiskBus::ide);
    CHECK(request_of({"--nic", "virtio"}).network_model == NetworkModel::virtio);
    CHECK(request_of({"--nic", "e1000"}).network_model == NetworkModel::e1000);
    CHECK(request_of({"--nic", "rtl8139"}).network_model == NetworkModel::rtl8139);
    CHECK(request_of({"--cpu", "Nehalem"}).cpu == "Nehalem");
    CHECK(request_of({"--memory", "1.5G"}).memory == 1536 * MiB);
    CHECK(request_of({"--cpus", "4"}).cpus == 4U);
    CHECK(request_of({"--timeout", "1h30m"}).timeout == Milliseconds(5400000));
    CHECK(request_of({"--exec", "a b", "--exec", "c"}).commands == Words{"a b", "c"});
    CHECK(request_of({"--console"}).console == ConsoleMode::interactive);
    CHECK(request_of({"--junit", "j.xml"}).junit == "j.xml");
    CHECK(request_of({"--report", "dir"}).report_folder == "dir");
    CHECK(request_of({"--network", "user"}).network == NetworkMode::user);
    for (const Words& words : {Words{"--accel", "hvf"}, Words{"--firmware", "efi"}, Words{"--machine", "pc"},
                               Words{"--disk-bus", "scsi"}, Words{"--nic", "ne2k"}, Words{"--network", "bridge"},
                               Words{"--backend", "kvmtool"}, Words{"--memory", "lots"}, Words{"--timeout", "soon"}})
        CHECK_THROWS_AS(request_of(words), CLI::ParseError);
}

TEST_CASE("a signal is one of four words, and anything else a pattern") {
    const BootRequest request = request_of({"--ready", "login", "--ready", "agent", "--ready", "cloud-init", "--ready",
                                            "systemd", "--ready", "Reached target .*Multi-User", "--ready", "Login"});
    REQUIRE(request.ready.size() == 6);
    const ReadySignal signals[] = {ReadySignal::login,  ReadySignal::agent,   ReadySignal::cloud_init,
                                   ReadySignal::system, ReadySignal::pattern, ReadySignal::pattern};
    for (std::size_t i = 0; i < 6; ++i) {
        CAPTURE(i);
        CHECK(request.ready[i].signal == signals[i]);
        CHECK(request.ready[i].pattern.has_value() == (i >= 4));
    }
    CHECK(request.ready[4].pattern->text() == "Reached target .*Multi-User");
    CHECK(request.ready[5].pattern->text() == "Login");
    CHECK(request_of({"--expect", "ok", "--expect", "fine"}).expected.at(1).text() == "fine");
    CHECK(request_of({"--fail", "BUG:"}).fail.at(0).text() == "BUG:");
    for (const char* option : {"--ready", "--expect", "--fail"}) {
        CAPTURE(option);
        CHECK(!refusal_of([&] { request_of({option, "(unclosed"}); }).empty());
    }
}

TEST_CASE("ports are two numbers from 1 to 65535, and need a network") {
    const BootRequest request = request_of({"--network", "user", "--forward", "8022:22", "--forward", "65535:1"});
    REQUIRE(request.forwards.size() == 2);
    CHECK(request.forwards[0].host == 8022);
    CHECK(request.forwards[0].guest == 22);
    CHECK(request.forwards[1].host == 65535);
    CHECK(request.forwards[1].guest == 1);
    for (const char* word : {"22", "8022:", ":22", "0:22", "8022:0", "65536:22", "8022:65536", "8022:22:23", "a:22",
                             "8022:ssh", "-1:22", " 80:80", "80:80 ", "127.0.0.1:80"}) {
        CAPTURE(word);
        CHECK(refusal_of([&] {
                  request_of({"--network", "user", std::string("--forward=") + word});
              }) == "--forward takes HOSTPORT:GUESTPORT, such as 8022:22, not '" + std::string(word) + "'");
    }
    CHECK(refusal_of([] { request_of({"--forward", "8022:22"}); }) == "--forward needs --network user");
    CHECK(refusal_of([] {
              request_of({"--network", "none", "--forward", "8022:22"});
          }) == "--forward needs --network user");
}

TEST_CASE("a machine has a size in which something can boot") {
    CHECK(request_of({"--memory", "64M"}).memory == 64 * MiB);
    CHECK(refusal_of([] {
              request_of({"--memory", "67108863"});
          }) == "--memory is too small to boot anything; at least 64M");
    CHECK(request_of({"--cpus", "1"}).cpus == 1U);
    CHECK(request_of({"--cpus", "255"}).cpus == 255U);
    for (const char* count : {"0", "256", "4294967295"})
        CHECK(refusal_of([&] { request_of({"--cpus", count}); }) == "--cpus goes from 1 to 255");
}

TEST_CASE("a rule that is ignored is one that there is") {
    CHECK(request_of({"--ignore", "unit-failed", "--ignore", "timeout"}).ignored == Words{"unit-failed", "timeout"});
    CHECK(refusal_of([] {
              request_of({"--ignore", "unit-faild"});
          }) == "there is no rule 'unit-faild' to ignore; a verdict ends with the name of its rule, in brackets");
}

TEST_CASE("one file of cloud-init is enough for a seed, and the others are made") {
    const test::TemporaryFolder folder;
    const auto file = [&](const char* name, const char* text) { return write_text(folder.path() / name, text); };
    const auto user = request_of({"--user-data", file("u", "#cloud-config\nhostname: web\n")}).seed;
    REQUIRE(user);
    CHECK(user->user_data == "#cloud-config\nhostname: web\n");
    CHECK(user->meta_data.find("instance-id:") != std::string::npos);
    CHECK_FALSE(user->network_config);
    CHECK_FALSE(user->vendor_data);
    const auto meta = request_of({"--meta-data", file("m", "instance-id: i-1\n")}).seed;
    REQUIRE(meta);
    CHECK(meta->user_data == "#cloud-config\n{}\n");
    CHECK(meta->meta_data == "instance-id: i-1\n");
    const auto network = request_of({"--network-config", file("n", "version: 2\n")}).seed;
    REQUIRE(network);
    CHECK(network->network_config == "version: 2\n");
    const auto vendor = request_of({"--vendor-data", file("v", "#cloud-config\n")}).seed;
    REQUIRE(vendor);
    CHECK(vendor->vendor_data == "#cloud-config\n");
    CHECK_FALSE(vendor->network_config);
    // Another user-data is another instance, or cloud-init would not look at it.
    CHECK(request_of({"--user-data", file("u2", "#cloud-config\nhostname: db\n")}).seed->meta_data != user->meta_data);
    const std::string absent = (folder.path() / "absent").string();
    CHECK(refusal_of(
              [&] {
                  request_of({"--user-data", absent});
              },
              ErrorKind::not_found) == "cannot open " + absent + ": No such file or directory");
    CHECK_THROWS_AS(request_of({"--user-data", absent}, SeedOptions::left_out), CLI::ParseError);
}

TEST_CASE("a kernel is a file, or vm2oci's own, with an initramfs and a line") {
    const auto kernel = [](const Words& words) { return *test::options_with(add_kernel_options, words); };
    CHECK(kernel({}).kernel == BootKernel::of_source);
    CHECK_FALSE(kernel({}).command_line);
    CHECK(kernel({"--kernel", "minimal"}).kernel == BootKernel::minimal);
    CHECK(kernel({"--kernel", "./minimal"}).kernel == BootKernel::file);
    CHECK(kernel({"--kernel", "vmlinuz"}).file == "vmlinuz");
    CHECK(kernel({"--initrd", "initrd.img"}).initramfs == "initrd.img");
    CHECK(kernel({"--append", "quiet"}).command_line == "quiet");
    CHECK(kernel({"--append", ""}).command_line == "");
}

TEST_CASE("options of booting are for --boot-test") {
    const auto request = [](const Words& words) {
        CLI::App app;
        const auto boot_test = add_boot_test(app);
        app.parse(Words(words.rbegin(), words.rend()));
        return boot_test->request(app);
    };
    CHECK_FALSE(request({}));
    REQUIRE(request({"--boot-test", "--memory", "2G"}));
    CHECK(request({"--boot-test", "--memory", "2G"})->memory == 2 * GiB);
    for (const Words& words :
         {Words{"--memory", "2G"}, Words{"--timeout", "5s"}, Words{"--console"}, Words{"--exec", "true"},
          Words{"--firmware", "auto"}, Words{"--junit", "x"}, Words{"--network", "none"}}) {
        CAPTURE(words);
        CHECK(refusal_of([&] { request(words); }) == words[0] + " is for --boot-test");
    }
    CHECK_THROWS_AS(request({"--boot-test", "--user-data", "f"}), CLI::ParseError);
}

TEST_CASE("the page of a verdict has the line that shows it, and what may be done") {
    CHECK(printed(report_of(Outcome::ready)) == "web01.qcow2: ready after 12.3 s\n");
    CHECK(printed(report_of(Outcome::stopped)) == "web01.qcow2: stopped by the user\n");
    BootReport failed = report_of(Outcome::failed, "out-of-memory-panic");
    REQUIRE(failed.verdict->rule != nullptr);
    failed.verdict->evidence = Finding{};
    failed.verdict->evidence->line = "Kernel panic - not syncing: Out of memory\x1b[0m";
    failed.verdict->evidence->line_number = 417;
    const std::string page = printed(failed);
    CHECK(page.starts_with("web01.qcow2: failed after 12.3 s: "));
    CHECK(page.find(" [out-of-memory-panic]\n") != std::string::npos);
    CHECK(page.find("\n  line 417 of the console: Kernel panic - not syncing: Out of memory\\x1b[0m\n") !=
          std::string::npos);
    CHECK(page.find("--memory SIZE\n") != std::string::npos);
    failed.verdict->evidence->line_number = 0;
    CHECK(printed(failed).find("\n  Kernel panic") != std::string::npos);
    failed.verdict->evidence->line.clear();
    CHECK(printed(failed).find("Kernel panic - not") == std::string::npos);
    // A rule that an edit mends says so.
    unsigned mended = 0;
    for (const auto& rules : {boot_loader_rules(), kernel_rules(), initramfs_rules(), system_rules()})
        for (const Rule& rule : rules) {
            BootReport report = report_of(Outcome::failed);
            report.verdict->rule = &rule;
            CAPTURE(rule.id);
            const std::string advised = "--fix=" + std::string(rule.fix) + " usually mends it\n";
            CHECK((printed(report).find(advised) != std::string::npos) == !rule.fix.empty());
            mended += rule.fix.empty() ? 0U : 1U;
        }
    CHECK(mended > 10);
}

TEST_CASE("checks that failed are told where the machine came up, and nowhere else") {
    BootReport report = report_of(Outcome::ready);
    report.checks = {check_of("the kernel starts", CheckState::passed),
                     check_of("exec: systemctl is-active nginx", CheckState::failed, "exit code 3", "inactive\x07"),
                     check_of("port 80 answers", CheckState::failed, "nothing answers"),
                     check_of("exec: true", CheckState::not_run)};
    CHECK(printed(report) == "web01.qcow2: ready after 12.3 s, but a check failed\n"
                             "  check failed: exec: systemctl is-active nginx: exit code 3\n"
                             "    inactive\\x07\n"
                             "  check failed: port 80 answers: nothing answers\n");
    report.verdict->outcome = Outcome::timed_out;
    report.verdict->rule = find_rule("timeout");
    CHECK(printed(report).find("check failed") == std::string::npos);
    CHECK(printed(report).find("--timeout DURATION") != std::string::npos);
}

TEST_CASE("the exit code of a boot tells no from a user who left") {
    struct Row {
        Outcome outcome;
        ConsoleMode console;
        CheckState check;
        ExitCode boot;
        ExitCode boot_test;
    };
    const Row rows[] = {
        {Outcome::ready, ConsoleMode::status, CheckState::passed, ExitCode::done, ExitCode::done},
        {Outcome::ready, ConsoleMode::status, CheckState::not_run, ExitCode::done, ExitCode::done},
        {Outcome::ready, ConsoleMode::status, CheckState::failed, ExitCode::verdict_no, ExitCode::verdict_no},
        {Outcome::failed, ConsoleMode::status, CheckState::passed, ExitCode::verdict_no, ExitCode::verdict_no},
        {Outcome::timed_out, ConsoleMode::status, CheckState::passed, ExitCode::verdict_no, ExitCode::verdict_no},
        {Outcome::stopped, ConsoleMode::status, CheckState::passed, ExitCode::cancelled, ExitCode::cancelled},
        {Outcome::stopped, ConsoleMode::interactive, CheckState::passed, ExitCode::done, ExitCode::cancelled},
        {Outcome::failed, ConsoleMode::interactive, CheckState::passed, ExitCode::verdict_no, ExitCode::verdict_no},
    };
    for (const Row& row : rows) {
        CAPTURE(to_string(row.outcome), static_cast<int>(row.console), static_cast<int>(row.check));
        BootReport report = report_of(row.outcome, "timeout");
        report.checks = {check_of("x", row.check)};
        BootRequest request;
        request.console = row.console;
        CHECK(static_cast<int>(boot_exit_code(report, request)) == static_cast<int>(row.boot));
        CHECK(static_cast<int>(boot_test_exit_code(report)) == static_cast<int>(row.boot_test));
        // What does not come up is not published, whoever looks at it.
        nlohmann::ordered_json json;
        add_boot_test_result(json, report);
        CHECK(json["published"] == (row.boot_test == ExitCode::done));
        CHECK(json["boot"]["source"] == "web01.qcow2");
        Printed page;
        CHECK(print_boot_test_result(report, page.call) == (row.boot_test == ExitCode::done));
        CHECK((page.out.str().find("web01.qcow2 was not written: what does not come up is not published\n") !=
               std::string::npos) == (row.boot_test != ExitCode::done));
    }
    nlohmann::ordered_json untouched;
    add_boot_test_result(untouched, std::nullopt);
    CHECK(untouched.empty());
    Printed page;
    CHECK(print_boot_test_result(std::nullopt, page.call));
    CHECK(page.out.str().empty());
    CHECK(boot_test_exit_code(std::nullopt) == ExitCode::done);
}
