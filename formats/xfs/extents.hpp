// Inside of the room: where on the volume the content of a fork is.
#pragma once

#include "formats/xfs/inode.hpp"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace vm2oci::xfs {

// A file of one million of them is called broken by its users; 48 MiB in memory.
inline constexpr std::uint64_t kMaxExtents = 2'097'152;

// In blocks. `physical` names the group in its upper bits and lies within one.
struct MappedExtent {
    enum class State { written, unwritten }; // unwritten: reads as zeros
    std::uint64_t logical;
    std::uint64_t physical;
    std::uint32_t count;
    State state;

    std::uint64_t end() const { return logical + count; }
};

// In order, without overlaps. Error: corrupt (a tree that is none, extents out of order or outside of the file system,
// another number than the inode says), limit.
std::vector<MappedExtent> read_extents(const Volume& volume, const Inode& inode, const Fork& fork);

// Error{corrupt} if two of them have a block in common: metadata never share one, and what is read once cannot ask for
// more work or memory than the volume has bytes.
void check_unshared(const std::vector<MappedExtent>& extents, std::uint64_t inode);

// The extent that has the block, or the first one behind it.
std::vector<MappedExtent>::const_iterator extent_behind(const std::vector<MappedExtent>& extents, std::uint64_t block);

// Content from a byte on; holes and what was not written as zeros. It is read past the cache of metadata.
void read_content(const Volume& volume, const std::vector<MappedExtent>& extents, std::uint64_t offset,
                  std::span<std::byte> buffer);

// Metadata: the blocks from `block` on that fill the buffer, all of them mapped and written, else Error{corrupt}.
// Returns the offset of the first on the volume.
std::uint64_t read_mapped(const Volume& volume, const std::vector<MappedExtent>& extents, std::uint64_t block,
                          std::span<std::byte> buffer, std::string_view what);

} // namespace vm2oci::xfs
