// Which tree of a file system that has several (btrfs) a mount shows, and what of the others is part of a guest.
#pragma once

#include "formats/tree/file_system.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// btrfs(5), "MOUNT OPTIONS": the last of each counts.
struct TreeOptions {
    std::optional<std::string> path;     // subvol=
    std::optional<std::uint64_t> number; // subvolid=; 0 means the topmost tree, which has number 5
};
// Of mount options, one a string ("rw", "subvol=@"). Error{not_found} for a number that is none.
TreeOptions read_tree_options(const std::vector<std::string>& options);
// The same, separated by commas, as rootflags= of a kernel has them.
TreeOptions read_tree_options(std::string_view options);

struct MountedTree {
    NodeId top{};
    std::string path; // from the topmost tree, raw bytes; empty: that one itself, or the file system has but one
};

bool has_trees(const FileSystem& file_system);

// What a mount with these options shows; without any the default tree. Error{not_found} where the kernel would not
// mount: no such tree, or path and number are of two.
MountedTree find_tree(const FileSystem& file_system, const TreeOptions& options);

// Snapshots that a tool keeps to go back to: read-only ones, and those in snapper's places.
bool is_kept_snapshot(const SubvolumeFacts& subvolume);

// Folders that an export does not go into: kept snapshots, and trees that are mounted elsewhere (`mounted`), which
// would be there a second time.
std::vector<NodeId> trees_not_exported(const std::vector<SubvolumeFacts>& subvolumes,
                                       const std::vector<NodeId>& mounted);

// For people; empty: there are no snapshots. `root` is no snapshot for this.
std::string describe_snapshots(const std::vector<SubvolumeFacts>& subvolumes, NodeId root);

} // namespace vm2oci
