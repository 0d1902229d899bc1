// Inodes, contents, links and devices of an EROFS.
#include "tests/unit/erofs/erofs_fixture.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace vm2oci;
using test::WrittenTree;

TEST_CASE("contents of every length around a block come back, each from blocks of its own") {
    WrittenTree tree;
    std::vector<std::size_t> lengths = {0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 100000};
    std::vector<std::string> contents;
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        std::string content(lengths[i], '\0');
        for (std::size_t at = 0; at < content.size(); ++at)
            content[at] = static_cast<char>(1 + (at * 7 + i * 31) % 251);
        contents.push_back(content);
        tree.file("f" + std::to_string(i), content);
    }
    tree.finish();
    std::uint64_t end = 1; // behind the superblock
    for (std::size_t i = 0; i < lengths.size(); ++i) {
        CAPTURE(lengths[i]);
        const std::string name = "f" + std::to_string(i);
        const test::ErofsInode inode = tree.inode(name);
        CHECK(inode.size == lengths[i]);
        CHECK_FALSE(inode.is_inline());
        CHECK(tree.content(name) == contents[i]);
        if (lengths[i] == 0) {
            CHECK(inode.block_or_device == 0);
            continue;
        }
        CHECK(inode.block_or_device == end);
        end += (lengths[i] + 4095) / 4096;
    }
}

TEST_CASE("content that comes in pieces, holes among them, is laid one behind the other") {
    class Pieces final : public FileContent {
      public:
        void copy_to(ByteSink& out) const override {
            for (unsigned i = 0; i < 40; ++i)
                out.write(as_bytes(piece(i)));
        }
        static std::string piece(unsigned i) {
            return i % 3 == 0 ? std::string(1000 + i, '\0')
                              : std::string(500 + i * 13, static_cast<char>('a' + i % 26));
        }
    };
    std::string whole;
    for (unsigned i = 0; i < 40; ++i)
        whole += Pieces::piece(i);
    Entry entry = test::entry_of("sparse", FileType::regular);
    entry.status.size = whole.size();
    WrittenTree tree;
    const Pieces pieces;
    tree.writer().add(entry, &pieces);
    tree.finish();
    CHECK(tree.content("sparse") == whole);
}

TEST_CASE("what is only zeros takes no room of the scratch file") {
    WrittenTree tree({}, 128 * MiB);
    tree.file("zeros", std::string(4 * MiB, '\0'));
    tree.finish();
    CHECK(tree.inode("zeros").size == 4 * MiB);
    CHECK(tree.content("zeros") == std::string(4 * MiB, '\0'));
    CHECK(tree.disk().scratch_bytes() < MiB);
}

TEST_CASE("owner, mode and time of every kind of file are kept") {
    struct Row {
        const char* name;
        FileType type;
        std::uint32_t permissions;
        unsigned mode;
        unsigned entry_type; // FT_REG_FILE … as in other file systems
    };
    const Row rows[] = {{"a-regular", FileType::regular, 04755, 0104755, 1},
                        {"b-folder", FileType::directory, 01777, 0041777, 2},
                        {"c-character", FileType::character_device, 0666, 0020666, 3},
                        {"d-block", FileType::block_device, 0660, 0060660, 4},
                        {"e-fifo", FileType::fifo, 0600, 0010600, 5},
                        {"f-socket", FileType::socket, 0777, 0140777, 6},
                        {"g-symlink", FileType::symlink, 0777, 0120777, 7}};
    WrittenTree tree;
    std::uint32_t owner = 70000; // beyond 16 bits
    for (const Row& row : rows) {
        Entry entry = test::entry_of(row.name, row.type, row.permissions);
        entry.status.uid = ++owner;
        entry.status.gid = owner + 100000;
        entry.status.modified = {-5 - static_cast<std::int64_t>(owner), 999999999};
        if (row.type == FileType::regular)
            tree.file(entry, "x");
        else if (row.type == FileType::symlink)
            tree.symlink(entry, "x");
        else
            tree.add(entry);
    }
    tree.finish();
    owner = 70000;
    const auto names = tree.image().names(tree.inode(""));
    for (const Row& row : rows) {
        CAPTURE(row.name);
        const test::ErofsInode inode = tree.inode(row.name);
        CHECK(inode.mode == row.mode);
        CHECK(inode.uid == ++owner);
        CHECK(inode.gid == owner + 100000);
        CHECK(inode.seconds == -5 - static_cast<std::int64_t>(owner));
        CHECK(inode.nanoseconds == 999999999);
        CHECK(inode.stated_number == inode.number);
        CHECK(inode.links == (row.type == FileType::directory ? 2u : 1u));
        for (const test::ErofsName& name : names)
            if (name.name == row.name)
                CHECK(name.type == row.entry_type);
    }
}

TEST_CASE("only the twelve bits of permissions reach the mode") {
    WrittenTree tree;
    tree.file(test::entry_of("a", FileType::regular, 0xffffffff), "");
    tree.finish();
    CHECK(tree.inode("a").mode == 0107777);
}

TEST_CASE("device numbers are coded as the kernel's new_encode_dev() does") {
    struct Row {
        std::uint32_t major;
        std::uint32_t minor;
        std::uint32_t coded;
    };
    // include/linux/kdev_t.h: the minor's low byte, the major in twelve bits, the rest of the minor.
    const Row rows[] = {{1, 3, 0x103},     {8, 0, 0x800},       {8, 255, 0x8ff},           {8, 256, 0x100800},
                        {259, 5, 0x10305}, {0xfff, 0, 0xfff00}, {252, 0xfffff, 0xfff0fcff}};
    WrittenTree tree;
    unsigned number = 0;
    for (const Row& row : rows)
        for (const FileType type : {FileType::character_device, FileType::block_device}) {
            Entry entry = test::entry_of("d" + std::to_string(100 + number++), type);
            entry.status.device_major = row.major;
            entry.status.device_minor = row.minor;
            tree.add(entry);
        }
    // Numbers count for devices only.
    Entry fifo = test::entry_of("fifo", FileType::fifo);
    fifo.status.device_major = fifo.status.device_minor = 9;
    tree.add(fifo).finish();
    number = 0;
    for (const Row& row : rows)
        for (int i = 0; i < 2; ++i) {
            CAPTURE(row.major, row.minor);
            CHECK(tree.inode("d" + std::to_string(100 + number++)).block_or_device == row.coded);
        }
    CHECK(tree.inode("fifo").block_or_device == 0);
}

TEST_CASE("hard links are names of one inode, whose count they raise") {
    WrittenTree tree;
    Entry first = test::entry_of("a", FileType::regular);
    first.status.link_count = 3;
    tree.file(first, "shared").folder("x");
    Entry device = test::entry_of("x/dev", FileType::character_device);
    device.status.link_count = 2;
    device.status.device_major = 5;
    tree.add(device);
    for (const auto& [path, target] : {std::pair{"x/first", "a"}, {"x/node", "x/dev"}, {"x/second", "a"}}) {
        Entry link = test::entry_of(path, target == std::string("a") ? FileType::regular : FileType::character_device);
        link.hard_link_to = target;
        link.status.link_count = 3;
        tree.add(link);
    }
    tree.finish();
    CHECK(tree.inode("a").number == tree.inode("x/first").number);
    CHECK(tree.inode("a").number == tree.inode("x/second").number);
    CHECK(tree.inode("a").links == 3);
    CHECK(tree.inode("x/dev").number == tree.inode("x/node").number);
    CHECK(tree.inode("x/dev").links == 2);
    CHECK(tree.inode("x").links == 2); // files are no folders
    CHECK(tree.content("x/second") == "shared");
    // The entry's type is the inode's.
    for (const test::ErofsName& name : tree.image().names(tree.inode("x")))
        if (name.name == "node")
            CHECK(name.type == 3);
}

TEST_CASE("targets of symbolic links lie behind the inode while a block has room, else in a block") {
    WrittenTree tree;
    const std::size_t lengths[] = {0, 1, 59, 60, 4031, 4032, 4033, 4095, 4096, 5000};
    for (const std::size_t length : lengths)
        tree.symlink("l" + std::to_string(10000 + length), std::string(length, 'z'));
    tree.finish();
    for (const std::size_t length : lengths) {
        CAPTURE(length);
        const test::ErofsInode inode = tree.inode("l" + std::to_string(10000 + length));
        CHECK(inode.size == length);
        // 4096 less an inode of 64.
        CHECK(inode.is_inline() == (length > 0 && length <= 4032));
        CHECK(tree.image().content(inode) == std::string(length, 'z')); // checks the block's border, too
    }
}

TEST_CASE("inline targets never cross a block, whatever lies before them") {
    WrittenTree tree;
    for (unsigned i = 0; i < 90; ++i)
        tree.symlink("l" + std::to_string(1000 + i), std::string(1 + i * 37 % 1900, static_cast<char>('a' + i % 26)));
    tree.finish();
    std::set<std::uint64_t> numbers;
    for (unsigned i = 0; i < 90; ++i) {
        CAPTURE(i);
        const std::string path = "l" + std::to_string(1000 + i);
        const test::ErofsInode inode = tree.inode(path);
        CHECK(inode.is_inline());
        CHECK(tree.image().content(inode) == std::string(1 + i * 37 % 1900, static_cast<char>('a' + i % 26)));
        numbers.insert(inode.number);
    }
    CHECK(numbers.size() == 90);
    CHECK(numbers.count(0) == 0);
}

TEST_CASE("more inodes than are gathered at once are all where their names say") {
    WrittenTree tree;
    constexpr unsigned kFiles = 17000; // of 64 bytes: more than a MiB
    for (unsigned i = 0; i < kFiles; ++i) {
        Entry entry = test::entry_of("n" + std::to_string(100000 + i), FileType::fifo);
        entry.status.uid = i;
        tree.add(entry);
    }
    const ErofsReport report = tree.finish();
    const test::ErofsImage image = tree.image();
    CHECK(report.entries == kFiles);
    CHECK(image.u64(1024 + 16) == kFiles + 1);
    unsigned found = 0;
    for (const test::ErofsName& name : image.names(image.inode(image.root())))
        if (name.name.size() == 7) {
            if (image.u32(image.inodes_at() + name.inode * 32 + 24) != std::stoul(name.name.substr(1)) - 100000)
                FAIL("the inode of " << name.name << " is another's");
            ++found;
        }
    CHECK(found == kFiles);
    CHECK(report.size == image.blocks() * 4096);
}
