// Folders that a reader has read, so that names are looked up without reading them again.
#pragma once

#include "formats/tree/file_system.hpp"

#include <cstddef>
#include <cstdint>
#include <list>
#include <unordered_map>
#include <utility>
#include <vector>

namespace vm2oci {

// Folders by node, the last used ones: paths are looked up name by name, and a folder of 100,000 names is read once
// instead of for each of them. The last one is kept whatever its size; not thread-safe.
class FolderCache {
  public:
    using Entries = std::vector<DirectoryEntry>; // sorted by name

    static constexpr std::size_t kMaxKeptEntries = 200'000; // some 100 bytes each

    // Null: not kept. Good until the next keep().
    const Entries* find(NodeId folder) {
        const auto found = places_.find(folder);
        if (found == places_.end())
            return nullptr;
        kept_.splice(kept_.begin(), kept_, found->second);
        return &kept_.front().entries;
    }
    const Entries& keep(NodeId folder, Entries entries) {
        total_ += entries.size() + 1;
        kept_.push_front({folder, std::move(entries)});
        places_[folder] = kept_.begin();
        while (kept_.size() > 1 && total_ > kMaxKeptEntries) {
            total_ -= kept_.back().entries.size() + 1;
            places_.erase(kept_.back().folder);
            kept_.pop_back();
        }
        return kept_.front().entries;
    }

  private:
    struct Kept {
        NodeId folder;
        Entries entries;
    };
    std::list<Kept> kept_; // last used first
    std::unordered_map<NodeId, std::list<Kept>::iterator> places_;
    std::size_t total_ = 0;
};

} // namespace vm2oci
