// One stored layer, read through once, against what manifests and configs say about it.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/codec/compression.hpp"
#include "formats/oci/store.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class LayerKind {
    file_system, // a tar, perhaps compressed: decoded
    opaque,      // an artifact's or attestation's blob: bytes; its diff_id, if any, is its digest
};

// What an image's layer of that type is.
LayerKind layer_kind(std::string_view media_type);

struct LayerExpectation {
    Descriptor descriptor;
    std::optional<Digest> diff_id;
    LayerKind kind = LayerKind::file_system;
};

struct LayerFacts {
    Digest digest;
    std::uint64_t stored_size = 0;
    std::uint64_t content_size = 0;
    std::optional<Digest> diff_id; // none: opaque, or it cannot be decoded
    std::optional<Compression> compression;
    std::vector<std::string> problems; // in decoding, and of the seek table
};

// Error as the source's; what is wrong with the bytes is in `problems`.
LayerFacts read_layer(ImageSource& source, const LayerExpectation& expectation, const OperationContext& operation);

// One line for each mismatch.
std::vector<std::string> compare_layer(const LayerFacts& facts, const std::vector<LayerExpectation>& expectations);

} // namespace vm2oci
