// What a log holds is laid over its subvolume as a mount does it.
#include "formats/base/error.hpp"
#include "formats/btrfs/changed_tree.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;
using namespace vm2oci::test::btrfs_sample;

namespace {

constexpr std::size_t kSector = 4096;

// That the log knows all of a folder's positions from one to another.
void know(BtrfsBuilder& made, std::uint64_t log, std::uint64_t folder, std::uint64_t first, std::uint64_t last) {
    made.item(log, {folder, 72, first}, BtrfsBytes().le(last).bytes);
}

void log_position(BtrfsBuilder& made, std::uint64_t log, std::uint64_t folder, std::uint64_t position,
                  std::string_view name, std::uint64_t inode) {
    BtrfsBytes entry;
    entry.key({inode, 1, 0}).le<std::uint64_t>(8).le<std::uint16_t>(0);
    entry.le(static_cast<std::uint16_t>(name.size())).le<std::uint8_t>(1).text(name);
    made.item(log, {folder, 96, position}, entry.bytes);
}

std::unique_ptr<const BtrfsFileSystem> replayed(BtrfsBuilder made, std::size_t items = 1000) {
    made.finish(items);
    auto files = std::make_unique<const BtrfsFileSystem>(made.device());
    CHECK(files->log() == LogState::replayed);
    CHECK_FALSE(files->free_space());
    read_all_of(*files);
    return files;
}

} // namespace

TEST_CASE("btrfs log: a file's size, owner and content are the log's") {
    for (const std::size_t items : {2u, 1000u}) {
        BtrfsBuilder made = make_btrfs_sample();
        const std::uint64_t log = made.log(kTop);
        made.inode(log, kFile, 0100600, {11, 2}).extent_in_item(log, kFile, "new content", 11);
        made.inode_name(log, kRoot, 2, "file", kFile).inode_name(log, kFolder, 2, "hard link", kFile);
        made.attribute(log, kFile, "user.two", "2");
        const auto held = replayed(made, items);
        const BtrfsFileSystem& files = *held;
        CHECK(read_content(files, find_node(files, "file")) == "new content");
        CHECK(files.status(find_node(files, "file")).permissions == 0600);
        CHECK(files.status(find_node(files, "file")).link_count == 2);
        CHECK(files.attributes(find_node(files, "file")) == std::vector<ExtendedAttribute>{{"user.two", "2"}});
        CHECK(read_content(files, find_node(files, "folder/second/inside")) == "in");
    }
}

TEST_CASE("btrfs log: an inode that is only said to be there keeps what it has") {
    BtrfsBuilder made = make_btrfs_sample();
    const std::uint64_t log = made.log(kTop);
    made.inode(log, kFile, 0100000, {0, 2, 0, 0});
    made.attribute(log, kFile, "user.one", "1");
    made.inode(log, kLarge, 0100000, {8192, 1, 0, 0});
    const auto held = replayed(made);
    const BtrfsFileSystem& files = *held;
    CHECK(read_content(files, find_node(files, "file")) == "content");
    CHECK(files.status(find_node(files, "file")).permissions == 0644);
    CHECK(read_content(files, find_node(files, "folder/large")) == std::string(8192, 'a'));
}

TEST_CASE("btrfs log: what the log knows a folder's positions of and does not have is gone") {
    BtrfsBuilder made = make_btrfs_sample();
    const std::uint64_t log = made.log(kTop);
    made.inode(log, kFolder, 040700);
    // "hard link" and "large"; "packed" lies behind, and "plain" is there.
    know(made, log, kFolder, 2, 3);
    know(made, log, kFolder, 6, 6);
    log_position(made, log, kFolder, 6, "plain", kPlain);
    const auto held = replayed(made);
    const BtrfsFileSystem& files = *held;
    CHECK(names_in(files, find_node(files, "folder")) ==
          std::vector<std::string>{"device", "packed", "plain", "second"});
    CHECK_FALSE(files.lookup(find_node(files, "folder"), "large"));
    CHECK(files.status(find_node(files, "file")).link_count == 1);
    CHECK(files.status(find_node(files, "folder")).permissions == 0700);
}

TEST_CASE("btrfs log: a subvolume that would go with it is refused") {
    BtrfsBuilder made = make_btrfs_sample();
    const std::uint64_t log = made.log(kTop);
    made.inode(log, kFolder, 040700);
    know(made, log, kFolder, 7, 7);
    made.finish();
    try {
        BtrfsFileSystem files(made.device());
        FAIL("it was read");
    } catch (const Error& error) {
        CHECK(error.kind() == ErrorKind::unsupported);
    }
}

TEST_CASE("btrfs log: new names, renamed files and replaced ones") {
    BtrfsBuilder made = make_btrfs_sample();
    made.file(kTop, kRoot, 20, "old", 280, "old").file(kTop, kRoot, 21, "target", 281, "target");
    const std::uint64_t log = made.log(kTop);
    // A new one, in a new folder.
    made.inode(log, 290, 040755).inode_name(log, kRoot, 30, "new folder", 290);
    made.inode(log, 291, 0100644, {3}).inode_name(log, 290, 2, "new", 291).extent_in_item(log, 291, "new", 3);
    // "old" was renamed over "target".
    made.inode(log, 280, 0100644, {3}).inode_name(log, kRoot, 31, "target", 280).extent_in_item(log, 280, "old", 3);
    // Another name of "file", by its folder alone.
    made.inode(log, kRoot, 040755);
    log_position(made, log, kRoot, 32, "another", kFile);
    know(made, log, kRoot, 32, 32);
    const auto held = replayed(made, 3);
    const BtrfsFileSystem& files = *held;
    CHECK(names_in(files, files.root()) ==
          std::vector<std::string>{"another", "file", "folder", "link", "new folder", "snapshot", "target"});
    CHECK(read_content(files, find_node(files, "target")) == "old");
    CHECK(read_content(files, find_node(files, "new folder/new")) == "new");
    CHECK(find_node(files, "another") == find_node(files, "file"));
    CHECK(files.status(find_node(files, "file")).link_count == 3);
}

TEST_CASE("btrfs log: extents replace, cut and split those that are there") {
    BtrfsBuilder made;
    const std::uint64_t old = made.data(std::string(8 * kSector, 'o'));
    made.inode(kTop, 257, 0100644, {8 * kSector}).name(kTop, kRoot, 2, "file", 257);
    made.extent(kTop, 257, {0, 4 * kSector, old, 8 * kSector});
    made.extent(kTop, 257, {4 * kSector, 4 * kSector, old, 8 * kSector, 4 * kSector});
    const std::uint64_t log = made.log(kTop);
    const std::uint64_t data = made.data(std::string(kSector, 'n'));
    made.inode(log, 257, 0100644, {6 * kSector + 10}).inode_name(log, kRoot, 2, "file", 257);
    made.extent(log, 257, {kSector, kSector, data, kSector});
    made.extent(log, 257, {3 * kSector, 2 * kSector, 0, 0}); // a hole over the border
    const auto held = replayed(made);
    const BtrfsFileSystem& files = *held;
    CHECK(read_content(files, find_node(files, "file")) ==
          std::string(kSector, 'o') + std::string(kSector, 'n') + std::string(kSector, 'o') +
              std::string(2 * kSector, '\0') + std::string(kSector + 10, 'o'));
}

TEST_CASE("btrfs log: checksums of new data are the log's") {
    BtrfsBuilder made = make_btrfs_sample();
    const std::uint64_t log = made.log(kTop);
    // As if it were written behind all else: the tree of checksums does not know it.
    const std::uint64_t address = BtrfsBuilder::kData + 100 * kSector;
    const std::string zeros(kSector, '\0');
    made.inode(log, kLarge, 0100644, {kSector}).inode_name(log, kFolder, 3, "large", kLarge);
    made.extent(log, kLarge, {0, kSector, address, kSector});
    BtrfsBuilder without = made;
    const auto sum = btrfs::checksum_of(btrfs::ChecksumType::crc32c, std::as_bytes(std::span(zeros)));
    made.item(log, {~0ull - 9, 128, address}, std::span(sum).first(4));
    const auto held = replayed(made);
    const BtrfsFileSystem& files = *held;
    CHECK(read_content(files, find_node(files, "folder/large")) == zeros);
    without.finish();
    const BtrfsFileSystem unknown(without.device());
    CHECK_THROWS_AS(read_content(unknown, find_node(unknown, "folder/large")), Error);
}

TEST_CASE("btrfs log: a folder that lost its name takes with it what was in it") {
    BtrfsBuilder made = make_btrfs_sample();
    made.inode(kTop, 280, 040755).name(kTop, kRoot, 20, "going", 280);
    made.name(kTop, 280, 2, "third name", kFile).inode(kTop, kFile, 0100644, {7, 3});
    const std::uint64_t log = made.log(kTop);
    made.inode(log, kRoot, 040755);
    know(made, log, kRoot, 20, 20);
    const auto held = replayed(made);
    const BtrfsFileSystem& files = *held;
    CHECK_FALSE(files.lookup(files.root(), "going"));
    CHECK(files.status(find_node(files, "file")).link_count == 2);
}

TEST_CASE("btrfs log: files without a name and subvolumes that are gone are passed over") {
    BtrfsBuilder made = make_btrfs_sample();
    const std::uint64_t log = made.log(kTop);
    made.inode(log, kFile, 0100600, {3, 0}).extent_in_item(log, kFile, "tmp", 3);
    made.inode(made.log(999), 257, 0100600);
    made.inode(made.log(kSecond), 257, 0100600, {2}).inode_name(made.log(kSecond), kRoot, 2, "inside", 257);
    const auto held = replayed(made);
    const BtrfsFileSystem& files = *held;
    CHECK(read_content(files, find_node(files, "file")) == "content");
    CHECK(files.status(find_node(files, "folder/second/inside")).permissions == 0600);
}

TEST_CASE("btrfs log: names beyond one item of an inode lie in items of their own") {
    BtrfsBuilder made = make_btrfs_sample();
    const std::uint64_t log = made.log(kTop);
    made.inode(log, kRoot, 040755);
    const std::string stem(200, 'n');
    for (std::uint64_t i = 0; i < 30; ++i)
        log_position(made, log, kRoot, 40 + i, stem + std::to_string(i), kFile);
    const auto held = replayed(made);
    const BtrfsFileSystem& files = *held;
    CHECK(files.status(find_node(files, "file")).link_count == 32);
    BtrfsBytes item;
    item.le<std::uint64_t>(5).le<std::uint64_t>(6).le<std::uint16_t>(3).text("one");
    const auto names = btrfs::read_inode_names({7, 13, 99}, item.bytes);
    REQUIRE(names.size() == 1);
    CHECK(names[0].folder == 5);
    CHECK(names[0].position == 6);
    CHECK(names[0].name == "one");
}

TEST_CASE("btrfs log: what is damaged is refused") {
    const auto refused = [](auto&& harm) {
        BtrfsBuilder made = make_btrfs_sample();
        const std::uint64_t log = made.log(kTop);
        made.inode(log, kFile, 0100600, {7, 2});
        harm(made, log);
        made.finish(3);
        CHECK_THROWS_AS(BtrfsFileSystem(made.device()), Error);
    };
    refused([](BtrfsBuilder& m, std::uint64_t log) { m.inode_name(log, kRoot, 2, "x", 4444); });
    refused([](BtrfsBuilder& m, std::uint64_t log) { m.extent(log, 4444, {0, kSector, 0, 0}); });
    refused([](BtrfsBuilder& m, std::uint64_t log) { m.item(log, {kFile, 12, kRoot}, BtrfsBytes().zeros(5).bytes); });
    refused([](BtrfsBuilder& m, std::uint64_t log) { m.item(log, {kFile, 108, 0}, BtrfsBytes().zeros(10).bytes); });
    refused([](BtrfsBuilder& m, std::uint64_t log) { m.item(log, {kRoot, 96, 2}, BtrfsBytes().zeros(3).bytes); });
    refused([](BtrfsBuilder& m, std::uint64_t log) {
        m.inode(log, kFolder, 040755);
        m.item(log, {kFolder, 72, 2}, BtrfsBytes().zeros(3).bytes);
    });
}
