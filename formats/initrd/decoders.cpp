#include "formats/initrd/decoders.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"

#include <bzlib.h>
#include <isa-l/igzip_lib.h>
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kOutputSize = 256 * KiB;
constexpr std::uint32_t kLz4LegacyMagic = 0x184c2102;
constexpr std::uint64_t kXzMemoryLimit = 256 * MiB; // the largest dictionary of xz -9 takes 65 MiB

[[noreturn]] void fail_damaged(std::string_view name) {
    fail(ErrorKind::corrupt, "its " + std::string(name) + " stream is damaged");
}

// What all decoders share: a buffer, and a step that fills it.
class BufferedStream : public ByteStream {
  public:
    std::span<const std::byte> available() final {
        while (begin_ == end_ && !ended_)
            fill();
        return std::span(buffer_).subspan(begin_, end_ - begin_);
    }
    void consume(std::size_t count) final { begin_ += count; }

  protected:
    BufferedStream(ByteStream& input, std::size_t buffer_size) : input_(input), buffer_(buffer_size) {}

    // Decodes some: take from `input_`, put into `buffer_`, say put(n) or end().
    virtual void step() = 0;
    void put(std::size_t count) { end_ = count; }
    void end() { ended_ = true; }
    ByteStream& input() { return input_; }
    std::span<std::byte> buffer() { return buffer_; }

  private:
    void fill() {
        begin_ = end_ = 0;
        step();
    }

    ByteStream& input_;
    std::vector<std::byte> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool ended_ = false;
};

// What most initrds have; ISA-L reads it three times as fast as zlib. The head is read here: ISA-L takes a stream for
// damaged whose head has a name and ends near the end of what it is given.
class GzipStream final : public BufferedStream {
  public:
    explicit GzipStream(ByteStream& input)
        : BufferedStream(input, kOutputSize), state_(std::make_unique<inflate_state>()) {
        isal_inflate_init(state_.get());
        state_->crc_flag = ISAL_GZIP_NO_HDR_VER;
    }

  private:
    unsigned take_byte() {
        const std::span<const std::byte> in = input().available();
        if (in.empty())
            fail_damaged("gzip");
        const auto byte = std::to_integer<unsigned>(in.front());
        input().consume(1);
        return byte;
    }
    unsigned take_number() {
        const unsigned low = take_byte();
        return low | take_byte() << 8;
    }
    void skip(unsigned count) {
        for (; count > 0; --count)
            take_byte();
    }
    void skip_text() {
        while (take_byte() != 0) {
        }
    }
    // RFC 1952, 2.3. The magic number was seen already.
    void take_head() {
        constexpr unsigned kHeadSum = 2;
        constexpr unsigned kExtra = 4;
        constexpr unsigned kName = 8;
        constexpr unsigned kComment = 16;
        skip(2);
        const unsigned method = take_byte();
        const unsigned flags = take_byte();
        if (method != 8 || (flags & 0xe0) != 0)
            fail_damaged("gzip");
        skip(6);
        if ((flags & kExtra) != 0)
            skip(take_number());
        if ((flags & kName) != 0)
            skip_text();
        if ((flags & kComment) != 0)
            skip_text();
        if ((flags & kHeadSum) != 0)
            skip(2);
    }

    void step() override {
        if (!has_head_) {
            take_head();
            has_head_ = true;
        }
        const std::span<const std::byte> in = input().available();
        if (in.empty())
            fail_damaged("gzip");
        const std::size_t given = std::min<std::size_t>(in.size(), std::numeric_limits<std::uint32_t>::max());
        // The library takes its input as non-const, and does not write to it.
        state_->next_in = reinterpret_cast<std::uint8_t*>(const_cast<std::byte*>(in.data()));
        state_->avail_in = static_cast<std::uint32_t>(given);
        state_->next_out = reinterpret_cast<std::uint8_t*>(buffer().data());
        state_->avail_out = static_cast<std::uint32_t>(buffer().size());
        if (const int result = isal_inflate(state_.get()); result != ISAL_DECOMP_OK && result != ISAL_END_INPUT)
            fail_damaged("gzip");
        input().consume(given - state_->avail_in);
        put(buffer().size() - state_->avail_out);
        if (state_->block_state == ISAL_BLOCK_FINISH)
            end();
    }
    std::unique_ptr<inflate_state> state_; // 80 KiB
    bool has_head_ = false;
};

class Bzip2Stream final : public BufferedStream {
  public:
    explicit Bzip2Stream(ByteStream& input) : BufferedStream(input, kOutputSize) {
        if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK)
            throw std::bad_alloc();
    }
    ~Bzip2Stream() override { BZ2_bzDecompressEnd(&stream_); }
    Bzip2Stream(const Bzip2Stream&) = delete;
    Bzip2Stream& operator=(const Bzip2Stream&) = delete;

  private:
    void step() override {
        const std::span<const std::byte> in = input().available();
        if (in.empty())
            fail_damaged("bzip2");
        stream_.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(in.data()));
        stream_.avail_in =
            static_cast<unsigned>(std::min<std::size_t>(in.size(), std::numeric_limits<unsigned>::max()));
        stream_.next_out = reinterpret_cast<char*>(buffer().data());
        stream_.avail_out = static_cast<unsigned>(buffer().size());
        const int status = BZ2_bzDecompress(&stream_);
        if (status != BZ_OK && status != BZ_STREAM_END)
            fail_damaged("bzip2");
        input().consume(in.size() - stream_.avail_in);
        put(buffer().size() - stream_.avail_out);
        if (status == BZ_STREAM_END)
            end();
    }
    bz_stream stream_{};
};

enum class LzmaForm { xz, alone };

class LzmaStream final : public BufferedStream {
  public:
    LzmaStream(ByteStream& input, LzmaForm form) : BufferedStream(input, kOutputSize) {
        const lzma_ret status = form == LzmaForm::xz ? lzma_stream_decoder(&stream_, kXzMemoryLimit, 0)
                                                     : lzma_alone_decoder(&stream_, kXzMemoryLimit);
        if (status != LZMA_OK)
            throw std::bad_alloc();
    }
    ~LzmaStream() override { lzma_end(&stream_); }
    LzmaStream(const LzmaStream&) = delete;
    LzmaStream& operator=(const LzmaStream&) = delete;

  private:
    void step() override {
        const std::span<const std::byte> in = input().available();
        if (in.empty())
            fail_damaged("xz");
        stream_.next_in = reinterpret_cast<const std::uint8_t*>(in.data());
        stream_.avail_in = in.size();
        stream_.next_out = reinterpret_cast<std::uint8_t*>(buffer().data());
        stream_.avail_out = buffer().size();
        const lzma_ret status = lzma_code(&stream_, LZMA_RUN);
        if (status != LZMA_OK && status != LZMA_STREAM_END)
            fail_damaged("xz");
        input().consume(in.size() - stream_.avail_in);
        put(buffer().size() - stream_.avail_out);
        if (status == LZMA_STREAM_END)
            end();
    }
    lzma_stream stream_ = LZMA_STREAM_INIT;
};

class ZstdStream final : public BufferedStream {
  public:
    explicit ZstdStream(ByteStream& input) : BufferedStream(input, kOutputSize), stream_(ZSTD_createDStream()) {
        if (!stream_)
            throw std::bad_alloc();
        // What the kernel itself takes: windows of up to 128 MiB.
        ZSTD_DCtx_setParameter(stream_.get(), ZSTD_d_windowLogMax, 27);
    }

  private:
    struct Closer {
        void operator()(ZSTD_DStream* stream) const { ZSTD_freeDStream(stream); }
    };
    void step() override {
        const std::span<const std::byte> in = input().available();
        if (in.empty())
            fail_damaged("zstd");
        ZSTD_inBuffer source{in.data(), in.size(), 0};
        ZSTD_outBuffer target{buffer().data(), buffer().size(), 0};
        const std::size_t status = ZSTD_decompressStream(stream_.get(), &target, &source);
        if (ZSTD_isError(status) != 0)
            fail_damaged("zstd");
        input().consume(source.pos);
        put(target.pos);
        if (status == 0)
            end();
    }
    std::unique_ptr<ZSTD_DStream, Closer> stream_;
};

// The form that only the kernel still uses: blocks of 8 MiB, each behind its compressed length, until the input ends.
class Lz4LegacyStream final : public BufferedStream {
  public:
    explicit Lz4LegacyStream(ByteStream& input) : BufferedStream(input, kBlockSize) { take(4); }

  private:
    static constexpr std::size_t kBlockSize = 8 * MiB;
    static constexpr std::size_t kMaxCompressed = kBlockSize + kBlockSize / 255 + 16; // LZ4_COMPRESSBOUND

    std::vector<std::byte> take(std::size_t count) {
        std::vector<std::byte> bytes;
        bytes.reserve(count);
        while (bytes.size() < count) {
            const std::span<const std::byte> in = input().available();
            if (in.empty())
                break;
            const std::size_t step = std::min(in.size(), count - bytes.size());
            bytes.insert(bytes.end(), in.begin(), in.begin() + static_cast<std::ptrdiff_t>(step));
            input().consume(step);
        }
        return bytes;
    }

    void step() override {
        const std::vector<std::byte> length = take(4);
        const std::size_t size = length.size() == 4 ? load_le<std::uint32_t>(length.data()) : 0;
        if (size == 0) { // the input's end, or the zeros behind the stream
            end();
            return;
        }
        if (size == kLz4LegacyMagic) // another stream: to the kernel it is more of this one
            return;
        if (size > kMaxCompressed)
            fail_damaged("lz4");
        const std::vector<std::byte> block = take(size);
        if (block.size() != size)
            fail_damaged("lz4");
        put(decode(block));
    }

    // doc/lz4_Block_format.md of lz4.
    std::size_t decode(std::span<const std::byte> in) {
        const std::span<std::byte> out = buffer();
        std::size_t from = 0;
        std::size_t to = 0;
        const auto next = [&]() -> std::size_t {
            if (from >= in.size())
                fail_damaged("lz4");
            return std::to_integer<std::size_t>(in[from++]);
        };
        const auto extend = [&](std::size_t length) {
            if (length != 15)
                return length;
            for (;;) {
                const std::size_t more = next();
                length += more;
                if (more != 255)
                    return length;
            }
        };
        while (from < in.size()) {
            const std::size_t token = next();
            const std::size_t literals = extend(token >> 4);
            if (literals > in.size() - from || literals > out.size() - to)
                fail_damaged("lz4");
            std::copy_n(in.begin() + static_cast<std::ptrdiff_t>(from), literals,
                        out.begin() + static_cast<std::ptrdiff_t>(to));
            from += literals;
            to += literals;
            if (from == in.size())
                break; // the last sequence has literals only
            const std::size_t low = next();
            const std::size_t distance = low | next() << 8;
            const std::size_t length = extend(token & 15) + 4;
            if (distance == 0 || distance > to || length > out.size() - to)
                fail_damaged("lz4");
            for (std::size_t i = 0; i < length; ++i, ++to) // may overlap itself: byte by byte
                out[to] = out[to - distance];
        }
        return to;
    }
};

} // namespace

Decoder make_decoder(std::span<const std::byte> head, ByteStream& input) {
    const auto is = [&](std::string_view magic) {
        return head.size() >= magic.size() && std::memcmp(head.data(), magic.data(), magic.size()) == 0;
    };
    if (is("\x1f\x8b") || is("\x1f\x9e"))
        return {"gzip", std::make_unique<GzipStream>(input)};
    if (is("BZh"))
        return {"bzip2", std::make_unique<Bzip2Stream>(input)};
    if (is("\xfd"
           "7zXZ"))
        return {"xz", std::make_unique<LzmaStream>(input, LzmaForm::xz)};
    if (is(std::string_view("\x5d\0\0", 3)))
        return {"lzma", std::make_unique<LzmaStream>(input, LzmaForm::alone)};
    if (is("\x28\xb5\x2f\xfd"))
        return {"zstd", std::make_unique<ZstdStream>(input)};
    if (is("\x02\x21\x4c\x18"))
        return {"lz4", std::make_unique<Lz4LegacyStream>(input)};
    if (is("\x89LZO"))
        return {"lzo", nullptr};
    return {};
}

} // namespace vm2oci
