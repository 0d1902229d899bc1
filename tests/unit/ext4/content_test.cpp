#include "tests/unit/ext4/ext4_fixture.hpp"

using namespace vm2oci;
using test::Ext4Image;
using test::kBlob;
using test::node;

namespace {

constexpr const char* kOutside = "corrupt: an extent of a file lies outside the ext4 file system";
constexpr const char* kOverlap = "corrupt: the extents of a file overlap or are out of order";
constexpr std::uint16_t kUnwritten = 32768;

// Blocks 1500 and further, which the image does not use, each of one letter.
void put_letters(Ext4Image& image, std::uint64_t first, std::string_view letters) {
    for (const char letter : letters)
        image.put(first++ * 1024, std::string(1024, letter));
}

std::string blocks(std::string_view letters) {
    std::string text;
    for (const char letter : letters)
        text += std::string(1024, letter == '.' ? '\0' : letter);
    return text;
}

std::string said(const Ext4Image& image) {
    return test::refusal_of([&] { return test::content_of(*image.open(), node(kBlob)); });
}

} // namespace

TEST_CASE("extents, holes between them and what was never written make the content") {
    Ext4Image image;
    put_letters(image, 1500, "abcdefgh");
    // Block 0 is a hole; 1-2 lie at 1504; 3 is allocated and not written; 5 lies at 1500; the end is a hole again.
    image.put_extents(kBlob, 7 * 1024 + 100, {{1, 2, 1504}, {3, kUnwritten + 1, 1507}, {5, 1, 1500}});
    const std::string whole = blocks(".ef..a.") + std::string(100, '\0');
    const auto files = image.open();
    CHECK(test::content_of(*files, node(kBlob)) == whole);
    for (const std::size_t offset :
         {0u, 1u, 1023u, 1024u, 1025u, 3071u, 3072u, 4096u, 5119u, 5120u, 6143u, 6144u, 7267u})
        for (const std::size_t length : {1u, 2u, 1024u, 1025u, 2049u, 5000u}) {
            if (offset + length > whole.size())
                continue;
            CAPTURE(offset, length);
            CHECK(test::part_of(*files, node(kBlob), offset, length) == whole.substr(offset, length));
        }
    CHECK(files->data_ranges(node(kBlob)) == std::vector<DataRange>{{1024, 2048}, {5120, 1024}});
}

TEST_CASE("nothing is read beyond a file's end") {
    Ext4Image image;
    const auto files = image.open();
    CHECK(test::part_of(*files, node(kBlob), 9000, 0).empty());
    CHECK(test::part_of(*files, node(kBlob), 8999, 1).size() == 1);
    const struct {
        std::uint64_t offset;
        std::size_t length;
    } rows[] = {{9000, 1}, {8999, 2}, {0, 9001}, {9001, 0}, {~0ull, 1}, {~0ull, 0}};
    for (const auto& row : rows) {
        CAPTURE(row.offset, row.length);
        CHECK(test::refusal_of([&] { return test::part_of(*files, node(kBlob), row.offset, row.length); }) ==
              "corrupt: a read beyond the end of inode 20");
    }
}

TEST_CASE("ranges of data end where the file ends, and join where they touch") {
    const struct {
        std::uint64_t size;
        std::vector<test::ExtentRow> rows;
        std::vector<DataRange> ranges;
    } rows[] = {
        {0, {}, {}},
        {0, {{0, 1, 1500}}, {}},
        {1, {{0, 1, 1500}}, {{0, 1}}},
        {1024, {{0, 2, 1500}}, {{0, 1024}}},
        {1024, {{0, 1, 1500}, {1, 1, 1600}}, {{0, 1024}}}, // blocks that were allocated ahead
        {1025, {{0, 1, 1500}, {1, 1, 1600}}, {{0, 1025}}}, // two places on the disk, one range of the file
        {2048, {{0, 1, 1500}, {1, kUnwritten + 1, 1501}}, {{0, 1024}}},
        {4096, {{0, 1, 1500}, {2, 1, 1501}}, {{0, 1024}, {2048, 1024}}},
        {4096, {{3, 1, 1500}}, {{3072, 1024}}},
        {4096, {{4, 1, 1500}}, {}},
        {4096, {{9, 1, 1500}}, {}},
        {std::uint64_t{3} << 32, {{4 * 1024 * 1024, 3, 1500}}, {{std::uint64_t{4} << 30, 3072}}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.size, row.rows.size());
        Ext4Image image;
        image.put_extents(kBlob, row.size, row.rows);
        CHECK(image.open()->data_ranges(node(kBlob)) == row.ranges);
        CHECK(image.open()->status(node(kBlob)).size == row.size);
    }
}

TEST_CASE("extents that cannot be are refused") {
    const struct {
        std::vector<test::ExtentRow> rows;
        const char* said;
    } rows[] = {
        {{{0, 1, 2047}}, "accepted"},
        {{{0, 1, 2048}}, kOutside},
        {{{0, 2, 2047}}, kOutside},
        {{{0, 548, 1500}}, "accepted"},
        {{{0, 549, 1500}}, kOutside},
        {{{0, 1, 0}}, kOutside},
        {{{0, kUnwritten + 1, 0}}, kOutside},
        {{{0, 1, std::uint64_t{1} << 32 | 1500}}, kOutside},
        {{{0, 2, 1500}, {1, 1, 1600}}, kOverlap},
        {{{1, 1, 1500}, {0, 1, 1600}}, kOverlap},
        {{{0, 1, 1500}, {0, 1, 1500}}, kOverlap},
        {{{0, 1, 1500}, {1, 1, 1500}}, "accepted"}, // one block twice is not seen here; no read goes wrong by it
    };
    for (const auto& row : rows) {
        CAPTURE(row.rows[0].physical, row.rows[0].length, row.rows.size());
        Ext4Image image;
        image.put_extents(kBlob, 600 * 1024, row.rows);
        CHECK(said(image) == row.said);
    }
}

TEST_CASE("a tree of extents is followed into its blocks") {
    Ext4Image image;
    put_letters(image, 1500, "abcd");
    image.put_extents(kBlob, 103 * 1024, {});
    image.put_tree_header(image.inode(kBlob, test::kBlockAt), 2, 4, 1);
    image.put_index(image.inode(kBlob, test::kBlockAt + 12), 0, 1600);
    image.put_index(image.inode(kBlob, test::kBlockAt + 24), 100, 1601);
    image.put_leaf(1600 * 1024, 84, {{0, 1, 1500}, {2, 1, 1501}});
    image.put_leaf(1601 * 1024, 84, {{100, 1, 1502}, {101, kUnwritten + 1, 1600}, {102, 1, 1503}});
    const auto files = image.open();
    CHECK(test::part_of(*files, node(kBlob), 0, 3072) == blocks("a.b"));
    CHECK(test::part_of(*files, node(kBlob), 100 * 1024, 3072) == blocks("c.d"));
    CHECK(files->data_ranges(node(kBlob)) ==
          std::vector<DataRange>{{0, 1024}, {2048, 1024}, {102'400, 1024}, {104'448, 1024}});

    // A leaf that lies outside of the disk, or is none, or claims another depth.
    for (const std::uint64_t block :
         {std::uint64_t{0}, std::uint64_t{2048}, std::uint64_t{1} << 40, std::uint64_t{1700}}) {
        CAPTURE(block);
        Ext4Image damaged = image;
        damaged.put_index(damaged.inode(kBlob, test::kBlockAt + 24), 100, block);
        CHECK_THAT(said(damaged), Catch::StartsWith("corrupt: "));
    }
    Ext4Image circle = image;
    circle.put_tree_header(1601 * 1024, 1, 84, 1);
    circle.put_index(1601 * 1024 + 12, 100, 1601);
    CHECK_THAT(said(circle), Catch::StartsWith("corrupt: "));
    Ext4Image twice = image; // both indices lead to the same leaf
    twice.put_index(twice.inode(kBlob, test::kBlockAt + 24), 100, 1600);
    CHECK_THAT(said(twice), Catch::StartsWith("corrupt: "));
    Ext4Image magic = image;
    magic.put_le(magic.inode(kBlob, test::kBlockAt), 2, 0xf30b);
    CHECK_THAT(said(magic), Catch::StartsWith("corrupt: reading the extents of a file: "));
    Ext4Image full = image; // more entries than there is room for
    full.put_le(1601 * 1024 + 2, 2, 85);
    CHECK_THAT(said(full), Catch::StartsWith("corrupt: "));
}

TEST_CASE("a map of blocks is followed through three levels") {
    Ext4Image image("ext4/good_ext2.img");
    put_letters(image, 1500, "abcde");
    constexpr std::uint64_t kDirect = 12;
    constexpr std::uint64_t kPerBlock = 256;
    constexpr std::uint64_t kDouble = kDirect + kPerBlock;
    constexpr std::uint64_t kTriple = kDouble + kPerBlock * kPerBlock;
    image.put_le(image.inode(kBlob, test::kSizeAt), 4, (kTriple + 2) * 1024);
    image.fill(image.inode(kBlob, test::kBlockAt), 60, 0);
    const auto direct = [&](std::uint64_t index, std::uint32_t block) {
        image.put_le(image.inode(kBlob, test::kBlockAt + 4 * index), 4, block);
    };
    const auto pointer = [&](std::uint64_t block, std::uint64_t index, std::uint32_t target) {
        image.put_le(block * 1024 + 4 * index, 4, target);
    };
    direct(1, 1500);
    direct(2, 1501);
    direct(12, 1600);
    pointer(1600, 255, 1502);
    direct(13, 1601);
    pointer(1601, 0, 1602);
    pointer(1602, 0, 1503);
    direct(14, 1603);
    pointer(1603, 0, 1604);
    pointer(1604, 0, 1605);
    pointer(1605, 1, 1504);
    const auto files = image.open();
    CHECK(files->data_ranges(node(kBlob)) ==
          std::vector<DataRange>{{1024, 2048}, {(kDouble - 1) * 1024, 2048}, {(kTriple + 1) * 1024, 1024}});
    CHECK(test::part_of(*files, node(kBlob), 0, 4096) == blocks(".ab."));
    CHECK(test::part_of(*files, node(kBlob), (kDouble - 2) * 1024, 4096) == blocks(".cd."));
    CHECK(test::part_of(*files, node(kBlob), kTriple * 1024, 2048) == blocks(".e"));

    Ext4Image beyond = image;
    beyond.put_le(beyond.inode(kBlob, test::kBlockAt + 4), 4, 2048);
    CHECK(test::refusal_of([&] { return beyond.open()->data_ranges(node(kBlob)); }) == kOutside);
    Ext4Image circle = image; // every pointer of block 1603 leads to 1603
    for (std::uint64_t i = 0; i < kPerBlock; ++i)
        circle.put_le(1603 * 1024 + 4 * i, 4, 1603);
    CHECK(test::refusal_of([&] { return circle.open()->data_ranges(node(kBlob)); }) ==
          "corrupt: a structure of the ext4 file system goes in circles");
    // What went in circles leaves nothing behind for the next file.
    const auto again = circle.open();
    CHECK_THROWS_AS(again->data_ranges(node(kBlob)), Error);
    CHECK(test::content_of(*again, node(test::kRelease)).size() == 24);
}

TEST_CASE("a small file lies in its inode and in an attribute") {
    Ext4Image image;
    image.set_incompatible(0x8000);
    std::string text;
    for (int i = 0; i < 90; ++i)
        text.push_back(static_cast<char>('!' + i));
    // The attribute system.data behind 32 bytes of extra fields: entries, then values from the end backwards.
    const std::uint64_t header = image.inode(kBlob, 128 + 32);
    const auto put_data = [&](std::string_view rest) {
        image.fill(header, 96, 0);
        image.put_le(header, 4, 0xea020000);
        image.put_le(header + 4, 1, 4);
        image.put_le(header + 5, 1, 7);
        image.put_le(header + 6, 2, rest.empty() ? 0 : 60);
        image.put_le(header + 12, 4, rest.size());
        image.put(header + 20, std::string_view("data"));
        image.put(header + 4 + 60, rest);
    };
    image.put_le(image.inode(kBlob, test::kFlagsAt), 4, test::kFlagInline);
    image.put(image.inode(kBlob, test::kBlockAt), text.substr(0, 60));
    for (const std::size_t size : {0u, 1u, 59u, 60u, 61u, 90u}) {
        CAPTURE(size);
        put_data(size > 60 ? std::string_view(text).substr(60, size - 60) : std::string_view());
        image.put_le(image.inode(kBlob, test::kSizeAt), 4, size);
        const auto files = image.open();
        CHECK(test::content_of(*files, node(kBlob)) == text.substr(0, size));
        CHECK(files->data_ranges(node(kBlob)) == std::nullopt);
        CHECK(files->attributes(node(kBlob)).empty()); // the content is no attribute
        if (size > 2)
            CHECK(test::part_of(*files, node(kBlob), size - 2, 2) == text.substr(size - 2, 2));
    }
    // A file that was made longer without being written.
    put_data("rest");
    image.put_le(image.inode(kBlob, test::kSizeAt), 4, 100);
    CHECK(test::content_of(*image.open(), node(kBlob)) == text.substr(0, 60) + "rest" + std::string(36, '\0'));
    CHECK(test::part_of(*image.open(), node(kBlob), 70, 30) == std::string(30, '\0'));
}
