#include "formats/block/vmdk/grain_map.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/block/mapped/survey.hpp"
#include "formats/block/vmdk/descriptor.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::vmdk {
namespace {

using mapped::Mapping;
using mapped::Placement;
using mapped::RunRule;

constexpr std::size_t kEntryBytes = sizeof(std::uint32_t);
constexpr std::uint32_t kZeroedGrain = 1;

std::uint32_t entry_at(std::span<const std::byte> table, std::uint64_t index) {
    return load_le<std::uint32_t>(&table[static_cast<std::size_t>(index * kEntryBytes)]);
}

} // namespace

GrainMap::GrainMap(DevicePtr file, const SparseHeader& header, Tolerance truncation)
    : file_(file), header_(header), truncation_(truncation), tables_(std::move(file), truncation),
      decoders_([] { return GrainDecoder(); }) {}

std::uint64_t GrainMap::table_at(const Place& directory, std::uint64_t index) const {
    const auto window = tables_.window(directory.offset + index * kEntryBytes, kEntryBytes);
    return std::uint64_t{entry_at(window.bytes(), 0)} * kSectorBytes;
}

bool GrainMap::is_empty(std::uint64_t table) const {
    return table == 0 || tables_.is_hole(table, table_bytes());
}

Mapping GrainMap::mapping_of(std::uint32_t entry) const {
    if (entry == 0)
        return {Placement::unallocated, unit()};
    if (entry == kZeroedGrain && header_.zeroed_grains)
        return {Placement::zero, unit()};
    const Placement placement = header_.compressed ? Placement::compressed : Placement::stored;
    return {placement, unit(), std::uint64_t{entry} * kSectorBytes};
}

Mapping GrainMap::lookup(std::uint64_t offset, std::uint64_t max_length, RunRule rule) const {
    const std::uint64_t reach = unit() * header_.entries_per_table;
    const std::uint64_t left = std::min(max_length, size() - offset);
    std::uint64_t index = offset / reach;
    const std::uint64_t table = table_at(header_.directory, index);
    // Holes are looked for once a table, by who comes from its beginning.
    if (table == 0 || (offset % reach == 0 && is_empty(table))) {
        std::uint64_t end = (index + 1) * reach;
        while (end - offset < left && is_empty(table_at(header_.directory, ++index)))
            end += reach;
        return {Placement::unallocated, std::min(left, end - offset)};
    }

    const std::uint64_t first = offset % reach / unit();
    const auto window = tables_.window(table + first * kEntryBytes, kEntryBytes);
    const std::span<const std::byte> entries = window.bytes();
    const std::uint64_t count = std::min(header_.entries_per_table - first, entries.size() / kEntryBytes);
    Mapping run = mapping_of(entry_at(entries, 0));
    const std::uint64_t within = offset % unit();
    run.length -= within;
    if (run.placement == Placement::stored)
        run.host_offset += within;
    if (run.placement == Placement::compressed && count > 1) {
        const std::uint64_t next = std::uint64_t{entry_at(entries, 1)} * kSectorBytes;
        if (next > run.host_offset && next - run.host_offset <= align_up(max_stream_bytes(), kSectorBytes))
            run.host_length = next - run.host_offset;
    }
    for (std::uint64_t i = 1; i < count && run.length < left; ++i) {
        const Mapping next = mapping_of(entry_at(entries, i));
        if (!continues(run, next, rule))
            break;
        run.length += next.length;
    }
    run.length = std::min(run.length, left);
    return run;
}

// QEMU's reader takes no more, either.
std::uint64_t GrainMap::max_stream_bytes() const {
    return kGrainMarkerBytes + 2 * unit();
}

void GrainMap::decode(std::uint64_t guest_offset, const Mapping& mapping, std::span<std::byte> unit_bytes) const {
    const std::uint64_t file_size = file_->size();
    const std::uint64_t readable = mapping.host_offset < file_size ? file_size - mapping.host_offset : 0;
    const std::uint64_t room = mapping.host_length != 0 ? mapping.host_length : max_stream_bytes();
    // Half a grain is what most need when it is not known where the next one begins.
    const std::uint64_t guess = mapping.host_length != 0 ? room : kGrainMarkerBytes + unit() / 2;
    const auto broken = [&](std::string_view problem) {
        fail(ErrorKind::corrupt, fmt::format("the compressed grain of guest offset {:#x}, at {:#x}, {}", guest_offset,
                                             mapping.host_offset, problem));
    };
    const auto truncated = [&] {
        if (truncation_ == Tolerance::refuse)
            mapped::fail_beyond_end(guest_offset, mapping.host_offset, file_size);
        std::ranges::fill(unit_bytes, std::byte{0});
    };
    if (readable < kGrainMarkerBytes)
        return truncated();
    auto decoder = decoders_.lease();
    auto present = static_cast<std::size_t>(std::min(readable, guess));
    std::span<std::byte> input = decoder->input_buffer(present);
    file_->read_at(mapping.host_offset, input);
    if (load_le<std::uint64_t>(input.data()) != guest_offset / kSectorBytes)
        broken(fmt::format("says that it is that of sector {}", load_le<std::uint64_t>(input.data())));
    const std::uint64_t length = load_le<std::uint32_t>(&input[8]);
    if (length == 0 || kGrainMarkerBytes + length > room)
        broken(fmt::format("claims {} bytes", length));
    const auto needed = static_cast<std::size_t>(kGrainMarkerBytes + length);
    if (needed > readable)
        return truncated();
    if (needed > present) {
        input = decoder->input_buffer(needed);
        file_->read_at(mapping.host_offset + present, input.subspan(present));
    }
    if (!decoder->decode(input.subspan(kGrainMarkerBytes, static_cast<std::size_t>(length)), unit(), unit_bytes))
        broken("is no sound stream of its size");
}

void GrainMap::compare_tables(std::uint64_t first, std::uint64_t second, std::uint64_t index) const {
    std::vector<std::byte> one(static_cast<std::size_t>(table_bytes()));
    std::vector<std::byte> other(one.size());
    tables_.read(first, one);
    tables_.read(second, other);
    if (one != other)
        fail(ErrorKind::corrupt, fmt::format("the VMDK's two copies of grain table {} differ", index));
}

void GrainMap::check_tables(mapped::RangeSet& taken) const {
    const std::uint64_t count = divide_up(size(), unit() * header_.entries_per_table);
    for (std::uint64_t index = 0; index < count; ++index) {
        const std::uint64_t table = table_at(header_.directory, index);
        const auto add = [&](std::uint64_t offset) {
            if (offset != 0 && (truncation_ == Tolerance::refuse || offset < file_->size()))
                taken.add(offset, offset + table_bytes());
        };
        add(table);
        if (!header_.redundant_directory)
            continue;
        const std::uint64_t copy = table_at(*header_.redundant_directory, index);
        if ((copy == 0) != (table == 0))
            fail(ErrorKind::corrupt, fmt::format("the VMDK's two grain directories differ in entry {}", index));
        if (table == 0)
            continue;
        add(copy);
        if (tables_.is_hole(table, table_bytes()) && tables_.is_hole(copy, table_bytes()))
            continue;
        compare_tables(table, copy, index);
    }
}

} // namespace vm2oci::vmdk
