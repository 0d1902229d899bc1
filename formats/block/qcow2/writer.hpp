// The canonical qcow2 of a disk: the same content gives the same bytes, wherever it comes from.
//
// In file order: header, refcount table, refcount blocks, L1 table, the L2 tables that map anything, then the clusters
// that hold anything but zeros, in guest order. Version 3, 64 KiB clusters, 16-bit refcounts, all of them one; nothing
// leaks, and no feature bit is set. The last cluster is complete in the file. Numbers: qcow2/format.hpp.
#pragma once

#include "formats/block/allocation_map.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace vm2oci {

// The image as the bytes of a file that is nowhere stored: every byte is computed or read from the disk when it is
// asked for, so any part can be written, compressed or sent at any time, from any thread. Write it with copy_bytes()
// (formats/block/copy.hpp).
class CanonicalQcow2 final : public BlockDevice {
  public:
    // `map` is of `disk` (map_allocation()). The guest sees max(virtual_size, disk size) rounded up to 512 bytes; what
    // lies behind the disk's end is unallocated. Errors: as written_virtual_size().
    CanonicalQcow2(std::shared_ptr<const BlockDevice> disk, AllocationMap map,
                   std::optional<std::uint64_t> virtual_size = std::nullopt);

    // Bytes of the file.
    std::uint64_t size() const override { return data_offset_ + data_clusters_ * kClusterSize; }
    // Where the metadata ends and the guest's first cluster begins; a multiple of kClusterSize.
    std::uint64_t data_offset() const { return data_offset_; }
    // What the guest sees.
    std::uint64_t virtual_size() const { return virtual_size_; }
    // Bytes of the guest's disk that the file holds.
    std::uint64_t allocated_size() const { return data_clusters_ * kClusterSize; }

    // Which clusters of the guest's disk the file holds, in this order.
    const AllocationMap& map() const { return map_; }

    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override;
    Extent extent_at(std::uint64_t offset) const override;

  private:
    void write_metadata_cluster(std::uint64_t index, std::span<std::byte> cluster) const;
    void write_refcount_block(std::uint64_t block, std::span<std::byte> cluster) const;
    void write_l1(std::uint64_t first_entry, std::span<std::byte> cluster) const;
    void write_l2(std::uint64_t table, std::span<std::byte> cluster) const;
    void read_data(std::uint64_t offset, std::span<std::byte> buffer) const;

    std::shared_ptr<const BlockDevice> disk_;
    AllocationMap map_;
    std::uint64_t virtual_size_;
    std::uint64_t l1_entries_;
    std::uint64_t data_clusters_ = 0;
    std::vector<std::uint32_t> l2_tables_;   // for each L2 table in the file: the L1 entry that points to it, ascending
    std::vector<std::uint64_t> data_before_; // for each of them: data clusters in the tables before it
    // First cluster in the file of each part:
    std::uint64_t refcount_blocks_at_ = 0; // the refcount table is at 1
    std::uint64_t l1_at_ = 0;
    std::uint64_t l2_at_ = 0;
    std::uint64_t data_offset_ = 0; // bytes
};

} // namespace vm2oci
