// A byte stream becomes a compressed layer: independent frames, compressed on several threads, written in order.
//
// The output depends on the bytes, the frame boundaries and the compression alone, never on the number of threads.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/base/sha256.hpp"
#include "formats/base/sink.hpp"
#include "formats/base/size.hpp"

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class Compression { none, gzip, zstd };
std::string_view to_string(Compression compression);

struct CompressionSpec {
    Compression algorithm = Compression::zstd;
    int level = 0; // 0: the algorithm's default
};
// "zstd", "zstd:1", "gzip:9", "none"; Error{usage} otherwise.
CompressionSpec parse_compression(std::string_view text);

inline constexpr std::uint64_t kFrameSize = 1 * MiB; // 3 % smaller than 256 KiB frames, 3 % larger than 4 MiB ones

struct EncodedFrame {
    std::uint64_t compressed_offset;
    std::uint64_t compressed_size;
    std::uint64_t content_offset;
    std::uint64_t content_size;
};

struct EncodedLayer {
    Sha256Sum diff_id{}; // of the content
    std::uint64_t content_size = 0;
    std::uint64_t compressed_size = 0; // all that was written to the sink
    std::vector<EncodedFrame> frames;  // empty for Compression::none
};

class LayerEncoder final : public ByteSink {
  public:
    // `out` receives the layer, from a thread of the encoder; it must outlive this object.
    LayerEncoder(CompressionSpec spec, ByteSink& out, const OperationContext& operation);
    ~LayerEncoder() override; // joins the threads; what was not finished is incomplete

    void write(std::span<const std::byte> bytes) override;
    // The next byte begins a new frame. No effect at a boundary.
    void end_frame();
    // Writes what was given since the last boundary as a frame that is stored, not compressed (zstd: one raw block).
    // Readers that sniff the first 512 bytes of a layer need that (layer head). No effect for Compression::none.
    void end_frame_stored();
    // Flushes, appends the seek table (zstd), joins. Rethrows what a thread or the sink threw. Call once.
    EncodedLayer finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace vm2oci
