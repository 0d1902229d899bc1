// Inside of the room: an inode as the log has it, laid into an inode as the disk has it.
#pragma once

#include "formats/xfs/geometry.hpp"
#include "formats/xfs/log_items.hpp"

#include <cstdint>
#include <optional>
#include <span>

namespace vm2oci::xfs {

// The description of an inode item, of either width.
struct InodeItem {
    std::uint64_t number = 0;
    std::uint32_t fields = 0;
    std::uint32_t device = 0;
    std::uint64_t buffer = 0; // where its cluster lies, in sectors of 512 bytes
    std::uint32_t buffer_length = 0;
    std::uint32_t at = 0; // bytes of the cluster
};
// Error{corrupt}.
InodeItem describe_inode(const LogItem& item);

// Writes what the item has into the inode at `inode`, unless that is newer. Error: corrupt, unsupported (an exchange of
// extents, which names blocks that the log does not hold).
void replay_inode(const Geometry& geometry, const InodeItem& description, const LogItem& item, std::uint64_t number,
                  std::span<std::byte> inode);

} // namespace vm2oci::xfs
