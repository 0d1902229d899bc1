// Volumes by the names that fstab and boot loaders have for them, partitions that are mounted by type, subvolumes by
// options, and disks without a guest.
#include "formats/base/error.hpp"
#include "libconvert/guest/foreign_system.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/root_finder.hpp"
#include "libconvert/guest/subvolumes.hpp"
#include "libconvert/guest/volumes.hpp"
#include "tests/support/memory_guest.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::MemoryGuest;

namespace {

struct Made {
    DiskLayout layout;

    // A partition of a disk, and the volume in it.
    Volume& partition(std::size_t disk, unsigned number, const Signature& signature, const std::string& uuid = "",
                      const std::string& name = "", const std::string& type = "", std::uint64_t attributes = 0) {
        while (layout.further_tables.size() < disk)
            layout.further_tables.emplace_back();
        PartitionTable& table = disk == 0 ? layout.table : layout.further_tables[disk - 1];
        table.kind = TableKind::gpt;
        Partition partition;
        partition.number = number;
        partition.uuid = uuid;
        partition.name = name;
        partition.type = type;
        partition.attributes = attributes;
        table.partitions.push_back(partition);
        Volume volume;
        volume.name =
            (disk == 0 ? "" : "disk " + std::to_string(disk + 1) + ", ") + "partition " + std::to_string(number);
        volume.disk = disk;
        volume.partition = table.partitions.size() - 1;
        volume.signature = signature;
        layout.volumes.push_back(volume);
        return layout.volumes.back();
    }
    Volume& other(const std::string& name, const Signature& signature) {
        Volume volume;
        volume.name = name;
        volume.signature = signature;
        layout.volumes.push_back(volume);
        return layout.volumes.back();
    }
    std::string find(std::string_view name) const {
        const auto found = find_volume(layout, name);
        return found ? layout.volumes.at(*found).name : "none";
    }
};

Signature file_system(const std::string& type, const std::string& uuid, const std::string& label = "") {
    return {ContentKind::file_system, type, uuid, label, ""};
}

SubvolumeFacts tree(const std::string& path, std::uint64_t node,
                    SubvolumeFacts::Origin origin = SubvolumeFacts::Origin::created,
                    SubvolumeFacts::Access access = SubvolumeFacts::Access::writable) {
    return {node + 250, path, NodeId{node}, origin, access};
}

constexpr auto kSnapshot = SubvolumeFacts::Origin::snapshot;
constexpr auto kReadOnly = SubvolumeFacts::Access::read_only;

std::string number_of(std::string_view options) {
    try {
        const TreeOptions read = read_tree_options(options);
        return (read.path ? "path " + *read.path + " " : "") + (read.number ? std::to_string(*read.number) : "");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::not_found);
        return error.what();
    }
}

} // namespace

TEST_CASE("Tags of volumes are compared as udev and libmount compare them") {
    Made made;
    made.partition(0, 1, file_system("vfat", "AB12-CD34", "EFI"), "aaaa-01", "EFI System Partition");
    made.partition(0, 2, file_system("ext4", "1111-2222-abcd", "my root"), "aaaa-02", "root/x");
    for (const auto& [name, volume] : {std::pair("UUID=AB12-CD34", "partition 1"),
                                       std::pair("UUID=ab12-cd34", "partition 1"),
                                       std::pair("UUID=\"1111-2222-ABCD\"", "partition 2"),
                                       std::pair("LABEL=EFI", "partition 1"),
                                       std::pair("LABEL=efi", "none"),
                                       std::pair("LABEL=\"my root\"", "partition 2"),
                                       std::pair("LABEL=my\\x20root", "partition 2"),
                                       std::pair("LABEL=my\\x2root", "none"),
                                       std::pair("PARTUUID=AAAA-02", "partition 2"),
                                       std::pair("PARTLABEL=EFI\\x20System\\x20Partition", "partition 1"),
                                       std::pair("PARTLABEL=root/x", "partition 2"),
                                       std::pair("UUID=", "none"),
                                       std::pair("LABEL=", "none"),
                                       std::pair("LABEL=\"\"", "none"),
                                       std::pair("PARTUUID=", "none"),
                                       std::pair("OTHER=EFI", "none"),
                                       std::pair("UUID=aaaa-01", "none"),
                                       std::pair("/dev/disk/by-uuid/AB12-CD34", "partition 1"),
                                       std::pair("/dev/disk/by-label/my\\x20root", "partition 2"),
                                       std::pair("/dev/disk/by-partuuid/aaaa-01", "partition 1"),
                                       std::pair("/dev/disk/by-partlabel/root\\x2fx", "partition 2"),
                                       std::pair("/dev/disk/by-uuid", "none"),
                                       std::pair("/dev/disk/by-uuid/", "none"),
                                       std::pair("/dev/disk/by-none/x", "none"),
                                       std::pair("", "none"),
                                       std::pair("/", "none"),
                                       std::pair("sda1", "none"),
                                       std::pair("/dev/sda1", "partition 1"),
                                       std::pair("/dev/vda2", "partition 2"),
                                       std::pair("/dev/sda3", "none"),
                                       std::pair("/dev/sda", "none"),
                                       std::pair("/dev/sdb1", "none"),
                                       std::pair("/dev/nvme0n1p2", "partition 2")}) {
        CAPTURE(name);
        CHECK(made.find(name) == volume);
    }
}

TEST_CASE("A volume's place among the disks counts from the root's") {
    Made made;
    made.partition(0, 1, file_system("ext4", "a"));
    made.partition(1, 1, file_system("ext4", "b"));
    made.partition(2, 1, file_system("ext4", "c"));
    made.layout.root_disk = 1;
    CHECK(place_in_layout(made.layout, 1) == 0);
    CHECK(place_in_layout(made.layout, 0) == 1);
    CHECK(place_in_layout(made.layout, 2) == 2);
    for (std::size_t disk = 0; disk < 5; ++disk)
        CHECK(disk_at_place(made.layout, place_in_layout(made.layout, disk)) == disk);
    CHECK(made.find("/dev/sda1") == "disk 2, partition 1");
    CHECK(made.find("/dev/sdb1") == "partition 1");
    CHECK(made.find("/dev/sdc1") == "disk 3, partition 1");
    CHECK(made.find("/dev/sdd1") == "none");
    // With two disks of its own names before it, the root is the third.
    learn_guest_disks(made.layout, 1, {{"/dev/sdc1", "/", "ext4", {}}}, {}, {});
    CHECK(made.find("/dev/sdc1") == "disk 2, partition 1");
    CHECK(made.find("/dev/sda1") == "partition 1");
    CHECK(made.find("/dev/sdb1") == "disk 3, partition 1");
}

TEST_CASE("What crypttab maps and installers call LUKS leads to what it encrypts") {
    Made made;
    const std::string uuid = "01234567-89ab-cdef-0123-456789abcdef";
    made.partition(0, 1, {ContentKind::encrypted, "crypto_LUKS", uuid, "", "2"});
    made.layout.guest_disks.mapped = {{"root_crypt", "UUID=" + uuid}, {"self", "/dev/mapper/self"}, {"lost", "UUID=x"}};
    for (const char* name : {"/dev/mapper/root_crypt", "/dev/disk/by-id/dm-name-root_crypt",
                             "/dev/mapper/luks-01234567-89AB-cdef-0123-456789abcdef",
                             "/dev/disk/by-id/dm-uuid-CRYPT-LUKS2-0123456789abcdef0123456789abcdef-x"}) {
        CAPTURE(name);
        CHECK(made.find(name) == "partition 1");
    }
    made.other("LUKS in partition 1", file_system("ext4", "r")).encrypted = 0;
    for (const char* name : {"/dev/mapper/root_crypt", "/dev/mapper/luks-01234567-89ab-cdef-0123-456789abcdef",
                             "/dev/disk/by-id/dm-uuid-CRYPT-LUKS1-0123456789abcdef0123456789abcdef-x"}) {
        CAPTURE(name);
        CHECK(made.find(name) == "LUKS in partition 1");
    }
    for (const char* name : {"/dev/mapper/self", "/dev/mapper/lost", "/dev/mapper/luks-0123", "/dev/mapper/luks-",
                             "/dev/disk/by-id/dm-uuid-CRYPT-LUKS2-0123"}) {
        CAPTURE(name);
        CHECK(made.find(name) == "none");
    }
}

TEST_CASE("Logical volumes have their names in each place where device-mapper has them") {
    Made made;
    Volume& volume = made.other("logical volume vg-0/root-lv", file_system("ext4", "r"));
    volume.logical_volume = "vg-0/root-lv";
    volume.mapper_uuid = "LVM-abc";
    made.other("partition 1", {ContentKind::volume_group, "LVM2_member", "pv-uuid", "", ""});
    for (const auto& [name, found] :
         {std::pair("/dev/vg-0/root-lv", true), std::pair("/dev/mapper/vg--0-root--lv", true),
          std::pair("/dev/disk/by-id/dm-name-vg--0-root--lv", true), std::pair("/dev/disk/by-id/dm-uuid-LVM-abc", true),
          std::pair("/dev/mapper/vg-0-root-lv", false), std::pair("/dev/vg-0/root", false),
          std::pair("/dev/disk/by-id/dm-uuid-LVM-ab", false)}) {
        CAPTURE(name);
        CHECK(made.find(name) == (found ? "logical volume vg-0/root-lv" : "none"));
    }
    CHECK(made.find("/dev/disk/by-id/lvm-pv-uuid-pv-uuid") == "partition 1");
    CHECK(made.find("/dev/disk/by-id/lvm-pv-uuid-other") == "none");
}

TEST_CASE("A root that was asked for is a partition's number, a logical volume or any name of one") {
    Made made;
    made.partition(0, 1, file_system("vfat", "e"));
    made.partition(0, 12, file_system("ext4", "r"));
    made.other("logical volume vg/root", file_system("xfs", "l")).logical_volume = "vg/root";
    CHECK(find_wanted_root(made.layout, "1") == 0);
    CHECK(find_wanted_root(made.layout, "12") == 1);
    CHECK(find_wanted_root(made.layout, "vg/root") == 2);
    CHECK(find_wanted_root(made.layout, "/dev/sda12") == 1);
    CHECK(find_wanted_root(made.layout, "UUID=l") == 2);
    for (const char* none : {"2", "012", "vg/home", "partition 1", "/dev/sda2", "UUID=x"}) {
        CAPTURE(none);
        try {
            find_wanted_root(made.layout, none);
            FAIL("it was found");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::usage);
            CHECK(error.hint().kind == HintKind::root);
            CHECK(std::string(error.what()) == "the root is said to be '" + std::string(none) +
                                                   "', and there is no such partition or logical volume");
        }
    }
}

TEST_CASE("Of Container Linux' two /usr the one counts that has priority and may start") {
    const std::string usr = "5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6";
    const auto attributes = [](std::uint64_t priority, std::uint64_t tries, bool successful) {
        return priority << 48U | tries << 52U | std::uint64_t{successful} << 56U;
    };
    const auto chosen = [&](std::uint64_t a, std::uint64_t b) {
        Made made;
        made.partition(0, 3, file_system("ext4", "a"), "", "", usr, a);
        made.partition(0, 4, file_system("ext4", "b"), "", "", usr, b);
        const auto found = find_typed_mounts(made.layout, {}, MemoryGuest().folder("/usr"));
        REQUIRE(found.size() == 1);
        return found[0].volume ? found[0].device : "none: " + found[0].reason;
    };
    CHECK(chosen(attributes(1, 0, true), attributes(2, 0, true)) == "partition 4");
    CHECK(chosen(attributes(2, 0, true), attributes(1, 0, true)) == "partition 3");
    CHECK(chosen(attributes(1, 0, true), attributes(2, 0, false)) ==
          "partition 3"); // it never came up, and has no tries
    CHECK(chosen(attributes(1, 0, true), attributes(2, 1, false)) == "partition 4");
    CHECK(chosen(attributes(15, 0, false), attributes(0, 15, true)) == "none: more than one partition is of its type");
    CHECK(chosen(attributes(1, 0, true), attributes(1, 0, true)) == "none: more than one partition is of its type");
}

TEST_CASE("A /var of the right machine is mounted, and no other") {
    const std::string var = "4d21b016-b534-45c2-a9fb-5c16e091fd2d";
    // HMAC-SHA-256 of the type's bytes by the machine's id, cut to 16 bytes and marked: made by Python's hmac.
    const std::string id = "0123456789abcdef0123456789abcdef";
    const std::string uuid = "c0c46eff-e386-4746-a2bd-0962cd326ea2";
    const auto mounted = [&](const std::string& partition, const std::string& machine) {
        Made made;
        made.partition(0, 5, file_system("ext4", "v"), partition, "", var);
        MemoryGuest guest;
        guest.folder("/var");
        if (!machine.empty())
            guest.file("/etc/machine-id", machine);
        const auto found = find_typed_mounts(made.layout, {}, guest);
        REQUIRE(found.size() == 1);
        return found[0].volume.has_value();
    };
    CHECK(mounted(uuid, id + "\n"));
    CHECK_FALSE(mounted(uuid, "1123456789abcdef0123456789abcdef\n"));
    CHECK_FALSE(mounted("00000000-0000-4000-8000-000000000000", id));
    CHECK_FALSE(mounted(uuid, ""));
    CHECK_FALSE(mounted(uuid, "0123"));
}

TEST_CASE("Options name a tree as the kernel reads them") {
    for (const auto& [options, read] :
         {std::pair("", ""),
          std::pair("rw,noatime", ""),
          std::pair("subvol=@", "path @ "),
          std::pair("subvol=/@/x", "path /@/x "),
          std::pair("subvol=", "path  "),
          std::pair("subvol=a,subvol=b", "path b "),
          std::pair("subvolid=256", "256"),
          std::pair("subvolid=0", "5"),
          std::pair("subvolid=0x100", "256"),
          std::pair("subvolid=0X1f", "31"),
          std::pair("subvolid=010", "8"),
          std::pair("subvolid=5,subvolid=6", "6"),
          std::pair("rw,,subvol=@home,subvolid=257,", "path @home 257"),
          std::pair("xsubvol=a,subvolx=b", ""),
          std::pair("subvolid=18446744073709551615", "18446744073709551615"),
          std::pair("subvolid=18446744073709551616", "subvolid=18446744073709551616 names no subvolume"),
          std::pair("subvolid=", "subvolid= names no subvolume"),
          std::pair("subvolid=0x", "subvolid=0x names no subvolume"),
          std::pair("subvolid=08", "subvolid=08 names no subvolume"),
          std::pair("subvolid=-1", "subvolid=-1 names no subvolume"),
          std::pair("subvolid=1a", "subvolid=1a names no subvolume"),
          std::pair("subvolid= 1", "subvolid= 1 names no subvolume")}) {
        CAPTURE(options);
        CHECK(number_of(options) == read);
    }
}

TEST_CASE("Snapshots that a tool keeps are those of snapper's places and those that nobody may write") {
    CHECK(is_kept_snapshot(tree("x", 1, kSnapshot, kReadOnly)));
    CHECK_FALSE(is_kept_snapshot(tree("x", 1, kSnapshot)));
    CHECK_FALSE(is_kept_snapshot(tree("x", 1, SubvolumeFacts::Origin::created, kReadOnly)));
    for (const auto& [path, kept] :
         {std::pair(".snapshots/1/snapshot", true), std::pair("@/.snapshots/12/snapshot", true),
          std::pair("a/b/.snapshots/007/snapshot", true), std::pair(".snapshots/1", false),
          std::pair(".snapshots", false), std::pair(".snapshots//snapshot", false),
          std::pair(".snapshots/x/snapshot", false), std::pair("a.snapshots/1/snapshot", false),
          std::pair(".snapshots/1/snapshot/x", false), std::pair(".snapshots/1/snapshots", false),
          std::pair("/snapshot", false), std::pair("", false)}) {
        CAPTURE(path);
        CHECK(is_kept_snapshot(tree(path, 1)) == kept);
    }
    const std::vector<SubvolumeFacts> all = {tree("@", 9), tree("@/.snapshots/1/snapshot", 3),
                                             tree("old", 7, kSnapshot, kReadOnly), tree("work", 5, kSnapshot)};
    CHECK(trees_not_exported(all, {NodeId{9}, NodeId{4}}) ==
          std::vector<NodeId>{NodeId{3}, NodeId{4}, NodeId{7}, NodeId{9}});
    CHECK_THAT(
        describe_snapshots(all, NodeId{9}),
        Catch::StartsWith("3 snapshots ('@/.snapshots/1/snapshot', 'old', 'work'): no system of its own is looked "
                          "for in them, "));
    CHECK_THAT(describe_snapshots({tree("s", 1, kSnapshot)}, NodeId{9}),
               Catch::StartsWith("1 snapshot ('s'): no system of its own is looked for in it, "));
    CHECK(describe_snapshots({tree("s", 1, kSnapshot), tree("@", 2)}, NodeId{1}).empty());
    std::vector<SubvolumeFacts> many;
    for (std::uint64_t i = 0; i < 5; ++i)
        many.push_back(tree("s" + std::to_string(i), i, kSnapshot));
    CHECK_THAT(describe_snapshots(many, NodeId{9}), Catch::StartsWith("5 snapshots ('s0', 's1', 's2', …): "));
}

TEST_CASE("A disk without a guest is named by what it holds") {
    const auto name = [](const Signature& signature) {
        Made made;
        made.partition(0, 2, signature);
        return name_foreign_system(made.layout);
    };
    CHECK(name(file_system("iso9660", "", "Debian 12")) ==
          "partition 2 is a medium such as installers come on (iso9660 'Debian 12'), not an installed system");
    CHECK(name(file_system("udf", "")) ==
          "partition 2 is a medium such as installers come on (udf), not an installed system");
    CHECK(name(file_system("ufs", "")) == "partition 2 holds a ufs: a BSD or Solaris, whose files are not read here");
    CHECK_THAT(name(file_system("zfs_member", "")), Catch::StartsWith("partition 2 belongs to a pool of ZFS"));
    for (const char* type : {"apfs", "hfsplus"})
        CHECK(name(file_system(type, "")) ==
              "partition 2 holds " + std::string(type) + ": macOS, whose files are not read here");
    for (const char* type : {"VMFS", "VMFS_volume_member"})
        CHECK(name(file_system(type, "")) == "partition 2 is a data store of VMware ESXi, not a machine's disk");
    CHECK(name(file_system("ntfs", "")).empty());
    CHECK(name(file_system("vfat", "")).empty());
    Made bsd;
    Partition slice;
    slice.number = 3;
    slice.type_name = "FreeBSD";
    bsd.layout.table.partitions = {slice};
    CHECK(name_foreign_system(bsd.layout) == "partition 3 is of type FreeBSD, which is not read here");
    for (const char* type : {"zfs_member", "apfs", "vdo", "ReFS", "VMFS", "ocfs2", "gfs2", "gfs", "oracleasm",
                             "bcachefs", "ceph_bluestore", "stratis", "DM_verity_hash", "VMFS_volume_member"})
        CHECK(is_beyond_appliance(file_system(type, "")));
    for (const char* type : {"ntfs", "ext4", "xfs", "crypto_LUKS", "LVM2_member", ""})
        CHECK_FALSE(is_beyond_appliance(file_system(type, "")));
}
