#include "formats/codec/layer_decoder.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/codec/stream_decoder.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

namespace vm2oci {
namespace {

class LimitedSink final : public ByteSink {
  public:
    LimitedSink(ByteSink& out, std::uint64_t& count, std::uint64_t limit) : out_(out), count_(count), limit_(limit) {}
    void write(std::span<const std::byte> bytes) override {
        if (bytes.empty())
            return;
        if (bytes.size() > limit_ - count_)
            fail(ErrorKind::limit, fmt::format("the layer's content is larger than {}", format_size(limit_)));
        count_ += bytes.size();
        out_.write(bytes);
    }

  private:
    ByteSink& out_;
    std::uint64_t& count_;
    const std::uint64_t limit_;
};

class PlainEngine final : public StreamDecoder {
  public:
    void decode(std::span<const std::byte> stored, ByteSink& out) override { out.write(stored); }
    void finish() override {}
};

bool begins_with(std::span<const std::byte> bytes, std::string_view magic) {
    return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

} // namespace

std::optional<Compression> detect_compression(std::span<const std::byte> beginning) {
    if (beginning.size() < 4)
        return std::nullopt;
    const auto word = load_le<std::uint32_t>(beginning.data());
    if (word == ZSTD_MAGICNUMBER || (word & 0xfffffff0U) == ZSTD_MAGIC_SKIPPABLE_START)
        return Compression::zstd;
    if (begins_with(beginning, "\x1f\x8b\x08"))
        return Compression::gzip;
    if (begins_with(beginning, "BZh"))
        fail(ErrorKind::unsupported, "it is compressed with bzip2, which is not read; compress it with zstd or gzip");
    if (begins_with(beginning, "\xfd"
                               "7zX"))
        return Compression::xz;
    return Compression::none;
}

LayerDecoder::LayerDecoder(ByteSink& out, DecodeLimits limits)
    : out_(out), limits_(limits), counted_(std::make_unique<LimitedSink>(out_, content_size_, limits_.max_content)) {}

LayerDecoder::~LayerDecoder() = default;

void LayerDecoder::start(Compression compression) {
    compression_ = compression;
    switch (compression) {
    case Compression::none:
        engine_ = std::make_unique<PlainEngine>();
        break;
    case Compression::gzip:
        engine_ = make_gzip_decoder(Padding::none);
        break;
    case Compression::zstd:
        engine_ = make_zstd_decoder(kMaxZstdWindowLog);
        break;
    case Compression::xz:
        engine_ = make_xz_decoder();
        break;
    }
    engine_->decode(std::span(beginning_).first(beginning_size_), *counted_);
}

void LayerDecoder::write(std::span<const std::byte> stored) {
    if (engine_ == nullptr) {
        const std::size_t taken = std::min(stored.size(), sizeof beginning_ - beginning_size_);
        std::ranges::copy(stored.first(taken), beginning_ + beginning_size_);
        beginning_size_ += taken;
        stored = stored.subspan(taken);
        const std::optional<Compression> compression = detect_compression(std::span(beginning_).first(beginning_size_));
        if (!compression)
            return;
        start(*compression);
    }
    if (!stored.empty())
        engine_->decode(stored, *counted_);
}

void LayerDecoder::finish() {
    if (engine_ == nullptr)
        start(Compression::none);
    engine_->finish();
}

} // namespace vm2oci
