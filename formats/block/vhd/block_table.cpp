#include "formats/block/vhd/block_table.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"

#include <algorithm>
#include <bit>

namespace vm2oci::vhd {
namespace {

using mapped::Mapping;
using mapped::Placement;
using mapped::RunRule;

constexpr std::size_t kBatEntryBytes = sizeof(std::uint32_t);
constexpr std::uint32_t kUnusedEntry = 0xffffffff;
constexpr std::size_t kBitmapSliceBytes = 4 * KiB;

// How many bits from `first` on, at most `count`, are like the first one. The most significant bit of a byte comes
// first.
std::uint64_t equal_bits(std::span<const std::byte> bytes, unsigned first, std::uint64_t count) {
    const auto value_at = [&](std::uint64_t byte) {
        return std::to_integer<std::uint8_t>(bytes[static_cast<std::size_t>(byte)]);
    };
    const bool wanted = (value_at(0) << first & 0x80) != 0;
    const auto leading = [&](std::uint8_t value) {
        return static_cast<unsigned>(wanted ? std::countl_one(value) : std::countl_zero(value));
    };
    const unsigned in_first = leading(static_cast<std::uint8_t>(value_at(0) << first));
    std::uint64_t run = std::min(in_first, 8 - first);
    if (run == 8 - first)
        for (std::uint64_t byte = 1; byte < bytes.size() && run < count; ++byte) {
            const unsigned more = leading(value_at(byte));
            run += more;
            if (more < 8)
                break;
        }
    return std::min(run, count);
}

} // namespace

BlockTable::BlockTable(DevicePtr file, const Footer& footer, const BlockHeader& header, Tolerance truncation)
    : size_(footer.size), block_size_(header.block_size),
      bitmap_bytes_(align_up(divide_up(header.block_size / kSectorBytes, 8), kSectorBytes)),
      table_offset_(header.table_offset), differencing_(footer.type == DiskType::differencing),
      table_(file, truncation), bitmaps_(std::move(file), truncation, kBitmapSliceBytes) {}

std::uint64_t BlockTable::block_at(std::uint64_t index) const {
    const auto window = table_.window(table_offset_ + index * kBatEntryBytes, kBatEntryBytes);
    const auto sector = load_be<std::uint32_t>(window.bytes().data());
    if (sector == 0)
        fail(ErrorKind::corrupt, "a block of the VHD lies over its footer");
    return sector == kUnusedEntry ? 0 : sector * kSectorBytes;
}

Mapping BlockTable::lookup_in_block(std::uint64_t block, std::uint64_t within, RunRule rule) const {
    const std::uint64_t data = block + bitmap_bytes_ + within;
    // Whatever the bits say, it is read.
    if (!differencing_ && rule == RunRule::same_kind)
        return {Placement::stored, block_size_ - within, data};
    const std::uint64_t sector = within / kSectorBytes;
    const auto window = bitmaps_.window(block + sector / 8, 1);
    const auto bit = static_cast<unsigned>(sector % 8);
    const std::uint64_t sectors =
        equal_bits(window.bytes(), bit,
                   std::min<std::uint64_t>(block_size_ / kSectorBytes - sector, window.bytes().size() * 8 - bit));
    const bool written = (std::to_integer<unsigned>(window.bytes()[0]) << bit & 0x80) != 0;
    const std::uint64_t length = sectors * kSectorBytes - within % kSectorBytes;
    if (written)
        return {Placement::stored, length, data};
    return differencing_ ? Mapping{Placement::unallocated, length} : Mapping{Placement::stored_zero, length, data};
}

Mapping BlockTable::lookup(std::uint64_t offset, std::uint64_t max_length, RunRule rule) const {
    const std::uint64_t left = std::min(max_length, size_ - offset);
    std::uint64_t index = offset / block_size_;
    const auto look = [&](std::uint64_t within) -> Mapping {
        const std::uint64_t block = block_at(index);
        return block == 0 ? Mapping{Placement::unallocated, block_size_ - within}
                          : lookup_in_block(block, within, rule);
    };
    Mapping run = look(offset % block_size_);
    while (run.length < left && (offset + run.length) % block_size_ == 0) {
        ++index;
        const Mapping next = look(0);
        if (!continues(run, next, rule))
            break;
        run.length += next.length;
    }
    run.length = std::min(run.length, left);
    return run;
}

} // namespace vm2oci::vhd
