#include "formats/codec/frame_notes.hpp"

#include "formats/base/endian.hpp"

#include <algorithm>
#include <cstring>

namespace vm2oci {
namespace {

constexpr std::string_view kNotesMagic = "vm2oci frames 1\n";
constexpr std::size_t kNotesDigest = 71; // "sha256:" and 64 digits
constexpr std::size_t kNotesHead = kNotesMagic.size() + kNotesDigest + sizeof(FingerprintKey);
constexpr std::size_t kNotesEntry = 2 * sizeof(Fingerprint) + 8 + 3 * 4;

std::byte* put_bytes(std::byte* at, const void* bytes, std::size_t size) {
    std::memcpy(at, bytes, size);
    return at + size;
}

void take_fingerprint(const std::byte*& at, Fingerprint& out) {
    std::memcpy(out.data(), at, out.size());
    at += out.size();
}

} // namespace

std::vector<std::byte> serialise_frame_notes(const FrameNotes& notes, std::string_view layer) {
    std::vector<std::byte> bytes(kNotesHead + notes.frames.size() * kNotesEntry);
    std::byte* at = put_bytes(bytes.data(), kNotesMagic.data(), kNotesMagic.size());
    put_bytes(at, layer.data(), std::min(layer.size(), kNotesDigest));
    at = put_bytes(at + kNotesDigest, notes.key.data(), notes.key.size());
    for (const FrameNote& note : notes.frames) {
        at = put_bytes(at, note.content.data(), note.content.size());
        at = put_bytes(at, note.stored.data(), note.stored.size());
        store_le(at, note.offset);
        store_le(at + 8, note.frame.compressed_size);
        store_le(at + 12, note.frame.content_size);
        store_le(at + 16, note.frame.checksum);
        at += 20;
    }
    return bytes;
}

std::optional<FrameNotes> parse_frame_notes(std::span<const std::byte> bytes, std::string_view layer) {
    if (layer.size() != kNotesDigest || bytes.size() < kNotesHead || (bytes.size() - kNotesHead) % kNotesEntry != 0 ||
        std::memcmp(bytes.data(), kNotesMagic.data(), kNotesMagic.size()) != 0 ||
        std::memcmp(bytes.data() + kNotesMagic.size(), layer.data(), kNotesDigest) != 0)
        return std::nullopt;
    FrameNotes notes;
    const std::byte* at = bytes.data() + kNotesMagic.size() + kNotesDigest;
    take_fingerprint(at, notes.key);
    notes.frames.resize((bytes.size() - kNotesHead) / kNotesEntry);
    for (FrameNote& note : notes.frames) {
        take_fingerprint(at, note.content);
        take_fingerprint(at, note.stored);
        note.offset = load_le<std::uint64_t>(at);
        note.frame.compressed_size = load_le<std::uint32_t>(at + 8);
        note.frame.content_size = load_le<std::uint32_t>(at + 12);
        note.frame.checksum = load_le<std::uint32_t>(at + 16);
        at += 20;
    }
    return notes;
}

} // namespace vm2oci
