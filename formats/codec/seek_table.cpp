#include "formats/codec/seek_table.hpp"

#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::uint32_t kSkippableMagic = 0x184d2a5e;
constexpr std::uint32_t kSeekableMagic = 0x8f92eab1;
constexpr std::size_t kSkippableHeader = 8; // magic, size of what follows
constexpr std::size_t kFooter = 9;          // number of frames, descriptor, magic
constexpr std::size_t kEntry = 8;           // without the optional checksum
constexpr std::size_t kChecksum = 4;
constexpr std::uint8_t kChecksumFlag = 0x80;
constexpr std::uint8_t kReservedBits = 0x7c;
constexpr std::size_t kMaxFrameHeader = 18;                    // magic, descriptor, window, dictionary, content size
constexpr std::size_t kMaxReadableFrames = 8ull * 1024 * 1024; // 8 TiB of 1 MiB frames; 96 MiB of memory

} // namespace

std::vector<std::byte> make_seek_table(std::span<const EncodedFrame> frames) {
    if (frames.size() > kMaxSeekTableFrames)
        fail(ErrorKind::limit, "the layer has more frames than a zstd seek table can hold; use a larger disk format");
    const std::size_t payload = frames.size() * (kEntry + kChecksum) + kFooter;
    std::vector<std::byte> table(kSkippableHeader + payload);
    std::byte* at = table.data();
    store_le(at, kSkippableMagic);
    store_le(at + 4, static_cast<std::uint32_t>(payload));
    at += kSkippableHeader;
    for (const EncodedFrame& frame : frames) {
        store_le(at, frame.compressed_size);
        store_le(at + 4, frame.content_size);
        store_le(at + kEntry, frame.checksum);
        at += kEntry + kChecksum;
    }
    store_le(at, static_cast<std::uint32_t>(frames.size()));
    at[4] = std::byte{kChecksumFlag};
    store_le(at + 5, kSeekableMagic);
    return table;
}

std::optional<SeekTable> read_seek_table(const BlockDevice& layer) {
    const std::uint64_t size = layer.size();
    if (size < kSkippableHeader + kFooter)
        return std::nullopt;
    std::byte footer[kFooter];
    layer.read_at(size - kFooter, footer);
    const auto count = load_le<std::uint32_t>(footer);
    const auto descriptor = std::to_integer<std::uint8_t>(footer[4]);
    if (load_le<std::uint32_t>(footer + 5) != kSeekableMagic || (descriptor & kReservedBits) != 0 ||
        count > kMaxReadableFrames)
        return std::nullopt;
    const bool has_checksums = (descriptor & kChecksumFlag) != 0;
    const std::size_t entry_size = kEntry + (has_checksums ? kChecksum : 0);
    const std::size_t payload = count * entry_size + kFooter;
    if (size < kSkippableHeader + payload)
        return std::nullopt;
    const std::uint64_t table_at = size - payload - kSkippableHeader;
    std::vector<std::byte> table(kSkippableHeader + payload);
    layer.read_at(table_at, table);
    if (load_le<std::uint32_t>(table.data()) != kSkippableMagic || load_le<std::uint32_t>(table.data() + 4) != payload)
        return std::nullopt;
    SeekTable result{std::vector<EncodedFrame>(count), has_checksums};
    std::uint64_t compressed_end = 0; // at most 2^23 * 2^32
    const std::byte* at = table.data() + kSkippableHeader;
    for (EncodedFrame& frame : result.frames) {
        frame = {load_le<std::uint32_t>(at), load_le<std::uint32_t>(at + 4),
                 has_checksums ? load_le<std::uint32_t>(at + kEntry) : 0};
        compressed_end += frame.compressed_size;
        at += entry_size;
    }
    if (compressed_end != table_at)
        return std::nullopt;
    return result;
}

std::optional<std::string> check_seek_table(const BlockDevice& layer) {
    const std::optional<SeekTable> found = read_seek_table(layer);
    if (!found)
        return std::nullopt;
    std::uint64_t offset = 0;
    for (const EncodedFrame& frame : found->frames) {
        std::byte header[kMaxFrameHeader];
        const std::size_t length = std::min<std::size_t>(frame.compressed_size, sizeof header);
        layer.read_at(offset, std::span(header).first(length));
        if (ZSTD_getFrameContentSize(header, length) != frame.content_size)
            return fmt::format("its seek table does not match the frame at {}", offset);
        offset += frame.compressed_size;
    }
    return std::nullopt;
}

} // namespace vm2oci
