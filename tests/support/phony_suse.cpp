// SUSE before 16.
#include "tests/support/phony_parts.hpp"

#include <fmt/format.h>

namespace vm2oci::test {
namespace {

// SLES 11: SysV init, GRUB legacy, perl-Bootloader; from 12 on systemd, wicked and sshd-gen-keys-start (openssh.spec).
PhonyGuest suse(const std::string& id, const std::string& release) {
    const bool old = release.starts_with("11");
    MemoryGuest guest = phony_base(id, release, "suse");
    guest.file("/etc/sysconfig/network/config", "NETCONFIG_DNS_POLICY=\"auto\"\n")
        .file("/etc/sysconfig/network/ifcfg-lo", "IPADDR=127.0.0.1\nSTARTMODE=auto\n")
        .file("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='static'\nIPADDR='10.0.0.5/24'\nSTARTMODE='auto'\n")
        .file("/etc/sysconfig/network/ifcfg-eth0.bak", "BOOTPROTO='dhcp'\n")
        .file("/etc/udev/rules.d/70-persistent-net.rules", "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
                                                           "ATTR{address}==\"00:50:56:aa:bb:01\", NAME=\"eth0\"\n");
    if (old) {
        guest.remove("/etc/os-release")
            .remove("/etc/hostname")
            .file("/etc/HOSTNAME", "old.example.com\n")
            .file("/etc/SuSE-release", "SUSE Linux Enterprise Server 11 (x86_64)\nVERSION = 11\n")
            .file("/sbin/init", phony_program(), 0755)
            .file("/sbin/mingetty", phony_program(), 0755)
            .file("/sbin/agetty", phony_program(), 0755)
            .file("/etc/inittab",
                  "id:3:initdefault:\nsi::bootwait:/etc/init.d/boot\nl3:3:wait:/etc/init.d/rc 3\n"
                  "1:2345:respawn:/sbin/mingetty --noclear tty1\n#S0:12345:respawn:/sbin/agetty -L 9600 ttyS0 vt102\n")
            .file("/etc/init.d/sshd", "#!/bin/sh\nssh-keygen -t rsa -f /etc/ssh/ssh_host_rsa_key\n", 0755)
            .file("/etc/init.d/network", "#!/bin/sh\n", 0755)
            .symlink("/etc/init.d/rc3.d/S02network", "../network")
            .file("/etc/sysconfig/bootloader", "DEFAULT_APPEND=\"resume=/dev/sda2 splash=silent\"\n")
            .file("/boot/grub/menu.lst",
                  "default 0\ntitle Linux\n    root (hd0,0)\n    kernel /boot/vmlinuz root=/dev/sda1 "
                  "resume=/dev/sda2 splash=silent\n    initrd /boot/initrd\n");
        return {id + " " + release, std::move(guest)};
    }
    with_systemd(guest);
    guest.file("/usr/lib/systemd/system/wicked.service", phony_unit("/usr/sbin/wicked ifup all", "", "network.target"))
        .symlink("/etc/systemd/system/network.service", "/usr/lib/systemd/system/wicked.service")
        .file("/usr/lib/systemd/system/sshd.service", "[Unit]\nDescription=x\n[Service]\nExecStartPre=/usr/sbin/"
                                                      "sshd-gen-keys-start\nExecStart=/usr/sbin/sshd -D\n");
    enable_unit(guest, "wicked.service");
    with_grub(guest, "/boot/grub2",
              "GRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"splash=silent resume=/dev/sda2 quiet\"\n",
              "splash=silent resume=/dev/sda2 quiet");
    return {id + " " + release, std::move(guest)};
}

// Minimal-VM and JeOS images (kiwi): wicked asks by DHCP on eth0, names are the kernel's.
PhonyGuest suse_cloud(const std::string& id) {
    PhonyGuest made = suse(id, "15.6");
    with_cloud_init(made.guest, "NoCloud, OpenStack, Ec2, None");
    made.guest.remove("/etc/udev/rules.d/70-persistent-net.rules")
        .remove("/etc/sysconfig/network/ifcfg-eth0.bak")
        .file("/etc/sysconfig/network/ifcfg-eth0", "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n");
    with_grub(made.guest, "/boot/grub2",
              "GRUB_CMDLINE_LINUX_DEFAULT=\"console=ttyS0,115200 console=tty0 net.ifnames=0\"\n",
              "console=ttyS0,115200 console=tty0 net.ifnames=0");
    made.name += " cloud";
    return made;
}

} // namespace

void add_suse_guests(std::vector<PhonyGuest>& all) {
    for (const char* release : {"11.4", "12.5", "15.6"})
        all.push_back(suse("sles", release));
    all.push_back(suse("opensuse-leap", "15.6"));
}

void add_suse_clouds(std::vector<PhonyGuest>& all) {
    for (const char* id : {"sles", "opensuse-leap"})
        all.push_back(suse_cloud(id));
}

} // namespace vm2oci::test
