#include "formats/btrfs/tree.hpp"

#include "formats/base/error.hpp"
#include "formats/btrfs/objects.hpp"

#include <fmt/format.h>

namespace vm2oci::btrfs {
namespace {

bool is_subvolume(std::uint64_t tree) {
    return tree == object::top_subvolume || (tree >= object::first_free && tree < 1ull << 48U);
}

// Snapshots share blocks with what they were taken of; logs bear a number of their own.
bool may_own(std::uint64_t owner, std::uint64_t tree) {
    return is_subvolume(tree) ? is_subvolume(owner) : owner == tree;
}

struct Expected {
    const TreeRoot& root;
    unsigned level;
    std::uint64_t generation;
    const std::optional<Key>& first;
    const std::optional<Key>& bound;
};

std::shared_ptr<const Block> load(const Volume& volume, std::uint64_t address, const Expected& expected) {
    std::shared_ptr<const Block> block = volume.block(address);
    const char* wrong = nullptr;
    if (block->level() != expected.level)
        wrong = "has another level";
    else if (block->generation() != expected.generation)
        wrong = "is of another generation";
    else if (!may_own(block->owner(), expected.root.tree))
        wrong = "belongs to another tree";
    else if (expected.first && (block->count() == 0 || block->key(0) != *expected.first))
        wrong = "begins with another key";
    else if (expected.bound && block->count() != 0 && block->key(block->count() - 1) >= *expected.bound)
        wrong = "has keys of its neighbour";
    if (wrong != nullptr)
        fail(ErrorKind::corrupt,
             fmt::format("the tree block at {} of the btrfs file system {} than its parent says", address, wrong));
    return block;
}

// The first slot whose key is not below `key`.
std::uint32_t lower_bound(const Block& block, const Key& key) {
    std::uint32_t begin = 0;
    std::uint32_t end = block.count();
    while (begin < end) {
        const std::uint32_t middle = begin + (end - begin) / 2;
        if (block.key(middle) < key)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

// The slot whose key is `key` or the last below; 0 if all are above.
std::uint32_t slot_of_child(const Block& block, const Key& key) {
    const std::uint32_t slot = lower_bound(block, key);
    return slot < block.count() && block.key(slot) == key ? slot : slot == 0 ? 0 : slot - 1;
}

} // namespace

Cursor::Cursor(const Volume& volume, const TreeRoot& root, const Key& from, const ItemChanges* changes)
    : volume_(volume), root_(root), changes_(changes) {
    if (changes_ != nullptr)
        change_ = changes_->lower_bound(from);
    descend(root.address, root.level, root.generation, std::nullopt, std::nullopt, from);
    skip_empty();
    settle();
}

void Cursor::descend(std::uint64_t address, unsigned level, std::uint64_t generation, const std::optional<Key>& first,
                     const std::optional<Key>& bound, const Key& from) {
    std::optional<Key> first_key = first;
    std::optional<Key> upper = bound;
    for (;; --level) {
        std::shared_ptr<const Block> block = load(volume_, address, {root_, level, generation, first_key, upper});
        if (level == 0) {
            const std::uint32_t slot = lower_bound(*block, from);
            path_.push_back({std::move(block), address, slot, upper});
            return;
        }
        const std::uint32_t slot = slot_of_child(*block, from);
        path_.push_back({block, address, slot, upper});
        address = block->child(slot);
        generation = block->child_generation(slot);
        first_key = block->key(slot);
        if (slot + 1 < block->count())
            upper = block->key(slot + 1);
    }
}

// From behind the last item of a leaf to the first of the next.
void Cursor::skip_empty() {
    while (!path_.empty() && path_.back().slot >= path_.back().block->count()) {
        path_.pop_back();
        if (path_.empty())
            return;
        Step& parent = path_.back();
        if (++parent.slot >= parent.block->count())
            continue;
        const std::optional<Key> first = parent.block->key(parent.slot);
        const std::optional<Key> bound = parent.slot + 1 < parent.block->count()
                                             ? std::optional<Key>(parent.block->key(parent.slot + 1))
                                             : parent.bound;
        const std::shared_ptr<const Block> block = parent.block;
        const std::uint32_t slot = parent.slot;
        descend(block->child(slot), block->level() - 1, block->child_generation(slot), first, bound, *first);
    }
}

void Cursor::next_stored() {
    ++path_.back().slot;
    skip_empty();
}

// At the lesser of what is stored and what is changed.
void Cursor::settle() {
    while (true) {
        const bool has_change = changes_ != nullptr && change_ != changes_->end();
        if (!has_change || (has_stored() && stored_key() < change_->first)) {
            current_.reset();
            if (has_stored()) {
                current_ = stored_key();
                data_ = path_.back().block->item(path_.back().slot);
            }
            return;
        }
        if (change_->second) {
            current_ = change_->first;
            data_ = *change_->second;
            return;
        }
        if (has_stored() && stored_key() == change_->first)
            next_stored();
        ++change_;
    }
}

void Cursor::next() {
    const bool is_change = changes_ != nullptr && change_ != changes_->end() && change_->first == *current_;
    if (has_stored() && stored_key() == *current_)
        next_stored();
    if (is_change)
        ++change_;
    settle();
}

std::vector<std::uint64_t> Cursor::path() const {
    std::vector<std::uint64_t> addresses;
    addresses.reserve(path_.size());
    for (const Step& step : path_)
        addresses.push_back(step.address);
    return addresses;
}

std::vector<std::uint64_t> blocks_of(const Volume& volume, const TreeRoot& root) {
    std::vector<std::uint64_t> blocks{root.address};
    std::vector<std::uint64_t> last;
    for (Cursor at(volume, root, {}); !at.is_at_end(); at.next()) {
        const std::vector<std::uint64_t> path = at.path();
        for (std::size_t i = 1; i < path.size(); ++i)
            if (i >= last.size() || last[i] != path[i])
                blocks.push_back(path[i]);
        last = path;
    }
    return blocks;
}

std::optional<std::vector<std::byte>> find_item(const Volume& volume, const TreeRoot& root, const Key& key,
                                                const ItemChanges* changes) {
    const Cursor at(volume, root, key, changes);
    if (at.is_at_end() || at.key() != key)
        return std::nullopt;
    return std::vector<std::byte>(at.data().begin(), at.data().end());
}

std::optional<FoundItem> find_at_or_before(const Volume& volume, const TreeRoot& root, const Key& key) {
    std::uint64_t address = root.address;
    std::uint64_t generation = root.generation;
    std::optional<Key> first;
    std::optional<Key> bound;
    for (unsigned level = root.level;; --level) {
        std::shared_ptr<const Block> block = load(volume, address, {root, level, generation, first, bound});
        if (block->count() == 0)
            return std::nullopt;
        const std::uint32_t slot = slot_of_child(*block, key);
        if (block->key(slot) > key)
            return std::nullopt;
        if (level == 0)
            return FoundItem{block->key(slot), block, block->item(slot)};
        address = block->child(slot);
        generation = block->child_generation(slot);
        first = block->key(slot);
        if (slot + 1 < block->count())
            bound = block->key(slot + 1);
    }
}

} // namespace vm2oci::btrfs
