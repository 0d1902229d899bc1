#include "libconvert/source/proven_layers.hpp"

#include "formats/base/error.hpp"

#include <string>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kMostLayers = 1024;
constexpr std::size_t kLongestEntry = 256; // two digests and a space

// With the layer's own digest, so that a file that has got another's name says nothing.
std::string entry_text(const ProvenLayer& layer) {
    return layer.stored.text() + " " + layer.diff_id.text();
}

} // namespace

ProvenLayers::ProvenLayers(std::filesystem::path folder) : cache_(std::move(folder), {kMostLayers, kLongestEntry}) {}

std::optional<Digest> ProvenLayers::diff_id_of(const Digest& stored) const {
    const std::optional<std::vector<std::byte>> bytes = cache_.find(stored.hex());
    if (!bytes)
        return std::nullopt;
    const std::string text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    const std::string beginning = stored.text() + " ";
    if (!text.starts_with(beginning))
        return std::nullopt;
    try {
        return Digest::parse(text.substr(beginning.size()));
    } catch (const Error&) {
        return std::nullopt;
    }
}

void ProvenLayers::keep(std::span<const ProvenLayer> layers) const {
    std::vector<PrivateCache::Entry> entries;
    for (const ProvenLayer& layer : layers) {
        const std::string text = entry_text(layer);
        const auto bytes = std::as_bytes(std::span(text));
        entries.push_back({layer.stored.hex(), {bytes.begin(), bytes.end()}});
    }
    cache_.keep(entries);
}

std::filesystem::path user_layer_cache() {
    return user_cache_folder("layers");
}

} // namespace vm2oci
