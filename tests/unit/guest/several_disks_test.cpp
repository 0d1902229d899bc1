// Machines of several disks, which lie one behind another on the device that is examined.
#include "formats/block/joined.hpp"
#include "formats/block/slice.hpp"
#include "libconvert/guest/missing_mounts.hpp"
#include "libconvert/guest/volumes.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <numeric>

using namespace vm2oci;

namespace {

constexpr std::uint64_t kSectorBytes = 512;
constexpr std::uint64_t kDiskBytes = 8 * 1024 * 1024;

template <class T>
void put_le(test::MemoryDevice& disk, std::uint64_t offset, T value) {
    std::array<std::byte, sizeof value> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::byte>(value >> (8 * i));
    disk.put(offset, bytes);
}

// What is looked at of a superblock: its magic number, a size that fits, and the identifier.
void put_ext_signature(test::MemoryDevice& disk, std::uint64_t offset, char uuid_digit) {
    put_le<std::uint16_t>(disk, offset + 1024 + 56, 0xef53);
    put_le<std::uint32_t>(disk, offset + 1024 + 4, 1024);
    put_le<std::uint32_t>(disk, offset + 1024 + 76, 1);
    disk.put(offset + 1024 + 104, std::string(16, static_cast<char>((uuid_digit - '0') * 17)));
}

// Partitions of 1 MiB from the first MiB on, each with an ext file system whose UUID consists of one digit.
std::shared_ptr<test::MemoryDevice> partitioned(std::string_view digits) {
    auto disk = std::make_shared<test::MemoryDevice>(kDiskBytes);
    put_le<std::uint16_t>(*disk, 510, 0xaa55);
    for (std::size_t i = 0; i < digits.size(); ++i) {
        const std::uint64_t begin = (i + 1) * 1024 * 1024;
        put_le<std::uint8_t>(*disk, 446 + 16 * i + 4, std::uint8_t{0x83});
        put_le<std::uint32_t>(*disk, 446 + 16 * i + 8, static_cast<std::uint32_t>(begin / kSectorBytes));
        put_le<std::uint32_t>(*disk, 446 + 16 * i + 12, static_cast<std::uint32_t>(1024 * 1024 / kSectorBytes));
        put_ext_signature(*disk, begin, digits[i]);
    }
    return disk;
}

std::shared_ptr<test::MemoryDevice> unpartitioned(char digit) {
    auto disk = std::make_shared<test::MemoryDevice>(kDiskBytes);
    put_ext_signature(*disk, 0, digit);
    return disk;
}

DiskLayout examine(const std::vector<std::shared_ptr<const BlockDevice>>& disks) {
    std::vector<std::uint64_t> sizes;
    for (const auto& disk : disks)
        sizes.push_back(disk->size());
    return examine_layout(std::make_shared<JoinedDevice>(disks), sizes);
}

// The digit of the file system that a name means; '-': none.
char found(const DiskLayout& layout, std::string_view name) {
    const auto volume = find_volume(layout, name);
    return volume ? layout.volumes[*volume].signature->uuid.front() : '-';
}

void learn(DiskLayout& layout, char root_digit, const std::string& fstab) {
    for (std::size_t i = 0; i < layout.volumes.size(); ++i)
        if (layout.volumes[i].signature->uuid.front() == root_digit)
            return learn_guest_disks(layout, i, parse_fstab(fstab), {}, {});
    FAIL("no such root");
}

} // namespace

TEST_CASE("volumes of all disks are known by names of their own, and lie where they lie on the joined device") {
    const DiskLayout layout = examine({partitioned("12"), partitioned("3"), unpartitioned('4')});
    std::vector<std::string> names;
    std::vector<std::uint64_t> offsets;
    for (const Volume& volume : layout.volumes) {
        names.push_back(volume.name);
        offsets.push_back(volume.stored.front().disk_offset / (1024 * 1024));
    }
    CHECK(names == std::vector<std::string>{"partition 1", "partition 2", "disk 2, partition 1", "disk 3"});
    CHECK(offsets == std::vector<std::uint64_t>{1, 2, 9, 16});
    REQUIRE(layout.further_tables.size() == 2);
    CHECK(layout.further_tables[0].kind == TableKind::mbr);
    CHECK(layout.further_tables[1].kind == TableKind::none);
    CHECK(partition_of(layout, layout.volumes[2])->number == 1);
    CHECK(partition_of(layout, layout.volumes[3]) == nullptr);
}

TEST_CASE("a partition's number is one of its own disk") {
    DiskLayout layout = examine({partitioned("12"), partitioned("345"), unpartitioned('6')});
    SECTION("by default the first name is the first disk") {
        CHECK(found(layout, "/dev/sda2") == '2');
        CHECK(found(layout, "/dev/sdb2") == '4');
        CHECK(found(layout, "/dev/vdb3") == '5');
        CHECK(found(layout, "/dev/sdc") == '6');
        CHECK(found(layout, "/dev/sdd1") == '-');
        CHECK(found(layout, "/dev/nvme1n1p1") == '3');
        CHECK(found(layout, "/dev/nvme0n2p1") == '-');
        CHECK(found(layout, "/dev/cciss/c0d1p3") == '5');
        CHECK(found(layout, "/dev/cciss/c1d0p1") == '-');
        CHECK(found(layout, "/dev/mapper/mpathb1") == '3');
        CHECK(found(layout, "UUID=33333333-3333-3333-3333-333333333333") == '3');
    }
    SECTION("a guest whose root lies on its second disk counts the others around it") {
        learn(layout, '2', "/dev/sdb2 / ext4 defaults 0 1\n");
        CHECK(found(layout, "/dev/sdb1") == '1');
        CHECK(found(layout, "/dev/sda3") == '5');
        CHECK(found(layout, "/dev/sdc") == '6');
        CHECK(found(layout, "/dev/xvda1") == '1');
    }
    SECTION("and one that boots from the first disk and has its root on the second") {
        learn(layout, '4', "/dev/sdb2 / ext4 defaults 0 1\n/dev/sda1 /boot ext4 defaults 0 2\n");
        CHECK(layout.root_disk == 1);
        CHECK(found(layout, "/dev/sda1") == '1');
        CHECK(found(layout, "/dev/sdb1") == '3');
        CHECK(found(layout, "/dev/sdc") == '6');
    }
    SECTION("what names a disk by itself says nothing about the others") {
        learn(layout, '2', "/dev/disk/by-id/ata-X-part2 / ext4 defaults 0 1\n");
        CHECK(found(layout, "/dev/disk/by-id/ata-X-part1") == '1');
        CHECK(found(layout, "/dev/disk/by-id/ata-Y-part1") == '-');
    }
}

TEST_CASE("with one disk, names of further ones mean nothing") {
    DiskLayout layout = examine_layout(partitioned("12"));
    CHECK(found(layout, "/dev/sdb1") == '-');
    learn(layout, '2', "/dev/sdb2 / ext4 defaults 0 1\n");
    CHECK(found(layout, "/dev/sdb1") == '1');
    CHECK(found(layout, "/dev/sda1") == '-');
    CHECK(found(layout, "/dev/sdc1") == '-');
}

TEST_CASE("a damaged table of a further disk is a remark, and one of the first is refused") {
    auto damaged = std::make_shared<test::MemoryDevice>(kDiskBytes);
    put_le<std::uint16_t>(*damaged, 510, 0xaa55);
    put_le<std::uint8_t>(*damaged, 446 + 4, std::uint8_t{0xee});
    put_le<std::uint32_t>(*damaged, 446 + 8, 1U);
    put_le<std::uint32_t>(*damaged, 446 + 12, 100U); // a protective entry, and no GPT behind it
    const DiskLayout layout = examine({partitioned("1"), damaged, partitioned("2")});
    CHECK(found(layout, "/dev/sdc1") == '2');
    REQUIRE(layout.remarks.size() == 1);
    CHECK(layout.remarks.front().starts_with("disk 2: "));
    CHECK_THROWS_AS(examine({damaged, partitioned("1")}), Error);
}

TEST_CASE("joined disks read as one, across their borders") {
    auto first = std::make_shared<test::MemoryDevice>(3 * kSectorBytes);
    auto second = std::make_shared<test::MemoryDevice>(kSectorBytes);
    auto third = std::make_shared<test::MemoryDevice>(2 * kSectorBytes);
    first->put(3 * kSectorBytes - 2, "ab");
    second->put(0, "c").put(kSectorBytes - 1, "d");
    third->put(0, "e");
    const JoinedDevice joined({first, std::make_shared<test::MemoryDevice>(0), second, third});
    REQUIRE(joined.size() == 6 * kSectorBytes);
    std::string text(kSectorBytes + 3, '?');
    joined.read_at(3 * kSectorBytes - 2, std::as_writable_bytes(std::span(text)));
    CHECK(text.substr(0, 3) == "abc");
    CHECK(text.substr(text.size() - 2) == "de");
    CHECK(text[3] == '\0');
    const Extent hole = joined.extent_at(0);
    CHECK(hole.kind != ExtentKind::data);
    CHECK(hole.length <= 3 * kSectorBytes);
    CHECK_THROWS_AS(joined.read_at(6 * kSectorBytes - 1, std::as_writable_bytes(std::span(text).first(2))), Error);
    CHECK_THROWS_AS(joined.extent_at(6 * kSectorBytes), Error);
}

TEST_CASE("places of disks lead back to the disks, wherever the root lies") {
    DiskLayout layout;
    for (layout.root_disk = 0; layout.root_disk < 4; ++layout.root_disk) {
        INFO(layout.root_disk);
        CHECK(disk_at_place(layout, 0) == layout.root_disk);
        for (std::size_t disk = 0; disk < 4; ++disk) {
            CHECK(disk_at_place(layout, place_in_layout(layout, disk)) == disk);
            CHECK((place_in_layout(layout, disk) == 0) == (disk == layout.root_disk));
        }
    }
}
