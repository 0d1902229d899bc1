// A byte stream becomes a stored layer: LayerEncoder into a blob, and the descriptor and diff_id that come of it.
#pragma once

#include "formats/codec/layer_encoder.hpp"
#include "formats/oci/chunked_recorder.hpp"
#include "formats/oci/store.hpp"
#include "formats/tree/tar_sink.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

enum class LayerForm {
    plain,
    chunked, // zstd with a table of contents (chunked_toc.hpp)
};

struct LayerOptions {
    LayerOptions(CompressionSpec spec = {}) : compression(spec) {} // NOLINT: the rest is seldom wanted

    CompressionSpec compression;
    LayerForm form = LayerForm::plain;            // Error{usage} for chunked with another compression than zstd
    std::shared_ptr<const EarlierFrames> earlier; // as EncoderOptions has it
    ContentDigest content_digest = ContentDigest::compute; // the same
};

struct StoredLayer {
    Descriptor descriptor; // media type by compression; annotations of chunked layers
    Digest diff_id;        // empty with ContentDigest::leave_out
    std::uint64_t content_size = 0;
    std::vector<EncodedFrame> frames; // empty for Compression::none
    std::uint64_t reused_frames = 0;
    FrameIndex index; // as EncodedLayer has it
};

// application/vnd.oci.image.layer.v1.tar, +gzip or +zstd.
std::string layer_media_type(Compression compression);

class LayerWriter final : public ByteSink, public TarObserver {
  public:
    // `destination` must outlive this object.
    LayerWriter(ImageDestination& destination, const LayerOptions& options, const OperationContext& operation);

    // What is written is a tar, of which this object is told every entry before its header comes.
    void entry_begins(const Entry& entry, std::string_view header) override;
    // As LayerEncoder's.
    void write(std::span<const std::byte> bytes) override;
    std::span<std::byte> room() override;
    void end_frame();
    void end_frame_stored();
    // Commits the blob. Call once.
    StoredLayer finish();

  private:
    Compression compression_;
    ContentDigest content_digest_;
    std::unique_ptr<ChunkedRecorder> recorder_; // null: a plain layer
    std::unique_ptr<BlobWriter> blob_;
    LayerEncoder encoder_; // writes to the blob, so it goes first
};

} // namespace vm2oci
