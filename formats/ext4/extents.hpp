// Where the content of an ext4 file lies.
#pragma once

#include "formats/ext4/library.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace vm2oci {

// Blocks of the file system. What lies between two extents is a hole.
struct Ext4Extent {
    std::uint64_t logical = 0;
    std::uint64_t physical = 0;
    std::uint64_t count = 0;
    enum class State { written, unwritten } state = State::written; // unwritten: allocated, reads as zeros
};

// By logical block, without overlaps, every one inside the file system; of extent-mapped and block-mapped inodes alike.
// Error{corrupt} for anything else. Not for inodes with inline data.
std::vector<Ext4Extent> read_extents(const Ext4Library& library, ext2_ino_t inode_number,
                                     const ext2_inode_large& inode);

// Fills `buffer` from the content at `offset`; holes as zeros.
void read_content(const Ext4Library& library, std::span<const Ext4Extent> extents, std::uint64_t offset,
                  std::span<std::byte> buffer);

} // namespace vm2oci
