// A byte stream becomes a compressed layer: independent frames, compressed on several threads, written in order.
//
// The output depends on the bytes, the frame boundaries and the compression alone, never on the number of threads.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/sink.hpp"
#include "formats/base/size.hpp"
#include "formats/codec/compression.hpp"
#include "formats/codec/earlier_frames.hpp"
#include "formats/codec/seek_table.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kFrameSize = 1 * MiB; // 3 % smaller than 256 KiB frames, 3 % larger than 4 MiB ones

// What a table of contents says of a frame.
struct FrameContent {
    Sha256Sum digest{}; // not computed for zeros
    bool is_zero = false;
};

struct EncodedLayer {
    // Of the content. Absent for ContentDigest::leave_out, and for Compression::none, where the content is what went to
    // the sink, so that whoever hashes the blob has the diff_id already (LayerWriter in formats/oci/layer_writer.hpp
    // does).
    std::optional<Sha256Sum> diff_id;
    std::uint64_t content_size = 0;
    std::uint64_t compressed_size = 0;  // all that was written to the sink
    std::vector<EncodedFrame> frames;   // empty for Compression::none
    std::vector<FrameContent> contents; // one for each frame; empty unless FrameDigests::compute
    std::uint64_t reused_frames = 0;    // that were taken from an earlier layer
    FrameIndex index;                   // for the next version; empty without EncoderOptions::earlier
};

enum class FrameDigests { leave_out, compute };

// Layers of artifacts have no diff_id, and to hash a disk of holes takes longer than all the rest.
enum class ContentDigest { compute, leave_out };

struct EncoderOptions {
    FrameDigests frame_digests = FrameDigests::leave_out;
    std::shared_ptr<const EarlierFrames> earlier; // zstd only; null: everything is compressed
    ContentDigest content_digest = ContentDigest::compute;
};

// What stands between the content and the seek table of a zstd layer: skippable frames, made when all of the content is
// known. `frames`, `contents` and `compressed_size` of the layer are those of the content alone.
using TailMaker = std::function<std::vector<std::vector<std::byte>>(const EncodedLayer&)>;

class LayerEncoder final : public ByteSink {
  public:
    // `out` receives the layer, from a thread of the encoder if it has any; it must outlive this object. Of
    // `operation`, threads and cancellation are used; progress is the caller's, who knows the total. Threads:
    // `operation.threads` compress (at most kMaxCompressors), one computes the diff_id, one writes; of one thread
    // everything is the caller's, so that several conversions that share a machine do not disturb each other.
    // Memory: about 2 MiB for each compressing thread and 40 MiB besides, at the default levels.
    LayerEncoder(CompressionSpec spec, ByteSink& out, const OperationContext& operation, EncoderOptions options = {});
    ~LayerEncoder() override; // joins the threads; what was not finished is incomplete

    static constexpr unsigned kMaxCompressors = 16; // more than keep one SHA-256 stream busy would only cost memory

    // Copies, unless it is from room(). Blocks while too many frames wait. Rethrows what a thread or the sink threw;
    // Error{cancelled}.
    void write(std::span<const std::byte> bytes) override;
    std::span<std::byte> room() override; // what the frame that is being filled has left
    // The next byte begins a new frame. No effect at a boundary.
    void end_frame();
    // As end_frame(), but what was given since the last boundary becomes a frame that is stored, not compressed (zstd:
    // a raw block). Readers that sniff the first 512 bytes of a layer need that for its head.
    // No effect for Compression::none.
    void end_frame_stored();
    // Flushes, appends the tail and the seek table (zstd), joins. Rethrows what a thread or the sink threw. Call once.
    EncodedLayer finish(const TailMaker& make_tail = {});

  private:
    class Pipeline;
    std::unique_ptr<Pipeline> pipeline_;
};

} // namespace vm2oci
