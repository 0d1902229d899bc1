// Inside of the room: what the content of a file is made of. Source of the format: the Linux kernel,
// include/uapi/linux/btrfs_tree.h (btrfs_file_extent_item) and fs/btrfs/tree-checker.c.
#pragma once

#include "formats/btrfs/compression.hpp"
#include "formats/btrfs/inode.hpp"

#include <cstdint>
#include <vector>

namespace vm2oci::btrfs {

// A file of one million of them is called broken by its users; 112 MiB in memory.
inline constexpr std::size_t kMaxExtents = 2'097'152;

// Content that may be something else than zeros. What is preallocated or a hole is none.
struct FileExtent {
    std::uint64_t logical = 0; // in the file
    std::uint64_t length = 0;
    std::uint64_t address = 0;  // of what is stored
    std::uint64_t stored = 0;   // bytes of it
    std::uint64_t offset = 0;   // of the content in what is stored, unpacked
    std::uint32_t unpacked = 0; // bytes, if it is packed
    Codec codec = Codec::none;
    enum class Place { on_disk, in_item } place = Place::on_disk;

    std::uint64_t end() const { return logical + length; }
};

struct FileContentMap {
    std::vector<FileExtent> extents; // in order, without overlaps
    std::vector<std::byte> in_item;  // unpacked: the content of the first, if it lies in its item
};

// Error: corrupt, limit, unsupported (encrypted content).
FileContentMap read_extents(const Volume& volume, const Subvolume& subvolume, const Inode& inode);

} // namespace vm2oci::btrfs
