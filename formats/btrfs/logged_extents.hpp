// Inside of the room: extents that a log lays over those of a file. Source: the Linux kernel, fs/btrfs/file.c
// (btrfs_drop_extents) and tree-log.c (replay_one_extent).
#pragma once

#include "formats/btrfs/changed_tree.hpp"

#include <cstdint>
#include <span>

namespace vm2oci::btrfs {

// What the file has from `begin` on, up to `end`, is a hole afterwards; what reaches in is cut. Whole sectors, or
// UINT64_MAX: all behind. Error{corrupt}.
void drop_extents(ChangedTree& tree, std::uint64_t inode, std::uint64_t begin, std::uint64_t end);

// Puts the extent in the place of what is there. Error{corrupt}.
void lay_extent(ChangedTree& tree, const Key& key, std::span<const std::byte> item);

} // namespace vm2oci::btrfs
