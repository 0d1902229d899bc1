#include "formats/block/qcow2/writer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/block/qcow2/header_writer.hpp"

#include <algorithm>
#include <array>

namespace vm2oci {

using namespace qcow2;

CanonicalQcow2::CanonicalQcow2(std::shared_ptr<const BlockDevice> disk, AllocationMap map,
                               std::optional<std::uint64_t> virtual_size)
    : disk_(std::move(disk)), map_(std::move(map)),
      virtual_size_(written_virtual_size(disk_->size(), virtual_size.value_or(disk_->size()))),
      l1_entries_(l1_entries(virtual_size_)) {
    if (map_.disk_size() != disk_->size())
        fail(ErrorKind::usage, "the allocation map belongs to another disk");
    for (std::uint64_t cluster = map_.next_allocated(0); cluster < map_.cluster_count();) {
        const std::uint64_t table = cluster / kEntriesPerTable;
        const std::uint64_t end = std::min((table + 1) * kEntriesPerTable, map_.cluster_count());
        l2_tables_.push_back(static_cast<std::uint32_t>(table));
        data_before_.push_back(data_clusters_);
        data_clusters_ += map_.count(cluster, end);
        cluster = map_.next_allocated(end);
    }
    const std::uint64_t l1_clusters = divide_up(l1_entries_, kEntriesPerTable);
    const RefcountClusters refcounts = refcount_clusters(1 + l1_clusters + l2_tables_.size() + data_clusters_);
    refcount_blocks_at_ = 1 + refcounts.table;
    l1_at_ = refcount_blocks_at_ + refcounts.blocks;
    l2_at_ = l1_at_ + l1_clusters;
    data_offset_ = (l2_at_ + l2_tables_.size()) * kClusterSize;
}

void CanonicalQcow2::read_at(std::uint64_t offset, std::span<std::byte> buffer) const {
    check_range(*this, offset, buffer.size());
    while (!buffer.empty() && offset < data_offset_) {
        const std::uint64_t within = offset % kClusterSize;
        const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), kClusterSize - within));
        if (length == kClusterSize) {
            write_metadata_cluster(offset / kClusterSize, buffer.first(length));
        } else {
            std::array<std::byte, kClusterSize> cluster;
            write_metadata_cluster(offset / kClusterSize, cluster);
            std::copy_n(cluster.begin() + static_cast<std::ptrdiff_t>(within), length, buffer.begin());
        }
        buffer = buffer.subspan(length);
        offset += length;
    }
    if (!buffer.empty())
        read_data(offset - data_offset_, buffer);
}

Extent CanonicalQcow2::extent_at(std::uint64_t offset) const {
    check_range(*this, offset, 1);
    return {size() - offset, ExtentKind::data};
}

void CanonicalQcow2::write_metadata_cluster(std::uint64_t index, std::span<std::byte> cluster) const {
    std::fill(cluster.begin(), cluster.end(), std::byte{0});
    if (index == 0) {
        write_header({.virtual_size = virtual_size_,
                      .l1_entries = static_cast<std::uint32_t>(l1_entries_),
                      .l1_offset = l1_at_ * kClusterSize,
                      .refcount_table_offset = kClusterSize,
                      .refcount_table_clusters = static_cast<std::uint32_t>(refcount_blocks_at_ - 1)},
                     cluster);
    } else if (index < refcount_blocks_at_) {
        const std::uint64_t first_block = (index - 1) * kEntriesPerTable;
        const std::uint64_t blocks = std::min(kEntriesPerTable, l1_at_ - refcount_blocks_at_ - first_block);
        for (std::uint64_t entry = 0; entry < blocks; ++entry)
            store_be(&cluster[entry * kTableEntryBytes], (refcount_blocks_at_ + first_block + entry) * kClusterSize);
    } else if (index < l1_at_) {
        write_refcount_block(index - refcount_blocks_at_, cluster);
    } else if (index < l2_at_) {
        write_l1((index - l1_at_) * kEntriesPerTable, cluster);
    } else {
        write_l2(index - l2_at_, cluster);
    }
}

void CanonicalQcow2::write_refcount_block(std::uint64_t block, std::span<std::byte> cluster) const {
    const std::uint64_t clusters = size() / kClusterSize;
    const std::uint64_t used = std::min(kRefcountsPerBlock, clusters - block * kRefcountsPerBlock);
    for (std::uint64_t entry = 0; entry < used; ++entry)
        store_be(&cluster[entry * kRefcountBytes], std::uint16_t{1});
}

void CanonicalQcow2::write_l1(std::uint64_t first_entry, std::span<std::byte> cluster) const {
    const auto begin = std::lower_bound(l2_tables_.begin(), l2_tables_.end(), first_entry);
    for (auto table = begin; table != l2_tables_.end() && *table < first_entry + kEntriesPerTable; ++table) {
        const auto position = static_cast<std::uint64_t>(table - l2_tables_.begin());
        store_be(&cluster[(*table - first_entry) * kTableEntryBytes],
                 kEntryCopied | ((l2_at_ + position) * kClusterSize));
    }
}

void CanonicalQcow2::write_l2(std::uint64_t table, std::span<std::byte> cluster) const {
    const std::uint64_t first = std::uint64_t{l2_tables_[table]} * kEntriesPerTable;
    const std::uint64_t end = std::min(first + kEntriesPerTable, map_.cluster_count());
    std::uint64_t host = data_offset_ + data_before_[table] * kClusterSize;
    for (std::uint64_t guest = map_.next_allocated(first); guest < end; guest = map_.next_allocated(guest + 1)) {
        store_be(&cluster[(guest - first) * kTableEntryBytes], kEntryCopied | host);
        host += kClusterSize;
    }
}

void CanonicalQcow2::read_data(std::uint64_t offset, std::span<std::byte> buffer) const {
    const std::uint64_t position = offset / kClusterSize;
    const auto after = std::upper_bound(data_before_.begin(), data_before_.end(), position);
    const auto table = static_cast<std::size_t>(after - data_before_.begin()) - 1;
    std::uint64_t guest =
        map_.select(std::uint64_t{l2_tables_[table]} * kEntriesPerTable, position - data_before_[table]);
    std::uint64_t within = offset % kClusterSize;
    while (!buffer.empty()) {
        const std::uint64_t wanted_end = guest + divide_up(within + buffer.size(), kClusterSize);
        const std::uint64_t run_end = map_.next_free(guest, std::min(wanted_end, map_.cluster_count()));
        const std::uint64_t begin = guest * kClusterSize + within;
        const auto length =
            static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), run_end * kClusterSize - begin));
        // The disk may end inside its last cluster; the file has all of it.
        const std::uint64_t left_on_disk = disk_->size() - std::min(begin, disk_->size());
        const auto on_disk = static_cast<std::size_t>(std::min<std::uint64_t>(length, left_on_disk));
        disk_->read_at(std::min(begin, disk_->size()), buffer.first(on_disk));
        std::fill(buffer.begin() + static_cast<std::ptrdiff_t>(on_disk),
                  buffer.begin() + static_cast<std::ptrdiff_t>(length), std::byte{0});
        buffer = buffer.subspan(length);
        guest = map_.next_allocated(run_end);
        within = 0;
    }
}

} // namespace vm2oci
