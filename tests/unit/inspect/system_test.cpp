// Init, services, agents, users and the marks of identity.
#include "libconvert/inspect/guest_info.hpp"
#include "tests/unit/inspect/inspect_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;
using test::Words;

TEST_CASE("what starts a guest is told by where /sbin/init leads and by what else is there") {
    struct Row {
        const char* who;
        std::vector<std::pair<const char*, const char*>> links;
        Words files;
        const char* init;
    };
    const Row rows[] = {
        {"Debian 12", {{"/sbin/init", "/lib/systemd/systemd"}}, {"/lib/systemd/systemd"}, "systemd"},
        {"RHEL 9", {{"/sbin/init", "../lib/systemd/systemd"}}, {"/etc/inittab"}, "systemd"},
        {"an image without /sbin/init", {}, {"/usr/lib/systemd/systemd"}, "systemd"},
        {"the same of old", {}, {"/lib/systemd/systemd"}, "systemd"},
        {"Alpine", {{"/sbin/init", "/bin/busybox"}}, {"/sbin/openrc", "/etc/inittab"}, "openrc"},
        {"Gentoo", {}, {"/sbin/init", "/sbin/openrc", "/etc/inittab"}, "openrc"},
        {"Artix", {{"/sbin/init", "openrc-init"}}, {"/usr/bin/openrc"}, "openrc"},
        {"Alpine, merged", {{"/sbin/init", "/bin/busybox"}}, {"/usr/sbin/openrc"}, "openrc"},
        {"Ubuntu 14.04", {}, {"/sbin/init", "/sbin/initctl", "/etc/init/rc.conf", "/etc/inittab"}, "upstart"},
        {"RHEL 6", {}, {"/sbin/init", "/sbin/initctl", "/etc/init/rc.conf", "/etc/inittab"}, "upstart"},
        {"without initctl", {{"/sbin/init", "x"}}, {"/etc/init/rc.conf", "/etc/inittab"}, "sysvinit"},
        {"Debian 7", {{"/sbin/init", "sysvinit"}}, {"/etc/inittab"}, "sysvinit"},
        {"Void", {{"/sbin/init", "runit-init"}}, {"/etc/runit/1"}, "runit"},
        {"another, with systemd beside it", {{"/sbin/init", "other"}}, {"/usr/lib/systemd/systemd"}, "systemd"},
        {"nothing", {}, {"/etc/passwd"}, ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.who);
        MemoryGuest guest;
        for (const auto& [path, target] : row.links)
            guest.symlink(path, target);
        for (const std::string& path : row.files)
            guest.file(path, "");
        CHECK(identify_guest(test::opened_of(std::move(guest))).init == row.init);
    }
}

TEST_CASE("systemd's version stands in the name of its library, wherever that lies") {
    struct Row {
        const char* path;
        const char* version;
    };
    for (const Row& row : {Row{"/usr/lib/systemd/libsystemd-core-255.4-1.fc40.so", "255"},
                           {"/usr/lib64/systemd/libsystemd-core-252.so", "252"},
                           {"/usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-252.so", "252"},
                           {"/usr/lib/aarch64-linux-gnu/systemd/libsystemd-core-249.so", "249"},
                           {"/lib/systemd/libsystemd-core-247.so", "247"},
                           {"/usr/lib/systemd/libsystemd-shared-252.so", ""},
                           {"/usr/lib/systemd/libsystemd-core-", ""}}) {
        CAPTURE(row.path);
        MemoryGuest guest;
        guest.symlink("/sbin/init", "/lib/systemd/systemd").file(row.path, "");
        CHECK(test::inspect(guest).init_version == row.version);
        CHECK(test::inspect(guest, LargeFiles::leave).init_version.empty());
    }
    MemoryGuest other;
    other.file("/sbin/openrc", "").file("/usr/lib/systemd/libsystemd-core-252.so", "");
    CHECK(test::inspect(other).init_version.empty());
}

TEST_CASE("services are those that something starts") {
    MemoryGuest guest;
    guest.symlink("/etc/systemd/system/multi-user.target.wants/cron.service", "/lib/systemd/system/cron.service");
    guest.symlink("/etc/systemd/system/sysinit.target.requires/lvm2.service", "/x");
    guest.symlink("/etc/systemd/system/other.service.d/override.conf", "/x");
    guest.symlink("/etc/systemd/system/dbus.service", "/x");
    guest.symlink("/etc/systemd/system/multi-user.target.wantsnot/no.service", "/x");
    guest.symlink("/etc/runlevels/default/sshd", "/etc/init.d/sshd").symlink("/etc/runlevels/boot/networking", "/x");
    for (const char* path :
         {"/etc/rc2.d/S20ssh", "/etc/rc3.d/S99local", "/etc/rc.d/rc3.d/S10network", "/etc/init.d/rc3.d/S05postfix",
          "/etc/rc2.d/S01cron", "/etc/rc2.d/K80off", "/etc/rc2.d/README", "/etc/rc2.d/Sx1no", "/etc/rc2.d/S20",
          "/etc/rc2.d/S21x", "/etc/rc5.d/S20only5"})
        guest.symlink(path, "../init.d/x");
    CHECK(test::inspect(std::move(guest)).enabled_services ==
          Words{"cron.service", "local", "lvm2.service", "network", "networking", "postfix", "ssh", "sshd", "x"});
}

TEST_CASE("agents of every hypervisor are known by their programs, and enabled by what starts them") {
    struct Row {
        const char* name;
        Words paths;
        Words services;
    };
    const Row rows[] = {
        {"vm2oci-agent", {"/usr/local/sbin/vm2oci-agent"}, {"vm2oci-agent"}},
        {"qemu-guest-agent", {"/usr/sbin/qemu-ga", "/usr/bin/qemu-ga"}, {"qemu-guest-agent", "qemu-ga"}},
        {"open-vm-tools", {"/usr/bin/vmtoolsd", "/usr/sbin/vmtoolsd"}, {"open-vm-tools", "vmtoolsd", "vmware-tools"}},
        {"virtualbox-guest",
         {"/usr/sbin/VBoxService", "/usr/bin/VBoxService"},
         {"virtualbox-guest-utils", "vboxadd-service", "vboxservice"}},
        {"xe-guest-utilities", {"/usr/sbin/xe-daemon", "/usr/bin/xe-daemon"}, {"xe-linux-distribution", "xe-daemon"}},
        {"hyperv-daemons",
         {"/usr/sbin/hv_kvp_daemon", "/usr/bin/hv_kvp_daemon"},
         {"hv-kvp-daemon", "hypervkvpd", "hv_kvp_daemon"}},
        {"walinuxagent", {"/usr/sbin/waagent", "/usr/bin/waagent"}, {"walinuxagent", "waagent"}},
        {"google-guest-agent",
         {"/usr/bin/google_guest_agent", "/usr/bin/google_guest_agent_manager"},
         {"google-guest-agent", "google-guest-agent-manager"}},
        {"amazon-ssm-agent", {"/usr/bin/amazon-ssm-agent", "/snap/amazon-ssm-agent"}, {"amazon-ssm-agent"}},
        {"spice-vdagent", {"/usr/sbin/spice-vdagentd", "/usr/bin/spice-vdagentd"}, {"spice-vdagentd", "spice-vdagent"}},
        {"parallels-tools", {"/usr/bin/prltoolsd", "/usr/lib/parallels-tools"}, {"prltoolsd"}},
    };
    const auto only_agent = [](MemoryGuest guest) {
        const std::vector<InstalledAgent> agents = test::inspect(std::move(guest)).agents;
        REQUIRE(agents.size() == 1);
        return agents.front();
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        for (const std::string& path : row.paths) {
            const InstalledAgent agent = only_agent(MemoryGuest().file(path, ""));
            CHECK(agent.name == row.name);
            CHECK(agent.path == path);
            CHECK_FALSE(agent.enabled);
        }
        for (const std::string& service : row.services) {
            CAPTURE(service);
            MemoryGuest systemd;
            systemd.file(row.paths.front(), "");
            systemd.symlink("/etc/systemd/system/multi-user.target.wants/" + service + ".service", "/x");
            CHECK(only_agent(std::move(systemd)).enabled);
            MemoryGuest openrc;
            openrc.file(row.paths.front(), "").symlink("/etc/runlevels/default/" + service, "/x");
            CHECK(only_agent(std::move(openrc)).enabled);
            for (const char* rules : {"/lib/udev/rules.d/60-", "/usr/lib/udev/rules.d/60-", "/usr/lib/udev/rules.d/99-",
                                      "/etc/udev/rules.d/60-"}) {
                MemoryGuest udev;
                udev.file(row.paths.front(), "").file(rules + service + ".rules", "");
                CHECK(only_agent(std::move(udev)).enabled);
            }
        }
    }
    MemoryGuest other;
    other.file("/usr/sbin/qemu-ga", "").file("/usr/lib/udev/rules.d/60-net.rules", "");
    other.symlink("/etc/runlevels/default/qemu", "/x");
    CHECK_FALSE(only_agent(std::move(other)).enabled);
}

TEST_CASE("drivers and tools of Windows are found in whatever case they are written") {
    struct Row {
        const char* path;
        const char* name;
    };
    const Row rows[] = {{"/Program Files/Qemu-ga/qemu-ga.exe", "qemu-guest-agent"},
                        {"/Program Files/VMware/VMware Tools/vmtoolsd.exe", "open-vm-tools"},
                        {"/Windows/System32/VBoxService.exe", "virtualbox-guest"},
                        {"/WINDOWS/system32/drivers/viostor.sys", "virtio-blk driver"},
                        {"/Windows/System32/Drivers/VIOSCSI.SYS", "virtio-scsi driver"},
                        {"/Windows/System32/drivers/netkvm.sys", "virtio-net driver"},
                        {"/Windows/System32/drivers/balloon.sys", "balloon driver"}};
    MemoryGuest all;
    for (const Row& row : rows) {
        CAPTURE(row.path);
        OpenedGuest opened = test::opened_of(MemoryGuest().file(row.path, "x"));
        opened.windows = WindowsFacts{};
        const std::vector<InstalledAgent> agents = inspect_guest(opened, {}).agents;
        REQUIRE(agents.size() == 1);
        CHECK(agents[0].name == row.name);
        CHECK(agents[0].path == row.path);
        CHECK(agents[0].enabled);
    }
    OpenedGuest none =
        test::opened_of(MemoryGuest().file("/Windows/System32/drivers/vioscsi", "").file("/usr/sbin/qemu-ga", ""));
    none.windows = WindowsFacts{};
    CHECK(inspect_guest(none, {}).agents.empty());
}

TEST_CASE("a machine's id is set, empty, to be set, or not there") {
    struct Row {
        const char* text; // null: no file
        const char* state;
    };
    for (const Row& row : {Row{nullptr, "absent"},
                           {"", "empty"},
                           {" \n", "empty"},
                           {"uninitialized\n", "uninitialized"},
                           {"0123456789abcdef0123456789abcdef\n", "set"},
                           {"uninitialized2", "set"}}) {
        MemoryGuest guest;
        guest.file("/etc/passwd", "");
        if (row.text != nullptr)
            guest.file("/etc/machine-id", row.text);
        CHECK(test::inspect(std::move(guest)).machine_id == row.state);
    }
}

TEST_CASE("host keys are the private ones of sshd") {
    MemoryGuest guest;
    for (const char* name : {"ssh_host_rsa_key", "ssh_host_rsa_key.pub", "ssh_host_ed25519_key", "ssh_host_key",
                             "ssh_config", "my_ssh_host_rsa_key", "ssh_host_rsa_key.bak", "ssh_host_"})
        guest.file(std::string("/etc/ssh/") + name, "");
    CHECK(test::inspect(std::move(guest)).host_keys ==
          Words{"ssh_host_ed25519_key", "ssh_host_key", "ssh_host_rsa_key"});
}

TEST_CASE("users are those who can log in") {
    MemoryGuest guest;
    guest.file("/etc/passwd",
               "root:x:0:0:root:/root:/bin/bash\n"
               "daemon:x:1:1::/:/usr/sbin/nologin\nbin:x:2:2::/:/bin/false\nsync:x:4:65534::/bin:/bin/sync\n"
               "shutdown:x:6:0::/sbin:/sbin/shutdown\nhalt:x:7:0::/sbin:/sbin/halt\n"
               "locked:x:1000:1000::/home/locked:/bin/sh\nstarred:x:1001:1001::/home/starred:/bin/sh\n"
               "open:x:1002:1002::/home/open:/bin/sh\nold:$1$abc:1003:1003::/home/old:/bin/sh\n"
               "noshell:x:1004:1004::/home/noshell:\nshort:x:1005\n"
               "odd:x:many:1006::/home/odd:/bin/zsh\nlast:x:4294967294:1::/home/last:/usr/bin/fish\n");
    guest.file("/etc/shadow",
               "root:$6$s$h:19000:0:99999:7:::\nlocked:!$6$s$h:1::::::\nstarred:*:1::::::\nopen::1::::::\n"
               "last:$y$j9T$x:1::::::\nbroken\n");
    guest.file("/root/.ssh/authorized_keys", "ssh-rsa AAAA a\n\n  # comment\nssh-ed25519 BBBB b\n");
    guest.file("/root/.ssh/authorized_keys2", "ssh-dss CCCC c\n").file("/home/open/.ssh/authorized_keys", "#\n");
    struct Row {
        const char* name;
        std::uint32_t uid;
        bool has_password;
        unsigned keys;
    };
    const Row rows[] = {{"root", 0, true, 3},     {"locked", 1000, false, 0},    {"starred", 1001, false, 0},
                        {"open", 1002, false, 0}, {"old", 1003, true, 0},        {"noshell", 1004, false, 0},
                        {"odd", 0, false, 0},     {"last", 4294967294u, true, 0}};
    const std::vector<LoginUser> users = test::inspect(std::move(guest)).users;
    REQUIRE(users.size() == std::size(rows));
    for (std::size_t i = 0; i < users.size(); ++i) {
        CAPTURE(rows[i].name);
        CHECK(users[i].name == rows[i].name);
        CHECK(users[i].uid == rows[i].uid);
        CHECK(users[i].has_password == rows[i].has_password);
        CHECK(users[i].authorized_keys == rows[i].keys);
    }
}

TEST_CASE("one part that cannot be read is a remark, and the rest is told") {
    // A circle of links ends every look at what it leads to.
    MemoryGuest guest;
    guest.symlink("/etc/machine-id", "/etc/machine-id").file("/etc/os-release", "ID=debian\n");
    guest.symlink("/etc/ssh", "/etc/ssh").symlink("/etc/systemd", "/etc/systemd").symlink("/boot", "/boot");
    guest.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\n").file("/etc/hostname", "a\n");
    const GuestInfo info = test::inspect(std::move(guest));
    CHECK(info.os.distribution == "debian");
    CHECK(info.machine_id == "absent");
    CHECK(info.host_keys.empty());
    CHECK(info.kernels.empty());
    CHECK(info.users.size() == 1);
}

TEST_CASE("what the disk throws is not hidden as a remark") {
    class BrokenDisk final : public Guest {
      public:
        explicit BrokenDisk(ErrorKind kind) : kind_(kind) {}
        std::optional<FileStatus> status(std::string_view, FinalLink) const override { fail(kind_, "no such luck"); }
        std::optional<std::vector<std::string>> list(std::string_view) const override { fail(kind_, "no such luck"); }
        std::optional<std::string> read_file(std::string_view, std::size_t) const override {
            fail(kind_, "no such luck");
        }
        std::optional<std::string> read_range(std::string_view, std::uint64_t, std::size_t) const override {
            fail(kind_, "no such luck");
        }
        std::optional<std::string> read_link(std::string_view) const override { fail(kind_, "no such luck"); }
        std::vector<ExtendedAttribute> attributes(std::string_view) const override { return {}; }
        void export_tree(const ExportOptions&, TreeSink&, const OperationContext&) const override {}
        std::vector<GuestMount> mounts() const override { return {}; }

      private:
        ErrorKind kind_;
    };
    for (const ErrorKind kind : {ErrorKind::io, ErrorKind::cancelled}) {
        OpenedGuest opened;
        opened.guest = std::make_unique<BrokenDisk>(kind);
        CHECK_THROWS_WITH(inspect_guest(opened, {}), "no such luck");
        CHECK_THROWS_WITH(identify_guest(opened), "no such luck");
        CHECK_THROWS_WITH(inspect_boot(opened), "no such luck");
    }
    OpenedGuest damaged;
    damaged.guest = std::make_unique<BrokenDisk>(ErrorKind::corrupt);
    const GuestInfo info = inspect_guest(damaged, {});
    CHECK_FALSE(info.remarks.empty());
    for (const std::string& remark : info.remarks)
        CHECK(remark.ends_with(": no such luck"));
}
