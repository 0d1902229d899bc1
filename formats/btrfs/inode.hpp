// Inside of the room: an inode item, checked. Source of the format: the Linux kernel, include/uapi/linux/btrfs_tree.h
// (btrfs_inode_item).
#pragma once

#include "formats/btrfs/subvolumes.hpp"
#include "formats/tree/entry.hpp"

#include <cstdint>
#include <span>

namespace vm2oci::btrfs {

inline constexpr std::size_t kInodeItem = 160;

enum class DataSums { kept, none }; // none: NODATASUM, as NODATACOW has it, too

struct Inode {
    std::uint64_t number = 0;
    FileStatus status;
    DataSums sums = DataSums::kept;
};

// Error{corrupt}.
Inode parse_inode(std::uint64_t number, std::span<const std::byte> item);

// Error{corrupt}: it is not there, or damaged.
Inode read_inode(const Volume& volume, const Subvolume& subvolume, std::uint64_t number);

} // namespace vm2oci::btrfs
