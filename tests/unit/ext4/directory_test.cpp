#include "tests/unit/ext4/ext4_fixture.hpp"

using namespace vm2oci;
using test::Ext4Image;
using test::kEtc;
using test::kRelease;
using test::node;
using namespace std::string_literals;

namespace {

using Listed = std::vector<std::pair<std::string, std::uint64_t>>;

Listed list_of(const FileSystem& files, std::uint32_t folder = kEtc) {
    Listed listed;
    for (const DirectoryEntry& entry : files.list(node(folder)))
        listed.emplace_back(entry.name, static_cast<std::uint64_t>(entry.node));
    return listed;
}

struct EntryRow {
    std::uint32_t number;
    std::string name;
    std::uint16_t length = 0; // 0: what the name needs
};

// The only block of /etc; the last entry reaches to its end unless its length is given.
std::uint64_t put_folder(Ext4Image& image, const std::vector<EntryRow>& rows) {
    const std::uint64_t begin = image.content(kEtc);
    std::uint64_t at = begin;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::uint16_t length = rows[i].length;
        if (i + 1 == rows.size() && length == 0)
            length = static_cast<std::uint16_t>(begin + 1024 - at);
        at = image.put_entry(at, rows[i].number, rows[i].name, length);
    }
    return begin;
}

std::string said(const Ext4Image& image) {
    return test::refusal_of([&] { return image.open()->list(node(kEtc)); });
}

constexpr const char* kDamaged = "corrupt: the folder in inode 12 is damaged";
constexpr const char* kImpossible = "corrupt: the folder in inode 12 holds a name that cannot be";

} // namespace

TEST_CASE("entries come sorted by bytes, without the folder itself and its parent") {
    Ext4Image image;
    const std::string longest(255, 'z');
    put_folder(image, {{12, "."},
                       {2, ".."},
                       {19, "b"},
                       {20, "B"},
                       {0, "removed"}, // an entry without an inode is room
                       {21, "..."},
                       {22, "\xff\xfe"},
                       {19, "a b\n"},
                       {20, longest},
                       {23, "b-"}});
    const auto files = image.open();
    CHECK(list_of(*files) ==
          Listed{{"...", 21}, {"B", 20}, {"a b\n", 19}, {"b", 19}, {"b-", 23}, {longest, 20}, {"\xff\xfe", 22}});
    const struct {
        std::string name;
        std::optional<NodeId> found;
    } rows[] = {
        {"b", node(19)}, {"B", node(20)}, {"b-", node(23)}, {longest, node(20)}, {"...", node(21)},        {"", {}},
        {".", {}},       {"..", {}},      {"removed", {}},  {"c", {}},           {"b\0"s.substr(0, 2), {}}};
    for (const auto& row : rows) {
        CAPTURE(row.name);
        CHECK(files->lookup(node(kEtc), row.name) == row.found);
    }
}

TEST_CASE("a folder whose only entry is room, or none at all, is empty") {
    Ext4Image image;
    put_folder(image, {{0, ""}});
    CHECK(list_of(*image.open()).empty());
    image.put_le(image.inode(kEtc, test::kSizeAt), 4, 0);
    CHECK(list_of(*image.open()).empty());
}

TEST_CASE("entries that reach where they may not are refused") {
    const struct {
        const char* what;
        std::vector<EntryRow> rows;
        const char* said;
    } rows[] = {
        {"shorter than its head", {{12, ".", 4}}, kDamaged},
        {"no length at all", {{0, "", 0xffff}}, kDamaged},
        {"no multiple of four", {{12, ".", 14}, {0, ""}}, kDamaged},
        {"beyond the block", {{12, ".", 1028}}, kDamaged},
        {"exactly the block", {{12, ".", 1024}}, "accepted"},
        {"a name that is longer than its entry", {{19, "123456789", 16}, {0, ""}}, kDamaged},
        {"a name that fills its entry", {{19, "12345678", 16}, {0, ""}}, "accepted"},
        {"the same where there is no inode", {{0, "123456789", 16}, {0, ""}}, "accepted"},
        {"four bytes that hold no entry", {{12, ".", 1020}}, kDamaged},
        {"eight bytes that hold one", {{12, ".", 1016}, {0, "", 8}}, "accepted"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.what);
        Ext4Image image;
        put_folder(image, row.rows);
        CHECK(said(image) == row.said);
    }
    Ext4Image zero;
    zero.put_le(put_folder(zero, {{12, "."}, {0, ""}}) + 4, 2, 0);
    CHECK(said(zero) == kDamaged);
}

TEST_CASE("names that cannot be are refused") {
    for (const std::string& name : {""s, "/"s, "a/b"s, "/etc/passwd"s, "../x"s, "a\0b"s, "\0"s}) {
        CAPTURE(name);
        Ext4Image image;
        put_folder(image, {{12, "."}, {2, ".."}, {kRelease, name}});
        CHECK(said(image) == kImpossible);
    }
    Ext4Image twice;
    put_folder(twice, {{12, "."}, {2, ".."}, {19, "same"}, {20, "between"}, {20, "same"}});
    CHECK(said(twice) == "corrupt: the folder in inode 12 holds one name twice");
    Ext4Image itself;
    put_folder(itself, {{12, "."}, {2, ".."}, {12, "."}});
    CHECK(said(itself) == "corrupt: the folder in inode 12 names itself twice");
    put_folder(itself, {{12, "."}, {2, ".."}, {2, ".."}});
    CHECK(said(itself) == "corrupt: the folder in inode 12 names itself twice");
}

TEST_CASE("a folder of several blocks has no holes, and no more blocks than its size says") {
    Ext4Image image;
    const auto put_block = [&](std::uint64_t block, const std::string& name) {
        const std::uint64_t at = image.put_entry(block * 1024, kRelease, name);
        image.put_entry(at, 0, "", static_cast<std::uint16_t>((block + 1) * 1024 - at));
    };
    for (std::uint64_t i = 0; i < 4; ++i)
        put_block(1500 + i, "name-" + std::to_string(i));
    image.put_extents(kEtc, 3 * 1024, {{0, 1, 1503}, {1, 2, 1500}, {3, 1, 1502}});
    CHECK(list_of(*image.open()) == Listed{{"name-0", 19}, {"name-1", 19}, {"name-3", 19}});
    image.put_le(image.inode(kEtc, test::kSizeAt), 4, 3 * 1024 + 1); // a part of a block counts as one
    CHECK(list_of(*image.open()).size() == 4);

    constexpr const char* kHole = "corrupt: the folder in inode 12 has a hole";
    image.put_extents(kEtc, 3 * 1024, {{0, 1, 1503}, {2, 1, 1500}});
    CHECK(said(image) == kHole);
    image.put_extents(kEtc, 3 * 1024, {{1, 2, 1500}});
    CHECK(said(image) == kHole);
    image.put_extents(kEtc, 3 * 1024, {{0, 2, 1500}});
    CHECK(said(image) == kHole);
    image.put_extents(kEtc, std::uint64_t{1} << 30, {{0, 2, 1500}});
    CHECK(said(image) == kHole);
    image.put_extents(kEtc, (std::uint64_t{1} << 30) + 1, {{0, 2, 1500}});
    CHECK(said(image) == "limit: the folder in inode 12 is larger than any real one");
}

TEST_CASE("an indexed folder's inner blocks read as folders without entries") {
    Ext4Image image;
    // dx_root: "." and "..", whose entry reaches to the end and hides the index; then one leaf.
    std::uint64_t at = image.put_entry(1500 * 1024, kEtc, ".");
    image.put_entry(at, 2, "..", 1012);
    image.put_le(1500 * 1024 + 0x1c, 1, 1); // half MD4
    image.put_le(1500 * 1024 + 0x1d, 1, 8);
    image.put_le(1500 * 1024 + 0x20, 2, 124);
    image.put_le(1500 * 1024 + 0x22, 2, 1);
    image.put_le(1500 * 1024 + 0x24, 4, 1);
    // dx_node: an entry of room over the whole block.
    image.put_entry(1501 * 1024, 0, "", 1024);
    image.fill(1501 * 1024 + 8, 200, 0xa5);
    at = image.put_entry(1502 * 1024, kRelease, "leaf");
    image.put_entry(at, 0, "", static_cast<std::uint16_t>(1503 * 1024 - at));
    image.put_extents(kEtc, 3 * 1024, {{0, 3, 1500}});
    image.put_le(image.inode(kEtc, test::kFlagsAt), 4, test::kFlagExtents | 0x1000);
    CHECK(list_of(*image.open()) == Listed{{"leaf", 19}});
    CHECK(image.open()->lookup(node(kEtc), "leaf") == node(kRelease));
}

TEST_CASE("every byte of a folder's block is under its checksum") {
    const Ext4Image good("ext4/good_default.img");
    CHECK(said(good) == "accepted");
    Ext4Image image = good;
    const std::uint64_t begin = image.content(kEtc);
    for (const std::uint64_t within : {0u, 4u, 8u, 13u, 100u, 1011u, 1020u, 1023u}) {
        CAPTURE(within);
        Ext4Image changed = good;
        changed.put_le(begin + within, 1, changed.le(begin + within, 1) ^ 0x40);
        CHECK(said(changed) == "corrupt: the checksum of the folder in inode 12 is wrong");
    }
    // With the checksum that belongs to it: of the seed, the folder's number, its generation, and the block.
    image.put(begin + 8 + 12 + 12, std::string_view("OS-RELEASE"));
    REQUIRE(image.le(begin + 1012, 4) == 0); // the tail's form of an entry
    const auto put_checksum = [&] {
        std::uint32_t sum = test::plain_crc32c(~0u, image.at(Ext4Image::super(104), 16));
        test::ImageBytes words;
        words.put_le(0, 4, kEtc);
        words.put_le(4, 4, image.le(image.inode(kEtc, 0x64), 4));
        sum = test::plain_crc32c(sum, words.bytes);
        image.put_le(begin + 1020, 4, test::plain_crc32c(sum, image.at(begin, 1012)));
    };
    put_checksum();
    CHECK(said(image) == "accepted");
    const Ext4Image unchanged("ext4/good_default.img");
    image = unchanged;
    put_checksum();
    CHECK(image.bytes == unchanged.bytes);
}

TEST_CASE("a small folder lies in its inode") {
    Ext4Image image;
    image.set_incompatible(0x8000);
    const std::uint64_t map = image.inode(kEtc, test::kBlockAt);
    image.fill(map, 60, 0);
    image.put_le(image.inode(kEtc, test::kFlagsAt), 4, test::kFlagInline);
    image.put_le(image.inode(kEtc, test::kSizeAt), 4, 60);
    image.put_le(map, 4, 2); // the parent
    std::uint64_t at = image.put_entry(map + 4, kRelease, "first");
    image.put_entry(at, test::kBlob, "second", static_cast<std::uint16_t>(map + 60 - at));
    const std::uint64_t header = image.inode(kEtc, 128 + 32);
    const auto put_data = [&](std::uint32_t size) {
        image.fill(header, 96, 0);
        image.put_le(header, 4, 0xea020000);
        image.put_le(header + 4, 1, 4);
        image.put_le(header + 5, 1, 7);
        image.put_le(header + 6, 2, size == 0 ? 0 : 48);
        image.put_le(header + 12, 4, size);
        image.put(header + 20, std::string_view("data"));
    };
    put_data(0);
    CHECK(list_of(*image.open()) == Listed{{"first", 19}, {"second", 20}});
    // The rest of it is an area of its own: no entry reaches from one into the other.
    put_data(32);
    image.put_le(image.inode(kEtc, test::kSizeAt), 4, 92);
    image.put_entry(header + 4 + 48, test::kBinLink, "third", 32);
    CHECK(list_of(*image.open()) == Listed{{"first", 19}, {"second", 20}, {"third", 21}});
    image.put_le(at + 4, 2, map + 60 - at + 32);
    CHECK(said(image) == kDamaged);
    image.put_le(at + 4, 2, map + 60 - at - 4);
    CHECK(said(image) == kDamaged);
}

namespace {

// The smallest ext2 there is, in blocks of any size: superblock, a group, two bitmaps, a table of inodes, the root.
struct Tiny : test::ImageBytes {
    std::uint64_t block;

    explicit Tiny(unsigned log) : block(std::uint64_t{1024} << log) {
        const std::uint64_t first = log == 0 ? 1 : 0;
        const std::uint64_t total = 24;
        fill(0, total * block, 0);
        put_le(1024, 4, 16);         // inodes
        put_le(1024 + 4, 4, total);  // blocks
        put_le(1024 + 20, 4, first); // first block of data
        put_le(1024 + 24, 4, log);
        put_le(1024 + 28, 4, log);
        put_le(1024 + 32, 4, std::min<std::uint64_t>(8 * block, 65528)); // blocks of a group
        put_le(1024 + 36, 4, std::min<std::uint64_t>(8 * block, 65528));
        const std::uint64_t inodes = block / 128;
        put_le(1024, 4, inodes);
        put_le(1024 + 40, 4, inodes);
        put_le(1024 + 56, 2, 0xef53);
        put_le(1024 + 58, 2, 1);
        put_le(1024 + 76, 4, 1); // revision
        put_le(1024 + 84, 4, 11);
        put_le(1024 + 88, 2, 128);
        put_le(1024 + 96, 4, 2); // filetype
        const std::uint64_t group = (first + 1) * block;
        put_le(group, 4, 4);
        put_le(group + 4, 4, 5);
        put_le(group + 8, 4, 6);
        // The root in two blocks: one that is all room, one with a name.
        put_inode(2, 0x41ed, 2, 2 * block, {10, 11});
        put_inode(12 < inodes ? 12 : 8, 0x81a4, 1, 5, {12});
        put(12 * block, std::string_view("hello"));
    }
    void put_inode(std::uint64_t number, std::uint32_t mode, std::uint32_t links, std::uint64_t size,
                   const std::vector<std::uint32_t>& map) {
        const std::uint64_t at = 6 * block + (number - 1) * 128;
        put_le(at, 2, mode);
        put_le(at + 4, 4, size);
        put_le(at + 0x1a, 2, links);
        put_le(at + 0x1c, 4, map.size() * block / 512);
        for (std::size_t i = 0; i < map.size(); ++i)
            put_le(at + 0x28 + 4 * i, 4, map[i]);
    }
    void put_name(std::uint64_t at, std::uint32_t number, std::string_view name, std::uint64_t length) {
        put_le(at, 4, number);
        put_le(at + 4, 2, length);
        put_le(at + 6, 1, name.size());
        put(at + 8, name);
    }
};

} // namespace

TEST_CASE("blocks of every size that there is, and lengths of entries that need more than sixteen bits") {
    for (unsigned log = 1; log <= 6; ++log) {
        // In blocks of 64 KiB a length of the whole block is written as 65535, or as 0.
        for (const std::uint64_t whole : {std::uint64_t{1024} << log, std::uint64_t{65535}, std::uint64_t{0}}) {
            if (log < 6 && whole != std::uint64_t{1024} << log)
                continue;
            CAPTURE(log, whole);
            Tiny tiny(log);
            tiny.put_name(10 * tiny.block, 0, "", whole);
            tiny.put_name(11 * tiny.block, 12, "file", 12);
            tiny.put_name(11 * tiny.block + 12, 0, "", tiny.block - 12);
            const Ext4FileSystem files(tiny.device());
            CHECK(files.facts().block_size == tiny.block);
            CHECK(files.lookup(files.root(), "file") == node(12));
            CHECK(test::content_of(files, node(12)) == "hello");
            CHECK(files.list(files.root()).size() == 1);
        }
    }
    // In smaller ones these two are no lengths.
    for (const std::uint64_t length : {std::uint64_t{65535}, std::uint64_t{0}}) {
        Tiny tiny(5);
        tiny.put_name(10 * tiny.block, 0, "", length);
        const Ext4FileSystem files(tiny.device());
        CHECK(test::refusal_of([&] { return files.list(files.root()); }) ==
              "corrupt: the folder in inode 2 is damaged");
    }
}
