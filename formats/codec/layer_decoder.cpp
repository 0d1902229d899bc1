#include "formats/codec/layer_decoder.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <lzma.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kOutputStep = 256 * 1024;    // at least two zstd blocks
constexpr std::uint64_t kMaxXzMemory = 256 * MiB;  // xz -9 takes 65 MiB
constexpr std::size_t kGzipHeaderStep = 512;       // nearly all headers end in it
constexpr std::size_t kMaxGzipHeader = 128 * 1024; // the extra field has up to 64 KiB, the rest is a name

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

} // namespace

class LayerDecoder::Engine {
  public:
    virtual ~Engine() = default;
    virtual void decode(std::span<const std::byte> stored, ByteSink& out) = 0;
    virtual void finish() = 0;
};

namespace {

class PlainEngine final : public LayerDecoder::Engine {
  public:
    void decode(std::span<const std::byte> stored, ByteSink& out) override { out.write(stored); }
    void finish() override {}
};

class ZstdEngine final : public LayerDecoder::Engine {
  public:
    ZstdEngine() : context_(ZSTD_createDCtx()), buffer_(kOutputStep) {
        if (context_ == nullptr ||
            ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMaxZstdWindowLog)) != 0)
            fail(ErrorKind::external, "libzstd cannot make a decompression context");
    }

    void decode(std::span<const std::byte> stored, ByteSink& out) override {
        ZSTD_inBuffer in{stored.data(), stored.size(), 0};
        bool output_full = false;
        while (in.pos < in.size || output_full) {
            ZSTD_outBuffer made{buffer_.data(), buffer_.size(), 0};
            wanted_ = ZSTD_decompressStream(context_.get(), &made, &in);
            if (ZSTD_isError(wanted_) != 0)
                fail_zstd(wanted_);
            out.write(std::span(buffer_).first(made.pos));
            output_full = made.pos == made.size && wanted_ != 0; // at a frame's end all of it is out
        }
    }

    void finish() override {
        if (wanted_ != 0)
            fail(ErrorKind::corrupt, "the zstd layer ends in the middle of a frame");
    }

  private:
    [[noreturn]] static void fail_zstd(std::size_t code) {
        const std::string name = ZSTD_getErrorName(code);
        if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
            fail(ErrorKind::unsupported, fmt::format("the zstd layer needs a window of more than {}",
                                                     format_size(std::uint64_t{1} << kMaxZstdWindowLog)));
        fail(ErrorKind::corrupt, "the zstd layer is broken: " + name);
    }

    struct Free {
        void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_;
    std::vector<std::byte> buffer_;
    std::size_t wanted_ = 0; // libzstd's hint; 0 at the end of a frame
};

// The length of the member header (RFC 1952) that `bytes` begins with; nullopt: more bytes are needed.
// ISA-L could read it as well, but not check its checksum when it comes in pieces.
std::optional<std::size_t> gzip_header_length(std::span<const std::byte> bytes) {
    constexpr std::size_t fixed = 10;
    constexpr unsigned has_checksum = 2;
    constexpr unsigned has_extra = 4;
    constexpr unsigned has_name = 8;
    constexpr unsigned has_comment = 16;
    constexpr std::string_view magic = "\x1f\x8b\x08";
    const std::size_t known = std::min(bytes.size(), magic.size());
    if (std::memcmp(bytes.data(), magic.data(), known) != 0)
        fail(ErrorKind::corrupt, "the gzip layer is broken: something that is no gzip member");
    if (bytes.size() < fixed)
        return std::nullopt;
    const auto flags = std::to_integer<unsigned>(bytes[3]);
    std::size_t at = fixed;
    if ((flags & has_extra) != 0) {
        if (bytes.size() < at + 2)
            return std::nullopt;
        at += std::size_t{2} + load_le<std::uint16_t>(bytes.data() + at);
    }
    for (const unsigned text : {has_name, has_comment}) {
        if ((flags & text) == 0)
            continue;
        if (at >= bytes.size())
            return std::nullopt;
        const auto end = std::ranges::find(bytes.subspan(at), std::byte{0});
        if (end == bytes.end())
            return std::nullopt;
        at = static_cast<std::size_t>(end - bytes.begin()) + 1;
    }
    if ((flags & has_checksum) != 0) {
        if (bytes.size() < at + 2)
            return std::nullopt;
        const std::uint32_t sum = libdeflate_crc32(0, bytes.data(), at);
        if (load_le<std::uint16_t>(bytes.data() + at) != (sum & 0xffff))
            fail(ErrorKind::corrupt, "the gzip layer is broken: a wrong checksum of a header");
        at += 2;
    }
    if (bytes.size() < at)
        return std::nullopt;
    return at;
}

class GzipEngine final : public LayerDecoder::Engine {
  public:
    GzipEngine() : state_(std::make_unique<inflate_state>()), buffer_(kOutputStep) {}

    void decode(std::span<const std::byte> stored, ByteSink& out) override {
        while (!stored.empty())
            stored = place_ == Place::content ? inflate(stored, out) : read_header(stored);
    }

    void finish() override {
        if (place_ == Place::content || !header_.empty())
            fail(ErrorKind::corrupt, "the gzip layer ends in the middle of a member");
    }

  private:
    enum class Place { header, content };

    // Both take what they can use and return the rest.
    std::span<const std::byte> read_header(std::span<const std::byte> stored) {
        const std::size_t before = header_.size();
        const std::size_t taken = std::min({stored.size(), kGzipHeaderStep, kMaxGzipHeader - before});
        header_.insert(header_.end(), stored.begin(), stored.begin() + static_cast<std::ptrdiff_t>(taken));
        const std::optional<std::size_t> length = gzip_header_length(header_);
        if (!length) {
            if (header_.size() == kMaxGzipHeader)
                fail(ErrorKind::limit, fmt::format("a gzip header is longer than {}", format_size(kMaxGzipHeader)));
            return stored.subspan(taken);
        }
        header_.clear();
        isal_inflate_init(state_.get());
        state_->crc_flag = ISAL_GZIP_NO_HDR_VER; // reads the trailer, checks the checksum
        place_ = Place::content;
        return stored.subspan(*length - before);
    }

    std::span<const std::byte> inflate(std::span<const std::byte> stored, ByteSink& out) {
        constexpr std::size_t step = std::size_t{1} << 30; // avail_in is 32 bits wide
        const std::size_t given = std::min(stored.size(), step);
        // The library takes its input as non-const, and does not write to it.
        state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(stored.data()));
        state_->avail_in = static_cast<std::uint32_t>(given);
        do {
            state_->next_out = reinterpret_cast<std::uint8_t*>(buffer_.data());
            state_->avail_out = static_cast<std::uint32_t>(buffer_.size());
            if (const int result = isal_inflate(state_.get()); result != ISAL_DECOMP_OK)
                fail(ErrorKind::corrupt, fmt::format("the gzip layer is broken: {}", reason(result)));
            out.write(std::span(buffer_).first(buffer_.size() - state_->avail_out));
            if (state_->block_state == ISAL_BLOCK_FINISH) {
                place_ = Place::header;
                break;
            }
        } while (state_->avail_in > 0 || state_->avail_out == 0);
        return stored.subspan(given - state_->avail_in);
    }

    static const char* reason(int code) {
        switch (code) {
        case ISAL_INVALID_BLOCK:
            return "an invalid block";
        case ISAL_INVALID_SYMBOL:
            return "an invalid symbol";
        case ISAL_INVALID_LOOKBACK:
            return "a distance beyond the beginning";
        case ISAL_INVALID_WRAPPER:
            return "something that is no gzip member";
        case ISAL_UNSUPPORTED_METHOD:
            return "an unknown method";
        case ISAL_INCORRECT_CHECKSUM:
            return "a wrong checksum";
        default:
            return "an unknown reason";
        }
    }

    std::unique_ptr<inflate_state> state_;
    std::vector<std::byte> buffer_;
    std::vector<std::byte> header_; // of a member, as far as it has come
    Place place_ = Place::header;
};

class XzEngine final : public LayerDecoder::Engine {
  public:
    XzEngine() : buffer_(kOutputStep) {
        if (lzma_stream_decoder(&stream_, kMaxXzMemory, LZMA_CONCATENATED) != LZMA_OK)
            fail(ErrorKind::external, "liblzma cannot make a decompression context");
    }
    ~XzEngine() override { lzma_end(&stream_); }
    XzEngine(const XzEngine&) = delete;
    XzEngine& operator=(const XzEngine&) = delete;

    void decode(std::span<const std::byte> stored, ByteSink& out) override {
        out_ = &out;
        stream_.next_in = reinterpret_cast<const std::uint8_t*>(stored.data());
        stream_.avail_in = stored.size();
        while (stream_.avail_in > 0 || stream_.avail_out == 0)
            if (!step(LZMA_RUN))
                return;
    }

    // Only here it is known that no other stream follows; what is left in the decoder comes out.
    void finish() override {
        stream_.avail_in = 0;
        while (step(LZMA_FINISH)) {
        }
    }

  private:
    // False: nothing more comes of this input.
    bool step(lzma_action action) {
        stream_.next_out = reinterpret_cast<std::uint8_t*>(buffer_.data());
        stream_.avail_out = buffer_.size();
        const lzma_ret result = lzma_code(&stream_, action);
        if (result != LZMA_OK && result != LZMA_STREAM_END && result != LZMA_BUF_ERROR)
            fail_xz(result);
        const std::size_t made = buffer_.size() - stream_.avail_out;
        if (made > 0)
            out_->write(std::span(buffer_).first(made));
        if (result == LZMA_BUF_ERROR && action == LZMA_FINISH)
            fail(ErrorKind::corrupt, "the xz layer ends in the middle of a stream");
        return result == LZMA_OK;
    }

    [[noreturn]] static void fail_xz(lzma_ret result) {
        if (result == LZMA_MEMLIMIT_ERROR)
            fail(ErrorKind::limit, fmt::format("the xz layer needs more than {} of memory", format_size(kMaxXzMemory)));
        if (result == LZMA_OPTIONS_ERROR)
            fail(ErrorKind::unsupported, "the xz layer uses what this liblzma does not know");
        fail(ErrorKind::corrupt, "the xz layer is broken");
    }

    lzma_stream stream_ = LZMA_STREAM_INIT;
    std::vector<std::byte> buffer_;
    ByteSink* out_ = nullptr; // set by decode(), which is called before finish()
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
        fail(ErrorKind::unsupported, "the layer is compressed with bzip2, which image layers may not be");
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
        engine_ = std::make_unique<GzipEngine>();
        break;
    case Compression::zstd:
        engine_ = std::make_unique<ZstdEngine>();
        break;
    case Compression::xz:
        engine_ = std::make_unique<XzEngine>();
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
