// Inside of the room: names in folders. Each stands there twice: by its hash, for lookups, and by its position, for
// lists. Source of the format: the Linux kernel, include/uapi/linux/btrfs_tree.h (btrfs_dir_item) and
// fs/btrfs/dir-item.c.
#pragma once

#include "formats/base/size.hpp"
#include "formats/btrfs/subvolumes.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::btrfs {

// In memory: two million names of 40 bytes.
inline constexpr std::uint64_t kMaxFolderMemory = 160 * MiB;

// A name, of a file or of an attribute, as a DIR_ITEM, DIR_INDEX or XATTR_ITEM has it.
struct NamedItem {
    Key location; // of the inode, or of the subvolume's root
    std::uint8_t type = 0;
    std::string name;
    std::string value; // of attributes
};
inline constexpr std::uint8_t kAttributeType = 8; // BTRFS_FT_XATTR

std::uint32_t hash_of_name(std::string_view name);

// Several whose hashes are equal share an item. Error{corrupt}.
std::vector<NamedItem> read_named_items(std::span<const std::byte> item);

// In order of the names, which are valid. Error: corrupt, limit, unsupported (encrypted names).
std::vector<NamedItem> read_folder(const Volume& volume, const Subvolume& subvolume, std::uint64_t folder);

std::optional<NamedItem> find_name(const Volume& volume, const Subvolume& subvolume, std::uint64_t folder,
                                   std::string_view name);

} // namespace vm2oci::btrfs
