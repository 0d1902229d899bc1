#include "formats/block/vmdk/sesparse.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/vmdk/descriptor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace vm2oci::vmdk {
namespace {

using mapped::Mapping;
using mapped::Placement;
using mapped::RunRule;

constexpr std::uint64_t kSeSparseVersion = 0x200000001;
constexpr std::uint64_t kSeGrainBytes = 8 * kSectorBytes;
constexpr std::uint64_t kSeTableBytes = 64 * kSectorBytes;
constexpr std::uint64_t kWideEntryBytes = sizeof(std::uint64_t);
constexpr std::uint64_t kSeTableEntries = kSeTableBytes / kWideEntryBytes;
constexpr std::uint64_t kSeReach = kSeTableEntries * kSeGrainBytes; // guest bytes behind an entry of the directory
constexpr std::uint64_t kMaxSeSparseBytes = 64 * TiB;
constexpr std::uint64_t kVolatileMagic = 0xcafecafe;
constexpr std::uint64_t kDirectoryEntryMark = 0x1000000000000000;

enum GrainKind : std::uint64_t { none = 0, unmapped = 1, zeroed = 2, allocated = 3 };

using WideSector = std::array<std::byte, kSectorBytes>;

WideSector read_wide_sector(const BlockDevice& file, std::uint64_t offset) {
    if (offset > file.size() || file.size() - offset < kSectorBytes)
        fail(ErrorKind::corrupt, "the seSparse extent's header lies beyond the end of its file: it is truncated");
    WideSector bytes;
    file.read_at(offset, bytes);
    return bytes;
}

std::uint64_t word(const WideSector& bytes, std::size_t index) {
    return load_le<std::uint64_t>(&bytes[index * sizeof(std::uint64_t)]);
}

void require_word(const WideSector& bytes, std::size_t index, std::uint64_t wanted, std::string_view what) {
    if (word(bytes, index) != wanted)
        fail(ErrorKind::unsupported, fmt::format("the seSparse extent's {} is {:#x}; only {:#x} is known here", what,
                                                 word(bytes, index), wanted));
}

Place wide_place(const WideSector& bytes, std::size_t index, std::string_view what) {
    const std::string name = "seSparse extent's " + std::string(what);
    const Place place{checked_multiply(word(bytes, index), kSectorBytes, name),
                      checked_multiply(word(bytes, index + 1), kSectorBytes, name)};
    checked_add(place.offset, place.length, name);
    if (place.offset < kSectorBytes)
        fail(ErrorKind::corrupt, fmt::format("the {} lies over its header", name));
    return place;
}

} // namespace

SeSparseHeader read_sesparse_header(const BlockDevice& file, Tolerance truncation) {
    const WideSector bytes = read_wide_sector(file, 0);
    if (!as_text(bytes).starts_with(kSeSparseMagic))
        fail(ErrorKind::corrupt, "not a seSparse extent: it does not begin with its magic");
    require_word(bytes, 1, kSeSparseVersion, "version");
    require_word(bytes, 3, kSeGrainBytes / kSectorBytes, "grain size");
    require_word(bytes, 4, kSeTableBytes / kSectorBytes, "table size");
    require_word(bytes, 5, 0, "set of flags");
    constexpr std::size_t kPlacesFrom = 10;
    constexpr std::size_t kPlacesTo = 26;
    for (std::size_t i = 6; i < kPlacesFrom; ++i)
        require_word(bytes, i, 0, "reserved field");
    for (std::size_t i = kPlacesTo; i < kSectorBytes / sizeof(std::uint64_t); ++i)
        require_word(bytes, i, 0, "reserved field");
    SeSparseHeader header;
    header.capacity = checked_multiply(word(bytes, 2), kSectorBytes, "seSparse extent's capacity");
    if (header.capacity == 0 || header.capacity > kMaxSeSparseBytes)
        fail(ErrorKind::corrupt, fmt::format("the seSparse extent claims {} bytes", header.capacity));
    const std::array<std::pair<Place*, std::string_view>, 8> places = {{{&header.volatile_header, "volatile header"},
                                                                        {&header.journal_header, "journal header"},
                                                                        {&header.journal, "journal"},
                                                                        {&header.directory, "grain directory"},
                                                                        {&header.tables, "grain tables"},
                                                                        {&header.free_bitmap, "free bitmap"},
                                                                        {&header.back_map, "back map"},
                                                                        {&header.grains, "grains"}}};
    for (std::size_t i = 0; i < places.size(); ++i)
        *places[i].first = wide_place(bytes, kPlacesFrom + 2 * i, places[i].second);
    if (header.directory.length / kWideEntryBytes < divide_up(header.capacity, kSeReach))
        fail(ErrorKind::corrupt,
             fmt::format("the seSparse extent's directory has {} bytes, which is too little for its "
                         "disk",
                         header.directory.length));
    if (header.directory.end() > file.size() && truncation == Tolerance::refuse)
        fail(ErrorKind::corrupt, "the seSparse extent's directory lies beyond the end of its file: it is truncated",
             HintKind::allow_truncated);
    const WideSector state = read_wide_sector(file, header.volatile_header.offset);
    if (word(state, 0) != kVolatileMagic)
        fail(ErrorKind::corrupt, "the seSparse extent has no volatile header where its header says");
    if (word(state, 3) != 0)
        fail(ErrorKind::unsupported, "the seSparse extent has a journal that was not carried out, which is not done "
                                     "here; start and stop its machine, or consolidate its snapshots");
    return header;
}

SeSparseMap::SeSparseMap(DevicePtr file, const SeSparseHeader& header, Tolerance truncation)
    : header_(header), tables_(std::move(file), truncation) {}

std::uint64_t SeSparseMap::unit() const {
    return kSeGrainBytes;
}

std::uint64_t SeSparseMap::table_at(std::uint64_t index) const {
    const auto window = tables_.window(header_.directory.offset + index * kWideEntryBytes, kWideEntryBytes);
    const auto entry = load_le<std::uint64_t>(window.bytes().data());
    if (entry == 0)
        return 0;
    if ((entry & 0xffffffff00000000) != kDirectoryEntryMark)
        fail(ErrorKind::corrupt, fmt::format("entry {} of the seSparse extent's directory is {:#x}", index, entry));
    const std::uint64_t table = (entry & 0xffffffff) * kSeTableBytes;
    if (table + kSeTableBytes > header_.tables.length)
        fail(ErrorKind::corrupt,
             fmt::format("entry {} of the seSparse extent's directory points behind its tables", index));
    return header_.tables.offset + table;
}

bool SeSparseMap::is_empty(std::uint64_t table) const {
    return table == 0 || tables_.is_hole(table, kSeTableBytes);
}

Mapping SeSparseMap::mapping_of(std::uint64_t entry, std::uint64_t guest_offset) const {
    const auto broken = [&](std::string_view what) {
        fail(ErrorKind::corrupt,
             fmt::format("the seSparse extent's entry {:#x} for guest offset {:#x} {}", entry, guest_offset, what));
    };
    switch (entry >> 60) {
    case GrainKind::none:
        if (entry != 0)
            broken("is no entry");
        return {Placement::unallocated, kSeGrainBytes};
    case GrainKind::unmapped:
    case GrainKind::zeroed:
        return {Placement::zero, kSeGrainBytes};
    case GrainKind::allocated:
        break;
    default:
        broken("is of a kind that there is none of");
    }
    const std::uint64_t index = (entry & 0x0fff000000000000) >> 48 | (entry & 0x0000ffffffffffff) << 12;
    if (index >= header_.grains.length / kSeGrainBytes)
        broken("points behind its grains");
    return {Placement::stored, kSeGrainBytes, header_.grains.offset + index * kSeGrainBytes};
}

Mapping SeSparseMap::lookup(std::uint64_t offset, std::uint64_t max_length, RunRule rule) const {
    const std::uint64_t left = std::min(max_length, size() - offset);
    std::uint64_t index = offset / kSeReach;
    const std::uint64_t table = table_at(index);
    if (table == 0 || (offset % kSeReach == 0 && is_empty(table))) {
        std::uint64_t end = (index + 1) * kSeReach;
        while (end - offset < left && is_empty(table_at(++index)))
            end += kSeReach;
        return {Placement::unallocated, std::min(left, end - offset)};
    }
    const std::uint64_t first = offset % kSeReach / kSeGrainBytes;
    const auto window = tables_.window(table + first * kWideEntryBytes, kWideEntryBytes);
    const std::span<const std::byte> entries = window.bytes();
    const std::uint64_t within = offset % kSeGrainBytes;
    const auto look = [&](std::uint64_t i) {
        return mapping_of(load_le<std::uint64_t>(&entries[static_cast<std::size_t>(i * kWideEntryBytes)]),
                          offset - within + i * kSeGrainBytes);
    };
    Mapping run = look(0);
    run.length -= within;
    if (run.placement == Placement::stored)
        run.host_offset += within;
    const std::uint64_t count = std::min<std::uint64_t>(kSeTableEntries - first, entries.size() / kWideEntryBytes);
    for (std::uint64_t i = 1; i < count && run.length < left; ++i) {
        const Mapping next = look(i);
        if (!continues(run, next, rule))
            break;
        run.length += next.length;
    }
    run.length = std::min(run.length, left);
    return run;
}

void SeSparseMap::check_tables(mapped::RangeSet& taken) const {
    taken.add(0, kSectorBytes);
    for (const Place& place : {header_.volatile_header, header_.journal_header, header_.journal, header_.directory,
                               header_.tables, header_.free_bitmap, header_.back_map})
        taken.add(place.offset, place.end());
    mapped::RangeSet tables;
    for (std::uint64_t index = 0; index < divide_up(size(), kSeReach); ++index)
        if (const std::uint64_t table = table_at(index); table != 0)
            tables.add(table, table + kSeTableBytes);
    tables.check();
}

} // namespace vm2oci::vmdk
