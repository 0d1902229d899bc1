// Text as zlib, bzip2, liblzma and zstd pack it. Who calls one of these links that library.
#pragma once

#include "formats/base/error.hpp"

#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace vm2oci::test {

// `header` may be null.
inline std::string gzip_with_header(std::string_view text, gz_header* header) {
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
    if (header != nullptr)
        deflateSetHeader(&stream, header);
    std::string out(deflateBound(&stream, text.size()) + 1000, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}
inline std::string gzip(std::string_view text) {
    return gzip_with_header(text, nullptr);
}

inline std::string bzip2(std::string_view text) {
    std::string out(text.size() + text.size() / 100 + 600, '\0');
    auto size = static_cast<unsigned>(out.size());
    BZ2_bzBuffToBuffCompress(out.data(), &size, const_cast<char*>(text.data()), static_cast<unsigned>(text.size()), 1,
                             0, 0);
    out.resize(size);
    return out;
}

inline std::string run_lzma(lzma_stream& stream, std::string_view text) {
    std::string out(text.size() * 2 + 1000, '\0');
    stream.next_in = reinterpret_cast<const std::uint8_t*>(text.data());
    stream.avail_in = text.size();
    stream.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    stream.avail_out = out.size();
    if (lzma_code(&stream, LZMA_FINISH) != LZMA_STREAM_END)
        fail(ErrorKind::external, "liblzma did not compress");
    out.resize(out.size() - stream.avail_out);
    lzma_end(&stream);
    return out;
}

// As the kernel's build makes them: CRC32, and for the older form no length.
inline std::string xz(std::string_view text) {
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_easy_encoder(&stream, 1, LZMA_CHECK_CRC32) != LZMA_OK)
        fail(ErrorKind::external, "liblzma did not begin");
    return run_lzma(stream, text);
}
inline std::string lzma_alone(std::string_view text) {
    lzma_stream stream = LZMA_STREAM_INIT;
    lzma_options_lzma options;
    lzma_lzma_preset(&options, 1);
    if (lzma_alone_encoder(&stream, &options) != LZMA_OK)
        fail(ErrorKind::external, "liblzma did not begin");
    return run_lzma(stream, text);
}

inline std::string zstd(std::string_view text) {
    std::string out(ZSTD_compressBound(text.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
    return out;
}

} // namespace vm2oci::test
