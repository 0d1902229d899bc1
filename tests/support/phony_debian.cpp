// Debian and Ubuntu.
#include "tests/support/phony_parts.hpp"

#include <fmt/format.h>

namespace vm2oci::test {
namespace {

constexpr const char* kInterfaces =
    "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\n"
    "allow-hotplug {0}\niface {0} inet static\n\taddress 10.0.0.5/24\n\tgateway 10.0.0.1\n";

// Debian 7: sysvinit, and names that udev writes down. ifupdown's versions are those of packages.debian.org. Nothing
// but openssh-server's postinst makes keys, up to Debian 12; 13 has sshd-keygen.service, with ConditionFirstBoot=yes
// (openssh-server 1:10.0p1), which an empty machine-id does not meet.
PhonyGuest debian(unsigned release, const std::string& ifupdown) {
    MemoryGuest guest = phony_base("debian", std::to_string(release), "");
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
        guest.file("/sbin/init", phony_program(), 0755)
            .file("/sbin/getty", phony_program(), 0755)
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
        guest.file("/usr/lib/systemd/system/ssh.service", phony_unit("/usr/sbin/sshd -D"))
            .file("/usr/lib/systemd/system/networking.service", phony_unit("/sbin/ifup -a", "", "multi-user.target"));
        enable_unit(guest, "ssh.service");
        enable_unit(guest, "networking.service");
        if (release >= 13) {
            guest.file("/usr/lib/systemd/system/sshd-keygen.service",
                       phony_unit("/usr/bin/ssh-keygen -A", "ConditionFirstBoot=yes\n", "ssh.service"));
            enable_unit(guest, "sshd-keygen.service", "ssh.service");
        }
    }
    return {fmt::format("debian {}", release), std::move(guest)};
}

// Upstart up to 14.04 (jobs in /etc/init, tty1.conf by its package), ifupdown up to 16.04, then netplan.
PhonyGuest ubuntu(const std::string& release, bool cloud) {
    MemoryGuest guest = phony_base("ubuntu", release, "debian");
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
        guest.file("/sbin/init", phony_program(), 0755)
            .file("/sbin/initctl", phony_program(), 0755)
            .file("/sbin/getty", phony_program(), 0755)
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
    guest.file("/usr/lib/systemd/system/ssh.service", phony_unit("/usr/sbin/sshd -D"));
    enable_unit(guest, "ssh.service");
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

// Debian's own (debian-cloud-images): cloud-init writes for ifupdown up to 11, then netplan with networkd.
PhonyGuest debian_cloud(unsigned release) {
    PhonyGuest made = debian(release, "0.8.36");
    with_cloud_init(made.guest, "NoCloud, ConfigDrive, OpenStack, Ec2, None");
    made.name += " cloud";
    if (release < 12) {
        made.guest
            .file("/etc/network/interfaces", "auto lo\niface lo inet loopback\n\nsource-directory "
                                             "/run/network/interfaces.d\nsource /etc/network/interfaces.d/*\n")
            .file("/etc/network/interfaces.d/50-cloud-init",
                  "# This file is generated from information provided by the datasource.\n"
                  "auto lo\niface lo inet loopback\n\nauto ens3\niface ens3 inet dhcp\n");
        return made;
    }
    made.guest.remove("/etc/network/interfaces")
        .remove("/etc/systemd/system/multi-user.target.wants/networking.service")
        .remove("/usr/lib/systemd/system/networking.service")
        .file("/etc/netplan/90-default.yaml",
              "network:\n    version: 2\n    ethernets:\n        all-en:\n            match:\n"
              "                name: en*\n            dhcp4: true\n");
    return made;
}

} // namespace

void add_debian_guests(std::vector<PhonyGuest>& all) {
    all.push_back(debian(7, "0.7.8"));
    all.push_back(debian(8, "0.7.53.1"));
    all.push_back(debian(9, "0.8.19"));
    all.push_back(debian(10, "0.8.35"));
    all.push_back(debian(11, "0.8.36"));
    all.push_back(debian(12, "0.8.41"));
    all.push_back(debian(13, "0.8.44"));
    for (const char* release : {"10.04", "12.04", "14.04", "16.04", "18.04", "20.04", "22.04", "24.04"})
        all.push_back(ubuntu(release, false));
}

void add_debian_clouds(std::vector<PhonyGuest>& all) {
    for (const unsigned release : {10U, 11U, 12U, 13U})
        all.push_back(debian_cloud(release));
    for (const char* release : {"18.04", "20.04", "22.04", "24.04"})
        all.push_back(ubuntu(release, true));
    all.push_back(ubuntu_by_subiquity());
}

} // namespace vm2oci::test
