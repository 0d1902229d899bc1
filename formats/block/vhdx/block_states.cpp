#include "formats/block/vhdx/block_states.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace vm2oci::vhdx {
namespace {

using mapped::Mapping;
using mapped::Placement;
using mapped::RunRule;

constexpr std::size_t kStateBytes = sizeof(std::uint64_t);
constexpr std::uint64_t kSectorsOfBitmap = std::uint64_t{1} << 23; // a bitmap block has 1 MiB
constexpr std::uint64_t kBitmapBytes = MiB;
constexpr std::size_t kBitmapReadBytes = 4 * KiB;
constexpr std::uint64_t kReservedBits = 0xffff8;
constexpr std::uint64_t kPlaceMask = ~std::uint64_t{0xfffff};

enum State : std::uint64_t {
    not_present = 0,
    undefined = 1, // what it holds is not relied upon; zeros, as QEMU reads it
    zero = 2,
    unmapped = 3,     // the same
    unmapped_095 = 5, // of version 0.95 of the format
    fully_present = 6,
    partially_present = 7,
};

// How many bits from `first` on, at most `count`, are like the first one. The least significant bit comes first.
std::uint64_t equal_sectors(std::span<const std::byte> bytes, unsigned first, std::uint64_t count) {
    const auto value_at = [&](std::uint64_t i) {
        return std::to_integer<std::uint8_t>(bytes[static_cast<std::size_t>(i)]);
    };
    const bool wanted = (value_at(0) >> first & 1) != 0;
    const auto trailing = [&](std::uint8_t value) {
        return static_cast<unsigned>(wanted ? std::countr_one(value) : std::countr_zero(value));
    };
    std::uint64_t run = std::min(trailing(static_cast<std::uint8_t>(value_at(0) >> first)), 8 - first);
    if (run == 8 - first)
        for (std::uint64_t i = 1; i < bytes.size() && run < count; ++i) {
            const unsigned more = trailing(value_at(i));
            run += more;
            if (more < 8)
                break;
        }
    return std::min(run, count);
}

} // namespace

BlockStates::BlockStates(DevicePtr file, const Region& region, const Metadata& metadata, Tolerance truncation)
    : table_offset_(region.offset), disk_size_(metadata.disk_size), block_size_(metadata.block_size),
      sector_size_(metadata.logical_sector_size),
      chunk_ratio_(kSectorsOfBitmap * metadata.logical_sector_size / metadata.block_size),
      differencing_(metadata.parent.has_value()), table_(file, truncation),
      bitmaps_(std::move(file), truncation, kBitmapReadBytes) {
    const std::uint64_t blocks = divide_up(disk_size_, block_size_);
    const std::uint64_t entries =
        differencing_ ? divide_up(blocks, chunk_ratio_) * (chunk_ratio_ + 1) : blocks + (blocks - 1) / chunk_ratio_;
    if (entries * kStateBytes > region.length)
        fail(ErrorKind::corrupt, fmt::format("the VHDX' block allocation table has {} bytes, and a disk of {} needs {}",
                                             region.length, format_size(disk_size_), entries * kStateBytes));
}

std::uint64_t BlockStates::entry_at(std::uint64_t index) const {
    const auto window = table_.window(table_offset_ + index * kStateBytes, kStateBytes);
    const auto entry = load_le<std::uint64_t>(window.bytes().data());
    if ((entry & kReservedBits) != 0)
        fail(ErrorKind::corrupt, fmt::format("entry {} of the VHDX' block allocation table has reserved bits", index));
    const std::uint64_t state = entry & 7;
    if ((state == fully_present || state == partially_present) && (entry & kPlaceMask) < kHeaderSectionBytes)
        fail(ErrorKind::corrupt,
             fmt::format("entry {} of the VHDX' block allocation table points to the headers", index));
    return entry;
}

std::uint64_t BlockStates::bitmap_at(std::uint64_t chunk) const {
    const std::uint64_t entry = entry_at(chunk * (chunk_ratio_ + 1) + chunk_ratio_);
    if ((entry & 7) != not_present && (entry & 7) != fully_present)
        fail(ErrorKind::corrupt, fmt::format("the VHDX has a bitmap of sectors in state {}", entry & 7));
    return (entry & 7) == fully_present ? entry & kPlaceMask : 0;
}

void BlockStates::add_bitmaps(mapped::RangeSet& taken) const {
    if (!differencing_)
        return;
    const std::uint64_t chunks = divide_up(divide_up(disk_size_, block_size_), chunk_ratio_);
    for (std::uint64_t chunk = 0; chunk < chunks; ++chunk)
        if (const std::uint64_t place = bitmap_at(chunk); place != 0)
            taken.add(place, checked_add(place, kBitmapBytes, "end of a bitmap"));
}

Mapping BlockStates::lookup_partial(std::uint64_t block, std::uint64_t within, std::uint64_t place) const {
    const std::uint64_t bitmap = bitmap_at(block / chunk_ratio_);
    if (!differencing_ || bitmap == 0)
        fail(ErrorKind::corrupt,
             fmt::format("block {} of the VHDX is partly there, and nothing says which part", block));
    const std::uint64_t sector = block % chunk_ratio_ * (block_size_ / sector_size_) + within / sector_size_;
    const auto window = bitmaps_.window(bitmap + sector / 8, 1);
    const auto bit = static_cast<unsigned>(sector % 8);
    const std::uint64_t count =
        std::min<std::uint64_t>((block_size_ - within - 1) / sector_size_ + 1, window.bytes().size() * 8 - bit);
    const std::uint64_t sectors = equal_sectors(window.bytes(), bit, count);
    const std::uint64_t length = sectors * sector_size_ - within % sector_size_;
    if ((std::to_integer<unsigned>(window.bytes()[0]) >> bit & 1) != 0)
        return {Placement::stored, length, place + within};
    return {Placement::unallocated, length};
}

Mapping BlockStates::mapping_of(std::uint64_t block, std::uint64_t within) const {
    const std::uint64_t entry = entry_at(block + block / chunk_ratio_);
    const std::uint64_t place = entry & kPlaceMask;
    const std::uint64_t length = block_size_ - within;
    switch (entry & 7) {
    case not_present:
        return {Placement::unallocated, length};
    case undefined:
    case zero:
    case unmapped:
    case unmapped_095:
        return {Placement::zero, length};
    case fully_present:
        return {Placement::stored, length, checked_add(place, within, "place of a block")};
    case partially_present:
        return lookup_partial(block, within, place);
    default:
        fail(ErrorKind::corrupt,
             fmt::format("block {} of the VHDX is in state {}, which there is none of", block, entry & 7));
    }
}

Mapping BlockStates::lookup(std::uint64_t offset, std::uint64_t max_length, RunRule rule) const {
    const std::uint64_t left = std::min(max_length, size() - offset);
    std::uint64_t block = offset / block_size_;
    Mapping run = mapping_of(block, offset % block_size_);
    while (run.length < left && (offset + run.length) % block_size_ == 0) {
        const Mapping next = mapping_of(++block, 0);
        if (!continues(run, next, rule))
            break;
        run.length += next.length;
    }
    run.length = std::min(run.length, left);
    return run;
}

} // namespace vm2oci::vhdx
