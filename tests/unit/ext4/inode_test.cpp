#include "tests/unit/ext4/ext4_fixture.hpp"

using namespace vm2oci;
using test::Ext4Image;
using test::kBinLink;
using test::kBlob;
using test::kDevice;
using test::kEtc;
using test::kRelease;
using test::node;

TEST_CASE("every type of file and every bit of its mode is told") {
    const struct {
        std::uint32_t bits;
        FileType type;
    } rows[] = {{0x1000, FileType::fifo},         {0x2000, FileType::character_device}, {0x4000, FileType::directory},
                {0x6000, FileType::block_device}, {0x8000, FileType::regular},          {0xa000, FileType::symlink},
                {0xc000, FileType::socket}};
    for (const auto& row : rows)
        for (const std::uint32_t permissions : {0u, 01u, 0644u, 01777u, 02755u, 04755u, 07777u}) {
            CAPTURE(row.bits, permissions);
            Ext4Image image;
            image.put_le(image.inode(kRelease, test::kModeAt), 2, row.bits | permissions);
            const FileStatus status = image.open()->status(node(kRelease));
            CHECK(status.type == row.type);
            CHECK(status.permissions == permissions);
            // Links have sizes, too; folders and what is no file have none.
            CHECK(status.size == (row.type == FileType::regular || row.type == FileType::symlink ? 24u : 0u));
        }
    for (const std::uint32_t bits : {0x3000u, 0x5000u, 0x7000u, 0x9000u, 0xb000u, 0xd000u, 0xe000u, 0xf000u}) {
        CAPTURE(bits);
        Ext4Image image;
        image.put_le(image.inode(kRelease, test::kModeAt), 2, bits | 0644);
        const auto files = image.open();
        CHECK(test::refusal_of([&] { return files->status(node(kRelease)); }) ==
              "corrupt: an inode is of no known type");
    }
}

TEST_CASE("owners have 32 bits, in two places each") {
    Ext4Image image;
    image.put_le(image.inode(kRelease, 0x2), 2, 0x1234);
    image.put_le(image.inode(kRelease, 0x78), 2, 0xabcd);
    image.put_le(image.inode(kRelease, 0x18), 2, 0x5678);
    image.put_le(image.inode(kRelease, 0x7a), 2, 0xef01);
    image.put_le(image.inode(kRelease, test::kLinksAt), 2, 65'000);
    const FileStatus status = image.open()->status(node(kRelease));
    CHECK(status.uid == 0xabcd1234);
    CHECK(status.gid == 0xef015678);
    CHECK(status.link_count == 65'000);
}

TEST_CASE("times reach from 1901 to 2446") {
    // The table of Documentation/filesystems/ext4/inodes.rst.
    const struct {
        std::uint32_t low;
        std::uint32_t extra;
        std::int64_t seconds;
        std::uint32_t nanoseconds;
    } rows[] = {
        {0x80000000, 0, -0x80000000ll, 0},
        {0xffffffff, 0, -1, 0},
        {0, 0, 0, 0},
        {0x7fffffff, 0, 0x7fffffff, 0},
        {0x80000000, 1, 0x080000000, 0},
        {0xffffffff, 1, 0x0ffffffff, 0},
        {0, 1, 0x100000000, 0},
        {0x7fffffff, 1, 0x17fffffff, 0},
        {0x80000000, 2, 0x180000000, 0},
        {0, 2, 0x200000000, 0},
        {0x80000000, 3, 0x280000000, 0},
        {0x7fffffff, 3, 0x37fffffff, 0},
        {0, 4, 0, 1},
        {0, 999'999'999u << 2, 0, 999'999'999},
        {7, 1'000'000'000u << 2, 7, 999'999'999},
        {7, 0xfffffffd, 0x100000007, 999'999'999},
    };
    for (const auto& row : rows) {
        CAPTURE(row.low, row.extra);
        Ext4Image image;
        image.put_le(image.inode(kRelease, test::kMtimeAt), 4, row.low);
        image.put_le(image.inode(kRelease, 0x88), 4, row.extra);
        CHECK(image.open()->status(node(kRelease)).modified == Timestamp{row.seconds, row.nanoseconds});
    }
}

TEST_CASE("the extra part of a time counts where the inode says that it has one") {
    for (const std::uint32_t extra : {0u, 4u, 8u, 12u, 16u, 32u}) {
        CAPTURE(extra);
        Ext4Image image;
        image.put_le(image.inode(kRelease, test::kExtraSizeAt), 2, extra);
        image.put_le(image.inode(kRelease, test::kMtimeAt), 4, 5);
        image.put_le(image.inode(kRelease, 0x88), 4, 1 | 77 << 2);
        const Timestamp wanted = extra >= 12 ? Timestamp{0x100000005, 77} : Timestamp{5, 0};
        CHECK(image.open()->status(node(kRelease)).modified == wanted);
    }
}

TEST_CASE("inodes of 128 bytes have no extra part, whatever lies behind them") {
    Ext4Image image("ext4/good_inode128.img");
    const std::uint64_t next = image.inode(kRelease + 1, 0);
    REQUIRE(next == image.inode(kRelease, 128));
    const Ext4FileSystem files(image.device());
    CHECK(files.status(node(kRelease)).modified == Timestamp{1'700'000'000, 0});
    CHECK(files.status(node(kRelease)).size == 24);
    CHECK(files.attributes(node(kRelease)).empty());
}

TEST_CASE("an extra part that is larger than its inode is refused") {
    Ext4Image image;
    image.put_le(image.inode(kRelease, test::kExtraSizeAt), 2, 128);
    CHECK(image.open()->status(node(kRelease)).size == 24);
    for (const std::uint32_t extra : {129u, 132u, 65535u}) {
        CAPTURE(extra);
        image.put_le(image.inode(kRelease, test::kExtraSizeAt), 2, extra);
        const auto files = image.open();
        CHECK_THAT(test::refusal_of([&] { return files->status(node(kRelease)); }),
                   Catch::Equals("corrupt: inode 19 is larger than its place") ||
                       Catch::StartsWith("corrupt: reading inode 19: "));
    }
}

TEST_CASE("devices have numbers in an old and in a new form") {
    const struct {
        std::uint32_t first;
        std::uint32_t second;
        std::uint32_t major;
        std::uint32_t minor;
    } rows[] = {
        {0x0103, 0, 1, 3},             // null
        {0x0801, 0, 8, 1},             // sda1
        {0xffff, 0, 255, 255},         // the last of the old form
        {0, 0x10300, 259, 0},          // nvme0n1
        {0, 0x12310345, 259, 0x12345}, // twenty bits of minor
        {0, 0xffffffff, 0xfff, 0xfffff},
        {0x0103, 0x10300, 1, 3}, // the old form is what counts
        {0, 0, 0, 0},            // a whiteout of overlayfs
    };
    for (const std::uint32_t type : {0x2000u, 0x6000u})
        for (const auto& row : rows) {
            CAPTURE(type, row.first, row.second);
            Ext4Image image;
            image.put_le(image.inode(kDevice, test::kModeAt), 2, type | 0600);
            image.put_le(image.inode(kDevice, test::kBlockAt), 4, row.first);
            image.put_le(image.inode(kDevice, test::kBlockAt + 4), 4, row.second);
            const FileStatus status = image.open()->status(node(kDevice));
            CHECK(status.device_major == row.major);
            CHECK(status.device_minor == row.minor);
        }
    // Only devices have numbers.
    const FileStatus file = Ext4Image().open()->status(node(kRelease));
    CHECK(file.device_major == 0);
    CHECK(file.device_minor == 0);
}

TEST_CASE("inodes that no entry may name are refused") {
    Ext4Image image;
    const auto files = image.open();
    for (const std::uint32_t number : {0u, 1u, 3u, 7u, 8u, 10u, 257u, 0xffffffffu}) {
        CAPTURE(number);
        CHECK(test::refusal_of([&] { return files->status(node(number)); }) ==
              "corrupt: a directory entry points to an inode that is not there");
    }
    CHECK(files->status(node(11)).type == FileType::directory); // lost+found
    CHECK(test::refusal_of([&] { return files->status(node(256)); }) == "corrupt: inode 256 is in use and was deleted");
    CHECK_THROWS_AS(files->status(NodeId{0x10000000cull}), Error);
    image.put_le(image.inode(kRelease, test::kLinksAt), 2, 0);
    CHECK(test::refusal_of([&] { return image.open()->status(node(kRelease)); }) ==
          "corrupt: inode 19 is in use and was deleted");
    // The first number that is not the file system's own is the superblock's word.
    Ext4Image later;
    later.put_le(Ext4Image::super(84), 4, 20);
    CHECK(test::refusal_of([&] { return later.open()->status(node(19)); }) ==
          "corrupt: a directory entry points to an inode that is not there");
    CHECK(later.open()->status(node(20)).size == 9000);
}

TEST_CASE("what is asked of the wrong type of file is refused") {
    const auto files = Ext4Image().open();
    std::byte buffer[1];
    CHECK(test::refusal_of([&] { return files->list(node(kRelease)); }) == "corrupt: inode 19 is no folder");
    CHECK(test::refusal_of([&] { return files->lookup(node(kBinLink), "x"); }) == "corrupt: inode 21 is no folder");
    CHECK(test::refusal_of([&] { return files->read_link(node(kEtc)); }) == "corrupt: inode 12 is no symlink");
    for (const std::uint32_t number : {kEtc, kBinLink, kDevice}) {
        CAPTURE(number);
        CHECK(test::refusal_of([&] {
                  files->read_at(node(number), 0, buffer);
                  return 0;
              }) == "corrupt: inode " + std::to_string(number) + " is no regular file");
    }
}

TEST_CASE("what ext4 encrypted is refused, and its status is not") {
    const auto encrypted = [](std::uint32_t number) {
        Ext4Image image;
        const std::uint64_t at = image.inode(number, test::kFlagsAt);
        image.put_le(at, 4, image.le(at, 4) | test::kFlagEncrypt);
        return image.open();
    };
    const auto said = [](std::uint32_t number) {
        return "unsupported: inode " + std::to_string(number) +
               " is encrypted by ext4 (feature 'encrypt'): its key is not in the image";
    };
    CHECK(encrypted(kRelease)->status(node(kRelease)).size == 24);
    CHECK(test::refusal_of([&] { return test::content_of(*encrypted(kRelease), node(kRelease)); }) == said(kRelease));
    CHECK(test::refusal_of([&] { return encrypted(kBinLink)->read_link(node(kBinLink)); }) == said(kBinLink));
    CHECK(test::refusal_of([&] { return encrypted(kEtc)->list(node(kEtc)); }) == said(kEtc));
    CHECK(test::refusal_of([&] { return encrypted(kEtc)->lookup(node(kEtc), "x"); }) == said(kEtc));
}

TEST_CASE("a short link lies in its inode, up to 59 bytes") {
    Ext4Image image;
    CHECK(image.open()->read_link(node(kBinLink)) == "usr/bin");
    const std::string longest(59, 'l');
    image.put_le(image.inode(kBinLink, test::kSizeAt), 4, 59);
    image.put(image.inode(kBinLink, test::kBlockAt), longest);
    CHECK(image.open()->read_link(node(kBinLink)) == longest);
    image.put_le(image.inode(kBinLink, test::kBlockAt + 30), 1, 0);
    CHECK(test::refusal_of([&] { return image.open()->read_link(node(kBinLink)); }) ==
          "corrupt: the target of the symlink in inode 21 holds a NUL");
    for (const std::uint32_t size : {0u, 4096u, 0x80000000u}) {
        CAPTURE(size);
        image.put_le(image.inode(kBinLink, test::kSizeAt), 4, size);
        CHECK(test::refusal_of([&] { return image.open()->read_link(node(kBinLink)); }) ==
              "corrupt: the symlink in inode 21 has an impossible length");
    }
}

TEST_CASE("a long link lies in blocks, up to 4095 bytes") {
    for (const std::size_t size : {60u, 61u, 1023u, 1024u, 1025u, 4095u}) {
        CAPTURE(size);
        Ext4Image image;
        std::string target;
        while (target.size() < size)
            target += "part-" + std::to_string(target.size()) + "/";
        target.resize(size);
        image.put_extents(kBinLink, size, {{0, 4, 1500}});
        image.put_le(image.inode(kBinLink, test::kBlockCountAt), 4, 8);
        image.put(1500 * 1024, target);
        CHECK(image.open()->read_link(node(kBinLink)) == target);
        image.put_le(1500 * 1024 + size - 1, 1, 0);
        CHECK(test::refusal_of([&] { return image.open()->read_link(node(kBinLink)); }) ==
              "corrupt: the target of the symlink in inode 21 holds a NUL");
    }
}

TEST_CASE("the last asked inode does not answer for another one") {
    const auto files = Ext4Image().open();
    CHECK(files->status(node(kRelease)).size == 24);
    CHECK(files->status(node(kBlob)).size == 9000);
    CHECK(test::content_of(*files, node(kRelease)).size() == 24);
    const std::string blob = test::content_of(*files, node(kBlob));
    CHECK(test::content_of(*files, node(kRelease)).size() == 24);
    CHECK(test::content_of(*files, node(kBlob)) == blob);
    CHECK(blob.substr(0, 24) != test::content_of(*files, node(kRelease)));
    CHECK(files->read_link(node(kBinLink)) == "usr/bin");
    CHECK(files->status(node(kRelease)).type == FileType::regular);
}
