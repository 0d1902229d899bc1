// A journal (jbd2) written by hand into an image of the corpus. Places and checksums are those of
// Documentation/filesystems/ext4/journal.rst in Linux.
#pragma once

#include "tests/unit/ext4/ext4_fixture.hpp"

namespace vm2oci::test {

inline constexpr std::uint32_t kRevokes = 0x1;
inline constexpr std::uint32_t kWide = 0x2;
inline constexpr std::uint32_t kChecksumV2 = 0x8;
inline constexpr std::uint32_t kChecksumV3 = 0x10;

inline constexpr std::uint32_t kEscaped = 0x1;
inline constexpr std::uint32_t kSameUuid = 0x2;
inline constexpr std::uint32_t kLast = 0x8;

inline constexpr std::uint32_t kJournalMagicNumber = 0xc03b3998;

struct JournalTag {
    std::uint64_t target; // block of the file system
    std::string content;  // made as long as a block
    std::uint32_t flags = 0;
};

struct Journal : Ext4Image {
    static constexpr std::uint32_t kBegin = 1300; // blocks of the file system
    static constexpr std::uint32_t kBlocks = 32;
    static constexpr std::uint32_t kContent = 1500; // where the file /usr/lib/blob lies, four blocks of dots

    std::uint32_t features;

    explicit Journal(std::uint32_t incompatible = 0, std::uint32_t start = 1, std::uint32_t sequence = 7)
        : features(incompatible) {
        set_incompatible(0x4); // needs recovery
        put_extents(8, kBlocks * 1024, {{0, kBlocks, kBegin}});
        put_extents(kBlob, 4 * 1024, {{0, 4, kContent}});
        fill(kContent * 1024, 4 * 1024, '.');
        fill(kBegin * 1024, kBlocks * 1024, 0);
        const std::uint64_t at = place(0);
        put_head(0, 4, 0);
        put_be(at + 12, 4, 1024);
        put_be(at + 16, 4, kBlocks);
        put_be(at + 20, 4, 1);
        put_be(at + 24, 4, sequence);
        put_be(at + 28, 4, start);
        put_be(at + 40, 4, features);
        put(at + 48, std::string_view("uuid-of-journal!"));
        seal_superblock();
    }

    static std::uint64_t place(std::uint32_t block) { return std::uint64_t{kBegin + block} * 1024; }
    bool has(std::uint32_t feature) const { return (features & feature) != 0; }
    bool checksums() const { return has(kChecksumV2 | kChecksumV3); }
    std::uint32_t seed() { return plain_crc32c(~0u, at(place(0) + 48, 16)); }
    std::uint64_t tag_size() const {
        return has(kChecksumV3) ? 16u : (has(kChecksumV2) ? 10u : 8u) + (has(kWide) ? 4u : 0u);
    }
    // The ring has the blocks 1 to `last` - 1.
    std::uint32_t next(std::uint32_t block, std::uint32_t last = kBlocks) const {
        return block + 1 == last ? 1 : block + 1;
    }

    void put_head(std::uint32_t block, std::uint32_t type, std::uint32_t sequence) {
        put_be(place(block), 4, kJournalMagicNumber);
        put_be(place(block) + 4, 4, type);
        put_be(place(block) + 8, 4, sequence);
    }
    void seal_superblock() { seal(0, 0xfc, ~0u); }
    void seal(std::uint32_t block, std::uint64_t within, std::uint32_t state) {
        if (!checksums())
            return;
        put_be(place(block) + within, 4, 0);
        put_be(place(block) + within, 4, plain_crc32c(state, at(place(block), 1024)));
    }

    // A descriptor and what it describes; the block behind them.
    std::uint32_t put_blocks(std::uint32_t block, std::uint32_t sequence, const std::vector<JournalTag>& tags,
                             std::uint32_t last = kBlocks) {
        const std::uint32_t descriptor = block;
        put_head(descriptor, 1, sequence);
        std::uint64_t tag = place(descriptor) + 12;
        for (std::size_t i = 0; i < tags.size(); ++i) {
            block = next(block, last);
            std::string content = tags[i].content;
            content.resize(1024, '_');
            put(place(block), content);
            const std::uint32_t flags = tags[i].flags | (i != 0 ? kSameUuid : 0) | (i + 1 == tags.size() ? kLast : 0);
            ImageBytes number;
            number.put_be(0, 4, sequence);
            const std::uint32_t sum =
                plain_crc32c(plain_crc32c(seed(), number.bytes), std::as_bytes(std::span(content)));
            put_be(tag, 4, tags[i].target);
            if (has(kChecksumV3)) {
                put_be(tag + 4, 4, flags);
                put_be(tag + 12, 4, sum);
            } else {
                put_be(tag + 4, 2, has(kChecksumV2) ? sum & 0xffff : 0);
                put_be(tag + 6, 2, flags);
            }
            if (has(kWide))
                put_be(tag + 8, 4, tags[i].target >> 32);
            tag += tag_size() + (i == 0 ? 16 : 0);
        }
        seal(descriptor, 1020, seed());
        return next(block, last);
    }
    std::uint32_t put_commit(std::uint32_t block, std::uint32_t sequence, std::uint32_t last = kBlocks) {
        put_head(block, 2, sequence);
        seal(block, 16, seed());
        return next(block, last);
    }
    std::uint32_t put_revokes(std::uint32_t block, std::uint32_t sequence, const std::vector<std::uint64_t>& targets) {
        const std::size_t width = has(kWide) ? 8 : 4;
        put_head(block, 5, sequence);
        put_be(place(block) + 12, 4, 16 + width * targets.size());
        for (std::size_t i = 0; i < targets.size(); ++i)
            put_be(place(block) + 16 + width * i, width, targets[i]);
        seal(block, 1020, seed());
        return next(block);
    }
    // A whole transaction.
    std::uint32_t put_transaction(std::uint32_t block, std::uint32_t sequence, const std::vector<JournalTag>& tags,
                                  std::uint32_t last = kBlocks) {
        return put_commit(put_blocks(block, sequence, tags, last), sequence, last);
    }

    // The first letters of the four blocks of the file.
    std::string letters() const {
        const auto files = open();
        const std::string content = content_of(*files, node(kBlob));
        std::string found;
        for (std::size_t i = 0; i < 4; ++i)
            found.push_back(content.at(i * 1024));
        return found;
    }
};

} // namespace vm2oci::test
