// Inside of the room: the B+trees of a thin pool's metadata, walked from the root for each question.
//
// Source of the format: Linux, drivers/md/persistent-data/dm-btree-internal.h, dm-block-manager.c.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace vm2oci::lvm {

inline constexpr std::size_t kThinBlock = 4096; // of metadata

// CRC-32C as the kernel's block manager has it, over a block without its first word; each kind of block has a salt.
std::uint32_t thin_checksum(std::span<const std::byte> block, std::uint32_t salt);

struct ThinNode {
    bool is_leaf = false;
    std::size_t value_size = 0;
    std::vector<std::uint64_t> keys; // ascending
    std::vector<std::byte> values;

    std::uint64_t value(std::size_t index) const; // its first eight bytes
};

// Thread-safe. Keeps some nodes.
class ThinNodes {
  public:
    explicit ThinNodes(std::shared_ptr<const BlockDevice> metadata) : metadata_(std::move(metadata)) {}

    // Error{corrupt}: checksum, place or form of it are wrong.
    std::shared_ptr<const ThinNode> read(std::uint64_t block) const;

  private:
    std::shared_ptr<const BlockDevice> metadata_;
    mutable std::mutex mutex_; // guards kept_
    mutable std::map<std::uint64_t, std::shared_ptr<const ThinNode>> kept_;
};

// The leaf that a key lies in or would.
struct ThinPlace {
    std::shared_ptr<const ThinNode> leaf;
    std::size_t next = 0;    // index of the first key that is not smaller; may be behind the last
    std::uint64_t limit = 0; // keys from here on lie in other leaves
    bool has_limit = false;  // else this leaf is the last

    bool is_exact(std::uint64_t key) const { return next < leaf->keys.size() && leaf->keys[next] == key; }
};

// Error{corrupt}: also for a tree that is deeper than any or out of order.
ThinPlace find_in_thin_tree(const ThinNodes& nodes, std::uint64_t root, std::uint64_t key, std::size_t value_size);

} // namespace vm2oci::lvm
