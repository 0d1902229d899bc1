#include "tests/support/vhd_writer.hpp"

namespace vm2oci::test {
namespace {

constexpr std::uint64_t kFooter = 512;
constexpr std::uint64_t kSector = 512;

void put_checksum(ImageBytes& image, std::uint64_t offset, std::uint64_t length, std::uint64_t place) {
    image.put_be(offset + place, 4, 0);
    std::uint32_t sum = 0;
    for (const std::byte byte : image.at(offset, length))
        sum += std::to_integer<std::uint32_t>(byte);
    image.put_be(offset + place, 4, ~sum);
}

void put_footer(ImageBytes& image, std::uint64_t offset, const VhdShape& shape) {
    image.fill(offset, kFooter, 0);
    image.put(offset, "conectix");
    image.put_be(offset + 8, 4, 2);
    image.put_be(offset + 12, 4, 0x10000);
    image.put_be(offset + 16, 8, shape.type == 2 ? ~std::uint64_t{0} : vhd_at::header);
    image.put(offset + 28, shape.creator);
    image.put(offset + 36, "Wi2k");
    image.put_be(offset + 40, 8, kVhdSize);
    image.put_be(offset + 48, 8, kVhdSize);
    image.put_be(offset + 56, 2, 75); // 75 * 4 * 17 sectors: fewer than the disk has
    image.put_be(offset + 58, 1, 4);
    image.put_be(offset + 59, 1, 17);
    image.put_be(offset + 60, 4, shape.type);
    image.fill(offset + 68, 16, shape.id);
}

} // namespace

void seal_vhd(ImageBytes& image) {
    put_checksum(image, 0, kFooter, 64);
    put_checksum(image, vhd_at::header, 1024, 36);
    const auto head = image.at(0, kFooter);
    image.put(image.size() - kFooter, std::vector<std::byte>(head.begin(), head.end()));
}

ImageBytes make_vhd(const VhdShape& shape) {
    ImageBytes image;
    if (shape.type == 2) {
        image.fill(0, kVhdSize, 0);
        for (const auto& [block, value] : shape.blocks)
            image.fill(block * kVhdBlock, std::min(kVhdBlock, kVhdSize - block * kVhdBlock), value);
        put_footer(image, kVhdSize, shape);
        put_checksum(image, kVhdSize, kFooter, 64);
        return image;
    }
    put_footer(image, 0, shape);
    image.fill(vhd_at::header, 1024, 0);
    image.put(vhd_at::header, "cxsparse");
    image.put_be(vhd_at::header + 8, 8, ~std::uint64_t{0});
    image.put_be(vhd_at::header + 16, 8, vhd_at::table);
    image.put_be(vhd_at::header + 24, 4, 0x10000);
    image.put_be(vhd_at::header + 28, 4, kVhdBlocks);
    image.put_be(vhd_at::header + 32, 4, kVhdBlock);
    if (shape.type == 4) {
        image.fill(vhd_at::header + 40, 16, shape.parent_id);
        for (std::uint64_t i = 0; i < 8; ++i)
            image.put_be(vhd_at::header + 64 + 2 * i, 2, static_cast<std::uint8_t>("base.vhd"[i]));
    }
    image.fill(vhd_at::table, vhd_at::first_block - vhd_at::table, 0xff);
    for (const auto& [block, value] : shape.blocks) {
        const std::uint64_t at = image.size();
        image.put_be(vhd_at::table + 4 * block, 4, at / kSector);
        image.fill(at, kSector, 0);
        image.fill(at, kVhdBlock / kSector / 8, 0xff);
        image.fill(at + kSector, kVhdBlock, value);
        for (const std::uint64_t sector : shape.missing_sectors) {
            if (sector / (kVhdBlock / kSector) != block)
                continue;
            const std::uint64_t within = sector % (kVhdBlock / kSector);
            image.bytes[static_cast<std::size_t>(at + within / 8)] &= ~std::byte(0x80U >> (within % 8));
            image.fill(at + kSector + within * kSector, kSector, 0);
        }
    }
    image.fill(image.size(), kFooter, 0);
    seal_vhd(image);
    return image;
}

ImageBytes make_vdi(const std::map<std::uint64_t, unsigned>& blocks) {
    ImageBytes image;
    image.put(0, "<<< a disk image >>>\n");
    image.put_le(64, 4, 0xbeda107f);
    image.put_le(68, 4, 0x10001);
    image.put_le(72, 4, 0x190);
    image.put_le(76, 4, 1);
    image.put(84, "made by a test");
    image.put_le(340, 4, vdi_at::map);
    image.put_le(344, 4, vdi_at::data);
    image.put_le(360, 4, kSector);
    image.put_le(368, 8, kVdiBlock * kVdiBlocks);
    image.put_le(376, 4, kVdiBlock);
    image.put_le(384, 4, kVdiBlocks);
    image.fill(392, 32, 0x33); // this image, its last snapshot
    image.fill(424, 32, 0);    // no link, no parent
    image.fill(vdi_at::map, vdi_at::data - vdi_at::map, 0xff);
    std::uint64_t stored = 0;
    for (const auto& [block, value] : blocks) {
        image.put_le(vdi_at::map + 4 * block, 4, value == kZeroBlock ? 0xfffffffe : stored);
        if (value == kZeroBlock)
            continue;
        image.fill(vdi_at::data + stored * kVdiBlock, kVdiBlock, static_cast<std::uint8_t>(value));
        ++stored;
    }
    image.put_le(388, 4, stored);
    return image;
}

} // namespace vm2oci::test
