#include "formats/codec/seek_table.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

namespace vm2oci {
namespace {

constexpr std::uint32_t kSkippableMagic = 0x184d2a5e;
constexpr std::uint32_t kSeekableMagic = 0x8f92eab1;
constexpr std::size_t kSkippableHeader = 8; // magic, size of what follows
constexpr std::size_t kFooter = 9;          // number of frames, descriptor, magic
constexpr std::size_t kEntry = 8;           // without the optional checksum

} // namespace

std::vector<std::byte> make_seek_table(std::span<const EncodedFrame> frames) {
    if (frames.size() > kMaxSeekTableFrames)
        fail(ErrorKind::limit, "the layer has more frames than a zstd seek table can hold; use a larger disk format");
    const std::size_t payload = frames.size() * kEntry + kFooter;
    std::vector<std::byte> table(kSkippableHeader + payload);
    std::byte* at = table.data();
    store_le(at, kSkippableMagic);
    store_le(at + 4, static_cast<std::uint32_t>(payload));
    at += kSkippableHeader;
    for (const EncodedFrame& frame : frames) {
        store_le(at, frame.compressed_size);
        store_le(at + 4, frame.content_size);
        at += kEntry;
    }
    store_le(at, static_cast<std::uint32_t>(frames.size()));
    at[4] = std::byte{0}; // no checksums: the blob's digest covers them
    store_le(at + 5, kSeekableMagic);
    return table;
}

} // namespace vm2oci
