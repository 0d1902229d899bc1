#include "tests/support/temporary_folder.hpp"
#include "tests/support/vhdx_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

#include <fstream>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

const std::map<std::uint64_t, std::uint8_t> kVhdxValues = {{9, 5}, {0, 1}, {1, 2}, {4, 3}};

unsigned vhdx_value(const std::map<std::uint64_t, std::uint8_t>& blocks, std::uint64_t block) {
    const auto found = blocks.find(block);
    return found == blocks.end() ? 0 : found->second;
}

VhdxShape vhdx_shape() {
    VhdxShape shape;
    shape.blocks = kVhdxValues;
    return shape;
}

std::filesystem::path put_file(const TemporaryFolder& folder, const std::string& name, const ImageBytes& image) {
    const std::filesystem::path path = folder.path() / name;
    std::ofstream(path, std::ios::binary) << as_text(image.bytes);
    return path;
}

} // namespace

TEST_CASE("a VHDX is read by its blocks") {
    for (const std::uint32_t sector : {512U, 4096U}) {
        VhdxShape shape = vhdx_shape();
        shape.sector_size = sector;
        const OpenedDisk disk = open_disk(make_vhdx(shape).device(), DiskSource{});
        CHECK(disk.device->size() == shape.size);
        check_units(*disk.device, kMegabyte, [](std::uint64_t block) { return vhdx_value(kVhdxValues, block); });
        const auto* info = disk.info.get<VhdxInfo>();
        REQUIRE(info != nullptr);
        CHECK(info->type == "dynamic");
        CHECK(info->creator == "a test");
        CHECK(info->logical_sector_size == sector);
        CHECK(info->blocks.data == 4);
        CHECK(info->blocks.unallocated == 6);
        CHECK(info->replayed_log_entries == 0);
        CHECK(info->data_id == "11111111-2222-3333-4444-555555555555");
    }
}

TEST_CASE("the states of a VHDX' blocks") {
    ImageBytes image = make_vhdx(vhdx_shape());
    for (const std::uint64_t state : {0U, 1U, 2U, 3U, 5U}) {
        // What such an entry says of a place means nothing.
        image.put_le(vhdx_at::table + 8 * 6, 8, std::uint64_t{9999} << 20 | state);
        const auto device = open_disk(image.device(), DiskSource{}).device;
        CHECK(cluster_value(*device, 6, kMegabyte) == 0);
        CHECK(device->extent_at(6 * kMegabyte).kind == (state == 0 ? ExtentKind::unallocated : ExtentKind::zero));
    }
    for (const std::uint64_t state : {4U, 7U}) {
        image.put_le(vhdx_at::table + 8 * 6, 8, image.size() | state);
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
}

TEST_CASE("of a VHDX' two headers the newer one counts") {
    ImageBytes image = make_vhdx(vhdx_shape());
    SECTION("the first") {
        image.put_le(vhdx_at::headers[0] + 8, 8, 9);
    }
    SECTION("the second") {
        image.put_le(vhdx_at::headers[0] + 8, 8, 6);
    }
    SECTION("the only sound one") {
        image.put_le(vhdx_at::headers[1], 1, 'X');
    }
    SECTION("both are the same, as disk2vhd makes them") {
        image.put_le(vhdx_at::headers[1] + 8, 8, 7);
    }
    seal_vhdx(image);
    CHECK_FALSE(refusal_of(image, DiskFormat::vhdx));
}

namespace {

// A disk, and another whose blocks lie over it.
struct Family {
    VhdxShape child = vhdx_shape();
    VhdxShape base = vhdx_shape();

    Family() {
        child.blocks = {{1, 9}};
        child.partial_blocks = {{4, 8}, {7, 6}};
        child.parent_guid = "99999999-8888-7777-6666-555555555555";
        base.data_guid = *child.parent_guid;
    }
};

} // namespace

TEST_CASE("a differencing VHDX is read over the parent whose data it names") {
    const TemporaryFolder folder;
    Family family;
    VhdxShape& child = family.child;
    const VhdxShape& base = family.base;
    for (const std::uint32_t sector : {512U, 4096U}) {
        child.sector_size = sector;
        DiskSource source;
        source.path = put_file(folder, "child.vhdx", make_vhdx(child));
        CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::unsafe);
        source.backing = {{put_file(folder, "base.vhdx", make_vhdx(base)), std::nullopt}};
        const OpenedDisk disk = open_disk(source);
        check_units(*disk.device, sector, [&](std::uint64_t at) {
            const std::uint64_t block = at * sector / kMegabyte;
            if (child.blocks.count(block) != 0)
                return unsigned{child.blocks.at(block)};
            if (child.partial_blocks.count(block) != 0 && at % 2 == 0)
                return unsigned{child.partial_blocks.at(block)};
            return vhdx_value(base.blocks, block);
        });
        CHECK(disk.info.get<VhdxInfo>()->parent_id == child.parent_guid);
        VhdxShape other = base;
        other.data_guid = "99999999-8888-7777-6666-555555555556";
        source.backing = {{put_file(folder, "other.vhdx", make_vhdx(other)), std::nullopt}};
        CHECK(error_of([&] { open_disk(source); }).kind() == ErrorKind::unsafe);
    }
}

TEST_CASE("a differencing VHDX whose locator of its parent or whose bitmaps lie is refused") {
    const Family family;
    const VhdxShape& child = family.child;
    const VhdxShape& base = family.base;
    SECTION("locators that lie") {
        const std::uint64_t locator = vhdx_at::items + 64;
        const Lie lie =
            GENERATE_COPY(Lie{"kind", locator, 1, 0}, Lie{"no entries", locator + 18, 2, 0},
                          Lie{"many entries", locator + 18, 2, 0xffff}, Lie{"key behind the end", locator + 20, 4, 250},
                          Lie{"value behind the end", locator + 24, 4, 0xffffffff},
                          Lie{"length behind the end", locator + 30, 2, 0xffff},
                          Lie{"length of a part", locator + 30, 2, 40}, Lie{"another key", locator + 32, 1, 'q'},
                          Lie{"no brace", locator + 64, 1, 'x'}, Lie{"no digit", locator + 66, 1, 'x'});
        INFO(lie.name);
        ImageBytes image = make_vhdx(child);
        image.put_le(lie.at, lie.width, lie.value);
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
    SECTION("a bitmap that is not there") {
        const TemporaryFolder folder;
        ImageBytes image = make_vhdx(child);
        const std::uint64_t ratio = (std::uint64_t{1} << 23) * child.sector_size / kMegabyte;
        for (const std::uint64_t entry : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{1} << 40 | 6}) {
            image.put_le(vhdx_at::table + 8 * ratio, 8, entry);
            DiskSource source = declared(DiskFormat::vhdx);
            source.backing = {{put_file(folder, "base.vhdx", make_vhdx(base)), std::nullopt}};
            CHECK_THROWS_AS(open_disk(image.device(), source), Error);
        }
    }
}

TEST_CASE("VHDXs that lie are refused") {
    const std::uint64_t header = vhdx_at::headers[1];
    const std::uint64_t metadata = vhdx_at::metadata;
    const std::uint64_t items = vhdx_at::items;
    const std::uint64_t entry = vhdx_at::table + 8 * 6;
    constexpr std::uint64_t all = ~std::uint64_t{0};
    const Lie lie = GENERATE_COPY(
        Lie{"magic", 0, 1, 'X'}, Lie{"version 0", header + 66, 2, 0}, Lie{"version 2", header + 66, 2, 2},
        Lie{"log version 1", header + 64, 2, 1}, Lie{"log of 1 KiB", header + 68, 4, 1024},
        Lie{"no log", header + 68, 4, 0}, Lie{"log over the headers", header + 72, 8, 0},
        Lie{"log at no megabyte", header + 72, 8, kMegabyte + 4096},
        Lie{"log over the table", header + 72, 8, 2 * kMegabyte},
        Lie{"log that overflows", header + 72, 8, all - kMegabyte + 1}, Lie{"metadata magic", metadata, 1, 'X'},
        Lie{"no items", metadata + 10, 2, 0}, Lie{"too few items", metadata + 10, 2, 3},
        Lie{"endless items", metadata + 10, 2, 0xffff}, Lie{"item in the table", metadata + 32 + 16, 4, 4096},
        Lie{"item behind the region", metadata + 32 + 16, 4, kMegabyte - 4},
        Lie{"item over another", metadata + 32 + 16, 4, 65536 + 4}, Lie{"item of 4 bytes", metadata + 32 + 20, 4, 4},
        Lie{"item of 2 MiB", metadata + 32 + 20, 4, 2 << 20},
        Lie{"item of nothing at a place", metadata + 32 + 20, 4, 0},
        Lie{"an item that is not known", metadata + 32, 1, 0}, Lie{"a user's item", metadata + 32 + 24, 4, 5},
        Lie{"block size 0", items, 4, 0}, Lie{"block size 512 KiB", items, 4, 512 << 10},
        Lie{"block size 3 MiB", items, 4, 3 << 20}, Lie{"block size 512 MiB", items, 4, 512 << 20},
        Lie{"a parent without a locator", items + 4, 4, 2}, Lie{"size 0", items + 8, 8, 0},
        Lie{"size 513", items + 8, 8, 513}, Lie{"size over the table", items + 8, 8, std::uint64_t{1} << 38},
        Lie{"size 65 TiB", items + 8, 8, std::uint64_t{65} << 40}, Lie{"size that overflows", items + 8, 8, all},
        Lie{"sectors of 1024 bytes", items + 32, 4, 1024}, Lie{"sectors of 0 bytes", items + 32, 4, 0},
        Lie{"physical sectors of 513 bytes", items + 36, 4, 513}, Lie{"block over the headers", entry, 8, 6},
        Lie{"block over the log", entry, 8, vhdx_at::log | 6},
        Lie{"block over the table", entry, 8, vhdx_at::table | 6},
        Lie{"block over the metadata", entry, 8, metadata | 6}, Lie{"block twice", entry, 8, vhdx_at::blocks | 6},
        Lie{"block behind the end", entry, 8, std::uint64_t{1} << 40 | 6},
        Lie{"block far behind", entry, 8, (all & ~std::uint64_t{0xfffff}) | 6}, Lie{"reserved bits", entry, 8, 8},
        Lie{"a state of partial blocks", entry, 8, std::uint64_t{8} * kMegabyte | 7});
    INFO(lie.name);
    ImageBytes image = make_vhdx(vhdx_shape());
    REQUIRE_FALSE(refusal_of(image, DiskFormat::vhdx));
    image.put_le(lie.at, lie.width, lie.value);
    if (lie.at >= vhdx_at::headers[0] && lie.at < kMegabyte)
        seal_vhdx(image);
    CHECK(refusal_of(image, DiskFormat::vhdx));
}

TEST_CASE("region tables that lie are refused") {
    // In both copies: offsets from the beginning of a table.
    const Lie lie = GENERATE(
        Lie{"signature", 0, 1, 'X'}, Lie{"no regions", 8, 4, 0}, Lie{"one region", 8, 4, 1},
        Lie{"2048 regions", 8, 4, 2048}, Lie{"a region of zeros", 8, 4, 3},
        Lie{"a required region that is not known", 16, 1, 0}, Lie{"table over the headers", 32, 8, 0},
        Lie{"table at no megabyte", 32, 8, 2 * kMegabyte + 512},
        Lie{"table over the metadata", 32, 8, vhdx_at::metadata}, Lie{"table over the log", 32, 8, vhdx_at::log},
        Lie{"table behind the end", 32, 8, std::uint64_t{1} << 40},
        Lie{"table that overflows", 32, 8, ~std::uint64_t{0xfffff}}, Lie{"table of 0 bytes", 40, 4, 0},
        Lie{"table of 4 KiB", 40, 4, 4096}, Lie{"table over what follows", 40, 4, 2 << 20},
        Lie{"metadata behind the end", 64, 8, std::uint64_t{1} << 40},
        Lie{"metadata twice", 16, 8, 0x4b9a47908b7ca206});
    INFO(lie.name);
    ImageBytes image = make_vhdx(vhdx_shape());
    for (const std::uint64_t table : vhdx_at::regions)
        image.put_le(table + lie.at, lie.width, lie.value);
    if (std::string_view(lie.name) == "metadata twice")
        for (const std::uint64_t table : vhdx_at::regions)
            image.put_le(table + 24, 8, 0x6e880f055f57feb8);
    seal_vhdx(image);
    CHECK(refusal_of(image, DiskFormat::vhdx));
}

TEST_CASE("headers and region tables of a VHDX must have their checksums, and agree") {
    ImageBytes image = make_vhdx(vhdx_shape());
    SECTION("headers that are equally new and differ") {
        image.put_le(vhdx_at::headers[1] + 8, 8, 7);
        image.put_le(vhdx_at::headers[1] + 16, 1, 1);
        seal_vhdx(image);
    }
    SECTION("headers") {
        for (const std::uint64_t header : vhdx_at::headers)
            image.put_le(header + 1000, 1, 1);
    }
    SECTION("region tables") {
        for (const std::uint64_t table : vhdx_at::regions)
            image.put_le(table + 60000, 1, 1);
    }
    SECTION("region tables that differ") {
        image.put_le(vhdx_at::regions[1] + 60000, 1, 1);
        seal_vhdx(image);
    }
    SECTION("a region table with its checksum and too many regions, before a sound one") {
        image.put_le(vhdx_at::regions[0] + 8, 4, 0xffffff82);
        seal_vhdx(image);
    }
    SECTION("a file that ends in them") {
        image.bytes.resize(kMegabyte - 1);
    }
    CHECK(refusal_of(image, DiskFormat::vhdx));
}
