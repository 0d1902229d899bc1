#include "formats/block/qcow2/decode.hpp"

#include <libdeflate.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <new>

namespace vm2oci::qcow2 {
namespace {

struct FreeDeflate {
    void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};
struct FreeZstd {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// zlib stops as soon as the cluster is full, like QEMU: it reads streams without a last block, and longer ones, which
// libdeflate refuses. They are rare, so its speed does not matter.
Decoding inflate_until_full(std::span<const std::byte> compressed, std::span<std::byte> cluster) {
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
        throw std::bad_alloc();
    // zlib takes its input through a pointer to non-const and does not write to it. Both lengths are a few MiB at most.
    stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(compressed.data()));
    stream.avail_in = static_cast<uInt>(compressed.size());
    stream.next_out = reinterpret_cast<Bytef*>(cluster.data());
    stream.avail_out = static_cast<uInt>(cluster.size());
    const int result = inflate(&stream, Z_FINISH);
    const bool full = stream.avail_out == 0;
    inflateEnd(&stream);
    if (full && (result == Z_STREAM_END || result == Z_BUF_ERROR))
        return Decoding::done;
    return result == Z_BUF_ERROR ? Decoding::ends_early : Decoding::broken;
}

Decoding decode_zlib(libdeflate_decompressor* decompressor, std::span<const std::byte> compressed,
                     std::span<std::byte> cluster) {
    std::size_t used = 0;
    const libdeflate_result result = libdeflate_deflate_decompress_ex(
        decompressor, compressed.data(), compressed.size(), cluster.data(), cluster.size(), &used, nullptr);
    return result == LIBDEFLATE_SUCCESS ? Decoding::done : inflate_until_full(compressed, cluster);
}

// Frame by frame in one shot, so that no frame's window costs memory.
Decoding decode_zstd(ZSTD_DCtx* context, std::span<const std::byte> compressed, std::span<std::byte> cluster) {
    while (!cluster.empty()) {
        const std::size_t frame = ZSTD_findFrameCompressedSize(compressed.data(), compressed.size());
        if (ZSTD_isError(frame) != 0)
            return ZSTD_getErrorCode(frame) == ZSTD_error_srcSize_wrong ? Decoding::ends_early : Decoding::broken;
        const std::size_t decoded =
            ZSTD_decompressDCtx(context, cluster.data(), cluster.size(), compressed.data(), frame);
        if (ZSTD_isError(decoded) != 0)
            return Decoding::broken;
        compressed = compressed.subspan(frame);
        cluster = cluster.subspan(decoded);
    }
    return Decoding::done;
}

} // namespace

struct ClusterDecoder::State {
    CompressionType type;
    std::unique_ptr<libdeflate_decompressor, FreeDeflate> deflate;
    std::unique_ptr<ZSTD_DCtx, FreeZstd> zstd;
    std::vector<std::byte> input;
};

ClusterDecoder::ClusterDecoder(CompressionType type) : state_(std::make_unique<State>()) {
    state_->type = type;
    if (type == CompressionType::zlib)
        state_->deflate.reset(libdeflate_alloc_decompressor());
    else
        state_->zstd.reset(ZSTD_createDCtx());
    if (!state_->deflate && !state_->zstd)
        throw std::bad_alloc();
}

ClusterDecoder::ClusterDecoder(ClusterDecoder&&) noexcept = default;
ClusterDecoder& ClusterDecoder::operator=(ClusterDecoder&&) noexcept = default;
ClusterDecoder::~ClusterDecoder() = default;

std::span<std::byte> ClusterDecoder::input_buffer(std::size_t size) {
    if (state_->input.size() < size)
        state_->input.resize(size);
    return std::span(state_->input).first(size);
}

Decoding ClusterDecoder::decode(std::span<const std::byte> compressed, std::span<std::byte> cluster) {
    return state_->type == CompressionType::zlib ? decode_zlib(state_->deflate.get(), compressed, cluster)
                                                 : decode_zstd(state_->zstd.get(), compressed, cluster);
}

DecoderPool::Lease::~Lease() {
    const std::lock_guard lock(pool_.mutex_);
    pool_.idle_.push_back(std::move(decoder_));
}

DecoderPool::Lease DecoderPool::lease() {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            ClusterDecoder decoder = std::move(idle_.back());
            idle_.pop_back();
            return {*this, std::move(decoder)};
        }
    }
    return {*this, ClusterDecoder(type_)};
}

} // namespace vm2oci::qcow2
