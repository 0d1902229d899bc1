// Red Hat and its heirs, and what SUSE has taken over from them.
#include "tests/support/phony_parts.hpp"

#include <fmt/format.h>

namespace vm2oci::test {
namespace {

std::string environment(const std::string& content) {
    std::string block = "# GRUB Environment Block\n" + content;
    block.resize(1024, '#');
    return block;
}

std::string ifcfg_static(const std::string& card) {
    return fmt::format("TYPE=Ethernet\nBOOTPROTO=none\nNAME={0}\nDEVICE={0}\nONBOOT=yes\nIPADDR=10.0.0.5\nPREFIX=24\n"
                       "GATEWAY=10.0.0.1\nUUID=5b0f2c5e-4b0c-4e9a-8a67-0d5a3f0b6f51\n",
                       card);
}

void with_network_manager(MemoryGuest& guest) {
    guest.file("/usr/sbin/NetworkManager", phony_program(), 0755)
        .file("/usr/lib/systemd/system/NetworkManager.service", phony_unit("/usr/sbin/NetworkManager --no-daemon"));
    enable_unit(guest, "NetworkManager.service");
}

// RHEL 5: SysV init, mingetty and agetty, GRUB legacy, keys made by the init script (openssh-server's sshd.init).
// RHEL 6: upstart, whose serial.conf starts agetty on the kernel's console (initscripts).
PhonyGuest old_red_hat(const std::string& id, unsigned release) {
    MemoryGuest guest = phony_base(id, std::to_string(release), "");
    guest.remove("/etc/os-release")
        .remove("/etc/hostname")
        .file("/etc/redhat-release", fmt::format("{} release {}.9 (Final)\n", id, release))
        .file("/sbin/init", phony_program(), 0755)
        .file("/sbin/mingetty", phony_program(), 0755)
        .file("/sbin/agetty", phony_program(), 0755)
        .file("/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=old.example.com\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-lo", "DEVICE=lo\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-eth0",
              "DEVICE=eth0\nHWADDR=00:50:56:AA:BB:01\nBOOTPROTO=static\nIPADDR=10.0.0.5\nNETMASK=255.255.255.0\nONBOOT="
              "yes\n")
        .file("/etc/rc.d/init.d/sshd", "#!/bin/bash\nKEYGEN=/usr/bin/ssh-keygen\ndo_rsa_keygen() { :; }\n", 0755)
        .file("/etc/rc.d/init.d/network", "#!/bin/bash\n", 0755)
        .symlink("/etc/init.d", "rc.d/init.d")
        .symlink("/etc/rc.d/rc3.d/S10network", "../init.d/network")
        .symlink("/etc/rc.d/rc3.d/S55sshd", "../init.d/sshd")
        .file("/etc/securetty", "console\ntty1\n")
        .file("/boot/grub/grub.conf", "default=0\ntitle Linux\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6 ro "
                                      "root=/dev/VolGroup00/LogVol00 rhgb quiet\n"
                                      "\tinitrd /initrd-2.6.img\n")
        .symlink("/boot/grub/menu.lst", "grub.conf");
    if (release == 5)
        guest.file("/etc/inittab", "id:3:initdefault:\nsi::sysinit:/etc/rc.d/rc.sysinit\nl3:3:wait:/etc/rc.d/rc 3\n"
                                   "1:2345:respawn:/sbin/mingetty tty1\n");
    else
        guest.file("/etc/inittab", "# inittab is only used by upstart for the default runlevel.\nid:3:initdefault:\n")
            .file("/sbin/initctl", phony_program(), 0755)
            .file("/etc/init/rc.conf", "start on runlevel [0123456]\ntask\nexec /etc/rc.d/rc $RUNLEVEL\n")
            .file("/etc/init/serial.conf",
                  "start on fedora.serial-console-available DEV=* and stopped rc RUNLEVEL=[2345]\ninstance $DEV\n"
                  "respawn\nexec /sbin/agetty /dev/$DEV $SPEED vt100-nav\n")
            .file("/etc/udev/rules.d/70-persistent-net.rules",
                  "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{address}==\"00:50:56:aa:bb:01\", "
                  "ATTR{type}==\"1\", KERNEL==\"eth*\", NAME=\"eth0\"\n");
    return {fmt::format("{} {}", id, release), std::move(guest)};
}

enum class BootEntries { grub_script, environment, entries };

// openssh.spec of Fedora: sshd-keygen.service up to RHEL 7, then sshd-keygen.target with one instance a type of key.
// BLS entries with $kernelopts from grubenv in Fedora 28 to 33 and RHEL 8, with words of their own after (grub2.spec).
PhonyGuest red_hat(const std::string& id, unsigned release, BootEntries entries, bool keyfiles) {
    MemoryGuest guest = phony_base(id, std::to_string(release), "rhel fedora");
    with_systemd(guest);
    with_network_manager(guest);
    with_vmware_tools(guest, "vmtoolsd.service");
    const bool old = entries == BootEntries::grub_script;
    guest
        .file("/usr/lib/systemd/system/sshd.service",
              phony_unit("/usr/sbin/sshd -D", old ? "Wants=sshd-keygen.service\n" : "Wants=sshd-keygen.target\n"))
        .file("/etc/sysconfig/network", "# Created by anaconda\n");
    enable_unit(guest, "sshd.service");
    if (old)
        guest.file("/usr/lib/systemd/system/sshd-keygen.service", phony_unit("/usr/sbin/sshd-keygen", "", ""));
    else
        guest.file("/usr/lib/systemd/system/sshd-keygen.target", "[Unit]\nWants=sshd-keygen@rsa.service\n")
            .file("/usr/lib/systemd/system/sshd-keygen@.service",
                  phony_unit("/usr/libexec/openssh/sshd-keygen %i", "", ""));
    if (keyfiles)
        guest.file(
            "/etc/NetworkManager/system-connections/ens192.nmconnection",
            "[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n\n[ipv4]\naddress1=10.0.0.5/24,10.0.0.1\n"
            "method=manual\n",
            0600);
    else
        guest.file("/etc/sysconfig/network-scripts/ifcfg-ens192", ifcfg_static("ens192"));
    const std::string words = "crashkernel=auto rhgb quiet";
    guest.file("/etc/default/grub",
               "GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX=\"" + words + "\"\nGRUB_DISABLE_RECOVERY=\"true\"\n");
    if (old) {
        with_grub(guest, "/boot/grub2", "GRUB_CMDLINE_LINUX=\"" + words + "\"\n", words);
    } else {
        const bool environment_words = entries == BootEntries::environment;
        guest.file("/boot/grub2/grub.cfg", "set timeout=5\ninsmod blscfg\nblscfg\n")
            .file("/boot/grub2/grubenv",
                  environment(environment_words
                                  ? fmt::format("kernelopts=root=UUID={} ro {} \nboot_success=0\n", kPhonyRoot, words)
                                  : "boot_success=0\n"))
            .file("/boot/loader/entries/abc-4.18.0.conf",
                  fmt::format(
                      "title Linux\nversion 4.18.0\nlinux /boot/vmlinuz-4.18.0\ninitrd /boot/initramfs-4.18.0.img\n"
                      "options {}\n",
                      environment_words ? "$kernelopts $tuned_params"
                                        : fmt::format("root=UUID={} ro {}", kPhonyRoot, words)));
    }
    return {fmt::format("{} {}", id, release), std::move(guest)};
}

// Amazon's images: cloud-init with its own source, net.ifnames=0, serial console; 2023 has networkd, and for it a file
// of amazon-ec2-net-utils that takes the cards of EC2 alone.
PhonyGuest amazon(unsigned release) {
    MemoryGuest guest = phony_base("amzn", std::to_string(release), "fedora");
    with_systemd(guest);
    with_cloud_init(guest, "Ec2, None");
    const std::string words = "console=tty0 console=ttyS0,115200n8 net.ifnames=0 nvme_core.io_timeout=4294967295";
    guest.file("/usr/lib/systemd/system/sshd.service", phony_unit("/usr/sbin/sshd -D", "Wants=sshd-keygen.target\n"));
    guest.file("/usr/lib/systemd/system/sshd-keygen.target", "[Unit]\nWants=sshd-keygen@rsa.service\n");
    if (release == 2)
        guest.file("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n");
    else
        guest.file("/usr/lib/systemd/system/systemd-networkd.service", phony_unit("/usr/lib/systemd/systemd-networkd"))
            .file("/usr/lib/systemd/network/80-ec2.network",
                  "[Match]\nDriver=ena ixgbevf vif\n[Link]\nMTUBytes=9001\n[Network]\nDHCP=yes\n");
    if (release != 2)
        enable_unit(guest, "systemd-networkd.service");
    with_grub(guest, "/boot/grub2", "GRUB_CMDLINE_LINUX_DEFAULT=\"" + words + "\"\n", words);
    return {fmt::format("amzn {}", release), std::move(guest)};
}

// SLES 16 and Leap 16 have left wicked and ifcfg for NetworkManager's profiles, and have BLS entries (grub2-bls).
PhonyGuest new_suse() {
    PhonyGuest made = red_hat("opensuse-leap", 16, BootEntries::entries, true);
    made.guest.file("/etc/os-release", "ID=opensuse-leap\nID_LIKE=\"suse opensuse\"\nVERSION_ID=\"16.0\"\n")
        .remove("/usr/lib/systemd/system/sshd-keygen.target")
        .remove("/usr/lib/systemd/system/sshd-keygen@.service")
        .file("/usr/lib/systemd/system/sshd.service", "[Unit]\nDescription=x\n[Service]\nExecStartPre=/usr/sbin/"
                                                      "sshd-gen-keys-start\nExecStart=/usr/sbin/sshd -D\n");
    return {"opensuse-leap 16.0", std::move(made.guest)};
}

// Cloud images: every card asks by DHCP already, and cloud-init has the list of sources that its package brings. Up to
// 8 by ifcfg, from 9 on without any profile.
PhonyGuest red_hat_cloud(const std::string& id, unsigned release) {
    PhonyGuest made = red_hat(id, release,
                              release == 7   ? BootEntries::grub_script
                              : release == 8 ? BootEntries::environment
                                             : BootEntries::entries,
                              release > 8);
    with_cloud_init(made.guest, "ConfigDrive, Azure, OpenStack, Ec2, GCE, None");
    made.guest.remove("/etc/NetworkManager/system-connections/ens192.nmconnection")
        .remove("/etc/sysconfig/network-scripts/ifcfg-ens192");
    if (release < 9)
        made.guest.file("/etc/sysconfig/network-scripts/ifcfg-eth0",
                        "DEVICE=\"eth0\"\nBOOTPROTO=\"dhcp\"\nONBOOT=\"yes\"\nTYPE=\"Ethernet\"\n");
    if (release < 9) { // their images keep the kernel's names, and speak on the serial port
        for (const char* path : {"/etc/default/grub", "/boot/grub2/grub.cfg", "/boot/grub2/grubenv"}) {
            std::string text = made.guest.read_file(path, 65536).value_or("");
            if (text.empty())
                continue;
            if (const std::size_t at = text.find("rhgb quiet"); at != std::string::npos)
                text.replace(at, 10, "console=tty0 net.ifnames=0 console=ttyS0,115200n8");
            if (std::string_view(path).ends_with("grubenv"))
                text.resize(1024, '#');
            made.guest.file(path, text);
        }
    }
    made.name += " cloud";
    return made;
}

} // namespace

void add_red_hat_guests(std::vector<PhonyGuest>& all) {
    for (const char* id : {"rhel", "centos", "ol"})
        for (const unsigned release : {5U, 6U})
            all.push_back(old_red_hat(id, release));
    for (const char* id : {"rhel", "centos", "ol"}) {
        all.push_back(red_hat(id, 7, BootEntries::grub_script, false));
        all.push_back(red_hat(id, 8, BootEntries::environment, false));
        all.push_back(red_hat(id, 9, BootEntries::entries, true));
        all.push_back(red_hat(id, 10, BootEntries::entries, true));
    }
    all.push_back(red_hat("fedora", 32, BootEntries::environment, false));
    all.push_back(red_hat("fedora", 42, BootEntries::entries, true));
    all.push_back(new_suse());
}

void add_red_hat_clouds(std::vector<PhonyGuest>& all) {
    all.push_back(amazon(2));
    all.push_back(amazon(2023));
    for (const unsigned release : {7U, 8U, 9U, 10U})
        all.push_back(red_hat_cloud("rhel", release));
    for (const char* id : {"centos", "ol", "rocky", "almalinux"})
        all.push_back(red_hat_cloud(id, 9));
    all.push_back(red_hat_cloud("fedora", 42));
}

} // namespace vm2oci::test
