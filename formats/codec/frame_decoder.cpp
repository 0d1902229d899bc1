#include "formats/codec/frame_decoder.hpp"

#include "formats/base/error.hpp"

#include <zstd.h>

namespace vm2oci {

struct FrameDecoder::Context {
    Context() : zstd(ZSTD_createDCtx()) {
        if (zstd == nullptr)
            fail(ErrorKind::external, "libzstd cannot make a decompression context: out of memory");
    }
    ~Context() { ZSTD_freeDCtx(zstd); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    ZSTD_DCtx* zstd;
};

FrameDecoder::FrameDecoder() : context_(std::make_unique<Context>()) {}
FrameDecoder::~FrameDecoder() = default;
FrameDecoder::FrameDecoder(FrameDecoder&&) noexcept = default;
FrameDecoder& FrameDecoder::operator=(FrameDecoder&&) noexcept = default;

std::string_view FrameDecoder::decode(std::span<const std::byte> stored, std::span<std::byte> content) {
    if (ZSTD_findFrameCompressedSize(stored.data(), stored.size()) != stored.size())
        return "is not one frame";
    const std::size_t size =
        ZSTD_decompressDCtx(context_->zstd, content.data(), content.size(), stored.data(), stored.size());
    if (ZSTD_isError(size) != 0)
        return ZSTD_getErrorName(size);
    return size == content.size() ? "" : "has another size";
}

bool frame_states_size(std::span<const std::byte> stored, std::uint64_t content_size) {
    return ZSTD_getFrameContentSize(stored.data(), stored.size()) == content_size;
}

} // namespace vm2oci
