// Inside of the room: the groups' own accounts. Source of the format: the Linux kernel, fs/xfs/libxfs/xfs_format.h
// (xfs_agf, xfs_agi) and xfs_alloc_btree.c.
#pragma once

#include "formats/tree/file_system.hpp"
#include "formats/xfs/volume.hpp"

#include <cstdint>
#include <vector>

namespace vm2oci::xfs {

// In bytes of the device, in order. The B+tree by place must agree with the one by size and with the header of its
// group, and must not name the headers, the log, its own blocks or the group's reserve: Error{corrupt} else.
std::vector<DataRange> read_free_space(const Volume& volume);

// What the groups' headers add up to, for superblocks that count lazily.
struct GroupCounts {
    std::uint64_t free_blocks = 0;
    std::uint64_t inodes = 0;
    std::uint64_t free_inodes = 0;
};
GroupCounts count_groups(const Volume& volume);

} // namespace vm2oci::xfs
