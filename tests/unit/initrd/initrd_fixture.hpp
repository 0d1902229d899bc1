// Streams as other programs compress them, for tests of what unpacks them.
#pragma once

#include "formats/base/byte_stream.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/initrd/decoders.hpp"
#include "tests/support/cpio_archive.hpp"

#include <bzlib.h>
#include <fmt/format.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

inline std::string gzip(std::string_view text, gz_header* header = nullptr) {
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

inline std::string little_endian(std::uint64_t value, unsigned size) {
    std::string bytes;
    for (unsigned i = 0; i < size; ++i)
        bytes += static_cast<char>(value >> 8 * i);
    return bytes;
}

// One block of legacy LZ4, behind its length.
inline std::string lz4_block(const std::string& block) {
    return little_endian(block.size(), 4) + block;
}
inline const std::string kLz4Magic("\x02\x21\x4c\x18", 4);

// Gives its bytes in pieces of one size, as disks and networks do.
class PiecesStream final : public ByteStream {
  public:
    PiecesStream(std::string_view bytes, std::size_t piece) : bytes_(as_bytes(bytes)), piece_(piece) {}
    std::span<const std::byte> available() override { return bytes_.first(std::min(piece_, bytes_.size())); }
    void consume(std::size_t count) override { bytes_ = bytes_.subspan(count); }
    std::size_t left() const { return bytes_.size(); }

  private:
    std::span<const std::byte> bytes_;
    std::size_t piece_;
};

struct Unpacked {
    std::string name;
    std::string text;
    std::size_t left = 0; // of the input
};

inline Unpacked unpack(std::string_view packed, std::size_t piece = 1 << 20) {
    PiecesStream input(packed, piece);
    Unpacked unpacked;
    const Decoder decoder = make_decoder(as_bytes(packed.substr(0, 6)), input);
    unpacked.name = decoder.name;
    if (!decoder.stream)
        return unpacked;
    for (auto ready = decoder.stream->available(); !ready.empty(); ready = decoder.stream->available()) {
        const std::size_t step = std::min<std::size_t>(ready.size(), 100'001);
        unpacked.text += as_text(ready.first(step));
        decoder.stream->consume(step);
    }
    unpacked.left = input.left();
    return unpacked;
}

// The sentence of the Error that `action` ends with; empty: it ends well.
template <class Action>
std::string refusal_of(Action&& action, ErrorKind kind = ErrorKind::corrupt) {
    try {
        action();
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : std::string("another kind: ") + error.what();
    }
    return {};
}

// Text that compresses somewhat, of any length.
inline std::string prose(std::size_t length) {
    std::string text;
    for (unsigned i = 0; text.size() < length; ++i)
        text += fmt::format("usr/lib/modules/{:x}.ko ", i * 2654435761u >> 12);
    text.resize(length);
    return text;
}

} // namespace vm2oci::test
