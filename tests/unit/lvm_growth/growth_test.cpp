// Physical volumes that became larger, read again by the reader of volume groups.
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/lvm/metadata_area.hpp"
#include "formats/lvm/volume_group.hpp"
#include "formats/lvm_growth/growth.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <libdeflate.h>

#include <cstring>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kArea = 4096;
const std::string kIdentifier = "wtILYZYrKwnzuxjmVEJ73lx5vkfVjCa7";
const std::string kMember = "wtILYZ-YrKw-nzux-jmVE-J73l-x5vk-fVjCa7";

std::uint32_t crc(std::span<const std::byte> bytes) {
    return ~libdeflate_crc32(~0xf597a6cfU, bytes.data(), bytes.size());
}

struct Layout {
    std::string volumes;
    std::string identifier = kIdentifier;
    std::uint64_t area_size = kMiB - kArea;
    std::uint64_t text_at = 512; // in the area
    unsigned copies = 1;
    std::string members =
        "pv0 { id = \"wtILYZ-YrKw-nzux-jmVE-J73l-x5vk-fVjCa7\" dev_size = 22528\n pe_start = 2048 pe_count = 10 }";
};

std::string linear(const std::string& name, std::uint64_t start, std::uint64_t count) {
    return name +
           " { id = \"Ngq5cC-0hJk-0ter-wVEe-Ep2g-azkL-RRm7TK\" status = [\"READ\", \"VISIBLE\"] segment_count = 1\n"
           "segment1 { start_extent = 0 extent_count = " +
           std::to_string(count) + " type = \"striped\" stripe_count = 1 stripes = [ \"pv0\", " +
           std::to_string(start) + " ] } }\n";
}

// 11 MiB, of which ten extents of a MiB, on a disk of `size`.
std::shared_ptr<MemoryDevice> make_volume(std::uint64_t size, const Layout& layout) {
    auto disk = std::make_shared<MemoryDevice>(size);
    std::string text =
        "vg0 { id = \"fljtK7-WShU-7pHo-EhUl-ll9p-Nqkd-2JOzRX\" seqno = 3 format = \"lvm2\" extent_size = 2048\n"
        "physical_volumes { " +
        layout.members + " }\nlogical_volumes { " + layout.volumes + " } }\n# end\nversion = 1\n";
    text += '\0';
    std::vector<std::byte> label(512);
    std::memcpy(label.data(), "LABELONE", 8);
    store_le<std::uint64_t>(label.data() + 8, 1);
    store_le<std::uint32_t>(label.data() + 20, 32);
    std::memcpy(label.data() + 24, "LVM2 001", 8);
    std::memcpy(label.data() + 32, layout.identifier.data(), 32);
    store_le<std::uint64_t>(label.data() + 64, 11 * kMiB);
    store_le<std::uint64_t>(label.data() + 72, kMiB);
    std::size_t at = 72 + 32; // a data area, and the end of their list
    for (unsigned copy = 0; copy < layout.copies; ++copy, at += 16) {
        store_le<std::uint64_t>(label.data() + at, kArea + copy * 4 * kMiB);
        store_le<std::uint64_t>(label.data() + at + 8, layout.area_size);
    }
    store_le<std::uint32_t>(label.data() + 16, crc(std::span(label).subspan(20)));
    disk->put(512, label);
    std::vector<std::byte> header(512);
    std::memcpy(header.data() + 4, " LVM2 x[5A%r0N*>", 16);
    store_le<std::uint32_t>(header.data() + 20, 1);
    store_le<std::uint64_t>(header.data() + 24, kArea);
    store_le<std::uint64_t>(header.data() + 32, layout.area_size);
    store_le<std::uint64_t>(header.data() + 40, layout.text_at);
    store_le<std::uint64_t>(header.data() + 48, text.size());
    store_le<std::uint32_t>(header.data() + 56, crc(std::as_bytes(std::span(text))));
    store_le<std::uint32_t>(header.data(), crc(std::span(header).subspan(4)));
    for (unsigned copy = 0; copy < layout.copies; ++copy) {
        disk->put(kArea + copy * 4 * kMiB, header);
        const std::size_t first = std::min<std::size_t>(text.size(), layout.area_size - layout.text_at);
        disk->put(kArea + copy * 4 * kMiB + layout.text_at, std::string_view(text).substr(0, first));
        disk->put(kArea + copy * 4 * kMiB + 512, std::string_view(text).substr(first));
    }
    return disk;
}

LvmLogicalVolume grown(const std::shared_ptr<MemoryDevice>& disk, const std::string& name, std::uint64_t added) {
    const LvmGrowth growth = grow_physical_volume({disk}, name);
    CHECK(growth.added == added);
    for (const LvmWrite& write : growth.writes)
        disk->put(write.offset, write.bytes);
    const LvmFindings found = read_volume_groups({{kMember, disk}});
    CHECK(found.remarks.empty());
    for (const LvmLogicalVolume& volume : found.volumes)
        if (volume.name == name)
            return volume;
    FAIL("it has gone");
    return {};
}

ErrorKind kind_of(const std::shared_ptr<MemoryDevice>& disk, const std::string& name) {
    try {
        (void)grow_physical_volume({disk}, name);
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::cancelled; // nothing here is
}

} // namespace

TEST_CASE("a volume at the end grows where it is") {
    const auto disk = make_volume(31 * kMiB + 5000, {linear("swap", 0, 2) + linear("root", 2, 8)});
    const LvmLogicalVolume root = grown(disk, "root", 20 * kMiB);
    CHECK(root.device->size() == 28 * kMiB);
    REQUIRE(root.segments.size() == 1);
    CHECK(root.segments[0].physical_offset == 3 * kMiB);
    std::vector<std::byte> size(8);
    disk->read_at(512 + 64, size);
    CHECK(load_le<std::uint64_t>(size.data()) == 31 * kMiB + 5000);
    const std::string text = lvm::read_metadata_text(*disk);
    CHECK(text.find("seqno = 4") != std::string::npos);
    CHECK(text.find("pe_count = 30") != std::string::npos);
    CHECK(text.find("# end\nversion = 1") != std::string::npos);
    // And once more, into the ring behind.
    CHECK(kind_of(disk, "root") == ErrorKind::unsupported);
}

TEST_CASE("a volume that does not lie at the end gets a piece there, with what was free") {
    const auto disk = make_volume(21 * kMiB, {linear("root", 0, 4) + linear("swap", 4, 2)});
    const LvmLogicalVolume root = grown(disk, "root", 14 * kMiB);
    CHECK(root.device->size() == 18 * kMiB);
    REQUIRE(root.segments.size() == 2);
    CHECK(root.segments[1].offset == 4 * kMiB);
    CHECK(root.segments[1].physical_offset == 7 * kMiB);
    CHECK(root.segments[1].length == 14 * kMiB);
}

TEST_CASE("with no volume that wants it the group has the room free") {
    const auto disk = make_volume(21 * kMiB, {linear("root", 0, 4)});
    const LvmGrowth growth = grow_physical_volume({disk}, "");
    CHECK(growth.added == 10 * kMiB);
    for (const LvmWrite& write : growth.writes)
        disk->put(write.offset, write.bytes);
    const LvmFindings found = read_volume_groups({{kMember, disk}});
    CHECK(found.volumes.front().device->size() == 4 * kMiB);
    REQUIRE(found.free.size() == 1);
    CHECK(found.free[0].length == 16 * kMiB);
}

TEST_CASE("the text goes round the ring") {
    // A small area whose end the old text, the new one, or both cross.
    for (std::uint64_t at = 512; at < 8192; at += 512) {
        INFO(at);
        Layout layout{linear("root", 0, 4)};
        layout.area_size = 8192;
        layout.text_at = at;
        const auto disk = make_volume(21 * kMiB, layout);
        CHECK(grown(disk, "root", 16 * kMiB).device->size() == 20 * kMiB);
    }
    Layout full{linear("root", 0, 4)};
    full.area_size = 1280;
    CHECK(kind_of(make_volume(21 * kMiB, full), "root") == ErrorKind::limit);
}

TEST_CASE("what is no simple group is left, and told") {
    const auto refused = [](Layout layout, const std::string& name = "root") {
        return kind_of(make_volume(21 * kMiB, layout), name) == ErrorKind::unsupported;
    };
    CHECK(refused({linear("root", 0, 4)}, "home"));
    Layout copies{linear("root", 0, 4)};
    copies.copies = 2;
    CHECK(refused(copies));
    Layout members{linear("root", 0, 4)};
    members.members += " pv1 { id = \"other\" pe_start = 2048 pe_count = 10 }";
    CHECK(refused(members));
    std::string raid = linear("root", 0, 4);
    raid.replace(raid.find("striped"), 7, "raid1");
    CHECK(refused({raid}));
    std::string two = linear("root", 0, 4);
    two.replace(two.find("stripe_count = 1"), 16, "stripe_count = 2");
    CHECK(refused({two}));
    std::string snapshot = linear("root", 0, 4) + linear("snap", 4, 1);
    snapshot.insert(snapshot.rfind("type"), "origin = \"root\" ");
    CHECK(refused({snapshot}));
    CHECK(kind_of(make_volume(11 * kMiB, {linear("root", 0, 4)}), "root") == ErrorKind::unsupported);
}

namespace {

const std::string kSecondIdentifier = "aaILYZYrKwnzuxjmVEJ73lx5vkfVjCbb";
const std::string kSecondMember = "aaILYZ-YrKw-nzux-jmVE-J73l-x5vk-fVjCbb";

// A group that its owner has extended by a second partition, which lies last: as the first member, or the second, has
// it.
Layout two_members(const std::string& volumes, const std::string& identifier) {
    Layout layout{volumes};
    layout.identifier = identifier;
    layout.members += " pv1 { id = \"" + kSecondMember + "\" dev_size = 22528\n pe_start = 2048 pe_count = 10 }";
    return layout;
}

} // namespace

TEST_CASE("a group of several physical volumes: the last one grows, and all of them say so") {
    const std::string root = linear("root", 0, 10);
    const auto first = make_volume(11 * kMiB, two_members(root, kIdentifier));
    const auto second = make_volume(31 * kMiB, two_members(root, kSecondIdentifier));
    Layout foreign{linear("data", 0, 1)};
    foreign.identifier = "zzILYZYrKwnzuxjmVEJ73lx5vkfVjCzz";
    const auto other = make_volume(11 * kMiB, foreign); // of another group
    const std::vector<std::shared_ptr<const BlockDevice>> members{second, other, first};
    const LvmGrowth growth = grow_physical_volume(members, "root");
    CHECK(growth.added == 30 * kMiB);
    for (const LvmWrite& write : growth.writes) {
        CHECK(write.member != 1);
        (write.member == 0 ? second : first)->put(write.offset, write.bytes);
    }
    CHECK(lvm::read_metadata_text(*first) == lvm::read_metadata_text(*second));
    const LvmFindings found = read_volume_groups({{kMember, first}, {kSecondMember, second}});
    CHECK(found.remarks.empty());
    REQUIRE(found.volumes.size() == 1);
    CHECK(found.volumes[0].device->size() == 40 * kMiB);
    REQUIRE(found.volumes[0].segments.size() == 2);
    CHECK(found.volumes[0].segments[1].length == 30 * kMiB);
    CHECK(found.volumes[0].segments[1].physical_offset == kMiB);
    CHECK(kind_of(second, "root") == ErrorKind::unsupported); // without the first
}

TEST_CASE("members that keep no text, and members that differ") {
    const std::string root = linear("root", 0, 10);
    Layout silent = two_members(root, kSecondIdentifier);
    silent.copies = 0;
    const auto first = make_volume(11 * kMiB, two_members(root, kIdentifier));
    const auto second = make_volume(31 * kMiB, silent);
    CHECK(grow_physical_volume({second, first}, "root").added == 30 * kMiB);
    const auto older = make_volume(31 * kMiB, two_members(linear("root", 0, 9), kSecondIdentifier));
    try {
        (void)grow_physical_volume({older, first}, "root");
        FAIL("they tell different things");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::corrupt);
    }
}

TEST_CASE("damaged metadata is never written anew") {
    const auto label = make_volume(21 * kMiB, {linear("root", 0, 4)});
    label->put(512 + 100, "x");
    CHECK(kind_of(label, "root") == ErrorKind::corrupt);
    const auto text = make_volume(21 * kMiB, {linear("root", 0, 4)});
    text->put(kArea + 512 + 20, "x");
    CHECK(kind_of(text, "root") == ErrorKind::corrupt);
    std::string count = linear("root", 0, 4);
    count.replace(count.find("segment_count = 1"), 17, "segment_count = 3");
    CHECK(kind_of(make_volume(21 * kMiB, {count}), "root") == ErrorKind::corrupt);
    std::string stripe = linear("root", 0, 4);
    stripe.replace(stripe.find("\"pv0\", 0"), 8, "\"pv0\", -");
    CHECK(kind_of(make_volume(21 * kMiB, {stripe}), "root") == ErrorKind::corrupt);
}
