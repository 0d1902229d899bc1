// Inside of the room: an inode, checked, with its forks as they stand in it.
#pragma once

#include "formats/tree/entry.hpp"
#include "formats/xfs/volume.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace vm2oci::xfs {

enum class ForkFormat { device = 0, local = 1, extents = 2, tree = 3 };

// Where the content is, or the attributes: bytes of the inode, what they mean, and how many extents they promise.
struct Fork {
    ForkFormat format = ForkFormat::extents;
    std::span<const std::byte> bytes;
    std::uint64_t extents = 0;
};

struct Inode {
    std::uint64_t number = 0;
    std::vector<std::byte> raw;
    std::uint32_t mode = 0;
    FileType type = FileType::regular;
    std::uint64_t size = 0;
    bool is_realtime = false;
    bool has_attributes = false;
    // Spans into raw: they live as long as the object stays where it is or is moved.
    Fork data;
    Fork attributes; // if has_attributes

    FileStatus status() const;
};

// Error{corrupt}: it is none, not in use, or damaged.
Inode read_inode(const Volume& volume, std::uint64_t number);

} // namespace vm2oci::xfs
