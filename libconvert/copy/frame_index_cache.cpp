#include "libconvert/copy/frame_index_cache.hpp"

#include <vector>

namespace vm2oci {

std::optional<FrameIndex> FrameIndexCache::find(const Digest& layer) const {
    const std::optional<std::vector<std::byte>> bytes = cache_.find(layer.hex());
    return bytes ? parse_frame_index(*bytes, layer.text()) : std::nullopt;
}

void FrameIndexCache::keep(std::span<const StoredLayer> layers) const {
    std::vector<PrivateCache::Entry> entries;
    for (const StoredLayer& layer : layers) {
        const Digest& digest = layer.descriptor.digest;
        if (!layer.index.frames.empty())
            entries.push_back({digest.hex(), serialise_frame_index(layer.index, digest.text())});
    }
    cache_.keep(entries);
}

std::filesystem::path user_frame_cache() {
    return user_cache_folder("frames");
}

} // namespace vm2oci
