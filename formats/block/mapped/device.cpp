#include "formats/block/mapped/device.hpp"

#include "formats/base/checked.hpp"
#include "formats/block/mapped/survey.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci::mapped {
namespace {

constexpr std::uint64_t kDecodedBytes = 4 * MiB;
// What one extent_at looks at: those who walk the disk in pieces ask once a piece, and no call may cost the whole disk.
constexpr std::uint64_t kMaxExtentSteps = 256;
constexpr std::uint64_t kMaxExtentBytes = GiB;

} // namespace

MappedDevice::MappedDevice(DeviceParts parts)
    : parts_(std::move(parts)),
      max_decoded_(static_cast<std::size_t>(std::clamp<std::uint64_t>(kDecodedBytes / parts_.map->unit(), 2, 64))) {}

std::uint64_t MappedDevice::unit_length(std::uint64_t unit_offset) const {
    return std::min(parts_.map->unit(), size() - unit_offset);
}

void MappedDevice::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    // A stored run that later lookups may still make longer.
    std::uint64_t run_guest = 0;
    std::uint64_t run_host = 0;
    std::span<std::byte> run;
    const auto flush = [&] {
        if (!run.empty())
            read_stored(run_guest, run_host, run);
        run = {};
    };
    while (!buffer.empty()) {
        const Mapping mapping = parts_.map->lookup(offset, buffer.size(), RunRule::contiguous);
        const auto piece = buffer.first(static_cast<std::size_t>(mapping.length));
        if (mapping.placement == Placement::stored && !run.empty() && run_host + run.size() == mapping.host_offset) {
            run = {run.data(), run.size() + piece.size()};
        } else {
            flush();
            switch (mapping.placement) {
            case Placement::stored:
                run_guest = offset;
                run_host = mapping.host_offset;
                run = piece;
                break;
            case Placement::stored_zero:
                read_zero(offset, mapping.host_offset, piece);
                break;
            case Placement::compressed:
                read_compressed(offset, mapping, piece);
                break;
            case Placement::unallocated:
                read_parent(offset, piece);
                break;
            case Placement::zero:
                std::ranges::fill(piece, std::byte{0});
                break;
            }
        }
        offset += mapping.length;
        buffer = buffer.subspan(piece.size());
    }
    flush();
}

void MappedDevice::read_stored(std::uint64_t guest_offset, std::uint64_t host_offset,
                               std::span<std::byte> buffer) const {
    if (!is_stored(parts_.map->unit(), host_offset, host_offset + buffer.size(), parts_.data_end) &&
        parts_.truncation == Tolerance::refuse)
        fail_beyond_end(guest_offset, host_offset, parts_.data_end);
    const std::uint64_t readable = host_offset < parts_.data_end ? parts_.data_end - host_offset : 0;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(readable, buffer.size()));
    if (count != 0)
        parts_.data->read_at(host_offset, buffer.first(count));
    std::ranges::fill(buffer.subspan(count), std::byte{0});
}

void MappedDevice::read_zero(std::uint64_t guest_offset, std::uint64_t host_offset, std::span<std::byte> buffer) const {
    read_stored(guest_offset, host_offset, buffer);
    if (!is_zero(buffer))
        fail(ErrorKind::corrupt,
             fmt::format("the image says that sectors at or behind guest offset {:#x} were never written, and "
                         "stores data for them: readers differ on what they hold",
                         guest_offset));
}

void MappedDevice::read_parent(std::uint64_t guest_offset, std::span<std::byte> buffer) const {
    const std::uint64_t size = parts_.parent ? parts_.parent->size() : 0;
    const std::uint64_t offset = guest_offset + parts_.parent_offset;
    const std::uint64_t readable = offset < size ? size - offset : 0;
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(readable, buffer.size()));
    if (count != 0)
        parts_.parent->read_at(offset, buffer.first(count));
    std::ranges::fill(buffer.subspan(count), std::byte{0});
}

void MappedDevice::read_compressed(std::uint64_t guest_offset, const Mapping& mapping,
                                   std::span<std::byte> buffer) const {
    const std::uint64_t unit_offset = align_down(guest_offset, parts_.map->unit());
    const std::uint64_t length = unit_length(unit_offset);
    if (buffer.size() == length) {
        parts_.map->decode(unit_offset, mapping, buffer);
        return;
    }
    Bytes bytes;
    {
        const std::lock_guard lock(mutex_);
        const auto found = std::ranges::find(decoded_, unit_offset, &DecodedUnit::guest_offset);
        if (found != decoded_.end())
            bytes = found->bytes;
    }
    if (!bytes) {
        auto unit = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(length));
        parts_.map->decode(unit_offset, mapping, *unit);
        bytes = unit;
        const std::lock_guard lock(mutex_);
        decoded_.push_front({unit_offset, bytes});
        if (decoded_.size() > max_decoded_)
            decoded_.pop_back();
    }
    const auto begin = static_cast<std::size_t>(guest_offset - unit_offset);
    std::ranges::copy(std::span(*bytes).subspan(begin, buffer.size()), buffer.begin());
}

Extent MappedDevice::look(std::uint64_t offset) const {
    const Mapping mapping = parts_.map->lookup(offset, std::min(kMaxExtentBytes, size() - offset), RunRule::same_kind);
    if (mapping.placement == Placement::zero)
        return {mapping.length, ExtentKind::zero};
    if (mapping.placement != Placement::unallocated)
        return {mapping.length, ExtentKind::data};
    const std::uint64_t below = offset + parts_.parent_offset;
    if (!parts_.parent || below >= parts_.parent->size())
        return {mapping.length, ExtentKind::unallocated};
    const Extent extent = parts_.parent->extent_at(below);
    return {std::min(mapping.length, extent.length), extent.kind};
}

Extent MappedDevice::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    Extent extent = look(offset);
    const std::uint64_t wanted = std::min(kMaxExtentBytes, size() - offset);
    for (std::uint64_t step = 1; step < kMaxExtentSteps && extent.length < wanted; ++step) {
        const Extent next = look(offset + extent.length);
        if (next.kind != extent.kind)
            break;
        extent.length += next.length;
    }
    return extent;
}

} // namespace vm2oci::mapped
