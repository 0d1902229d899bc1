// Inside of the room: a number for each file of all subvolumes.
#pragma once

#include "formats/btrfs/directory.hpp"
#include "formats/tree/file_system.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace vm2oci::btrfs {

struct InodePlace {
    const Subvolume* subvolume = nullptr;
    std::uint64_t inode = 0;
};

// Not thread-safe. `subvolumes` outlives it, and gets its changes before the first node is asked for.
class Nodes {
  public:
    explicit Nodes(const Subvolumes& subvolumes) : subvolumes_(subvolumes) {}

    // Error{limit}: inodes are counted up, and at a million a second half a year passes until then.
    NodeId node_of(const Subvolume& subvolume, std::uint64_t inode) const;
    NodeId node_of_entry(const InodePlace& folder, const NamedItem& entry) const;
    // Of all but those that are left behind. Error{corrupt}: nobody was given such a node.
    InodePlace place_of(NodeId node) const;

    // What a snapshot has where a subvolume lies in what it was taken of: an empty folder.
    bool is_left_behind(NodeId node) const;
    NodeId folder_of_left_behind(NodeId node) const;

    // From the topmost subvolume, "/" between parts; nullopt: it lies nowhere, or deeper than any real one.
    std::optional<std::string> path_of(const Volume& volume, std::uint64_t subvolume) const;

  private:
    using LeftBehind = std::tuple<NodeId, std::uint64_t, std::string>; // folder, subvolume, name

    const Subvolumes& subvolumes_;
    mutable std::vector<const Subvolume*> seen_;
    mutable std::map<std::uint64_t, std::size_t> indices_; // into seen_, by the subvolume's number
    mutable std::vector<NodeId> left_behind_;              // the folders that they are in
    mutable std::map<LeftBehind, std::size_t> left_behind_indices_;
};

} // namespace vm2oci::btrfs
