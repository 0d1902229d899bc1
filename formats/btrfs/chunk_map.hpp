// Inside of the room: where on the device logical addresses lie.
#pragma once

#include "formats/btrfs/geometry.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <vector>

namespace vm2oci::btrfs {

// A chunk is a GiB on volumes that have one, and never under some MiB; 16 TiB of the smallest have a quarter million.
inline constexpr std::size_t kMaxChunks = 262'144;

struct Chunk {
    std::uint64_t logical = 0;
    std::uint64_t length = 0;
    std::vector<std::uint64_t> copies; // offsets on the device, each of the whole chunk

    std::uint64_t end() const { return logical + length; }
};

class ChunkMap {
  public:
    explicit ChunkMap(const Geometry& geometry) : device_(geometry.device), device_bytes_(geometry.device_bytes) {}

    // A CHUNK_ITEM, for addresses from `logical` on; one that is there already must be the same. Error: corrupt,
    // unsupported (by the profile's name), limit.
    void add(std::uint64_t logical, std::span<const std::byte> item);
    // The superblock's own list: keys and items, one behind another. Error as add().
    void add_first(std::span<const std::byte> list);

    // Error{corrupt} unless the range lies in one chunk.
    const Chunk& find(std::uint64_t logical, std::uint64_t length) const;
    const std::map<std::uint64_t, Chunk>& chunks() const { return chunks_; }

  private:
    std::uint64_t device_;
    std::uint64_t device_bytes_;
    std::map<std::uint64_t, Chunk> chunks_;
};

} // namespace vm2oci::btrfs
