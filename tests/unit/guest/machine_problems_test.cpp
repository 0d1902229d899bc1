#include "formats/block/empty.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/inspect/machine_problems.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;

namespace {

// Partition 1 is the root, 2 is swap; more as a test adds.
struct Machine {
    OpenedGuest opened;
    test::MemoryFileSystem files;

    Machine() {
        add({ContentKind::file_system, "ext4", "root-uuid", "", ""});
        add({ContentKind::swap, "swap", "swap-uuid", "", ""});
        opened.layout.table.kind = TableKind::gpt;
    }

    void add(Signature signature, std::string type = "") {
        Partition partition;
        partition.number = static_cast<unsigned>(opened.layout.table.partitions.size() + 1);
        partition.type = std::move(type);
        partition.uuid = "part-" + std::to_string(partition.number);
        Volume volume;
        volume.name = "partition " + std::to_string(partition.number);
        volume.partition = opened.layout.table.partitions.size();
        volume.signature = std::move(signature);
        volume.device = std::make_shared<EmptyDevice>(1024 * 1024);
        opened.layout.table.partitions.push_back(partition);
        opened.layout.volumes.push_back(std::move(volume));
    }

    // The ids, in order.
    std::string problems(const std::string& fstab = "") {
        opened.fstab = parse_fstab("UUID=root-uuid / ext4 defaults 0 1\n" + fstab);
        learn_guest_disks(opened.layout, 0, opened.fstab, {}, parse_crypttab(text_of("etc/crypttab")));
        opened.fstab_volumes.clear();
        for (const FstabEntry& entry : opened.fstab)
            opened.fstab_volumes.push_back(find_volume(opened.layout, entry.device));
        opened.guest = std::make_unique<MountedGuest>(
            std::vector<MountedFileSystem>{{{"/", "partition 1", "ext4", "root-uuid", "", std::nullopt},
                                            std::make_shared<test::MemoryFileSystem>(files)}});
        std::string ids;
        texts.clear();
        for (const MachineProblem& problem : find_machine_problems(opened)) {
            ids += (ids.empty() ? "" : " ") + problem.id;
            texts += problem.text + "\n";
        }
        return ids;
    }

    std::string text_of(const std::string& path) {
        const auto folder = files.lookup(files.root(), path.substr(0, path.find('/')));
        const auto file = folder ? files.lookup(*folder, path.substr(path.find('/') + 1)) : std::nullopt;
        if (!file)
            return {};
        std::string text(static_cast<std::size_t>(files.status(*file).size), '\0');
        files.read_at(*file, 0, std::as_writable_bytes(std::span(text)));
        return text;
    }

    std::string texts;
};

std::string problems_of(const std::string& fstab) {
    return Machine().problems(fstab);
}

} // namespace

TEST_CASE("what fstab needs and the disk does not have is told, and nothing else of fstab") {
    for (const char* line :
         {"/dev/sdb1 /data ext4 defaults 0 2", "UUID=other /srv xfs defaults 0 0", "LABEL=backup /backup ext4 rw",
          "/dev/disk/by-id/scsi-1-part1 /var/lib/x ext4 rw", "/dev/nvme1n1 /scratch ext4 rw",
          "/dev/mapper/vg1-data /data xfs rw", "/dev/vg1/data /data xfs rw", "PARTUUID=other /opt ext4 rw",
          "UUID=other none swap sw", "/dev/sdb2 swap swap defaults", "/dev/sda9 /x ext4 rw", "/dev/md0 /md ext4 rw"}) {
        INFO(line);
        CHECK(problems_of(line) == "missing-device");
    }
    for (const char* line :
         {"/dev/sdb1 /data ext4 nofail 0 2", "/dev/sdb1 /data ext4 noauto,x-systemd.automount",
          "UUID=swap-uuid none swap sw", "/dev/sda2 none swap sw", "nas:/x /y nfs rw", "tmpfs /tmp tmpfs rw",
          "/dev/sr0 /media auto ro", "/swapfile none swap sw", "/dev/zram0 none swap sw", "/srv/x.img /x ext4 loop",
          "/dev/sdc1 /z ext4 _netdev", "/dev/fd0 /f auto rw", "PARTUUID=part-2 none swap sw"}) {
        INFO(line);
        CHECK(problems_of(line) == "");
    }
    Machine encrypted; // it may hold any of these
    encrypted.add({ContentKind::encrypted, "crypto_LUKS", "luks", "", "2"});
    encrypted.files.file("etc/crypttab", "data UUID=luks none\n");
    CHECK(encrypted.problems("/dev/mapper/data /data ext4 rw\nUUID=inside /inside ext4 rw\n") == "");
    CHECK(encrypted.problems("/dev/sdb1 /data ext4 rw\n") == "missing-device");
}

TEST_CASE("resume= of a swap that is lost is told, wherever it stands") {
    const auto with = [](const std::string& path, const std::string& text) {
        Machine machine;
        machine.files.file(path, text);
        return machine.problems();
    };
    CHECK(with("boot/grub/grub.cfg", "linux /vmlinuz root=UUID=root-uuid resume=UUID=lost\n") == "lost-resume");
    CHECK(with("boot/loader/entries/a.conf", "options root=UUID=root-uuid resume=/dev/sdb5\n") == "lost-resume");
    CHECK(with("boot/grub2/grub.cfg", "linux /vmlinuz resume=/dev/disk/by-id/ata-X-part3\n") == "lost-resume");
    CHECK(with("etc/initramfs-tools/conf.d/resume", "RESUME=UUID=lost\n") == "lost-resume");
    CHECK(with("boot/grub/grub.cfg", "linux /vmlinuz resume=UUID=swap-uuid\n") == "");
    CHECK(with("boot/grub/grub.cfg", "linux /vmlinuz resume=/dev/sda2 quiet\n") == "");
    CHECK(with("boot/grub/grub.cfg", "linux /vmlinuz resume=UUID=lost noresume\n") == "");
    CHECK(with("etc/initramfs-tools/conf.d/zz-resume-auto", "RESUME=\"/dev/mapper/gone-swap\"\n") == "lost-resume");
    CHECK(with("boot/grub/grub.cfg", "linux /vmlinuz resume= quiet\n") == "");
    CHECK(with("etc/initramfs-tools/conf.d/resume", "RESUME=none\n") == "");
    CHECK(with("etc/initramfs-tools/conf.d/resume", "RESUME=auto\n") == "");
}

TEST_CASE("LVM's filters are asked as LVM asks them") {
    const std::string head = "devices {\n # filter = [ \"r|.*|\" ]\n";
    CHECK(lvm_takes_device(head + "}\n", "/dev/vda2"));
    CHECK(lvm_takes_device("filter = [ \"a|.*|\" ]", "/dev/vda2"));
    CHECK(lvm_takes_device("filter = [ \"r|/dev/cdrom|\" ]", "/dev/vda2"));
    CHECK_FALSE(lvm_takes_device(head + " filter = [ \"a|^/dev/sda2$|\", \"r|.*|\" ]\n}", "/dev/vda2"));
    CHECK_FALSE(lvm_takes_device("global_filter=[\"a/sd.*/\",\n  \"r/.*/\"]\n", "/dev/vda3"));
    CHECK(lvm_takes_device("global_filter=[\"a/[sv]d.*/\", \"r/.*/\"]\n", "/dev/vda3"));
    CHECK_FALSE(lvm_takes_device("filter = \"r|vd|\"\n", "/dev/vda"));
    CHECK_FALSE(lvm_takes_device("filter = [ \"a|.*|\" ]\nfilter = [ \"r(.*)\" ]\n", "/dev/vda"));
    CHECK_FALSE(lvm_takes_device("filter = [ \"a|.*|\" ]\nglobal_filter = [ \"r|.*|\" ]\n", "/dev/vda"));
    CHECK(lvm_takes_device("filter_x = [ \"r|.*|\" ]\n", "/dev/vda"));

    Machine machine;
    machine.files.file("etc/lvm/lvm.conf", "devices { \n filter = [ \"a|/dev/mapper/mpath.*|\", \"r|.*|\" ]\n}\n");
    CHECK(machine.problems() == ""); // no volume group
    machine.add({ContentKind::volume_group, "LVM2_member", "pv", "", ""});
    CHECK(machine.problems() == "lvm-filter");
    CHECK(machine.texts.find("/dev/vda3") != std::string::npos);
    Machine listed;
    listed.add({ContentKind::volume_group, "LVM2_member", "pv", "", ""});
    listed.files.file("etc/lvm/devices/system.devices",
                      "VERSION=1.1.2\nIDTYPE=sys_wwid IDNAME=naa.6000c29 PVID=x PART=2\n");
    CHECK(listed.problems() == "lvm-devices");
}

TEST_CASE("a suspended system and large sectors are told even of disks without a guest") {
    Machine machine;
    machine.opened.layout.volumes[1].signature = {ContentKind::swap, "swsuspend", "swap-uuid", "", ""};
    machine.opened.layout.table.sector_size = 4096;
    CHECK(machine.problems() == "sector-size suspended");
    CHECK(machine.texts.find("blockSize") != std::string::npos);
    machine.opened.guest.reset();
    CHECK(find_machine_problems(machine.opened).size() == 2);
}

TEST_CASE("interfaces by the names and drivers of other hypervisors are told") {
    for (const char* name : {"enX0", "enX12", "em1", "em49_1", "p1p1", "p3p2_4"})
        CHECK_FALSE(origin_of_interface_name(name).empty());
    for (const char* name : {"eth0", "enp1s0", "ens3", "emx", "pop3", "wlan0", "br0", "bond0", "em", "lo", ""})
        CHECK(origin_of_interface_name(name).empty());
    const auto with = [](const std::string& path, const std::string& text) {
        Machine machine;
        machine.files.file(path, text).file("usr/lib/systemd/network/99-default.link", "[Match]\n");
        return machine.problems();
    };
    CHECK(with("etc/sysconfig/network-scripts/ifcfg-em1", "DEVICE=em1\nBOOTPROTO=dhcp\n") == "interface-name");
    CHECK(with("etc/netplan/50-cloud-init.yaml", "network:\n  ethernets:\n    enX0:\n      dhcp4: true\n") ==
          "interface-name");
    CHECK(with("etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n") == "interface-name");
    CHECK(with("etc/netplan/01.yaml",
               "network:\n  ethernets:\n    nics:\n      match:\n        driver: vmxnet3\n      dhcp4: true\n") ==
          "interface-driver");
    CHECK(with("etc/netplan/01.yaml",
               "network:\n  ethernets:\n    nics:\n      match:\n        driver:\n        - hv_netvsc\n"
               "        - ena\n      dhcp4: true\n") == "interface-driver");
    CHECK(with("etc/netplan/01.yaml", "network:\n  ethernets:\n    nics:\n      match: \n        driver: [ena, "
                                      "virtio_net]\n      dhcp4: true\n") == "");
    CHECK(with("etc/systemd/network/10.network", "[Match]\nDriver=xen-netfront\n[Network]\nDHCP=yes\n") ==
          "interface-driver");
    CHECK(with("etc/systemd/network/10.network", "[Match]\nDriver=virtio*\n[Network]\nDHCP=yes\n") == "");
    CHECK(with("etc/NetworkManager/system-connections/a.nmconnection",
               "[connection]\ntype=ethernet\n[match]\ndriver=vmxnet3;\n") == "interface-driver");
    CHECK(with("etc/systemd/network/10.network", "[Match]\nName=en*\n[Network]\nDHCP=yes\n") == "");
    CHECK(with("usr/lib/systemd/network/80-ec2.network", "[Match]\nDriver=ena ixgbevf vif\n[Network]\nDHCP=yes\n") ==
          "interface-driver");
    CHECK(with("usr/lib/systemd/network/80-container-host0.network",
               "[Match]\nVirtualization=container\nDriver=veth\n[Network]\nDHCP=yes\n") == "");
    Machine covered;
    covered.files.file("usr/lib/systemd/network/80-ec2.network", "[Match]\nDriver=ena\n[Network]\nDHCP=yes\n")
        .file("etc/systemd/network/80-vm2oci.network", "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n");
    CHECK(covered.problems() == "");
    Machine pinned;
    pinned.files.file("etc/sysconfig/network-scripts/ifcfg-em1", "DEVICE=em1\nBOOTPROTO=none\n")
        .file("usr/local/lib/vm2oci/interface-name", "#!/bin/sh\nnames=\"em1 em2\"\n");
    CHECK(pinned.problems() == "");
    Machine told;
    told.files.file("etc/network/interfaces", "auto eth0\niface eth0 inet dhcp\n")
        .file("usr/lib/systemd/network/99-default.link", "")
        .file("boot/grub/grub.cfg", "linux /vmlinuz net.ifnames=0\n");
    CHECK(told.problems() == "");
}

TEST_CASE("shares of the old host that the boot needs are told") {
    for (const char* line :
         {"Shared /media/sf vboxsf defaults 0 0", ".host:/ /mnt/hgfs fuse.vmhgfs-fuse allow_other 0 0",
          "vmhgfs-fuse /mnt/hgfs fuse defaults", "host0 /host 9p trans=virtio", "tag /host virtiofs rw",
          "none /media/psf prl_fs sync"}) {
        INFO(line);
        CHECK(problems_of(line) == "host-share");
    }
    for (const char* line : {"Shared /media/sf vboxsf nofail 0 0", "tag /host virtiofs noauto", "nas:/x /y nfs rw",
                             "sshfs#a@b:/ /s fuse _netdev"})
        CHECK(problems_of(line) == "");
}

TEST_CASE("LVM's list of devices is told whatever it names them by, unless by the names that they have here") {
    const auto with = [](const std::string& line) {
        Machine machine;
        machine.add({ContentKind::volume_group, "LVM2_member", "pv", "", ""});
        machine.files.file("etc/lvm/devices/system.devices", "# LVM\nVERSION=1.1.4\n" + line + "\n");
        return machine.problems();
    };
    CHECK(with("IDTYPE=devname IDNAME=/dev/sda3 DEVNAME=/dev/sda3 PVID=x PART=3") == "lvm-devices");
    CHECK(with("IDTYPE=mpath_uuid IDNAME=mpath-36000c29 DEVNAME=/dev/mapper/mpatha3 PVID=x") == "lvm-devices");
    CHECK(with("IDTYPE=devname IDNAME=/dev/vda3 DEVNAME=/dev/vda3 PVID=x PART=3") == "");
    CHECK(with("# nothing yet") == "");
}
