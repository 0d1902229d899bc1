#include "tests/support/xfs_builder.hpp"

#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "tests/support/memory_device.hpp"

#include <algorithm>
#include <array>

namespace vm2oci::test {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kUuidBytes = 16;
constexpr std::byte kUuidByte{0xd5};

} // namespace

XfsBuilder::XfsBuilder(Version version, TypesInFolders types)
    : version_(version), types_(types), bytes_(2 * kGroupBlocks * kBlock) {}

void XfsBuilder::put16(std::size_t offset, unsigned value) {
    store_be<std::uint16_t>(at(offset), static_cast<std::uint16_t>(value));
}
void XfsBuilder::put32(std::size_t offset, std::uint32_t value) {
    store_be<std::uint32_t>(at(offset), value);
}
void XfsBuilder::put64(std::size_t offset, std::uint64_t value) {
    store_be<std::uint64_t>(at(offset), value);
}

std::size_t XfsBuilder::take(std::size_t blocks) {
    const std::size_t first = next_;
    next_ += blocks;
    return first;
}

void XfsBuilder::put_header(std::size_t offset, std::size_t length, std::size_t checksum, std::size_t address,
                            std::size_t uuid, std::size_t owner, std::uint64_t number) {
    if (!is_v5())
        return;
    if (address != 0)
        put64(offset + address, offset / kSector);
    std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset + uuid), kUuidBytes, kUuidByte);
    if (owner != 0)
        put64(offset + owner, number);
    seals_.push_back({offset, length, checksum});
}

void XfsBuilder::add_inode(std::uint64_t number, unsigned mode, unsigned format, std::span<const std::byte> fork,
                           std::uint64_t size, std::uint32_t extents, std::uint32_t links) {
    const std::size_t offset = static_cast<std::size_t>(number) * kInode;
    put16(offset, 0x494e);
    put16(offset + 2, mode);
    put8(offset + 4, is_v5() ? 3 : 2);
    put8(offset + 5, format);
    put32(offset + 8, 1000);
    put32(offset + 12, 2000);
    put32(offset + 16, links);
    put32(offset + 40, 1600000000);
    put32(offset + 44, 123456789);
    put64(offset + 56, size);
    put32(offset + 76, extents);
    if (is_v5()) {
        put64(offset + 152, number);
        put_header(offset, kInode, 100, 0, 160, 0, 0);
    }
    std::copy(fork.begin(), fork.end(), at(offset + core()));
}

void XfsBuilder::add_attributes(std::uint64_t number, std::size_t fork_at, unsigned format,
                                std::span<const std::byte> fork, unsigned extents) {
    const std::size_t offset = static_cast<std::size_t>(number) * kInode;
    put16(offset + 80, extents);
    put8(offset + 82, static_cast<unsigned>(fork_at / 8));
    put8(offset + 83, format);
    std::copy(fork.begin(), fork.end(), at(offset + core() + fork_at));
}

std::vector<std::byte> XfsBuilder::extent_list(std::span<const Extent> extents) {
    XfsBytes out;
    for (const Extent& extent : extents)
        out.be<std::uint64_t>((extent.is_unwritten ? std::uint64_t{1} << 63 : 0) | extent.logical << 9 |
                              extent.block >> 43)
            .be<std::uint64_t>(extent.block << 21 | extent.count);
    return out.bytes;
}

std::vector<std::byte> XfsBuilder::short_folder(std::uint64_t parent, std::span<const Name> names) const {
    XfsBytes out;
    out.be<std::uint8_t>(static_cast<std::uint8_t>(names.size())).be<std::uint8_t>(0);
    out.be<std::uint32_t>(static_cast<std::uint32_t>(parent));
    for (const Name& name : names) {
        out.be<std::uint8_t>(static_cast<std::uint8_t>(name.text.size())).be<std::uint16_t>(0x60).text(name.text);
        if (types_ == TypesInFolders::yes)
            out.be<std::uint8_t>(static_cast<std::uint8_t>(name.type));
        out.be<std::uint32_t>(static_cast<std::uint32_t>(name.inode));
    }
    return out.bytes;
}

void XfsBuilder::put_folder_block(std::size_t number, std::uint64_t owner, std::span<const Name> names,
                                  FolderForm form) {
    const std::size_t offset = number * kBlock;
    const bool is_single = form == FolderForm::single;
    put32(offset, is_v5() ? (is_single ? 0x58444233 : 0x58444433) : (is_single ? 0x58443242 : 0x58443244));
    put_header(offset, kBlock, 4, 8, 24, 40, owner);
    std::size_t place = is_v5() ? 64 : 16;
    for (const Name& name : names) {
        const std::size_t used = 8 + 1 + name.text.size() + (types_ == TypesInFolders::yes ? 1 : 0) + 2;
        const std::size_t length = (used + 7) / 8 * 8;
        put64(offset + place, name.inode);
        put8(offset + place + 8, static_cast<unsigned>(name.text.size()));
        std::copy_n(reinterpret_cast<const std::byte*>(name.text.data()), name.text.size(), at(offset + place + 9));
        if (types_ == TypesInFolders::yes)
            put8(offset + place + 9 + name.text.size(), name.type);
        put16(offset + place + length - 2, static_cast<unsigned>(place));
        place += length;
    }
    const std::size_t end = kBlock - (is_single ? 8 + 8 * names.size() : 0);
    if (is_single)
        put32(offset + kBlock - 8, static_cast<std::uint32_t>(names.size()));
    if (place == end)
        return;
    put16(offset + place, 0xffff);
    put16(offset + place + 2, static_cast<unsigned>(end - place));
    put16(offset + end - 2, static_cast<unsigned>(place));
}

void XfsBuilder::put_extent_leaf(std::size_t number, std::uint64_t owner, std::span<const Extent> extents) {
    const std::size_t offset = number * kBlock;
    put32(offset, is_v5() ? 0x424d4133 : 0x424d4150);
    put16(offset + 6, static_cast<unsigned>(extents.size()));
    put64(offset + 8, ~std::uint64_t{0});
    put64(offset + 16, ~std::uint64_t{0});
    put_header(offset, kBlock, 64, 24, 40, 56, owner);
    const std::vector<std::byte> list = extent_list(extents);
    std::copy(list.begin(), list.end(), at(offset + (is_v5() ? 72 : 24)));
}

void XfsBuilder::put_extent_node(std::size_t number, std::uint64_t owner, unsigned level,
                                 std::span<const std::uint64_t> children) {
    put_extent_leaf(number, owner, {});
    const std::size_t offset = number * kBlock;
    put16(offset + 4, level);
    put16(offset + 6, static_cast<unsigned>(children.size()));
    const std::size_t header = is_v5() ? 72 : 24;
    const std::size_t room = (kBlock - header) / 16;
    for (std::size_t i = 0; i < children.size(); ++i)
        put64(offset + header + room * 8 + i * 8, children[i]);
}

std::vector<std::byte> XfsBuilder::extent_root(unsigned level, std::span<const std::uint64_t> children,
                                               std::size_t fork_bytes) {
    const std::size_t room = (fork_bytes - 4) / 16;
    XfsBytes out;
    out.be<std::uint16_t>(static_cast<std::uint16_t>(level))
        .be<std::uint16_t>(static_cast<std::uint16_t>(children.size()));
    out.zeros(room * 8);
    for (const std::uint64_t child : children)
        out.be(child);
    return out.bytes;
}

std::vector<std::byte> XfsBuilder::short_attributes(std::span<const Attribute> attributes) {
    XfsBytes list;
    for (const Attribute& attribute : attributes)
        list.be<std::uint8_t>(static_cast<std::uint8_t>(attribute.name.size()))
            .be<std::uint8_t>(static_cast<std::uint8_t>(attribute.value.size()))
            .be<std::uint8_t>(static_cast<std::uint8_t>(attribute.flags & ~1u))
            .text(attribute.name)
            .text(attribute.value);
    XfsBytes out;
    out.be<std::uint16_t>(static_cast<std::uint16_t>(list.bytes.size() + 4))
        .be<std::uint8_t>(static_cast<std::uint8_t>(attributes.size()))
        .be<std::uint8_t>(0);
    out.bytes.insert(out.bytes.end(), list.bytes.begin(), list.bytes.end());
    return out.bytes;
}

void XfsBuilder::put_attribute_leaf(std::size_t number, std::uint64_t owner, std::span<const Attribute> attributes,
                                    std::uint32_t next) {
    const std::size_t offset = number * kBlock;
    put32(offset, next);
    put16(offset + 8, is_v5() ? 0x3bee : 0xfbee);
    put16(offset + (is_v5() ? 56 : 12), static_cast<unsigned>(attributes.size()));
    put_header(offset, kBlock, 12, 16, 32, 48, owner);
    std::size_t entry = offset + (is_v5() ? 80 : 32);
    std::size_t place = kBlock;
    for (const Attribute& attribute : attributes) {
        XfsBytes body;
        if (attribute.block == 0)
            body.be<std::uint16_t>(static_cast<std::uint16_t>(attribute.value.size()));
        else
            body.be(attribute.block).be(attribute.length);
        body.be<std::uint8_t>(static_cast<std::uint8_t>(attribute.name.size())).text(attribute.name);
        if (attribute.block == 0)
            body.text(attribute.value);
        place -= (body.bytes.size() + 3) / 4 * 4;
        std::copy(body.bytes.begin(), body.bytes.end(), at(offset + place));
        put16(entry + 4, static_cast<unsigned>(place));
        put8(entry + 6, attribute.flags);
        entry += 8;
    }
}

void XfsBuilder::put_attribute_node(std::size_t number, std::uint64_t owner, unsigned level,
                                    std::uint32_t first_child) {
    const std::size_t offset = number * kBlock;
    put16(offset + 8, is_v5() ? 0x3ebe : 0xfebe);
    put16(offset + (is_v5() ? 56 : 12), 1);
    put16(offset + (is_v5() ? 58 : 14), level);
    put32(offset + (is_v5() ? 64 : 16) + 4, first_child);
    put_header(offset, kBlock, 12, 16, 32, 48, owner);
}

void XfsBuilder::put_remote(std::size_t number, std::uint64_t owner, std::string_view magic, std::size_t where,
                            std::string_view text) {
    const std::size_t offset = number * kBlock;
    std::size_t header = 0;
    if (is_v5()) {
        std::copy_n(reinterpret_cast<const std::byte*>(magic.data()), 4, at(offset));
        put32(offset + 4, static_cast<std::uint32_t>(where));
        put32(offset + 8, static_cast<std::uint32_t>(text.size()));
        put_header(offset, kBlock, 12, 40, 16, 32, owner);
        header = 56;
    }
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), at(offset + header));
}

void XfsBuilder::put_log(const std::vector<std::vector<XfsLogOperation>>& records, std::uint32_t cycle) {
    has_log_ = true;
    std::size_t sector = 0;
    for (const std::vector<XfsLogOperation>& operations : records) {
        XfsBytes data;
        for (const XfsLogOperation& operation : operations) {
            data.be(operation.transaction).be(static_cast<std::uint32_t>(operation.body.size()));
            data.be(static_cast<std::uint8_t>(operation.client)).be(static_cast<std::uint8_t>(operation.flags));
            data.zeros(2);
            data.bytes.insert(data.bytes.end(), operation.body.begin(), operation.body.end());
        }
        const std::size_t length = data.bytes.size();
        data.bytes.resize((length + kSector - 1) / kSector * kSector);
        const std::size_t offset = kLogBlock * kBlock + sector * kSector;
        put32(offset, 0xfeedbabe);
        put32(offset + 4, cycle);
        put32(offset + 8, 2);
        put32(offset + 12, static_cast<std::uint32_t>(length));
        put64(offset + 16, std::uint64_t{cycle} << 32 | sector);
        put64(offset + 24, std::uint64_t{cycle} << 32);
        put32(offset + 40, static_cast<std::uint32_t>(operations.size()));
        put32(offset + 300, 1);
        std::fill_n(at(offset + 304), kUuidBytes, kUuidByte);
        put32(offset + 320, 32768);
        for (std::size_t i = 0; i * kSector < data.bytes.size(); ++i) {
            std::copy_n(data.bytes.begin() + static_cast<std::ptrdiff_t>(i * kSector), 4, at(offset + 44 + i * 4));
            store_be<std::uint32_t>(data.bytes.data() + i * kSector, cycle);
        }
        std::copy(data.bytes.begin(), data.bytes.end(), at(offset + kSector));
        store_le<std::uint32_t>(at(offset + 32), 0);
        std::uint32_t sum = crc32c(std::span<const std::byte>(bytes_).subspan(offset, 328));
        sum = crc32c(std::span<const std::byte>(bytes_).subspan(offset + kSector, length), sum);
        store_le<std::uint32_t>(at(offset + 32), sum);
        sector += 1 + data.bytes.size() / kSector;
    }
}

void XfsBuilder::put_superblock() {
    put32(0, 0x58465342);
    put32(4, kBlock);
    put64(8, 2 * kGroupBlocks);
    std::fill_n(at(32), kUuidBytes, kUuidByte);
    put64(48, kLogBlock);
    put64(56, kRoot);
    put32(84, kGroupBlocks);
    put32(88, 2);
    put32(96, kLogSectors * kSector / kBlock);
    const bool has_types = types_ == TypesInFolders::yes;
    put16(100, is_v5() ? 0xb4a5 : 0xb4a4);
    put16(102, kSector);
    put16(104, kInode);
    put16(106, kBlock / kInode);
    put8(120, 10);
    put8(121, 9);
    put8(122, 9);
    put8(123, 1);
    put8(124, 9);
    put8(127, 25);
    put64(128, 32);
    put64(136, 10);
    put64(144, 2 * kGroupBlocks - next_ - 4);
    put32(200, is_v5() ? 0x18a : 0x8a | (has_types ? 0x200 : 0));
    if (is_v5()) {
        put32(216, has_types ? 1 : 0);
        seals_.push_back({0, kSector, 224});
    }
}

void XfsBuilder::put_group(std::size_t group) {
    const std::size_t offset = group * kGroupBlocks * kBlock;
    const std::uint32_t first_free = static_cast<std::uint32_t>(group == 0 ? next_ : 4);
    const std::uint32_t free = kGroupBlocks - first_free;
    const std::size_t counts = offset + kSector;
    put32(counts, 0x58414746);
    put32(counts + 4, 1);
    put32(counts + 8, static_cast<std::uint32_t>(group));
    put32(counts + 12, kGroupBlocks);
    put32(counts + 16, 2);
    put32(counts + 20, 3);
    put32(counts + 28, 1);
    put32(counts + 32, 1);
    put32(counts + 52, free);
    put32(counts + 56, free);
    put_header(counts, kSector, 216, 0, 64, 0, 0);
    const std::size_t inodes = offset + 2 * kSector;
    put32(inodes, 0x58414749);
    put32(inodes + 8, static_cast<std::uint32_t>(group));
    put32(inodes + 12, kGroupBlocks);
    put32(inodes + 16, group == 0 ? 32 : 0);
    put_header(inodes, kSector, 312, 0, 296, 0, 0);
    const std::size_t reserve = offset + 3 * kSector;
    if (is_v5()) {
        put32(reserve, 0x5841464c);
        put32(reserve + 4, static_cast<std::uint32_t>(group));
        put_header(reserve, kSector, 32, 0, 8, 0, 0);
    }
    for (std::size_t tree = 0; tree < 2; ++tree) {
        const std::size_t leaf = offset + (2 + tree) * kBlock;
        put32(leaf, (is_v5() ? 0x41423342 : 0x41425442) + static_cast<std::uint32_t>(tree));
        put16(leaf + 6, 1);
        put32(leaf + 8, ~0u);
        put32(leaf + 12, ~0u);
        put_header(leaf, kBlock, 52, 16, 32, 0, 0);
        if (is_v5())
            put32(leaf + 48, static_cast<std::uint32_t>(group));
        put32(leaf + (is_v5() ? 56 : 16), first_free);
        put32(leaf + (is_v5() ? 60 : 20), free);
    }
}

void XfsBuilder::finish() {
    put_superblock();
    put_group(0);
    put_group(1);
    if (!has_log_)
        put_log({{{0xb0c0d0d0, 0x20, XfsBytes().le<std::uint64_t>(0x556e).bytes, 0xaa}}});
    seal();
}

void XfsBuilder::seal() {
    for (const Seal& seal : seals_) {
        store_le<std::uint32_t>(at(seal.offset + seal.checksum), 0);
        store_le<std::uint32_t>(at(seal.offset + seal.checksum),
                                crc32c(std::span<const std::byte>(bytes_).subspan(seal.offset, seal.length)));
    }
}

std::shared_ptr<const BlockDevice> XfsBuilder::device() const {
    auto device = std::make_shared<MemoryDevice>(bytes_.size());
    device->put(0, bytes_);
    return device;
}

} // namespace vm2oci::test
