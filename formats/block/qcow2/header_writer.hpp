// The header that all images of ours begin with: version 3, 64 KiB clusters, 16-bit refcounts, no snapshots, no backing
// file, no compatible or autoclear features.
#pragma once

#include "formats/block/allocation_map.hpp"
#include "formats/block/qcow2/format.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace vm2oci::qcow2 {

inline constexpr std::uint32_t kWrittenClusterBits = 16;
static_assert(kClusterSize == 1U << kWrittenClusterBits);
inline constexpr std::uint32_t kWrittenRefcountOrder = 4; // 16 bits
inline constexpr std::uint64_t kRefcountBytes = 2;
inline constexpr std::uint64_t kRefcountsPerBlock = kClusterSize / kRefcountBytes;
inline constexpr std::uint64_t kEntriesPerTable = kClusterSize / kTableEntryBytes; // L1, L2 and refcount table alike

struct WrittenHeader {
    std::uint64_t virtual_size = 0; // a multiple of 512
    std::uint32_t l1_entries = 0;
    std::uint64_t l1_offset = 0;
    std::uint64_t refcount_table_offset = 0;
    std::uint32_t refcount_table_clusters = 0;
    CompressionType compression = CompressionType::zlib;
};

// The size in the header for a disk of `disk_size` bytes that is to be at least `virtual_size` bytes: QEMU counts in
// sectors of 512 bytes and rounds up. Error{usage} if `virtual_size` is smaller than the disk, Error{limit} if it is
// more than an L1 table can map.
std::uint64_t written_virtual_size(std::uint64_t disk_size, std::uint64_t virtual_size);

// Entries of the L1 table; at least one, since readers refuse a table of none.
std::uint64_t l1_entries(std::uint64_t virtual_size);

// How many refcount blocks and refcount table clusters a file needs that has `other_clusters` besides them.
struct RefcountClusters {
    std::uint64_t blocks = 0;
    std::uint64_t table = 0;
};
RefcountClusters refcount_clusters(std::uint64_t other_clusters);

// Fills the first cluster of the file. With zstd the feature bit is set, and a feature name table lets programs that do
// not know it say what they miss; without it no feature has a bit, so there is nothing to name.
void write_header(const WrittenHeader& header, std::span<std::byte> cluster);

} // namespace vm2oci::qcow2
