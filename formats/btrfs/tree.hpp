// Inside of the room: the items of one B-tree in order of their keys.
#pragma once

#include "formats/btrfs/volume.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace vm2oci::btrfs {

struct TreeRoot {
    std::uint64_t tree = 0;    // its number
    std::uint64_t address = 0; // of its topmost block
    unsigned level = 0;
    std::uint64_t generation = 0;
};

// Items that a log replaces, adds or (nullopt) takes away.
using ItemChanges = std::map<Key, std::optional<std::vector<std::byte>>>;

// Every block that is visited has the level, generation, owner, first key and bounds that its parent says: keys ascend
// from one to the next, and each block is visited once.
class Cursor {
  public:
    // At the first item whose key is not below `from`. What it is made of must outlive it; `changes` may be null.
    // Error: corrupt.
    Cursor(const Volume& volume, const TreeRoot& root, const Key& from, const ItemChanges* changes = nullptr);

    bool is_at_end() const { return !current_; }
    bool is_at(std::uint64_t object, std::uint8_t type) const {
        return current_ && current_->object == object && current_->type == type;
    }
    const Key& key() const { return *current_; }
    // Good until next().
    std::span<const std::byte> data() const { return data_; }
    void next();

  private:
    struct Step {
        std::shared_ptr<const Block> block;
        std::uint32_t slot;
        std::optional<Key> bound; // all keys below it are less
    };
    void descend(std::uint64_t address, unsigned level, std::uint64_t generation, const std::optional<Key>& first,
                 const std::optional<Key>& bound, const Key& from);
    bool has_stored() const { return !path_.empty(); }
    Key stored_key() const { return path_.back().block->key(path_.back().slot); }
    void next_stored();
    void skip_empty();
    void settle();

    const Volume& volume_;
    TreeRoot root_;
    const ItemChanges* changes_;
    ItemChanges::const_iterator change_{};
    std::vector<Step> path_; // from the root to a leaf; empty: behind the last item
    std::optional<Key> current_;
    std::span<const std::byte> data_;
};

// A copy of one item; nullopt: it is not there.
std::optional<std::vector<std::byte>> find_item(const Volume& volume, const TreeRoot& root, const Key& key,
                                                const ItemChanges* changes = nullptr);

// The last item whose key is not above `key`, without changes; nullopt: there is none.
struct FoundItem {
    Key key;
    std::shared_ptr<const Block> block; // keeps `data`
    std::span<const std::byte> data;
};
std::optional<FoundItem> find_at_or_before(const Volume& volume, const TreeRoot& root, const Key& key);

} // namespace vm2oci::btrfs
