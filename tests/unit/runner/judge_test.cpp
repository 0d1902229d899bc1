#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "runner/judge/judge.hpp"
#include "runner/judge/prompts.hpp"
#include "runner/qemu/process.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

using namespace vm2oci;
using namespace std::chrono_literals;

namespace {

constexpr BootInstant at(Milliseconds wall) {
    return {wall, wall};
}

// Nothing more comes, and the machine idles.
void let_time_pass(Judge& judge, Milliseconds from, Milliseconds until) {
    for (Milliseconds now = from; now <= until && !judge.verdict(); now += 250ms)
        judge.tick({now, from});
}

Judge judged(std::string_view console, JudgePolicy policy = {}) {
    Judge judge(std::move(policy));
    Milliseconds now = 0ms;
    for (std::size_t i = 0; i < console.size(); i += 61)
        judge.console(console.substr(i, 61), at(now += 5ms));
    let_time_pass(judge, now, now + 100s);
    return judge;
}

std::string rule_of(const Judge& judge) {
    REQUIRE(judge.verdict());
    return judge.verdict()->rule == nullptr ? "-" : std::string(judge.verdict()->rule->id);
}

JudgePolicy policy_with(ReadySignal signal) {
    JudgePolicy policy;
    policy.ready.push_back({signal, std::nullopt});
    return policy;
}

} // namespace

TEST_CASE("recorded consoles of many systems are judged right") {
    const std::string folder = CONSOLES;
    std::ifstream manifest(folder + "/manifest.txt");
    REQUIRE(manifest);
    std::string line;
    int count = 0;
    while (std::getline(manifest, line)) {
        if (line.empty() || line[0] == '#')
            continue;
        std::istringstream fields(line);
        std::string name;
        std::string outcome;
        std::string rule;
        std::string furthest;
        fields >> name >> outcome >> rule >> furthest;
        const auto console = read_file(folder + "/" + name + ".log", 1 << 20);
        REQUIRE(console);
        const Judge judge = judged(*console);
        INFO(name << ": " << (judge.verdict()->evidence ? judge.verdict()->evidence->line : "") << " | "
                  << judge.verdict()->detail);
        CHECK(std::string(to_string(judge.verdict()->outcome)) == outcome);
        CHECK(rule_of(judge) == rule);
        if (furthest != "-")
            CHECK(std::string(to_string(judge.furthest().value_or(Milestone::firmware))) == furthest);
        ++count;
    }
    CHECK(count >= 90);
}

TEST_CASE("a plain failure ends the boot at once, not at the deadline") {
    Judge judge{JudgePolicy{}};
    judge.console("Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n", at(3s));
    CHECK_FALSE(judge.verdict());
    judge.console("Call Trace:\n", at(3500ms));
    judge.tick(at(3700ms));
    REQUIRE(judge.verdict());
    CHECK(rule_of(judge) == "root-not-mounted");
    CHECK(judge.verdict()->evidence->line_number == 1);
}

TEST_CASE("a rule that half a line seemed to match gives way to the one that matches all of it") {
    Judge judge{JudgePolicy{}};
    judge.console("Kernel panic - not syncing", at(3s));
    judge.console(": VFS: Unable to mount root fs on unknown-block(0,0)\n", at(3100ms));
    judge.tick(at(5s));
    CHECK(rule_of(judge) == "root-not-mounted");
    CHECK(judge.findings().size() == 1);
}

TEST_CASE("a prompt counts only while it is the last line") {
    Judge passing{JudgePolicy{}};
    passing.console("Press any key to continue...", at(1s));
    passing.console("\r\n[    0.000000] Linux version 6.1\r\n", at(3s));
    passing.tick(at(30s));
    CHECK_FALSE(passing.verdict());
    Judge staying{JudgePolicy{}};
    staying.console("grub> ", at(1s));
    staying.tick(at(4900ms));
    CHECK_FALSE(staying.verdict());
    staying.tick(at(5s));
    CHECK(rule_of(staying) == "grub-prompt");
}

TEST_CASE("deadlines count processor time when there is such a limit") {
    JudgePolicy policy;
    policy.cpu_limit = 180s;
    policy.wall_limit = 900s;
    Judge judge(policy);
    judge.console("[    0.000000] Linux version 6.1\n", {1s, 1s});
    judge.tick({600s, 179s});
    CHECK_FALSE(judge.verdict());
    judge.tick({601s, 180s});
    REQUIRE(judge.verdict());
    CHECK(judge.verdict()->outcome == Outcome::timed_out);
    CHECK(judge.verdict()->detail.find("180 s of processor time") != std::string::npos);
    CHECK(judge.verdict()->detail.find("kernel") != std::string::npos);

    Judge ceiling(policy);
    ceiling.console("x\n", {899s, 100s});
    ceiling.tick({900s, 100s});
    CHECK(ceiling.verdict()->outcome == Outcome::timed_out);
}

TEST_CASE("a boot sector that spins is not waited for until the deadline") {
    const auto instant = [](int seconds) {
        return BootInstant{Milliseconds(seconds * 1000), Milliseconds(seconds * 1000)};
    };
    Judge judge{JudgePolicy{}};
    judge.console("SeaBIOS (version 1.16)\r\nBooting from Hard Disk...\r\n", instant(1));
    judge.disk_activity(instant(2));
    judge.tick(instant(61));
    CHECK_FALSE(judge.verdict());
    judge.tick(instant(62));
    CHECK(rule_of(judge) == "boot-sector-hangs");

    Judge reading{JudgePolicy{}};
    reading.console("SeaBIOS (version 1.16)\r\n", instant(1));
    for (int second = 2; second < 150; ++second) {
        reading.disk_activity(instant(second)); // a system whose console is elsewhere
        reading.tick(instant(second));
    }
    CHECK_FALSE(reading.verdict());
}

TEST_CASE("a busy silent machine is not taken for a stopped one") {
    Judge judge{JudgePolicy{}};
    judge.console("[    0.000000] Linux version 6.1\n", {0s, 0s});
    judge.tick({100s, 50s});
    CHECK_FALSE(judge.verdict());
    judge.tick({101s, 9s});
    CHECK(rule_of(judge) == "stalled");
}

TEST_CASE("neither is one that waits for the host's processors, nor one that uses its disk") {
    Judge starved{JudgePolicy{}};
    starved.console("[    0.000000] Linux version 6.1\n", {0s, 0s, 0s});
    starved.tick({100s, 1s, 60s});
    CHECK_FALSE(starved.verdict());
    Judge reading{JudgePolicy{}};
    reading.console("[    0.000000] Linux version 6.1\n", {0s, 0s});
    reading.disk_activity({50s, 1s});
    reading.tick({100s, 2s});
    CHECK_FALSE(reading.verdict());
    reading.tick({110s, 2s});
    CHECK(rule_of(reading) == "stalled");
}

TEST_CASE("by default a login prompt is ready, and failures shortly after it still count") {
    Judge judge{JudgePolicy{}};
    judge.console("debian login: ", at(10s));
    judge.tick(at(11s));
    CHECK_FALSE(judge.verdict());
    judge.console("\r\n[FAILED] Failed to start nginx.service.\r\n", at(11200ms));
    judge.tick(at(11500ms));
    REQUIRE(judge.verdict());
    CHECK(rule_of(judge) == "unit-failed");

    Judge clean{JudgePolicy{}};
    clean.console("debian login: ", at(10s));
    clean.tick(at(11500ms));
    REQUIRE(clean.verdict());
    CHECK(clean.verdict()->outcome == Outcome::ready);
    CHECK(clean.verdict()->at.wall == 10s);
}

TEST_CASE("an ignored rule becomes a remark") {
    JudgePolicy policy;
    policy.ignored = {"unit-failed", "emergency-shell"};
    Judge judge(policy);
    judge.console("[FAILED] Failed to start nginx.service.\r\nYou are in emergency mode.\r\nx login: ", at(10s));
    judge.tick(at(12s));
    CHECK(judge.verdict()->outcome == Outcome::ready);
    CHECK(judge.findings().size() == 2);
}

TEST_CASE("an agent that says that the system is up is enough; one that only answers needs patience") {
    Judge told{JudgePolicy{}};
    told.event(GuestEvent::agent_answered, at(10s));
    told.event(GuestEvent::system_running, at(11s));
    told.tick(at(13s));
    CHECK(told.verdict()->outcome == Outcome::ready);
    Judge silent{JudgePolicy{}};
    silent.event(GuestEvent::agent_answered, at(10s));
    silent.tick(at(39s));
    CHECK_FALSE(silent.verdict());
    silent.tick(at(40s));
    silent.tick(at(42s));
    CHECK(silent.verdict()->outcome == Outcome::ready);
}

TEST_CASE("every ready condition must hold") {
    JudgePolicy policy = policy_with(ReadySignal::agent);
    policy.ready.push_back({ReadySignal::pattern, ConsolePattern("nginx +ready")});
    Judge judge(policy);
    judge.console("x login: ", at(1s));
    judge.event(GuestEvent::agent_answered, at(2s));
    judge.tick(at(9s));
    CHECK_FALSE(judge.verdict());
    CHECK(judge.missing() == std::vector<std::string>{"a line that matches 'nginx +ready'"});
    judge.console("\nnginx   ready\n", at(10s));
    judge.tick(at(12s));
    CHECK(judge.verdict()->outcome == Outcome::ready);
}

TEST_CASE("each signal has its own condition") {
    const auto ready_by = [](ReadySignal signal, GuestEvent event) {
        Judge judge(policy_with(signal));
        judge.tick(at(1s));
        judge.event(event, at(2s));
        judge.tick(at(4s));
        return judge.verdict().has_value();
    };
    CHECK(ready_by(ReadySignal::agent, GuestEvent::agent_answered));
    CHECK(ready_by(ReadySignal::system, GuestEvent::system_running));
    CHECK(ready_by(ReadySignal::cloud_init, GuestEvent::cloud_init_done));
    CHECK(ready_by(ReadySignal::port, GuestEvent::ports_open));
    CHECK_FALSE(ready_by(ReadySignal::login, GuestEvent::agent_answered));
    CHECK_FALSE(ready_by(ReadySignal::agent, GuestEvent::agent_port_opened));
}

TEST_CASE("--fail ends the boot") {
    JudgePolicy policy;
    policy.fail.emplace_back("license .* expired");
    const Judge judge = judged("[    0.000000] Linux version 6.1\nlicense 12 has expired\nx login: ", policy);
    CHECK(rule_of(judge) == "user-fail");
    CHECK(judge.verdict()->evidence->line == "license 12 has expired");
    CHECK_THROWS_AS(ConsolePattern("(unclosed"), Error);
}

TEST_CASE("resets: one is allowed, a loop is not") {
    Judge judge{JudgePolicy{}};
    judge.event(GuestEvent::reset, at(5s));
    judge.event(GuestEvent::reset, at(9s));
    CHECK_FALSE(judge.verdict());
    judge.event(GuestEvent::reset, at(12s));
    CHECK(rule_of(judge) == "reboot-loop");
}

// The console of several boots, each with a reset at its end.
Judge judged_over_resets(const std::string& console, Milliseconds silence_before_reset) {
    Judge judge{JudgePolicy{}};
    Milliseconds now = 0ms;
    for (std::size_t begin = 0; begin != std::string::npos;) {
        const std::size_t end = console.find("SeaBIOS (version", begin + 1);
        judge.console(console.substr(begin, end - begin), at(now += 20s));
        judge.event(GuestEvent::reset, at(now += silence_before_reset));
        begin = end;
    }
    return judge;
}

TEST_CASE("a panic that restarts the machine is a panic, however many resets that takes") {
    Judge judge({});
    judge.console("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\n", at(1s));
    for (int i = 0; i < 3; ++i)
        judge.event(GuestEvent::reset, at(1s));
    CHECK(rule_of(judge) == "init-died");
    CHECK(judge.resets() == 0);
}

TEST_CASE("what a reset cut off is no reason for it") {
    const auto console = read_file(std::string(CONSOLES) + "/reset-cuts-io.log", 1 << 20);
    REQUIRE(console);
    const Judge loop = judged_over_resets(*console, 300ms);
    CHECK(rule_of(loop) == "reboot-loop");
    CHECK_FALSE(loop.verdict()->evidence);
    CHECK(std::all_of(loop.findings().begin(), loop.findings().end(),
                      [](const Finding& finding) { return finding.rule->id == "io-cut-off"; }));
    CHECK(loop.findings().size() >= 4);
    // Trouble that a machine lives with for a while is.
    CHECK(rule_of(judged_over_resets(*console, 10s)) == "remounted-read-only");
}

TEST_CASE("a machine that resets once, its disk in use, is well when it comes up then") {
    Judge judge{JudgePolicy{}};
    judge.console("[   30.1] I/O error, dev vda, sector 8 op 0x1:(WRITE) flags 0x0 phys_seg 1\n", at(30s));
    // The host had no time for the machine: ten seconds that the guest did not see.
    judge.event(GuestEvent::reset, {40s, 31s, 9s});
    judge.console("x login: ", {70s, 61s, 9s});
    judge.tick({72s, 62s, 9s});
    REQUIRE(judge.verdict());
    CHECK(judge.verdict()->outcome == Outcome::ready);

    Judge off{JudgePolicy{}};
    off.console("[   30.1] EXT4-fs error (device vda1): ext4_find_entry:1463\n", at(30s));
    off.event(GuestEvent::shutdown, at(31s));
    CHECK(rule_of(off) == "powered-off");
}

TEST_CASE("the machine's own signals end the boot, with the console's reason where there is one") {
    Judge off{JudgePolicy{}};
    off.event(GuestEvent::shutdown, at(5s));
    CHECK(rule_of(off) == "powered-off");
    Judge panicked{JudgePolicy{}};
    panicked.event(GuestEvent::panicked, at(5s));
    panicked.tick(at(6s));
    CHECK(rule_of(panicked) == "guest-panicked");
    Judge both{JudgePolicy{}};
    both.console("BUG: unable to handle page fault for address: 0\n", at(5s));
    both.event(GuestEvent::panicked, at(5s));
    both.tick(at(6s));
    CHECK(rule_of(both) == "kernel-oops");
    Judge disk{JudgePolicy{}};
    disk.failure("disk-read-error", "cluster 8 lies beyond the end", at(5s));
    CHECK(rule_of(disk) == "disk-read-error");
    Judge stopped{JudgePolicy{}};
    stopped.event(GuestEvent::stopped_by_user, at(5s));
    CHECK(stopped.verdict()->outcome == Outcome::stopped);
}

TEST_CASE("a guest that prints failures without end costs bounded memory") {
    Judge judge{JudgePolicy{}};
    for (int i = 0; i < 2000; ++i)
        judge.console("[FAILED] Failed to start unit" + std::to_string(i) + ".service\n", at(1s));
    CHECK(judge.findings().size() == 200);
}

TEST_CASE("every rule can be found by its id, and every id is used once") {
    std::set<std::string_view> ids;
    for (const auto& rules : {boot_loader_rules(), kernel_rules(), initramfs_rules(), system_rules(), judge_rules()})
        for (const Rule& rule : rules) {
            CHECK(ids.insert(rule.id).second);
            CHECK(find_rule(rule.id) == &rule);
            CHECK_FALSE(rule.title.empty());
        }
    CHECK(find_rule("nonsense") == nullptr);
}

TEST_CASE("every pattern of the table is reached by some line, not hidden by an earlier rule of another kind") {
    for (const auto& rules : {boot_loader_rules(), kernel_rules(), initramfs_rules(), system_rules()})
        for (const Rule& rule : rules)
            for (std::string_view pattern : rule.patterns) {
                std::string line(pattern);
                std::erase_if(line, [](char c) { return c == '^' || c == '$'; });
                std::replace(line.begin(), line.end(), '*', '~');
                INFO(pattern);
                const Rule* found = match_rule(line);
                REQUIRE(found != nullptr);
                CHECK(found->id == rule.id);
            }
}

TEST_CASE("patterns: anchors and stars") {
    CHECK(matches_pattern("b*d", "abcde"));
    CHECK_FALSE(matches_pattern("b*b", "abc"));
    CHECK(matches_pattern("^ab", "abc"));
    CHECK_FALSE(matches_pattern("^b", "abc"));
    CHECK(matches_pattern("bc$", "abc  "));
    CHECK_FALSE(matches_pattern("ab$", "abc"));
    CHECK(matches_pattern("^abc$", "abc"));
    CHECK_FALSE(matches_pattern("^abc$", "aabc"));
    CHECK(matches_pattern("^a*c$", "abcbc"));
    CHECK_FALSE(matches_pattern("^ab*bc$", "abc"));
    CHECK(matches_pattern("", "anything"));
}

TEST_CASE("login prompts are told from text that ends alike") {
    CHECK(is_login_prompt("debian login: "));
    CHECK(is_login_prompt("login: "));
    CHECK(is_login_prompt("Ubuntu 22.04 web01 login:"));
    CHECK_FALSE(is_login_prompt("Last login: "));
    CHECK_FALSE(is_login_prompt("[    1.000000] driver login: "));
    CHECK_FALSE(is_login_prompt("debian login: root"));
    CHECK_FALSE(is_login_prompt("somebody tried to make a login:"));
    CHECK_FALSE(is_login_prompt("nologin:"));
}

TEST_CASE("prompts of other systems and languages, and sentences that end like them") {
    for (const char* prompt :
         {"Login: ", "MikroTik Login:", "FOO LOGIN: ", "web Anmeldung: ", "serveur identifiant : ", "用户名：",
          "Username:", "User name: ", "Benutzername: ", "Authorized users only. All activity is logged. web-1 login: ",
          "Ubuntu 20.04.6 LTS cache2 ttyS0 cache2 login: ", "### Property of ACME ### acme login: ",
          "Access is monitored and reported. Login: "})
        CHECK(is_login_prompt(prompt));
    for (const char* text :
         {"sshd[812]: failed password at web login:", "please wait before the next login: ",
          "Enter username for proxy: ", "Last failed login: ", "time of your login: ", "error: no login",
          "loginx:", "xlogin:", "domain\\login:", "the quick brown fox asks you to login: "})
        CHECK_FALSE(is_login_prompt(text));
    for (const char* prompt : {"root@web:~# ", "ubuntu@ip-10-0-0-1:/var/log$ ", "[root@node ~]# ", "[core@n-1 opt]$ ",
                               "localhost:~# ", "gentoo ~ # ", "admin@fw1% "})
        CHECK(is_shell_prompt(prompt));
    for (const char* text : {"dracut:/# ", "sh-5.1# ", "bash-5.1# ", "(initramfs) ", "/ # ", "~ # ", ":/# ", "# ",
                             "100 % ", "mail to ann@example.org costs 5$ ", "root@web:~#"})
        CHECK_FALSE(is_shell_prompt(text));
}

TEST_CASE("what gives up by its own clock on a starved host is no failure of the image") {
    struct Row {
        const char* starting;
        const char* failed;
    };
    for (const Row& row :
         {Row{"         Starting Wait for Network to be Configured...\n",
              "[FAILED] Failed to start Wait for Network to be Configured.\n"},
          Row{"         Starting systemd-networkd-wait-online.service - Wait for Network to be Online...\n",
              "[FAILED] Failed to start systemd-networkd-w…ce - Wait for Network to be Online.\n"},
          Row{"         Starting networking.service - Raise network interfaces...\n",
              "[FAILED] Failed to start networking.service - Raise network interfaces.\n"},
          Row{"", "[ TIME ] Timed out waiting for device /dev/disk/by-label/data.\n[DEPEND] "
                  "Dependency failed for /data.\n"},
          Row{"", "[  240.100000] INFO: task jbd2/vda1-8:211 blocked for more than 120 seconds.\n"}}) {
        INFO(row.failed);
        const auto judge_with = [&](Milliseconds starved) {
            Judge judge{JudgePolicy{}};
            judge.console("[    0.000000] Linux version 6.1\n", {1s, 1s, 0s});
            judge.console(row.starting, {20s, 10s, 1s});
            judge.console(row.failed, {150s, 40s, starved});
            judge.console("web login: ", {160s, 44s, starved});
            judge.tick({165s, 45s, starved});
            return judge;
        };
        const Judge starved = judge_with(110s);
        REQUIRE(starved.verdict());
        CHECK(starved.verdict()->outcome == Outcome::ready);
        CHECK(std::all_of(starved.findings().begin(), starved.findings().end(),
                          [](const Finding& finding) { return finding.rule->id == "host-too-busy"; }));
        CHECK_FALSE(starved.findings().empty());
        const Judge idle = judge_with(5s);
        REQUIRE(idle.verdict());
        CHECK(idle.verdict()->outcome == Outcome::failed);
    }
    // What fails at once has not waited for anything, whatever the host does.
    Judge at_once{JudgePolicy{}};
    at_once.console("[    0.000000] Linux version 6.1\n", {1s, 1s, 0s});
    at_once.console("         Starting Raise network interfaces...\n", {100s, 10s, 80s});
    at_once.console("[FAILED] Failed to start Raise network interfaces.\nweb login: ", {103s, 11s, 82s});
    at_once.tick({120s, 20s, 90s});
    CHECK(rule_of(at_once) == "network-unit-failed");
}

TEST_CASE("an end on a starved host says nothing of the image") {
    Judge emergency{JudgePolicy{}};
    emergency.console("[    0.000000] Linux version 6.1\n", {1s, 1s, 0s});
    emergency.console("[ TIME ] Timed out waiting for device /dev/vda3.\nYou are in emergency mode.\n",
                      {140s, 20s, 100s});
    emergency.tick({142s, 21s, 100s});
    CHECK(rule_of(emergency) == "host-starved");
    // What is broken on any host is told all the same.
    Judge panic{JudgePolicy{}};
    panic.console("[    0.000000] Linux version 6.1\nKernel panic - not syncing: Attempted to kill init!\n",
                  {140s, 20s, 100s});
    panic.tick({142s, 21s, 100s});
    CHECK(rule_of(panic) == "init-died");
}

TEST_CASE("every time in the judge's rules is the machine's own") {
    // Twice as much as each limit by the clock, and next to nothing by the machine.
    Judge prompt{JudgePolicy{}};
    prompt.console("grub> ", {1s, 1s, 0s});
    prompt.tick({21s, 1s, 19s});
    CHECK_FALSE(prompt.verdict());
    prompt.tick({25s, 3s, 19s});
    CHECK(rule_of(prompt) == "grub-prompt");

    Judge fatal{JudgePolicy{}};
    fatal.console("Kernel panic - not syncing", {1s, 1s, 0s});
    fatal.tick({5s, 1s, 4s});
    CHECK_FALSE(fatal.verdict());

    Judge agent{JudgePolicy{}};
    agent.event(GuestEvent::agent_answered, {10s, 1s, 0s});
    agent.tick({60s, 2s, 45s});
    agent.tick({62s, 2s, 45s});
    CHECK_FALSE(agent.verdict());

    Judge limit{JudgePolicy{}};
    limit.console("[    0.000000] Linux version 6.1\n", {1s, 1s, 0s});
    for (int second = 2; second < 400; second += 2)
        limit.console(".", {Milliseconds(second * 1000), Milliseconds(second * 250), Milliseconds(second * 600)});
    CHECK_FALSE(limit.verdict()); // 160 of its own
    limit.tick({460s, 110s, 270s});
    REQUIRE(limit.verdict());
    CHECK(limit.verdict()->outcome == Outcome::timed_out);

    // A limit that leaves the host out of it is one that a busy host cannot excuse.
    JudgePolicy emulated;
    emulated.cpu_limit = 25s;
    Judge spinning(emulated);
    spinning.console("[    0.000000] Linux version 6.1\n", {1s, 1s, 0s});
    spinning.tick({60s, 26s, 30s});
    CHECK(rule_of(spinning) == "timeout");

    Judge never{JudgePolicy{}};
    for (int second = 1; second < 1000; ++second)
        never.console(".", {Milliseconds(second * 1000), Milliseconds(second * 10), Milliseconds(second * 990)});
    REQUIRE(never.verdict());
    CHECK(rule_of(never) == "host-starved");
}

TEST_CASE("a machine that writes to its screen alone is silent after a minute of its own, busy or not") {
    const auto silent_at = [](int cpu_percent, int starved_percent, JudgePolicy policy = {}) {
        Judge judge(std::move(policy));
        judge.console("SeaBIOS (version 1.16)\r\nBooting from Hard Disk...\r\nGRUB loading.\r\n", {1s, 1s, 0s});
        for (int tenth = 11; tenth < 1700 && !judge.verdict(); ++tenth) {
            const BootInstant now{Milliseconds(tenth * 100), Milliseconds(tenth * cpu_percent),
                                  Milliseconds(tenth * starved_percent)};
            if (tenth % 50 == 0)
                judge.disk_activity(now); // a log that is written every five seconds
            judge.tick(now);
        }
        if (!judge.verdict())
            return -1;
        CHECK(rule_of(judge) == "silent-console");
        return static_cast<int>(std::chrono::duration_cast<std::chrono::seconds>(judge.verdict()->at.own()).count());
    };
    CHECK(silent_at(3, 0) <= 65);
    CHECK(silent_at(100, 0) <= 65);
    CHECK(silent_at(30, 50) <= 65);
    JudgePolicy emulated;
    emulated.cpu_limit = 180s;
    emulated.wall_limit = 900s;
    CHECK(silent_at(3, 0, emulated) <= 65);
    CHECK(silent_at(130, 0, emulated) <= 65);
    // Not one of which something else is wanted.
    CHECK(silent_at(100, 0, policy_with(ReadySignal::port)) == -1);
}

TEST_CASE("time that a virtual host waits for its own host is read") {
    CHECK(parse_stolen_time("cpu  1 2 3 4 5 6 7 800 9 10\ncpu0 1 2 3 4 5 6 7 300\ncpu1 1 2 3 4 5 6 7 500\nintr 1\n",
                            100) == 4000ms);
    CHECK(parse_stolen_time("cpu  1 2 3 4\ncpu0 1 2 3 4\n", 100) == 0ms); // before Linux 2.6.11
    CHECK(parse_stolen_time("", 100) == 0ms);
}

TEST_CASE("a container's machine is judged by its program") {
    const std::string kernel = "Linux version 6.1\nRun /init as init process\n";
    const std::string starts = kernel + "vm2oci-init: starting \"sh\"\n";
    const std::string ended = "\nvm2oci-init: the program ended with exit code ";
    const auto judged_to_its_end = [](const std::string& console, JudgePolicy policy) {
        Judge judge(std::move(policy));
        judge.console(console, at(100ms));
        judge.event(GuestEvent::shutdown, at(200ms));
        return rule_of(judge);
    };
    JudgePolicy policy;
    policy.by_default = DefaultReady::program;
    CHECK(rule_of(judged(starts, policy)) == "-");
    CHECK(judged_to_its_end(starts + "hello\n" + ended + "0\n", policy) == "-");
    CHECK(judged_to_its_end(starts + ended + "7\n", policy) == "program-failed");
    CHECK(judged_to_its_end(starts, policy) == "powered-off");
    CHECK(judged_to_its_end(kernel, policy) == "powered-off");

    JudgePolicy patient = policy;
    patient.ignored = {"program-failed"};
    CHECK(judged_to_its_end(starts + ended + "7\n", patient) == "-");

    JudgePolicy expecting = policy;
    expecting.expected.emplace_back("hello");
    CHECK(judged_to_its_end(starts + "hello\n" + ended + "0\n", expecting) == "-");
    CHECK(judged_to_its_end(starts + ended + "0\n", expecting) == "program-ended");

    policy.by_default = DefaultReady::healthy;
    CHECK(rule_of(judged(starts + "vm2oci-init: healthy after 3 s\n", policy)) == "-");
    CHECK(rule_of(judged(starts + "vm2oci-init: unhealthy: the health check has failed 3 times in a row\n"
                                  "vm2oci-init: healthy after 9 s\n",
                         policy)) == "unhealthy");
    CHECK(rule_of(judged(starts, policy)) != "-");
    CHECK_FALSE(judged(starts, policy).missing().empty());
}
