// Content is what its checksums say, from whichever copy.
#include "formats/base/error.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;
using namespace vm2oci::test::btrfs_sample;

namespace {

constexpr std::size_t kSector = 4096;

std::string content_of(const BtrfsBuilder& made, std::string_view path) {
    const BtrfsFileSystem files(made.device());
    return read_content(files, find_node(files, path));
}

} // namespace

TEST_CASE("btrfs: data that are unlike their checksum are refused, unless the other copy is right") {
    for (const auto checksum : {btrfs::ChecksumType::crc32c, btrfs::ChecksumType::blake2b}) {
        BtrfsBuilder one = make_btrfs_sample(checksum);
        one.finish();
        one.put8(BtrfsBuilder::kDataPlace + 100, 'x');
        CHECK_THROWS_AS(content_of(one, "folder/large"), Error);
        // Without checksums it is what it is.
        CHECK(content_of(one, "folder/plain")[100] == 'x');

        BtrfsBuilder two = make_btrfs_sample(checksum, BtrfsBuilder::Copies::two);
        two.finish();
        const std::string whole = content_of(two, "folder/large");
        two.put8(BtrfsBuilder::kDataPlace + 100, 'x');
        two.put8(BtrfsBuilder::kDataPlace + BtrfsBuilder::kChunkLength + kSector + 100, 'y');
        CHECK(content_of(two, "folder/large") == whole);
        two.put8(BtrfsBuilder::kDataPlace + BtrfsBuilder::kChunkLength + 100, 'y');
        CHECK_THROWS_AS(content_of(two, "folder/large"), Error);
    }
}

TEST_CASE("btrfs: a tree block that is damaged in one copy is taken from the other") {
    BtrfsBuilder two = make_btrfs_sample(btrfs::ChecksumType::xxhash64, BtrfsBuilder::Copies::two);
    two.finish(3);
    const std::size_t place = two.block_of(kTop);
    two.put8(place + 200, 0xee);
    CHECK(content_of(two, "file") == "content");
    two.put8(place + BtrfsBuilder::kChunkLength + 200, 0xee);
    CHECK_THROWS_AS(content_of(two, "file"), Error);
}

TEST_CASE("btrfs: data without a checksum where there must be one are refused") {
    BtrfsBuilder made;
    const std::uint64_t address = made.data("known");
    made.inode(kTop, 257, 0100644, {kSector}).name(kTop, kRoot, 2, "file", 257);
    // The sector behind has none.
    made.extent(kTop, 257, {0, kSector, address + kSector, kSector});
    made.finish();
    CHECK_THROWS_AS(content_of(made, "file"), Error);
}

TEST_CASE("btrfs: checksums of one extent lie in several items") {
    BtrfsBuilder made;
    std::string content;
    const std::uint64_t address = made.data(std::string(kSector, '0'));
    content += std::string(kSector, '0');
    for (const char c : {'1', '2', '3'}) {
        made.data(std::string(kSector, c));
        content += std::string(kSector, c);
    }
    made.inode(kTop, 257, 0100644, {4 * kSector - 5}).name(kTop, kRoot, 2, "file", 257);
    made.extent(kTop, 257, {0, 4 * kSector, address, 4 * kSector});
    for (const std::size_t items : {2u, 100u}) {
        BtrfsBuilder each = made;
        each.finish(items);
        const BtrfsFileSystem files(each.device());
        const NodeId node = find_node(files, "file");
        CHECK(read_content(files, node) == content.substr(0, 4 * kSector - 5));
        for (const std::uint64_t at : {0u, 1u, 4095u, 4096u, 8191u, 12288u, 16000u}) {
            std::string part(std::min<std::size_t>(5000, 4 * kSector - 5 - at), '?');
            files.read_at(node, at, std::as_writable_bytes(std::span(part)));
            CHECK(part == content.substr(at, part.size()));
        }
    }
}

TEST_CASE("btrfs: parts of one packed extent are shared and cut") {
    BtrfsBuilder made;
    const std::string stored = lzo_extent(lzo_of_zeros(4096));
    // Two segments of which the second is other content.
    std::string literals(4096, '\0');
    for (std::size_t i = 0; i < literals.size(); ++i)
        literals[i] = static_cast<char>('a' + i % 26);
    const std::string run =
        std::string(16, '\0') + static_cast<char>(4096 - 18 - 15 * 255) + literals + std::string("\x11\0\0", 3);
    const std::string first = lzo_of_zeros(4096);
    const std::string both = le32(static_cast<std::uint32_t>(12 + first.size() + run.size())) +
                             le32(static_cast<std::uint32_t>(first.size())) + first +
                             le32(static_cast<std::uint32_t>(run.size())) + run;
    const std::uint64_t address = made.data(both);
    const std::uint64_t length = (both.size() + kSector - 1) / kSector * kSector;
    made.inode(kTop, 257, 0100644, {3 * kSector}).name(kTop, kRoot, 2, "file", 257);
    made.extent(kTop, 257, {0, kSector, address, length, kSector, 2 * kSector, 2});
    made.extent(kTop, 257, {kSector, 2 * kSector, address, length, 0, 2 * kSector, 2});
    made.finish();
    CHECK(content_of(made, "file") == literals + std::string(kSector, '\0') + literals);
}

TEST_CASE("btrfs: content in an item is cut and continued by zeros where the size says so") {
    BtrfsBuilder made;
    made.inode(kTop, 257, 0100644, {4}).name(kTop, kRoot, 2, "cut", 257).extent_in_item(kTop, 257, "content", 7);
    made.inode(kTop, 258, 0100644, {10000}).name(kTop, kRoot, 3, "grown", 258).extent_in_item(kTop, 258, "content", 7);
    const std::string packed = lzo_extent(lzo_of_zeros(2000));
    made.inode(kTop, 259, 0100644, {2000}).name(kTop, kRoot, 4, "packed", 259);
    made.extent_in_item(kTop, 259, packed, 2000, 2);
    // Followed by an extent, as an old kernel left it.
    made.inode(kTop, 260, 0100644, {2 * kSector}).name(kTop, kRoot, 5, "followed", 260);
    made.extent_in_item(kTop, 260, "in", 2).extent(kTop, 260, {kSector, kSector, made.data("behind"), kSector});
    made.finish();
    CHECK(content_of(made, "cut") == "cont");
    CHECK(content_of(made, "grown") == "content" + std::string(9993, '\0'));
    CHECK(content_of(made, "packed") == std::string(2000, '\0'));
    CHECK(content_of(made, "followed") ==
          "in" + std::string(kSector - 2, '\0') + "behind" + std::string(kSector - 6, '\0'));
}
