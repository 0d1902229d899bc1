#include "formats/block/patched.hpp"
#include "tests/support/vhdx_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// A disk with block 0 in place, and a block behind the end of what the table knows.
ImageBytes image_with_log() {
    VhdxShape shape;
    shape.blocks = {{0, 1}};
    ImageBytes image = make_vhdx(shape);
    image.fill(image.size(), kMegabyte, 0x42);
    mark_log(image);
    return image;
}

constexpr std::uint64_t kSpareBlock = vhdx_at::blocks + kMegabyte;

// The table's first page with an entry for block 3.
LogChange table_with_block(ImageBytes& image, std::uint64_t place, std::uint64_t state = 6) {
    const auto page = image.at(vhdx_at::table, 4096);
    LogChange change{vhdx_at::table, 4096, std::vector<std::byte>(page.begin(), page.end())};
    store_le<std::uint64_t>(&(*change.content)[8 * 3], place | state);
    return change;
}

unsigned first_of_block(const OpenedDisk& disk, std::uint64_t block) {
    std::array<std::byte, 4096> bytes;
    disk.device->read_at(block * kMegabyte, bytes);
    return std::to_integer<unsigned>(bytes[100]);
}

OpenedDisk open_log(const ImageBytes& image) {
    return open_disk(image.device(), declared(DiskFormat::vhdx));
}

} // namespace

TEST_CASE("a VHDX' log is carried out, and the file stays as it is") {
    ImageBytes image = image_with_log();
    put_log_entry(image, {0, 0, 7, 0, 0, {table_with_block(image, kSpareBlock)}});
    const auto file = image.device();
    const OpenedDisk disk = open_disk(file, declared(DiskFormat::vhdx));
    CHECK(first_of_block(disk, 0) == 1);
    CHECK(first_of_block(disk, 3) == 0x42);
    CHECK(disk.info.get<VhdxInfo>()->replayed_log_entries == 1);
    std::array<std::byte, 8> entry;
    file->read_at(vhdx_at::table + 24, entry);
    CHECK(is_zero(entry));
    CHECK(disk.container == file);
}

TEST_CASE("the entries of a log are carried out in order, from tail to head") {
    ImageBytes image = image_with_log();
    std::uint64_t slot = put_log_entry(image, {10, 10, 7, 0, 0, {table_with_block(image, kMegabyte * 4)}}) + 10;
    LogChange page{kSpareBlock, 4096, std::vector<std::byte>(4096, std::byte{0x55})};
    slot += put_log_entry(image, {slot, 10, 8, 0, 0, {table_with_block(image, kSpareBlock), page}});
    put_log_entry(image, {slot, 10, 9, 0, 0, {{kSpareBlock + 4096, 8192, std::nullopt}}});
    const OpenedDisk disk = open_log(image);
    check_units(*disk.device, 4096, [](std::uint64_t at) -> unsigned {
        if (at < 256)
            return 1;
        if (at < 3 * 256 || at >= 4 * 256)
            return 0;
        return at == 3 * 256 ? 0x55 : at < 3 * 256 + 3 ? 0 : 0x42;
    });
    CHECK(disk.info.get<VhdxInfo>()->replayed_log_entries == 3);
}

TEST_CASE("a log goes around the end of its region, and old entries do not count") {
    ImageBytes image = image_with_log();
    put_log_entry(image, {5, 5, 3, 0, 0, {table_with_block(image, kMegabyte * 4)}}); // older
    put_log_entry(image, {255, 255, 20, 0, 0, {table_with_block(image, kSpareBlock)}});
    CHECK(first_of_block(open_log(image), 3) == 0x42);
    // Of another log: its GUID differs.
    ImageBytes other = image_with_log();
    put_log_entry(other, {40, 40, 30, 0, 0, {table_with_block(other, kMegabyte * 4)}});
    for (std::uint64_t i = 0; i < 16; ++i)
        other.put_le(vhdx_at::log + 40 * 4096 + 32 + i, 1, 9);
    seal_log_entry(other, 40, 2);
    put_log_entry(other, {0, 0, 20, 0, 0, {table_with_block(other, kSpareBlock)}});
    CHECK(first_of_block(open_log(other), 3) == 0x42);
}

TEST_CASE("a torn last entry does not count, and those before it do") {
    ImageBytes image = image_with_log();
    const std::uint64_t slots = put_log_entry(image, {0, 0, 7, 0, 0, {table_with_block(image, kSpareBlock)}});
    put_log_entry(image, {slots, 0, 8, 0, 0, {table_with_block(image, kMegabyte * 4)}});
    image.put_le(vhdx_at::log + slots * 4096 + 5000, 1, 0x99);
    const OpenedDisk disk = open_log(image);
    CHECK(first_of_block(disk, 3) == 0x42);
    CHECK(disk.info.get<VhdxInfo>()->replayed_log_entries == 1);
}

TEST_CASE("a log makes the file longer") {
    ImageBytes image = image_with_log();
    const std::uint64_t end = image.size();
    put_log_entry(image, {0, 0, 7, end, end + kMegabyte, {table_with_block(image, end)}});
    const OpenedDisk disk = open_log(image);
    CHECK(first_of_block(disk, 3) == 0);
    CHECK(disk.info.get<VhdxInfo>()->blocks.data == 2);
}

TEST_CASE("logs that lie are refused") {
    ImageBytes image = image_with_log();
    const LogChange good = table_with_block(image, kSpareBlock);
    const std::uint64_t slots = put_log_entry(image, {0, 0, 7, 0, 0, {good, {kSpareBlock, 4096, std::nullopt}}});
    REQUIRE_FALSE(refusal_of(image, DiskFormat::vhdx));
    const std::uint64_t log = vhdx_at::log;
    constexpr std::uint64_t all = ~std::uint64_t{0};
    SECTION("fields") {
        const Lie lie = GENERATE_COPY(
            Lie{"signature", log, 1, 'X'}, Lie{"length 0", log + 8, 4, 0},
            Lie{"length of the log and more", log + 8, 4, 2 << 20}, Lie{"length at no page", log + 8, 4, 8191},
            Lie{"tail elsewhere", log + 12, 4, 4096}, Lie{"tail at no page", log + 12, 4, 1},
            Lie{"tail behind the log", log + 12, 4, 1 << 20}, Lie{"sequence 0", log + 16, 8, 0},
            Lie{"sequence of another", log + 16, 8, 8}, Lie{"endless descriptors", log + 24, 4, 0xffffffff},
            Lie{"a descriptor of zeros", log + 24, 4, 3},
            Lie{"flushed size behind the end", log + 48, 8, std::uint64_t{1} << 40},
            Lie{"size that overflows", log + 56, 8, all}, Lie{"descriptor that is none", log + 64, 1, 'X'},
            Lie{"offset at no page", log + 64 + 16, 8, vhdx_at::table + 512},
            Lie{"offset in the headers", log + 64 + 16, 8, 65536}, Lie{"offset 0", log + 64 + 16, 8, 0},
            Lie{"offset in the log", log + 64 + 16, 8, log + 8192},
            Lie{"offset that overflows", log + 64 + 16, 8, all & ~std::uint64_t{4095}},
            Lie{"descriptor of another entry", log + 64 + 24, 8, 6}, Lie{"zeros of no page", log + 96 + 8, 8, 100},
            Lie{"zeros that overflow", log + 96 + 8, 8, all & ~std::uint64_t{4095}},
            Lie{"zeros over the log", log + 96 + 16, 8, log}, Lie{"data that is none", log + 4096, 1, 'X'},
            Lie{"data of another entry", log + 4096 + 4, 4, 1},
            Lie{"data of another entry, at its end", log + 8188, 4, 1});
        INFO(lie.name);
        image.put_le(lie.at, lie.width, lie.value);
        seal_log_entry(image, 0, slots);
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
    SECTION("a checksum") {
        image.put_le(log + 4500, 1, 0x99);
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
    SECTION("no entries at all") {
        image.fill(log, kMegabyte, 0);
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
    SECTION("two sequences that are equally new") {
        put_log_entry(image, {100, 100, 7, 0, 0, {good}});
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
    SECTION("a gap in the sequence") {
        put_log_entry(image, {slots, 0, 9, 0, 0, {good}});
        image.put_le(log, 1, 'X'); // and what was sound alone is gone
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
    SECTION("a log of 64 MiB") {
        for (const std::uint64_t header : vhdx_at::headers) {
            image.put_le(header + 68, 4, 64 << 20);
            image.put_le(header + 72, 8, 16 * kMegabyte);
        }
        seal_vhdx(image);
        CHECK(refusal_of(image, DiskFormat::vhdx)->kind() == ErrorKind::limit);
    }
    SECTION("a log behind the end") {
        for (const std::uint64_t header : vhdx_at::headers)
            image.put_le(header + 72, 8, 16 * kMegabyte);
        seal_vhdx(image);
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
    SECTION("entries over each other, each as long as the log") {
        for (std::uint64_t slot = 0; slot < 256; ++slot) {
            image.put(log + slot * 4096, std::span(image.bytes).subspan(static_cast<std::size_t>(log), 64));
            image.put_le(log + slot * 4096 + 8, 4, kMegabyte);
        }
        CHECK(refusal_of(image, DiskFormat::vhdx));
    }
}

TEST_CASE("changes in memory lie over a disk") {
    const auto base = std::make_shared<MemoryDevice>(64 * 1024);
    base->fill(0, 64 * 1024, 1);
    PatchedDevice device(base, 128 * 1024);
    PatchedDevice::Page page;
    page.fill(std::byte{2});
    device.write_page(8192, page);
    device.zero(4096, 4096);
    device.zero(16384, 8192);
    device.zero(20480, 16384);
    device.write_page(20480, page); // over zeros
    device.write_page(40960, page);
    device.zero(40960, 4096); // over a page
    device.write_page(100 * 1024 / 4096 * 4096, page);
    check_units(device, 4096, [](std::uint64_t at) -> unsigned {
        if (at == 2 || at == 5 || at == 25)
            return 2;
        return at == 1 || (at >= 4 && at < 9) || at == 10 || at >= 16 ? 0 : 1;
    });
    CHECK(device.extent_at(0).length == 4096);
    CHECK(device.extent_at(4096).kind == ExtentKind::zero);
    CHECK(device.extent_at(66000).kind == ExtentKind::unallocated);
    CHECK_THROWS_AS(device.write_page(128 * 1024, page), Error);
    CHECK_THROWS_AS(device.zero(0, 129 * 1024), Error);
    CHECK_THROWS_AS(PatchedDevice(base, 1024), Error);
}
