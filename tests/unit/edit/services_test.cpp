// Inits and their services, as distributions lay them out, and what switching one on or off changes.
#include "libconvert/edit/plan_builder.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>
#include <elf.h>
#include <fmt/format.h>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

std::string init_of(const MemoryGuest& guest) {
    switch (init_system(PlanBuilder(guest))) {
    case InitSystem::systemd:
        return "systemd";
    case InitSystem::openrc:
        return "openrc";
    case InitSystem::sysv:
        return "sysv";
    case InitSystem::unknown:
        break;
    }
    return "unknown";
}

std::string state_of(const MemoryGuest& guest, const std::string& name = "x") {
    switch (service_state(PlanBuilder(guest), name)) {
    case ServiceState::absent:
        return "absent";
    case ServiceState::disabled:
        return "disabled";
    case ServiceState::enabled:
        return "enabled";
    case ServiceState::unknown:
        break;
    }
    return "unknown";
}

struct Layout {
    const char* distribution;
    std::vector<std::pair<const char*, const char*>> files; // "@target" is a link
    const char* init;
};

MemoryGuest guest_of(const std::vector<std::pair<const char*, const char*>>& files) {
    MemoryGuest guest;
    for (const auto& [path, content] : files)
        if (*content == '@')
            guest.symlink(path, content + 1);
        else
            guest.file(path, content);
    return guest;
}

constexpr const char* kTable = "id:3:initdefault:\nl3:3:wait:/etc/rc.d/rc 3\n1:2345:respawn:/sbin/mingetty tty1\n";

// A program's head of that machine.
std::string program(std::uint16_t machine, unsigned char order = ELFDATA2LSB) {
    std::string head(64, '\0');
    head.replace(0, 4,
                 "\x7f"
                 "ELF");
    head[4] = ELFCLASS64;
    head[5] = static_cast<char>(order);
    head[order == ELFDATA2LSB ? 18 : 19] = static_cast<char>(machine & 0xff);
    head[order == ELFDATA2LSB ? 19 : 18] = static_cast<char>(machine >> 8);
    return head;
}

// What the edits of a plan are, each by a word and its path.
std::string edits_of(const PlanBuilder& plan) {
    std::string out;
    for (const Edit& edit : plan.plan().edits)
        out += std::string(to_string(edit.kind)) + " " + edit.path +
               (edit.kind == EditKind::make_symlink ? "@" + edit.link_target : "") + ";";
    return out;
}

} // namespace

TEST_CASE("The init that runs is told from those that are only installed") {
    const Layout kLayouts[] = {
        {"Enterprise Linux 9",
         {{"/usr/lib/systemd/systemd", ""}, {"/sbin/init", "@/usr/lib/systemd/systemd"}},
         "systemd"},
        {"Debian 8, /lib apart", {{"/lib/systemd/systemd", ""}, {"/sbin/init", "@/lib/systemd/systemd"}}, "systemd"},
        {"a cloud image without /sbin/init", {{"/usr/lib/systemd/systemd", ""}}, "systemd"},
        {"Debian 7, with systemd beside",
         {{"/lib/systemd/systemd", ""}, {"/sbin/init", "elf"}, {"/etc/inittab", kTable}},
         "sysv"},
        {"Ubuntu 14.10, with systemd beside",
         {{"/lib/systemd/systemd", ""}, {"/sbin/init", "elf"}, {"/sbin/initctl", ""}, {"/etc/init/rc.conf", "x"}},
         "sysv"},
        {"systemd, with upstart's jobs left over",
         {{"/lib/systemd/systemd", ""}, {"/sbin/init", "@/lib/systemd/systemd"}, {"/etc/init/rc.conf", "x"}},
         "systemd"},
        {"systemd under another name, and an inittab of comments",
         {{"/lib/systemd/systemd", ""}, {"/sbin/init", "elf"}, {"/etc/inittab", "# inittab is no longer used\n"}},
         "systemd"},
        {"Gentoo with both",
         {{"/usr/lib/systemd/systemd", ""}, {"/sbin/init", "elf"}, {"/sbin/openrc", ""}, {"/etc/inittab", kTable}},
         "openrc"},
        {"Alpine 3",
         {{"/sbin/openrc", ""}, {"/sbin/init", "@/bin/busybox"}, {"/etc/inittab", "::sysinit:/sbin/openrc\n"}},
         "openrc"},
        {"OpenRC in /usr", {{"/usr/sbin/openrc", ""}}, "openrc"},
        {"OpenRC's runner alone", {{"/sbin/openrc-run", ""}}, "openrc"},
        {"Enterprise Linux 5", {{"/sbin/init", "elf"}, {"/etc/inittab", kTable}}, "sysv"},
        {"Enterprise Linux 6", {{"/sbin/init", "elf"}, {"/sbin/initctl", ""}, {"/etc/init/rcS.conf", "x"}}, "sysv"},
        {"Buildroot", {{"/etc/init.d/rcS", ""}}, "sysv"},
        {"Void", {{"/etc/runit/1", ""}}, "sysv"},
        {"a table that only says what a single user gets",
         {{"/lib/systemd/systemd", ""}, {"/sbin/init", "elf"}, {"/etc/inittab", "# c\n~~:S:wait:/sbin/sulogin\n"}},
         "sysv"},
        {"a container", {{"/bin/sh", ""}}, "unknown"},
    };
    for (const Layout& each : kLayouts) {
        CAPTURE(each.distribution);
        CHECK(init_of(guest_of(each.files)) == each.init);
    }
    CHECK(has_upstart(PlanBuilder(guest_of({{"/etc/init/rc.conf", ""}}))));
    CHECK_FALSE(has_upstart(PlanBuilder(guest_of({{"/etc/init/rc.override", ""}, {"/etc/inittab", ""}}))));
    CHECK_FALSE(has_upstart(PlanBuilder(with_systemd_alone().file("/etc/init/rc.conf", ""))));
    CHECK(has_runit(PlanBuilder(guest_of({{"/etc/runit/1", ""}}))));
    CHECK(has_runit(PlanBuilder(guest_of({{"/etc/inittab", ""}, {"/etc/sv/x/run", ""}}))));
    CHECK_FALSE(has_runit(PlanBuilder(MemoryGuest().file("/etc/inittab", "").folder("/etc/sv"))));
    CHECK_FALSE(has_runit(PlanBuilder(with_systemd_alone().file("/etc/sv/x/run", ""))));
}

TEST_CASE("A unit's state is that of its links") {
    const std::string unit = "[Service]\nExecStart=/x\n[Install]\nWantedBy=multi-user.target\n";
    const auto with = [&](const std::string& more, const std::string& target = "/usr/lib/systemd/system/x.service") {
        MemoryGuest guest = with_systemd_alone();
        guest.file("/usr/lib/systemd/system/x.service", unit).symlink(more, target);
        return state_of(guest);
    };
    CHECK(state_of(with_systemd_alone()) == "absent");
    CHECK(with("/etc/other") == "disabled");
    for (const char* link :
         {"/etc/systemd/system/multi-user.target.wants/x.service", "/etc/systemd/system/y.service.requires/x.service",
          "/usr/lib/systemd/system/basic.target.wants/x.service", "/lib/systemd/system/basic.target.wants/x.service",
          "/etc/systemd/system/alias.service"}) {
        CAPTURE(link);
        CHECK(with(link) == "enabled");
    }
    CHECK(with("/etc/systemd/system/x.service", "/dev/null") == "disabled");
    CHECK(with("/etc/systemd/system/multi-user.target.wants/xx.service") == "disabled");
    CHECK(with("/etc/systemd/system/alias.service", "/usr/lib/systemd/system/y.service") == "disabled");
    MemoryGuest guest = with_systemd_alone();
    guest.file("/lib/systemd/system/x.service", "[Service]\nExecStart=/x\n");
    CHECK(state_of(guest) == "unknown"); // which nobody can enable
    guest.file("/etc/systemd/system/x.service", unit);
    CHECK(state_of(guest) == "disabled"); // the administrator's goes first
    guest.file("/etc/systemd/system/x.service", "# nothing\n\n");
    CHECK(state_of(guest) == "disabled"); // masked by an empty file
    guest.symlink("/etc/systemd/system/multi-user.target.wants/x.service", "x");
    CHECK(state_of(guest) == "disabled");
    MemoryGuest script = with_systemd_alone();
    script.file("/etc/init.d/x", "");
    CHECK(state_of(script) == "disabled");
    script.symlink("/etc/rc3.d/S20x", "../init.d/x");
    CHECK(state_of(script) == "enabled");
}

TEST_CASE("Scripts, jobs and services of the other inits are on by what each init looks at") {
    MemoryGuest sysv = guest_of({{"/etc/inittab", kTable}});
    CHECK(state_of(sysv) == "absent");
    sysv.file("/etc/init.d/x", "");
    CHECK(state_of(sysv) == "disabled");
    for (const char* link : {"/etc/rc2.d/S20x", "/etc/rc5.d/S99x", "/etc/rcS.d/S01x", "/etc/rc.d/rc3.d/S80x",
                             "/etc/rc.d/rc4.d/S80x", "/etc/init.d/rc3.d/S05x", "/etc/init.d/boot.d/S01x"}) {
        CAPTURE(link);
        CHECK(state_of(MemoryGuest(sysv).symlink(link, "/etc/init.d/x")) == "enabled");
    }
    for (const char* link : {"/etc/rc0.d/S20x", "/etc/rc6.d/S20x", "/etc/rc1.d/S20x", "/etc/rc3.d/K20x",
                             "/etc/rc3.d/S20xy", "/etc/rc3.d/S2x", "/etc/rc3.d/S200x"}) {
        CAPTURE(link);
        CHECK(state_of(MemoryGuest(sysv).symlink(link, "/etc/init.d/x")) == "disabled");
    }
    MemoryGuest openrc = guest_of({{"/sbin/openrc", ""}});
    CHECK(state_of(openrc) == "absent");
    openrc.file("/etc/init.d/x", "");
    CHECK(state_of(openrc) == "disabled");
    CHECK(state_of(openrc.symlink("/etc/runlevels/boot/x", "/etc/init.d/x")) == "enabled");
    MemoryGuest runit = guest_of({{"/etc/runit/1", ""}});
    CHECK(state_of(runit) == "absent");
    runit.file("/etc/sv/x/run", "");
    CHECK(state_of(runit) == "disabled");
    CHECK(state_of(MemoryGuest(runit).symlink("/var/service/x", "/etc/sv/x")) == "enabled");
    CHECK(state_of(MemoryGuest(runit).symlink("/etc/runit/runsvdir/default/x", "/etc/sv/x")) == "enabled");
    MemoryGuest upstart = guest_of({{"/etc/init/rc.conf", "x"}});
    CHECK(state_of(upstart) == "absent");
    upstart.file("/etc/init/x.conf", "start on runlevel [2345]\nexec /x\n");
    CHECK(state_of(upstart) == "enabled");
    CHECK(state_of(MemoryGuest(upstart).file("/etc/init/x.override", "manual\n")) == "disabled");
    CHECK(state_of(MemoryGuest(upstart).file("/etc/init/x.override", "nice 5\n")) == "enabled");
    CHECK(state_of(MemoryGuest(upstart).file("/etc/init/x.conf", "#start on x\nexec /x\n")) == "disabled");
}

TEST_CASE("A mask is a link to nowhere, or a file in which nothing stands") {
    MemoryGuest guest;
    guest.symlink("/a", "/dev/null").file("/b", "").file("/c", "# x\n\n  # y\n").file("/d", "# x\ny\n");
    guest.symlink("/e", "/b").symlink("/f", "/nowhere").folder("/g").special("/h", FileType::fifo);
    const PlanBuilder plan(guest);
    for (const char* path : {"/a", "/b", "/c"}) {
        CAPTURE(path);
        CHECK(is_mask(plan, path));
    }
    for (const char* path : {"/d", "/e", "/f", "/g", "/h", "/i"}) {
        CAPTURE(path);
        CHECK_FALSE(is_mask(plan, path));
    }
}

TEST_CASE("A unit is enabled by its [Install] section") {
    MemoryGuest guest = with_systemd_alone();
    guest.file("/usr/lib/systemd/system/x.service",
               "[Unit]\nWantedBy=no.target\n[Install]\nWantedBy=a.target b.target\n# WantedBy=c.target\n"
               " RequiredBy = d.service \nAlias=y.service ../evil.service\nAlso=z.service\n");
    PlanBuilder plan(guest);
    enable_systemd_unit(plan, "/usr/lib/systemd/system/x.service", "because");
    const std::string unit = "@/usr/lib/systemd/system/x.service;";
    CHECK(edits_of(plan) == "mkdir /etc;mkdir /etc/systemd;mkdir /etc/systemd/system;"
                            "mkdir /etc/systemd/system/a.target.wants;symlink "
                            "/etc/systemd/system/a.target.wants/x.service" +
                                unit +
                                "mkdir /etc/systemd/system/b.target.wants;symlink "
                                "/etc/systemd/system/b.target.wants/x.service" +
                                unit +
                                "mkdir /etc/systemd/system/d.service.requires;symlink "
                                "/etc/systemd/system/d.service.requires/x.service" +
                                unit + "symlink /etc/systemd/system/y.service" + unit);
    PlanBuilder none(guest);
    enable_systemd_unit(none, "/usr/lib/systemd/system/none.service", "because");
    CHECK_FALSE(none.changed());
}

TEST_CASE("A job's start is a comment afterwards, over however many lines") {
    struct Case {
        const char* job;
        const char* without;
    };
    for (const Case& each : {
             Case{"start on runlevel [2345]\nexec /x\n", "#start on runlevel [2345]\nexec /x\n"},
             {"  start on (a\n  and b)\nstop on c\n", "#  start on (a\n#  and b)\nstop on c\n"},
             {"start on (a and (b\n or c))\nrespawn\n", "#start on (a and (b\n# or c))\nrespawn\n"},
             {"start on a \\\n or b\nrespawn\n", "#start on a \\\n# or b\nrespawn\n"},
             {"start on a\nstart on b\n", "#start on a\n#start on b\n"},
             {"start  on a", "#start  on a\n"},
             {"started on a\nrestart on b\nstart\n", nullptr},
             {"# start on a\n", nullptr},
             {"", nullptr},
         }) {
        CAPTURE(each.job);
        CHECK(without_start(each.job) ==
              (each.without == nullptr ? std::nullopt : std::optional<std::string>(each.without)));
    }
}

TEST_CASE("A service that is disabled is not started by any init") {
    const auto disabled = [](const MemoryGuest& guest, const std::string& name) {
        PlanBuilder plan(guest);
        disable_service(plan, name, "because");
        return edits_of(plan);
    };
    MemoryGuest systemd = with_systemd_alone().folder("/etc/systemd/system");
    CHECK(disabled(systemd, "x.service") == "symlink /etc/systemd/system/x.service@/dev/null;");
    CHECK(disabled(systemd, "x.mount") == "symlink /etc/systemd/system/x.mount@/dev/null;");
    CHECK(disabled(systemd, "x").empty());
    MemoryGuest other = guest_of({{"/etc/inittab", ""},
                                  {"/etc/runlevels/default/x", "@/etc/init.d/x"},
                                  {"/etc/runlevels/boot/x", "@/etc/init.d/x"},
                                  {"/etc/runit/runsvdir/default/x", "@/etc/sv/x"},
                                  {"/etc/service/x", "@/etc/sv/x"},
                                  {"/var/service/x", "@/etc/sv/x"},
                                  {"/etc/rc2.d/S20x", "@../init.d/x"},
                                  {"/etc/rc2.d/K20x", "@../init.d/x"},
                                  {"/etc/rc2.d/S20xx", "@../init.d/x"},
                                  {"/etc/rc.d/rc5.d/S01x", "@../init.d/x"},
                                  {"/etc/init.d/rc3.d/S01x", "@../x"},
                                  {"/etc/init.d/boot.d/S01x", "@../x"},
                                  {"/etc/init.d/x", ""}});
    CHECK(disabled(other, "x.service") ==
          "remove /etc/runlevels/boot/x;remove /etc/runlevels/default/x;remove /etc/runit/runsvdir/default/x;"
          "remove /etc/service/x;remove /var/service/x;remove /etc/rc2.d/S20x;remove /etc/rc.d/rc5.d/S01x;"
          "remove /etc/init.d/rc3.d/S01x;remove /etc/init.d/boot.d/S01x;");
    MemoryGuest upstart = guest_of({{"/etc/init/x.conf", "start on y\n"}, {"/etc/init/z.conf", "exec z\n"}});
    CHECK(disabled(upstart, "x") == "write /etc/init/x.conf;");
    CHECK(disabled(upstart, "z").empty());
}

TEST_CASE("The guest's machine is that of the first program that is one") {
    const auto machine = [](const std::vector<std::pair<const char*, std::string>>& files) {
        MemoryGuest guest;
        for (const auto& [path, content] : files)
            guest.file(path, content);
        return guest_machine(PlanBuilder(guest));
    };
    CHECK_FALSE(machine({}));
    CHECK(machine({{"/bin/sh", program(EM_X86_64)}}) == EM_X86_64);
    CHECK(machine({{"/bin/sh", program(EM_PPC64, ELFDATA2MSB)}}) == EM_PPC64);
    CHECK(machine({{"/bin/sh", program(0x1234)}}) == 0x1234);
    CHECK(machine({{"/bin/sh", "#!/bin/busybox\n"}, {"/bin/busybox", program(EM_AARCH64)}}) == EM_AARCH64);
    CHECK(machine({{"/bin/sh", program(EM_X86_64).substr(0, 63)}, {"/usr/bin/env", program(EM_S390)}}) == EM_S390);
    CHECK(machine({{"/bin/sh", program(EM_X86_64)}, {"/sbin/init", program(EM_AARCH64)}}) == EM_X86_64);
    MemoryGuest linked;
    linked.symlink("/bin", "usr/bin").symlink("/usr/bin/sh", "dash").file("/usr/bin/dash", program(EM_RISCV));
    CHECK(guest_machine(PlanBuilder(linked)) == EM_RISCV);
    linked.symlink("/usr/bin/sh", "sh"); // a link that loops
    CHECK_FALSE(guest_machine(PlanBuilder(linked)));
}

TEST_CASE("Accounts are lines of seven fields with numbers and a home") {
    const auto account = [](const std::string& passwd, std::string_view name = "ann") {
        MemoryGuest guest;
        guest.file("/etc/passwd", passwd);
        const auto found = find_account(PlanBuilder(guest), name);
        return found ? fmt::format("{} {} {} {}", found->name, found->uid, found->gid, found->home) : "none";
    };
    CHECK(account("root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:A B,,:/home/ann:/bin/bash\n") ==
          "ann 1000 100 /home/ann");
    CHECK(account("ann:x:1000:100::/home/ann:/bin/bash:more\n") == "ann 1000 100 /home/ann");
    CHECK(account("ann:x:4294967295:0::/:\n") == "ann 4294967295 0 /");
    for (const char* odd :
         {"", "anna:x:1:1::/h:/s\n", "ann:x:1:1::/h\n", "ann:x:-1:1::/h:/s\n", "ann:x:1:x:::/s\n", "ann:x:1:1::h:/s\n",
          "ann:x:4294967296:1::/h:/s\n", "ann:x::1::/h:/s\n", "ann:x:1 :1::/h:/s\n", "#ann:x:1:1::/h:/s\n"}) {
        CAPTURE(odd);
        CHECK(account(odd) == "none");
    }
    CHECK(account("ann:x:bad:1::/h:/s\nann:x:2:2::/g:/s\n") == "ann 2 2 /g");
    CHECK_FALSE(find_account(PlanBuilder(MemoryGuest()), "root"));
}
