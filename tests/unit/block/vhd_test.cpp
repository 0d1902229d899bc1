#include "tests/support/temporary_folder.hpp"
#include "tests/support/vhd_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

const std::map<std::uint64_t, std::uint8_t> kVhdValues = {{39, 7}, {0, 1}, {1, 2}, {17, 3}};
constexpr std::uint64_t kAllOnes = ~std::uint64_t{0};

unsigned value_of(const std::map<std::uint64_t, std::uint8_t>& blocks, std::uint64_t block) {
    const auto found = blocks.find(block);
    return found == blocks.end() ? 0 : found->second;
}

VhdShape shape_of(std::uint32_t type) {
    VhdShape shape;
    shape.type = type;
    shape.blocks = kVhdValues;
    return shape;
}

std::filesystem::path put(const TemporaryFolder& folder, const std::string& name, const ImageBytes& image) {
    const std::filesystem::path path = folder.path() / name;
    std::ofstream(path, std::ios::binary) << as_text(image.bytes);
    return path;
}

} // namespace

TEST_CASE("a dynamic VHD is read by its blocks") {
    const OpenedDisk disk = open_disk(make_vhd(shape_of(3)).device(), DiskSource{});
    CHECK(disk.device->size() == kVhdSize);
    check_units(*disk.device, kVhdBlock, [](std::uint64_t block) { return value_of(kVhdValues, block); });
    const auto* info = disk.info.get<VhdInfo>();
    REQUIRE(info != nullptr);
    CHECK(info->type == "dynamic");
    CHECK(info->block_size == kVhdBlock);
    CHECK(info->blocks.data == 4);
    CHECK(info->blocks.unallocated == kVhdBlocks - 4);
    CHECK(disk.info.allocated_size == 4 * kVhdBlock - 1536);
    CHECK(info->id == "11111111-1111-1111-1111-111111111111");
}

TEST_CASE("a fixed VHD is the disk and a footer, where it is called a VHD") {
    const ImageBytes image = make_vhd(shape_of(2));
    const OpenedDisk disk = open_disk(image.device(), declared(DiskFormat::vhd));
    check_units(*disk.device, kVhdBlock, [](std::uint64_t block) { return value_of(kVhdValues, block); });
    CHECK(disk.info.get<VhdInfo>()->type == "fixed");
    CHECK(error_of([&] { open_disk(image.device(), DiskSource{}); }).kind() == ErrorKind::unsafe);
    const DiskFindings findings = examine_disk(image.device(), DiskSource{});
    CHECK_FALSE(findings.format_known);
    CHECK(findings.foreign_format == "VHD");
    CHECK(open_disk(image.device(), declared(DiskFormat::raw)).device->size() == kVhdSize + 512);
}

TEST_CASE("whose tool made a VHD tells which of its two sizes is the disk's") {
    const std::uint64_t geometry = std::uint64_t{75} * 4 * 17 * 512;
    for (const std::string_view creator : {"vpc ", "qemu", "win ", "qem2", "d2v ", "vbox", "tap\0"}) {
        VhdShape shape = shape_of(2);
        shape.creator = creator;
        const OpenedDisk disk = open_disk(make_vhd(shape).device(), declared(DiskFormat::vhd));
        const bool by_geometry = creator == "vpc " || creator == "qemu";
        CHECK(disk.device->size() == (by_geometry ? geometry : kVhdSize));
        CHECK(disk.info.get<VhdInfo>()->size_by_geometry == by_geometry);
    }
    // The largest geometry says nothing.
    VhdShape shape = shape_of(3);
    shape.creator = "qemu";
    ImageBytes image = make_vhd(shape);
    image.put_be(56, 2, 65535);
    image.put_be(58, 1, 16);
    image.put_be(59, 1, 255);
    seal_vhd(image);
    CHECK(open_disk(image.device(), DiskSource{}).device->size() == kVhdSize);
}

TEST_CASE("sectors that a dynamic VHD says were never written must be zeros") {
    VhdShape shape = shape_of(3);
    for (std::uint64_t sector = 128 + 5; sector < 128 + 90; sector += 1 + sector % 3)
        shape.missing_sectors.insert(sector);
    shape.missing_sectors.insert(17 * 128);
    ImageBytes image = make_vhd(shape);
    const auto device = open_disk(image.device(), DiskSource{}).device;
    check_units(*device, 512, [&](std::uint64_t sector) {
        return shape.missing_sectors.count(sector) != 0 ? 0 : value_of(kVhdValues, sector / 128);
    });
    // Block 1 is the second in the file; its sector 5 follows the bitmap.
    const std::uint64_t block = vhd_at::first_block + kVhdBlock + 512;
    image.put_le(block + 512 + 5 * 512 + 100, 1, 1);
    const auto refused = refusal_of(image, DiskFormat::vhd);
    REQUIRE(refused);
    CHECK(refused->kind() == ErrorKind::corrupt);
}

TEST_CASE("a differencing VHD is read over the parent whose ID it names") {
    const TemporaryFolder folder;
    VhdShape child = shape_of(4);
    child.id = 0x33;
    child.blocks = {{1, 9}, {5, 8}};
    for (std::uint64_t sector = 128; sector < 256; sector += 2)
        child.missing_sectors.insert(sector);
    VhdShape base = shape_of(3);
    base.id = 0x22;
    DiskSource source;
    source.path = put(folder, "child.vhd", make_vhd(child));
    const Error alone = error_of([&] { open_disk(source); });
    CHECK(alone.kind() == ErrorKind::unsafe);
    CHECK(alone.message().find("base.vhd") != std::string::npos);
    source.backing = {{put(folder, "base.vhd", make_vhd(base)), std::nullopt}};
    const auto device = open_disk(source).device;
    check_units(*device, 512, [&](std::uint64_t sector) {
        const std::uint64_t block = sector / 128;
        const bool own = child.blocks.count(block) != 0 && child.missing_sectors.count(sector) == 0;
        return own ? child.blocks.at(block) : value_of(base.blocks, block);
    });
    SECTION("a fixed one does as well") {
        VhdShape fixed = base;
        fixed.type = 2;
        source.backing = {{put(folder, "fixed.vhd", make_vhd(fixed)), DiskFormat::vhd}};
        CHECK(cluster_value(*open_disk(source).device, 17, kVhdBlock) == 3);
    }
    SECTION("another one does not") {
        base.id = 0x23;
        source.backing = {{put(folder, "other.vhd", make_vhd(base)), std::nullopt}};
        CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::unsafe);
    }
}

TEST_CASE("VHDs that lie are refused") {
    const std::uint64_t header = vhd_at::header;
    const std::uint64_t table = vhd_at::table;
    const std::uint64_t first = vhd_at::first_block / 512;
    const Lie lie = GENERATE_COPY(
        Lie{"version 2", 12, 4, 0x20000}, Lie{"header over the footer", 16, 8, 0},
        Lie{"header in the footer", 16, 8, 511}, Lie{"header behind the end", 16, 8, 1ULL << 40},
        Lie{"header that overflows", 16, 8, kAllOnes}, Lie{"header elsewhere", 16, 8, 1024}, Lie{"size 0", 48, 8, 0},
        Lie{"size 1", 48, 8, 1}, Lie{"size of one more block", 48, 8, kVhdBlock * kVhdBlocks + 512},
        Lie{"size 2041 GiB", 48, 8, 2041ULL << 30}, Lie{"size that overflows", 48, 8, kAllOnes},
        Lie{"type 0", 60, 4, 0}, Lie{"type 2", 60, 4, 2}, Lie{"type 5", 60, 4, 5},
        Lie{"type 4 without a parent", 60, 4, 4}, Lie{"magic of the header", header, 1, 'X'},
        Lie{"table over the footer", header + 16, 8, 0}, Lie{"table over the header", header + 16, 8, 1024},
        Lie{"table over a block", header + 16, 8, vhd_at::first_block},
        Lie{"table behind the end", header + 16, 8, 1ULL << 40}, Lie{"table that overflows", header + 16, 8, kAllOnes},
        Lie{"version of the header", header + 24, 4, 1}, Lie{"no entries", header + 28, 4, 0},
        Lie{"an entry too few", header + 28, 4, kVhdBlocks - 1}, Lie{"endless entries", header + 28, 4, 0xffffffff},
        Lie{"entries over the blocks", header + 28, 4, 200}, Lie{"block size 0", header + 32, 4, 0},
        Lie{"block size 511", header + 32, 4, 511}, Lie{"block size 512", header + 32, 4, 512},
        Lie{"block size 65537", header + 32, 4, 65537}, Lie{"block size 2^31", header + 32, 4, 1U << 31},
        Lie{"block at 0", table + 80, 4, 0}, Lie{"block over the header", table + 80, 4, 1},
        Lie{"block over the table", table + 80, 4, 3}, Lie{"block twice", table + 80, 4, first},
        Lie{"block over a bitmap", table + 80, 4, first + 100}, Lie{"block over another", table + 80, 4, first + 1},
        Lie{"block behind the end", table + 80, 4, 1 << 20}, Lie{"block far behind", table + 80, 4, 0xfffffffe},
        Lie{"block over the last footer", table + 80, 4, first + 4 * 129 - 1},
        Lie{"first block moved", table, 4, first + 1});
    INFO(lie.name);
    ImageBytes image = make_vhd(shape_of(3));
    REQUIRE_FALSE(refusal_of(image, DiskFormat::vhd));
    image.put_be(lie.at, lie.width, lie.value);
    seal_vhd(image);
    CHECK(refusal_of(image, DiskFormat::vhd));
}

TEST_CASE("footers and headers of VHDs must have their checksums, and both footers agree") {
    ImageBytes image = make_vhd(shape_of(3));
    const std::uint64_t last = image.size() - 512;
    SECTION("the first footer") {
        image.put_be(24, 4, 77);
    }
    SECTION("its checksum") {
        image.put_be(64, 4, 0);
    }
    SECTION("the header") {
        image.put_be(vhd_at::header + 70, 1, 1);
    }
    SECTION("the last footer") {
        image.put_be(last + 24, 4, 77);
    }
    SECTION("the last footer of another time, sealed") {
        const ImageBytes other = make_vhd([] {
            VhdShape shape = shape_of(3);
            shape.id = 0x44;
            return shape;
        }());
        image.put(last, std::span(other.bytes).last(512));
    }
    SECTION("no last footer") {
        image.bytes.resize(static_cast<std::size_t>(last));
    }
    SECTION("a cut last footer") {
        image.bytes.resize(static_cast<std::size_t>(last + 511));
    }
    SECTION("no first footer") {
        image.fill(0, 512, 0);
    }
    const auto refused = refusal_of(image, DiskFormat::vhd);
    REQUIRE(refused);
    CHECK(refused->kind() == ErrorKind::corrupt);
}

TEST_CASE("fixed VHDs that lie are refused") {
    ImageBytes image = make_vhd(shape_of(2));
    SECTION("too short") {
        std::vector<std::byte> footer(image.bytes.end() - 512, image.bytes.end());
        image.bytes.resize(image.bytes.size() - 1024);
        image.put(image.size(), footer);
    }
    SECTION("a short footer of old") {
        image.bytes.resize(image.bytes.size() - 1);
    }
    SECTION("nothing but a footer") {
        image.bytes.erase(image.bytes.begin(), image.bytes.end() - 512);
    }
    SECTION("no footer") {
        image.bytes.resize(image.bytes.size() - 512);
    }
    SECTION("an empty file") {
        image.bytes.clear();
    }
    CHECK(refusal_of(image, DiskFormat::vhd));
}

TEST_CASE("what a cut-off VHD lacks is read as zeros when that is allowed") {
    ImageBytes image = make_vhd(shape_of(3));
    image.bytes.resize(image.bytes.size() - 512 - kVhdBlock);
    DiskSource source = declared(DiskFormat::vhd);
    source.policy.truncation = Tolerance::allow;
    const auto device = open_disk(image.device(), source).device;
    CHECK(cluster_value(*device, 0, kVhdBlock) == 1);
}
