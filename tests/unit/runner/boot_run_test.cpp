// The loop that watches a machine, with a machine that does what a script says.
#include "formats/base/error.hpp"
#include "runner/boot_run.hpp"
#include "runner/report/boot_checks.hpp"
#include "tests/support/scripted_machine.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

const std::string kKernel = "[    0.000000] Linux version 6.1.0\r\n";
const std::string kLogin = "\r\nDebian GNU/Linux 12 web01 ttyS0\r\n\r\nweb01 login: ";

class Typist final : public BootObserver {
  public:
    void console(std::string_view bytes) override { seen += bytes; }
    void progress(const BootReport&) override { ++reports; }
    std::string input() override { return std::exchange(keys, {}); }
    bool leave_wanted() override { return leaves; }
    int input_fd() const override { return -1; }

    std::string seen;
    std::string keys;
    bool leaves = false;
    unsigned reports = 0;
};

struct Watched {
    BootReport report;
    bool died_at_once = false;
    bool crashed = false;
};

struct Setting {
    BootOptions options;
    JudgePolicy policy;
    std::vector<PortForward> forwards;
    Typist typist;
};

Watched watch(test::ScriptedMachine& machine, Setting& setting) {
    Watched watched;
    watched.report.checks = boot_check::planned(setting.policy, setting.forwards, setting.options.commands);
    const OperationContext operation;
    BootRun run(machine, setting.forwards, setting.options, setting.policy, watched.report, setting.typist, operation);
    run.run();
    watched.died_at_once = run.died_at_once();
    watched.crashed = run.crashed();
    return watched;
}

Watched watch(test::ScriptedMachine& machine) {
    Setting setting;
    return watch(machine, setting);
}

const Check& check_named(const BootReport& report, std::string_view name) {
    const auto found = std::find_if(report.checks.begin(), report.checks.end(),
                                    [&](const Check& check) { return check.name == name; });
    REQUIRE(found != report.checks.end());
    return *found;
}

// A qemu-guest-agent that runs commands: `answers` by what the command contains.
void give_agent(test::ScriptedMachine& machine, Milliseconds when, std::map<std::string, std::string> answers) {
    machine.at(when, [](test::ScriptedMachine& self) {
        self.tell({MachineEventKind::channel_opened, GuestChannel::agent});
    });
    machine.on_write = [answers](test::ScriptedMachine& self, GuestChannel channel, const std::string& bytes) {
        if (channel != GuestChannel::agent)
            return;
        const auto has = [&](std::string_view word) { return bytes.find(word) != std::string::npos; };
        if (has("guest-sync"))
            return self.say(channel, "\xff{\"return\": 1}\n");
        if (has("guest-info"))
            return self.say(channel, R"({"return": {"version": "7", "supported_commands": [)"
                                     R"({"enabled": true, "name": "guest-exec"}]}})"
                                     "\n");
        if (has("guest-get-osinfo"))
            return self.say(channel, "{\"return\": {\"pretty-name\": \"Debian 12\"}}\n");
        static int last = 0;
        if (has("guest-exec-status"))
            return self.say(channel, last == 0 ? "{\"return\": {\"exited\": true, \"exitcode\": 0, \"out-data\": "
                                                 "\"cnVubmluZwo=\"}}\n"
                                               : "{\"return\": {\"exited\": true, \"exitcode\": 3}}\n");
        last = 0;
        for (const auto& [word, what] : answers)
            if (has(word) && what == "fails")
                last = 3;
        self.say(channel, "{\"return\": {\"pid\": 7}}\n");
    };
}

} // namespace

TEST_CASE("a machine that comes to its login prompt is ready, and its console is kept") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(2s, kKernel).prints(9s, kLogin);
    Setting setting;
    const Watched watched = watch(machine, setting);
    REQUIRE(watched.report.passed());
    CHECK(watched.report.console.text() == kKernel + kLogin);
    CHECK(setting.typist.seen == kKernel + kLogin);
    CHECK(watched.report.qemu_version == "scripted 1");
    CHECK(watched.report.verdict->at.wall >= 8950ms);
    CHECK(watched.report.verdict->at.wall < 15s);
    CHECK_FALSE(watched.report.screenshot.empty());
    CHECK(check_named(watched.report, boot_check::ready).state == CheckState::passed);
    CHECK_FALSE(watched.died_at_once);
}

TEST_CASE("what never powers on is an error of what runs it, after a minute") {
    test::ScriptedMachine machine;
    try {
        watch(machine);
        FAIL("it went on");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::external);
    }
    CHECK(machine.clock() >= 60s);
    CHECK(machine.clock() < 62s);
}

TEST_CASE("a reset is judged behind what was printed before it") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(1s, kKernel);
    // Both have arrived when they are looked for, the event first.
    machine.at(2s, [](test::ScriptedMachine& self) {
        self.tell({MachineEventKind::reset});
        self.print("[    1.000000] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n"
                   "[    1.100000] Rebooting in 0 seconds..\r\n");
    });
    const Watched watched = watch(machine);
    REQUIRE(watched.report.verdict);
    CHECK(watched.report.verdict->outcome == Outcome::failed);
    CHECK(watched.report.verdict->rule->id == "root-not-mounted");
}

TEST_CASE("what the host kept from the machine does not count against it") {
    const auto boot = [](double used, double waited) {
        test::ScriptedMachine machine;
        machine.powers_on(0ms).at(10ms, [=](test::ScriptedMachine& self) { self.works(used, waited); });
        machine.prints(1s, kKernel).prints(120s, kLogin);
        Setting setting;
        setting.policy.idle_limit = 300s;
        setting.policy.wall_limit = 30s;
        return watch(machine, setting).report;
    };
    CHECK(boot(0.05, 0.95).verdict->outcome == Outcome::ready);
    CHECK(boot(1.0, 0.0).verdict->outcome == Outcome::timed_out);
    // Five threads that wait at once are no more than the time that has passed.
    const BootReport crowded = boot(0.05, 5);
    CHECK(crowded.verdict->outcome == Outcome::ready);
    CHECK(crowded.elapsed.starved <= crowded.elapsed.wall);
}

TEST_CASE("a hypervisor that ends before the guest prints died at once, and one that ends later has not") {
    for (const bool late : {false, true}) {
        INFO(late);
        test::ScriptedMachine machine;
        machine.powers_on(50ms);
        if (late)
            machine.prints(1s, kKernel);
        machine.at(2s, [](test::ScriptedMachine& self) {
            self.end({"killed by signal 11 (Segmentation fault)", true});
        });
        const Watched watched = watch(machine);
        CHECK(watched.died_at_once == !late);
        CHECK(watched.crashed);
        CHECK(watched.report.verdict->rule->id == "hypervisor-died");
        CHECK(watched.report.screenshot.empty());
    }
}

TEST_CASE("a disk that cannot be read fails the boot by its own words") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(1s, kKernel);
    machine.at(3s, [](test::ScriptedMachine& self) { self.breaks_disk("blob sha256:00 ends early"); });
    const Watched watched = watch(machine);
    CHECK(watched.report.verdict->rule->id == "disk-read-error");
    CHECK(watched.report.verdict->evidence->line.find("ends early") != std::string::npos);
}

TEST_CASE("commands run by the guest's agent once the machine is ready, each with its own exit code") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(1s, kKernel).prints(5s, kLogin);
    give_agent(machine, 4s, {{"nginx", "fails"}});
    Setting setting;
    setting.options.commands = {"true", "systemctl is-active nginx"};
    setting.policy.ready = {{ReadySignal::agent, std::nullopt}};
    const Watched watched = watch(machine, setting);
    REQUIRE(watched.report.verdict->outcome == Outcome::ready);
    CHECK(check_named(watched.report, boot_check::command_name("true")).state == CheckState::passed);
    const Check& nginx = check_named(watched.report, boot_check::command_name("systemctl is-active nginx"));
    CHECK(nginx.state == CheckState::failed);
    CHECK(nginx.message == "exit code 3");
    REQUIRE(watched.report.agent);
    CHECK(watched.report.agent->os_name == "Debian 12");
}

TEST_CASE("commands of a machine that ends are not waited for") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(1s, kKernel).prints(5s, kLogin);
    give_agent(machine, 4s, {});
    Setting setting;
    setting.options.commands = {"sleep 50"};
    machine.on_write = [on_write = machine.on_write](test::ScriptedMachine& self, GuestChannel channel,
                                                     const std::string& bytes) {
        if (bytes.find("sleep") != std::string::npos)
            self.end({"exit code 0", false});
        else
            on_write(self, channel, bytes);
    };
    const Watched watched = watch(machine, setting);
    const Check& check = check_named(watched.report, boot_check::command_name("sleep 50"));
    CHECK(check.state == CheckState::failed);
    CHECK(check.message == "the machine ended");
}

TEST_CASE("without an agent a command fails, and says why") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(1s, kKernel).prints(5s, kLogin);
    Setting setting;
    setting.options.commands = {"true"};
    const Watched watched = watch(machine, setting);
    CHECK(check_named(watched.report, boot_check::command_name("true")).message == "there is no guest agent");
}

TEST_CASE("a port is open when the guest has accepted a connection, and not before") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(1s, kKernel).prints(2s, kLogin);
    machine.at(12s, [](test::ScriptedMachine& self) { self.accepts(2); });
    Setting setting;
    setting.forwards = {{2, 22}}; // nothing listens there: whether it connects is the network's to say
    setting.policy.ready = {{ReadySignal::port, std::nullopt}};
    const Watched watched = watch(machine, setting);
    REQUIRE(watched.report.verdict->outcome == Outcome::ready);
    CHECK(watched.report.verdict->at.wall >= 11950ms);
    CHECK(check_named(watched.report, boot_check::port_name(setting.forwards[0])).state == CheckState::passed);
}

TEST_CASE("keys wait until the serial port takes them, and leaving ends the run") {
    test::ScriptedMachine machine;
    machine.serial_room = 3;
    machine.powers_on(50ms).prints(1s, kKernel);
    Setting setting;
    setting.typist.keys = "root\rsecret\r";
    machine.at(5s, [&](test::ScriptedMachine&) { setting.typist.leaves = true; });
    const Watched watched = watch(machine, setting);
    CHECK(watched.report.verdict->outcome == Outcome::stopped);
    CHECK(machine.typed() == "root\rsecret\r");
}

TEST_CASE("the guest's service manager is believed when it tells that the system is up") {
    test::ScriptedMachine machine;
    machine.powers_on(50ms).prints(1s, kKernel);
    machine.at(7s, [](test::ScriptedMachine& self) { self.tell({MachineEventKind::notified_ready}); });
    Setting setting;
    setting.policy.ready = {{ReadySignal::system, std::nullopt}};
    const Watched watched = watch(machine, setting);
    CHECK(watched.report.verdict->outcome == Outcome::ready);
    CHECK(watched.report.verdict->at.wall < 12s);
}
