// The frames of earlier layers, which take the place of compressing the same content again.
#pragma once

#include "formats/block/block_device.hpp"
#include "formats/codec/frame_decoder.hpp"
#include "formats/codec/frame_index.hpp"
#include "formats/codec/seek_table.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace vm2oci {

// Frames are found by an index, and then need not be decoded, or by the checksums of a seek table; these are believed
// only when they decode to the content that is wanted: a layer that is damaged, or was made to deceive, costs the reuse
// and nothing else.
class EarlierFrames {
  public:
    EarlierFrames() : key_(random_fingerprint_key()) {}

    // Of zstd layers with a seek table and checksums. False: this one has none, so nothing of it can be used.
    // `index` is of this very layer, from a source that is trusted. That of the first layer that has one decides
    // about the key: an index by another key cannot be used and is passed over.
    bool add(std::shared_ptr<const BlockDevice> layer, const std::optional<FrameIndex>& index = std::nullopt);
    bool empty() const { return places_.empty(); }
    // By which the next layer is indexed.
    const FingerprintKey& key() const { return key_; }

    // One for each thread; the EarlierFrames must outlive it and not change meanwhile.
    class Finder {
      public:
        explicit Finder(const EarlierFrames& frames) : frames_(frames), fingerprint_(frames.key()) {}

        // A frame that decodes to exactly `content`, copied to `out`: its entry, but for the offset. Where there is
        // none, the entry's compressed_size is 0, and nothing is known of the fingerprint of what is stored.
        IndexedFrame find(std::span<const std::byte> content, std::span<std::byte> out);
        // Completes the entry of a frame that was compressed instead.
        void complete(IndexedFrame& indexed, std::span<const std::byte> stored);

      private:
        bool take_indexed(IndexedFrame& indexed, std::span<std::byte> out);
        bool take_decoded(IndexedFrame& indexed, std::span<const std::byte> content, std::span<std::byte> out);

        const EarlierFrames& frames_;
        Fingerprinter fingerprint_;
        FrameDecoder decoder_;
        std::vector<std::byte> decoded_;
    };

  private:
    struct Place {
        std::uint32_t layer;
        std::uint32_t stored_size;
        std::uint64_t stored_offset;
    };
    struct Known {
        std::uint32_t layer;
        IndexedFrame indexed;
    };
    static std::uint64_t key(std::uint32_t checksum, std::uint32_t content_size) {
        return std::uint64_t{content_size} << 32 | checksum;
    }
    void add_index(const FrameIndex& index, std::uint32_t number, std::uint64_t layer_size);

    std::vector<std::shared_ptr<const BlockDevice>> layers_;
    std::unordered_multimap<std::uint64_t, Place> places_;
    FingerprintKey key_;
    std::map<Fingerprint, Known> indexed_; // by the content's
};

} // namespace vm2oci
