// Asks a file system for everything it has, within bounds.
#pragma once

#include "formats/tree/file_system.hpp"

#include <algorithm>
#include <set>
#include <vector>

namespace vm2oci::fuzz {

inline void walk(const FileSystem& file_system) {
    constexpr std::size_t kMaxNodes = 300;
    constexpr std::uint64_t kReadLimit = 64 * 1024;
    std::vector<NodeId> pending{file_system.root()};
    std::set<NodeId> seen{file_system.root()};
    file_system.usage();
    while (!pending.empty() && seen.size() < kMaxNodes) {
        const NodeId folder = pending.back();
        pending.pop_back();
        for (const DirectoryEntry& entry : file_system.list(folder)) {
            if (!is_valid_file_name(entry.name))
                __builtin_trap();
            if (!seen.insert(entry.node).second)
                continue;
            const FileStatus status = file_system.status(entry.node);
            file_system.attributes(entry.node);
            if (status.type == FileType::directory)
                pending.push_back(entry.node);
            else if (status.type == FileType::symlink)
                file_system.read_link(entry.node);
            else if (status.type == FileType::regular) {
                std::vector<std::byte> part(static_cast<std::size_t>(std::min(status.size, kReadLimit)));
                file_system.read_at(entry.node, 0, part);
            }
        }
    }
}

} // namespace vm2oci::fuzz
