#include "tests/unit/ext4/ext4_fixture.hpp"

using namespace vm2oci;
using test::Ext4Image;

namespace {

// Group 0 of the plain image: blocks 1 to 2047, all from 1140 on free but for what mke2fs reserved.
constexpr std::uint32_t kBlocks = 2048;
constexpr std::uint64_t kFreeInDescriptor = 12;
constexpr std::uint64_t kGroupFlags = 18;

struct Bitmap : Ext4Image {
    using Ext4Image::Ext4Image;

    std::uint64_t bitmap() { return le(descriptor(), 4) * 1024; }
    void set_used(std::uint64_t block, bool used) {
        const std::uint64_t at = bitmap() + (block - 1) / 8;
        const std::uint64_t bit = std::uint64_t{1} << ((block - 1) % 8);
        put_le(at, 1, used ? le(at, 1) | bit : le(at, 1) & ~bit);
    }
    void set_free(std::uint64_t count) {
        put_le(descriptor() + kFreeInDescriptor, 2, count);
        put_le(super(12), 4, count);
    }
    std::uint64_t count() { return le(super(12), 4); }
    std::string said() const {
        return test::refusal_of([&] { return open()->free_space(); });
    }
    std::vector<DataRange> ranges() const { return open()->free_space().value(); }
};

DataRange blocks(std::uint64_t begin, std::uint64_t end) {
    return {begin * 1024, (end - begin) * 1024};
}

// CRC-16 of ANSI, bit by bit, as the checksum of descriptors is before metadata_csum.
std::uint16_t plain_crc16(std::uint16_t state, std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
        state = static_cast<std::uint16_t>(state ^ std::to_integer<unsigned>(byte));
        for (int bit = 0; bit < 8; ++bit)
            state = static_cast<std::uint16_t>(state >> 1 ^ ((state & 1) != 0 ? 0xa001 : 0));
    }
    return state;
}

void put_descriptor_checksum(Ext4Image& image) {
    test::ImageBytes group;
    group.put_le(0, 4, 0);
    std::uint16_t sum = plain_crc16(0xffff, image.at(Ext4Image::super(104), 16));
    sum = plain_crc16(sum, group.bytes);
    sum = plain_crc16(sum, image.at(image.descriptor(), 0x1e));
    sum = plain_crc16(sum, image.at(image.descriptor() + 0x20, 0x20)); // descriptors of 64 bytes
    image.put_le(image.descriptor() + 0x1e, 2, sum);
}

} // namespace

TEST_CASE("the free blocks of the corpus are those that dumpe2fs lists") {
    const struct {
        const char* file;
        std::uint64_t begin;
        std::uint64_t end;
    } rows[] = {{"ext4/good_default.img", 1140, 2048},
                {"ext4/good_ext2.img", 108, 2048},
                {"ext4/good_bigalloc.img", 1344, 4096}};
    for (const auto& row : rows) {
        CAPTURE(row.file);
        CHECK(Bitmap(row.file).ranges() == std::vector<DataRange>{blocks(row.begin, row.end)});
    }
}

TEST_CASE("ranges end where a block is in use, and the last one with the disk") {
    Bitmap image;
    const std::uint64_t first = image.ranges().back().offset / 1024;
    REQUIRE(image.ranges().back() == blocks(first, kBlocks));
    image.set_used(first, true);
    image.set_used(first + 8, true);
    image.set_used(1501, true);
    image.set_used(1503, true);
    image.set_used(2047, true);
    image.set_free(image.count() - 5);
    const std::vector<DataRange> ranges = image.ranges();
    const std::vector<DataRange> wanted{blocks(first + 1, first + 8), blocks(first + 9, 1501), blocks(1502, 1503),
                                        blocks(1504, 2047)};
    REQUIRE(ranges.size() >= wanted.size());
    CHECK(std::vector<DataRange>(ranges.end() - 4, ranges.end()) == wanted);
}

TEST_CASE("bitmaps that contradict descriptor or superblock are refused") {
    Bitmap image;
    const std::uint64_t count = image.count();
    const auto number = [](std::uint64_t value) { return std::to_string(value); };
    image.set_used(1500, true);
    CHECK(image.said() == "corrupt: the descriptor of group 0 counts " + number(count) +
                              " free clusters where its bitmap has " + number(count - 1));
    image.put_le(image.descriptor() + kFreeInDescriptor, 2, count - 1);
    CHECK(image.said() == "corrupt: the superblock counts " + number(count) + " free blocks where the bitmaps have " +
                              number(count - 1));
    image.put_le(Ext4Image::super(12), 4, count - 1);
    CHECK(image.said() == "accepted");
    image.put_le(image.descriptor() + 0x2c, 2, 1); // the upper half of the descriptor's count
    CHECK(image.said() == "corrupt: the descriptor of group 0 counts " + number(count - 1 + 65536) +
                              " free clusters where its bitmap has " + number(count - 1));
}

TEST_CASE("metadata is never free, whatever the bitmap says") {
    Bitmap image;
    const std::uint64_t bitmap = image.le(image.descriptor(), 4);
    const std::uint64_t inode_bitmap = image.le(image.descriptor() + 4, 4);
    const std::uint64_t table = image.le(image.descriptor() + 8, 4);
    image.fill(image.bitmap(), 256, 0); // all of the group is free, they say
    image.set_free(kBlocks - 1);
    // Superblock 1, descriptors 2, and 15 reserved blocks for more of them; 64 blocks of 256 inodes.
    std::vector<DataRange> wanted;
    std::uint64_t begin = 18;
    for (const auto& [first, end] :
         {std::pair(bitmap, bitmap + 1), std::pair(inode_bitmap, inode_bitmap + 1), std::pair(table, table + 64)}) {
        if (first > begin)
            wanted.push_back(blocks(begin, first));
        begin = end;
    }
    wanted.push_back(blocks(begin, kBlocks));
    CHECK(image.ranges() == wanted);

    image.put_le(Ext4Image::super(0x168), 8, 2000); // the block of multiple-mount protection
    wanted.back() = blocks(begin, 2000);
    wanted.push_back(blocks(2001, kBlocks));
    CHECK(image.ranges() == wanted);
}

TEST_CASE("a group whose bitmap was never written is free but for its metadata") {
    Bitmap image;
    image.set_read_only_compatible(0x10); // checksums of descriptors, as RHEL 6 and SLES 11 have them
    const std::uint64_t bitmap = image.le(image.descriptor(), 4);
    const std::uint64_t table = image.le(image.descriptor() + 8, 4);
    constexpr std::uint64_t kMetadata = 1 + 1 + 15 + 1 + 1 + 64;
    image.put_le(image.descriptor() + kGroupFlags, 2, 0x2);
    image.fill(image.bitmap(), 1024, 0xa5); // is not read
    image.set_free(kBlocks - 1 - kMetadata);
    put_descriptor_checksum(image);
    const std::vector<DataRange> ranges = image.ranges();
    CHECK(ranges.back() == blocks(table + 64, kBlocks));
    std::uint64_t total = 0;
    for (const DataRange& range : ranges) {
        total += range.length;
        CHECK_FALSE((range.offset <= bitmap * 1024 && bitmap * 1024 < range.offset + range.length));
    }
    CHECK(total == (kBlocks - 1 - kMetadata) * 1024);

    image.set_free(kBlocks - 1 - kMetadata - 1);
    put_descriptor_checksum(image);
    CHECK(image.said() == "corrupt: the descriptor of group 0 counts 1963 free clusters where its bitmap has 1964");
    // Without checksums of descriptors the flag is nothing.
    image.put_le(Ext4Image::super(100), 4, image.le(Ext4Image::super(100), 4) & ~std::uint64_t{0x10});
    CHECK_THAT(image.said(), Catch::StartsWith("corrupt: the descriptor of group 0 counts 1963 free clusters where "));
}

TEST_CASE("a wrong checksum of a descriptor or of a bitmap is refused") {
    Bitmap old;
    old.set_read_only_compatible(0x10);
    put_descriptor_checksum(old);
    CHECK(old.said() == "accepted");
    old.put_le(old.descriptor() + 0x1e, 2, old.le(old.descriptor() + 0x1e, 2) ^ 1);
    CHECK(old.said() == "corrupt: the checksum of the descriptor of group 0 is wrong");

    Bitmap image("ext4/good_default.img");
    Bitmap descriptor = image;
    descriptor.put_le(descriptor.descriptor() + 16, 2, 8); // directories
    CHECK(descriptor.said() == "corrupt: the checksum of the descriptor of group 0 is wrong");
    for (const std::uint64_t within : {0u, 142u, 200u, 1023u}) {
        CAPTURE(within);
        Bitmap changed = image;
        changed.put_le(changed.bitmap() + within, 1, changed.le(changed.bitmap() + within, 1) ^ 0x81);
        CHECK(changed.said() == "corrupt: the checksum of the block bitmap of group 0 is wrong");
    }
}

TEST_CASE("descriptors that lead out of the file system are refused, and nothing is read by them") {
    for (const std::uint64_t field : {0u, 4u, 8u})
        for (const std::uint32_t block : {0u, 2048u, 0xffffffffu}) {
            CAPTURE(field, block);
            Bitmap image;
            image.put_le(image.descriptor() + field, 4, block);
            CHECK_THAT(image.said(), Catch::StartsWith("corrupt: "));
        }
    Bitmap high; // the upper half of the bitmap's block
    high.put_le(high.descriptor() + 0x20, 4, 1);
    CHECK_THAT(high.said(), Catch::StartsWith("corrupt: "));
}

TEST_CASE("clusters are counted and not blocks") {
    Bitmap image("ext4/good_bigalloc.img");
    // A count in blocks is none in clusters, of which one is sixteen blocks.
    CHECK(image.le(image.descriptor() + kFreeInDescriptor, 2) == 172);
    const std::vector<DataRange> ranges = image.ranges();
    CHECK(ranges.size() == 1);
    for (const DataRange& range : ranges) {
        CHECK(range.offset % (16 * 1024) == 0);
        CHECK(range.length % (16 * 1024) == 0);
    }
}
