// What the block bitmaps of an ext4 file system call free.
#pragma once

#include "formats/ext4/library.hpp"

#include <cstdint>
#include <functional>

namespace vm2oci {

// Offsets and lengths in bytes, in order, adjacent stretches joined. Blocks of metadata (superblocks, descriptors,
// bitmaps, inode tables) are never among them. Error{corrupt} if a bitmap's checksum is wrong.
void visit_free_space(const Ext4Library& library, const std::function<void(std::uint64_t, std::uint64_t)>& visit);

} // namespace vm2oci
