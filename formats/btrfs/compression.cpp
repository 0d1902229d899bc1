#include "formats/btrfs/compression.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/btrfs/geometry.hpp"
#include "formats/btrfs/lzo.hpp"

#include <libdeflate.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace vm2oci::btrfs {
namespace {

constexpr std::size_t kLzoLength = 4;

[[noreturn]] void fail_packed() {
    fail(ErrorKind::corrupt, "compressed data of the btrfs file system are damaged");
}

std::size_t unpack_zlib(std::span<const std::byte> stored, std::span<std::byte> out) {
    struct Free {
        void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
    };
    static thread_local const std::unique_ptr<libdeflate_decompressor, Free> decompressor(
        libdeflate_alloc_decompressor());
    std::size_t taken = 0;
    std::size_t made = 0;
    if (!decompressor || libdeflate_zlib_decompress_ex(decompressor.get(), stored.data(), stored.size(), out.data(),
                                                       out.size(), &taken, &made) != LIBDEFLATE_SUCCESS)
        fail_packed();
    return made;
}

std::size_t unpack_zstd(std::span<const std::byte> stored, std::span<std::byte> out) {
    struct Free {
        void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
    };
    static thread_local const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
    const std::size_t length = ZSTD_findFrameCompressedSize(stored.data(), stored.size());
    if (!context || ZSTD_isError(length) != 0)
        fail_packed();
    const std::size_t made = ZSTD_decompressDCtx(context.get(), out.data(), out.size(), stored.data(), length);
    if (ZSTD_isError(made) != 0)
        fail_packed();
    return made;
}

// The length of all, then segments of a sector's content each, with their lengths in front, which lie in one sector.
std::size_t unpack_lzo(std::span<const std::byte> stored, std::span<std::byte> out) {
    if (stored.size() < kLzoLength)
        fail_packed();
    const std::size_t total = load_le<std::uint32_t>(stored.data());
    if (total < kLzoLength || total > stored.size())
        fail_packed();
    std::size_t at = kLzoLength;
    std::size_t made = 0;
    while (at < total) {
        const std::size_t left = kSectorSize - at % kSectorSize;
        if (left < kLzoLength) {
            at += left;
            continue;
        }
        if (total - at < kLzoLength)
            fail_packed();
        const std::size_t length = load_le<std::uint32_t>(stored.data() + at);
        at += kLzoLength;
        if (length > total - at)
            fail_packed();
        made += decode_lzo(stored.subspan(at, length),
                           out.subspan(made, std::min<std::size_t>(out.size() - made, kSectorSize)));
        at += length;
    }
    return made;
}

} // namespace

std::vector<std::byte> unpack(Codec codec, std::span<const std::byte> stored, std::size_t size) {
    std::vector<std::byte> out(kMaxPacked);
    std::size_t made = 0;
    switch (codec) {
    case Codec::none:
        made = std::min(stored.size(), out.size());
        std::copy_n(stored.begin(), made, out.begin());
        break;
    case Codec::zlib:
        made = unpack_zlib(stored, out);
        break;
    case Codec::lzo:
        made = unpack_lzo(stored, out);
        break;
    case Codec::zstd:
        made = unpack_zstd(stored, out);
        break;
    }
    out.resize(std::min(made, size));
    out.resize(size);
    return out;
}

} // namespace vm2oci::btrfs
