// Images of the corpus that tests change byte by byte. Places are those of Documentation/filesystems/ext4 in Linux.
#pragma once

#include "formats/base/endian.hpp"
#include "formats/base/fd.hpp"
#include "formats/ext4/file_system.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/image_bytes.hpp"
#include "tests/support/refusal.hpp"

#include <catch2/catch.hpp>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci::test {

inline const Corpus& ext4_corpus() {
    static const Corpus kCorpus(VM2OCI_GUEST_CORPUS);
    return kCorpus;
}

// Every feature that mke2fs gives by default but checksums, so that a change needs no second one.
inline constexpr const char* kPlainImage = "ext4/good_no_csum.img";

// What the images hold, by the numbers that debugfs shows.
inline constexpr std::uint32_t kEtc = 12;
inline constexpr std::uint32_t kRelease = 19;
inline constexpr std::uint32_t kBlob = 20;
inline constexpr std::uint32_t kBinLink = 21;
inline constexpr std::uint32_t kDevice = 23;

// Offsets in an inode.
inline constexpr std::uint64_t kModeAt = 0x0;
inline constexpr std::uint64_t kSizeAt = 0x4;
inline constexpr std::uint64_t kMtimeAt = 0x10;
inline constexpr std::uint64_t kLinksAt = 0x1a;
inline constexpr std::uint64_t kBlockCountAt = 0x1c;
inline constexpr std::uint64_t kFlagsAt = 0x20;
inline constexpr std::uint64_t kBlockAt = 0x28;
inline constexpr std::uint64_t kAttributeBlockAt = 0x68;
inline constexpr std::uint64_t kSizeHighAt = 0x6c;
inline constexpr std::uint64_t kExtraSizeAt = 0x80;

inline constexpr std::uint32_t kFlagEncrypt = 0x800;
inline constexpr std::uint32_t kFlagExtents = 0x80000;
inline constexpr std::uint32_t kFlagInline = 0x10000000;

struct ExtentRow {
    std::uint32_t logical;
    std::uint16_t length; // 32768 more: not written
    std::uint64_t physical;
};

class Ext4Image : public ImageBytes {
  public:
    explicit Ext4Image(const std::string& file = kPlainImage) {
        const auto device = ext4_corpus().open(file);
        bytes.resize(device->size());
        device->read_at(0, bytes);
    }

    std::uint64_t le(std::uint64_t offset, std::size_t width) {
        std::uint64_t value = 0;
        for (std::size_t i = width; i-- > 0;)
            value = value << 8 | std::to_integer<std::uint64_t>(bytes.at(static_cast<std::size_t>(offset + i)));
        return value;
    }

    static std::uint64_t super(std::uint64_t field) { return 1024 + field; }
    std::uint64_t block_size() { return std::uint64_t{1024} << le(super(24), 4); }
    // Of group 0: behind the superblock, which is in block 1 where blocks have 1 KiB.
    std::uint64_t descriptor() { return block_size() == 1024 ? 2048 : block_size(); }
    std::uint64_t inode(std::uint32_t number, std::uint64_t field = 0) {
        return le(descriptor() + 8, 4) * block_size() + (number - 1) * le(super(88), 2) + field;
    }
    // Where the first extent of a file, or its first direct block, begins.
    std::uint64_t content(std::uint32_t number) {
        const bool extents = (le(inode(number, kFlagsAt), 4) & kFlagExtents) != 0;
        return le(inode(number, kBlockAt + (extents ? 20 : 0)), 4) * block_size();
    }
    void set_incompatible(std::uint32_t bits) { put_le(super(96), 4, le(super(96), 4) | bits); }
    void set_read_only_compatible(std::uint32_t bits) { put_le(super(100), 4, le(super(100), 4) | bits); }

    // A leaf of extents in the inode itself, for a file of `size` bytes.
    void put_extents(std::uint32_t number, std::uint64_t size, const std::vector<ExtentRow>& rows) {
        put_le(inode(number, kFlagsAt), 4, kFlagExtents);
        put_le(inode(number, kSizeAt), 4, size);
        put_le(inode(number, kSizeHighAt), 4, size >> 32);
        put_leaf(inode(number, kBlockAt), 4, rows);
    }
    void put_leaf(std::uint64_t at, std::uint16_t room, const std::vector<ExtentRow>& rows) {
        put_tree_header(at, rows.size(), room, 0);
        for (const ExtentRow& row : rows) {
            at += 12;
            put_le(at, 4, row.logical);
            put_le(at + 4, 2, row.length);
            put_le(at + 6, 2, row.physical >> 32);
            put_le(at + 8, 4, row.physical);
        }
    }
    void put_tree_header(std::uint64_t at, std::uint64_t entries, std::uint64_t room, std::uint64_t depth) {
        put_le(at, 2, 0xf30a);
        put_le(at + 2, 2, entries);
        put_le(at + 4, 2, room);
        put_le(at + 6, 2, depth);
        put_le(at + 8, 4, 0);
    }
    void put_index(std::uint64_t at, std::uint32_t logical, std::uint64_t block) {
        put_le(at, 4, logical);
        put_le(at + 4, 4, block);
        put_le(at + 8, 4, block >> 32);
    }

    // One entry of a folder; the place behind it.
    std::uint64_t put_entry(std::uint64_t at, std::uint32_t number, std::string_view name, std::uint16_t length = 0) {
        const auto needed = static_cast<std::uint16_t>((8 + name.size() + 3) / 4 * 4);
        const std::uint16_t taken = length != 0 ? length : needed;
        put_le(at, 4, number);
        put_le(at + 4, 2, taken);
        put_le(at + 6, 1, name.size());
        put_le(at + 7, 1, 0);
        put(at + 8, name);
        return at + taken;
    }

    std::unique_ptr<Ext4FileSystem> open() const { return std::make_unique<Ext4FileSystem>(device()); }
    std::string opening() const {
        return refusal_of([&] { return Ext4FileSystem(device()).facts(); });
    }
};

class TextContent final : public FileContent {
  public:
    explicit TextContent(std::string text) : text_(std::move(text)) {}
    void copy_to(ByteSink& out) const override {
        // In pieces that do not end where blocks do.
        for (std::size_t at = 0; at < text_.size(); at += 5000)
            out.write(as_bytes(std::string_view(text_).substr(at, 5000)));
    }

  private:
    std::string text_;
};

inline NodeId node(std::uint32_t number) {
    return NodeId{number};
}

inline std::string content_of(const FileSystem& files, NodeId file) {
    std::string text(static_cast<std::size_t>(files.status(file).size), '\0');
    files.read_at(file, 0, std::as_writable_bytes(std::span(text)));
    return text;
}

inline std::string part_of(const FileSystem& files, NodeId file, std::uint64_t offset, std::size_t length) {
    std::string text(length, '?');
    files.read_at(file, offset, std::as_writable_bytes(std::span(text)));
    return text;
}

inline std::optional<NodeId> find_path(const FileSystem& files, std::string_view path) {
    std::optional<NodeId> found = files.root();
    while (found && !path.empty()) {
        const std::size_t slash = std::min(path.find('/'), path.size());
        found = files.lookup(*found, path.substr(0, slash));
        path.remove_prefix(std::min(slash + 1, path.size()));
    }
    return found;
}

// Castagnoli's, bit by bit.
inline std::uint32_t plain_crc32c(std::uint32_t state, std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
        state ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit)
            state = state >> 1 ^ ((state & 1) != 0 ? 0x82f63b78u : 0u);
    }
    return state;
}

} // namespace vm2oci::test
