#include "formats/block/qcow2/compressed_writer.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/block/parallel.hpp"
#include "formats/block/qcow2/cluster_compressor.hpp"
#include "formats/block/qcow2/header_writer.hpp"

#include <algorithm>
#include <memory>
#include <vector>

namespace vm2oci {

using namespace qcow2;

namespace {

constexpr std::uint64_t kGroupClusters = 16; // read and compressed by one worker at a time: 1 MiB
constexpr std::uint64_t kGroupsPerThread = 4;
constexpr std::uint64_t kMaxGroups = 32; // at a time; each needs up to 2 MiB of memory

// A compressed cluster must be shorter than a plain one by a sector to be worth it: QEMU reads whole sectors.
constexpr std::uint64_t kMaxBlobSize = kClusterSize - kCompressedSectorBytes;

// Some clusters of the guest's disk, compressed side by side.
struct Group {
    std::vector<std::byte> plain;
    std::vector<std::byte> blobs;     // kClusterSize apart
    std::vector<std::size_t> lengths; // 0: take the plain cluster
};

void fill_group(const CanonicalQcow2& image, CompressionType compression, std::uint64_t first_cluster,
                std::uint64_t clusters, Group& group) {
    group.plain.resize(clusters * kClusterSize);
    group.blobs.resize(clusters * kClusterSize);
    group.lengths.resize(clusters);
    image.read_at(image.data_offset() + first_cluster * kClusterSize, group.plain);
    const auto compressor = make_cluster_compressor(compression);
    for (std::uint64_t index = 0; index < clusters; ++index)
        group.lengths[index] = compressor->compress(std::span(group.plain).subspan(index * kClusterSize, kClusterSize),
                                                    std::span(group.blobs).subspan(index * kClusterSize, kMaxBlobSize));
}

// The file as it grows: where things go, what refers to each cluster, and the L2 table that is being filled.
class File {
  public:
    File(const CanonicalQcow2& image, CompressionType compression, int fd)
        : fd_(fd), compression_(compression), virtual_size_(image.virtual_size()),
          l1_(static_cast<std::size_t>(align_up(l1_entries(virtual_size_), kEntriesPerTable) * kTableEntryBytes)) {
        const AllocationMap& map = image.map();
        std::uint64_t tables = 0;
        for (std::uint64_t guest = map.next_allocated(0); guest < map.cluster_count(); ++tables)
            guest = map.next_allocated(
                std::min(align_down(guest, kEntriesPerTable) + kEntriesPerTable, map.cluster_count()));
        next_l2_ = kClusterSize + l1_.size();
        // Header, L1 and L2 tables are each referred to once.
        references_.assign(static_cast<std::size_t>(next_l2_ / kClusterSize + tables), 1);
    }

    void add_plain(std::uint64_t guest_cluster, std::span<const std::byte> cluster) {
        const std::uint64_t offset = references_.size() * kClusterSize;
        references_.push_back(1);
        write_exactly_at(fd_, offset, cluster);
        set_entry(guest_cluster, kEntryCopied | offset);
    }

    void add_compressed(std::uint64_t guest_cluster, std::span<const std::byte> blob) {
        const std::uint64_t offset = place(blob.size());
        const std::uint64_t end = offset + blob.size();
        for (std::uint64_t cluster = offset / kClusterSize; cluster <= (end - 1) / kClusterSize; ++cluster)
            ++references_[cluster];
        write_exactly_at(fd_, offset, blob);
        const std::uint64_t further_sectors = (end - 1) / kCompressedSectorBytes - offset / kCompressedSectorBytes;
        set_entry(guest_cluster,
                  kEntryCompressed | further_sectors << compressed_offset_bits(kWrittenClusterBits) | offset);
    }

    // Writes what is left; returns the file's size.
    std::uint64_t finish() {
        flush_l2();
        write_exactly_at(fd_, kClusterSize, l1_);
        const RefcountClusters refcounts = refcount_clusters(references_.size());
        const std::uint64_t blocks_at = references_.size();
        const std::uint64_t table_at = blocks_at + refcounts.blocks;
        references_.resize(static_cast<std::size_t>(table_at + refcounts.table), 1);
        const std::uint64_t file_size = references_.size() * kClusterSize;
        std::vector<std::byte> table(static_cast<std::size_t>(refcounts.table * kClusterSize));
        std::vector<std::byte> block(kClusterSize);
        for (std::uint64_t index = 0; index < refcounts.blocks; ++index) {
            const std::uint64_t first = index * kRefcountsPerBlock;
            const std::uint64_t used = std::min(kRefcountsPerBlock, references_.size() - first);
            std::fill(block.begin(), block.end(), std::byte{0});
            for (std::uint64_t entry = 0; entry < used; ++entry)
                store_be(&block[entry * kRefcountBytes], references_[first + entry]);
            write_exactly_at(fd_, (blocks_at + index) * kClusterSize, block);
            store_be(&table[index * kTableEntryBytes], (blocks_at + index) * kClusterSize);
        }
        write_exactly_at(fd_, table_at * kClusterSize, table);
        write_header({.virtual_size = virtual_size_,
                      .l1_entries = static_cast<std::uint32_t>(l1_entries(virtual_size_)),
                      .l1_offset = kClusterSize,
                      .refcount_table_offset = table_at * kClusterSize,
                      .refcount_table_clusters = static_cast<std::uint32_t>(refcounts.table),
                      .compression = compression_},
                     block);
        write_exactly_at(fd_, 0, block);
        return file_size;
    }

  private:
    // Where the next blob goes: behind the last one, even into the next cluster if that is still free, else at the
    // start of a new cluster. The clusters it needs exist then.
    std::uint64_t place(std::uint64_t length) {
        const std::uint64_t file_end = references_.size() * kClusterSize;
        const std::uint64_t cluster_end = align_up(pack_at_, kClusterSize);
        if (pack_at_ + length > cluster_end && cluster_end != file_end)
            pack_at_ = file_end;
        const std::uint64_t offset = pack_at_;
        pack_at_ += length;
        if (pack_at_ > file_end)
            references_.push_back(0);
        return offset;
    }

    void set_entry(std::uint64_t guest_cluster, std::uint64_t entry) {
        const std::uint64_t table = guest_cluster / kEntriesPerTable;
        if (l2_.empty() || table != l2_index_) {
            flush_l2();
            l2_.assign(kClusterSize, std::byte{0});
            l2_index_ = table;
        }
        store_be(&l2_[guest_cluster % kEntriesPerTable * kTableEntryBytes], entry);
    }

    void flush_l2() {
        if (l2_.empty())
            return;
        write_exactly_at(fd_, next_l2_, l2_);
        store_be(&l1_[l2_index_ * kTableEntryBytes], kEntryCopied | next_l2_);
        next_l2_ += kClusterSize;
    }

    int fd_;
    CompressionType compression_;
    std::uint64_t virtual_size_;
    std::vector<std::byte> l1_;
    std::vector<std::byte> l2_;
    std::uint64_t l2_index_ = 0; // the L1 entry that l2_ belongs to
    std::uint64_t next_l2_ = 0;  // bytes
    // For each cluster of the file. The shortest blob has tens of bytes, so that 16 bits are plenty.
    std::vector<std::uint16_t> references_;
    std::uint64_t pack_at_ = 0; // bytes; behind the last blob. Starts inside no cluster, so that the first opens one
};

} // namespace

std::uint64_t write_compressed_qcow2(const CanonicalQcow2& image, CompressionType compression, int fd,
                                     const OperationContext& context) {
    File file(image, compression, fd);
    const AllocationMap& map = image.map();
    const std::uint64_t clusters = image.allocated_size() / kClusterSize;
    std::vector<Group> groups(
        static_cast<std::size_t>(std::min(kMaxGroups, context.thread_count() * kGroupsPerThread)));
    std::uint64_t guest = map.next_allocated(0);
    for (std::uint64_t done = 0; done < clusters;) {
        const std::uint64_t now = std::min<std::uint64_t>(clusters - done, groups.size() * kGroupClusters);
        parallel_for(divide_up(now, kGroupClusters), context, [&](std::uint64_t index) {
            const std::uint64_t first = index * kGroupClusters;
            fill_group(image, compression, done + first, std::min(kGroupClusters, now - first), groups[index]);
        });
        for (std::uint64_t index = 0; index < now; ++index) {
            const Group& group = groups[index / kGroupClusters];
            const std::uint64_t within = index % kGroupClusters;
            const std::size_t length = group.lengths[within];
            if (length == 0)
                file.add_plain(guest, std::span(group.plain).subspan(within * kClusterSize, kClusterSize));
            else
                file.add_compressed(guest, std::span(group.blobs).subspan(within * kClusterSize, length));
            guest = map.next_allocated(guest + 1);
        }
        context.progress->advance(now * kClusterSize);
        done += now;
    }
    return file.finish();
}

} // namespace vm2oci
