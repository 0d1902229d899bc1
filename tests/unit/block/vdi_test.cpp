#include "tests/support/vhd_writer.hpp"
#include "tests/unit/block/foreign_fixture.hpp"

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

const std::map<std::uint64_t, unsigned> kVdiValues = {{0, 1}, {1, kZeroBlock}, {2, 2}, {3, 3}, {11, 4}};

unsigned vdi_value(std::uint64_t block) {
    const auto found = kVdiValues.find(block);
    return found == kVdiValues.end() || found->second == kZeroBlock ? 0 : found->second;
}

} // namespace

TEST_CASE("a VDI is read by its map") {
    const OpenedDisk disk = open_disk(make_vdi(kVdiValues).device(), DiskSource{});
    CHECK(disk.info.format == DiskFormat::vdi);
    check_units(*disk.device, kVdiBlock, vdi_value);
    const auto* info = disk.info.get<VdiInfo>();
    REQUIRE(info != nullptr);
    CHECK(info->comment == "made by a test");
    CHECK(info->blocks.data == 4);
    CHECK(info->blocks.zero == 1);
    CHECK(info->blocks.unallocated == 7);
    CHECK(disk.info.allocated_size == 4 * kVdiBlock);
}

TEST_CASE("a VDI whose size ends in the middle of a sector is rounded up") {
    ImageBytes image = make_vdi(kVdiValues);
    image.put_le(368, 8, 11 * kVdiBlock + 1000);
    const OpenedDisk disk = open_disk(image.device(), DiskSource{});
    CHECK(disk.device->size() == 11 * kVdiBlock + 1024);
    image.put_le(76, 4, 2);
    CHECK(open_disk(image.device(), DiskSource{}).info.get<VdiInfo>()->type == "fixed");
}

TEST_CASE("VDIs that lie are refused") {
    const std::uint64_t map = vdi_at::map;
    const Lie lie = GENERATE_COPY(
        Lie{"signature", 64, 1, 0}, Lie{"version 1.0", 68, 4, 0x10000}, Lie{"version 2.0", 68, 4, 0x20000},
        Lie{"header of 0 bytes", 72, 4, 0}, Lie{"type 0", 76, 4, 0}, Lie{"type 3", 76, 4, 3}, Lie{"type 4", 76, 4, 4},
        Lie{"type 5", 76, 4, 5}, Lie{"map at 0", 340, 4, 0}, Lie{"map at 511", 340, 4, 511},
        Lie{"map at 513", 340, 4, 513}, Lie{"map over the data", 340, 4, 1024},
        Lie{"map behind the end", 340, 4, 1U << 30}, Lie{"map at the end of 32 bits", 340, 4, 0xfffffe00},
        Lie{"data at 0", 344, 4, 0}, Lie{"data over the map", 344, 4, 512}, Lie{"data at 1025", 344, 4, 1025},
        Lie{"data behind the end", 344, 4, 1U << 30}, Lie{"data a sector later", 344, 4, 1025 * 512},
        Lie{"sectors of 0 bytes", 360, 4, 0}, Lie{"sectors of 4096 bytes", 360, 4, 4096}, Lie{"size 0", 368, 8, 0},
        Lie{"size of one more sector", 368, 8, kVdiBlock * kVdiBlocks + 1},
        Lie{"size that overflows", 368, 8, ~std::uint64_t{0}}, Lie{"block size 0", 376, 4, 0},
        Lie{"block size 512", 376, 4, 512}, Lie{"block size 2 MiB", 376, 4, 2 << 20},
        Lie{"block size 2^31", 376, 4, 1U << 31}, Lie{"extra bytes", 380, 4, 512}, Lie{"no blocks", 384, 4, 0},
        Lie{"a block too few", 384, 4, kVdiBlocks - 1}, Lie{"blocks over the data", 384, 4, 129},
        Lie{"endless blocks", 384, 4, 0xffffffff}, Lie{"more blocks allocated than there are", 388, 4, kVdiBlocks + 1},
        Lie{"a link", 424, 1, 1}, Lie{"the end of a link", 439, 1, 1}, Lie{"a parent", 440, 1, 1},
        Lie{"the end of a parent", 455, 1, 1}, Lie{"block twice", map + 40, 4, 0},
        Lie{"the last block twice", map + 40, 4, 3}, Lie{"block behind the end", map + 40, 4, 4},
        Lie{"block behind all", map + 40, 4, kVdiBlocks}, Lie{"block far behind", map + 40, 4, 0xfffffffd},
        Lie{"first block moved", map, 4, 2});
    INFO(lie.name);
    ImageBytes image = make_vdi(kVdiValues);
    REQUIRE_FALSE(refusal_of(image, DiskFormat::vdi));
    image.put_le(lie.at, lie.width, lie.value);
    CHECK(refusal_of(image, DiskFormat::vdi));
}

TEST_CASE("a VDI that was cut is refused, or read with zeros when that is allowed") {
    for (const std::size_t kept : {100U, 511U, 600U, 1024U, 3U << 20, (4U << 20) + 1023U}) {
        ImageBytes image = make_vdi(kVdiValues);
        image.bytes.resize(kept);
        CHECK(refusal_of(image, DiskFormat::vdi));
        if (kept <= 1024)
            continue;
        DiskSource source = declared(DiskFormat::vdi);
        source.policy.truncation = Tolerance::allow;
        const auto device = open_disk(image.device(), source).device;
        CHECK(cluster_value(*device, 0, kVdiBlock) == 1);
        CHECK(cluster_value(*device, 10, kVdiBlock) == 0);
    }
}
