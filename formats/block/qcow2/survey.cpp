#include "formats/block/qcow2/survey.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/block/qcow2/device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace vm2oci::qcow2 {
namespace {

constexpr std::size_t kReadBytes = 256 * KiB;

// Clusters are counted in 32 bits here, which halves the memory: 2 TiB of file even with clusters of 512 bytes.
using ClusterIndex = std::uint32_t;

struct TableRange {
    std::string_view name;
    std::uint64_t begin; // clusters
    std::uint64_t end;
};

// Where the metadata is, to see what lies over it.
class MetadataMap {
  public:
    MetadataMap(const BlockDevice& container, const Header& header, const Tables& tables);

    // Throws if the clusters [begin, end) hold metadata.
    void require_free(std::uint64_t begin, std::uint64_t end, std::uint64_t guest_offset) const;

  private:
    void add_l2_tables(const BlockDevice& container, const Geometry& geometry, const std::vector<std::uint64_t>& l1);
    void add_refcount_blocks(const BlockDevice& container, const Header& header);
    void check_against_each_other() const;
    const TableRange* overlapping_range(std::uint64_t begin, std::uint64_t end) const;

    std::vector<TableRange> ranges_;
    std::vector<ClusterIndex> l2_tables_;       // sorted
    std::vector<ClusterIndex> refcount_blocks_; // sorted
};

bool has_in(const std::vector<ClusterIndex>& sorted, std::uint64_t begin, std::uint64_t end) {
    const auto found = std::ranges::lower_bound(sorted, begin);
    return found != sorted.end() && *found < end;
}

MetadataMap::MetadataMap(const BlockDevice& container, const Header& header, const Tables& tables) {
    const std::uint64_t cluster = header.cluster_size();
    const auto add = [&](std::string_view name, std::uint64_t offset, std::uint64_t bytes) {
        if (bytes != 0)
            ranges_.push_back({name, offset / cluster, divide_up(offset + bytes, cluster)});
    };
    add("the header", 0, 1);
    add("the L1 table", header.l1_table_offset, std::uint64_t{header.l1_size} * kTableEntryBytes);
    add("the refcount table", header.refcount_table_offset,
        std::uint64_t{header.refcount_table_clusters} << header.cluster_bits);
    if (header.snapshot_count != 0)
        add("the snapshot table", header.snapshots_offset, 1);
    add_l2_tables(container, tables.geometry(), tables.l1());
    add_refcount_blocks(container, header);
    check_against_each_other();
}

// Tables beyond the end of the file lie over nothing; reading them judges them.
void MetadataMap::add_l2_tables(const BlockDevice& container, const Geometry& geometry,
                                const std::vector<std::uint64_t>& l1) {
    l2_tables_.reserve(static_cast<std::size_t>(
        std::ranges::count_if(l1, [](std::uint64_t entry) { return (entry & kEntryOffsetMask) != 0; })));
    for (const std::uint64_t entry : l1)
        if (const std::uint64_t offset = decode_l1_entry(geometry, entry); offset != 0 && offset < container.size())
            l2_tables_.push_back(checked_cast<ClusterIndex>(offset >> geometry.cluster_bits, "place of an L2 table"));
    std::ranges::sort(l2_tables_);
    if (std::ranges::adjacent_find(l2_tables_) != l2_tables_.end())
        fail(ErrorKind::corrupt, "two L1 entries share one L2 table");
}

// Reading needs no refcounts, so those that are broken are not our business; their blocks are metadata all the same.
void MetadataMap::add_refcount_blocks(const BlockDevice& container, const Header& header) {
    const std::uint64_t bytes = std::uint64_t{header.refcount_table_clusters} << header.cluster_bits;
    std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kReadBytes)));
    for (std::uint64_t done = 0; done < bytes; done += buffer.size()) {
        const std::uint64_t offset = header.refcount_table_offset + done;
        if (offset >= container.size())
            break;
        const auto count =
            static_cast<std::size_t>(std::min<std::uint64_t>({buffer.size(), bytes - done, container.size() - offset}));
        container.read_at(offset, std::span(buffer).first(count));
        for (std::size_t at = 0; at + kTableEntryBytes <= count; at += kTableEntryBytes) {
            const std::uint64_t block = load_be<std::uint64_t>(&buffer[at]) & kRefcountTableOffsetMask;
            if (block != 0 && block % header.cluster_size() == 0 && block < container.size())
                refcount_blocks_.push_back(
                    checked_cast<ClusterIndex>(block >> header.cluster_bits, "place of a refcount block"));
        }
    }
    std::ranges::sort(refcount_blocks_);
}

const TableRange* MetadataMap::overlapping_range(std::uint64_t begin, std::uint64_t end) const {
    const auto found =
        std::ranges::find_if(ranges_, [&](const TableRange& range) { return begin < range.end && range.begin < end; });
    return found == ranges_.end() ? nullptr : &*found;
}

void MetadataMap::check_against_each_other() const {
    for (std::size_t i = 0; i < ranges_.size(); ++i) {
        const TableRange& range = ranges_[i];
        for (std::size_t j = 0; j < i; ++j)
            if (range.begin < ranges_[j].end && ranges_[j].begin < range.end)
                fail(ErrorKind::corrupt, fmt::format("{} lies over {}", range.name, ranges_[j].name));
        if (has_in(l2_tables_, range.begin, range.end))
            fail(ErrorKind::corrupt, fmt::format("an L2 table lies over {}", range.name));
        if (has_in(refcount_blocks_, range.begin, range.end))
            fail(ErrorKind::corrupt, fmt::format("a refcount block lies over {}", range.name));
    }
    for (const ClusterIndex block : refcount_blocks_)
        if (has_in(l2_tables_, block, std::uint64_t{block} + 1))
            fail(ErrorKind::corrupt, "an L2 table lies over a refcount block");
}

void MetadataMap::require_free(std::uint64_t begin, std::uint64_t end, std::uint64_t guest_offset) const {
    std::string_view what;
    if (const TableRange* range = overlapping_range(begin, end))
        what = range->name;
    else if (has_in(l2_tables_, begin, end))
        what = "an L2 table";
    else if (has_in(refcount_blocks_, begin, end))
        what = "a refcount block";
    else
        return;
    fail(ErrorKind::corrupt,
         fmt::format("the data of the guest at or behind offset {:#x} lies over {}", guest_offset, what));
}

// Collects the entries in the order of the guest's disk; contiguous host clusters are judged in one go.
class Surveyor {
  public:
    Surveyor(const BlockDevice& container, const BlockDevice* data, const Header& header, const Tables& tables,
             const DiskPolicy& policy)
        : geometry_(tables.geometry()), metadata_(container, header, tables), container_size_(container.size()),
          data_size_(data != nullptr ? std::optional(data->size()) : std::nullopt), policy_(policy) {}

    void add_entry(std::uint64_t entry, std::uint64_t bitmap, std::uint64_t guest_cluster);
    Survey finish();

  private:
    void add_allocated(const Mapping& mapping, std::uint64_t guest_offset, std::uint64_t visible);
    void add_compressed(const Mapping& mapping, std::uint64_t guest_cluster, std::uint64_t visible);
    void judge_run();

    Geometry geometry_;
    MetadataMap metadata_;
    std::uint64_t container_size_;
    std::optional<std::uint64_t> data_size_; // none: not known
    const DiskPolicy& policy_;
    Survey result_;
    std::uint64_t run_guest_ = 0; // the run of allocated bytes that is not judged yet; empty if begin == end
    std::uint64_t run_begin_ = 0;
    std::uint64_t run_end_ = 0;
};

void Surveyor::add_entry(std::uint64_t entry, std::uint64_t bitmap, std::uint64_t guest_cluster) {
    bool any_data = false;
    bool any_zero = false;
    for (std::uint64_t offset = 0; offset < geometry_.cluster_size;) {
        const Mapping mapping = decode_l2_entry(geometry_, entry, bitmap, guest_cluster, offset);
        const std::uint64_t guest_offset = guest_cluster + offset;
        const std::uint64_t visible =
            guest_offset < geometry_.virtual_size ? std::min(mapping.length, geometry_.virtual_size - guest_offset) : 0;
        if (mapping.placement == Placement::compressed) {
            add_compressed(mapping, guest_cluster, visible);
            return;
        }
        if (mapping.placement == Placement::allocated && visible != 0)
            add_allocated(mapping, guest_offset, visible);
        any_data = any_data || mapping.placement == Placement::allocated;
        any_zero = any_zero || mapping.placement == Placement::zero;
        offset += mapping.length;
    }
    if (any_data)
        ++result_.clusters.data;
    else if (any_zero)
        ++result_.clusters.zero;
}

void Surveyor::add_allocated(const Mapping& mapping, std::uint64_t guest_offset, std::uint64_t visible) {
    result_.allocated_bytes += visible;
    if (run_begin_ == run_end_ || run_end_ != mapping.host_offset) {
        judge_run();
        run_guest_ = guest_offset;
        run_begin_ = mapping.host_offset;
        run_end_ = mapping.host_offset;
    }
    run_end_ += visible;
}

void Surveyor::add_compressed(const Mapping& mapping, std::uint64_t guest_cluster, std::uint64_t visible) {
    ++result_.clusters.compressed;
    result_.allocated_bytes += visible;
    if (mapping.host_offset >= container_size_) {
        if (policy_.truncation == Tolerance::refuse)
            fail_beyond_end(guest_cluster, mapping.host_offset, container_size_);
        return;
    }
    // Only where it begins: the sector count may reach into what follows.
    const std::uint64_t begin = mapping.host_offset >> geometry_.cluster_bits;
    metadata_.require_free(begin, begin + 1, guest_cluster);
}

void Surveyor::judge_run() {
    if (run_begin_ == run_end_)
        return;
    if (data_size_ && policy_.truncation == Tolerance::refuse &&
        !is_stored(geometry_, run_begin_, run_end_, *data_size_))
        fail_beyond_end(run_guest_, run_begin_, *data_size_);
    if (!geometry_.external_data)
        metadata_.require_free(run_begin_ >> geometry_.cluster_bits, divide_up(run_end_, geometry_.cluster_size),
                               run_guest_);
}

Survey Surveyor::finish() {
    judge_run();
    result_.clusters.unallocated = divide_up(geometry_.virtual_size, geometry_.cluster_size) - result_.clusters.data -
                                   result_.clusters.compressed - result_.clusters.zero;
    const std::uint64_t stored = data_size_.value_or(result_.allocated_bytes);
    check_amplification(result_.allocated_bytes, stored);
    return result_;
}

} // namespace

Survey survey(const BlockDevice& container, const BlockDevice* data, const Header& header, const Tables& tables,
              const DiskPolicy& policy) {
    const Geometry& geometry = tables.geometry();
    const std::vector<std::uint64_t>& l1 = tables.l1();
    Surveyor surveyor(container, data, header, tables, policy);
    std::vector<std::byte> buffer(kReadBytes);
    const std::uint64_t clusters = divide_up(geometry.virtual_size, geometry.cluster_size);
    for (std::size_t first = 0; first < l1.size();) {
        const std::uint64_t begin = decode_l1_entry(geometry, l1[first]);
        if (begin == 0) {
            ++first;
            continue;
        }
        // Tables that follow each other are read together: with small clusters there are millions of them.
        std::size_t count = 1;
        while (first + count < l1.size() && (count + 1) * geometry.cluster_size <= buffer.size() &&
               decode_l1_entry(geometry, l1[first + count]) == begin + count * geometry.cluster_size)
            ++count;
        if (tables.is_hole(begin, count * geometry.cluster_size)) {
            first += count;
            continue;
        }
        std::uint64_t cluster = first * geometry.l2_entries;
        const std::uint64_t end_cluster = std::min(clusters, (first + count) * geometry.l2_entries);
        for (std::uint64_t offset = begin; cluster < end_cluster; offset += buffer.size()) {
            const std::uint64_t entries = std::min(buffer.size() / geometry.entry_bytes, end_cluster - cluster);
            // Tables are whole clusters, also the last one, of which only a part may be in use.
            const std::uint64_t bytes =
                std::min<std::uint64_t>(buffer.size(), begin + count * geometry.cluster_size - offset);
            tables.read_l2(offset, std::span(buffer).first(static_cast<std::size_t>(bytes)));
            for (std::uint64_t at = 0; at < entries; ++at, ++cluster) {
                const std::byte* entry = &buffer[static_cast<std::size_t>(at * geometry.entry_bytes)];
                const auto place = load_be<std::uint64_t>(entry);
                const auto bitmap =
                    geometry.extended_l2 ? load_be<std::uint64_t>(entry + kTableEntryBytes) : std::uint64_t{0};
                if (place != 0 || bitmap != 0)
                    surveyor.add_entry(place, bitmap, cluster << geometry.cluster_bits);
            }
        }
        first += count;
    }
    return surveyor.finish();
}

} // namespace vm2oci::qcow2
