#include "formats/lvm/thin_tree.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/crc32c.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <algorithm>
#include <array>

namespace vm2oci::lvm {
namespace {

constexpr std::size_t kNodeHeader = 32;
constexpr std::uint32_t kNodeSalt = 121107;
constexpr std::uint32_t kInternal = 1;
constexpr std::uint32_t kLeaf = 2;
constexpr std::size_t kMaxKept = 1024; // 4 MiB and a little
constexpr unsigned kMaxLevels = 16;    // 126 children each: the kernel's stack has so many, too

} // namespace

std::uint32_t thin_checksum(std::span<const std::byte> block, std::uint32_t salt) {
    return ~crc32c(block.subspan(4)) ^ salt;
}

std::uint64_t ThinNode::value(std::size_t index) const {
    return load_le<std::uint64_t>(values.data() + index * value_size);
}

std::shared_ptr<const ThinNode> ThinNodes::read(std::uint64_t block) const {
    {
        const std::lock_guard lock(mutex_);
        if (const auto found = kept_.find(block); found != kept_.end())
            return found->second;
    }
    if (block == 0 || block >= metadata_->size() / kThinBlock)
        fail(ErrorKind::corrupt, "a node of the pool's metadata lies outside of it");
    std::array<std::byte, kThinBlock> bytes;
    metadata_->read_at(block * kThinBlock, bytes);
    const auto word = [&](std::size_t at) { return load_le<std::uint32_t>(bytes.data() + at); };
    if (word(0) != thin_checksum(bytes, kNodeSalt))
        fail(ErrorKind::corrupt, "the checksum of a node of the pool's metadata is wrong");
    const std::uint32_t flags = word(4);
    const std::size_t entries = word(16);
    const std::size_t capacity = word(20);
    auto node = std::make_shared<ThinNode>();
    node->is_leaf = flags == kLeaf;
    node->value_size = word(24);
    if ((flags != kInternal && flags != kLeaf) || load_le<std::uint64_t>(bytes.data() + 8) != block ||
        node->value_size < 8 || node->value_size > kThinBlock || entries > capacity || capacity > kThinBlock ||
        kNodeHeader + capacity * (8 + node->value_size) > kThinBlock || (entries == 0 && !node->is_leaf))
        fail(ErrorKind::corrupt, "a node of the pool's metadata is damaged");
    for (std::size_t i = 0; i < entries; ++i) {
        node->keys.push_back(load_le<std::uint64_t>(bytes.data() + kNodeHeader + 8 * i));
        if (i != 0 && node->keys[i] <= node->keys[i - 1])
            fail(ErrorKind::corrupt, "a node of the pool's metadata is out of order");
    }
    const std::byte* values = bytes.data() + kNodeHeader + 8 * capacity;
    node->values.assign(values, values + entries * node->value_size);
    const std::lock_guard lock(mutex_);
    if (kept_.size() >= kMaxKept)
        kept_.clear();
    kept_.emplace(block, node);
    return node;
}

ThinPlace find_in_thin_tree(const ThinNodes& nodes, std::uint64_t root, std::uint64_t key, std::size_t value_size) {
    ThinPlace place;
    std::uint64_t block = root;
    for (unsigned level = 0; level < kMaxLevels; ++level) {
        const std::shared_ptr<const ThinNode> node = nodes.read(block);
        const std::vector<std::uint64_t>& keys = node->keys;
        if (node->value_size != (node->is_leaf ? value_size : 8) ||
            (!keys.empty() && place.has_limit && keys.back() >= place.limit))
            fail(ErrorKind::corrupt, "the pool's metadata is out of order");
        const auto not_smaller = std::lower_bound(keys.begin(), keys.end(), key);
        if (node->is_leaf) {
            place.next = static_cast<std::size_t>(not_smaller - keys.begin());
            place.leaf = node;
            return place;
        }
        // The child whose first key is the last that is not larger; what is smaller than all would be in the first.
        auto index = static_cast<std::size_t>(not_smaller - keys.begin());
        if ((index == keys.size() || keys[index] != key) && index > 0)
            --index;
        if (index + 1 < keys.size()) {
            place.limit = keys[index + 1];
            place.has_limit = true;
        }
        block = node->value(index);
    }
    fail(ErrorKind::corrupt, "the pool's metadata is deeper than any real one");
}

} // namespace vm2oci::lvm
