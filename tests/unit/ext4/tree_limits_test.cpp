#include "tests/unit/ext4/tree_writer_fixture.hpp"

#include <algorithm>

using namespace vm2oci;
using namespace std::string_literals;
using test::entry;
using test::find_path;
using test::geometry;
using test::Written;

namespace {

constexpr std::uint64_t kBlock = 4096;

FileStatus status(const FileSystem& files, std::string_view path) {
    return files.status(find_path(files, path).value());
}

std::uint64_t le(const BlockDevice& disk, std::uint64_t offset, std::size_t width) {
    std::vector<std::byte> bytes(8);
    disk.read_at(offset, std::span(bytes).first(width));
    return load_le<std::uint64_t>(bytes.data());
}

std::string letters(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>('a' + (i / 7 + i / 4096) % 26);
    return text;
}

template <class Body>
std::string said(Body&& body) {
    return test::refusal_of([&] {
        body();
        return 0;
    });
}

// A content that knows its holes; each of its ranges is full of sevens.
class Ranged final : public FileContent {
  public:
    explicit Ranged(std::vector<DataRange> ranges) : ranges_(std::move(ranges)) {}
    void copy_to(ByteSink&) const override { fail(ErrorKind::io, "read as a whole"); }
    std::optional<std::vector<DataRange>> data_ranges() const override { return ranges_; }
    void copy_range_to(const DataRange& range, ByteSink& out) const override {
        out.write(std::vector<std::byte>(range.length, std::byte{7}));
    }

  private:
    std::vector<DataRange> ranges_;
};

} // namespace

TEST_CASE("files of every length around a block's come back") {
    Written made;
    const std::size_t sizes[] = {0,    1,    59,   60,   4095,   4096,      4097,      5000,
                                 8191, 8192, 8193, 9999, 10'000, 1'048'575, 1'048'576, 1'048'577};
    for (const std::size_t size : sizes)
        made.file("f" + std::to_string(1'000'000'0 + size), letters(size));
    CHECK(made.writer.finish().entries == std::size(sizes));
    const Ext4FileSystem files(made.disk);
    for (const std::size_t size : sizes) {
        CAPTURE(size);
        CHECK(test::content_of(files, find_path(files, "f" + std::to_string(1'000'000'0 + size)).value()) ==
              letters(size));
    }
    CHECK(files.free_space());
    CHECK(files.facts().health == Ext4Facts::Health::clean);
}

TEST_CASE("blocks of zeros become holes, and other zeros do not") {
    const struct {
        const char* what;
        std::string content;
        std::vector<DataRange> ranges;
    } rows[] = {
        {"nothing but zeros", std::string(3 * kBlock, '\0'), {}},
        {"less than a block of them", std::string(100, '\0'), {}},
        {"a hole at the beginning", std::string(2 * kBlock, '\0') + "x", {{2 * kBlock, 1}}},
        {"a hole at the end", std::string(kBlock, 'x') + std::string(kBlock + 1, '\0'), {{0, kBlock}}},
        {"zeros within a block", "x" + std::string(kBlock - 2, '\0') + "y", {{0, kBlock}}},
        {"zeros that cover no whole block",
         std::string(kBlock / 2, 'x') + std::string(kBlock, '\0') + "y",
         {{0, kBlock + kBlock / 2 + 1}}},
        {"two holes",
         std::string(kBlock, '\0') + std::string(kBlock, 'x') + std::string(kBlock, '\0') + "y",
         {{kBlock, kBlock}, {3 * kBlock, 1}}},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        Written made(16 * MiB);
        made.file("file", row.content);
        made.writer.finish();
        const Ext4FileSystem files(made.disk);
        const NodeId file = find_path(files, "file").value();
        CHECK(files.data_ranges(file) == row.ranges);
        CHECK(test::content_of(files, file) == row.content);
    }
}

TEST_CASE("contents that know their holes are written in their places") {
    const struct {
        std::uint64_t size;
        std::vector<DataRange> ranges;
    } rows[] = {
        {0, {}},
        {10'000, {}},
        {10'000, {{0, 10'000}}},
        {10'000, {{9'999, 1}}},
        {1'000'000, {{5, 1}, {4'095, 2}, {8'191, 1}, {8'192, 4'096}, {500'000, 123'456}}},
        {std::uint64_t{1} << 40, {{(std::uint64_t{1} << 40) - 5000, 100}}}, // a tebibyte of nothing
    };
    for (const auto& row : rows) {
        CAPTURE(row.size, row.ranges.size());
        Written made(16 * MiB);
        Entry file = entry("file", FileType::regular);
        file.status.size = row.size;
        const Ranged content(row.ranges);
        made.writer.add(file, &content);
        made.writer.finish();
        const Ext4FileSystem files(made.disk);
        const NodeId found = find_path(files, "file").value();
        CHECK(files.status(found).size == row.size);
        for (const DataRange& range : row.ranges) {
            CHECK(test::part_of(files, found, range.offset, range.length) == std::string(range.length, '\7'));
            if (range.offset != 0 && range.offset - 1 != 4'096 && range.offset != 8'192)
                CHECK(test::part_of(files, found, range.offset - 1, 1) == "\0"s);
            const std::uint64_t end = range.offset + range.length;
            if (end != row.size && end != 8'192)
                CHECK(test::part_of(files, found, end, 1) == "\0"s);
        }
    }
}

TEST_CASE("a content of another length than its entry says is refused") {
    for (const std::uint64_t size : {0u, 2u, 4u, 4096u}) {
        CAPTURE(size);
        Written made(16 * MiB);
        Entry file = entry("fi\nle", FileType::regular);
        file.status.size = size;
        const test::TextContent content("abc");
        CHECK(said([&] { made.writer.add(file, &content); }) ==
              "io: the content of 'fi\\x0ale' is not as long as its entry says");
    }
}

TEST_CASE("links are short up to 59 bytes, and take a block from 60 on") {
    Written made(16 * MiB);
    const std::size_t lengths[] = {1, 59, 60, 61, 255, 4095};
    for (const std::size_t length : lengths) {
        Entry link = entry("link" + std::to_string(10'000 + length), FileType::symlink, 0777);
        link.link_target = letters(length);
        made.writer.add(link, nullptr);
    }
    made.writer.finish();
    const Ext4FileSystem files(made.disk);
    for (const std::size_t length : lengths) {
        CAPTURE(length);
        const NodeId link = find_path(files, "link" + std::to_string(10'000 + length)).value();
        CHECK(files.read_link(link) == letters(length));
        CHECK(files.status(link).size == length);
        CHECK(files.status(link).permissions == 0777);
        const std::vector<DataRange> block{{0, length}};
        if (length >= 60)
            CHECK(files.data_ranges(link) == block);
    }
}

TEST_CASE("devices get the form that their numbers need, and every type its own") {
    const struct {
        std::uint32_t major;
        std::uint32_t minor;
        std::uint32_t first;
        std::uint32_t second;
    } rows[] = {{1, 3, 0x0103, 0},       {255, 255, 0xffff, 0},         {256, 255, 0, 0x100ff},
                {255, 256, 0, 0x10ff00}, {259, 0x12345, 0, 0x12310345}, {0xfff, 0xfffff, 0, 0xffffffff}};
    Written made(16 * MiB);
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        Entry device = entry("d" + std::to_string(i), i % 2 == 0 ? FileType::block_device : FileType::character_device);
        device.status.device_major = rows[i].major;
        device.status.device_minor = rows[i].minor;
        made.writer.add(device, nullptr);
    }
    made.writer.add(entry("fifo", FileType::fifo, 0600), nullptr);
    made.writer.add(entry("socket", FileType::socket, 0755), nullptr);
    made.writer.finish();
    const Ext4FileSystem files(made.disk);
    const std::uint64_t table = le(*made.disk, kBlock + 8, 4) * kBlock;
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        CAPTURE(i);
        const NodeId found = find_path(files, "d" + std::to_string(i)).value();
        CHECK(files.status(found).type == (i % 2 == 0 ? FileType::block_device : FileType::character_device));
        CHECK(files.status(found).device_major == rows[i].major);
        CHECK(files.status(found).device_minor == rows[i].minor);
        const std::uint64_t inode = table + (static_cast<std::uint64_t>(found) - 1) * 256;
        CHECK(le(*made.disk, inode + test::kBlockAt, 4) == rows[i].first);
        CHECK(le(*made.disk, inode + test::kBlockAt + 4, 4) == rows[i].second);
    }
    CHECK(status(files, "fifo").type == FileType::fifo);
    CHECK(status(files, "socket").type == FileType::socket);
    CHECK(status(files, "socket").permissions == 0755);
}

TEST_CASE("times are kept from 1901 to 2446, and others become the nearest") {
    constexpr std::int64_t kEarliest = -0x80000000ll;
    constexpr std::int64_t kLatest = 0x37fffffff;
    const struct {
        Timestamp given;
        Timestamp kept;
    } rows[] = {{{0, 0}, {0, 0}},
                {{-1, 999'999'999}, {-1, 999'999'999}},
                {{kEarliest, 1}, {kEarliest, 1}},
                {{kEarliest - 1, 1}, {kEarliest, 1}},
                {{0x7fffffff, 2}, {0x7fffffff, 2}},
                {{0x80000000, 3}, {0x80000000, 3}},
                {{0xffffffff, 3}, {0xffffffff, 3}},
                {{0x100000000, 3}, {0x100000000, 3}},
                {{kLatest, 4}, {kLatest, 4}},
                {{kLatest + 1, 4}, {kLatest, 4}},
                {{std::int64_t{1} << 62, 5}, {kLatest, 5}}};
    Written made(16 * MiB);
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        Entry file = entry("t" + std::to_string(10 + i), FileType::regular);
        file.status.modified = rows[i].given;
        made.file(file, "");
    }
    made.writer.finish();
    const Ext4FileSystem files(made.disk);
    for (std::size_t i = 0; i < std::size(rows); ++i) {
        CAPTURE(i);
        CHECK(status(files, "t" + std::to_string(10 + i)).modified == rows[i].kept);
    }
    // When it was made stands in each inode beside that.
    const std::uint64_t table = le(*made.disk, kBlock + 8, 4) * kBlock;
    const auto inode = table + (static_cast<std::uint64_t>(find_path(files, "t10").value()) - 1) * 256;
    CHECK(le(*made.disk, inode + 0x90, 4) == 1'700'000'000);
}

TEST_CASE("owners, modes and links of folders are kept") {
    Written made(16 * MiB);
    Entry folder = entry("home", FileType::directory, 01777);
    folder.status.uid = 0x12345678;
    folder.status.gid = 0xfedcba98;
    made.writer.add(folder, nullptr);
    made.folder("home/a");
    made.folder("home/a/deep");
    made.folder("home/b");
    made.file("home/c", "x");
    Entry file = entry("zz", FileType::regular, 07777);
    file.status.uid = 65'536;
    file.status.gid = 65'535;
    made.file(file, "x");
    CHECK(made.writer.finish().entries == 6);
    const Ext4FileSystem files(made.disk);
    CHECK(status(files, "home").permissions == 01777);
    CHECK(status(files, "home").uid == 0x12345678);
    CHECK(status(files, "home").gid == 0xfedcba98);
    CHECK(status(files, "home").link_count == 4);
    CHECK(status(files, "home/a").link_count == 3);
    CHECK(status(files, "home/a/deep").link_count == 2);
    CHECK(status(files, "").link_count == 4); // lost+found, home
    CHECK(status(files, "zz").uid == 65'536);
    CHECK(status(files, "zz").gid == 65'535);
    CHECK(status(files, "zz").permissions == 07777);
    CHECK(files.list(find_path(files, "home/a").value()).size() == 1);
}

TEST_CASE("names of every length fill a folder's blocks, and none is lost at their edges") {
    Written made(16 * MiB);
    made.folder("d");
    std::vector<std::string> names;
    for (std::size_t length = 1; length <= 255; ++length)
        names.push_back(std::string(length - 1, 'n') + static_cast<char>('A' + length % 26));
    std::sort(names.begin(), names.end());
    for (const std::string& name : names)
        made.file("d/" + name, "");
    made.writer.finish();
    const Ext4FileSystem files(made.disk);
    const NodeId folder = find_path(files, "d").value();
    std::vector<std::string> found;
    for (const DirectoryEntry& item : files.list(folder))
        found.push_back(item.name);
    CHECK(found == names);
    // "." and ".." take 12 bytes each, a name 8 and its own length, up to a multiple of four; 12 are left for a
    // checksum.
    std::uint64_t blocks = 1;
    std::uint64_t at = 24;
    for (const std::string& name : names) {
        const std::uint64_t length = (8 + name.size() + 3) / 4 * 4;
        if (at + length > kBlock - 12) {
            ++blocks;
            at = 0;
        }
        at += length;
    }
    CHECK(files.data_ranges(folder) == std::vector<DataRange>{{0, blocks * kBlock}});
}

TEST_CASE("a folder's block is filled up to its checksum and no further") {
    // "." and ".." take 24 bytes and fifteen names 256 each: 220 are left in front of the last twelve.
    for (const std::size_t length : {211u, 212u, 213u}) {
        CAPTURE(length);
        Written made(16 * MiB);
        made.folder("d");
        for (int i = 10; i < 25; ++i)
            made.file("d/" + std::to_string(i) + std::string(246, 'n'), "");
        made.file("d/z" + std::string(length - 1, 'z'), "");
        made.writer.finish();
        const Ext4FileSystem files(made.disk);
        const NodeId folder = find_path(files, "d").value();
        CHECK(files.data_ranges(folder) == std::vector<DataRange>{{0, (length <= 212 ? 1 : 2) * kBlock}});
        CHECK(files.list(folder).size() == 16);
    }
}

TEST_CASE("hard links are counted, and one to what did not come is refused") {
    Written made(16 * MiB);
    Entry first = entry("a", FileType::regular);
    first.status.link_count = 3;
    made.file(first, "content");
    Entry link = entry("b", FileType::regular);
    link.hard_link_to = "a";
    made.writer.add(link, nullptr);
    Entry special = entry("p", FileType::fifo);
    special.status.link_count = 2;
    made.writer.add(special, nullptr);
    Entry other = entry("q", FileType::fifo);
    other.hard_link_to = "p";
    made.writer.add(other, nullptr);
    Entry lost = entry("z", FileType::regular);
    lost.hard_link_to = "missing";
    CHECK(said([&] { made.writer.add(lost, nullptr); }) ==
          "corrupt: 'z' is a hard link to something that did not come");
    Written again(16 * MiB);
    again.file(first, "content");
    again.writer.add(link, nullptr);
    again.writer.finish();
    const Ext4FileSystem files(again.disk);
    CHECK(status(files, "a").link_count == 2); // of those that came
    CHECK(find_path(files, "a") == find_path(files, "b"));
    Written one(16 * MiB); // a file with one name is none that others may link to
    first.status.link_count = 1;
    one.file(first, "content");
    CHECK_THROWS_AS(one.writer.add(link, nullptr), Error);
}

TEST_CASE("a file has 65000 names at most: xfs and btrfs have more") {
    Written made(16 * MiB);
    Entry first = entry("f", FileType::regular);
    first.status.link_count = 70'000;
    made.file(first, "content");
    Entry link = entry("", FileType::regular);
    link.hard_link_to = "f";
    for (int i = 1; i < 65'000; ++i) {
        link.path = "l" + std::to_string(i);
        made.writer.add(link, nullptr);
    }
    link.path = "last";
    CHECK(said([&] { made.writer.add(link, nullptr); }) == "limit: 'f' has more names than ext4 can count");
    made.writer.finish();
    CHECK(status(Ext4FileSystem(made.disk), "f").link_count == 65'000);
}

TEST_CASE("a folder comes before what it holds, and a root before everything") {
    Written made(16 * MiB);
    CHECK(said([&] { made.file("etc/hostname", "x"); }) ==
          "corrupt: a file comes before the folder 'etc' that holds it");
    Written closed(16 * MiB);
    closed.folder("a");
    closed.folder("b");
    CHECK(said([&] { closed.file("a/late", "x"); }) == "corrupt: a file comes before the folder 'a' that holds it");
    const auto disk = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(16 * MiB));
    Ext4TreeWriter rootless(disk, geometry());
    CHECK(said([&] { rootless.finish(); }) == "corrupt: a tree without a root folder");
}

TEST_CASE("lost+found is the root's alone") {
    Written made(16 * MiB);
    made.folder("home");
    made.folder("home/lost+found");
    made.file("home/lost+found/x", "kept");
    made.folder("lost+found");
    made.file("lost+found/x", "passed over");
    made.folder("lost+found.old");
    CHECK(made.writer.finish().entries == 4);
    const Ext4FileSystem files(made.disk);
    CHECK(test::content_of(files, find_path(files, "home/lost+found/x").value()) == "kept");
    CHECK_FALSE(find_path(files, "lost+found/x"));
    CHECK(find_path(files, "lost+found.old"));
    CHECK(files.data_ranges(find_path(files, "lost+found").value()) == std::vector<DataRange>{{0, 4 * kBlock}});
}

TEST_CASE("attributes that ext4 stores come back, and those that it cannot hold are refused") {
    Written made(16 * MiB);
    Entry file = entry("file", FileType::regular);
    const std::string acl =
        "\2\0\0\0\1\0\6\0\xff\xff\xff\xff\2\0\4\0\xe8\3\0\0\4\0\4\0\xff\xff\xff\xff\x10\0\4\0\xff\xff\xff\xff"
        "\x20\0\4\0\xff\xff\xff\xff"s;
    file.attributes = {{"security.selinux", "system_u:object_r:etc_t:s0\0"s},
                       {"system.posix_acl_access", acl},
                       {"trusted.overlay.opaque", "y"},
                       {"user.empty", ""},
                       {"user.large", std::string(3000, 'v')}};
    made.file(file, "x");
    Entry folder = entry("folder", FileType::directory, 0755);
    folder.attributes = {{"system.posix_acl_default", acl}, {"system.nfs4_acl", "x"}, {"osx.y", "x"}};
    made.writer.add(folder, nullptr);
    const Ext4TreeReport report = made.writer.finish();
    CHECK(report.attributes_left_out == 2);
    const Ext4FileSystem files(made.disk);
    CHECK(files.attributes(find_path(files, "file").value()) == file.attributes);
    CHECK(files.attributes(find_path(files, "folder").value()) ==
          std::vector<ExtendedAttribute>{{"system.posix_acl_default", acl}});

    Written full(16 * MiB);
    Entry large = entry("large", FileType::regular);
    large.attributes = {{"user.large", std::string(4096, 'v')}};
    CHECK(said([&] { full.file(large, "x"); }) ==
          "limit: the extended attributes of 'large' are larger than ext4 can hold");
}

TEST_CASE("what no file system can be made with is refused, and what can is whole") {
    CHECK_THAT(said([] { Written(8 * MiB - 1); }), Catch::StartsWith("limit: no ext4 file system is made with "));
    for (const std::uint64_t size : {8 * MiB, 8 * MiB + 4095, 16 * MiB + 512, 129 * MiB}) {
        CAPTURE(size);
        Ext4Geometry wanted = geometry();
        wanted.inodes = 1024;
        Written made(size, wanted);
        made.writer.finish();
        const Ext4FileSystem files(made.disk);
        CHECK(files.usage().total_bytes == size / kBlock * kBlock);
        CHECK(files.usage().total_inodes >= 1024);
        CHECK(files.free_space());
        CHECK(files.list(files.root()).size() == 1);
        CHECK(files.log() == LogState::clean);
    }
}

TEST_CASE("inodes run out with a word, as blocks do") {
    Ext4Geometry wanted = geometry();
    wanted.inodes = 16;
    Written made(16 * MiB, wanted);
    CHECK_THAT(said([&] {
                   for (int i = 100; i < 999; ++i)
                       made.file("f" + std::to_string(i), "");
               }),
               Catch::StartsWith("limit: the files do not fit into a file system of 16 MiB with "));
}

TEST_CASE("the superblock bears what was asked for") {
    Ext4Geometry wanted = geometry();
    wanted.label = "seventeen letters";
    wanted.reserved_percent = 1;
    wanted.time = 0xffffffff;
    Written made(16 * MiB, wanted);
    made.writer.finish();
    const Ext4FileSystem files(made.disk);
    CHECK(files.facts().label == "seventeen letter");
    const auto super = [&](std::uint64_t field, std::size_t width) { return le(*made.disk, 1024 + field, width); };
    CHECK(super(0x04, 4) == 4096);   // blocks
    CHECK(super(0x08, 4) == 40);     // reserved ones
    CHECK(super(0x18, 4) == 2);      // 4 KiB
    CHECK(super(0x34, 2) == 0);      // mounts
    CHECK(super(0x36, 2) == 0xffff); // never to be checked for their number
    CHECK(super(0x3a, 2) == 1);      // clean
    CHECK(super(0x3c, 2) == 1);      // go on after errors
    CHECK(super(0x44, 4) == 0);      // nor for the time
    CHECK(super(0x54, 4) == 11);
    CHECK(super(0x58, 2) == 256);         // inodes
    CHECK(super(0x5c, 4) == 0x3c);        // has_journal ext_attr resize_inode dir_index
    CHECK(super(0x60, 4) == 0x2c2);       // filetype extent 64bit flex_bg
    CHECK(super(0x64, 4) == 0x46b);       // sparse_super … huge_file dir_nlink extra_isize metadata_csum
    CHECK(super(0x108, 4) == 0xffffffff); // made
    CHECK(super(0xec, 4) == 0x21212121);  // the seed
    CHECK(super(0xfc, 1) == 1);           // half MD4
    CHECK(super(0x174, 1) == 4);          // 16 groups together
    CHECK(super(0x175, 1) == 1);          // CRC-32C
}
