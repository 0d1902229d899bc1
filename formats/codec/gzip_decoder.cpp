#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/size.hpp"
#include "formats/block/block_device.hpp"
#include "formats/codec/stream_decoder.hpp"

#include <fmt/format.h>
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace vm2oci {
namespace {

constexpr std::size_t kGzipOutputStep = 256 * KiB;
constexpr std::size_t kGzipHeaderStep = 512;      // nearly all headers end in it
constexpr std::size_t kMaxGzipHeader = 128 * KiB; // the extra field has up to 64 KiB, the rest is a name

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
        fail(ErrorKind::corrupt, "the gzip stream is broken: something that is no gzip member");
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
            fail(ErrorKind::corrupt, "the gzip stream is broken: a wrong checksum of a header");
        at += 2;
    }
    if (bytes.size() < at)
        return std::nullopt;
    return at;
}

class GzipEngine final : public StreamDecoder {
  public:
    explicit GzipEngine(Padding padding)
        : padding_(padding), state_(std::make_unique<inflate_state>()), buffer_(kGzipOutputStep) {}

    void decode(std::span<const std::byte> stored, ByteSink& out) override {
        while (!stored.empty()) {
            if (place_ == Place::between && padding_ == Padding::zeros && stored.front() == std::byte{0})
                place_ = Place::padding;
            else if (place_ == Place::between)
                place_ = Place::header;
            if (place_ == Place::padding && !is_zero(stored))
                fail(ErrorKind::corrupt, "something follows the gzip stream that is no member of it; cut it off");
            if (place_ == Place::padding)
                return;
            stored = place_ == Place::content ? inflate(stored, out) : read_header(stored);
        }
    }

    void finish() override {
        if (place_ == Place::content || place_ == Place::header)
            fail(ErrorKind::corrupt, "the gzip stream ends in the middle of a member");
    }

  private:
    enum class Place { header, content, between, padding };

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
                fail(ErrorKind::corrupt, fmt::format("the gzip stream is broken: {}", reason(result)));
            out.write(std::span(buffer_).first(buffer_.size() - state_->avail_out));
            if (state_->block_state == ISAL_BLOCK_FINISH) {
                place_ = Place::between;
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

    const Padding padding_;
    std::unique_ptr<inflate_state> state_;
    std::vector<std::byte> buffer_;
    std::vector<std::byte> header_; // of a member, as far as it has come
    Place place_ = Place::header;
};

} // namespace

std::unique_ptr<StreamDecoder> make_gzip_decoder(Padding padding) {
    return std::make_unique<GzipEngine>(padding);
}

} // namespace vm2oci
