// Inside of the room: what was synchronised after the last transaction, as a mount would carry it out.
//
// fsync(2) writes items of the files that it was asked for into a tree of their own for each subvolume. The disk is not
// changed: what they make of the subvolumes is laid over them. Source: the Linux kernel, fs/btrfs/tree-log.c.
#pragma once

#include "formats/btrfs/content.hpp"
#include "formats/btrfs/subvolumes.hpp"
#include "formats/tree/file_system.hpp"

#include <vector>

namespace vm2oci::btrfs {

// 4 GiB of data between two transactions, which are half a minute apart.
inline constexpr std::size_t kMaxLoggedSums = 1'048'576;

struct ReplayedLog {
    SubvolumeChanges changes;
    LoggedSums sums;
    std::vector<DataRange> space; // logical addresses of its blocks and of the extents that it names
};

// Only of a file system with a log. Error: corrupt, limit, unsupported (what the log does to a subvolume's place).
ReplayedLog replay_log(const Volume& volume, const Subvolumes& subvolumes);

} // namespace vm2oci::btrfs
