// All files of several joined file systems, in the order that TreeSink asks for.
#pragma once

#include "libconvert/guest/guest.hpp"

#include <string>
#include <vector>

namespace vm2oci {

struct TreeMount {
    std::string mount_point; // canonical
    const FileSystem* file_system;
    NodeId root{};                    // of the tree that lies there
    std::vector<NodeId> left_empty{}; // folders other than it that are there, and nothing in them; sorted
};

// Folders deeper than this are not made by any program; it bounds the walk's memory on a hostile disk.
inline constexpr std::size_t kMaxTreeDepth = 2048;

// The first of `mounts` is "/". Error{corrupt} for a folder that is reached twice: the tree would have no end.
// Progress is advanced by the content's bytes.
void walk_tree(const std::vector<TreeMount>& mounts, const ExportOptions& options, TreeSink& sink,
               const OperationContext& operation);

} // namespace vm2oci
