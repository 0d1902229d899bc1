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
    encrypted,   // by ocicrypt: what it unpacks to is its key's holder's to tell
    foreign_form // a layer in a form that is not known here (nydus, estargz's successors): bytes
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
    std::vector<std::string> remarks;  // why something cannot be told
};

// Error as the source's; what is wrong with the bytes is in `problems`.
LayerFacts read_layer(ImageSource& source, const LayerExpectation& expectation, const OperationContext& operation);

// Whether it need not be stored with the image (OCI image-spec: layer.md, non-distributable layers; Docker's foreign
// layers): its descriptor names URLs.
bool may_be_elsewhere(std::string_view media_type);

struct LayerVerdict {
    std::vector<std::string> problems; // one line for each mismatch
    std::vector<std::string> remarks;  // what is not wrong, and cannot be held against anything
};
LayerVerdict compare_layer(const LayerFacts& facts, const std::vector<LayerExpectation>& expectations);

} // namespace vm2oci
