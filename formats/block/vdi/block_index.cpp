#include "formats/block/vdi/block_index.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::vdi {
namespace {

using mapped::Mapping;
using mapped::Placement;

constexpr std::size_t kMapEntryBytes = sizeof(std::uint32_t);
constexpr std::uint32_t kNoBlock = 0xffffffff;
constexpr std::uint32_t kZeroBlock = 0xfffffffe;

} // namespace

BlockIndex::BlockIndex(DevicePtr file, const Header& header, Tolerance truncation)
    : header_(header), table_(std::move(file), truncation) {}

Mapping BlockIndex::lookup(std::uint64_t offset, std::uint64_t max_length, mapped::RunRule rule) const {
    const std::uint64_t left = std::min(max_length, size() - offset);
    const std::uint64_t first = offset / unit();
    const auto window = table_.window(header_.map_offset + first * kMapEntryBytes, kMapEntryBytes);
    const std::span<const std::byte> entries = window.bytes();
    const auto mapping_of = [&](std::uint64_t i) -> Mapping {
        const auto entry = load_le<std::uint32_t>(&entries[static_cast<std::size_t>(i * kMapEntryBytes)]);
        if (entry == kNoBlock)
            return {Placement::unallocated, unit()};
        if (entry == kZeroBlock)
            return {Placement::zero, unit()};
        if (entry >= header_.blocks)
            fail(ErrorKind::corrupt, fmt::format("the VDI's map has block {} for guest offset {:#x}, and there are {}",
                                                 entry, (first + i) * unit(), header_.blocks));
        return {Placement::stored, unit(), header_.data_offset + entry * unit()};
    };
    Mapping run = mapping_of(0);
    const std::uint64_t within = offset % unit();
    run.length -= within;
    if (run.placement == Placement::stored)
        run.host_offset += within;
    const std::uint64_t count =
        std::min<std::uint64_t>(entries.size() / kMapEntryBytes, divide_up(size(), unit()) - first);
    for (std::uint64_t i = 1; i < count && run.length < left; ++i) {
        const Mapping next = mapping_of(i);
        if (!continues(run, next, rule))
            break;
        run.length += next.length;
    }
    run.length = std::min(run.length, left);
    return run;
}

} // namespace vm2oci::vdi
