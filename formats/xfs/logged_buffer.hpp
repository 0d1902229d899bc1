// Inside of the room: the parts of blocks as the log has them.
#pragma once

#include "formats/xfs/geometry.hpp"
#include "formats/xfs/log_items.hpp"

#include <cstdint>
#include <functional>
#include <span>

namespace vm2oci::xfs {

// The description of a buffer item.
struct BufferItem {
    std::uint64_t address = 0; // in sectors of 512 bytes
    std::uint32_t sectors = 0;
    unsigned flags = 0;

    bool is_cancelled() const { return (flags & 0x02) != 0; }
    // Of inodes it holds nothing but where the next deleted one is.
    bool has_inodes() const { return (flags & 0x01) != 0; }
    bool is_quota() const { return (flags & 0x1c) != 0; }
    // Comes after the inodes of its transaction.
    bool is_late() const { return is_cancelled() || has_inodes(); }
};
// Error{corrupt}.
BufferItem describe_buffer(const LogItem& item);

// Whether the block on the disk was written after the record `number`, by its first 512 bytes.
bool is_buffer_newer(const Geometry& geometry, std::span<const std::byte> bytes, std::uint64_t number);

// Calls `write` with what changes of the block. Error{corrupt}.
void replay_buffer(const Geometry& geometry, const BufferItem& buffer, const LogItem& item,
                   const std::function<void(std::uint64_t at, std::span<const std::byte> part)>& write);

} // namespace vm2oci::xfs
