// What was reported of other readers, rebuilt small.
#include "formats/base/error.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>
#include <zstd.h>

using namespace vm2oci;
using namespace vm2oci::test;
using namespace vm2oci::test::btrfs_sample;

namespace {

constexpr std::size_t kSector = 4096;
constexpr std::uint8_t kZstd = 3;

std::string zstd_of(const std::string& content) {
    std::string packed(ZSTD_compressBound(content.size()), '\0');
    packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), 3));
    return packed;
}

std::string words(std::size_t length) {
    std::string text;
    for (std::size_t i = 0; text.size() < length; ++i)
        text += "word " + std::to_string(i * i) + " ";
    text.resize(length);
    return text;
}

std::string only_file(BtrfsBuilder made) {
    made.finish();
    const BtrfsFileSystem files(made.device());
    return read_content(files, find_node(files, "file"));
}

} // namespace

TEST_CASE("U-Boot, btrfs restore: a zstd frame in an item that has a whole sector, of which the file has a part") {
    for (const std::size_t size : {300u, 3906u}) {
        std::string sector = words(size);
        sector.resize(kSector, '\0');
        BtrfsBuilder made;
        made.inode(kTop, 257, 0100644, {size}).name(kTop, kRoot, 2, "file", 257);
        made.extent_in_item(kTop, 257, zstd_of(sector), size, kZstd);
        CHECK(only_file(made) == words(size));
    }
}

TEST_CASE("U-Boot: a zstd frame that is shorter than its extent, and has padding behind it") {
    const std::size_t size = 2 * kSector + 1234;
    const std::string packed = zstd_of(words(size));
    BtrfsBuilder made;
    made.inode(kTop, 257, 0100644, {size}).name(kTop, kRoot, 2, "file", 257);
    const std::uint64_t stored = (packed.size() + kSector - 1) / kSector * kSector;
    made.extent(kTop, 257, {0, 3 * kSector, made.data(packed), stored, 0, 3 * kSector, kZstd});
    CHECK(only_file(made) == words(size));
    // The rest of the last sector is zeros, if the file grew over it.
    made.inode(kTop, 257, 0100644, {3 * kSector});
    CHECK(only_file(made) == words(size) + std::string(3 * kSector - size, '\0'));
}

TEST_CASE("U-Boot: the last bytes of a packed file that does not end with a sector, whatever is read before") {
    const std::size_t size = 5 * kSector - 1536;
    const std::string packed = zstd_of(words(5 * kSector));
    BtrfsBuilder made;
    made.inode(kTop, 257, 0100644, {size}).name(kTop, kRoot, 2, "file", 257);
    const std::uint64_t stored = (packed.size() + kSector - 1) / kSector * kSector;
    made.extent(kTop, 257, {0, 5 * kSector, made.data(packed), stored, 0, 5 * kSector, kZstd});
    made.finish();
    const BtrfsFileSystem files(made.device());
    const NodeId node = find_node(files, "file");
    for (const std::size_t at : {size - 1, size - 2560, size - 2 * kSector, std::size_t{1}}) {
        std::string part(size - at, '?');
        files.read_at(node, at, std::as_writable_bytes(std::span(part)));
        CHECK(part == words(5 * kSector).substr(at, size - at));
    }
}

TEST_CASE("GRUB: content in an item followed by an extent, and gaps that no extent tells of") {
    BtrfsBuilder made;
    made.inode(kTop, 257, 0100644, {6 * kSector}).name(kTop, kRoot, 2, "file", 257);
    made.extent_in_item(kTop, 257, words(1024), 1024);
    made.extent(kTop, 257, {kSector, kSector, made.data(std::string(kSector, 'b')), kSector});
    made.extent(kTop, 257, {3 * kSector, kSector, made.data(std::string(kSector, 'c')), kSector});
    std::string expected = words(1024);
    expected.resize(kSector, '\0');
    expected += std::string(kSector, 'b') + std::string(kSector, '\0') + std::string(kSector, 'c');
    expected.resize(6 * kSector, '\0');
    CHECK(only_file(made) == expected);
}

TEST_CASE("btrfscue: more than the first extent") {
    BtrfsBuilder made;
    std::string expected;
    made.name(kTop, kRoot, 2, "file", 257);
    for (std::size_t i = 0; i < 40; ++i) {
        const std::string sector(kSector, static_cast<char>('A' + i));
        made.extent(kTop, 257, {i * kSector, kSector, made.data(sector), kSector});
        expected += sector;
    }
    made.inode(kTop, 257, 0100644, {expected.size()});
    CHECK(only_file(made) == expected);
}

TEST_CASE("the kernel's own: one packed extent many times, with holes punched into it") {
    std::string content;
    for (const char c : {'0', '1', '2', '3'})
        content += std::string(kSector, c);
    const std::string packed = zstd_of(content);
    BtrfsBuilder made;
    const std::uint64_t address = made.data(packed);
    std::string expected;
    made.name(kTop, kRoot, 2, "file", 257);
    for (std::size_t turn = 0; turn < 10; ++turn) {
        // A hole, the second sector, a hole, the fourth.
        for (const std::size_t sector : {1u, 3u})
            made.extent(
                kTop, 257,
                {(turn * 4 + sector) * kSector, kSector, address, kSector, sector * kSector, 4 * kSector, kZstd});
        expected += std::string(kSector, '\0') + std::string(kSector, '1') + std::string(kSector, '\0') +
                    std::string(kSector, '3');
    }
    made.inode(kTop, 257, 0100644, {expected.size()});
    CHECK(only_file(made) == expected);
}

TEST_CASE("partclone: with block groups in a tree of their own no block is free") {
    for (const auto copies : {BtrfsBuilder::Copies::one, BtrfsBuilder::Copies::two}) {
        BtrfsBuilder made = make_btrfs_sample(btrfs::ChecksumType::crc32c, copies);
        made.separate_block_groups().finish(5);
        const BtrfsFileSystem files(made.device());
        const auto free = files.free_space();
        REQUIRE(free);
        CHECK(free->size() > 2);
        for (const std::size_t block : made.blocks())
            for (const DataRange& range : *free)
                CHECK_FALSE((range.offset < block + kSector && block < range.offset + range.length));
        read_all_of(files);
    }
}

TEST_CASE("WinBtrfs: what fsync wrote is not older than what the kernel shows") {
    BtrfsBuilder made;
    made.file(kTop, kRoot, 2, "file", 257, "old");
    const std::uint64_t log = made.log(kTop);
    made.inode(log, 257, 0100644, {3}).inode_name(log, kRoot, 2, "file", 257).extent_in_item(log, 257, "new", 3);
    CHECK(only_file(made) == "new");
}

TEST_CASE("btrfs restore: a log that makes a folder anew where one of its name was") {
    BtrfsBuilder made;
    made.inode(kTop, 257, 040755).name(kTop, kRoot, 2, "file", 257).file(kTop, 257, 2, "inside", 258, "x");
    const std::uint64_t log = made.log(kTop);
    made.inode(log, kRoot, 040755).item(log, {kRoot, 72, 2}, BtrfsBytes().le<std::uint64_t>(3).bytes);
    made.inode(log, 259, 0100644, {5}).inode_name(log, kRoot, 3, "file", 259).extent_in_item(log, 259, "again", 5);
    BtrfsBytes entry;
    entry.key({259, 1, 0})
        .le<std::uint64_t>(8)
        .le<std::uint16_t>(0)
        .le<std::uint16_t>(4)
        .le<std::uint8_t>(1)
        .text("file");
    made.item(log, {kRoot, 96, 3}, entry.bytes);
    CHECK(only_file(made) == "again");
}
