// Extended attributes of an EROFS: behind the inode, each with a number for the beginning of its name.
#include "tests/unit/erofs/erofs_fixture.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using test::WrittenTree;

namespace {

using Attributes = std::map<std::string, std::string>;

Entry with(Entry entry, const Attributes& attributes) {
    for (const auto& [name, value] : attributes)
        entry.attributes.push_back({name, value});
    return entry;
}

Entry file_with(const Attributes& attributes) {
    return with(test::entry_of("a", FileType::regular), attributes);
}

Attributes stored(const Attributes& attributes) {
    WrittenTree tree;
    tree.file(file_with(attributes), "content").file("next", "behind it");
    tree.finish();
    CHECK(tree.content("a") == "content");
    CHECK(tree.content("next") == "behind it");
    return tree.image().attributes(tree.inode("a"));
}

} // namespace

TEST_CASE("what Linux guests have as extended attributes is kept, by name and value") {
    const Attributes of_guests[] = {
        {{"security.selinux", std::string("system_u:object_r:bin_t:s0\0", 27)}},
        {{"security.capability", std::string("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20)}},
        {{"security.ima", std::string("\x03\x02\x04", 3)}, {"security.evm", "x"}},
        {{"user.pax.flags", "m"}, {"user.xdg.origin.url", "https://example.org/"}},
        {{"trusted.overlay.opaque", "y"}},
        {{"system.posix_acl_access", std::string("\2\0\0\0\1\0\6\0\xff\xff\xff\xff", 12)},
         {"system.posix_acl_default", std::string("\2\0\0\0", 4)}},
        {{"user.", "a name that is only a prefix"}, {"user.empty", ""}}};
    for (const Attributes& attributes : of_guests) {
        CAPTURE(attributes.begin()->first);
        CHECK(stored(attributes) == attributes);
    }
}

TEST_CASE("values and names of every length are padded to four bytes and come back") {
    for (std::size_t length = 0; length < 9; ++length)
        for (std::size_t name = 1; name < 6; ++name) {
            CAPTURE(length, name);
            const Attributes attributes = {{"user." + std::string(name, 'n'), std::string(length, 'v')},
                                           {"user.z", "behind it"}};
            CHECK(stored(attributes) == attributes);
        }
}

TEST_CASE("the inode counts its attributes in words of four bytes, and one for their header") {
    struct Row {
        Attributes attributes;
        unsigned words;
    };
    // erofs_fs.h: header 12 bytes; i_xattr_icount = (size - 12) / 4 + 1; an entry has 4 bytes, name and value.
    const Row rows[] = {{{}, 0},
                        {{{"user.", ""}}, 2},
                        {{{"user.abcd", ""}}, 3},
                        {{{"user.abc", "de"}}, 4},
                        {{{"user.a", "b"}, {"user.b", "c"}}, 5}};
    for (const Row& row : rows) {
        WrittenTree tree;
        tree.file(file_with(row.attributes), "").finish();
        CHECK(tree.inode("a").attribute_words == row.words);
    }
}

TEST_CASE("kinds that EROFS does not store are counted, and the rest stays") {
    WrittenTree tree;
    tree.file(file_with({{"btrfs.compression", "zstd"},
                         {"com.apple.FinderInfo", "x"},
                         {"system.nfs4_acl", "x"},
                         {"system.posix_acl_accessory", "x"},
                         {"system.posix_acl_", "x"},
                         {"user", "x"},
                         {"user.kept", "yes"}}),
              "");
    const ErofsReport report = tree.finish();
    CHECK(report.attributes_left_out == 6);
    CHECK(tree.image().attributes(tree.inode("a")) == Attributes{{"user.kept", "yes"}});
    // Where none is left there is no header either.
    WrittenTree other;
    other.file(file_with({{"btrfs.compression", "zstd"}}), "");
    CHECK(other.finish().attributes_left_out == 1);
    CHECK(other.inode("a").attribute_words == 0);
}

TEST_CASE("a name has room for 255 bytes behind its beginning") {
    const Attributes longest = {{"user." + std::string(255, 'n'), "v"}};
    CHECK(stored(longest) == longest);
    WrittenTree tree;
    tree.file(file_with({{"user." + std::string(256, 'n'), "v"}}), "");
    CHECK(tree.finish().attributes_left_out == 1);
}

TEST_CASE("attributes of one file have 64 KiB, and not a byte more") {
    // A header of 12 bytes; the full name counts.
    const std::size_t fits = 65536 - 12 - 6;
    const Attributes largest = {{"user.a", std::string(fits, 'v')}};
    CHECK(stored(largest) == largest);
    WrittenTree tree;
    CHECK(test::refusal_of(
              [&] {
                  tree.file(file_with({{"user.a", std::string(fits + 1, 'v')}}), "");
              },
              ErrorKind::limit) == "the extended attributes of 'a' are too large");
    // All of them together.
    Attributes many;
    for (unsigned i = 0; i < 17; ++i)
        many["user." + std::to_string(10 + i)] = std::string(4096, 'v');
    WrittenTree other;
    CHECK(test::refusal_of([&] { other.file(file_with(many), ""); }, ErrorKind::limit) ==
          "the extended attributes of 'a' are too large");
    // Of a kind that is left out any number goes.
    WrittenTree third;
    third.file(file_with({{"btrfs.a", std::string(100000, 'v')}}), "");
    CHECK(third.finish().attributes_left_out == 1);
}

TEST_CASE("attributes may cross the border of a block, and inline targets behind them may not") {
    WrittenTree tree;
    for (unsigned i = 0; i < 120; ++i) {
        const std::string value(1 + i * 61 % 3000, static_cast<char>('a' + i % 26));
        Entry link = with(test::entry_of("l" + std::to_string(1000 + i), FileType::symlink, 0777),
                          {{"security.selinux", value}});
        tree.symlink(link, std::string(1 + i * 17 % 900, 't'));
    }
    Entry folder = with(test::entry_of("x", FileType::directory, 0755), {{"user.big", std::string(9000, 'q')}});
    tree.add(folder).file("x/inside", "text");
    tree.finish();
    for (unsigned i = 0; i < 120; ++i) {
        CAPTURE(i);
        const std::string path = "l" + std::to_string(1000 + i);
        CHECK(tree.content(path) == std::string(1 + i * 17 % 900, 't'));
        CHECK(tree.image().attributes(tree.inode(path)) ==
              Attributes{{"security.selinux", std::string(1 + i * 61 % 3000, static_cast<char>('a' + i % 26))}});
    }
    CHECK(tree.image().attributes(tree.inode("x")).at("user.big") == std::string(9000, 'q'));
    CHECK(tree.content("x/inside") == "text");
}

TEST_CASE("a target for which attributes leave no room lies in a block of its own") {
    // An inode of 64, a header of 12, an entry of 4 and its bytes; what is left of 4096 may be the target's.
    struct Row {
        std::size_t value; // with the name "a": 4 + 1 + value, to four bytes
        std::size_t target;
        bool is_inline;
    };
    for (const Row& row :
         {Row{3, 4012, true}, {3, 4013, false}, {1003, 3012, true}, {1003, 3013, false}, {5000, 1, false}}) {
        CAPTURE(row.value, row.target);
        WrittenTree tree;
        tree.symlink(with(test::entry_of("l", FileType::symlink, 0777), {{"user.a", std::string(row.value, 'v')}}),
                     std::string(row.target, 't'));
        tree.finish();
        CHECK(tree.inode("l").is_inline() == row.is_inline);
        CHECK(tree.content("l") == std::string(row.target, 't'));
        CHECK(tree.image().attributes(tree.inode("l")).at("user.a") == std::string(row.value, 'v'));
    }
}

TEST_CASE("attributes of the root, of folders and of devices are kept") {
    const auto disk = std::make_shared<OverlayDevice>(std::make_shared<EmptyDevice>(MiB));
    ErofsTreeWriter writer(disk, {});
    writer.add(with(test::entry_of("", FileType::directory, 0755), {{"security.selinux", "root_t"}}), nullptr);
    writer.add(with(test::entry_of("d", FileType::directory, 0755), {{"trusted.a", "1"}}), nullptr);
    writer.add(with(test::entry_of("d/null", FileType::character_device), {{"security.selinux", "null_t"}}), nullptr);
    writer.finish();
    const test::ErofsImage image(*disk);
    CHECK(image.attributes(image.inode(image.root())) == Attributes{{"security.selinux", "root_t"}});
    CHECK(image.attributes(image.inode(image.find("d"))) == Attributes{{"trusted.a", "1"}});
    CHECK(image.attributes(image.inode(image.find("d/null"))) == Attributes{{"security.selinux", "null_t"}});
}
