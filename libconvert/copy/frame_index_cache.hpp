// Where the indexes of the frames of layers are kept between conversions: a folder that is the user's own.
#pragma once

#include "formats/codec/frame_index.hpp"
#include "formats/oci/digest.hpp"
#include "formats/oci/layer_writer.hpp"

#include <filesystem>
#include <optional>
#include <span>

namespace vm2oci {

inline constexpr std::size_t kMaxIndexBytes = 64 * MiB; // a disk with 1.2 TB of data
inline constexpr std::size_t kMaxIndexedLayers = 32;    // the oldest go; a version needs those of the one before it

// Indexes are an economy: where they cannot be read or written, everything works without them.
class FrameIndexCache {
  public:
    // `folder` need not exist; empty: nothing is kept.
    explicit FrameIndexCache(std::filesystem::path folder) : folder_(std::move(folder)) {}

    // nullopt: none, or not written by this user, or not on this layer.
    std::optional<FrameIndex> find(const Digest& layer) const;
    // Takes the place of earlier ones of the same layers.
    void keep(std::span<const StoredLayer> layers) const;

  private:
    void forget_oldest() const;

    std::filesystem::path folder_;
};

// $XDG_CACHE_HOME/vm2oci/frames, else ~/.cache/vm2oci/frames; empty without a home.
std::filesystem::path user_frame_cache();

} // namespace vm2oci
