// The first block of an EROFS, and what a tree as a whole comes to.
#include "tests/unit/erofs/erofs_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::WrittenTree;

namespace {

// CRC-32C bit by bit from its polynomial 0x1EDC6F41, most significant bit first over reflected input: another way than
// the reflected one, for the same sum (RFC 3720, appendix B.4).
std::uint32_t reflect(std::uint32_t value, unsigned bits) {
    std::uint32_t out = 0;
    for (unsigned i = 0; i < bits; ++i)
        out |= (value >> i & 1u) << (bits - 1 - i);
    return out;
}
std::uint32_t crc32c_without_inversion(const std::string& bytes) {
    std::uint32_t sum = 0xffffffffu;
    for (const char c : bytes) {
        sum ^= reflect(static_cast<unsigned char>(c), 8) << 24;
        for (int bit = 0; bit < 8; ++bit)
            sum = (sum & 0x80000000u) != 0 ? sum << 1 ^ 0x1edc6f41u : sum << 1;
    }
    return reflect(sum, 32);
}

ErofsParameters parameters_of(const std::string& label) {
    ErofsParameters parameters;
    for (std::size_t i = 0; i < parameters.uuid.size(); ++i)
        parameters.uuid[i] = static_cast<std::byte>(0xa0 + i);
    parameters.label = label;
    parameters.time = 1700000001;
    return parameters;
}

} // namespace

TEST_CASE("the sum of the test is CRC-32C") {
    // RFC 3720, appendix B.4: 32 bytes of zeros, and of ones; inverted at the end.
    CHECK(~crc32c_without_inversion(std::string(32, '\0')) == 0x8a9136aau);
    CHECK(~crc32c_without_inversion(std::string(32, '\xff')) == 0x62a8ab43u);
    CHECK(~crc32c_without_inversion("123456789") == 0xe3069283u);
}

TEST_CASE("the superblock says what the kernel asks of it") {
    WrittenTree tree(parameters_of("root"));
    tree.folder("etc").file("etc/hostname", "a\n");
    const ErofsReport report = tree.finish();
    const test::ErofsImage image = tree.image();
    // What stands before it is for boot loaders.
    CHECK(image.text(0, 1024) == std::string(1024, '\0'));
    constexpr std::uint64_t at = 1024;
    CHECK(image.u32(at) == 0xe0f5e1e2);
    CHECK(image.u32(at + 8) == 3); // checksum, and times are of modification
    CHECK(image.u8(at + 12) == 12);
    CHECK(image.u8(at + 13) == 0);
    CHECK(image.u64(at + 16) == 3); // inodes
    CHECK(image.u64(at + 24) == 1700000001);
    CHECK(image.u32(at + 32) == 0);
    CHECK(image.u32(at + 36) * 4096ull == report.size);
    CHECK(image.u32(at + 44) == 0);
    std::string uuid;
    for (int i = 0; i < 16; ++i)
        uuid += static_cast<char>(0xa0 + i);
    CHECK(image.text(at + 48, 16) == uuid);
    CHECK(image.text(at + 64, 16) == "root" + std::string(12, '\0'));
    CHECK(image.text(at + 80, 4096 - 1024 - 80) == std::string(4096 - 1024 - 80, '\0'));
}

TEST_CASE("the checksum is over the superblock's block, with zeros in its own place") {
    WrittenTree tree(parameters_of("checked"));
    tree.finish();
    std::string block = tree.image().text(1024, 4096 - 1024);
    const std::uint32_t stored = tree.image().u32(1024 + 4);
    block.replace(4, 4, std::string(4, '\0'));
    CHECK(stored == crc32c_without_inversion(block));
}

TEST_CASE("a label is 16 bytes, and no more of it leaks into what comes behind") {
    struct Row {
        const char* label;
        const char* stored;
    };
    const Row rows[] = {{"", ""},
                        {"cloudimg-rootfs", "cloudimg-rootfs"},
                        {"exactly16letters", "exactly16letters"},
                        {"seventeen letters", "seventeen letter"},
                        {"a label that is much longer than what there is room for", "a label that is "}};
    for (const Row& row : rows) {
        CAPTURE(row.label);
        WrittenTree tree(parameters_of(row.label));
        tree.finish();
        std::string stored = row.stored;
        stored.resize(16);
        CHECK(tree.image().text(1024 + 64, 16) == stored);
        CHECK(tree.image().u32(1024 + 80) == 0);
    }
}

TEST_CASE("time may lie before 1970 and behind 2038") {
    for (const std::int64_t time :
         {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1} << 32, -(std::int64_t{1} << 40)}) {
        CAPTURE(time);
        ErofsParameters parameters;
        parameters.time = time;
        WrittenTree tree(parameters);
        tree.finish();
        CHECK(static_cast<std::int64_t>(tree.image().u64(1024 + 24)) == time);
    }
}

TEST_CASE("an empty tree is a root that names itself twice, in three blocks") {
    WrittenTree tree;
    const ErofsReport report = tree.finish();
    CHECK(report.size == 3 * 4096); // superblock, the folder's names, inodes
    CHECK(report.entries == 0);
    CHECK(report.attributes_left_out == 0);
    const test::ErofsImage image = tree.image();
    CHECK(image.root() != 0); // number 0 is none
    CHECK(image.inodes_at() == 2 * 4096);
    const auto names = image.names(image.inode(image.root()));
    REQUIRE(names.size() == 2);
    CHECK(names[0].name == ".");
    CHECK(names[1].name == "..");
    CHECK(names[0].inode == image.root());
    CHECK(names[1].inode == image.root());
    CHECK(tree.inode("").links == 2);
    CHECK(tree.inode("").size == 2 * 12 + 3);
}

TEST_CASE("what is reported counts entries, not the root, and names, not inodes") {
    WrittenTree tree;
    Entry first = test::entry_of("a", FileType::regular);
    first.status.link_count = 2;
    tree.file(first, "content");
    Entry second = test::entry_of("b", FileType::regular);
    second.hard_link_to = "a";
    second.status.link_count = 2;
    tree.add(second).folder("c").symlink("d", "a");
    const ErofsReport report = tree.finish();
    CHECK(report.entries == 4);
    CHECK(tree.image().u64(1024 + 16) == 4); // the root, a, c, d
    CHECK(report.size % 4096 == 0);
}

TEST_CASE("the same tree gives the same bytes, and another time only another superblock") {
    const auto write = [](std::int64_t time) {
        ErofsParameters parameters;
        parameters.time = time;
        WrittenTree tree(parameters);
        tree.folder("etc").file("etc/a", std::string(5000, 'x')).symlink("etc/b", "a");
        return tree.bytes(tree.finish());
    };
    const std::string one = write(7);
    CHECK(one == write(7));
    const std::string other = write(8);
    CHECK(one != other);
    CHECK(one.substr(4096) == other.substr(4096));
}

TEST_CASE("trees that are none are refused with the reason") {
    const auto disk = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(MiB));
    CHECK(test::refusal_of([&] { ErofsTreeWriter(disk, {}).finish(); }, ErrorKind::corrupt) ==
          "a tree without a root folder");
    CHECK(test::refusal_of(
              [&] {
                  ErofsTreeWriter writer(disk, {});
                  writer.add(test::entry_of("", FileType::fifo), nullptr);
                  writer.finish();
              },
              ErrorKind::corrupt) == "a tree without a root folder");
    CHECK(test::refusal_of([&] { WrittenTree().file("etc/passwd", "x"); }, ErrorKind::corrupt) ==
          "a file comes before the folder 'etc' that holds it");
    // What is there, and is no folder, holds nothing.
    CHECK(test::refusal_of([&] { WrittenTree().file("etc", "x").file("etc/passwd", "x"); }, ErrorKind::corrupt) ==
          "a file comes before the folder 'etc' that holds it");
    Entry link = test::entry_of("b", FileType::regular);
    link.hard_link_to = "a";
    CHECK(test::refusal_of([&] { WrittenTree().add(link); }, ErrorKind::corrupt) ==
          "'b' is a hard link to something that did not come");
    // What came with one name only was never offered for a second.
    CHECK(test::refusal_of([&] { WrittenTree().file("a", "x").add(link); }, ErrorKind::corrupt) ==
          "'b' is a hard link to something that did not come");
}

TEST_CASE("content that is longer or shorter than its entry says is refused") {
    for (const std::size_t told : {std::size_t{0}, std::size_t{4}, std::size_t{6}, std::size_t{4096}}) {
        CAPTURE(told);
        Entry entry = test::entry_of("a", FileType::regular);
        entry.status.size = told;
        const test::Text five("12345");
        WrittenTree tree;
        CHECK(test::refusal_of([&] { tree.writer().add(entry, &five); }, ErrorKind::io) ==
              "the content of 'a' is not as long as its entry says");
    }
}

TEST_CASE("a disk that is too small says so, wherever it becomes full") {
    const auto fill = [](std::uint64_t blocks, std::size_t content, unsigned files) {
        return test::refusal_of(
            [&] {
                WrittenTree tree({}, blocks * 4096);
                for (unsigned i = 0; i < files; ++i)
                    tree.file("f" + std::to_string(i), std::string(content, 'x'));
                tree.finish();
            },
            ErrorKind::limit);
    };
    // Superblock, content, names, inodes: one block of each.
    CHECK(fill(4, 4096, 1).empty());
    CHECK(fill(3, 4096, 1) == "the files do not fit into a file system of 12 KiB");
    CHECK(fill(2, 4096, 1) == "the files do not fit into a file system of 8 KiB");
    CHECK(fill(1, 4096, 1) == "the files do not fit into a file system of 4 KiB");
    CHECK(fill(4, 4097, 1) == "the files do not fit into a file system of 16 KiB");
    CHECK(fill(5, 4097, 1).empty());
    CHECK(fill(3, 0, 1).empty());
    // A source that gives more than it said reaches the end of the disk before it is counted.
    Entry entry = test::entry_of("a", FileType::regular);
    entry.status.size = 1;
    const test::Text much(std::string(MiB + 1, 'x'));
    WrittenTree tree({}, MiB);
    CHECK(test::refusal_of([&] { tree.writer().add(entry, &much); }, ErrorKind::limit) ==
          "the files do not fit into a file system of 1 MiB");
}
