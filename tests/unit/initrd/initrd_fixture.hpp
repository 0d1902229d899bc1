// Streams as other programs compress them, for tests of what unpacks them.
#pragma once

#include "formats/base/byte_stream.hpp"
#include "formats/base/error.hpp"
#include "formats/base/fd.hpp"
#include "formats/initrd/decoders.hpp"
#include "tests/support/cpio_archive.hpp"
#include "tests/support/packed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

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
