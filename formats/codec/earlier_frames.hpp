// The frames of earlier layers, which take the place of compressing the same content again.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/codec/frame_decoder.hpp"
#include "formats/codec/seek_table.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace vm2oci {

// Frames are found by the checksums of a seek table and believed only when they decode to the content that is wanted:
// a layer that is damaged, or was made to deceive, costs the reuse and nothing else.
class EarlierFrames {
  public:
    // Of zstd layers with a seek table and checksums. False: this one has none, so nothing of it can be used.
    bool add(std::shared_ptr<const BlockDevice> layer);
    bool empty() const { return places_.empty(); }

    // One for each thread; the EarlierFrames must outlive it and not change meanwhile.
    class Finder {
      public:
        explicit Finder(const EarlierFrames& frames) : frames_(frames) {}

        // A frame that decodes to exactly `content`, copied to `out`; returns its size. 0: there is none that fits.
        // `checksum` is frame_checksum(content).
        std::size_t find(std::span<const std::byte> content, std::uint32_t checksum, std::span<std::byte> out);

      private:
        const EarlierFrames& frames_;
        FrameDecoder decoder_;
        std::vector<std::byte> decoded_;
    };

  private:
    struct Place {
        std::uint32_t layer;
        std::uint32_t stored_size;
        std::uint64_t stored_offset;
    };
    static std::uint64_t key(std::uint32_t checksum, std::uint32_t content_size) {
        return std::uint64_t{content_size} << 32 | checksum;
    }

    std::vector<std::shared_ptr<const BlockDevice>> layers_;
    std::unordered_multimap<std::uint64_t, Place> places_;
};

} // namespace vm2oci
