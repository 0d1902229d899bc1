#include "formats/codec/skippable_frame.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <limits>

namespace vm2oci {
namespace {

constexpr int kTextLevel = 3;

} // namespace

std::vector<std::byte> make_skippable_frame(std::span<const std::byte> payload) {
    if (payload.size() > std::numeric_limits<std::uint32_t>::max())
        fail(ErrorKind::limit, "a table of the layer is larger than a zstd frame may be");
    std::vector<std::byte> frame(kSkippableHeaderSize + payload.size());
    store_le(frame.data(), static_cast<std::uint32_t>(ZSTD_MAGIC_SKIPPABLE_START));
    store_le(frame.data() + 4, static_cast<std::uint32_t>(payload.size()));
    std::ranges::copy(payload, frame.begin() + kSkippableHeaderSize);
    return frame;
}

struct TextPacker::Context {
    Context() : zstd(ZSTD_createCCtx()) {
        if (zstd == nullptr || ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, kTextLevel)) != 0)
            fail(ErrorKind::external, "libzstd cannot make a compression context: out of memory");
    }
    ~Context() { ZSTD_freeCCtx(zstd); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    ZSTD_CCtx* zstd;
};

TextPacker::TextPacker() : context_(std::make_unique<Context>()) {}
TextPacker::~TextPacker() = default;

// Null: no more comes. Returns what is left to be flushed then.
std::size_t TextPacker::step(void* in) {
    ZSTD_inBuffer nothing{nullptr, 0, 0};
    const std::size_t before = packed_.size();
    packed_.resize(before + ZSTD_CStreamOutSize());
    ZSTD_outBuffer out{packed_.data() + before, packed_.size() - before, 0};
    const std::size_t left =
        ZSTD_compressStream2(context_->zstd, &out, in != nullptr ? static_cast<ZSTD_inBuffer*>(in) : &nothing,
                             in != nullptr ? ZSTD_e_continue : ZSTD_e_end);
    packed_.resize(before + out.pos);
    if (ZSTD_isError(left) != 0)
        fail(ErrorKind::external, fmt::format("libzstd failed: {}", ZSTD_getErrorName(left)));
    return left;
}

void TextPacker::append(std::string_view text) {
    text_size_ += text.size();
    ZSTD_inBuffer in{text.data(), text.size(), 0};
    while (in.pos < in.size)
        step(&in);
}

std::vector<std::byte> TextPacker::finish() {
    while (step(nullptr) != 0) {
    }
    return std::move(packed_);
}

std::string unpack_text(std::span<const std::byte> packed, std::uint64_t text_size) {
    std::string text(text_size, '\0');
    const std::size_t size = ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size());
    if (ZSTD_isError(size) != 0)
        fail(ErrorKind::corrupt, fmt::format("a table of the layer is broken: {}", ZSTD_getErrorName(size)));
    if (size != text_size)
        fail(ErrorKind::corrupt, "a table of the layer has another size than it should have");
    return text;
}

} // namespace vm2oci
