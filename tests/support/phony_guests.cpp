#include "tests/support/phony_guests.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <cstring>
#include <stdexcept>

namespace vm2oci::test {
namespace {

constexpr const char* kRoot = "11111111-2222-4333-8444-555555555501";

std::string program() {
    Elf64_Ehdr head{};
    std::memcpy(head.e_ident, ELFMAG, SELFMAG);
    head.e_ident[EI_CLASS] = ELFCLASS64;
    head.e_ident[EI_DATA] = ELFDATA2LSB;
    head.e_machine = EM_X86_64;
    return {reinterpret_cast<const char*>(&head), sizeof head};
}

std::string unit(const std::string& command, const std::string& more = "",
                 const std::string& install = "multi-user.target") {
    return "[Unit]\nDescription=x\n" + more + "\n[Service]\nExecStart=" + command + "\n" +
           (install.empty() ? "" : "\n[Install]\nWantedBy=" + install + "\n");
}

void enable(MemoryGuest& guest, const std::string& name, const std::string& target = "multi-user.target") {
    guest.symlink("/etc/systemd/system/" + target + ".wants/" + name, "/usr/lib/systemd/system/" + name);
}

// os-release(5); `like` may be empty.
MemoryGuest base(const std::string& id, const std::string& version, const std::string& like) {
    MemoryGuest guest;
    guest
        .file("/etc/os-release", fmt::format("ID={}\nVERSION_ID=\"{}\"\n{}PRETTY_NAME=\"{} {}\"\n", id, version,
                                             like.empty() ? "" : "ID_LIKE=\"" + like + "\"\n", id, version))
        .file("/bin/sh", program(), 0755)
        .file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\n")
        .file("/etc/shadow", "root:*:19000:0:99999:7:::\nann:$6$x:19000:0:99999:7:::\n", 0640)
        .folder("/root")
        .folder("/home/ann")
        .file("/etc/hostname", "old\n")
        .file("/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\told.example.com\told\n")
        .file("/etc/fstab", fmt::format("UUID={} / ext4 defaults 0 1\n", kRoot))
        .file("/etc/ssh/sshd_config", "PermitRootLogin prohibit-password\n")
        .file("/etc/ssh/ssh_host_rsa_key", "secret", 0600)
        .file("/etc/ssh/ssh_host_rsa_key.pub", "public")
        .file("/etc/ssh/ssh_host_ed25519_key", "secret", 0600)
        .file("/usr/sbin/sshd", program(), 0755)
        .file("/usr/bin/ssh-keygen", program(), 0755)
        .file("/var/log/messages", "old\n")
        .file("/tmp/left", "old\n");
    return guest;
}

void with_systemd(MemoryGuest& guest) {
    guest.file("/usr/lib/systemd/systemd", program(), 0755)
        .symlink("/sbin/init", "/usr/lib/systemd/systemd")
        .symlink("/lib", "usr/lib")
        .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0444);
}

// GRUB_CMDLINE_LINUX* as grub-mkconfig(8) reads them, with the script that it writes.
void with_grub(MemoryGuest& guest, const std::string& folder, const std::string& defaults, const std::string& words) {
    guest.file("/etc/default/grub", "GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n" + defaults)
        .file(
            folder + "/grub.cfg",
            fmt::format("set timeout=5\nmenuentry 'Linux' --class gnu-linux $menuentry_id_option 'gnulinux-simple' {{\n"
                        "\tload_video\n\techo\t'Loading Linux ...'\n\tlinux\t/boot/vmlinuz-5.10 root=UUID={} ro {}\n"
                        "\tinitrd\t/boot/initrd.img-5.10\n}}\n",
                        kRoot, words));
}

std::string environment(const std::string& content) {
    std::string block = "# GRUB Environment Block\n" + content;
    block.resize(1024, '#');
    return block;
}

// What the packages of cloud-init enable: units in cloud-init.target (its systemd/*.tmpl), started by its generator.
void with_cloud_init(MemoryGuest& guest, const std::string& datasources) {
    guest.file("/usr/bin/cloud-init", "#!/usr/bin/python3\n", 0755)
        .file("/usr/lib/cloud-init/ds-identify", "#!/bin/sh\n", 0755)
        .file("/etc/cloud/cloud.cfg", "users:\n  - default\ndisable_root: true\ncloud_init_modules:\n  - bootcmd\n"
                                      "  - ssh\nsystem_info:\n  default_user:\n    name: cloud-user\n")
        .file("/etc/cloud/cloud.cfg.d/90_dpkg.cfg", "datasource_list: [ " + datasources + " ]\n")
        .file("/var/lib/cloud/instances/i-1/obj.pkl", "x")
        .symlink("/var/lib/cloud/instance", "instances/i-1");
    for (const char* name :
         {"cloud-init-local.service", "cloud-init.service", "cloud-config.service", "cloud-final.service"}) {
        guest.file("/usr/lib/systemd/system/" + std::string(name),
                   unit("/usr/bin/cloud-init", "", "cloud-init.target"));
        enable(guest, name, "cloud-init.target");
    }
}

// open-vm-tools of most distributions, by their packages' units.
void with_vmware_tools(MemoryGuest& guest, const std::string& name) {
    guest.file("/usr/lib/systemd/system/" + name, unit("/usr/bin/vmtoolsd", "ConditionVirtualization=vmware\n"));
    enable(guest, name);
}

std::string ifcfg_static(const std::string& card) {
    return fmt::format("TYPE=Ethernet\nBOOTPROTO=none\nNAME={0}\nDEVICE={0}\nONBOOT=yes\nIPADDR=10.0.0.5\nPREFIX=24\n"
                       "GATEWAY=10.0.0.1\nUUID=5b0f2c5e-4b0c-4e9a-8a67-0d5a3f0b6f51\n",
                       card);
}

void with_network_manager(MemoryGuest& guest) {
    guest.file("/usr/sbin/NetworkManager", program(), 0755)
        .file("/usr/lib/systemd/system/NetworkManager.service", unit("/usr/sbin/NetworkManager --no-daemon"));
    enable(guest, "NetworkManager.service");
}

// --- Red Hat and its heirs ----------------------------------------------------------------------------------------

// RHEL 5: SysV init, mingetty and agetty, GRUB legacy, keys made by the init script (openssh-server's sshd.init).
// RHEL 6: upstart, whose serial.conf starts agetty on the kernel's console (initscripts).
PhonyGuest old_red_hat(const std::string& id, unsigned release) {
    MemoryGuest guest = base(id, std::to_string(release), "");
    guest.remove("/etc/os-release")
        .remove("/etc/hostname")
        .file("/etc/redhat-release", fmt::format("{} release {}.9 (Final)\n", id, release))
        .file("/sbin/init", program(), 0755)
        .file("/sbin/mingetty", program(), 0755)
        .file("/sbin/agetty", program(), 0755)
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
            .file("/sbin/initctl", program(), 0755)
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
    MemoryGuest guest = base(id, std::to_string(release), "rhel fedora");
    with_systemd(guest);
    with_network_manager(guest);
    with_vmware_tools(guest, "vmtoolsd.service");
    const bool old = entries == BootEntries::grub_script;
    guest
        .file("/usr/lib/systemd/system/sshd.service",
              unit("/usr/sbin/sshd -D", old ? "Wants=sshd-keygen.service\n" : "Wants=sshd-keygen.target\n"))
        .file("/etc/sysconfig/network", "# Created by anaconda\n");
    enable(guest, "sshd.service");
    if (old)
        guest.file("/usr/lib/systemd/system/sshd-keygen.service", unit("/usr/sbin/sshd-keygen", "", ""));
    else
        guest.file("/usr/lib/systemd/system/sshd-keygen.target", "[Unit]\nWants=sshd-keygen@rsa.service\n")
            .file("/usr/lib/systemd/system/sshd-keygen@.service", unit("/usr/libexec/openssh/sshd-keygen %i", "", ""));
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
                                  ? fmt::format("kernelopts=root=UUID={} ro {} \nboot_success=0\n", kRoot, words)
                                  : "boot_success=0\n"))
            .file(
                "/boot/loader/entries/abc-4.18.0.conf",
                fmt::format(
                    "title Linux\nversion 4.18.0\nlinux /boot/vmlinuz-4.18.0\ninitrd /boot/initramfs-4.18.0.img\n"
                    "options {}\n",
                    environment_words ? "$kernelopts $tuned_params" : fmt::format("root=UUID={} ro {}", kRoot, words)));
    }
    return {fmt::format("{} {}", id, release), std::move(guest)};
}

// Amazon's images: cloud-init with its own source, net.ifnames=0, serial console; 2023 has networkd.
PhonyGuest amazon(unsigned release) {
    MemoryGuest guest = base("amzn", std::to_string(release), "fedora");
    with_systemd(guest);
    with_cloud_init(guest, "Ec2, None");
    const std::string words = "console=tty0 console=ttyS0,115200n8 net.ifnames=0 nvme_core.io_timeout=4294967295";
    guest.file("/usr/lib/systemd/system/sshd.service", unit("/usr/sbin/sshd -D", "Wants=sshd-keygen.target\n"));
    guest.file("/usr/lib/systemd/system/sshd-keygen.target", "[Unit]\nWants=sshd-keygen@rsa.service\n");
    if (release == 2)
        guest.file("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\n");
    else
        guest.file("/usr/lib/systemd/system/systemd-networkd.service", unit("/usr/lib/systemd/systemd-networkd"))
            .file("/usr/lib/systemd/network/80-ec2.network", "[Match]\nDriver=ena\n[Network]\nDHCP=yes\n");
    with_grub(guest, "/boot/grub2", "GRUB_CMDLINE_LINUX_DEFAULT=\"" + words + "\"\n", words);
    return {fmt::format("amzn {}", release), std::move(guest)};
}

// --- SUSE ---------------------------------------------------------------------------------------------------------

// SLES 11: SysV init, GRUB legacy, perl-Bootloader; from 12 on systemd, wicked and sshd-gen-keys-start (openssh.spec).
PhonyGuest suse(const std::string& id, const std::string& release) {
    const bool old = release.starts_with("11");
    MemoryGuest guest = base(id, release, "suse");
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
            .file("/sbin/init", program(), 0755)
            .file("/sbin/mingetty", program(), 0755)
            .file("/sbin/agetty", program(), 0755)
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
    guest.file("/usr/lib/systemd/system/wicked.service", unit("/usr/sbin/wicked ifup all", "", "network.target"))
        .symlink("/etc/systemd/system/network.service", "/usr/lib/systemd/system/wicked.service")
        .file("/usr/lib/systemd/system/sshd.service", "[Unit]\nDescription=x\n[Service]\nExecStartPre=/usr/sbin/"
                                                      "sshd-gen-keys-start\nExecStart=/usr/sbin/sshd -D\n");
    enable(guest, "wicked.service");
    with_grub(guest, "/boot/grub2",
              "GRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"splash=silent resume=/dev/sda2 quiet\"\n",
              "splash=silent resume=/dev/sda2 quiet");
    return {id + " " + release, std::move(guest)};
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

// Cloud images: every card asks by DHCP already, and cloud-init has the list of sources that its package brings.
PhonyGuest rocky_cloud() {
    PhonyGuest made = red_hat("rocky", 9, BootEntries::entries, true);
    with_cloud_init(made.guest, "ConfigDrive, Azure, OpenStack, Ec2, GCE, None");
    made.guest.remove("/etc/NetworkManager/system-connections/ens192.nmconnection");
    return {"rocky 9 cloud", std::move(made.guest)};
}

// --- Debian and Ubuntu ----------------------------------------------------------------------------------------------

constexpr const char* kInterfaces =
    "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\n"
    "allow-hotplug {0}\niface {0} inet static\n\taddress 10.0.0.5/24\n\tgateway 10.0.0.1\n";

// Debian 7: sysvinit, and names that udev writes down. ifupdown's versions are those of packages.debian.org. Nothing
// but openssh-server's postinst makes keys, up to Debian 12; 13 has sshd-keygen.service.
PhonyGuest debian(unsigned release, const std::string& ifupdown) {
    MemoryGuest guest = base("debian", std::to_string(release), "");
    const bool names_written_down = release < 9;
    guest
        .file("/var/lib/dpkg/status",
              "Package: base-files\nStatus: install ok installed\nVersion: 1\n\nPackage: ifupdown\nStatus: install ok "
              "installed\nVersion: " +
                  ifupdown + "\n\n")
        .file("/etc/network/interfaces",
              fmt::format(fmt::runtime(kInterfaces), names_written_down ? "eth0" : "ens192"));
    with_grub(guest, "/boot/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n", "quiet");
    if (names_written_down)
        guest.file("/usr/lib/udev/rules.d/75-persistent-net-generator.rules", "ACTION!=\"add\", GOTO=\"end\"\n")
            .file("/etc/udev/rules.d/70-persistent-net.rules",
                  "SUBSYSTEM==\"net\", ATTR{address}==\"00:50:56:aa:bb:01\", NAME=\"eth0\"\n");
    if (release == 7) {
        guest.file("/sbin/init", program(), 0755)
            .file("/sbin/getty", program(), 0755)
            .file("/etc/inittab",
                  "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\nl2:2:wait:/etc/init.d/rc 2\n"
                  "1:2345:respawn:/sbin/getty 38400 tty1\n#T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n")
            .file("/etc/init.d/rcS", "#!/bin/sh\n", 0755)
            .file("/etc/init.d/networking", "#!/bin/sh\n", 0755)
            .symlink("/etc/rcS.d/S10networking", "../init.d/networking")
            .file("/etc/init.d/ssh", "#!/bin/sh\n# Provides: sshd\n", 0755)
            .symlink("/etc/rc2.d/S02ssh", "../init.d/ssh");
    } else {
        with_systemd(guest);
        with_vmware_tools(guest, "open-vm-tools.service");
        guest.file("/usr/lib/systemd/system/ssh.service", unit("/usr/sbin/sshd -D"))
            .file("/usr/lib/systemd/system/networking.service", unit("/sbin/ifup -a", "", "multi-user.target"));
        enable(guest, "ssh.service");
        enable(guest, "networking.service");
        if (release >= 13) {
            guest.file("/usr/lib/systemd/system/sshd-keygen.service",
                       unit("/usr/bin/ssh-keygen -A", "", "ssh.service"));
            enable(guest, "sshd-keygen.service", "ssh.service");
        }
    }
    return {fmt::format("debian {}", release), std::move(guest)};
}

// Upstart up to 14.04 (jobs in /etc/init, tty1.conf by its package), ifupdown up to 16.04, then netplan.
PhonyGuest ubuntu(const std::string& release, bool cloud) {
    MemoryGuest guest = base("ubuntu", release, "debian");
    const bool upstart = release < "15";
    const std::string words = cloud ? "console=tty1 console=ttyS0" : "quiet splash";
    if (release == "10.04") {
        guest.remove("/etc/os-release").file("/etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\n");
    }
    with_grub(guest, "/boot/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet splash\"\nGRUB_CMDLINE_LINUX=\"\"\n", words);
    if (cloud) // livecd-rootfs' image settings
        guest.file("/etc/default/grub.d/50-cloudimg-settings.cfg",
                   "GRUB_RECORDFAIL_TIMEOUT=0\nGRUB_CMDLINE_LINUX_DEFAULT=\"console=tty1 console=ttyS0\"\n");
    if (upstart) {
        guest.file("/sbin/init", program(), 0755)
            .file("/sbin/initctl", program(), 0755)
            .file("/sbin/getty", program(), 0755)
            .file("/etc/init.d/rcS", "#!/bin/sh\n", 0755)
            .file("/etc/init/rc.conf", "start on runlevel [0123456]\ntask\nexec /etc/init.d/rc $RUNLEVEL\n")
            .file("/etc/init/tty1.conf",
                  "start on stopped rc RUNLEVEL=[2345]\nrespawn\nexec /sbin/getty -8 38400 tty1\n")
            .file("/etc/init/networking.conf", "start on local-filesystems\ntask\nexec ifup -a\n")
            .file("/etc/init/ssh.conf", "start on runlevel [2345]\nrespawn\nexec /usr/sbin/sshd -D\n")
            .file("/etc/network/interfaces", "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n"
                                             "\taddress 10.0.0.5\n\tnetmask 255.255.255.0\n");
        return {"ubuntu " + release + (cloud ? " cloud" : ""), std::move(guest)};
    }
    with_systemd(guest);
    guest.file("/usr/lib/systemd/system/ssh.service", unit("/usr/sbin/sshd -D"));
    enable(guest, "ssh.service");
    if (cloud)
        with_cloud_init(guest, "NoCloud, ConfigDrive, OVF, VMware, Ec2, None");
    else
        with_vmware_tools(guest, "open-vm-tools.service");
    const std::string address = "  version: 2\n  ethernets:\n    ens160:\n      addresses: [10.0.0.5/24]\n"
                                "      routes: [{to: default, via: 10.0.0.1}]\n";
    if (release == "16.04") {
        guest.file("/etc/network/interfaces", fmt::format(fmt::runtime(kInterfaces), "ens160"))
            .file("/var/lib/dpkg/status", "Package: ifupdown\nVersion: 0.8.10ubuntu1.4\n\n");
    } else if (cloud) {
        guest.file("/etc/netplan/50-cloud-init.yaml",
                   "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n      match:\n"
                   "        macaddress: 00:50:56:aa:bb:01\n      set-name: eth0\n",
                   0600);
    } else {
        guest.file("/etc/netplan/00-installer-config.yaml", "network:\n" + address);
    }
    return {"ubuntu " + release + (cloud ? " cloud" : ""), std::move(guest)};
}

// Subiquity since 23.04 leaves the network in cloud-init's configuration, and its own answers as a source.
PhonyGuest ubuntu_by_subiquity() {
    PhonyGuest made = ubuntu("24.04", false);
    const std::string network = made.guest.read_file("/etc/netplan/00-installer-config.yaml", 4096).value();
    with_cloud_init(made.guest, "NoCloud, None");
    made.guest.remove("/etc/netplan/00-installer-config.yaml")
        .file("/etc/netplan/50-cloud-init.yaml", network, 0600)
        .file("/etc/cloud/cloud.cfg.d/90-installer-network.cfg",
              "# This is the network config written by 'subiquity'\n" + network)
        .file("/etc/cloud/cloud.cfg.d/99-installer.cfg", "datasource:\n  None:\n    metadata: {instance-id: a}\n    "
                                                         "userdata_raw: '#cloud-config'\ndatasource_list: [None]\n");
    return {"ubuntu 24.04 subiquity", std::move(made.guest)};
}

// Debian's own (debian-cloud-images): netplan with networkd instead of ifupdown.
PhonyGuest debian_cloud() {
    PhonyGuest made = debian(12, "0.8.41");
    with_cloud_init(made.guest, "NoCloud, ConfigDrive, OpenStack, Ec2, None");
    made.guest.remove("/etc/network/interfaces")
        .remove("/etc/systemd/system/multi-user.target.wants/networking.service")
        .remove("/usr/lib/systemd/system/networking.service")
        .file("/etc/netplan/90-default.yaml",
              "network:\n    version: 2\n    ethernets:\n        all-en:\n            match:\n"
              "                name: en*\n            dhcp4: true\n");
    return {"debian 12 cloud", std::move(made.guest)};
}

// --- others -------------------------------------------------------------------------------------------------------

// OpenRC on BusyBox, extlinux by update-extlinux.conf (syslinux' APKBUILD); sshd's script has generate_host_keys.
PhonyGuest alpine() {
    MemoryGuest guest = base("alpine", "3.20.3", "");
    guest.file("/etc/alpine-release", "3.20.3\n")
        .file("/sbin/openrc", program(), 0755)
        .file("/bin/busybox", program(), 0755)
        .symlink("/sbin/init", "/bin/busybox")
        .symlink("/sbin/getty", "/bin/busybox")
        .file("/etc/inittab",
              "::sysinit:/sbin/openrc sysinit\n::wait:/sbin/openrc default\n"
              "tty1::respawn:/sbin/getty 38400 tty1\n#ttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n")
        .file("/etc/securetty", "console\ntty1\n")
        .file("/etc/init.d/sshd", "#!/sbin/openrc-run\ngenerate_host_keys() { ssh-keygen -A; }\n", 0755)
        .symlink("/etc/runlevels/default/sshd", "/etc/init.d/sshd")
        .file("/etc/init.d/networking", "#!/sbin/openrc-run\n", 0755)
        .symlink("/etc/runlevels/boot/networking", "/etc/init.d/networking")
        .file("/etc/network/interfaces", "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n"
                                         "\taddress 10.0.0.5/24\n")
        .file("/boot/extlinux.conf", "DEFAULT lts\nLABEL lts\n  LINUX vmlinuz-lts\n  INITRD initramfs-lts\n"
                                     "  APPEND root=/dev/sda1 modules=sd-mod,ext4 quiet rootfstype=ext4\n")
        .file("/etc/update-extlinux.conf",
              "overwrite=1\nroot=/dev/sda1\ndefault_kernel_opts=\"quiet rootfstype=ext4\"\n");
    return {"alpine 3.20", std::move(guest)};
}

// sshdgenkeys.service comes with openssh; systemd-boot's entries, and mkinitcpio's command line for images.
PhonyGuest arch() {
    MemoryGuest guest = base("arch", "", "");
    with_systemd(guest);
    guest.file("/usr/lib/systemd/system/sshd.service", unit("/usr/bin/sshd -D", "Wants=sshdgenkeys.service\n"))
        .file("/usr/lib/systemd/system/sshdgenkeys.service", unit("/usr/bin/ssh-keygen -A", "", ""))
        .file("/usr/lib/systemd/system/systemd-networkd.service", unit("/usr/lib/systemd/systemd-networkd"))
        .file("/etc/systemd/network/20-wired.network",
              "[Match]\nName=ens192\n\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\n")
        .file("/boot/loader/entries/arch.conf",
              fmt::format("title Arch\nlinux /vmlinuz-linux\noptions root=UUID={} rw\n", kRoot));
    enable(guest, "systemd-networkd.service");
    return {"arch", std::move(guest)};
}

// runit, with a service for a serial login that is not enabled (void-packages' runit-void); sshd's run makes keys.
PhonyGuest void_linux() {
    MemoryGuest guest = base("void", "", "");
    guest.file("/usr/bin/runit", program(), 0755)
        .symlink("/sbin/init", "/usr/bin/runit-init")
        .file("/usr/bin/runit-init", program(), 0755)
        .file("/etc/runit/2", "#!/bin/sh\n", 0755)
        .file("/etc/sv/agetty-ttyS0/run", "#!/bin/sh\nexec agetty ttyS0\n", 0755)
        .file("/etc/sv/sshd/run", "#!/bin/sh\nssh-keygen -A >/dev/null 2>&1\nexec /usr/bin/sshd -D\n", 0755)
        .symlink("/etc/runit/runsvdir/default/sshd", "/etc/sv/sshd")
        .file("/etc/rc.conf", "HOSTNAME=\"old\"\n");
    with_grub(guest, "/boot/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"loglevel=4\"\n", "loglevel=4");
    return {"void", std::move(guest)};
}

// OpenRC on sysvinit, whose inittab has a commented serial line (sys-apps/sysvinit); sshd.initd makes keys.
PhonyGuest gentoo() {
    MemoryGuest guest = base("gentoo", "2.17", "");
    guest.file("/sbin/openrc", program(), 0755)
        .file("/sbin/init", program(), 0755)
        .file("/sbin/agetty", program(), 0755)
        .file("/etc/inittab", "id:3:initdefault:\nsi::sysinit:/sbin/openrc sysinit\nl3:3:wait:/sbin/openrc default\n"
                              "c1:12345:respawn:/sbin/agetty --noclear 38400 tty1 linux\n"
                              "#s0:12345:respawn:/sbin/agetty -L 9600 ttyS0 vt100\n")
        .file("/etc/init.d/sshd", "#!/sbin/openrc-run\nssh-keygen -A\n", 0755)
        .symlink("/etc/runlevels/default/sshd", "/etc/init.d/sshd")
        .file("/etc/conf.d/hostname", "# Set to the hostname of this machine\nhostname=\"old\"\n");
    with_grub(guest, "/boot/grub", "", "");
    return {"gentoo", std::move(guest)};
}

// VMware's own: networkd, GRUB with the words in photon.cfg (photon's mk-setup-grub.sh).
PhonyGuest photon() {
    MemoryGuest guest = base("photon", "5.0", "");
    with_systemd(guest);
    with_vmware_tools(guest, "vmtoolsd.service");
    guest.file("/usr/lib/systemd/system/sshd.service", unit("/usr/sbin/sshd -D", "Wants=sshd-keygen.service\n"))
        .file("/usr/lib/systemd/system/sshd-keygen.service", unit("/usr/bin/ssh-keygen -A", "", ""))
        .file("/usr/lib/systemd/system/systemd-networkd.service", unit("/usr/lib/systemd/systemd-networkd"))
        .file("/etc/systemd/network/99-dhcp-en.network", "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n")
        .file("/boot/photon.cfg",
              "photon_cmdline=init=/lib/systemd/systemd ro loglevel=3 quiet\nphoton_linux=vmlinuz-6.1\n")
        .file("/boot/grub2/grub.cfg",
              "load_env -f /boot/photon.cfg\nmenuentry \"Photon\" {\n"
              "    linux /boot/$photon_linux root=$rootpartition $photon_cmdline $systemd_cmdline\n"
              "    if [ -f /boot/$photon_initrd ]; then\n        initrd /boot/$photon_initrd\n    fi\n}\n");
    enable(guest, "systemd-networkd.service");
    return {"photon 5", std::move(guest)};
}

// /usr is another partition; keys by sshkeys.service (flatcar's init), the command line in the EFI partition's
// grub.cfg.
PhonyGuest flatcar() {
    MemoryGuest guest = base("flatcar", "4081.2.0", "coreos");
    with_systemd(guest);
    guest.file("/usr/lib/systemd/system/sshd.service", unit("/usr/sbin/sshd -D", "Requires=sshkeys.service\n"))
        .file("/usr/lib/systemd/system/sshkeys.service", unit("/usr/lib/flatcar/sshd_keygen", "", ""))
        .file("/usr/lib/systemd/network/zz-default.network", "[Network]\nDHCP=yes\n");
    return {"flatcar", std::move(guest)};
}

} // namespace

std::vector<PhonyGuest> phony_guests() {
    std::vector<PhonyGuest> all;
    for (const char* id : {"rhel", "centos"})
        for (const unsigned release : {5U, 6U})
            all.push_back(old_red_hat(id, release));
    all.push_back(old_red_hat("ol", 6));
    for (const char* id : {"rhel", "centos", "ol"}) {
        all.push_back(red_hat(id, 7, BootEntries::grub_script, false));
        all.push_back(red_hat(id, 8, BootEntries::environment, false));
        all.push_back(red_hat(id, 9, BootEntries::entries, true));
        all.push_back(red_hat(id, 10, BootEntries::entries, true));
    }
    all.push_back(red_hat("fedora", 32, BootEntries::environment, false));
    all.push_back(red_hat("fedora", 42, BootEntries::entries, true));
    all.push_back(amazon(2));
    all.push_back(amazon(2023));
    for (const char* release : {"11.4", "12.5", "15.6"})
        all.push_back(suse("sles", release));
    all.push_back(suse("opensuse-leap", "15.6"));
    all.push_back(debian(7, "0.7.8"));
    all.push_back(debian(8, "0.7.53.1"));
    all.push_back(debian(9, "0.8.19"));
    all.push_back(debian(10, "0.8.35"));
    all.push_back(debian(11, "0.8.36"));
    all.push_back(debian(12, "0.8.41"));
    all.push_back(debian(13, "0.8.44"));
    for (const char* release : {"10.04", "12.04", "14.04", "16.04", "18.04", "20.04", "22.04", "24.04"})
        all.push_back(ubuntu(release, false));
    for (const char* release : {"18.04", "20.04", "22.04", "24.04"})
        all.push_back(ubuntu(release, true));
    all.push_back(ubuntu_by_subiquity());
    for (PhonyGuest (*make)() :
         {new_suse, rocky_cloud, debian_cloud, alpine, arch, void_linux, gentoo, photon, flatcar})
        all.push_back(make());
    return all;
}

PhonyGuest phony_guest(std::string_view name) {
    for (PhonyGuest& each : phony_guests())
        if (each.name == name)
            return std::move(each);
    throw std::invalid_argument("there is no phony guest " + std::string(name));
}

} // namespace vm2oci::test
