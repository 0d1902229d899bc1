// Which of several things that went wrong is the reason, and what is kept of them.
#include "runner/judge/judge.hpp"
#include "runner/judge/starvation.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <string>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

constexpr BootInstant at(Milliseconds wall) {
    return {wall, wall};
}

std::string rule_of(const Judge& judge) {
    return !judge.verdict()                   ? "no verdict"
           : judge.verdict()->rule == nullptr ? "-"
                                              : std::string(judge.verdict()->rule->id);
}

std::string line_of(const Judge& judge) {
    return judge.verdict() && judge.verdict()->evidence ? judge.verdict()->evidence->line : "";
}

Judge forbidding(const char* pattern) {
    JudgePolicy policy;
    policy.fail.emplace_back(pattern);
    return Judge(policy);
}

} // namespace

TEST_CASE("remarks without end leave room for what fails") {
    // A module that is missing is asked for again and again; each line has another time stamp.
    Judge judge{JudgePolicy{}};
    for (int i = 0; i < 1000; ++i)
        judge.console("[   10." + std::to_string(100000 + i) + "] modprobe: FATAL: Module x not found\n", at(10s));
    CHECK(judge.findings().size() == 200);
    CHECK(judge.findings().back().count == 801);
    judge.console("[FAILED] Failed to start nginx.service - A web server.\nweb login: ", at(20s));
    judge.tick(at(30s));
    CHECK(rule_of(judge) == "unit-failed");
    CHECK(line_of(judge) == "[FAILED] Failed to start nginx.service - A web server.");
    CHECK(judge.findings().size() == 201);
}

TEST_CASE("what ends the boot is its reason, whatever came before it without end") {
    Judge panic{JudgePolicy{}};
    for (int i = 0; i < 300; ++i)
        panic.console("[FAILED] Failed to start unit" + std::to_string(i) + ".service.\n", at(10s));
    panic.console("[   20.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\n", at(20s));
    panic.tick(at(30s));
    CHECK(rule_of(panic) == "root-not-mounted");
    CHECK(line_of(panic) == "[   20.000000] Kernel panic - not syncing: VFS: Unable to mount root fs");

    Judge prompt{JudgePolicy{}};
    for (int i = 0; i < 300; ++i)
        prompt.console(">>Start PXE over IPv4. " + std::to_string(i) + "\n", at(1s));
    prompt.console("grub> ", at(2s));
    prompt.tick(at(8s));
    CHECK(rule_of(prompt) == "grub-prompt");

    // Each severity is bounded by itself.
    Judge all{JudgePolicy{}};
    for (int i = 0; i < 500; ++i) {
        const std::string number = std::to_string(i);
        all.console("x" + number + "[9]: segfault at 0\n[FAILED] Failed to start u" + number + ".\n", at(1s));
        all.console("Error 15: File not found " + number + "\n", at(1s));
    }
    CHECK(all.findings().size() == 600);
}

TEST_CASE("what the user forbade is the reason, whichever rule its line has as well") {
    struct Row {
        const char* line;
        const char* pattern;
        const char* rule;
    };
    const Row rows[] = {
        {"[FAILED] Failed to start nginx.service.", "nginx", "user-fail"},
        {"nginx[812]: segfault at 10 ip 0000", "segfault", "user-fail"},
        {"web: licence has expired", "licen[cs]e .*expired", "user-fail"},
        // A line that ends any boot has more to say.
        {"Kernel panic - not syncing: Attempted to kill init!", "panic", "init-died"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.line);
        Judge judge = forbidding(row.pattern);
        judge.console(std::string(row.line) + "\n", at(5s));
        judge.tick(at(7s));
        CHECK(rule_of(judge) == row.rule);
        CHECK(line_of(judge) == row.line);
        CHECK(judge.findings().size() == 1);
    }
}

TEST_CASE("a forbidden line is told whole, though its beginning was enough") {
    Judge judge = forbidding("^\\[FAILED\\]");
    judge.console("[FAILED] Failed", at(5s));
    judge.console(" to start nginx.service.\n", at(5100ms));
    judge.tick(at(7s));
    CHECK(rule_of(judge) == "user-fail");
    CHECK(line_of(judge) == "[FAILED] Failed to start nginx.service.");
    // Another line does not become a part of it.
    Judge other = forbidding("^bad");
    other.console("bad\nworse\n", at(5s));
    other.tick(at(7s));
    CHECK(line_of(other) == "bad");
}

TEST_CASE("a fatal line is waited behind for a moment, and the first of several counts") {
    JudgePolicy policy;
    policy.linger = 700ms;
    Judge judge(policy);
    judge.console("Kernel panic - not syncing: Fatal exception\n", at(10s));
    judge.console("systemd[1]: Freezing execution.\n", at(10300ms));
    judge.tick(at(10699ms));
    CHECK_FALSE(judge.verdict());
    judge.tick(at(10700ms));
    CHECK(rule_of(judge) == "fatal-oops");
    CHECK(judge.findings().size() == 2);
    // After the verdict nothing changes it.
    judge.console("x login: ", at(11s));
    judge.event(GuestEvent::stopped_by_user, at(12s));
    judge.failure("hypervisor-died", "x", at(12s));
    CHECK(rule_of(judge) == "fatal-oops");
    CHECK(judge.findings().size() == 2);
}

TEST_CASE("a symptom gives way to the cause before it, and to no remark once the kernel runs") {
    Judge emergency{JudgePolicy{}};
    emergency.console("[    0.000000] Linux version 6.1\n[FAILED] Failed to mount /srv.\n"
                      "[DEPEND] Dependency failed for Local File Systems.\nYou are in emergency mode.\n",
                      at(20s));
    emergency.tick(at(30s));
    CHECK(rule_of(emergency) == "mount-failed");
    CHECK(line_of(emergency) == "[FAILED] Failed to mount /srv.");
    CHECK(emergency.verdict()->detail == "the system is in emergency mode");

    Judge remark{JudgePolicy{}};
    remark.console("[    0.000000] Linux version 6.1\nnginx[812]: segfault at 10 ip 0\nYou are in emergency mode.\n",
                   at(20s));
    remark.tick(at(30s));
    CHECK(rule_of(remark) == "emergency-shell");

    Judge firmware{JudgePolicy{}};
    firmware.console("Boot failed: not a bootable disk\nNo bootable device.\n", at(2s));
    firmware.tick(at(10s));
    CHECK(rule_of(firmware) == "no-boot-sector");
    CHECK(firmware.verdict()->detail == "the firmware found nothing to boot from");
}

TEST_CASE("of several that failed the first cause is told when the machine is up") {
    Judge judge{JudgePolicy{}};
    judge.console("[    0.000000] Linux version 6.1\n[DEPEND] Dependency failed for /srv.\n"
                  "[FAILED] Failed to start one.service.\n[FAILED] Failed to start two.service.\nx login: ",
                  at(20s));
    judge.tick(at(30s));
    CHECK(rule_of(judge) == "unit-failed");
    CHECK(line_of(judge) == "[FAILED] Failed to start one.service.");
    CHECK(judge.verdict()->detail == "the machine is up, but not sound");
    Judge symptom{JudgePolicy{}};
    symptom.console("[    0.000000] Linux version 6.1\n[DEPEND] Dependency failed for /srv.\nx login: ", at(20s));
    symptom.tick(at(30s));
    CHECK(rule_of(symptom) == "dependency-failed");
}

TEST_CASE("what failed is told for commands and ports as for lines, and only by rules that there are") {
    Judge judge{JudgePolicy{}};
    judge.console("[    0.000000] Linux version 6.1\nx login: ", at(20s));
    judge.failure("no-such-rule", "x", at(20s));
    CHECK(judge.findings().empty());
    judge.failure("unit-failed", "nginx.service", at(20s));
    REQUIRE(judge.findings().size() == 1);
    CHECK(judge.findings()[0].line == "nginx.service");
    CHECK(judge.findings()[0].line_number == 0);
    judge.failure("unit-failed", "nginx.service", at(20500ms));
    CHECK(judge.findings()[0].count == 2);
    judge.failure("unit-failed", "sshd.service", at(20500ms));
    CHECK(judge.findings().size() == 2);
    judge.tick(at(30s));
    CHECK(rule_of(judge) == "unit-failed");
    Judge died{JudgePolicy{}};
    died.failure("hypervisor-died", "SIGKILL", at(3s));
    CHECK(rule_of(died) == "hypervisor-died");
    CHECK(line_of(died) == "SIGKILL");
}

TEST_CASE("a container's program that ends without what was waited for says what that was") {
    JudgePolicy policy;
    policy.by_default = DefaultReady::healthy;
    Judge judge(policy);
    judge.console("vm2oci-init: starting /app\nvm2oci-init: the program ended with exit code 0\n", at(3s));
    judge.event(GuestEvent::shutdown, at(4s));
    CHECK(rule_of(judge) == "program-ended");
    CHECK(judge.verdict()->detail == "without a health check of the container's program that passes");
    JudgePolicy started;
    started.by_default = DefaultReady::program;
    Judge well(started);
    well.console("vm2oci-init: starting /app\nvm2oci-init: the program ended with exit code 0\n", at(3s));
    well.event(GuestEvent::shutdown, at(3100ms));
    REQUIRE(well.verdict());
    CHECK(well.verdict()->outcome == Outcome::ready);
    Judge early(started);
    early.event(GuestEvent::shutdown, at(1s));
    CHECK(rule_of(early) == "powered-off");
}

TEST_CASE("what is still waited for is said for each condition") {
    JudgePolicy policy;
    for (const ReadySignal signal :
         {ReadySignal::login, ReadySignal::agent, ReadySignal::cloud_init, ReadySignal::system, ReadySignal::port})
        policy.ready.push_back({signal, std::nullopt});
    policy.ready.push_back({ReadySignal::pattern, ConsolePattern("up[0-9]")});
    policy.expected.emplace_back("ok");
    Judge judge(policy);
    CHECK(judge.missing() == std::vector<std::string>{"a line that matches 'ok'", "a login prompt",
                                                      "an answer of the guest agent", "the end of cloud-init",
                                                      "the default target", "the forwarded ports",
                                                      "a line that matches 'up[0-9]'"});
    judge.console("ok\nup7\nx login: ", at(1s));
    judge.event(GuestEvent::agent_answered, at(1s));
    judge.event(GuestEvent::ports_open, at(1s));
    CHECK(judge.missing() == std::vector<std::string>{"the end of cloud-init", "the default target"});
    CHECK(judge.expectation_met(0));
    CHECK(judge.condition_met(0));
    CHECK_FALSE(judge.condition_met(2));
    judge.event(GuestEvent::cloud_init_done, at(2s));
    judge.event(GuestEvent::system_running, at(2s));
    CHECK(judge.missing().empty());
    CHECK(judge.ready_since()->wall == 2s);
    // What is the default is told by what it would take.
    const std::pair<DefaultReady, const char*> defaults[] = {
        {DefaultReady::login, "a login prompt or a guest agent that says that the system is up"},
        {DefaultReady::agent, "an answer of the guest agent, which the image has and starts"},
        {DefaultReady::program, "the start of the container's program"},
        {DefaultReady::healthy, "a health check of the container's program that passes"}};
    for (const auto& [by_default, text] : defaults) {
        JudgePolicy plain;
        plain.by_default = by_default;
        CHECK(Judge(plain).missing() == std::vector<std::string>{text});
    }
}

TEST_CASE("a kernel without a console for init may come up all the same") {
    Judge judge{JudgePolicy{}};
    judge.console("[    0.000000] Linux version 6.1\n[    1.500000] Warning: unable to open an initial console.\n",
                  at(2s));
    judge.tick(at(10s));
    CHECK_FALSE(judge.verdict());
    judge.console("Welcome to Buildroot x\nbuildroot login: ", at(12s));
    judge.tick(at(20s));
    REQUIRE(judge.verdict());
    CHECK(judge.verdict()->outcome == Outcome::ready);
}

TEST_CASE("a range is starved when a quarter of it was, and it was long enough to wait for a limit") {
    struct Row {
        Milliseconds span;
        Milliseconds starved;
        bool expected;
    };
    const Row rows[] = {{25000ms, 6250ms, true}, {25000ms, 6249ms, false}, {24999ms, 24999ms, false},
                        {100s, 25s, true},       {100s, 24999ms, false},   {0ms, 0ms, false}};
    for (const Row& row : rows) {
        CAPTURE(row.span.count(), row.starved.count());
        CHECK(is_starved({7s, 0ms, 1s}, {7s + row.span, 0ms, 1s + row.starved}) == row.expected);
    }
}

TEST_CASE("when a unit began is known by the name that its failure has") {
    StartingUnits units;
    units.take_line("         Starting Wait for Network to be Configured...", at(20s));
    units.take_line("         Starting ssh.service - OpenBSD Secure Shell server…", at(30s));
    units.take_line("[  OK  ] Started cron.service.", at(31s));
    units.take_line("         Starting Wait for Network to be Configured...", at(99s)); // the first time counts
    CHECK(units.began("[FAILED] Failed to start Wait for Network to be Configured.", at(1s)).wall == 20s);
    CHECK(units.began("[FAILED] Failed to start ssh.service - OpenBSD Secure Shell server.", at(1s)).wall == 30s);
    CHECK(units.began("[DEPEND] Dependency failed for Wait for Network to be Configured.", at(1s)).wall == 20s);
    CHECK(units.began("[ TIME ] Timed out starting Wait for Network to be Configured.", at(1s)).wall == 20s);
    CHECK(units.began("[FAILED] Failed to start cron.service.", at(1s)).wall == 1s);
    CHECK(units.began("something else", at(2s)).wall == 2s);
    for (int i = 0; i < 2000; ++i)
        units.take_line("Starting unit" + std::to_string(i) + "...", at(40s));
    CHECK(units.began("Failed to start unit0.", at(1s)).wall == 40s);
    CHECK(units.began("Failed to start unit1999.", at(1s)).wall == 1s); // memory is bounded
}
