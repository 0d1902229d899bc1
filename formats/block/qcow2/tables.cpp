#include "formats/block/qcow2/tables.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace vm2oci::qcow2 {
namespace {

constexpr std::uint64_t kSliceBytes = 64 * KiB; // 512 MiB of the guest's disk with clusters of 64 KiB
constexpr std::size_t kMaxSlices = 64;          // 4 MiB: a sequential reader needs one for each thread
constexpr std::size_t kL1ReadBytes = 256 * KiB;

[[noreturn]] void fail_entry(std::uint64_t guest_offset, std::string_view problem) {
    fail(ErrorKind::corrupt, fmt::format("the L2 entry for guest offset {:#x} {}", guest_offset, problem));
}

// Length of the run of equal bits in `bits` from bit `from`, at most to bit 31.
unsigned equal_bits(std::uint32_t bits, unsigned from) {
    const std::uint32_t shifted = bits >> from;
    const int same = (shifted & 1) != 0 ? std::countr_one(shifted) : std::countr_zero(shifted);
    return std::min(static_cast<unsigned>(same), kSubclustersPerCluster - from);
}

Mapping decode_compressed(const Geometry& geometry, std::uint64_t entry, std::uint64_t guest_cluster,
                          std::uint64_t offset_in_cluster) {
    if (geometry.external_data)
        fail_entry(guest_cluster, "is compressed, which an image with an external data file cannot have");
    const unsigned offset_bits = compressed_offset_bits(geometry.cluster_bits);
    const std::uint64_t host_offset = entry & ((1ULL << offset_bits) - 1);
    const std::uint64_t sectors = ((entry & (kEntryCompressed - 1)) >> offset_bits) + 1;
    return {Placement::compressed, geometry.cluster_size - offset_in_cluster, host_offset,
            sectors * kCompressedSectorBytes - host_offset % kCompressedSectorBytes};
}

} // namespace

Geometry::Geometry(const Header& header)
    : version(header.version), cluster_bits(header.cluster_bits), cluster_size(header.cluster_size()),
      entry_bytes(header.l2_entry_bytes()), l2_entries(header.l2_entries()), virtual_size(header.virtual_size()),
      extended_l2(header.has_extended_l2()), external_data(header.has_data_file()) {}

Mapping decode_l2_entry(const Geometry& geometry, std::uint64_t entry, std::uint64_t bitmap,
                        std::uint64_t guest_cluster, std::uint64_t offset_in_cluster) {
    if ((entry & kEntryCompressed) != 0)
        return decode_compressed(geometry, entry, guest_cluster, offset_in_cluster);

    const std::uint64_t host_cluster = entry & kEntryOffsetMask;
    // Offset 0 is the header, and means "none"; in an external data file it is a place like any other.
    const bool copied_at_zero = host_cluster == 0 && (entry & kEntryCopied) != 0;
    const bool has_host_cluster = host_cluster != 0 || (copied_at_zero && geometry.external_data);
    const bool zero_flag = (entry & kEntryZero) != 0 && !geometry.extended_l2;
    if (copied_at_zero && !geometry.external_data && !zero_flag)
        fail_entry(guest_cluster, "points to the header");
    if (zero_flag && geometry.version < kVersion3)
        fail_entry(guest_cluster, "is a zero cluster, which version 2 does not have");
    if (host_cluster % geometry.cluster_size != 0)
        fail_entry(guest_cluster, fmt::format("points to {:#x}, which is not on a cluster", host_cluster));
    if (geometry.external_data && has_host_cluster && host_cluster != guest_cluster)
        fail_entry(guest_cluster,
                   fmt::format("points to {:#x} of the external data file, not to the same offset", host_cluster));

    Mapping mapping{Placement::unallocated, geometry.cluster_size - offset_in_cluster, 0, 0};
    bool allocated = has_host_cluster;
    bool zero = zero_flag;
    if (geometry.extended_l2) {
        const auto allocated_bits = static_cast<std::uint32_t>(bitmap);
        const auto zero_bits = static_cast<std::uint32_t>(bitmap >> 32);
        if ((allocated_bits & zero_bits) != 0)
            fail_entry(guest_cluster, "has subclusters that are both allocated and zero");
        if (allocated_bits != 0 && !has_host_cluster)
            fail_entry(guest_cluster, "has allocated subclusters and no place for them");
        const std::uint64_t subcluster = geometry.cluster_size / kSubclustersPerCluster;
        const auto index = static_cast<unsigned>(offset_in_cluster / subcluster);
        const unsigned count = std::min(equal_bits(allocated_bits, index), equal_bits(zero_bits, index));
        mapping.length = (index + count) * subcluster - offset_in_cluster;
        allocated = (allocated_bits >> index & 1) != 0;
        zero = (zero_bits >> index & 1) != 0;
    }
    if (zero) {
        mapping.placement = Placement::zero;
    } else if (allocated) {
        mapping.placement = Placement::allocated;
        mapping.host_offset = host_cluster + offset_in_cluster;
    }
    return mapping;
}

std::uint64_t decode_l1_entry(const Geometry& geometry, std::uint64_t entry) {
    const std::uint64_t offset = entry & kEntryOffsetMask;
    if (offset == 0 && (entry & kEntryCopied) != 0)
        fail(ErrorKind::corrupt, "an L1 entry points to the header");
    if (offset % geometry.cluster_size != 0)
        fail(ErrorKind::corrupt, fmt::format("an L1 entry points to {:#x}, which is not on a cluster", offset));
    return offset;
}

Tables::Tables(std::shared_ptr<const BlockDevice> container, const Header& header, Tolerance truncation)
    : container_(std::move(container)), geometry_(header), truncation_(truncation),
      slice_bytes_(std::min(kSliceBytes, geometry_.cluster_size)) {
    l1_.resize(checked_cast<std::size_t>(header.l1_entries_needed(), "L1 size"));
    std::vector<std::byte> buffer(std::min(kL1ReadBytes, l1_.size() * kTableEntryBytes));
    for (std::size_t first = 0; first < l1_.size(); first += kL1ReadBytes / kTableEntryBytes) {
        const std::size_t count = std::min(kL1ReadBytes / kTableEntryBytes, l1_.size() - first);
        read_l2(header.l1_table_offset + first * kTableEntryBytes, std::span(buffer).first(count * kTableEntryBytes));
        for (std::size_t i = 0; i < count; ++i)
            l1_[first + i] = load_be<std::uint64_t>(&buffer[i * kTableEntryBytes]);
    }
}

bool Tables::is_hole(std::uint64_t host_offset, std::uint64_t length) const {
    if (host_offset > container_->size() || length > container_->size() - host_offset)
        return false;
    const Extent extent = container_->extent_at(host_offset);
    return extent.kind != ExtentKind::data && extent.length >= length;
}

void Tables::read_l2(std::uint64_t host_offset, std::span<std::byte> buffer) const {
    const std::uint64_t size = container_->size();
    const std::uint64_t readable = host_offset < size ? size - host_offset : 0;
    if (readable < buffer.size() && truncation_ == Tolerance::refuse)
        fail(ErrorKind::corrupt,
             fmt::format("the table at {:#x} ends beyond the file, which has {} bytes: it is truncated", host_offset,
                         size),
             HintKind::allow_truncated);
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(readable, buffer.size()));
    if (count != 0)
        container_->read_at(host_offset, buffer.first(count));
    std::ranges::fill(buffer.subspan(count), std::byte{0});
}

std::shared_ptr<const Tables::Slice> Tables::load_slice(std::uint64_t host_offset) const {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = slices_.find(host_offset); found != slices_.end()) {
            recent_.splice(recent_.begin(), recent_, found->second);
            return found->second->slice;
        }
    }
    // Read without the lock: two threads may read the same slice, which costs less than making one wait.
    auto slice = std::make_shared<Slice>(slice_bytes_);
    read_l2(host_offset, *slice);
    const std::lock_guard lock(mutex_);
    if (const auto found = slices_.find(host_offset); found != slices_.end())
        return found->second->slice;
    recent_.push_front({host_offset, slice});
    slices_.emplace(host_offset, recent_.begin());
    if (recent_.size() > kMaxSlices) {
        slices_.erase(recent_.back().host_offset);
        recent_.pop_back();
    }
    return slice;
}

Mapping Tables::lookup(std::uint64_t guest_offset, std::uint64_t max_length, RunRule rule) const {
    const std::uint64_t reach = geometry_.l2_entries << geometry_.cluster_bits;
    const std::uint64_t left = std::min(max_length, geometry_.virtual_size - guest_offset);
    auto l1_index = static_cast<std::size_t>(guest_offset / reach);
    const std::uint64_t l2_offset = decode_l1_entry(geometry_, l1_[l1_index]);
    if (l2_offset == 0) {
        std::uint64_t end = (l1_index + 1) * reach;
        while (end - guest_offset < left && decode_l1_entry(geometry_, l1_[++l1_index]) == 0)
            end += reach;
        return {Placement::unallocated, std::min(left, end - guest_offset), 0, 0};
    }

    const std::uint64_t index = (guest_offset % reach) >> geometry_.cluster_bits;
    const std::uint64_t slice_entries = slice_bytes_ / geometry_.entry_bytes;
    const auto slice = load_slice(l2_offset + index / slice_entries * slice_bytes_);
    const auto decode = [&](std::uint64_t slice_index, std::uint64_t guest_cluster, std::uint64_t offset_in_cluster) {
        const std::byte* entry = slice->data() + slice_index * geometry_.entry_bytes;
        return decode_l2_entry(geometry_, load_be<std::uint64_t>(entry),
                               geometry_.extended_l2 ? load_be<std::uint64_t>(entry + kTableEntryBytes) : 0,
                               guest_cluster, offset_in_cluster);
    };
    const auto is_data = [](Placement placement) {
        return placement == Placement::allocated || placement == Placement::compressed;
    };
    const auto continues = [&](const Mapping& run, const Mapping& next) {
        if (rule == RunRule::same_kind)
            return run.placement == next.placement || (is_data(run.placement) && is_data(next.placement));
        if (run.placement != next.placement || run.placement == Placement::compressed)
            return false;
        return run.placement != Placement::allocated || run.host_offset + run.length == next.host_offset;
    };

    std::uint64_t slice_index = index % slice_entries;
    std::uint64_t guest_cluster = align_down(guest_offset, geometry_.cluster_size);
    std::uint64_t offset_in_cluster = guest_offset - guest_cluster;
    Mapping run = decode(slice_index, guest_cluster, offset_in_cluster);
    std::uint64_t step = run.length;
    while (run.length < left) {
        offset_in_cluster += step;
        if (offset_in_cluster == geometry_.cluster_size) {
            offset_in_cluster = 0;
            guest_cluster += geometry_.cluster_size;
            if (++slice_index == slice_entries)
                break;
        }
        const Mapping next = decode(slice_index, guest_cluster, offset_in_cluster);
        if (!continues(run, next))
            break;
        step = next.length;
        run.length += step;
    }
    run.length = std::min(run.length, left);
    return run;
}

} // namespace vm2oci::qcow2
