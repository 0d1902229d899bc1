// Inside of the room: what the superblock of an xfs says, checked.
//
// Source of the format: the Linux kernel, fs/xfs/libxfs/xfs_format.h and xfs_sb.c. Integers are big-endian, checksums
// (CRC-32C) little-endian.
#pragma once

#include "formats/block/block_device.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace vm2oci::xfs {

inline constexpr std::uint64_t kSectorOfAddresses = 512; // "basic blocks": what addresses on disk and in the log count
// A disk of 1 TiB that was grown from 16 MiB has 65,536.
inline constexpr std::uint64_t kMaxGroups = std::uint64_t{1024} * 1024;

enum class Version { v4, v5 };
enum class FileTypes { none, in_entries };   // of folder entries
enum class NameCase { exact, ascii_folded }; // how names are compared
enum class Counters { exact, lazy };         // lazy: those of the superblock are right only after a clean unmount
enum class LogVersion { v1, v2 };

using Uuid = std::array<std::byte, 16>;

struct Geometry {
    Version version = Version::v5;
    std::uint64_t block_size = 0; // 512 to 65,536
    std::uint64_t sector_size = 0;
    std::uint64_t inode_size = 0;
    std::uint64_t folder_block_size = 0; // a multiple of block_size, at most 65,536
    std::uint64_t blocks = 0;            // all of the groups together
    std::uint64_t group_blocks = 0;      // of each but the last
    std::uint64_t groups = 0;
    unsigned group_block_bits = 0; // of a block's number within its group
    unsigned inode_in_block_bits = 0;
    std::uint64_t root_inode = 0;
    std::uint64_t log_start = 0; // a block number; 0: the log lies on another disk
    std::uint64_t log_blocks = 0;
    LogVersion log_version = LogVersion::v2;
    std::uint32_t log_features = 0; // incompatible ones
    bool is_extended = false;       // features that writers must know, and this reader does not
    FileTypes file_types = FileTypes::none;
    NameCase name_case = NameCase::exact;
    Counters counters = Counters::lazy;
    Uuid uuid{};          // what the log's records bear
    Uuid metadata_uuid{}; // what blocks of version 5 bear
    std::string label;    // raw bytes
    // As last written.
    std::uint64_t inodes = 0;
    std::uint64_t free_inodes = 0;
    std::uint64_t free_blocks = 0;
    unsigned inode_percent = 0; // of the space that inodes may take; 0: all

    std::uint64_t blocks_of_group(std::uint64_t group) const;
    std::uint64_t offset_of_group(std::uint64_t group) const { return group * group_blocks * block_size; }
    // Bytes on the device of `count` blocks from `block`, whose upper bits name the group. Error{corrupt} unless they
    // lie in one group.
    std::uint64_t offset_of(std::uint64_t block, std::uint64_t count) const;
    std::uint64_t offset_of_inode(std::uint64_t inode) const;
};

// Whether the superblock must bear the checksum of its content. One that the log changed has that of what it was when
// it was logged, or before: kernels calculate it when they write the block.
enum class SuperblockSum { checked, of_the_log };

// Error: corrupt (not an xfs, or damaged), unsupported (by the feature's name), limit.
Geometry read_geometry(const BlockDevice& device, SuperblockSum sum);

} // namespace vm2oci::xfs
