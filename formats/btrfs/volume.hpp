// Inside of the room: tree blocks and data by their logical addresses, held against what they say of themselves.
#pragma once

#include "formats/btrfs/chunk_map.hpp"
#include "formats/btrfs/geometry.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace vm2oci::btrfs {

struct Key {
    std::uint64_t object = 0;
    std::uint8_t type = 0;
    std::uint64_t offset = 0;
    auto operator<=>(const Key&) const = default;
};

// A tree block whose checksum, UUID, address, order of keys and places of items are right.
class Block {
  public:
    // Error{corrupt}.
    Block(std::vector<std::byte> bytes, std::uint64_t address);

    unsigned level() const { return level_; }
    std::uint32_t count() const { return count_; }
    std::uint64_t generation() const { return generation_; }
    std::uint64_t owner() const { return owner_; }
    Key key(std::uint32_t slot) const;
    // Of leaves (level 0).
    std::span<const std::byte> item(std::uint32_t slot) const;
    // Of nodes.
    std::uint64_t child(std::uint32_t slot) const;
    std::uint64_t child_generation(std::uint32_t slot) const;
    std::size_t size() const { return bytes_.size(); }

  private:
    std::size_t place_of(std::uint32_t slot) const;
    void check_leaf() const;

    std::vector<std::byte> bytes_;
    unsigned level_;
    std::uint32_t count_;
    std::uint64_t generation_;
    std::uint64_t owner_;
};

// Not thread-safe: it keeps the blocks that were read last.
class Volume {
  public:
    // Reads the superblock and the map of chunks. Error: corrupt, unsupported, limit.
    explicit Volume(std::shared_ptr<const BlockDevice> device);

    const Geometry& geometry() const { return geometry_; }
    const ChunkMap& chunks() const { return chunks_; }

    // Of several copies the first that is right. Error{corrupt}: none is.
    std::shared_ptr<const Block> block(std::uint64_t address) const;

    // One copy of data; `copy` < copies_of(). Error{corrupt} unless it lies in one chunk.
    void read(std::uint64_t address, std::span<std::byte> buffer, std::size_t copy) const;
    std::size_t copies_of(std::uint64_t address) const { return chunks_.find(address, 1).copies.size(); }

  private:
    struct Kept {
        std::uint64_t address;
        std::shared_ptr<const Block> block;
    };
    bool is_right(std::span<const std::byte> bytes, std::uint64_t address) const;

    std::shared_ptr<const BlockDevice> device_;
    Geometry geometry_;
    ChunkMap chunks_;
    mutable std::list<Kept> kept_; // last used first
    mutable std::unordered_map<std::uint64_t, std::list<Kept>::iterator> places_;
};

} // namespace vm2oci::btrfs
