// What the block bitmaps of an ext4 file system call free.
#pragma once

#include "formats/ext4/library.hpp"

#include <cstdint>
#include <functional>

namespace vm2oci {

// The superblock's count of free blocks is brought up to date when a file system is unmounted, not by its journal.
enum class SuperblockCount { exact, stale };

// Offsets and lengths in bytes, in order, adjacent ranges joined. Blocks of metadata (superblocks, descriptors,
// bitmaps, inode tables) are never among them. Error{corrupt} if the bitmaps contradict the group descriptors or the
// superblock, or a checksum is wrong; what was visited before must not be used then.
void visit_free_space(const Ext4Library& library, SuperblockCount count,
                      const std::function<void(std::uint64_t, std::uint64_t)>& visit);

} // namespace vm2oci
