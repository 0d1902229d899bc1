// Inside of the room: what the superblock of a btrfs says, checked.
//
// Source of the format: the Linux kernel, include/uapi/linux/btrfs_tree.h and fs/btrfs/disk-io.c. All integers are
// little-endian.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/btrfs/checksum.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace vm2oci::btrfs {

inline constexpr std::uint64_t kSectorSize = 4096; // the only one that is read here, and that mkfs.btrfs makes on x86
inline constexpr std::uint64_t kSuperblockSize = 4096;
// The first is what a mount reads; copies lie where the device is long enough. 64 KiB around each are never allocated.
inline constexpr std::uint64_t kSuperblockPlaces[] = {64ull << 10U, 64ull << 20U, 256ull << 30U};
inline constexpr std::uint64_t kSuperblockStripe = 64ull << 10U;

using Uuid = std::array<std::byte, 16>;

enum class BlockGroups { in_extent_tree, in_own_tree };

struct Geometry {
    Uuid uuid{};          // the file system's
    Uuid metadata_uuid{}; // what its blocks bear
    std::uint64_t generation = 0;
    std::uint64_t root = 0; // logical addresses
    std::uint64_t chunk_root = 0;
    std::uint64_t log_root = 0; // 0: nothing was synchronised after the last transaction
    unsigned root_level = 0;
    unsigned chunk_root_level = 0;
    unsigned log_root_level = 0;
    std::uint64_t chunk_root_generation = 0;
    std::uint64_t total_bytes = 0;
    std::uint64_t bytes_used = 0;
    std::uint64_t root_folder = 0; // the object of the root tree that names the default subvolume
    std::uint32_t node_size = 0;
    ChecksumType checksum = ChecksumType::crc32c;
    std::uint64_t device = 0; // its number in the file system
    std::uint64_t device_bytes = 0;
    BlockGroups block_groups = BlockGroups::in_extent_tree;
    bool is_extended = false;            // features that writers must know, and this reader does not
    std::vector<std::byte> first_chunks; // sys_chunk_array: where the tree of chunks lies
};

// Error: corrupt (not a btrfs, or damaged), unsupported (by the feature's name).
Geometry read_geometry(const BlockDevice& device);

} // namespace vm2oci::btrfs
