// What compressed layers are known to unpack to, kept between runs. The stored bytes of a layer are hashed whenever it
// is read whole; what they unpack to follows from them, and to hash that too takes more than all the rest of the
// reading.
#pragma once

#include "formats/base/private_cache.hpp"
#include "formats/oci/digest.hpp"

#include <filesystem>
#include <optional>
#include <span>
#include <utility>

namespace vm2oci {

struct ProvenLayer {
    Digest stored;  // of the layer's blob
    Digest diff_id; // of what it unpacks to: computed, not believed
};

class ProvenLayers {
  public:
    // As PrivateCache.
    explicit ProvenLayers(std::filesystem::path folder);

    std::optional<Digest> diff_id_of(const Digest& stored) const;
    void keep(std::span<const ProvenLayer> layers) const;

  private:
    PrivateCache cache_;
};

// $XDG_CACHE_HOME/vm2oci/layers, else ~/.cache/vm2oci/layers; empty without a home.
std::filesystem::path user_layer_cache();

} // namespace vm2oci
