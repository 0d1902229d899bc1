#include "formats/base/error.hpp"
#include "formats/block/empty.hpp"
#include "libconvert/guest/boot_roots.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/mounted_guest.hpp"
#include "libconvert/guest/volumes.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

std::string shown(std::string_view name) {
    const auto device = parse_disk_device(name);
    return device ? device->disk + " " + std::to_string(device->partition) : "-";
}

void add_partition(DiskLayout& layout, unsigned number, Signature signature) {
    Partition partition;
    partition.number = number;
    Volume volume;
    volume.name = "partition " + std::to_string(number);
    volume.partition = layout.table.partitions.size();
    volume.signature = std::move(signature);
    volume.device = std::make_shared<EmptyDevice>(1024 * 1024);
    layout.table.kind = TableKind::gpt;
    layout.table.partitions.push_back(partition);
    layout.volumes.push_back(std::move(volume));
}

Signature ext4(std::string uuid) {
    return {ContentKind::file_system, "ext4", std::move(uuid), "", ""};
}

// Partitions 1 (/boot), 2 (/) and 3 (swap).
DiskLayout three_partitions() {
    DiskLayout layout;
    add_partition(layout, 1, ext4("1111"));
    add_partition(layout, 2, ext4("2222"));
    add_partition(layout, 3, {ContentKind::swap, "swap", "3333", "", ""});
    return layout;
}

DiskLayout learnt(DiskLayout layout, std::size_t root, std::string_view fstab,
                  const std::vector<std::string>& root_names = {}, std::string_view crypttab = "") {
    learn_guest_disks(layout, root, parse_fstab(fstab), root_names, parse_crypttab(crypttab));
    return layout;
}

// The number of the partition; 0: none of this disk's.
unsigned found(const DiskLayout& layout, std::string_view name) {
    const auto volume = find_volume(layout, name);
    return volume ? layout.table.partitions[*layout.volumes[*volume].partition].number : 0;
}

MountedGuest guest_of(test::MemoryFileSystem files) {
    return MountedGuest(
        {{{"/", "", "", "", "", std::nullopt}, std::make_shared<test::MemoryFileSystem>(std::move(files))}});
}

} // namespace

TEST_CASE("names of disks and partitions come apart in the same way for all who ask") {
    const std::pair<const char*, const char*> rows[] = {
        {"/dev/sda", "sda 0"},
        {"/dev/sda1", "sda 1"},
        {"/dev/sdaa15", "sdaa 15"},
        {"/dev/xvda1", "xvda 1"},
        {"/dev/xvdf", "xvdf 0"},
        {"/dev/hdb7", "hdb 7"},
        {"/dev/vdc3", "vdc 3"},
        {"/dev/dasda1", "dasda 1"},
        {"/dev/nvme0n1p2", "nvme0n1 2"},
        {"/dev/nvme12n3", "nvme12n3 0"},
        {"/dev/nvme0n1 p2", "-"},
        {"/dev/mmcblk0p1", "mmcblk0 1"},
        {"/dev/nbd0p3", "nbd0 3"},
        {"/dev/cciss/c0d0p1", "cciss/c0d0 1"},
        {"/dev/cciss/c1d12", "cciss/c1d12 0"},
        {"/dev/ida/c0d0p5", "ida/c0d0 5"},
        {"/dev/rd/c0d1p2", "rd/c0d1 2"},
        {"/dev/cciss/c0", "-"},
        {"/dev/mapper/mpatha1", "mapper/mpatha 1"},
        {"/dev/mapper/mpathap2", "mapper/mpatha 2"},
        {"/dev/mapper/mpatha-part3", "mapper/mpatha 3"},
        {"/dev/mapper/mpathab_part3", "mapper/mpathab 3"},
        {"/dev/mapper/mpath0p1", "mapper/mpath0 1"},
        {"/dev/mapper/mpathb", "mapper/mpathb 0"},
        {"/dev/mapper/36000c29f1b2c3d4e5f60718293a4b5c6-part2", "wwid 36000c29f1b2c3d4e5f60718293a4b5c6 2"},
        {"/dev/mapper/36000c29f1b2c3d4e5f60718293a4b5c6p2", "wwid 36000c29f1b2c3d4e5f60718293a4b5c6 2"},
        {"/dev/mapper/360050763808182f5fc0000000000000d-part2", "wwid 360050763808182f5fc0000000000000d 2"},
        {"/dev/mapper/vg-root", "-"},
        {"/dev/mapper/360-backup", "-"},
        {"/dev/disk/by-id/scsi-36000c29f1b2c3d4e5f60718293a4b5c6-part1", "wwid 36000c29f1b2c3d4e5f60718293a4b5c6 1"},
        {"/dev/disk/by-id/wwn-0x6000C29f1b2c3d4e5f60718293a4b5c6-part4", "wwid 36000c29f1b2c3d4e5f60718293a4b5c6 4"},
        {"/dev/disk/by-id/dm-uuid-part2-mpath-36000c29f1b2c3d4e5f60718293a4b5c6",
         "wwid 36000c29f1b2c3d4e5f60718293a4b5c6 2"},
        {"/dev/disk/by-id/dm-name-mpatha-part2", "mapper/mpatha 2"},
        {"/dev/disk/by-id/ata-QEMU_HARDDISK_QM00001-part5", "disk/by-id/ata-QEMU_HARDDISK_QM00001 5"},
        {"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123-part1",
         "disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0123 1"},
        {"/dev/disk/by-id/virtio-a-part-of-it", "disk/by-id/virtio-a-part-of-it 0"},
        {"/dev/disk/by-id/google-persistent-disk-0-part1", "disk/by-id/google-persistent-disk-0 1"},
        {"/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part2", "disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0 2"},
        {"/dev/disk/azure/root-part1", "disk/azure/root 1"},
        {"ID=virtio-root-part2", "disk/by-id/virtio-root 2"},
        {"/dev/disk/by-uuid/1234-part1", "-"},
        {"/dev/disk/by-id/dm-uuid-LVM-abc", "-"},
        {"/dev/disk/by-id/md-uuid-1:2:3:4", "-"},
        {"/dev/sr0", "-"},
        {"/dev/sdx1y", "-"},
        {"/dev/md0", "-"},
        {"sda1", "-"},
        {"UUID=1", "-"},
    };
    for (const auto& [name, wanted] : rows) {
        INFO(name);
        CHECK(shown(name) == wanted);
    }
}

TEST_CASE("a guest's names for its disk are learnt from where its root lies") {
    const DiskLayout bare = three_partitions();
    for (const char* name : {"/dev/sda2", "/dev/vda2", "/dev/nvme0n1p2", "/dev/cciss/c0d0p2", "/dev/mapper/mpathap2"})
        CHECK(found(bare, name) == 2);
    for (const char* name : {"/dev/sdb2", "/dev/nvme1n1p2", "/dev/nvme0n2p2", "/dev/cciss/c0d1p2", "/dev/sda4",
                             "/dev/disk/by-id/ata-X-part2", "/dev/mapper/mpathb2"})
        CHECK(found(bare, name) == 0);

    const DiskLayout by_id = learnt(bare, 1,
                                    "/dev/disk/by-id/ata-X-part2 / ext4 defaults 0 1\n"
                                    "/dev/disk/by-id/ata-Y-part1 /data ext4 defaults 0 2\n");
    CHECK(found(by_id, "/dev/disk/by-id/ata-X-part3") == 3);
    CHECK(found(by_id, "/dev/disk/by-id/ata-Y-part1") == 0);
    CHECK(found(by_id, "/dev/sda1") == 1); // also known by the order
    // By the boot loader, where fstab names the root in another way.
    const DiskLayout by_loader = learnt(bare, 1, "UUID=2222 / ext4 defaults 0 1\n", {"/dev/disk/by-path/pci-1-part2"});
    CHECK(found(by_loader, "/dev/disk/by-path/pci-1-part1") == 1);
    // A root on the second disk: that is the one that we have.
    const DiskLayout second = learnt(bare, 1, "/dev/sdb2 / ext4 defaults 0 1\n");
    CHECK(found(second, "/dev/sdb1") == 1);
    CHECK(found(second, "/dev/sda1") == 0);
    CHECK(found(second, "/dev/vda1") == 1);
    // A name that does not fit where the root was found says nothing.
    CHECK(found(learnt(bare, 1, "/dev/sdb1 / ext4 defaults 0 1\n"), "/dev/sdb1") == 0);
    // One World Wide Identifier, three links.
    const DiskLayout wwid = learnt(bare, 1, "/dev/mapper/36000000000000001-part2 / ext4 defaults 0 1\n");
    CHECK(found(wwid, "/dev/disk/by-id/scsi-36000000000000001-part1") == 1);
    CHECK(found(wwid, "/dev/disk/by-id/wwn-0x6000000000000001-part3") == 3);
    CHECK(found(wwid, "/dev/disk/by-id/wwn-0x6000000000000002-part3") == 0);
    // The root on a logical volume, and /boot by the disk's link.
    DiskLayout lvm = bare;
    Volume root;
    root.logical_volume = "rhel/root";
    root.mapper_uuid = "LVM-abc";
    lvm.volumes.push_back(root);
    CHECK(found(learnt(lvm, 3, "/dev/mapper/rhel-root / xfs\n/dev/disk/by-id/scsi-S_1-part1 /boot xfs\n"),
                "/dev/disk/by-id/scsi-S_1-part3") == 3);
}

TEST_CASE("logical volumes have five names") {
    DiskLayout layout;
    Volume volume;
    volume.logical_volume = "ubuntu-vg/var-log";
    volume.mapper_uuid = "LVM-GroupGroupGroupGroupGroupGroupGroVolumVolumVolumVolumVolumVolumVol";
    layout.volumes.push_back(volume);
    for (const char* name :
         {"/dev/ubuntu-vg/var-log", "/dev/mapper/ubuntu--vg-var--log", "/dev/disk/by-id/dm-name-ubuntu--vg-var--log",
          "/dev/disk/by-id/dm-uuid-LVM-GroupGroupGroupGroupGroupGroupGroVolumVolumVolumVolumVolumVolumVol"}) {
        INFO(name);
        CHECK(find_volume(layout, name));
    }
    for (const char* name : {"/dev/ubuntu-vg/var", "/dev/mapper/ubuntu-vg-var-log", "/dev/disk/by-id/dm-uuid-LVM-",
                             "/dev/disk/by-id/dm-name-ubuntu--vg-var"})
        CHECK_FALSE(find_volume(layout, name));
}

TEST_CASE("Xen's partitions without a disk are the whole of it") {
    DiskLayout layout;
    Volume whole;
    whole.name = "whole disk";
    whole.signature = ext4("1111");
    layout.volumes.push_back(whole);
    CHECK(find_volume(layout, "/dev/xvda1"));
    CHECK(find_volume(layout, "/dev/sda1"));
    CHECK(find_volume(layout, "/dev/vda"));
    CHECK_FALSE(find_volume(layout, "/dev/xvda2"));
    // xen-tools: swap is the first, the root the second.
    learn_guest_disks(layout, 0, parse_fstab("/dev/xvda2 / ext4 noatime 0 1\n/dev/xvda1 none swap sw 0 0\n"), {}, {});
    CHECK(find_volume(layout, "/dev/xvda2"));
    CHECK_FALSE(find_volume(layout, "/dev/xvda1"));
}

TEST_CASE("arrays and what crypttab maps lead to what lies below") {
    DiskLayout layout = three_partitions();
    layout.volumes[1].signature = {ContentKind::raid, "linux_raid_member", "01234567-89ab-cdef-0123-456789abcdef",
                                   "host:root", "1.2"};
    layout.volumes[2].signature = Signature{ContentKind::encrypted, "crypto_LUKS", "5555", "", "2"};
    for (const char* name : {"/dev/md/root", "/dev/md127", "/dev/md0", "/dev/disk/by-id/md-name-host:root",
                             "/dev/disk/by-id/md-uuid-01234567:89abcdef:01234567:89abcdef"}) {
        INFO(name);
        CHECK(found(layout, name) == 2);
    }
    CHECK(found(layout, "/dev/md/home") == 0);
    CHECK(found(layout, "/dev/md-root") == 0);
    layout.volumes[0].signature = {ContentKind::raid, "linux_raid_member", "ffff", "host:boot", "1.2"};
    CHECK(found(layout, "/dev/md127") == 0); // which of the two?
    CHECK(found(layout, "/dev/md/boot") == 1);

    layout = learnt(layout, 0, "", {}, "# c\nswap_crypt UUID=5555 none luks\nself /dev/mapper/self none\n");
    CHECK(found(layout, "/dev/mapper/swap_crypt") == 3);
    CHECK(found(layout, "/dev/disk/by-id/dm-name-swap_crypt") == 3);
    CHECK(found(layout, "/dev/mapper/self") == 0);
    CHECK(found(layout, "/dev/mapper/other") == 0);
}

TEST_CASE("the default entry's root comes first, whatever the boot loader") {
    struct Row {
        const char* what;
        std::vector<std::pair<const char*, const char*>> files;
        const char* first;
        std::size_t count;
    };
    const char* two = "menuentry 'A' --id 'a-id' {\n linux /vmlinuz-1 root=UUID=1 ro\n}\n"
                      "submenu 'More' {\n menuentry 'B' $menuentry_id_option 'b-id' {\n"
                      "  linuxefi /vmlinuz-2 root=\"UUID=2\" ro\n }\n}\n";
    const std::string chosen = std::string("set default=\"1\"\n") + two;
    const std::string saved = std::string("if [ x ]; then\n set default=\"${next_entry}\"\nelse\n set "
                                          "default=\"${saved_entry}\"\nfi\n") +
                              two;
    const Row rows[] = {
        {"grub", {{"grub/grub.cfg", two}}, "UUID=1", 3},
        {"a number", {{"grub2/grub.cfg", chosen.c_str()}}, "UUID=2", 3},
        {"saved",
         {{"grub/grub.cfg", saved.c_str()}, {"grub/grubenv", "# GRUB\nsaved_entry=More>b-id\n###"}},
         "UUID=2",
         3},
        {"saved, nothing", {{"grub/grub.cfg", saved.c_str()}, {"grub/grubenv", "# GRUB\n###"}}, "UUID=1", 3},
        {"entries",
         {{"grub2/grub.cfg", "blscfg\n"},
          {"grub2/grubenv", "kernelopts=root=UUID=9 ro\n"},
          {"loader/entries/x-5.14.0-70.conf", "title Old\noptions root=UUID=1 ro\n"},
          {"loader/entries/x-5.14.0-427.conf", "title New\noptions $kernelopts quiet\n"}},
         "UUID=9",
         3},
        {"entries, saved",
         {{"grub2/grub.cfg", "blscfg\n"},
          {"grub2/grubenv", "saved_entry=x-5.14.0-70\n"},
          {"loader/entries/x-5.14.0-70.conf", "options root=UUID=1\n"},
          {"loader/entries/x-5.14.0-427.conf", "options root=UUID=2\n"}},
         "UUID=1",
         3},
        {"legacy",
         {{"grub/grub.conf", "default=1\ntitle A\n kernel /v root=/dev/sda1\ntitle B\n kernel /v ro root=/dev/sda2\n"}},
         "/dev/sda2",
         3},
        {"systemd-boot",
         {{"loader/entries/arch.conf", "linux /vmlinuz\noptions root=PARTUUID=7 rw\n"}},
         "PARTUUID=7",
         2},
        {"extlinux",
         {{"extlinux.conf", "DEFAULT virt\nLABEL lts\n APPEND root=UUID=1\nLABEL virt\n APPEND root=UUID=2 quiet\n"}},
         "UUID=2",
         3},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        for (const std::string folder : {"", "boot/"}) {
            test::MemoryFileSystem files;
            for (const auto& [path, text] : row.files)
                files.file(folder + path, text);
            const auto roots = read_boot_roots(guest_of(std::move(files)), folder.empty() ? "" : "/boot");
            REQUIRE(roots.size() == row.count);
            CHECK(roots.front().root == row.first);
        }
    }
    CHECK(read_boot_roots(guest_of(test::MemoryFileSystem().file("grub/grub.cfg", "set timeout=5\n")), "").empty());
}

TEST_CASE("what is not on the disk does not hold the guest up, whoever serves it") {
    const auto entry = [](std::string_view line) { return parse_fstab(line).at(0); };
    for (const char* line :
         {"vmhgfs-fuse /mnt/hgfs fuse defaults,allow_other 0 0", "store01:/gv0 /srv glusterfs defaults,_netdev 0 0",
          "10.0.0.1,10.0.0.2:/ /mnt/ceph ceph name=admin,secretfile=/x 0 0", "[2001:db8::7]:/export /x nfs rw",
          "//nas/share /mnt/nas cifs credentials=/x", "nas:/vol /mnt/vol auto rw", "Shared /media/sf vboxsf rw",
          "sshfs#ann@host:/ /mnt/s fuse rw", "overlay /opt/app overlay lowerdir=/a,upperdir=/b,workdir=/c",
          "/srv/iso/dvd.iso /mnt/iso iso9660 loop,ro", "/var/lib/images/home.img /home ext4 defaults,loop=/dev/loop3",
          "/var/fs.img /data ext4 defaults", "/dev/loop0 /snap squashfs ro", "/a:/b /mnt/pool fuse.mergerfs defaults",
          "bucket /mnt/b fuse.s3fs _netdev", "tag /host virtiofs rw", "hostshare /host 9p trans=virtio",
          "/secret /secret2 ecryptfs rw", "srv@tcp:/fs /lustre lustre rw"}) {
        INFO(line);
        CHECK(kind_of_entry(entry(line)) == EntryKind::elsewhere);
        CHECK(need_of_entry(entry(line)) == MountNeed::optional);
    }
    for (const char* line : {"UUID=1 /data xfs nofail 0 2", "/dev/sdb1 /data ext4 noauto,x-systemd.automount 0 2"}) {
        CHECK(kind_of_entry(entry(line)) == EntryKind::disk);
        CHECK(need_of_entry(entry(line)) == MountNeed::optional);
    }
    for (const char* line : {"/dev/sdb1 /win fuse.ntfs-3g rw", "LABEL=a:b /x ext4 rw", "/dev/sdb1 /w fuseblk rw",
                             "/dev/mapper/a-b /x xfs looptime 0 0", "PARTLABEL=var#1 /var ext4 rw"}) {
        INFO(line);
        CHECK(kind_of_entry(entry(line)) == EntryKind::disk);
        CHECK(need_of_entry(entry(line)) == MountNeed::required);
    }
    CHECK(kind_of_entry(entry("automount /net autofs rw")) == EntryKind::none);
}

TEST_CASE("of Flatcar's two /usr the one that its boot loader starts is mounted") {
    constexpr auto attributes = [](std::uint64_t priority, std::uint64_t tries, std::uint64_t successful) {
        return priority << 48U | tries << 52U | successful << 56U;
    };
    const auto chosen = [](std::uint64_t a, std::uint64_t b) -> std::optional<std::size_t> {
        DiskLayout layout;
        add_partition(layout, 3, ext4("a"));
        add_partition(layout, 4, ext4("b"));
        for (Partition& partition : layout.table.partitions)
            partition.type = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6";
        layout.table.partitions[0].attributes = a;
        layout.table.partitions[1].attributes = b;
        const auto mounts = find_typed_mounts(layout, {}, guest_of(test::MemoryFileSystem().folder("usr")));
        return mounts.at(0).volume;
    };
    CHECK(chosen(attributes(1, 0, 1), attributes(2, 0, 1)) == 1u);
    CHECK(chosen(attributes(2, 0, 1), attributes(1, 0, 1)) == 0u);
    CHECK(chosen(attributes(1, 0, 1), attributes(2, 0, 0)) == 0u); // an update that never came up
    CHECK(chosen(attributes(1, 0, 1), attributes(2, 1, 0)) == 1u); // one that is to be tried
    CHECK(chosen(attributes(1, 0, 1), attributes(0, 0, 0)) == 0u);
    CHECK_FALSE(chosen(attributes(1, 0, 1), attributes(1, 0, 1)));
}
