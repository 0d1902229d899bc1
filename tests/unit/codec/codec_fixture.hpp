// What the tests of the codec room share.
#pragma once

#include "formats/base/fd.hpp"
#include "formats/base/sink.hpp"
#include "formats/block/block_device.hpp"
#include "formats/codec/layer_encoder.hpp"

#include <algorithm>
#include <random>
#include <string>
#include <string_view>

namespace vm2oci {

class StringSink final : public ByteSink {
  public:
    void write(std::span<const std::byte> bytes) override { text += as_text(bytes); }
    std::string text;
};

// Bytes as a device.
class StringDevice final : public BlockDevice {
  public:
    explicit StringDevice(std::string text) : text_(std::move(text)) {}
    std::uint64_t size() const override { return text_.size(); }
    void read_at(std::uint64_t offset, std::span<std::byte> buffer) const override {
        check_range(*this, offset, buffer.size());
        bytes_read += buffer.size();
        std::ranges::copy(as_bytes(text_).subspan(offset, buffer.size()), buffer.begin());
    }
    Extent extent_at(std::uint64_t offset) const override { return {text_.size() - offset, ExtentKind::data}; }

    mutable std::uint64_t bytes_read = 0;

  private:
    std::string text_;
};

// Compressible and incompressible ranges, zeros, an odd end.
inline std::string sample(std::size_t size) {
    std::mt19937_64 random(7);
    std::string text;
    while (text.size() < size) {
        switch (random() % 4) {
        case 0:
            text.append(random() % (3 * kFrameSize), '\0');
            break;
        case 1:
            for (unsigned i = 0; i < 50000; ++i)
                text += static_cast<char>(random());
            break;
        default:
            for (unsigned i = 0; i < 20000; ++i)
                text += "line " + std::to_string(random() % 1000) + " of a log\n";
        }
    }
    text.resize(size);
    return text;
}

struct Encoded {
    std::string bytes;
    EncodedLayer layer;
};

inline Encoded encode(std::string_view text, CompressionSpec spec, unsigned threads = 2, std::size_t step = 77777) {
    StringSink sink;
    OperationContext operation;
    operation.threads = threads;
    LayerEncoder encoder(spec, sink, operation);
    for (std::size_t at = 0; at < text.size(); at += step)
        encoder.write(as_bytes(text.substr(at, step)));
    EncodedLayer layer = encoder.finish();
    return {std::move(sink.text), std::move(layer)};
}

} // namespace vm2oci
