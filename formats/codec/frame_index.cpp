#include "formats/codec/frame_index.hpp"

#include "formats/base/endian.hpp"

#include <algorithm>
#include <cstring>

namespace vm2oci {
namespace {

constexpr std::string_view kIndexMagic = "vm2oci frames 1\n";
constexpr std::size_t kIndexDigest = 71; // "sha256:" and 64 digits
constexpr std::size_t kIndexHead = kIndexMagic.size() + kIndexDigest + sizeof(FingerprintKey);
constexpr std::size_t kIndexEntry = 2 * sizeof(Fingerprint) + sizeof(std::uint64_t) + 3 * sizeof(std::uint32_t);

std::byte* put_bytes(std::byte* at, const void* bytes, std::size_t size) {
    std::memcpy(at, bytes, size);
    return at + size;
}

void take_fingerprint(const std::byte*& at, Fingerprint& out) {
    std::memcpy(out.data(), at, out.size());
    at += out.size();
}

} // namespace

std::vector<std::byte> serialise_frame_index(const FrameIndex& index, std::string_view layer) {
    std::vector<std::byte> bytes(kIndexHead + index.frames.size() * kIndexEntry);
    std::byte* at = put_bytes(bytes.data(), kIndexMagic.data(), kIndexMagic.size());
    put_bytes(at, layer.data(), std::min(layer.size(), kIndexDigest));
    at = put_bytes(at + kIndexDigest, index.key.data(), index.key.size());
    for (const IndexedFrame& indexed : index.frames) {
        at = put_bytes(at, indexed.content.data(), indexed.content.size());
        at = put_bytes(at, indexed.stored.data(), indexed.stored.size());
        store_le(at, indexed.offset);
        store_le(at + 8, indexed.frame.compressed_size);
        store_le(at + 12, indexed.frame.content_size);
        store_le(at + 16, indexed.frame.checksum);
        at += 20;
    }
    return bytes;
}

std::optional<FrameIndex> parse_frame_index(std::span<const std::byte> bytes, std::string_view layer) {
    if (layer.size() != kIndexDigest || bytes.size() < kIndexHead || (bytes.size() - kIndexHead) % kIndexEntry != 0 ||
        std::memcmp(bytes.data(), kIndexMagic.data(), kIndexMagic.size()) != 0 ||
        std::memcmp(bytes.data() + kIndexMagic.size(), layer.data(), kIndexDigest) != 0)
        return std::nullopt;
    FrameIndex index;
    const std::byte* at = bytes.data() + kIndexMagic.size() + kIndexDigest;
    take_fingerprint(at, index.key);
    index.frames.resize((bytes.size() - kIndexHead) / kIndexEntry);
    for (IndexedFrame& indexed : index.frames) {
        take_fingerprint(at, indexed.content);
        take_fingerprint(at, indexed.stored);
        indexed.offset = load_le<std::uint64_t>(at);
        indexed.frame.compressed_size = load_le<std::uint32_t>(at + 8);
        indexed.frame.content_size = load_le<std::uint32_t>(at + 12);
        indexed.frame.checksum = load_le<std::uint32_t>(at + 16);
        at += 20;
    }
    return index;
}

} // namespace vm2oci
