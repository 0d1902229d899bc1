#include "tests/unit/ext4/ext4_fixture.hpp"

using namespace vm2oci;
using test::Ext4Image;

namespace {

struct FieldRow {
    std::uint64_t field;
    std::size_t width;
    std::uint64_t value;
    std::string said;
};

void check_rows(const std::vector<FieldRow>& rows) {
    for (const FieldRow& row : rows) {
        CAPTURE(row.field, row.width, row.value);
        Ext4Image image;
        image.put_le(Ext4Image::super(row.field), row.width, row.value);
        CHECK(image.opening() == row.said);
    }
}

constexpr const char* kNone = "corrupt: there is no ext2, ext3 or ext4 file system";
constexpr const char* kTooLarge = "corrupt: the ext4 file system is larger than the space it lies in";
constexpr const char* kGroups = "limit: the ext4 file system has more block groups than any real one of its size";
constexpr const char* kFirstInode = "corrupt: the ext4 superblock names an impossible first inode";

} // namespace

TEST_CASE("a superblock's numbers are judged before anything is allocated by them") {
    check_rows({
        {56, 2, 0xef53, "accepted"},
        {56, 2, 0xef54, kNone},
        {56, 2, 0xee53, kNone},
        {56, 2, 0, kNone},
        {24, 4, 7, "corrupt: the ext4 block size is not legal"},
        {24, 4, 0xffffffff, "corrupt: the ext4 block size is not legal"},
        {24, 4, 6, kTooLarge}, // 64 KiB is legal: 2048 of them do not fit
        {24, 4, 1, kTooLarge},
        {4, 4, 0, kTooLarge},
        {4, 4, 2048, "accepted"},
        {4, 4, 2049, kTooLarge},
        {0x150, 4, 1, kTooLarge}, // the upper half of the number of blocks
        {32, 4, 0, kGroups},
        {84, 4, 10, kFirstInode},
        {84, 4, 11, "accepted"},
        {84, 4, 256, "accepted"},
        {84, 4, 257, kFirstInode},
        {84, 4, 0xffffffff, kFirstInode},
    });
}

TEST_CASE("features that cannot be read are refused by their names or bits") {
    const auto newer = [](const char* bits) {
        return std::string("unsupported: the ext4 file system has incompatible features (bits ") + bits +
               ") that are newer than this program";
    };
    const std::string journal = "unsupported: this is an external ext4 journal or no legal ext4 at all";
    const struct {
        std::uint32_t bits;
        std::string said;
    } rows[] = {
        {0x1, "unsupported: the ext4 feature 'compression' cannot be read"},
        {0x1000, "unsupported: the ext4 feature 'dirdata' cannot be read"},
        {0x8, journal},
        {0xffffffff, journal},
        {0x20, newer("0x20")},
        {0x800, newer("0x800")},
        {0x40000, newer("0x40000")},
        {0x80000020, newer("0x80000020")},
        {0x100, "accepted"},   // mmp
        {0x400, "accepted"},   // ea_inode
        {0x4000, "accepted"},  // large_dir
        {0x8000, "accepted"},  // inline_data
        {0x10000, "accepted"}, // encrypt
        {0x20000, "accepted"}, // casefold
    };
    for (const auto& row : rows) {
        CAPTURE(row.bits);
        Ext4Image image;
        image.set_incompatible(row.bits);
        CHECK(image.opening() == row.said);
    }
}

TEST_CASE("features for writers alone keep no one from reading") {
    for (int bit = 0; bit < 32; ++bit) {
        if (bit == 9 || bit == 10 || bit == 4) // bigalloc counts otherwise, the other two add checksums
            continue;
        CAPTURE(bit);
        Ext4Image image;
        image.set_read_only_compatible(1u << bit);
        CHECK(image.opening() == "accepted");
        image.put_le(Ext4Image::super(92), 4, image.le(Ext4Image::super(92), 4) | 1u << bit);
        CHECK(image.opening() == "accepted");
    }
}

TEST_CASE("a disk that ends in the superblock holds no file system") {
    const Ext4Image image;
    for (const std::size_t size : {0u, 1u, 512u, 1024u, 1025u, 2047u}) {
        CAPTURE(size);
        Ext4Image cut = image;
        cut.bytes.resize(size);
        CHECK(cut.opening() == "corrupt: the ext4 file system ends before its superblock");
    }
    Ext4Image whole = image;
    whole.bytes.resize(2048);
    CHECK(whole.opening() == kTooLarge);
    Ext4Image almost = image;
    almost.bytes.resize(image.bytes.size() - 1);
    CHECK(almost.opening() == kTooLarge);
    Ext4Image more = image;
    more.bytes.resize(image.bytes.size() + 1);
    CHECK(more.opening() == "accepted");
}

TEST_CASE("the upper half of the number of blocks counts with the feature 64bit alone") {
    Ext4Image image("ext4/good_64bit_off.img");
    image.put_le(Ext4Image::super(0x150), 4, 7);
    // Its checksum is that of another superblock now, and this is said instead.
    CHECK(image.opening() != kTooLarge);
}

TEST_CASE("more group descriptors than a real disk has are refused before they are read") {
    // 1 TiB in blocks of 1 KiB.
    constexpr std::uint64_t kBlocks = std::uint64_t{1} << 30;
    const auto said = [](std::uint32_t group_blocks, std::uint16_t descriptor_size) {
        Ext4Image image;
        image.put_le(Ext4Image::super(4), 4, kBlocks);
        image.put_le(Ext4Image::super(32), 4, group_blocks);
        image.put_le(Ext4Image::super(254), 2, descriptor_size);
        const auto device = std::make_shared<test::MemoryDevice>(kBlocks * 1024);
        device->put(0, std::span(image.bytes).first(4096));
        return test::refusal_of([&] { return Ext4FileSystem(device).facts(); });
    };
    CHECK(said(1024, 32) != kGroups); // 2^20 groups, 32 MiB of descriptors
    CHECK(said(1023, 32) == kGroups);
    CHECK(said(2047, 64) == kGroups);
    CHECK(said(1023, 0) == kGroups); // none is shorter than 32 bytes
    CHECK(said(1, 32) == kGroups);
}

TEST_CASE("what lies in the superblock is told") {
    Ext4Image image;
    const auto plain = image.open()->facts();
    CHECK(plain.uuid == "00000000-0000-4000-8000-000000000001");
    CHECK(plain.label.empty());
    CHECK(plain.last_mounted.empty());
    CHECK(plain.block_size == 1024);
    CHECK(plain.health == Ext4Facts::Health::clean);

    std::string uuid;
    for (int i = 0; i < 16; ++i)
        uuid.push_back(static_cast<char>(0x10 * i + 1));
    image.put(Ext4Image::super(104), uuid);
    image.put(Ext4Image::super(120), std::string_view("sixteen-letters!"));
    image.put(Ext4Image::super(136), "/" + std::string(63, 'm'));
    const auto facts = image.open()->facts();
    CHECK(facts.uuid == "01112131-4151-6171-8191-a1b1c1d1e1f1");
    CHECK(facts.label == "sixteen-letters!"); // without a zero behind it
    CHECK(facts.last_mounted == "/" + std::string(63, 'm'));

    image.put_le(Ext4Image::super(120 + 4), 1, 0);
    image.put_le(Ext4Image::super(136 + 1), 1, 0);
    CHECK(image.open()->facts().label == "sixt");
    CHECK(image.open()->facts().last_mounted == "/");
}

TEST_CASE("a file system that is not clean is suspect, and names no free space") {
    constexpr const char* kWord = "corrupt: it was not unmounted or has errors; run e2fsck in the guest to have its "
                                  "free space left out";
    for (const unsigned state : {0u, 1u, 2u, 3u, 4u, 5u}) {
        CAPTURE(state);
        Ext4Image image;
        image.put_le(Ext4Image::super(58), 2, state);
        const auto files = image.open();
        const bool clean = state == 1 || state == 5; // 4: orphans are being recovered
        CHECK((files->facts().health == Ext4Facts::Health::clean) == clean);
        CHECK(test::refusal_of([&] { return files->free_space(); }) == (clean ? "accepted" : kWord));
    }
}

TEST_CASE("usage is what dumpe2fs shows of every image") {
    const struct {
        const char* file;
        std::uint64_t blocks;
        std::uint64_t free;
        std::uint64_t inodes;
        std::uint64_t free_inodes;
        LogState log;
    } rows[] = {
        {"ext4/good_default.img", 2048, 908, 256, 232, LogState::clean},
        {"ext4/good_ext2.img", 2048, 1940, 256, 232, LogState::none},
        {"ext4/good_bigalloc.img", 4096, 2752, 256, 232, LogState::clean},
        {"ext4/good_inode128.img", 2048, 940, 256, 232, LogState::clean},
        {"ext4/good_64bit_off.img", 2048, 916, 256, 232, LogState::clean},
    };
    for (const auto& row : rows) {
        CAPTURE(row.file);
        const Ext4FileSystem files(test::ext4_corpus().open(row.file));
        CHECK(files.usage().total_bytes == row.blocks * 1024);
        CHECK(files.usage().free_bytes == row.free * 1024);
        CHECK(files.usage().total_inodes == row.inodes);
        CHECK(files.usage().free_inodes == row.free_inodes);
        CHECK(files.log() == row.log);
    }
}

TEST_CASE("more free blocks than there are blocks are not told") {
    Ext4Image image;
    image.put_le(Ext4Image::super(12), 4, 2049);
    CHECK(image.open()->usage().free_bytes == 2048 * 1024);
    image.put_le(Ext4Image::super(0x158), 4, 1);
    CHECK(image.open()->usage().free_bytes == 2048 * 1024);
}

TEST_CASE("a wrong checksum of the superblock ends the reading") {
    Ext4Image image("ext4/good_default.img");
    CHECK(image.opening() == "accepted");
    for (const std::uint64_t field : {12u, 104u, 120u, 264u, 1000u, 1020u}) {
        CAPTURE(field);
        Ext4Image changed = image;
        changed.put_le(Ext4Image::super(field), 1, changed.le(Ext4Image::super(field), 1) ^ 1);
        CHECK_THAT(changed.opening(), Catch::StartsWith("corrupt: opening the ext4 file system: "));
    }
    // The same change with the checksum that belongs to it.
    image.put(Ext4Image::super(120), std::string_view("label"));
    image.put_le(Ext4Image::super(1020), 4, test::plain_crc32c(~0u, image.at(Ext4Image::super(0), 1020)));
    CHECK(image.open()->facts().label == "label");
}

TEST_CASE("a root that is no folder is refused") {
    Ext4Image image;
    image.put_le(image.inode(2, test::kModeAt), 2, 0x81a4);
    CHECK(image.opening() == "corrupt: the root of the ext4 file system is no folder");
    image.put_le(image.inode(2, test::kModeAt), 2, 0x31a4);
    CHECK(image.opening() == "corrupt: an inode is of no known type");
    image.put_le(image.inode(2, test::kModeAt), 2, 0);
    CHECK(image.opening() == "corrupt: inode 2 is in use and was deleted");
}
