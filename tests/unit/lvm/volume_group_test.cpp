#include "formats/base/error.hpp"
#include "formats/lvm/volume_group.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cstring>
#include <string>

using namespace vm2oci;

namespace {

constexpr std::uint64_t kExtent = 64 * 1024;
constexpr std::uint64_t kArea = 4096; // up to the first extent
constexpr std::uint64_t kFirstExtent = kExtent;
constexpr std::uint64_t kExtents = 8;
constexpr std::uint64_t kSize = kFirstExtent + kExtents * kExtent;
const std::string kUuid0 = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa";
const std::string kUuid1 = "bbbbbb-bbbb-bbbb-bbbb-bbbb-bbbb-bbbbbb";

// LVM's checksum, bit by bit: CRC-32 with a beginning of its own, not inverted.
std::uint32_t checksum(std::string_view bytes) {
    std::uint32_t crc = 0xf597a6cf;
    for (const char byte : bytes) {
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
    }
    return crc;
}

template <class Number>
void put(std::string& bytes, std::size_t at, Number value) {
    for (std::size_t i = 0; i < sizeof value; ++i)
        bytes.at(at + i) = static_cast<char>(value >> (8 * i));
}

struct AreaOptions {
    std::uint64_t offset = kArea;
    std::uint64_t size = kFirstExtent - kArea;
    std::uint64_t text_at = 512;   // in the area, which is a ring behind its first sector
    std::uint64_t said_length = 0; // 0: the text's own
};

void put_area(test::MemoryDevice& disk, const std::string& text, const AreaOptions& options) {
    std::string header(512, '\0');
    std::memcpy(header.data() + 4, " LVM2 x[5A%r0N*>", 16);
    put<std::uint32_t>(header, 20, 1);
    put<std::uint64_t>(header, 24, options.offset);
    put<std::uint64_t>(header, 32, options.size);
    put<std::uint64_t>(header, 40, options.text_at);
    put<std::uint64_t>(header, 48, options.said_length != 0 ? options.said_length : text.size());
    put<std::uint32_t>(header, 56, checksum(text));
    put<std::uint32_t>(header, 0, checksum(std::string_view(header).substr(4)));
    disk.put(options.offset, header);
    const std::size_t first =
        static_cast<std::size_t>(std::min<std::uint64_t>(text.size(), options.size - options.text_at));
    disk.put(options.offset + options.text_at, std::string_view(text).substr(0, first));
    disk.put(options.offset + 512, std::string_view(text).substr(first));
}

void put_label(test::MemoryDevice& disk, const std::vector<AreaOptions>& areas) {
    std::string label(512, '\0');
    std::memcpy(label.data(), "LABELONE", 8);
    put<std::uint64_t>(label, 8, 1);
    put<std::uint32_t>(label, 20, 32);
    std::memcpy(label.data() + 24, "LVM2 001", 8);
    std::size_t at = 32 + 32;
    put<std::uint64_t>(label, at, kSize);
    put<std::uint64_t>(label, at + 8, kFirstExtent);
    at += 8 + 16 + 16; // the data area, and the end of their list
    for (const AreaOptions& area : areas) {
        put<std::uint64_t>(label, at, area.offset);
        put<std::uint64_t>(label, at + 8, area.size);
        at += 16;
    }
    put<std::uint32_t>(label, 16, checksum(std::string_view(label).substr(20)));
    disk.put(512, label);
}

std::shared_ptr<test::MemoryDevice> make_member(const std::string& text, const AreaOptions& options = {}) {
    auto disk = std::make_shared<test::MemoryDevice>(kSize);
    put_label(*disk, {options});
    put_area(*disk, text, options);
    for (std::uint64_t extent = 0; extent < kExtents; ++extent)
        disk->fill(kFirstExtent + extent * kExtent, kExtent, static_cast<std::uint8_t>(extent + 1));
    return disk;
}

std::string segment(int number, int start, int count, const std::string& member, int at,
                    const std::string& type = "striped") {
    return fmt::format("segment{} {{\nstart_extent = {}\nextent_count = {}\ntype = \"{}\"\nstripe_count = 1\n"
                       "stripes = [\"{}\", {}]\n}}\n",
                       number, start, count, type, member, at);
}

std::string volume(const std::string& name, const std::string& segments, const std::string& status = "\"VISIBLE\"") {
    return fmt::format("{} {{\nid = \"cccccc-cccc-cccc-cccc-cccc-cccc-cccccc\"\nstatus = [\"READ\", {}]\n{}}}\n", name,
                       status, segments);
}

std::string group(const std::string& volumes, int sequence = 1, std::uint64_t extents = kExtents) {
    std::string text =
        fmt::format("vg {{\nid = \"gggggg-gggg-gggg-gggg-gggg-gggg-gggggg\"\nseqno = {}\nextent_size = {}\n"
                    "physical_volumes {{\n",
                    sequence, kExtent / 512);
    for (const auto& [key, uuid] : {std::pair("pv0", kUuid0), std::pair("pv1", kUuid1)})
        text += fmt::format("{} {{\nid = \"{}\"\npe_start = {}\npe_count = {}\n}}\n", key, uuid, kFirstExtent / 512,
                            key == std::string("pv0") ? extents : kExtents);
    return text + "}\nlogical_volumes {\n" + volumes + "}\n}\n";
}

std::uint8_t byte_at(const BlockDevice& device, std::uint64_t offset) {
    std::byte byte{};
    device.read_at(offset, {&byte, 1});
    return std::to_integer<std::uint8_t>(byte);
}

// Everything that is said of a group whose only present member carries `text`.
LvmFindings read(const std::string& text) {
    return read_volume_groups({{kUuid0, make_member(text)}});
}

} // namespace

TEST_CASE("a logical volume is its segments in order, over all members") {
    const std::string text =
        group(volume("root", segment(1, 0, 2, "pv0", 5) + segment(2, 2, 1, "pv1", 3) + segment(3, 3, 1, "pv0", 0)));
    const auto one = make_member(text);
    const auto two = make_member(text);
    two->fill(kFirstExtent + 3 * kExtent, kExtent, 0x77);
    const LvmFindings found = read_volume_groups({{kUuid0, one}, {kUuid1, two}});
    CHECK(found.remarks.empty());
    REQUIRE(found.volumes.size() == 1);
    const LvmLogicalVolume& root = found.volumes.front();
    CHECK(root.group + "/" + root.name == "vg/root");
    CHECK(root.mapper_uuid == "LVM-" + std::string(32, 'g') + std::string(32, 'c'));
    REQUIRE(root.device->size() == 4 * kExtent);
    CHECK(byte_at(*root.device, 0) == 6);
    CHECK(byte_at(*root.device, 2 * kExtent - 1) == 7);
    CHECK(byte_at(*root.device, 2 * kExtent) == 0x77);
    CHECK(byte_at(*root.device, 4 * kExtent - 1) == 1);
    std::vector<std::byte> across(2 * kExtent);
    root.device->read_at(kExtent + kExtent / 2, across);
    CHECK(across.front() == std::byte{7});
    CHECK(across[kExtent] == std::byte{0x77});
    CHECK(across.back() == std::byte{1});
    CHECK_THROWS_AS(byte_at(*root.device, 4 * kExtent), Error);
    REQUIRE(root.segments.size() == 3);
    CHECK(root.segments[1].uuid == kUuid1);
    CHECK(root.segments[1].physical_offset == kFirstExtent + 3 * kExtent);
    std::uint64_t free = 0;
    for (const LvmFreeSpace& space : found.free)
        free += space.length;
    CHECK(free == (2 * kExtents - 4) * kExtent);
}

TEST_CASE("the newest text of a group counts") {
    const auto older = make_member(group(volume("old", segment(1, 0, 1, "pv0", 0)), 3));
    const auto newer = make_member(group(volume("new", segment(1, 0, 1, "pv0", 1)), 4));
    for (const std::vector<LvmPhysicalVolume>& members :
         {std::vector<LvmPhysicalVolume>{{kUuid0, older}, {kUuid1, newer}}, {{kUuid1, newer}, {kUuid0, older}}}) {
        const LvmFindings found = read_volume_groups(members);
        REQUIRE(found.volumes.size() == 1);
        CHECK(found.volumes.front().name == "new");
        CHECK(byte_at(*found.volumes.front().device, 0) == 2);
    }
}

TEST_CASE("the text may go round the end of its area") {
    const std::string text = group(volume("root", segment(1, 0, 1, "pv0", 0)));
    AreaOptions options;
    options.text_at = options.size - 100;
    const LvmFindings found = read_volume_groups({{kUuid0, make_member(text, options)}});
    CHECK(found.remarks.empty());
    CHECK(found.volumes.size() == 1);
}

TEST_CASE("a second area helps where the first is damaged") {
    const std::string text = group(volume("root", segment(1, 0, 1, "pv0", 0)));
    AreaOptions first;
    first.size = 8192;
    AreaOptions second = first;
    second.offset = first.offset + first.size;
    test::MemoryDevice disk(kSize);
    put_label(disk, {first, second});
    put_area(disk, text, first);
    put_area(disk, text, second);
    disk.fill(first.offset + 600, 1, 0xff);
    const std::shared_ptr<const BlockDevice> device(&disk, [](const BlockDevice*) {});
    CHECK(read_volume_groups({{kUuid0, device}}).volumes.size() == 1);
    disk.fill(second.offset + 600, 1, 0xff);
    const LvmFindings found = read_volume_groups({{kUuid0, device}});
    CHECK(found.volumes.empty());
    CHECK(found.remarks.size() == 1);
}

TEST_CASE("volumes that are not linear, or lie elsewhere, are named; their neighbours are read") {
    const std::string good = volume("root", segment(1, 0, 1, "pv0", 0));
    SECTION("a thin pool") {
        const LvmFindings found = read(group(volume("pool", segment(1, 0, 1, "pv0", 1, "thin-pool")) + good));
        REQUIRE(found.volumes.size() == 1);
        CHECK(found.volumes.front().name == "root");
        REQUIRE(found.remarks.size() == 1);
        CHECK(found.remarks.front().find("vg/pool") != std::string::npos);
        CHECK(found.free.empty());
    }
    SECTION("striped at first, then linear") {
        const LvmFindings found =
            read(group(volume("mixed", segment(1, 0, 1, "pv0", 1, "raid0") + segment(2, 1, 1, "pv0", 2)) + good));
        REQUIRE(found.volumes.size() == 1);
        CHECK(found.volumes.front().name == "root");
    }
    SECTION("a member that is not there") {
        const LvmFindings found = read(group(volume("far", segment(1, 0, 1, "pv1", 0)) + good));
        REQUIRE(found.volumes.size() == 1);
        CHECK(found.remarks.size() == 1);
    }
    SECTION("a part of another volume") {
        const LvmFindings found = read(group(volume("part", segment(1, 0, 1, "pv0", 1), "\"WRITE\"") + good));
        CHECK(found.volumes.size() == 1);
        CHECK(found.remarks.empty());
    }
}

TEST_CASE("damaged or hostile metadata is a remark, nothing worse") {
    const std::string good = segment(1, 0, 1, "pv0", 0);
    for (const std::string& text :
         {group(volume("root", segment(1, 0, 9, "pv0", 0))), group(volume("root", segment(1, 0, 1, "pv0", 8))),
          group(volume("root", segment(1, 0, 1, "pv9", 0))), group(volume("root", segment(1, 1, 1, "pv0", 0))),
          group(volume("root", good + segment(2, 0, 1, "pv0", 1))), group(volume("root", segment(1, 0, 0, "pv0", 0))),
          group(volume("root", "")), group(volume("root", good), 1, kExtents + 1),
          group(volume("root", good), 1, ~std::uint64_t{0} >> 2), std::string("vg {"), std::string("a = 1"),
          std::string("vg {\n}\nother {\n}\n"), std::string("vg {\nextent_size = 0\n}\n")}) {
        INFO(text);
        const LvmFindings found = read(text);
        CHECK(found.volumes.empty());
        CHECK(found.remarks.size() == 1);
    }
    const std::string text = group(volume("root", good));
    const auto damaged = [&](std::uint64_t at) {
        const auto disk = make_member(text);
        disk->fill(at, 1, 0xa5);
        return read_volume_groups({{kUuid0, disk}});
    };
    for (const std::uint64_t at : {std::uint64_t{512 + 100}, kArea + 50, kArea + 512 + 10}) {
        CHECK(damaged(at).volumes.empty());
        CHECK(damaged(at).remarks.size() == 1);
    }
    AreaOptions outside;
    outside.said_length = outside.size;
    AreaOptions large;
    large.said_length = kMaxLvmTextBytes + 1;
    for (const AreaOptions& options : {outside, large}) {
        const LvmFindings found = read_volume_groups({{kUuid0, make_member(text, options)}});
        CHECK(found.volumes.empty());
        CHECK(found.remarks.size() == 1);
    }
    CHECK(read_volume_groups({{kUuid0, std::make_shared<test::MemoryDevice>(100)}}).remarks.size() == 1);
}

TEST_CASE("a member that cannot be read is an error, not damage") {
    const auto disk = make_member(group(volume("root", segment(1, 0, 1, "pv0", 0))));
    disk->fail_reads(kArea, 512);
    CHECK_THROWS_AS(read_volume_groups({{kUuid0, disk}}), Error);
}
