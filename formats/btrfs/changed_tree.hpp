// Inside of the room: a subvolume with changes that are laid over it in memory, and the names in it. A name stands in
// three places: by its hash and by its position in the folder, and at the inode. Source of the format: the Linux
// kernel, include/uapi/linux/btrfs_tree.h (btrfs_inode_ref, btrfs_inode_extref) and fs/btrfs/inode-item.c.
#pragma once

#include "formats/base/size.hpp"
#include "formats/btrfs/directory.hpp"
#include "formats/btrfs/tree.hpp"

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::btrfs {

// All that is changed together: the log of a busy machine has some MiB.
inline constexpr std::uint64_t kMaxChangedBytes = 96 * MiB;

// Bytes of items that are looked at or rewritten: names that share an item are taken from it one by one.
inline constexpr std::uint64_t kMaxReplayWork = 512 * MiB;

// A name as the inode has it.
struct InodeName {
    std::uint64_t folder = 0;
    std::uint64_t position = 0;
    std::string name;
};
// Of an item of either type. Error{corrupt}.
std::vector<InodeName> read_inode_names(const Key& key, std::span<const std::byte> item);
// The offset of the key of such an item of the second type.
std::uint64_t hash_of_inode_name(std::uint64_t folder, std::string_view name);

class ChangedTree {
  public:
    // `volume` and `changes` outlive it.
    ChangedTree(const Volume& volume, const TreeRoot& root, ItemChanges& changes)
        : volume_(volume), root_(root), changes_(changes) {}

    std::optional<std::vector<std::byte>> find(const Key& key) const;
    // Counts work. Error{limit}: no real log makes so much.
    void charge(std::uint64_t bytes) const;
    bool has_inode(std::uint64_t inode) const;
    // The last extent of a file that begins before `place`; nullopt: none does.
    std::optional<Key> extent_before(std::uint64_t inode, std::uint64_t place) const;
    Cursor from(const Key& key) const { return Cursor(volume_, root_, key, &changes_); }
    // Error{limit}.
    void put(const Key& key, std::vector<std::byte> item);
    void erase(const Key& key);

    // In a folder: what is at the name, and at the position.
    std::optional<NamedItem> entry(std::uint64_t folder, std::string_view name) const;
    std::optional<NamedItem> entry_at(std::uint64_t folder, std::uint64_t position) const;
    std::vector<InodeName> names_of(std::uint64_t inode) const;

    // Adds the entry to the folder alone. The caller made sure that neither name nor position is taken.
    void add_entry(std::uint64_t folder, std::uint64_t position, std::string_view name, std::uint64_t inode);
    // Adds the name to the inode alone.
    void add_inode_name(std::uint64_t inode, const InodeName& name);
    // Takes a name of an inode from the folder and from the inode, and notes that it lost one.
    void unlink(std::uint64_t folder, std::uint64_t inode, std::string_view name);
    // Inodes that lost a name.
    const std::set<std::uint64_t>& unlinked() const { return unlinked_; }

  private:
    std::optional<std::uint64_t> drop_inode_name(const Key& key, std::uint64_t folder, std::string_view name);

    const Volume& volume_;
    TreeRoot root_;
    ItemChanges& changes_;
    std::uint64_t bytes_ = 0;
    mutable std::uint64_t work_ = 0;
    std::set<std::uint64_t> unlinked_;
};

} // namespace vm2oci::btrfs
