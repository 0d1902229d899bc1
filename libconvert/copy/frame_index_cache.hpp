// Where the indexes of the frames of layers are kept between conversions.
#pragma once

#include "formats/base/private_cache.hpp"
#include "formats/codec/frame_index.hpp"
#include "formats/oci/digest.hpp"
#include "formats/oci/layer_writer.hpp"

#include <filesystem>
#include <optional>
#include <span>

namespace vm2oci {

inline constexpr std::size_t kMaxIndexBytes = 64 * MiB; // a disk with 1.2 TB of data
inline constexpr std::size_t kMaxIndexedLayers = 32;    // a version needs those of the one before it

class FrameIndexCache {
  public:
    // As PrivateCache.
    explicit FrameIndexCache(std::filesystem::path folder)
        : cache_(std::move(folder), {kMaxIndexedLayers, kMaxIndexBytes}) {}

    // nullopt: none, or not written by this user, or not on this layer.
    std::optional<FrameIndex> find(const Digest& layer) const;
    // Takes the place of earlier ones of the same layers.
    void keep(std::span<const StoredLayer> layers) const;

  private:
    PrivateCache cache_;
};

// $XDG_CACHE_HOME/vm2oci/frames, else ~/.cache/vm2oci/frames; empty without a home.
std::filesystem::path user_frame_cache();

} // namespace vm2oci
