// Inside of the room: numbers of objects and types of items. Source: the Linux kernel, include/uapi/linux/btrfs_tree.h.
#pragma once

#include <cstdint>

namespace vm2oci::btrfs {

namespace object {
inline constexpr std::uint64_t root_tree = 1;
inline constexpr std::uint64_t extent_tree = 2;
inline constexpr std::uint64_t chunk_tree = 3;
inline constexpr std::uint64_t top_subvolume = 5; // "FS_TREE": the subvolume that all others lie in
inline constexpr std::uint64_t checksum_tree = 7;
inline constexpr std::uint64_t block_group_tree = 11;
inline constexpr std::uint64_t first_free = 256; // of subvolumes, and of the files in one; its root folder
inline constexpr std::uint64_t first_chunk = 256;
inline constexpr std::uint64_t log = static_cast<std::uint64_t>(-6);
inline constexpr std::uint64_t checksums = static_cast<std::uint64_t>(-10);
inline constexpr std::uint64_t last_free = static_cast<std::uint64_t>(-256);
} // namespace object

namespace item {
inline constexpr std::uint8_t inode = 1;
inline constexpr std::uint8_t inode_name = 12;          // INODE_REF
inline constexpr std::uint8_t inode_name_extended = 13; // INODE_EXTREF
inline constexpr std::uint8_t attribute = 24;
inline constexpr std::uint8_t log_of_names = 60;     // DIR_LOG_ITEM
inline constexpr std::uint8_t log_of_positions = 72; // DIR_LOG_INDEX
inline constexpr std::uint8_t name = 84;             // DIR_ITEM: by the name's hash
inline constexpr std::uint8_t position = 96;         // DIR_INDEX: in order of creation
inline constexpr std::uint8_t file_extent = 108;
inline constexpr std::uint8_t checksums = 128;
inline constexpr std::uint8_t root = 132;
inline constexpr std::uint8_t root_parent = 144; // ROOT_BACKREF
inline constexpr std::uint8_t root_child = 156;  // ROOT_REF
inline constexpr std::uint8_t extent = 168;
inline constexpr std::uint8_t block_extent = 169; // METADATA_ITEM
inline constexpr std::uint8_t block_group = 192;
inline constexpr std::uint8_t chunk = 228;
} // namespace item

} // namespace vm2oci::btrfs
