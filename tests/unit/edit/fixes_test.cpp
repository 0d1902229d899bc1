#include "formats/base/error.hpp"
#include "libconvert/edit/network_settings.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/edit/planners.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

namespace {

const Edit* find_edit(const EditPlan& plan, const std::string& path, EditKind kind = EditKind::write_file) {
    for (const Edit& edit : plan.edits)
        if (edit.path == path && edit.kind == kind)
            return &edit;
    return nullptr;
}

EditPlan fix(const MemoryGuest& guest, std::string_view list, const std::vector<DiskVolume>& volumes = {}) {
    EditRequest request;
    request.fixes = select_fixes(list);
    return plan_edits(guest, volumes, request);
}

bool has_problem(const MemoryGuest& guest, const std::string& name, const std::vector<DiskVolume>& volumes = {}) {
    const auto problems = diagnose(guest, volumes, {});
    return std::any_of(problems.begin(), problems.end(), [&](const BootProblem& each) { return each.fix == name; });
}

const std::vector<DiskVolume> kVolumes = {{1, "ext4", "1111-aaaa"}, {2, "swap", "2222-bbbb"}, {3, "LVM2_member", "x"}};

} // namespace

TEST_CASE("Fixes are chosen by name, the network's mode behind a colon") {
    CHECK(select_fixes("").names.size() == fixes().size());
    CHECK(select_fixes("network:pin,virtio").network == NetworkFix::pin);
    CHECK(select_fixes("network:pin,virtio").names == std::vector<std::string>{"network", "virtio"});
    CHECK(select_fixes("-selinux").names.size() == fixes().size() - 1);
    CHECK_THROWS_WITH(select_fixes("network:magic"), Catch::Contains("dhcp, pin or keep"));
    CHECK_THROWS_AS(select_fixes("nonsense"), Error);
}

TEST_CASE("Device names become UUIDs, and everything else stays") {
    MemoryGuest guest;
    guest
        .file("/etc/fstab",
              "# /dev/sda1 comment\n/dev/sda1  /  ext4 defaults 0 1\n/dev/sdb1 /data ext4 defaults 0 2\n"
              "UUID=x /boot ext4 defaults 0 2\n/dev/xvda2 none swap sw 0 0\n/dev/sr0 /media iso9660 noauto 0 0\n"
              "/dev/sda3 /lvm ext4 defaults 0 0\n")
        .file("/etc/crypttab", "crypt /dev/sda2 none luks\n")
        .file("/boot/initrd.img-1", "")
        .file("/boot/grub/grub.cfg", "linux /vmlinuz root=/dev/sda1 ro resume=/dev/sda2\n")
        .file("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"resume=/dev/sda2\"\n")
        .file("/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sda2\n");
    const EditPlan plan = fix(guest, "devices", kVolumes);
    CHECK(find_edit(plan, "/etc/fstab")->content ==
          "# /dev/sda1 comment\nUUID=1111-aaaa  /  ext4 defaults 0 1\n/dev/sdb1 /data ext4 defaults 0 2\n"
          "UUID=x /boot ext4 defaults 0 2\nUUID=2222-bbbb none swap sw 0 0\n/dev/sr0 /media iso9660 noauto 0 0\n"
          "/dev/sda3 /lvm ext4 defaults 0 0\n");
    CHECK(find_edit(plan, "/etc/crypttab")->content == "crypt UUID=2222-bbbb none luks\n");
    CHECK(find_edit(plan, "/boot/grub/grub.cfg")->content ==
          "linux /vmlinuz root=UUID=1111-aaaa ro resume=UUID=2222-bbbb\n");
    CHECK(find_edit(plan, "/etc/default/grub")->content == "GRUB_CMDLINE_LINUX=\"resume=UUID=2222-bbbb\"\n");
    CHECK(find_edit(plan, "/etc/initramfs-tools/conf.d/resume")->content == "RESUME=UUID=2222-bbbb\n");
    CHECK(std::any_of(plan.findings.begin(), plan.findings.end(),
                      [](const EditFinding& each) { return each.text.find("/dev/sdb1") != std::string::npos; }));
    CHECK(has_problem(guest, "devices", kVolumes));
}

TEST_CASE("Links by a disk's serial number or slot become UUIDs where the root tells which disk it is") {
    const std::string disk = "/dev/disk/by-id/scsi-SVMware_Virtual_disk_6000c29";
    MemoryGuest guest;
    guest
        .file("/etc/fstab", disk + "-part1 / ext4 defaults 0 1\n" + disk +
                                "-part2 swap swap defaults 0 0\n/dev/disk/by-id/other-part1 /data xfs defaults 0 0\n")
        .file("/boot/initrd-1", "")
        .file("/boot/grub2/grub.cfg", "linux /vmlinuz root=UUID=1111-aaaa resume=" + disk + "-part2\n");
    const EditPlan plan = fix(guest, "devices", kVolumes);
    CHECK(find_edit(plan, "/etc/fstab")->content ==
          "UUID=1111-aaaa / ext4 defaults 0 1\nUUID=2222-bbbb swap swap defaults 0 0\n"
          "/dev/disk/by-id/other-part1 /data xfs defaults 0 0\n");
    CHECK(find_edit(plan, "/boot/grub2/grub.cfg")->content ==
          "linux /vmlinuz root=UUID=1111-aaaa resume=UUID=2222-bbbb\n");
    CHECK(has_problem(guest, "devices", kVolumes));
    CHECK(std::any_of(plan.findings.begin(), plan.findings.end(),
                      [](const EditFinding& each) { return each.text.find("other-part1") != std::string::npos; }));

    MemoryGuest by_slot;
    by_slot.file("/etc/fstab", "/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part1 / ext4 defaults 0 1\n");
    CHECK(find_edit(fix(by_slot, "devices", kVolumes), "/etc/fstab")->content ==
          "UUID=1111-aaaa / ext4 defaults 0 1\n");
}

TEST_CASE("Without an initrd root= names the partition, which the kernel finds by itself") {
    MemoryGuest guest;
    guest.file("/boot/grub/grub.cfg", "linux /vmlinuz root=/dev/sda1 ro resume=/dev/sda2\n")
        .file("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
    const std::vector<DiskVolume> volumes = {{1, "ext4", "1111-aaaa", "c0ffee00-01"},
                                             {2, "swap", "2222-bbbb", "c0ffee00-02"}};
    const EditPlan plan = fix(guest, "devices", volumes);
    CHECK(find_edit(plan, "/boot/grub/grub.cfg")->content ==
          "linux /vmlinuz root=PARTUUID=c0ffee00-01 ro resume=PARTUUID=c0ffee00-02\n");
    CHECK(find_edit(plan, "/etc/fstab")->content == "UUID=1111-aaaa / ext4 defaults 0 1\n");

    const EditPlan without_partitions = fix(guest, "devices", kVolumes);
    CHECK(find_edit(without_partitions, "/boot/grub/grub.cfg") == nullptr);

    guest.file("/lib/modules/3.8.0/modules.dep", "");
    CHECK(find_edit(fix(guest, "devices", volumes), "/boot/grub/grub.cfg") != nullptr);
    guest.file("/lib/modules/3.2.0-4-amd64/modules.dep", "");
    const EditPlan for_an_old_kernel = fix(guest, "devices", volumes);
    CHECK(find_edit(for_an_old_kernel, "/boot/grub/grub.cfg") == nullptr);
    CHECK(std::any_of(for_an_old_kernel.findings.begin(), for_an_old_kernel.findings.end(),
                      [](const EditFinding& each) { return each.text.find("root=/dev/sda1") != std::string::npos; }));
}

TEST_CASE("Every boot loader gets the serial console once") {
    MemoryGuest guest;
    std::string environment = "# GRUB Environment Block\nkernelopts=root=UUID=1 ro\n";
    environment.resize(1024, '#');
    guest.file("/usr/lib/systemd/systemd", "")
        .file("/boot/grub/grub.cfg",
              "\tlinux\t/vmlinuz-1 root=UUID=1 ro  quiet\n\tlinux /vmlinuz-2 console=ttyS0,9600\n")
        .file("/boot/loader/entries/a.conf", "title x\noptions root=UUID=1 quiet\n")
        .file("/boot/grub2/grubenv", environment)
        .file("/boot/extlinux.conf", "LABEL x\n  APPEND root=UUID=1\n")
        .file("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n")
        .symlink("/etc/systemd/system/serial-getty@ttyS0.service", "/dev/null");
    const EditPlan plan = fix(guest, "console");
    const std::string console = "console=tty0 console=ttyS0,115200";
    CHECK(find_edit(plan, "/boot/grub/grub.cfg")->content ==
          "\tlinux\t/vmlinuz-1 root=UUID=1 ro quiet " + console + "\n\tlinux /vmlinuz-2 console=ttyS0,9600\n");
    CHECK(find_edit(plan, "/boot/loader/entries/a.conf")->content ==
          "title x\noptions root=UUID=1 quiet " + console + "\n");
    CHECK(find_edit(plan, "/boot/extlinux.conf")->content == "LABEL x\n  APPEND root=UUID=1 " + console + "\n");
    const std::string& grubenv = find_edit(plan, "/boot/grub2/grubenv")->content;
    CHECK(grubenv.size() == 1024);
    CHECK(grubenv.find("kernelopts=root=UUID=1 ro " + console + "\n#") != std::string::npos);
    CHECK(find_edit(plan, "/etc/default/grub")->content ==
          "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"" + console + "\"\n");
    CHECK(find_edit(plan, "/etc/systemd/system/serial-getty@ttyS0.service", EditKind::remove) != nullptr);
    CHECK(has_problem(guest, "console"));
}

TEST_CASE("sysvinit and BusyBox get a getty, a commented one is used") {
    MemoryGuest alpine;
    alpine.file("/etc/inittab", "::sysinit:/sbin/openrc sysinit\n#ttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n");
    CHECK(find_edit(fix(alpine, "console"), "/etc/inittab")->content ==
          "::sysinit:/sbin/openrc sysinit\nttyS0::respawn:/sbin/getty -L ttyS0 115200 vt100\n");
    MemoryGuest sysv;
    sysv.file("/etc/inittab", "1:2345:respawn:/sbin/getty 38400 tty1\n").file("/etc/securetty", "tty1\n");
    const EditPlan plan = fix(sysv, "console");
    CHECK(find_edit(plan, "/etc/inittab")->content.find("\nS0:2345:respawn:/sbin/getty -L ttyS0") != std::string::npos);
    CHECK(find_edit(plan, "/etc/securetty")->content == "tty1\nttyS0\n");
}

TEST_CASE("Each init gets its login on the serial port from what it has") {
    MemoryGuest generator;
    generator.file("/usr/lib/systemd/systemd", "")
        .symlink("/etc/systemd/system-generators/systemd-getty-generator", "/dev/null")
        .file("/boot/grub/grub.cfg", "linux /v console=ttyS0\n");
    const EditPlan wanted = fix(generator, "console");
    CHECK(find_edit(wanted, "/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service",
                    EditKind::make_symlink) != nullptr);
    MemoryGuest mingetty;
    mingetty.file("/sbin/mingetty", "")
        .file("/sbin/agetty", "")
        .file("/etc/inittab",
              "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\n# respawn on ttyS0 is not done\n");
    CHECK(find_edit(fix(mingetty, "console"), "/etc/inittab")->content ==
          "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\n# respawn on ttyS0 is not done\n"
          "S0:2345:respawn:/sbin/agetty -L ttyS0 115200 vt100\n");
    MemoryGuest none;
    none.file("/etc/inittab", "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\n");
    const EditPlan nothing = fix(none, "console");
    CHECK(find_edit(nothing, "/etc/inittab") == nullptr);
    CHECK(std::any_of(nothing.findings.begin(), nothing.findings.end(),
                      [](const EditFinding& each) { return each.text.find("no getty") != std::string::npos; }));
    MemoryGuest openrc;
    openrc.file("/sbin/openrc", "").file("/sbin/openrc-init", "").symlink("/sbin/init", "openrc-init");
    openrc.file("/etc/init.d/agetty", "#!/sbin/openrc-run\n");
    CHECK(find_edit(fix(openrc, "console"), "/etc/runlevels/default/agetty.ttyS0", EditKind::make_symlink) != nullptr);
}

TEST_CASE("A pinned network asks by DHCP afterwards") {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "")
        .file("/etc/netplan/01-netcfg.yaml",
              "network:\n  version: 2\n  ethernets:\n    ens192:\n      addresses: [10.0.0.2/24]\n")
        .file("/etc/network/interfaces",
              "source /etc/network/interfaces.d/*\nauto lo ens192\niface lo inet loopback\n\n"
              "iface ens192 inet static\n  address 10.0.0.2/24\n  gateway 10.0.0.1\n")
        .file("/etc/udev/rules.d/70-persistent-net.rules", "x");
    const EditPlan plan = fix(guest, "network");
    CHECK(find_edit(plan, "/etc/netplan/01-netcfg.yaml", EditKind::remove) != nullptr);
    CHECK(find_edit(plan, "/etc/netplan/50-vm2oci.yaml")->attributes.permissions == 0600);
    CHECK(find_edit(plan, "/etc/netplan/50-vm2oci.yaml")->content.find("optional") == std::string::npos);
    CHECK(find_edit(plan, "/etc/network/interfaces")->content ==
          "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n\n"
          "allow-hotplug /e*=wired\niface wired inet dhcp\n");
    CHECK(find_edit(plan, "/etc/udev/rules.d/70-persistent-net.rules", EditKind::remove) != nullptr);
    CHECK(has_problem(guest, "network"));
}

TEST_CASE("A network that is not pinned stays as it is") {
    MemoryGuest guest;
    guest.file("/etc/netplan/a.yaml",
               "network:\n  version: 2\n  ethernets:\n    all:\n      match: {name: 'e*'}\n      dhcp4: true\n");
    guest.file("/etc/network/interfaces", "auto lo eth0\niface lo inet loopback\niface eth0 inet dhcp\n");
    CHECK(fix(guest, "network").edits.empty());
    CHECK_FALSE(has_problem(guest, "network"));
}

TEST_CASE("keep lets only the MAC addresses go") {
    MemoryGuest guest;
    guest
        .file("/etc/netplan/a.yaml",
              "network:\n  ethernets:\n    ens192:\n      match:\n        macaddress: 00:50:56:aa:bb:cc\n"
              "      set-name: ens192\n      addresses: [10.0.0.2/24]\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-ens192",
              "DEVICE=ens192\nHWADDR=00:50:56:aa:bb:cc\nIPADDR=10.0.0.2\n");
    const EditPlan plan = fix(guest, "network:keep");
    CHECK(find_edit(plan, "/etc/netplan/a.yaml")->content ==
          "network:\n  ethernets:\n    ens192:\n      addresses: [10.0.0.2/24]\n");
    CHECK(find_edit(plan, "/etc/sysconfig/network-scripts/ifcfg-ens192")->content ==
          "DEVICE=ens192\nIPADDR=10.0.0.2\n");
}

TEST_CASE("pin gives the old names in the order of the slots, and no shell sees strange ones") {
    MemoryGuest guest;
    guest.file("/etc/network/interfaces",
               "iface ens224 inet static\niface ens192 inet static\niface $(reboot) inet static\n");
    const EditPlan plan = fix(guest, "network:pin");
    const Edit* script = find_edit(plan, "/usr/local/lib/vm2oci/interface-name");
    REQUIRE(script != nullptr);
    CHECK(script->attributes.permissions == 0755);
    CHECK(script->content.find("names=\"ens192 ens224\"") != std::string::npos);
    CHECK(find_edit(plan, "/etc/udev/rules.d/81-vm2oci-net.rules") != nullptr);
    CHECK(find_edit(plan, "/etc/network/interfaces") == nullptr);
}

TEST_CASE("NetworkManager, networkd and ifcfg are freed in their own ways") {
    MemoryGuest guest;
    guest.file("/usr/sbin/NetworkManager", "")
        .file("/etc/NetworkManager/system-connections/a.nmconnection",
              "[connection]\ntype=ethernet\ninterface-name=ens192\n")
        .file("/etc/systemd/network/a.network", "[Match]\nName=ens192\n[Network]\nAddress=10.0.0.2/24\n")
        .file("/etc/sysconfig/network-scripts/ifcfg-ens192", "DEVICE=ens192\nIPADDR=10.0.0.2\n");
    const EditPlan plan = fix(guest, "network");
    CHECK(find_edit(plan, "/etc/NetworkManager/system-connections/vm2oci-wired.nmconnection") != nullptr);
    CHECK(find_edit(plan, "/etc/systemd/network/80-vm2oci.network") != nullptr);
    CHECK(find_edit(plan, "/etc/sysconfig/network-scripts/ifcfg-ens192", EditKind::remove) != nullptr);
    guest.file("/etc/sysconfig/network-scripts/ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\n");
    const EditPlan whole = fix(guest, "network");
    CHECK(find_edit(whole, "/etc/sysconfig/network-scripts/ifcfg-ens192", EditKind::remove) == nullptr);
    CHECK(find_edit(whole, "/etc/systemd/network/80-vm2oci.network") == nullptr);
}

TEST_CASE("Tools of other hypervisors are masked where they are installed") {
    MemoryGuest guest;
    guest.file("/usr/lib/systemd/systemd", "")
        .file("/usr/lib/systemd/system/open-vm-tools.service", "[Unit]\n")
        .file("/etc/rc3.d/S20vmware-tools", "")
        .file("/etc/init.d/vmware-tools", "");
    const EditPlan plan = fix(guest, "tools");
    CHECK(find_edit(plan, "/etc/systemd/system/open-vm-tools.service", EditKind::make_symlink)->link_target ==
          "/dev/null");
    CHECK(find_edit(plan, "/etc/rc3.d/S20vmware-tools", EditKind::remove) != nullptr);
    CHECK(find_edit(plan, "/etc/systemd/system/vmtoolsd.service", EditKind::make_symlink) == nullptr);
}

TEST_CASE("A shared folder of the old host stops no boot") {
    for (const char* line : {".host:/docs /docs fuse.vmhgfs-fuse defaults,allow_other 0 0",
                             "vmhgfs-fuse /mnt/hgfs fuse defaults 0 0", "share /media/share vboxsf uid=1000 0 0"}) {
        MemoryGuest guest;
        guest.file("/etc/fstab", "# table\nUUID=1 / ext4 defaults 0 1\n" + std::string(line) + "\n");
        const EditPlan plan = fix(guest, "tools");
        CHECK(find_edit(plan, "/etc/fstab")->content ==
              "# table\nUUID=1 / ext4 defaults 0 1\n#" + std::string(line) + "\n");
    }
    // What another host may lend as well stays.
    MemoryGuest guest;
    guest.file("/etc/fstab", "UUID=1 / ext4 defaults 0 1\nlent /lent 9p trans=virtio 0 0\n");
    CHECK(fix(guest, "tools").edits.empty());
}

TEST_CASE("UEFI's fallback path gets shim with what it starts, unless something is there") {
    MemoryGuest guest;
    guest.file("/boot/efi/EFI/debian/shimx64.efi", "shim").file("/boot/efi/EFI/debian/grubx64.efi", "grub");
    const EditPlan plan = fix(guest, "uefi");
    CHECK(find_edit(plan, "/boot/efi/EFI/BOOT/BOOTX64.EFI")->content == "shim");
    CHECK(find_edit(plan, "/boot/efi/EFI/BOOT/grubx64.efi")->content == "grub");
    CHECK(has_problem(guest, "uefi"));
    guest.file("/boot/efi/EFI/Boot/bootx64.efi", "present");
    CHECK(fix(guest, "uefi").edits.empty());
}

TEST_CASE("UEFI's fallback path is found by the names of every distribution") {
    MemoryGuest suse;
    suse.file("/boot/efi/EFI/sles/shim.efi", "shim")
        .file("/boot/efi/EFI/sles/grub.efi", "grub")
        .file("/boot/efi/EFI/sles/MokManager.efi", "keys")
        .file("/boot/efi/EFI/sles/grub.cfg", "search");
    const EditPlan plan = fix(suse, "uefi");
    CHECK(find_edit(plan, "/boot/efi/EFI/BOOT/BOOTX64.EFI")->content == "shim");
    for (const char* name : {"grub.efi", "MokManager.efi", "grub.cfg"})
        CHECK(find_edit(plan, std::string("/boot/efi/EFI/BOOT/") + name) != nullptr);

    MemoryGuest no_shim;
    no_shim.file("/efi/EFI/systemd/systemd-bootx64.efi", "sd-boot");
    CHECK(find_edit(fix(no_shim, "uefi"), "/efi/EFI/BOOT/BOOTX64.EFI")->content == "sd-boot");
    MemoryGuest lone_shim;
    lone_shim.file("/boot/efi/EFI/x/shimx64.efi", "shim");
    CHECK(fix(lone_shim, "uefi").edits.empty());
}

TEST_CASE("SELinux relabels only where it is on") {
    MemoryGuest guest;
    guest.file("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    CHECK(find_edit(fix(guest, "selinux"), "/.autorelabel") != nullptr);
    guest.file("/etc/selinux/config", "SELINUX=disabled\n");
    CHECK(fix(guest, "selinux").edits.empty());
    CHECK_FALSE(has_problem(guest, "selinux"));
}

TEST_CASE("Guests whose files have labels and whose policy can be read are not labelled anew") {
    MemoryGuest guest;
    guest.file("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n")
        .file("/etc/selinux/targeted/contexts/files/file_contexts", "/etc/.* system_u:object_r:etc_t:s0\n")
        .file("/etc/vmware-tools/tools.conf", "")
        .file("/usr/lib/systemd/systemd", "")
        .file("/usr/lib/systemd/system/vmtoolsd.service", "[Install]\nWantedBy=multi-user.target\n");
    CHECK(has_problem(guest, "selinux"));
    CHECK(find_edit(fix(guest, "selinux"), "/.autorelabel") != nullptr);
    for (const char* path : {"/", "/etc"})
        guest.attribute(path, "security.selinux", std::string("system_u:object_r:etc_t:s0\0", 27));
    CHECK_FALSE(has_problem(guest, "selinux"));
    const EditPlan plan = fix(guest, "");
    CHECK(find_edit(plan, "/.autorelabel") == nullptr);
    const Edit* made = find_edit(plan, "/etc/systemd/system/vmtoolsd.service", EditKind::make_symlink);
    REQUIRE(made != nullptr);
    CHECK(made->attributes.selinux_label == "system_u:object_r:etc_t:s0");
    guest.file("/etc/selinux/targeted/contexts/files/file_contexts", "/etc/.*\n");
    CHECK(find_edit(fix(guest, "selinux"), "/.autorelabel") != nullptr);
}
