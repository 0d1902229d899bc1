// Inside of the room: where on the device nothing is stored. Source of the format: the Linux kernel,
// include/uapi/linux/btrfs_tree.h and fs/btrfs/block-group.c.
#pragma once

#include "formats/btrfs/subvolumes.hpp"
#include "formats/tree/file_system.hpp"

#include <vector>

namespace vm2oci::btrfs {

// In bytes of the device, in order: what no chunk has, and in each chunk what no extent has. The places of superblocks
// and the first MiB, where boot loaders lie, are never among them. Error{corrupt} if chunks, block groups and extents
// contradict each other.
std::vector<DataRange> read_free_space(const Volume& volume, const Subvolumes& trees);

} // namespace vm2oci::btrfs
