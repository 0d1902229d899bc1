// The seek table at the end of a layer made of independent zstd frames (zstd, contrib/seekable_format): a skippable
// frame, so every zstd reader passes over it.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vm2oci {

// One frame. Frames follow each other without gaps: offsets are the sums of what stands before.
struct EncodedFrame {
    std::uint32_t compressed_size = 0;
    std::uint32_t content_size = 0; // 0 for a skippable frame
    std::uint32_t checksum = 0;     // of the content: frame_checksum() (formats/codec/frame_checksum.hpp)
    bool operator==(const EncodedFrame&) const = default;
};

struct SeekTable {
    std::vector<EncodedFrame> frames;
    bool has_checksums = false; // else those of the frames say nothing
};

inline constexpr std::size_t kMaxSeekTableFrames = 0x8000000; // the format's own limit

// The whole skippable frame, with checksums. Error{limit} above kMaxSeekTableFrames.
std::vector<std::byte> make_seek_table(std::span<const EncodedFrame> frames);

// The frames in front of the table, which add up to all that stands there. nullopt: there is no table that can be
// trusted so far; a reader then decodes from the beginning. That the frames are what the table says, its reader checks.
std::optional<SeekTable> read_seek_table(const BlockDevice& layer);

// What is wrong with a layer's seek table, if it has one: entries whose frames say another size in their headers.
// Reads the table and the headers.
std::optional<std::string> check_seek_table(const BlockDevice& layer);

} // namespace vm2oci
