#include "formats/codec/frame_compressor.hpp"

#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kMaxZstdBlock = 128ull * 1024; // zstd format, "Block_Maximum_Size"
constexpr std::size_t kMaxZstdFrameHeader = 18;      // magic, descriptor, window, dictionary, content size
constexpr std::size_t kZstdBlockHeader = 3;

class ZstdFrameCompressor final : public FrameCompressor {
  public:
    explicit ZstdFrameCompressor(int level) : context_(ZSTD_createCCtx()) {
        if (context_ == nullptr)
            fail(ErrorKind::external, "libzstd cannot make a compression context: out of memory");
        check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_compressionLevel, level));
        check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_contentSizeFlag, 1));
        check(ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 0));
    }

    std::size_t bound(std::size_t content_size) const override {
        const std::size_t blocks = divide_up(content_size, kMaxZstdBlock) + 1;
        return std::max(ZSTD_compressBound(content_size),
                        content_size + kMaxZstdFrameHeader + blocks * kZstdBlockHeader);
    }

    std::size_t compress(std::span<const std::byte> content, std::span<std::byte> out) override {
        return check(ZSTD_compress2(context_.get(), out.data(), out.size(), content.data(), content.size()));
    }

    // RFC 8878, 3.1.1: header with Single_Segment_flag and a content size of 8 bytes, then raw blocks.
    std::size_t store(std::span<const std::byte> content, std::span<std::byte> out) override {
        constexpr std::uint8_t single_segment_with_8_byte_size = 0xe0;
        std::byte* at = out.data();
        store_le<std::uint32_t>(at, ZSTD_MAGICNUMBER);
        at[4] = std::byte{single_segment_with_8_byte_size};
        store_le<std::uint64_t>(at + 5, content.size());
        at += 13;
        do {
            const std::size_t length = std::min(content.size(), kMaxZstdBlock);
            const bool last = length == content.size();
            const auto header = static_cast<std::uint32_t>(length << 3 | (last ? 1U : 0U)); // type 0: raw
            for (unsigned i = 0; i < kZstdBlockHeader; ++i)
                *at++ = static_cast<std::byte>(header >> (8 * i));
            at = std::copy_n(content.data(), length, at);
            content = content.subspan(length);
        } while (!content.empty());
        return static_cast<std::size_t>(at - out.data());
    }

  private:
    static std::size_t check(std::size_t result) {
        if (ZSTD_isError(result) != 0)
            fail(ErrorKind::external, fmt::format("libzstd failed to compress: {}", ZSTD_getErrorName(result)));
        return result;
    }

    struct Free {
        void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
    };
    std::unique_ptr<ZSTD_CCtx, Free> context_;
};

class DeflateFrameCompressor final : public FrameCompressor {
  public:
    explicit DeflateFrameCompressor(int level)
        : compressor_(libdeflate_alloc_compressor(level)), storer_(libdeflate_alloc_compressor(0)) {
        if (compressor_ == nullptr || storer_ == nullptr)
            fail(ErrorKind::external, "libdeflate cannot make a compressor: out of memory");
    }

    std::size_t bound(std::size_t content_size) const override {
        return std::max(libdeflate_gzip_compress_bound(compressor_.get(), content_size),
                        libdeflate_gzip_compress_bound(storer_.get(), content_size));
    }

    std::size_t compress(std::span<const std::byte> content, std::span<std::byte> out) override {
        return run(compressor_.get(), content, out);
    }

    std::size_t store(std::span<const std::byte> content, std::span<std::byte> out) override {
        return run(storer_.get(), content, out);
    }

  private:
    static std::size_t run(libdeflate_compressor* compressor, std::span<const std::byte> content,
                           std::span<std::byte> out) {
        const std::size_t size =
            libdeflate_gzip_compress(compressor, content.data(), content.size(), out.data(), out.size());
        if (size == 0)
            fail(ErrorKind::external, "libdeflate failed to compress a frame");
        return size;
    }

    struct Free {
        void operator()(libdeflate_compressor* compressor) const { libdeflate_free_compressor(compressor); }
    };
    std::unique_ptr<libdeflate_compressor, Free> compressor_;
    std::unique_ptr<libdeflate_compressor, Free> storer_;
};

// Level 1 by ISA-L; what does not fit is stored by libdeflate, as at every other level.
class IgzipFrameCompressor final : public FrameCompressor {
  public:
    std::size_t bound(std::size_t content_size) const override {
        // RFC 1951 stored blocks are what ISA-L falls back to; ours are the same size.
        return storer_.bound(content_size) + kSlack;
    }

    std::size_t compress(std::span<const std::byte> content, std::span<std::byte> out) override {
        constexpr std::size_t limit = std::numeric_limits<std::uint32_t>::max();
        if (content.size() > limit)
            fail(ErrorKind::external, "igzip takes no frame of 4 GiB or more");
        isal_zstream stream;
        isal_deflate_init(&stream);
        stream.level = 1;
        stream.level_buf = workspace_.data();
        stream.level_buf_size = static_cast<std::uint32_t>(workspace_.size());
        stream.gzip_flag = IGZIP_GZIP;
        stream.end_of_stream = 1;
        stream.flush = NO_FLUSH;
        stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(content.data())); // only read
        stream.avail_in = static_cast<std::uint32_t>(content.size());
        stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
        stream.avail_out = static_cast<std::uint32_t>(std::min(out.size(), limit));
        const int result = isal_deflate(&stream);
        if (result != COMP_OK)
            fail(ErrorKind::external, fmt::format("igzip failed to compress a frame (error {})", result));
        if (stream.internal_state.state != ZSTATE_END)
            return storer_.store(content, out);
        return stream.total_out;
    }

    std::size_t store(std::span<const std::byte> content, std::span<std::byte> out) override {
        return storer_.store(content, out);
    }

  private:
    static constexpr std::size_t kSlack = 64;
    std::vector<std::uint8_t> workspace_ = std::vector<std::uint8_t>(ISAL_DEF_LVL1_DEFAULT);
    DeflateFrameCompressor storer_{1};
};

// ISA-L's level 1 writes the same bytes on every x86 processor with SSE 4.2 (2008 and later), but others
// where it must do without them.
bool igzip_is_the_same_everywhere() {
#if defined(__x86_64__)
    return __builtin_cpu_supports("sse4.2") != 0;
#else
    return false;
#endif
}

std::unique_ptr<FrameCompressor> make_gzip_compressor(int level) {
    if (level == 1 && igzip_is_the_same_everywhere())
        return std::make_unique<IgzipFrameCompressor>();
    return std::make_unique<DeflateFrameCompressor>(level);
}

} // namespace

std::unique_ptr<FrameCompressor> make_frame_compressor(const CompressionSpec& spec) {
    const int level = resolve_level(spec);
    switch (spec.algorithm) {
    case Compression::zstd:
        return std::make_unique<ZstdFrameCompressor>(level);
    case Compression::gzip:
        return make_gzip_compressor(level);
    case Compression::none:
    case Compression::xz:
        break;
    }
    fail(ErrorKind::usage, fmt::format("compression '{}' is not written in frames", to_string(spec.algorithm)));
}

} // namespace vm2oci
