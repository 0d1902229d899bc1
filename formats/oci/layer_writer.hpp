// A byte stream becomes a stored layer: LayerEncoder into a blob, and the descriptor and diff_id that come of it.
#pragma once

#include "formats/codec/layer_encoder.hpp"
#include "formats/oci/store.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct StoredLayer {
    Descriptor descriptor; // media type by compression; no annotations
    Digest diff_id;
    std::uint64_t content_size = 0;
    std::vector<EncodedFrame> frames; // empty for Compression::none
};

// application/vnd.oci.image.layer.v1.tar, +gzip or +zstd.
std::string layer_media_type(Compression compression);

class LayerWriter final : public ByteSink {
  public:
    // `destination` must outlive this object.
    LayerWriter(ImageDestination& destination, CompressionSpec spec, const OperationContext& operation);

    // As LayerEncoder's.
    void write(std::span<const std::byte> bytes) override;
    void end_frame();
    void end_frame_stored();
    // Commits the blob. Call once.
    StoredLayer finish();

  private:
    Compression compression_;
    std::unique_ptr<BlobWriter> blob_;
    LayerEncoder encoder_; // writes to the blob, so it goes first
};

} // namespace vm2oci
