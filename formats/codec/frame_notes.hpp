// What a conversion writes down about the frames that it made, so that the next one knows them again without decoding.
//
// A layer's own tables cannot serve for that: who made the layer made them, too. Notes are believed because they never
// leave the user who made them (libconvert/copy/frame_notebook.hpp keeps them).
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

struct FrameNote {
    Fingerprint content{};
    Fingerprint stored{}; // of the frame as it stands in the layer
    std::uint64_t offset = 0;
    EncodedFrame frame;
    bool operator==(const FrameNote&) const = default;
};

struct FrameNotes {
    FingerprintKey key{};
    std::vector<FrameNote> frames; // not necessarily all of the layer
    bool operator==(const FrameNotes&) const = default;
};

// `layer` is the text of the layer's digest; parse_frame_notes() answers nullopt for notes on another one, and for what
// is no notes at all.
std::vector<std::byte> serialise_frame_notes(const FrameNotes& notes, std::string_view layer);
std::optional<FrameNotes> parse_frame_notes(std::span<const std::byte> bytes, std::string_view layer);

} // namespace vm2oci
