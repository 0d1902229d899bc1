// What VMware leaves in guests beside their distribution's own files.
#include "tests/support/phony_guests.hpp"

#include <algorithm>

namespace vm2oci::test {
namespace {

bool is_one_of(const std::string& name, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](std::string_view prefix) { return name == prefix || name.starts_with(prefix); });
}

// VMware's own installer (vmware-install.pl): services.sh, started by a script of SysV or by upstart's job, whose
// pre-start and post-stop run it.
void with_installer(MemoryGuest& guest) {
    guest.file("/etc/vmware-tools/services.sh", "#!/bin/sh\n", 0755)
        .file("/etc/vmware-tools/locations", "answer BINDIR /usr/bin\n")
        .file("/usr/bin/vmware-toolbox-cmd", "", 0755);
}

void with_script(MemoryGuest& guest, const std::string& name, const std::string& link) {
    // Of Red Hat's heirs /etc/init.d is a link.
    const bool heir = guest.status("/etc/rc.d/init.d", FinalLink::follow).has_value();
    guest.file((heir ? "/etc/rc.d/init.d/" : "/etc/init.d/") + name,
               "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: " + name + "\n### END INIT INFO\n", 0755);
    guest.symlink(link, "../init.d/" + name);
}

void with_upstart_job(MemoryGuest& guest, const std::string& start) {
    guest.file("/etc/init/vmware-tools.conf",
               "description \"VMware Tools\"\n" + start +
                   "stop on runlevel [!2345]\npre-start exec /etc/vmware-tools/services.sh start\n"
                   "post-stop exec /etc/vmware-tools/services.sh stop\n");
}

void with_units(MemoryGuest& guest, std::initializer_list<const char*> names) {
    for (const std::string name : names)
        guest
            .file("/usr/lib/systemd/system/" + name,
                  "[Unit]\nDescription=x\nConditionVirtualization=vmware\n\n[Service]\nExecStart=/usr/bin/" + name +
                      "\n\n[Install]\nWantedBy=multi-user.target\n")
            .symlink("/etc/systemd/system/multi-user.target.wants/" + name, "/usr/lib/systemd/system/" + name);
}

void add_tools(const std::string& name, MemoryGuest& guest) {
    if (is_one_of(name, {"rhel 5", "centos 5", "ol 5"})) {
        with_installer(guest);
        with_script(guest, "vmware-tools", "/etc/rc.d/rc3.d/S03vmware-tools");
        guest.file("/etc/modprobe.conf", "alias eth0 vmxnet3\nalias scsi_hostadapter mptbase\n"
                                         "alias scsi_hostadapter1 mptspi\nalias scsi_hostadapter2 vmw_pvscsi\n");
    } else if (is_one_of(name, {"rhel 6", "centos 6", "ol 6"})) {
        with_installer(guest);
        with_upstart_job(guest, "start on stopped rc RUNLEVEL=[345] or starting gdm or starting kdm or\\\n"
                                "    starting prefdm\n");
    } else if (is_one_of(name, {"ubuntu 10.04", "ubuntu 12.04"})) {
        with_installer(guest);
        with_upstart_job(guest, "start on (runlevel [2345]\n          and filesystem)\n");
    } else if (name == "sles 11.4") {
        with_installer(guest);
        with_script(guest, "vmware-tools", "/etc/init.d/rc3.d/S08vmware-tools");
    } else if (name == "debian 7") {
        with_script(guest, "open-vm-tools", "/etc/rc2.d/S18open-vm-tools");
    } else if (name == "ubuntu 14.04") {
        with_script(guest, "open-vm-tools", "/etc/rc2.d/S20open-vm-tools");
    } else if (is_one_of(name, {"debian", "ubuntu"})) {
        with_units(guest, {"open-vm-tools.service", "vgauth.service"});
        guest.file("/usr/lib/systemd/system/run-vmblock\\x2dfuse.mount",
                   "[Mount]\nWhat=vmware-vmblock\nWhere=/run/vmblock-fuse\nType=fuse.vmware-vmblock\n");
    } else if (name == "alpine 3.20") {
        guest.file("/etc/init.d/open-vm-tools", "#!/sbin/openrc-run\n", 0755)
            .symlink("/etc/runlevels/boot/open-vm-tools", "/etc/init.d/open-vm-tools");
    } else if (name == "gentoo") {
        guest.file("/etc/init.d/vmware-tools", "#!/sbin/openrc-run\n", 0755)
            .symlink("/etc/runlevels/default/vmware-tools", "/etc/init.d/vmware-tools");
    } else if (name == "void") {
        guest.file("/etc/sv/vmtoolsd/run", "#!/bin/sh\nexec vmtoolsd\n", 0755)
            .symlink("/etc/runit/runsvdir/default/vmtoolsd", "/etc/sv/vmtoolsd");
    } else {
        with_units(guest, {"vmtoolsd.service", "vgauthd.service"});
    }
}

// Drivers that its initrds were told to take, by the program that makes them.
void add_drivers(const std::string& name, MemoryGuest& guest) {
    if (is_one_of(name, {"debian", "ubuntu"}))
        guest.file("/etc/initramfs-tools/modules", "# List of modules\nvmw_pvscsi\nvmxnet3\n");
    else if (name == "sles 11.4")
        guest.file("/etc/sysconfig/kernel", "INITRD_MODULES=\"mptspi vmw_pvscsi ext3\"\nMODULES_LOADED_ON_BOOT=\"\"\n");
    else if (name == "arch")
        guest.file("/etc/mkinitcpio.conf", "MODULES=(vmw_pvscsi)\nHOOKS=(base udev autodetect modconf block)\n");
    else if (name != "alpine 3.20" && name != "flatcar")
        guest.file("/etc/dracut.conf.d/vmware.conf", "add_drivers+=\" vmw_pvscsi vmxnet3 \"\n");
    guest.file("/etc/udev/rules.d/99-vmware-scsi-udev.rules",
               "ACTION==\"add\", SUBSYSTEMS==\"scsi\", ATTRS{vendor}==\"VMware  \", ATTRS{model}==\"Virtual disk\", "
               "RUN+=\"/bin/sh -c 'echo 180 >/sys$DEVPATH/device/timeout'\"\n");
}

} // namespace

PhonyGuest as_vmware_keeps_it(PhonyGuest made) {
    add_tools(made.name, made.guest);
    add_drivers(made.name, made.guest);
    // Disks by their names there, a folder of the host, and the disk that nobody brought along.
    made.guest.file("/etc/fstab", "/dev/sda1 / ext4 defaults 1 1\n/dev/sda2 swap swap defaults 0 0\n"
                                  "/dev/sdb1 /data ext4 defaults 1 2\n.host:/ /mnt/hgfs vmhgfs defaults,ttl=5 0 0\n");
    made.name += " vmware";
    return made;
}

} // namespace vm2oci::test
