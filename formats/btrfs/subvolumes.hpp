// Inside of the room: the trees of files that a btrfs has, and how they lie in each other.
#pragma once

#include "formats/btrfs/tree.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::btrfs {

struct Subvolume {
    std::uint64_t number = 0;
    TreeRoot root;
    std::uint64_t root_folder = 0; // an inode of it
    bool is_snapshot = false;
    bool is_read_only = false;
    const ItemChanges* changes = nullptr; // of its log
};

// Where a subvolume lies: the folder of another one, and under which name.
struct SubvolumePlace {
    std::uint64_t parent = 0; // a subvolume
    std::uint64_t folder = 0; // an inode of it
    std::string name;
};

// By subvolume.
using SubvolumeChanges = std::map<std::uint64_t, ItemChanges>;

// A subvolume's root item, an item of the root tree or of the log's. Error{corrupt}.
TreeRoot read_root_item(std::uint64_t tree, std::span<const std::byte> item);

// Not thread-safe.
class Subvolumes {
  public:
    explicit Subvolumes(const Volume& volume);

    // nullopt: there is none, or it is being deleted.
    const Subvolume* find(std::uint64_t number) const;
    std::uint64_t default_number() const;
    // Whether the entry `name` of a folder is where `child` lies; else it is what a snapshot kept of it, an empty
    // folder.
    bool lies_at(std::uint64_t child, std::uint64_t parent, std::uint64_t folder, std::string_view name) const;
    std::optional<SubvolumePlace> place_of(std::uint64_t number) const;
    // All but the topmost, in order. Error{limit}.
    std::vector<std::uint64_t> numbers() const;

    // Another tree of the file system; Error{corrupt}: it is not there.
    TreeRoot tree(std::uint64_t number) const;
    // Outlive the object's use.
    void set_changes(SubvolumeChanges changes);

  private:
    std::optional<std::vector<std::byte>> root_item(std::uint64_t tree) const;

    const Volume& volume_;
    TreeRoot root_tree_;
    SubvolumeChanges changes_;
    mutable std::map<std::uint64_t, std::optional<Subvolume>> known_;
};

} // namespace vm2oci::btrfs
