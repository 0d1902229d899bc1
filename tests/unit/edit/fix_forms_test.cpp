// Fixes case by case: gettys of each init, boot loaders of each firmware folder, tools of each hypervisor, and what of
// a network is let go.
#include "libconvert/edit/network_settings.hpp"
#include "libconvert/edit/plan_builder.hpp"
#include "tests/unit/edit/edit_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

std::string inittab_of(const std::string& table, MemoryGuest guest = MemoryGuest()) {
    guest.file("/etc/inittab", table);
    const std::string changed = written(plan_fix(guest, "console"), "/etc/inittab");
    return changed == "-" ? table : changed;
}

std::string arm_program() {
    std::string head("\x7f"
                     "ELF\x02\x01",
                     6);
    head.resize(64);
    head[18] = static_cast<char>(183);
    return head;
}

// The copies that the fix makes, "from the content" to the path below the EFI system partition.
std::string copies(const MemoryGuest& guest) {
    std::string out;
    for (const Edit& edit : plan_fix(guest, "uefi").edits)
        if (edit.kind == EditKind::write_file)
            out += edit.content + " -> " + edit.path + ";";
    return out;
}

std::string state_of_unit(const std::string& unit) {
    MemoryGuest guest = with_systemd_alone();
    guest.file("/usr/lib/systemd/system/" + unit, "[Service]\n");
    return linked(plan_fix(guest, "tools"), "/etc/systemd/system/" + unit);
}

} // namespace

TEST_CASE("inittab gets a getty on the serial port, from what the guest has") {
    const std::string sysv = "id:2:initdefault:\n1:2345:respawn:/sbin/getty 38400 tty1\n";
    MemoryGuest getty;
    getty.file("/sbin/getty", "");
    struct Case {
        std::string before;
        std::string after;
    };
    for (const Case& each : {
             Case{sysv, sysv + "S0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100\n"},
             {sysv + "#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n",
              sysv + "T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"},
             {sysv + "T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n",
              sysv + "T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n"},
             {sysv + "#T3:23:respawn:/sbin/mgetty -x0 ttyS3\n",
              sysv + "#T3:23:respawn:/sbin/mgetty -x0 ttyS3\nS0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100\n"},
             // A program that is not there is not switched on.
             {sysv + "#S0:23:respawn:/sbin/agetty ttyS0\n",
              sysv + "#S0:23:respawn:/sbin/agetty ttyS0\nS0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100\n"},
             // BusyBox: the first field is the terminal, and there are no levels.
             {"::sysinit:/sbin/openrc\ntty1::respawn:/sbin/getty 38400 tty1\n#ttyS0::respawn:/sbin/getty -L ttyS0 9600 "
              "vt100\n",
              "::sysinit:/sbin/openrc\ntty1::respawn:/sbin/getty 38400 tty1\nttyS0::respawn:/sbin/getty -L ttyS0 9600 "
              "vt100\n"},
             {"::sysinit:/etc/init.d/rcS\n",
              "::sysinit:/etc/init.d/rcS\nttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n"},
             {sysv + "S0:2345:once:/sbin/getty ttyS0\n",
              sysv + "S0:2345:once:/sbin/getty ttyS0\nS0:2345:respawn:/sbin/getty -L ttyS0 115200 vt100\n"},
             {sysv + "S0:2345:respawn:/sbin/getty /dev/ttyS0\n", sysv + "S0:2345:respawn:/sbin/getty /dev/ttyS0\n"},
             // One login is enough: the second line stays a comment.
             {sysv + "T0:23:respawn:/sbin/getty ttyS0\n#T1:23:respawn:/sbin/getty ttyS0 9600\n",
              sysv + "T0:23:respawn:/sbin/getty ttyS0\n#T1:23:respawn:/sbin/getty ttyS0 9600\n"},
         }) {
        CAPTURE(each.before);
        CHECK(inittab_of(each.before, getty) == each.after);
        CHECK(inittab_of(each.after, getty) == each.after);
    }
    const std::string table = "id:2:initdefault:\n";
    for (const auto& [program, command] : {std::pair("/sbin/agetty", "/sbin/agetty -L ttyS0 115200 vt100"),
                                           std::pair("/usr/sbin/agetty", "/usr/sbin/agetty -L ttyS0 115200 vt100"),
                                           std::pair("/sbin/mgetty", "/sbin/mgetty -r -s 115200 ttyS0")})
        CHECK(inittab_of(table, MemoryGuest().file(program, "")) == table + "S0:2345:respawn:" + command + "\n");
    MemoryGuest none;
    none.file("/etc/inittab", table + "1:2345:respawn:/sbin/mingetty tty1\n");
    CHECK(tells(plan_fix(none, "console"), "the guest has no getty that could ask for a login on ttyS0"));
    MemoryGuest arm = getty;
    arm.file("/bin/sh", arm_program());
    CHECK(inittab_of(table, arm) == table + "S0:2345:respawn:/sbin/getty -L ttyAMA0 115200 vt100\n");
}

TEST_CASE("upstart, runit and OpenRC get a login of their own kind, once") {
    MemoryGuest upstart;
    upstart.file("/etc/init/rc.conf", "start on x\n").file("/sbin/getty", "");
    EditPlan plan = plan_fix(upstart, "console");
    CHECK(written(plan, "/etc/init/ttyS0.conf") ==
          "# Written by vm2oci: a login on ttyS0.\nstart on stopped rc RUNLEVEL=[2345]\nstop on runlevel [!2345]\n"
          "respawn\nexec /sbin/getty -L ttyS0 115200 vt100\n");
    CHECK(written(plan_fix(MemoryGuest(upstart).file("/etc/init/serial.conf", ""), "console"),
                  "/etc/init/ttyS0.conf") == "-");
    CHECK(written(plan_fix(MemoryGuest(upstart).file("/etc/init/t.conf", "exec getty ttyS0\n"), "console"),
                  "/etc/init/ttyS0.conf") == "-");
    CHECK(written(plan_fix(MemoryGuest(upstart).file("/etc/init/t.conf", "exec getty tty1\n"), "console"),
                  "/etc/init/ttyS0.conf") != "-");
    CHECK(tells(plan_fix(MemoryGuest(upstart).remove("/sbin/getty"), "console"), "the guest has no getty"));
    MemoryGuest runit;
    runit.file("/etc/runit/1", "").file("/etc/sv/agetty-ttyS0/run", "");
    CHECK(linked(plan_fix(runit, "console"), "/etc/runit/runsvdir/default/agetty-ttyS0") == "/etc/sv/agetty-ttyS0");
    CHECK_FALSE(plan_fix(MemoryGuest(runit).symlink("/var/service/agetty-ttyS0", "x"), "console").edits.size() != 0);
    CHECK(tells(plan_fix(MemoryGuest(runit).remove("/etc/sv/agetty-ttyS0"), "console"),
                "the guest has no service agetty-ttyS0 for a login on the serial port"));
    MemoryGuest openrc;
    openrc.file("/sbin/openrc", "").file("/etc/init.d/agetty", "");
    plan = plan_fix(openrc, "console");
    CHECK(linked(plan, "/etc/init.d/agetty.ttyS0") == "agetty");
    CHECK(linked(plan, "/etc/runlevels/default/agetty.ttyS0") == "/etc/init.d/agetty.ttyS0");
    CHECK(linked(plan_fix(MemoryGuest(openrc).symlink("/etc/runlevels/boot/agetty.ttyS0", "x"), "console"),
                 "/etc/runlevels/default/agetty.ttyS0") == "-");
    CHECK(tells(plan_fix(MemoryGuest(openrc).remove("/etc/init.d/agetty"), "console"),
                "the guest has neither an inittab nor OpenRC's agetty"));
    CHECK(tells(plan_fix(MemoryGuest(), "console"), "the guest's init is none that is known here"));
}

TEST_CASE("systemd's login on the serial port is unmasked, and root may use it") {
    const auto masked = [](const char* unit, const std::string& target) {
        MemoryGuest guest = with_systemd_alone();
        if (target.empty())
            guest.file(unit, "");
        else
            guest.symlink(unit, target);
        return removes(plan_fix(guest, "console"), unit);
    };
    CHECK(masked("/etc/systemd/system/serial-getty@ttyS0.service", "/dev/null"));
    CHECK(masked("/etc/systemd/system/serial-getty@.service", "/dev/null"));
    CHECK(masked("/etc/systemd/system/serial-getty@.service", ""));
    CHECK_FALSE(masked("/etc/systemd/system/serial-getty@ttyS0.service", "/usr/lib/x"));
    CHECK_FALSE(masked("/etc/systemd/system/serial-getty@ttyS1.service", "/dev/null"));
    MemoryGuest generator = with_systemd_alone();
    generator.symlink("/etc/systemd/system-generators/systemd-getty-generator", "/dev/null");
    const std::string wanted = "/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service";
    CHECK(linked(plan_fix(generator, "console"), wanted) == "/usr/lib/systemd/system/serial-getty@.service");
    CHECK(linked(plan_fix(MemoryGuest(generator).symlink(wanted, "x"), "console"), wanted) == "-");
    CHECK(linked(plan_fix(with_systemd_alone(), "console"), wanted) == "-");
    for (const auto& [before, after] :
         {std::pair("tty1\n", "tty1\nttyS0\n"), std::pair("tty1", "tty1\nttyS0\n"), std::pair("tty1\n ttyS0 \n", "-"),
          std::pair("ttyS01\n", "ttyS01\nttyS0\n"), std::pair("", "\nttyS0\n")}) {
        CAPTURE(before);
        CHECK(written(plan_fix(with_systemd_alone().file("/etc/securetty", before), "console"), "/etc/securetty") ==
              after);
    }
}

TEST_CASE("The kernel's consoles are added as far as they lack") {
    const auto consoles = [](const std::string& words) {
        MemoryGuest guest = with_systemd_alone();
        guest.file("/etc/kernel/cmdline", words + "\n");
        const std::string changed = written(plan_fix(guest, "console"), "/etc/kernel/cmdline");
        return changed == "-" ? "same" : changed;
    };
    CHECK(consoles("ro") == "ro console=tty0 console=ttyS0,115200\n");
    CHECK(consoles("ro console=tty1") == "ro console=tty1 console=ttyS0,115200\n");
    CHECK(consoles("ro console=ttyS1,9600") == "ro console=ttyS1,9600 console=ttyS0,115200\n");
    for (const char* there : {"console=ttyS0", "console=ttyS0,9600n8 ro"})
        CHECK(consoles(there) == "same");
    CHECK(consoles("console=ttyS01") == "console=ttyS01 console=ttyS0,115200\n");
    CHECK(tells(plan_fix(with_systemd_alone(), "console"), "no boot loader's configuration was found"));
}

TEST_CASE("The fallback boot loader comes from the vendor's folder, as each distribution calls it") {
    struct Case {
        const char* what;
        std::vector<std::pair<const char*, const char*>> files;
        const char* copies;
    };
    const std::string e = "/boot/efi/EFI/";
    const Case kCases[] = {
        {"Debian with Secure Boot",
         {{"/boot/efi/EFI/debian/shimx64.efi", "shim"},
          {"/boot/efi/EFI/debian/grubx64.efi", "grub"},
          {"/boot/efi/EFI/debian/mmx64.efi", "mm"},
          {"/boot/efi/EFI/debian/grub.cfg", "cfg"}},
         "shim -> /boot/efi/EFI/BOOT/BOOTX64.EFI;grub -> /boot/efi/EFI/BOOT/grubx64.efi;mm -> "
         "/boot/efi/EFI/BOOT/mmx64.efi;cfg -> /boot/efi/EFI/BOOT/grub.cfg;"},
        {"GRUB alone", {{"/boot/efi/EFI/arch/grubx64.efi", "grub"}}, "grub -> /boot/efi/EFI/BOOT/BOOTX64.EFI;"},
        {"SLES 12",
         {{"/boot/efi/EFI/sles/shim.efi", "shim"}, {"/boot/efi/EFI/sles/grub.efi", "grub"}},
         "shim -> /boot/efi/EFI/BOOT/BOOTX64.EFI;grub -> /boot/efi/EFI/BOOT/grub.efi;"},
        {"systemd-boot on /efi", {{"/efi/EFI/systemd/systemd-bootx64.efi", "sd"}}, "sd -> /efi/EFI/BOOT/BOOTX64.EFI;"},
        {"on /boot, in other letters",
         {{"/boot/EFI/Fedora/GRUBX64.EFI", "grub"}, {"/boot/EFI/Boot/x", ""}},
         "grub -> /boot/EFI/Boot/BOOTX64.EFI;"},
        {"something is there",
         {{"/boot/efi/EFI/debian/grubx64.efi", "grub"}, {"/boot/efi/EFI/boot/bootx64.efi", "x"}},
         ""},
        {"for another machine alone", {{"/boot/efi/EFI/debian/grubaa64.efi", "grub"}}, ""},
        {"a vendor without a loader",
         {{"/boot/efi/EFI/dell/x.efi", ""}, {"/boot/efi/EFI/ubuntu/grubx64.efi", "grub"}},
         "grub -> /boot/efi/EFI/BOOT/BOOTX64.EFI;"},
        {"no firmware's folder", {{"/boot/grub/grub.cfg", ""}}, ""},
    };
    for (const Case& each : kCases) {
        CAPTURE(each.what);
        MemoryGuest guest;
        for (const auto& [path, content] : each.files)
            guest.file(path, content);
        CHECK(copies(guest) == each.copies);
    }
    MemoryGuest arm;
    arm.file("/bin/sh", arm_program()).file("/boot/efi/EFI/debian/shimaa64.efi", "shim");
    arm.file("/boot/efi/EFI/debian/grubaa64.efi", "grub").file("/boot/efi/EFI/debian/grubx64.efi", "other");
    CHECK(copies(arm) == "shim -> /boot/efi/EFI/BOOT/BOOTAA64.EFI;grub -> /boot/efi/EFI/BOOT/grubaa64.efi;");
}

TEST_CASE("Services of each hypervisor's tools are masked, and nobody else's") {
    for (const char* unit : {"open-vm-tools.service",
                             "vmtoolsd.service",
                             "vgauthd.service",
                             "vgauth.service",
                             "run-vmblock\\x2dfuse.mount",
                             "vmware-tools.service",
                             "vmware-vmblock-fuse.service",
                             "vboxadd.service",
                             "vboxadd-service.service",
                             "vboxservice.service",
                             "virtualbox-guest-utils.service",
                             "xe-linux-distribution.service",
                             "xe-daemon.service",
                             "xen-guest-agent.service",
                             "hv-kvp-daemon.service",
                             "hypervkvpd.service",
                             "hypervvssd.service",
                             "hypervfcopyd.service",
                             "hv_kvp_daemon.service",
                             "hv_vss_daemon.service",
                             "hv_fcopy_daemon.service",
                             "prltoolsd.service"}) {
        CAPTURE(unit);
        CHECK(state_of_unit(unit) == "/dev/null");
    }
    for (const char* unit : {"qemu-guest-agent.service", "cloud-init.service", "vmtoolsd2.service", "sshd.service"}) {
        CAPTURE(unit);
        CHECK(state_of_unit(unit) == "-");
    }
    MemoryGuest masked = with_systemd_alone();
    masked.file("/usr/lib/systemd/system/vmtoolsd.service", "x")
        .symlink("/etc/systemd/system/vmtoolsd.service", "/dev/null");
    CHECK(plan_fix(masked, "tools").edits.empty());
    CHECK(plan_fix(masked, "tools").findings.empty());
    MemoryGuest shares;
    shares.file("/etc/fstab", "UUID=1 / ext4\n.host:/ /mnt/hgfs fuse.vmhgfs-fuse x 0 0\n#.host:/ /x hgfs\n");
    const EditPlan plan = plan_fix(shares, "tools");
    CHECK(written(plan, "/etc/fstab") ==
          "UUID=1 / ext4\n#.host:/ /mnt/hgfs fuse.vmhgfs-fuse x 0 0\n#.host:/ /x hgfs\n");
    CHECK(tells(plan, "/etc/fstab mounts /mnt/hgfs of the old host (fuse.vmhgfs-fuse)"));
    MemoryGuest screen;
    screen.file("/etc/X11/xorg.conf", "Driver \"vmware\"\n").file("/etc/X11/xorg.conf.bak", "Driver \"vmmouse\"\n");
    CHECK(tells(plan_fix(screen, "tools"), "/etc/X11/xorg.conf asks for the display driver \"vmware\""));
    CHECK(tells(plan_fix(screen, "tools"), "/etc/X11/xorg.conf.bak asks for the display driver \"vmmouse\""));
}

TEST_CASE("Debian's ifupdown gets a pattern from the version on that knows them") {
    const auto stanza = [](const std::string& status) {
        MemoryGuest guest = with_systemd_alone();
        guest.file("/etc/network/interfaces",
                   "auto lo\niface lo inet loopback\n\niface ens192 inet static\n address x\n\n\n");
        if (!status.empty())
            guest.file("/var/lib/dpkg/status", status);
        return written(plan_fix(guest, "network"), "/etc/network/interfaces");
    };
    const std::string front = "auto lo\niface lo inet loopback\n\n";
    const std::string pattern = front + "allow-hotplug /e*=wired\niface wired inet dhcp\n";
    const std::string named = front + "auto eth0\niface eth0 inet dhcp\n";
    const auto version = [](const std::string& text) {
        return "Package: a\nVersion: 0.1\n\nPackage: ifupdown\nStatus: x\nVersion: " + text +
               "\n\nPackage: b\nVersion: 9\n";
    };
    CHECK(stanza("") == pattern);
    for (const char* knows : {"0.8.20", "0.8.21", "0.8.35+b1", "0.8.41", "0.9", "1.0", "0.8.20ubuntu1", "10.0.0"}) {
        CAPTURE(knows);
        CHECK(stanza(version(knows)) == pattern);
    }
    for (const char* old : {"0.8.19", "0.8.2", "0.8", "0.7.53.1", "0.7.8", "0.8.13ubuntu2"}) {
        CAPTURE(old);
        CHECK(stanza(version(old)) == named);
    }
    CHECK(stanza("Package: ifupdown-extra\nVersion: 0.1\n") == pattern);
}

TEST_CASE("Rules that tie names to the old machine go, line by line") {
    const auto rules = [](const std::string& text, const std::string& name = "10-x.rules") {
        MemoryGuest guest = with_systemd_alone();
        guest.file("/etc/udev/rules.d/" + name, text);
        const EditPlan plan = plan_fix(guest, "network");
        return removes(plan, "/etc/udev/rules.d/" + name) ? "gone" : written(plan, "/etc/udev/rules.d/" + name);
    };
    const std::string by_address = "SUBSYSTEM==\"net\", ATTR{address}==\"AA\", NAME=\"eth0\"\n";
    CHECK(rules(by_address + "KERNEL==\"sda\"\n") == "KERNEL==\"sda\"\n");
    CHECK(rules("SUBSYSTEM==\"net\", KERNELS==\"0000:03:00.0\", NAME:=\"lan\"\nx\n") == "x\n");
    CHECK(rules("SUBSYSTEM==\"net\", ATTR{address}==\"AA\", NAME+=\"eth0\"\n").empty());
    CHECK(rules("# " + by_address) == "-");
    CHECK(rules("SUBSYSTEM==\"net\", ATTR{address}==\"AA\", RUN+=\"/x\"\n") == "-");
    CHECK(rules("SUBSYSTEM==\"net\", NAME=\"eth0\"\n") == "-");
    CHECK(rules("ATTR{address}==\"AA\", NAME=\"x\"\n") == "-");
    CHECK(rules("anything\n", "70-persistent-net.rules") == "gone");
    CHECK(rules("", "75-persistent-net-generator.rules") == "-"); // an administrator's way to have none
    const auto link = [](const std::string& match) {
        MemoryGuest guest = with_systemd_alone();
        guest.file("/etc/systemd/network/10.link", "[Match]\n" + match + "\n[Link]\nName=lan0\n");
        return removes(plan_fix(guest, "network"), "/etc/systemd/network/10.link");
    };
    for (const char* bound : {"MACAddress=AA", "PermanentMACAddress=AA", "Path=pci-1", "Driver=vmxnet3"})
        CHECK(link(bound));
    for (const char* free : {"Driver=virtio_net", "OriginalName=*", "Type=ether", "Driver=*"})
        CHECK_FALSE(link(free));
    CHECK_FALSE(link("[Link]\nMACAddress=AA"));
    for (const char* table : {"/etc/iftab", "/etc/mactab"})
        CHECK(removes(plan_fix(with_systemd_alone().file(table, "eth0 mac AA\n"), "network"), table));
}

TEST_CASE("A MAC address that cannot be taken out is told, and nothing beside it is cut") {
    const auto kept = [](const std::string& text) {
        MemoryGuest guest = with_systemd_alone();
        guest.file("/etc/netplan/a.yaml", text);
        const EditPlan plan = plan_fix(guest, "network:keep");
        std::string out = written(plan, "/etc/netplan/a.yaml");
        for (const EditFinding& each : plan.findings)
            if (each.text.ends_with("stays so"))
                out += "|" + each.text.substr(each.text.find(' ') + 1);
        return out;
    };
    CHECK(kept("network:\n  ethernets:\n    ens3:\n      match:\n        macaddress: 'AA'\n      set-name: ens3\n") ==
          "network:\n  ethernets:\n    ens3:\n");
    CHECK(kept("network: {ethernets: {ens3: {match: {macaddress: 'AA'}, set-name: ens3}}}\n") ==
          "-|asks for the MAC address AA, and stays so");
    // The second is known by nothing else: the first one's line stands in the same file, and stays.
    CHECK(kept("network:\n  ethernets:\n    ens3:\n      match:\n        macaddress: 'AA'\n      set-name: ens3\n"
               "    any:\n      match:\n        macaddress: 'BB'\n") ==
          "-|tells its interface by the MAC address BB alone, and stays so|asks for the MAC address AA, and stays so");
    MemoryGuest cloud = with_systemd_alone();
    cloud.file("/usr/bin/cloud-init", "")
        .file("/etc/cloud/cloud.cfg.d/net.cfg",
              "network:\n  version: 1\n  config:\n  - type: physical\n    name: eth0\n"
              "    mac_address: 'AA'\n    subnets:\n    - type: dhcp4\n");
    CHECK(written(plan_fix(cloud, "network:keep"), "/etc/cloud/cloud.cfg.d/net.cfg") ==
          "network:\n  version: 1\n  config:\n  - type: physical\n    name: eth0\n    subnets:\n    - type: dhcp4\n");
}
