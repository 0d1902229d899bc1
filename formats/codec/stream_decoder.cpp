#include "formats/codec/stream_decoder.hpp"

#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"

#include <bzlib.h>
#include <fmt/format.h>
#include <lz4frame.h>
#include <lzma.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace vm2oci {
namespace {

using namespace std::string_view_literals;

constexpr std::size_t kOutputStep = 256 * KiB;    // at least two zstd blocks
constexpr std::uint64_t kMaxXzMemory = 256 * MiB; // xz -9 takes 65 MiB

class ZstdEngine final : public StreamDecoder {
  public:
    explicit ZstdEngine(int max_window_log)
        : max_window_log_(max_window_log), context_(ZSTD_createDCtx()), buffer_(kOutputStep) {
        if (context_ == nullptr ||
            ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, max_window_log)) != 0)
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
            fail(ErrorKind::corrupt, "the zstd stream ends in the middle of a frame");
    }

  private:
    [[noreturn]] void fail_zstd(std::size_t code) const {
        const std::string name = ZSTD_getErrorName(code);
        if (ZSTD_getErrorCode(code) == ZSTD_error_frameParameter_windowTooLarge)
            fail(ErrorKind::unsupported, fmt::format("the zstd stream needs a window of more than {}",
                                                     format_size(std::uint64_t{1} << max_window_log_)));
        fail(ErrorKind::corrupt, "the zstd stream is broken: " + name);
    }

    const int max_window_log_;
    struct Free {
        void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    };
    std::unique_ptr<ZSTD_DCtx, Free> context_;
    std::vector<std::byte> buffer_;
    std::size_t wanted_ = 0; // libzstd's hint; 0 at the end of a frame
};

class XzEngine final : public StreamDecoder {
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
            fail(ErrorKind::corrupt, "the xz stream ends in the middle of a stream");
        return result == LZMA_OK;
    }

    [[noreturn]] static void fail_xz(lzma_ret result) {
        if (result == LZMA_MEMLIMIT_ERROR)
            fail(ErrorKind::limit,
                 fmt::format("the xz stream needs more than {} of memory", format_size(kMaxXzMemory)));
        if (result == LZMA_OPTIONS_ERROR)
            fail(ErrorKind::unsupported, "the xz stream uses what this liblzma does not know");
        fail(ErrorKind::corrupt, "the xz stream is broken");
    }

    lzma_stream stream_ = LZMA_STREAM_INIT;
    std::vector<std::byte> buffer_;
    ByteSink* out_ = nullptr; // set by decode(), which is called before finish()
};

// What bzip2 and lz4 streams have between their members, and behind the last.
class MemberGap {
  public:
    MemberGap(Padding padding, std::string_view name) : padding_(padding), name_(name) {}

    // At the beginning of a member that is not the first: true if the rest of the input is padding.
    bool is_padding(std::span<const std::byte> stored) {
        if (!in_padding_ && (padding_ == Padding::none || stored.front() != std::byte{0}))
            return false;
        in_padding_ = true;
        if (!is_zero(stored))
            fail_behind();
        return true;
    }
    [[noreturn]] void fail_behind() const {
        fail(ErrorKind::corrupt,
             fmt::format("something follows the {} stream that is no part of it; cut it off", name_));
    }

  private:
    Padding padding_;
    std::string_view name_;
    bool in_padding_ = false;
};

class Bzip2Engine final : public StreamDecoder {
  public:
    explicit Bzip2Engine(Padding padding) : gap_(padding, "bzip2"), buffer_(kOutputStep) {}
    ~Bzip2Engine() override { end_member(); }
    Bzip2Engine(const Bzip2Engine&) = delete;
    Bzip2Engine& operator=(const Bzip2Engine&) = delete;

    void decode(std::span<const std::byte> stored, ByteSink& out) override {
        while (!stored.empty()) {
            if (!inside_ && members_ > 0 && gap_.is_padding(stored))
                return;
            if (!inside_)
                begin_member();
            stored = decode_some(stored, out);
        }
    }

    void finish() override {
        if (inside_)
            fail(ErrorKind::corrupt, "the bzip2 stream ends in the middle of a member");
    }

  private:
    void begin_member() {
        stream_ = {};
        if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK)
            fail(ErrorKind::external, "libbz2 cannot make a decompression context");
        inside_ = true;
        ++members_;
        taken_ = 0;
    }
    void end_member() {
        if (inside_)
            BZ2_bzDecompressEnd(&stream_);
        inside_ = false;
    }

    std::span<const std::byte> decode_some(std::span<const std::byte> stored, ByteSink& out) {
        const std::size_t given = std::min<std::size_t>(stored.size(), std::numeric_limits<unsigned>::max());
        // The library takes its input as non-const, and does not write to it.
        stream_.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(stored.data()));
        stream_.avail_in = static_cast<unsigned>(given);
        for (;;) {
            stream_.next_out = reinterpret_cast<char*>(buffer_.data());
            stream_.avail_out = static_cast<unsigned>(buffer_.size());
            const int status = BZ2_bzDecompress(&stream_);
            // The four bytes of the header alone tell a member from something else.
            if (status == BZ_DATA_ERROR_MAGIC && members_ > 1 && taken_ == 0)
                gap_.fail_behind();
            if (status != BZ_OK && status != BZ_STREAM_END)
                fail(ErrorKind::corrupt, "the bzip2 stream is broken");
            out.write(std::span(buffer_).first(buffer_.size() - stream_.avail_out));
            if (status == BZ_STREAM_END) {
                end_member();
                break;
            }
            if (stream_.avail_in == 0 && stream_.avail_out != 0)
                break;
        }
        taken_ += given - stream_.avail_in;
        return stored.subspan(given - stream_.avail_in);
    }

    MemberGap gap_;
    std::vector<std::byte> buffer_;
    bz_stream stream_{};
    bool inside_ = false;
    std::uint64_t members_ = 0;
    std::uint64_t taken_ = 0; // stored bytes of this member
};

class Lz4Engine final : public StreamDecoder {
  public:
    explicit Lz4Engine(Padding padding) : gap_(padding, "lz4"), buffer_(kOutputStep) {
        LZ4F_dctx* context = nullptr;
        if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)) != 0)
            fail(ErrorKind::external, "liblz4 cannot make a decompression context");
        context_.reset(context);
    }

    void decode(std::span<const std::byte> stored, ByteSink& out) override {
        while (!stored.empty() || pending_) {
            if (wanted_ == 0 && frames_ > 0 && gap_.is_padding(stored))
                return;
            std::size_t taken = stored.size();
            std::size_t made = buffer_.size();
            const bool between = wanted_ == 0 && frames_ > 0;
            wanted_ = LZ4F_decompress(context_.get(), buffer_.data(), &made, stored.data(), &taken, nullptr);
            // In one step a frame may begin and be found broken: only its first bytes tell it from something else.
            if (LZ4F_isError(wanted_) != 0 && between && LZ4F_getErrorName(wanted_) == "ERROR_frameType_unknown"sv)
                gap_.fail_behind();
            if (LZ4F_isError(wanted_) != 0)
                fail(ErrorKind::corrupt, fmt::format("the lz4 stream is broken: {}", LZ4F_getErrorName(wanted_)));
            out.write(std::span(buffer_).first(made));
            stored = stored.subspan(taken);
            pending_ = made == buffer_.size() && wanted_ != 0; // at a frame's end all of it is out
            if (wanted_ == 0)
                ++frames_;
        }
    }

    void finish() override {
        if (wanted_ != 0)
            fail(ErrorKind::corrupt, "the lz4 stream ends in the middle of a frame");
    }

  private:
    struct Free {
        void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
    };
    MemberGap gap_;
    std::vector<std::byte> buffer_;
    std::unique_ptr<LZ4F_dctx, Free> context_;
    std::size_t wanted_ = 1; // the library's hint; 0 at the end of a frame
    std::uint64_t frames_ = 0;
    bool pending_ = false; // more comes out without more input
};

} // namespace

std::unique_ptr<StreamDecoder> make_zstd_decoder(int max_window_log) {
    return std::make_unique<ZstdEngine>(max_window_log);
}

std::unique_ptr<StreamDecoder> make_xz_decoder() {
    return std::make_unique<XzEngine>();
}

std::unique_ptr<StreamDecoder> make_bzip2_decoder(Padding padding) {
    return std::make_unique<Bzip2Engine>(padding);
}

std::unique_ptr<StreamDecoder> make_lz4_decoder(Padding padding) {
    return std::make_unique<Lz4Engine>(padding);
}

} // namespace vm2oci
