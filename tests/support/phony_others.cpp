// Distributions of their own.
#include "tests/support/phony_parts.hpp"

#include <fmt/format.h>

namespace vm2oci::test {
namespace {

// OpenRC on BusyBox, extlinux by update-extlinux.conf (syslinux' APKBUILD); sshd's script has generate_host_keys.
PhonyGuest alpine() {
    MemoryGuest guest = phony_base("alpine", "3.20.3", "");
    guest.file("/etc/alpine-release", "3.20.3\n")
        .file("/sbin/openrc", phony_program(), 0755)
        .file("/bin/busybox", phony_program(), 0755)
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
    MemoryGuest guest = phony_base("arch", "", "");
    with_systemd(guest);
    guest.file("/usr/lib/systemd/system/sshd.service", phony_unit("/usr/bin/sshd -D", "Wants=sshdgenkeys.service\n"))
        .file("/usr/lib/systemd/system/sshdgenkeys.service", phony_unit("/usr/bin/ssh-keygen -A", "", ""))
        .file("/usr/lib/systemd/system/systemd-networkd.service", phony_unit("/usr/lib/systemd/systemd-networkd"))
        .file("/etc/systemd/network/20-wired.network",
              "[Match]\nName=ens192\n\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\n")
        .file("/boot/loader/entries/arch.conf",
              fmt::format("title Arch\nlinux /vmlinuz-linux\noptions root=UUID={} rw\n", kPhonyRoot));
    enable_unit(guest, "systemd-networkd.service");
    return {"arch", std::move(guest)};
}

// arch-boxes' cloud image: networkd asks on every card, cloud-init by its package.
PhonyGuest arch_cloud() {
    PhonyGuest made = arch();
    with_cloud_init(made.guest, "NoCloud, ConfigDrive, OpenStack, Ec2, None");
    made.guest.remove("/etc/systemd/network/20-wired.network")
        .file("/etc/systemd/network/80-dhcp.network", "[Match]\nName=en*\nName=eth*\n\n[Network]\nDHCP=yes\n");
    made.name += " cloud";
    return made;
}

// runit, with a service for a serial login that is not enabled (void-packages' runit-void); sshd's run makes keys.
PhonyGuest void_linux() {
    MemoryGuest guest = phony_base("void", "", "");
    guest.file("/usr/bin/runit", phony_program(), 0755)
        .symlink("/sbin/init", "/usr/bin/runit-init")
        .file("/usr/bin/runit-init", phony_program(), 0755)
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
    MemoryGuest guest = phony_base("gentoo", "2.17", "");
    guest.file("/sbin/openrc", phony_program(), 0755)
        .file("/sbin/init", phony_program(), 0755)
        .file("/sbin/agetty", phony_program(), 0755)
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
    MemoryGuest guest = phony_base("photon", "5.0", "");
    with_systemd(guest);
    with_vmware_tools(guest, "vmtoolsd.service");
    guest.file("/usr/lib/systemd/system/sshd.service", phony_unit("/usr/sbin/sshd -D", "After=sshd-keygen.service\n"))
        .file("/usr/lib/systemd/system/sshd-keygen.service", phony_unit("/usr/bin/ssh-keygen -A"))
        .file("/usr/lib/systemd/system/systemd-networkd.service", phony_unit("/usr/lib/systemd/systemd-networkd"))
        .file("/etc/systemd/network/99-dhcp-en.network", "[Match]\nName=e*\n\n[Network]\nDHCP=yes\n")
        .file("/boot/photon.cfg",
              "photon_cmdline=init=/lib/systemd/systemd ro loglevel=3 quiet\nphoton_linux=vmlinuz-6.1\n")
        .file("/boot/grub2/grub.cfg",
              "load_env -f /boot/photon.cfg\nmenuentry \"Photon\" {\n"
              "    linux /boot/$photon_linux root=$rootpartition $photon_cmdline $systemd_cmdline\n"
              "    if [ -f /boot/$photon_initrd ]; then\n        initrd /boot/$photon_initrd\n    fi\n}\n");
    enable_unit(guest, "sshd-keygen.service");
    enable_unit(guest, "systemd-networkd.service");
    return {"photon 5", std::move(guest)};
}

// Photon's OVA: cloud-init with VMware's source (cloud-init's DataSourceVMware).
PhonyGuest photon_cloud() {
    PhonyGuest made = as_vmware_keeps_it(photon());
    with_cloud_init(made.guest, "VMware, OVF, None");
    made.name = "photon 5 vmware cloud";
    return made;
}

// /usr is another partition; host keys by sshd-keygen.service, while sshkeys.service fetches those of users (both of
// flatcar's init); the command line in the EFI partition's grub.cfg.
PhonyGuest flatcar() {
    MemoryGuest guest = phony_base("flatcar", "4081.2.0", "coreos");
    with_systemd(guest);
    guest
        .file("/usr/lib/systemd/system/sshd.service", phony_unit("/usr/sbin/sshd -D", "Requires=sshd-keygen.service\n"))
        .file("/usr/lib/systemd/system/sshd-keygen.service", phony_unit("/usr/lib/flatcar/sshd_keygen", "", ""))
        .file("/usr/lib/systemd/system/sshkeys.service",
              phony_unit("/usr/bin/systemctl start coreos-metadata-sshkeys@core.service"))
        .file("/usr/lib/systemd/network/zz-default.network", "[Network]\nDHCP=yes\n");
    return {"flatcar", std::move(guest)};
}

} // namespace

void add_other_guests(std::vector<PhonyGuest>& all) {
    for (PhonyGuest (*make)() : {alpine, arch, void_linux, gentoo, photon, flatcar})
        all.push_back(make());
}

void add_other_clouds(std::vector<PhonyGuest>& all) {
    all.push_back(arch_cloud());
    all.push_back(photon_cloud());
}

} // namespace vm2oci::test
