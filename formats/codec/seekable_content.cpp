#include "formats/codec/seekable_content.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/codec/frame_checksum.hpp"
#include "formats/codec/frame_decoder.hpp"
#include "formats/codec/seek_table.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::uint32_t kMaxFrameContent = 8 * MiB; // larger ones make random access slow and memory large
constexpr std::uint32_t kMaxFrameStored = 9 * MiB;  // what such a frame may need at worst
constexpr std::size_t kMaxCachedBytes = 32 * MiB;   // of content: what a guest's inspection goes back to
constexpr std::size_t kMaxSkippedFrames = 64;       // each is looked at when the layer is opened

using Content = std::shared_ptr<const std::vector<std::byte>>;

// Decoded frames, the one that was used last in front.
class FrameCache {
  public:
    Content find(std::size_t frame) {
        const std::lock_guard lock(mutex_);
        const auto found = places_.find(frame);
        if (found == places_.end())
            return nullptr;
        entries_.splice(entries_.begin(), entries_, found->second);
        return found->second->content;
    }

    void add(std::size_t frame, const Content& content) {
        const std::lock_guard lock(mutex_);
        if (places_.contains(frame))
            return; // two threads decoded it
        entries_.push_front({frame, content});
        places_[frame] = entries_.begin();
        bytes_ += content->size();
        while (bytes_ > kMaxCachedBytes && entries_.size() > 1) {
            bytes_ -= entries_.back().content->size();
            places_.erase(entries_.back().frame);
            entries_.pop_back();
        }
    }

  private:
    struct Entry {
        std::size_t frame;
        Content content;
    };
    std::mutex mutex_;
    std::list<Entry> entries_;
    std::unordered_map<std::size_t, std::list<Entry>::iterator> places_;
    std::size_t bytes_ = 0;
};

class SeekableContent final : public LayerContent {
  public:
    SeekableContent(std::shared_ptr<const BlockDevice> layer, const SeekTable& table, std::vector<FrameProof> proofs)
        : layer_(std::move(layer)), has_checksums_(table.has_checksums), proofs_(std::move(proofs)) {
        std::uint64_t stored = 0;
        for (const EncodedFrame& frame : table.frames) {
            if (frame.content_size > 0)
                frames_.push_back({stored, size_, frame});
            stored += frame.compressed_size;
            size_ += frame.content_size;
        }
    }

    std::uint64_t size() const override { return size_; }
    bool reads_anywhere() const override { return true; }

    std::size_t read_some_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        if (offset >= size_)
            return 0;
        buffer = buffer.first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size_ - offset)));
        const std::size_t asked = buffer.size();
        // The last frame that begins at or before `offset`.
        auto frame = std::ranges::upper_bound(frames_, offset, {}, &Place::content_offset) - 1;
        for (; !buffer.empty(); ++frame) {
            const std::uint64_t inside = offset - frame->content_offset;
            const std::size_t length =
                static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), frame->sizes.content_size - inside));
            read_from(*frame, inside, buffer.first(length));
            buffer = buffer.subspan(length);
            offset += length;
        }
        return asked;
    }

  private:
    struct Place {
        std::uint64_t stored_offset;
        std::uint64_t content_offset;
        EncodedFrame sizes;
    };

    void read_from(const Place& place, std::uint64_t inside, std::span<std::byte> buffer) const {
        const auto index = static_cast<std::size_t>(&place - frames_.data());
        Content content = cache_.find(index);
        if (content == nullptr && buffer.size() == place.sizes.content_size) {
            decode(place, buffer); // a reader that goes straight on needs no cache
            return;
        }
        if (content == nullptr) {
            std::vector<std::byte> decoded(place.sizes.content_size);
            decode(place, decoded);
            content = std::make_shared<const std::vector<std::byte>>(std::move(decoded));
            cache_.add(index, content);
        }
        std::ranges::copy(std::span(*content).subspan(static_cast<std::size_t>(inside), buffer.size()), buffer.begin());
    }

    // Refuses whatever a reader from the beginning would see differently.
    void decode(const Place& place, std::span<std::byte> content) const {
        std::vector<std::byte> stored(place.sizes.compressed_size);
        layer_->read_at(place.stored_offset, stored);
        FrameDecoder decoder = take_decoder();
        if (const std::string_view why = decoder.decode(stored, content); !why.empty())
            fail_frame(place, why);
        if (has_checksums_ && frame_checksum(content) != place.sizes.checksum)
            fail_frame(place, "has another checksum");
        check_proof(place, content);
        const std::lock_guard lock(decoders_mutex_);
        decoders_.push_back(std::move(decoder));
    }

    void check_proof(const Place& place, std::span<const std::byte> content) const {
        // The last proof that begins at or before the frame.
        auto proof = std::ranges::upper_bound(proofs_, place.stored_offset, {}, &FrameProof::stored_offset);
        if (proof == proofs_.begin())
            return;
        --proof;
        if (proof->is_zero) {
            if (proven_zero(place, *proof) && !is_zero(content))
                fail_frame(place, "holds something where its table of contents has zeros");
        } else if (proof->stored_offset == place.stored_offset &&
                   (proof->content_size != content.size() || sha256(content) != proof->digest)) {
            fail_frame(place, "has another digest than its table of contents says");
        }
    }

    bool proven_zero(const Place& place, const FrameProof& proof) const {
        const auto first = std::ranges::lower_bound(frames_, proof.stored_offset, {}, &Place::stored_offset);
        return first != frames_.end() && place.content_offset - first->content_offset < proof.content_size;
    }

    [[noreturn]] static void fail_frame(const Place& place, std::string_view why) {
        fail(ErrorKind::corrupt,
             fmt::format("the zstd layer is broken: what its seek table names at {} {}", place.stored_offset, why));
    }

    FrameDecoder take_decoder() const {
        const std::lock_guard lock(decoders_mutex_);
        if (decoders_.empty())
            return FrameDecoder();
        FrameDecoder decoder = std::move(decoders_.back());
        decoders_.pop_back();
        return decoder;
    }

    std::shared_ptr<const BlockDevice> layer_;
    const bool has_checksums_;
    const std::vector<FrameProof> proofs_;
    std::vector<Place> frames_; // those with content, in order
    std::uint64_t size_ = 0;
    mutable FrameCache cache_;
    mutable std::mutex decoders_mutex_;
    mutable std::vector<FrameDecoder> decoders_; // as many as threads were reading at once
};

// True if what the table calls empty is a skippable frame, and so is empty to every reader.
bool is_skippable(const BlockDevice& layer, std::uint64_t offset, std::uint32_t size) {
    std::byte header[8];
    if (size < sizeof header)
        return false;
    layer.read_at(offset, header);
    return (load_le<std::uint32_t>(header) & 0xfffffff0U) == ZSTD_MAGIC_SKIPPABLE_START &&
           load_le<std::uint32_t>(header + 4) == size - sizeof header;
}

} // namespace

std::shared_ptr<const LayerContent> open_seekable_content(std::shared_ptr<const BlockDevice> layer,
                                                          const DecodeLimits& limits, std::vector<FrameProof> proofs) {
    const std::optional<SeekTable> table = read_seek_table(*layer);
    if (!table)
        return nullptr;
    std::uint64_t content = 0;
    std::uint64_t stored = 0;
    std::size_t skipped = 0;
    for (const EncodedFrame& frame : table->frames) {
        if (frame.content_size > kMaxFrameContent || frame.compressed_size > kMaxFrameStored)
            return nullptr;
        if (frame.content_size == 0 &&
            (++skipped > kMaxSkippedFrames || !is_skippable(*layer, stored, frame.compressed_size)))
            return nullptr;
        content += frame.content_size;
        stored += frame.compressed_size;
    }
    if (content > limits.max_content)
        fail(ErrorKind::limit, fmt::format("the layer's content is larger than {}", format_size(limits.max_content)));
    return std::make_shared<SeekableContent>(std::move(layer), *table, std::move(proofs));
}

} // namespace vm2oci
