// Inside of the room: where the parts of a FAT file system lie, and its chains of clusters.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace vm2oci::fat {

enum class Width { fat12, fat16, fat32 };

struct Geometry {
    Width width = Width::fat16;
    std::uint64_t cluster_size = 0;
    std::uint64_t table_at = 0; // the first allocation table
    std::uint64_t table_size = 0;
    std::uint64_t root_at = 0; // FAT12 and FAT16: the root folder's fixed place
    std::uint64_t root_size = 0;
    std::uint32_t root_cluster = 0; // FAT32
    std::uint64_t data_at = 0;      // of cluster 2
    std::uint32_t cluster_count = 0;
};

inline constexpr std::uint32_t kFirstCluster = 2;

Geometry read_geometry(const BlockDevice& device);

// The clusters of a chain from `first`, at most `limit` of them. Error{corrupt} for a link out of range, and for a
// chain that goes on after `limit`.
std::vector<std::uint32_t> read_chain(const BlockDevice& device, const Geometry& geometry, std::uint32_t first,
                                      std::uint64_t limit);

std::uint64_t count_free_clusters(const BlockDevice& device, const Geometry& geometry);

} // namespace vm2oci::fat
