// A stored layer becomes its content, in order: the way back of LayerEncoder, for layers of any writer.
#pragma once

#include "formats/base/sink.hpp"
#include "formats/base/size.hpp"
#include "formats/codec/compression.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace vm2oci {

class StreamDecoder;

// By the first bytes, as readers of layers do; the media type is not asked. nullopt: fewer than 4 bytes, more are
// needed to tell. Error{unsupported} for bzip2.
std::optional<Compression> detect_compression(std::span<const std::byte> beginning);

inline constexpr std::uint64_t kMaxLayerContent = 4 * TiB; // twice the largest disk that is packaged by default
inline constexpr int kMaxZstdWindowLog = 25;               // 32 MiB: what level 20 asks for; bounds our memory

struct DecodeLimits {
    std::uint64_t max_content = kMaxLayerContent;
};

// Reads zstd (frames, skippable frames), gzip (members), xz (streams) and content that is not compressed.
class LayerDecoder final : public ByteSink {
  public:
    // `out` receives the content, in the calls of write() and finish(); it must outlive this object.
    explicit LayerDecoder(ByteSink& out, DecodeLimits limits = {});
    ~LayerDecoder() override;

    // Takes the stored bytes in pieces of any size. Error{corrupt}, Error{unsupported}, Error{limit}.
    void write(std::span<const std::byte> stored) override;
    // Error{corrupt} if the layer ends in the middle of a frame or member. Call once, at the end.
    void finish();

    std::uint64_t content_size() const { return content_size_; }
    // nullopt before the first 4 bytes.
    std::optional<Compression> compression() const { return compression_; }

  private:
    void start(Compression compression);

    ByteSink& out_;
    const DecodeLimits limits_;
    std::unique_ptr<ByteSink> counted_;
    std::uint64_t content_size_ = 0;
    std::optional<Compression> compression_;
    std::unique_ptr<StreamDecoder> engine_;
    std::byte beginning_[4];
    std::size_t beginning_size_ = 0;
};

} // namespace vm2oci
