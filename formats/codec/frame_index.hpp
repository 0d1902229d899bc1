// The index that a conversion keeps of the frames that it made, so that the next one knows them again without decoding.
//
// A layer's own tables cannot serve for that: who made the layer made them, too. An index is believed because it never
// leaves the user who made it (libconvert/copy/frame_index_cache.hpp keeps it).
#pragma once

#include "formats/base/fingerprint.hpp"
#include "formats/codec/seek_table.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace vm2oci {

struct IndexedFrame {
    Fingerprint content{};
    Fingerprint stored{}; // of the frame as it stands in the layer
    std::uint64_t offset = 0;
    EncodedFrame frame;
    bool operator==(const IndexedFrame&) const = default;
};

struct FrameIndex {
    FingerprintKey key{};
    std::vector<IndexedFrame> frames; // not necessarily all of the layer
    bool operator==(const FrameIndex&) const = default;
};

// `layer` is the text of the layer's digest; parse_frame_index() answers nullopt for an index of another one, and for
// what is no index at all.
std::vector<std::byte> serialise_frame_index(const FrameIndex& index, std::string_view layer);
std::optional<FrameIndex> parse_frame_index(std::span<const std::byte> bytes, std::string_view layer);

} // namespace vm2oci
