#include "formats/base/error.hpp"
#include "formats/lvm/volume_group.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cstring>
#include <optional>
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
    SECTION("of a kind that is known, and not read") {
        for (const char* type : {"cache", "writecache", "vdo", "raid5", "raid6_zr", "raid10", "error", "future"}) {
            INFO(type);
            const LvmFindings found = read(group(volume("far", segment(1, 0, 1, "pv0", 1, type)) + good));
            REQUIRE(found.volumes.size() == 1);
            CHECK(found.volumes.front().name == "root");
            REQUIRE(found.remarks.size() == 1);
            CHECK(found.remarks.front().find("vg/far: it is of a kind (" + std::string(type)) != std::string::npos);
            CHECK(found.free.empty() == (type == std::string("future")));
        }
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

namespace {

std::string other_segment(const std::string& type, int count, const std::string& values) {
    return fmt::format("segment1 {{\nstart_extent = 0\nextent_count = {}\ntype = \"{}\"\n{}\n}}\n", count, type,
                       values);
}

const std::string kHidden = "\"WRITE\"";

} // namespace

TEST_CASE("stripes take turns, and a mirror is its first copy") {
    const std::string striped =
        other_segment("striped", 4, "stripe_count = 2\nstripe_size = 8\nstripes = [\"pv0\", 2, \"pv0\", 6]");
    const std::string mirror = other_segment("mirror", 2, "mirror_count = 2\nmirrors = [\"copy0\", 0, \"copy1\", 0]");
    const LvmFindings found = read(group(volume("striped", striped) + volume("mirror", mirror) +
                                         volume("copy0", segment(1, 0, 2, "pv0", 0), kHidden) +
                                         volume("copy1", segment(1, 0, 2, "pv1", 0), kHidden)));
    CHECK(found.remarks.empty());
    REQUIRE(found.volumes.size() == 2);
    const LvmLogicalVolume& stripes = found.volumes[0];
    REQUIRE(stripes.device->size() == 4 * kExtent);
    CHECK(byte_at(*stripes.device, 0) == 3);
    CHECK(byte_at(*stripes.device, 4096) == 7);
    CHECK(byte_at(*stripes.device, 2 * 4096 + 5) == 3);
    CHECK(byte_at(*stripes.device, 4 * kExtent - 1) == 8);
    CHECK(stripes.segments.empty());
    CHECK_FALSE(stripes.is_plain);
    CHECK(byte_at(*found.volumes[1].device, kExtent) == 2);
    CHECK(found.volumes[1].segments.size() == 1);
    CHECK_FALSE(found.volumes[1].is_plain);
    std::uint64_t free = 0;
    for (const LvmFreeSpace& space : found.free)
        free += space.length;
    CHECK(free == 2 * kExtent);
}

TEST_CASE("a volume may consist of another one, and of its parts") {
    const LvmFindings found = read(group(volume("moved", segment(1, 0, 1, "pvmove0", 1)) +
                                         volume("pvmove0", segment(1, 0, 2, "pv0", 3), kHidden)));
    REQUIRE(found.volumes.size() == 1);
    CHECK(byte_at(*found.volumes[0].device, 0) == 5);
    REQUIRE(found.volumes[0].segments.size() == 1);
    CHECK(found.volumes[0].segments[0].physical_offset == kFirstExtent + 4 * kExtent);
    CHECK(found.volumes[0].is_plain);
}

TEST_CASE("a copy of RAID 1 counts if what stands beside it says so") {
    struct Beside {
        std::uint32_t position;
        std::uint64_t events;
        std::uint64_t failed = 0;
        std::uint64_t recovered = ~std::uint64_t{0};
    };
    // The first copy holds 3, the second 4.
    const auto read_with = [](const std::vector<std::optional<Beside>>& beside) {
        const std::string text = group(
            volume("root", other_segment("raid1", 1, "device_count = 2\nraids = [\"m0\", \"i0\", \"m1\", \"i1\"]")) +
            volume("m0", segment(1, 0, 1, "pv0", 0), kHidden) + volume("m1", segment(1, 0, 1, "pv0", 1), kHidden) +
            volume("i0", segment(1, 0, 1, "pv0", 2), kHidden) + volume("i1", segment(1, 0, 1, "pv0", 3), kHidden));
        const auto disk = make_member(text);
        for (std::size_t i = 0; i < beside.size(); ++i) {
            const std::uint64_t at = kFirstExtent + i * kExtent;
            disk->fill(at, 512, 0);
            if (!beside[i])
                continue;
            std::string bytes(512, '\0');
            put<std::uint32_t>(bytes, 0, 0x64526d44);
            put<std::uint32_t>(bytes, 12, beside[i]->position);
            put<std::uint64_t>(bytes, 16, beside[i]->events);
            put<std::uint64_t>(bytes, 24, beside[i]->failed);
            put<std::uint64_t>(bytes, 32, beside[i]->recovered);
            disk->put(at, bytes);
        }
        const LvmFindings found = read_volume_groups({{kUuid0, disk}});
        return found.volumes.empty() ? 0 : int{byte_at(*found.volumes.front().device, 0)};
    };
    CHECK(read_with({Beside{0, 5}, Beside{1, 5}}) == 3);
    CHECK(read_with({std::nullopt, std::nullopt}) == 3); // never started
    CHECK(read_with({Beside{0, 3}, Beside{1, 5}}) == 4);
    CHECK(read_with({Beside{0, 4}, Beside{1, 5}}) == 3);
    CHECK(read_with({Beside{0, 5}, Beside{1, 5, 1}}) == 4);
    CHECK(read_with({Beside{0, 5, 0, 100}, Beside{1, 5}}) == 4);
    CHECK(read_with({std::nullopt, Beside{1, 5}}) == 4);
    CHECK(read_with({Beside{1, 5}, Beside{1, 5}}) == 4); // not where it should be
    CHECK(read_with({Beside{0, 5, 3}, Beside{1, 5, 3}}) == 0);
}

TEST_CASE("volumes that consist of themselves, of nothing or of too much are remarks") {
    const std::string good = volume("root", segment(1, 0, 1, "pv0", 0));
    std::string chain;
    for (int i = 0; i < 40; ++i)
        chain += volume(fmt::format("n{}", i), segment(1, 0, 1, fmt::format("n{}", i + 1), 0), kHidden);
    chain += volume("n40", segment(1, 0, 1, "pv0", 0), kHidden);
    for (const std::string& other :
         {volume("far", segment(1, 0, 1, "far", 0)),
          volume("far", segment(1, 0, 1, "b", 0)) + volume("b", segment(1, 0, 1, "far", 0), kHidden),
          volume("far", segment(1, 0, 1, "n0", 0)) + chain, volume("far", segment(1, 0, 1, "root", 1)),
          volume("far", segment(1, 0, 1, "root", 4'000'000)),
          volume("far", other_segment("raid1", 1, "raids = [\"x\", \"y\"]")),
          volume("far", other_segment("raid1", 1, "raids = [1, 2]")),
          volume("far", other_segment("raid1", 1, "raids = []")),
          volume("far", other_segment("thin", 1, "thin_pool = \"none\"\ndevice_id = 1")),
          volume("far", other_segment("thin", 1, "thin_pool = \"root\"\ndevice_id = 1")),
          volume("far", other_segment("thin", 1, "")),
          volume("far", other_segment("thin", 1, "thin_pool = \"pool\"\ndevice_id = 1")) +
              volume("pool",
                     other_segment("thin-pool", 1,
                                   "metadata = \"far\"\npool = \"far\"\nchunk_size = 128\ntransaction_id = 1"),
                     kHidden),
          volume("far", other_segment("thin", 1, "thin_pool = \"pool\"\ndevice_id = 1\nexternal_origin = \"far\"")),
          volume("far", other_segment("snapshot", 1, "cow_store = \"changes\"\norigin = \"root\"")),
          volume("far",
                 other_segment("striped", 2, "stripe_count = 2\nstripe_size = 0\nstripes = [\"pv0\", 1, \"pv0\", 2]")),
          volume("far",
                 other_segment("striped", 2, "stripe_count = 2\nstripe_size = 99\nstripes = [\"pv0\", 1, \"pv0\", 2]")),
          volume("far", other_segment("mirror", 1, "mirrors = [\"far\", 0]"))}) {
        INFO(other.substr(0, 400));
        const LvmFindings found = read(group(other + good));
        REQUIRE(found.volumes.size() == 1);
        CHECK(found.volumes.front().name == "root");
        CHECK(found.remarks.size() == 1);
    }
    // The whole group is in doubt.
    for (const std::string& other :
         {volume("far", other_segment("striped", 2, "stripe_count = 0\nstripes = []")),
          volume("far", other_segment("striped", 3, "stripe_count = 2\nstripes = [\"pv0\", 1, \"pv0\", 2]")),
          volume("far", other_segment("striped", 1, "stripe_count = 4000000000\nstripes = [\"pv0\", 1]")),
          volume("far", other_segment("mirror", 1, "mirrors = [\"pv0\"]")),
          volume("far", other_segment("mirror", 1, "mirrors = [\"pv0\", -1]")),
          volume("far", other_segment("snapshot", 1, "merging_store = \"changes\""))}) {
        INFO(other);
        const LvmFindings found = read(group(other + good));
        CHECK(found.volumes.empty());
        CHECK(found.remarks.size() == 1);
    }
}

TEST_CASE("a volume that a snapshot is being merged into is refused, and copies that are not started come last") {
    const LvmFindings merging = read(group(
        volume("root", segment(1, 0, 1, "pv0", 0)) +
        volume("snapshot0", other_segment("snapshot", 1, "merging_store = \"changes\"\norigin = \"root\""), kHidden)));
    CHECK(merging.volumes.empty());
    REQUIRE(merging.remarks.size() == 1);
    CHECK(merging.remarks.front().find("merged") != std::string::npos);
    const LvmFindings skipped =
        read(group(volume("snap", segment(1, 0, 1, "pv0", 1), "\"VISIBLE\", \"ACTIVATION_SKIP\"") +
                   volume("root", segment(1, 0, 1, "pv0", 0))));
    REQUIRE(skipped.volumes.size() == 2);
    CHECK(skipped.volumes.front().name == "root");
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
