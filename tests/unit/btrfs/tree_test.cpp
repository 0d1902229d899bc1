#include "formats/base/error.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;
using namespace vm2oci::test::btrfs_sample;

namespace {

BtrfsFileSystem finished(BtrfsBuilder made, std::size_t items_in_leaf = 1000) {
    made.finish(items_in_leaf);
    return BtrfsFileSystem(made.device());
}

} // namespace

TEST_CASE("a btrfs reads the same whatever its blocks, copies and checksums") {
    using btrfs::ChecksumType;
    for (const ChecksumType checksum :
         {ChecksumType::crc32c, ChecksumType::xxhash64, ChecksumType::sha256, ChecksumType::blake2b})
        for (const auto copies : {BtrfsBuilder::Copies::one, BtrfsBuilder::Copies::two})
            for (const std::size_t items : {2u, 3u, 1000u}) {
                INFO(static_cast<int>(checksum) << " " << items);
                const BtrfsFileSystem files = finished(make_btrfs_sample(checksum, copies), items);
                CHECK(names_in(files, files.root()) == std::vector<std::string>{"file", "folder", "link", "snapshot"});
                CHECK(names_in(files, find_node(files, "folder")) ==
                      std::vector<std::string>{"device", "hard link", "large", "packed", "plain", "second"});
                CHECK(read_content(files, find_node(files, "file")) == "content");
                CHECK(find_node(files, "folder/hard link") == find_node(files, "file"));
                CHECK(files.read_link(find_node(files, "link")) == "folder/file");
                CHECK(read_content(files, find_node(files, "folder/large")) ==
                      std::string(8192, 'a') + std::string(8192, '\0') + std::string(20000 - 16384, 'b'));
                CHECK(read_content(files, find_node(files, "folder/packed")) == std::string(4000, '\0'));
                CHECK(read_content(files, find_node(files, "folder/second/inside")) == "in");
                CHECK(read_content(files, find_node(files, "folder/plain")) == std::string(4096, 'a'));
                CHECK_FALSE(files.lookup(files.root(), "File"));
                CHECK(files.log() == LogState::clean);
                read_all_of(files);
            }
}

TEST_CASE("btrfs: owners, times, modes, devices and attributes are the inode's") {
    const BtrfsFileSystem files = finished(make_btrfs_sample());
    const FileStatus status = files.status(find_node(files, "file"));
    CHECK(status.type == FileType::regular);
    CHECK(status.permissions == 0644);
    CHECK(status.uid == 1000);
    CHECK(status.gid == 100);
    CHECK(status.link_count == 2);
    CHECK(status.modified == Timestamp{1700000002, 123456789});
    const FileStatus device = files.status(find_node(files, "folder/device"));
    CHECK(device.type == FileType::character_device);
    CHECK(device.device_major == 259);
    CHECK(device.device_minor == 70000);
    CHECK(files.attributes(find_node(files, "file")) ==
          std::vector<ExtendedAttribute>{{"security.capability", "caps"}, {"user.one", "1"}});
    CHECK(files.attributes(find_node(files, "folder")).empty());
}

TEST_CASE("btrfs: ranges of data are neither what is prepared nor holes") {
    const BtrfsFileSystem files = finished(make_btrfs_sample());
    CHECK(files.data_ranges(find_node(files, "folder/large")) ==
          std::vector<DataRange>{{0, 8192}, {16384, 20000 - 16384}});
    CHECK(files.data_ranges(find_node(files, "file")) == std::vector<DataRange>{{0, 7}});
    std::vector<std::byte> part(10);
    CHECK_THROWS_AS(files.read_at(find_node(files, "file"), 0, part), Error);
}

TEST_CASE("btrfs: subvolumes are found by path and number, and tell what they are") {
    const BtrfsFileSystem files = finished(make_btrfs_sample());
    const NodeId second = find_node(files, "folder/second");
    for (const char* path : {"folder/second", "/folder/second", "folder//second/", "./folder/second"})
        CHECK(files.subvolume(path) == second);
    CHECK(files.subvolume(kSecond) == second);
    CHECK(files.subvolume("") == files.root());
    CHECK(files.subvolume(5) == files.root());
    for (const char* path : {"folder", "file", "second", "folder/second/inside", "file/x", "snapshot/left"})
        CHECK_FALSE(files.subvolume(path));
    for (const std::uint64_t number : {1ull, 6ull, 256ull, 302ull, ~0ull})
        CHECK_FALSE(files.subvolume(number));
    const std::vector<SubvolumeFacts> all = files.subvolumes();
    REQUIRE(all.size() == 2);
    CHECK(all[0].path == "folder/second");
    CHECK(all[0].origin == SubvolumeFacts::Origin::created);
    CHECK(all[0].access == SubvolumeFacts::Access::writable);
    CHECK(all[1].path == "snapshot");
    CHECK(all[1].origin == SubvolumeFacts::Origin::snapshot);
    CHECK(all[1].access == SubvolumeFacts::Access::read_only);
    CHECK(all[1].root == find_node(files, "snapshot"));
}

TEST_CASE("btrfs: where a snapshot lacks a subvolume there is an empty folder, another one each time") {
    BtrfsBuilder made = make_btrfs_sample();
    made.entry(kSnapshot, kRoot, 4, "left too", {kSecond, 132, ~0ull});
    made.entry(kTop, kRoot, 9, "gone", {999, 132, ~0ull});
    const BtrfsFileSystem files = finished(std::move(made));
    const NodeId left = find_node(files, "snapshot/left");
    CHECK(left != find_node(files, "snapshot/left too"));
    CHECK(left == find_node(files, "snapshot/left"));
    CHECK(files.status(left).type == FileType::directory);
    CHECK(files.status(left).permissions == 0755);
    CHECK(files.list(left).empty());
    CHECK(files.attributes(left).empty());
    CHECK_FALSE(files.lookup(left, "inside"));
    CHECK(files.list(find_node(files, "gone")).empty());
}

TEST_CASE("btrfs: the default subvolume is the root, and one that is being removed is none") {
    BtrfsBuilder made = make_btrfs_sample();
    made.default_subvolume(kSnapshot);
    made.subvolume(302, {false, false, 0}).place(302, kTop, kRoot, 10, "removed");
    const BtrfsFileSystem files = finished(std::move(made));
    CHECK(files.root() == files.subvolume("snapshot"));
    CHECK(read_content(files, find_node(files, "inside")) == "before");
    CHECK_FALSE(files.subvolume(302));
    CHECK_FALSE(files.subvolume("removed"));
    CHECK(files.subvolumes().size() == 2);
    BtrfsBuilder lost = make_btrfs_sample();
    lost.default_subvolume(77777);
    lost.finish();
    CHECK_THROWS_AS(BtrfsFileSystem(lost.device()), Error);
}

TEST_CASE("btrfs: a name is told from others with its hash") {
    // Any two are put under the hash of one here.
    BtrfsBuilder made;
    made.file(kTop, kRoot, 2, "one", 257, "1");
    BtrfsBytes entry;
    entry.key({258, 1, 0})
        .le<std::uint64_t>(7)
        .le<std::uint16_t>(0)
        .le<std::uint16_t>(3)
        .le<std::uint8_t>(1)
        .text("two");
    made.item(kTop, {kRoot, 84, btrfs::hash_of_name("one")}, entry.bytes);
    const BtrfsFileSystem files = finished(std::move(made));
    CHECK(files.lookup(files.root(), "one"));
    CHECK_FALSE(files.lookup(files.root(), "two"));
    CHECK(btrfs::hash_of_name("default") == 0x8dbfc2d2);
}

TEST_CASE("btrfs: a folder of thousands is listed in order and each name found") {
    BtrfsBuilder made;
    for (std::uint64_t i = 0; i < 300; ++i)
        made.name(kTop, kRoot, i + 2, "name " + std::to_string(i * 7919 % 300), 257 + i % 2);
    made.inode(kTop, 257, 0100644, {0, 150}).inode(kTop, 258, 0100644, {0, 150});
    const BtrfsFileSystem files = finished(std::move(made), 20);
    const std::vector<std::string> names = names_in(files, files.root());
    CHECK(names.size() == 300);
    CHECK(std::is_sorted(names.begin(), names.end()));
    for (const std::string& name : names)
        REQUIRE(files.lookup(files.root(), name));
}

TEST_CASE("btrfs: what no chunk and no extent has is free, and superblocks never are") {
    for (const auto copies : {BtrfsBuilder::Copies::one, BtrfsBuilder::Copies::two}) {
        BtrfsBuilder made = make_btrfs_sample(btrfs::ChecksumType::crc32c, copies);
        made.finish(3);
        const auto free = BtrfsFileSystem(made.device()).free_space();
        REQUIRE(free);
        std::uint64_t total = 0;
        std::uint64_t last = 1024 * 1024;
        for (const DataRange& range : *free) {
            CHECK(range.offset >= last);
            CHECK(range.offset % 4096 == 0);
            last = range.offset + range.length;
            total += range.length;
        }
        CHECK(last == BtrfsBuilder::kSize);
        // Five sectors of data, and what the blocks take.
        const std::uint64_t data = 5 * 4096 * (copies == BtrfsBuilder::Copies::two ? 2 : 1);
        CHECK(total < BtrfsBuilder::kSize - 1024 * 1024 - data);
        CHECK(total > BtrfsBuilder::kSize - 1024 * 1024 - data - 700'000);
        const std::uint64_t first = BtrfsBuilder::kDataPlace + 5 * 4096;
        CHECK(std::any_of(free->begin(), free->end(), [&](const DataRange& range) { return range.offset == first; }));
    }
}
