// The seek table at the end of a layer made of independent zstd frames (zstd, contrib/seekable_format): a skippable
// frame, so every zstd reader passes over it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace vm2oci {

// Sizes of one frame. Frames follow each other without gaps: offsets are the sums of what stands before.
struct EncodedFrame {
    std::uint32_t compressed_size = 0;
    std::uint32_t content_size = 0; // 0 for a skippable frame
    bool operator==(const EncodedFrame&) const = default;
};

inline constexpr std::size_t kMaxSeekTableFrames = 0x8000000; // the format's own limit

// The whole skippable frame. Error{limit} above kMaxSeekTableFrames.
std::vector<std::byte> make_seek_table(std::span<const EncodedFrame> frames);

} // namespace vm2oci
