// Which clusters of a disk hold anything but zeros: what a canonical image is laid out from.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"

#include <cstdint>
#include <vector>

namespace vm2oci {

// The cluster of the images that we write; one bit of the map. QEMU's default.
inline constexpr std::uint64_t kClusterSize = 64 * KiB;

// A value: one bit for each cluster of kClusterSize bytes (2 TiB of disk: 4 MiB).
class AllocationMap {
  public:
    // `disk_size` in bytes; nothing is allocated.
    explicit AllocationMap(std::uint64_t disk_size);

    std::uint64_t disk_size() const { return disk_size_; }
    std::uint64_t cluster_count() const { return cluster_count_; }

    // `cluster` < cluster_count(). Not thread-safe, except for clusters that lie 64 or more apart in different
    // multiples of 64 (other words of the bitmap).
    void set(std::uint64_t cluster) { words_[cluster / 64] |= std::uint64_t{1} << (cluster % 64); }
    bool contains(std::uint64_t cluster) const { return (words_[cluster / 64] >> (cluster % 64) & 1) != 0; }

    // Allocated clusters in the whole map, or in [begin, end).
    std::uint64_t count() const { return count(0, cluster_count_); }
    std::uint64_t count(std::uint64_t begin, std::uint64_t end) const;

    // The first allocated cluster at or after `from`; cluster_count() if there is none.
    std::uint64_t next_allocated(std::uint64_t from) const { return next(from, cluster_count_, 0); }
    // The first cluster in [from, limit) that is not allocated, else `limit` (<= cluster_count()).
    std::uint64_t next_free(std::uint64_t from, std::uint64_t limit) const {
        return next(from, limit, ~std::uint64_t{0});
    }

    // The allocated cluster that has `rank` allocated ones at or after `from` before it. There must be one.
    std::uint64_t select(std::uint64_t from, std::uint64_t rank) const;

    bool operator==(const AllocationMap&) const = default;

  private:
    std::uint64_t next(std::uint64_t from, std::uint64_t limit, std::uint64_t flip) const;

    std::uint64_t disk_size_;
    std::uint64_t cluster_count_;
    std::vector<std::uint64_t> words_;
};

// Reads what must be read of the device: nothing of its holes, the head of every cluster with data, and the rest of a
// cluster only while it is zeros. The result depends on the disk's content alone, whatever holds it. Uses
// context.threads; progress counts bytes of the disk (the caller names the phase).
AllocationMap map_allocation(const BlockDevice& device, const OperationContext& context);

} // namespace vm2oci
