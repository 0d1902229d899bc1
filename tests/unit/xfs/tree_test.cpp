// What the sample holds, in each version of the format.
#include "formats/base/error.hpp"
#include "formats/xfs/attributes.hpp"
#include "tests/support/xfs_sample.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;
using namespace vm2oci::test;
using Version = XfsBuilder::Version;
using Types = XfsBuilder::TypesInFolders;

namespace {

XfsFileSystem open_sample(Version version = Version::v5, Types types = Types::yes) {
    XfsBuilder made = make_sample(version, types);
    made.finish();
    return XfsFileSystem(made.device());
}

std::vector<std::string> names_of(const FileSystem& files, std::uint64_t folder) {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : files.list(NodeId{folder}))
        names.push_back(entry.name);
    return names;
}

} // namespace

TEST_CASE("an xfs of each version is read, whatever form its files have") {
    const auto [version, types] = GENERATE(table<Version, Types>(
        {{Version::v5, Types::yes}, {Version::v5, Types::no}, {Version::v4, Types::yes}, {Version::v4, Types::no}}));
    const XfsFileSystem files = open_sample(version, types);
    CHECK_NOTHROW(read_everything(files));
    CHECK(files.log() == LogState::clean);
    CHECK(names_of(files, XfsBuilder::kRoot) == std::vector<std::string>{"device", "file", "link", "long", "names",
                                                                         "node", "single", "sparse", "tree", "values"});
    CHECK(names_of(files, sample::kSingle) == std::vector<std::string>{"one", "two"});
    CHECK(names_of(files, sample::kNames).size() > 30);
    CHECK(files.lookup(NodeId{sample::kNames}, "again") == NodeId{sample::kTwice});
    CHECK(files.lookup(NodeId{sample::kNames}, "name-07-xx") == NodeId{sample::kTwice});
    CHECK_FALSE(files.lookup(NodeId{sample::kNames}, "AGAIN"));
    CHECK(read_text(files, sample::kFile, 0, 7) == "content");
    CHECK(files.read_link(NodeId{sample::kLink}) == "file");
    CHECK(files.read_link(NodeId{sample::kLongLink}) == kLongTarget);
}

TEST_CASE("extents out of a B+tree: holes and what was never written are zeros") {
    const XfsFileSystem files = open_sample(GENERATE(Version::v4, Version::v5));
    CHECK(read_text(files, sample::kTree, 1020, 8) == "0000" + std::string(4, '\0'));
    CHECK(read_text(files, sample::kTree, 2044, 1030) ==
          std::string(4, '\0') + std::string(1024, '1') + std::string(2, '\0'));
    CHECK(read_text(files, sample::kTree, 6144, 3062) == std::string(1024, '3') + std::string(2038, '\0'));
    CHECK(files.data_ranges(NodeId{sample::kTree}) ==
          std::vector<DataRange>{{0, 1024}, {2048, 1024}, {4096, 1024}, {6144, 1024}});
    CHECK(files.data_ranges(NodeId{sample::kSparse}) == std::vector<DataRange>{{0, 1024}, {kTerabyte - 1024, 1019}});
    CHECK(read_text(files, sample::kSparse, kTerabyte - 1030, 8) == std::string(6, '\0') + "e" + std::string(1, '\0'));
    CHECK_THROWS_AS(read_text(files, sample::kSparse, kTerabyte - 10, 6), Error);
}

TEST_CASE("status: modes, owners, times, links and devices") {
    const XfsFileSystem files = open_sample(GENERATE(Version::v4, Version::v5));
    const FileStatus names = files.status(NodeId{sample::kNames});
    CHECK(names.type == FileType::directory);
    CHECK(names.permissions == 01777);
    CHECK(names.uid == 1000);
    CHECK(names.gid == 2000);
    CHECK(names.modified == Timestamp{1600000000, 123456789});
    CHECK(files.status(NodeId{sample::kTwice}).link_count == 60);
    const FileStatus device = files.status(NodeId{sample::kDevice});
    CHECK(device.type == FileType::character_device);
    CHECK(device.device_major == 4);
    CHECK(device.device_minor == 70000);
}

TEST_CASE("times from 1901 on, in nanoseconds, and counters of 64 bits") {
    XfsBuilder made = make_sample();
    const std::size_t file = sample::kFile * XfsBuilder::kInode;
    made.put64(file + 120, 0x18); // big timestamps, large counters
    made.put64(file + 24, 1);     // the number of extents moves here
    made.put32(file + 76, 0);
    made.put64(file + 40, (std::uint64_t{1} << 31) * 1'000'000'000 + 4'000'000'000 * 1'000'000'000ull + 5);
    made.finish();
    made.put32(216, 0x29);
    made.seal();
    const XfsFileSystem files(made.device());
    CHECK(files.status(NodeId{sample::kFile}).modified == Timestamp{4'000'000'000, 5});
    CHECK(read_text(files, sample::kFile, 0, 7) == "content");
    made.put64(file + 40, 7);
    made.seal();
    CHECK(XfsFileSystem(made.device()).status(NodeId{sample::kFile}).modified == Timestamp{-(1ll << 31), 7});
}

TEST_CASE("attributes in the inode, in a leaf, in a tree and in blocks of their own") {
    const XfsFileSystem files = open_sample(GENERATE(Version::v4, Version::v5));
    const auto acl = [] {
        XfsBytes bytes;
        bytes.le<std::uint32_t>(2);
        bytes.le<std::uint16_t>(1).le<std::uint16_t>(6).le<std::uint32_t>(~0u);
        bytes.le<std::uint16_t>(2).le<std::uint16_t>(4).le<std::uint32_t>(1000);
        return std::string(reinterpret_cast<const char*>(bytes.bytes.data()), bytes.bytes.size());
    }();
    CHECK(files.attributes(NodeId{sample::kFile}) == std::vector<ExtendedAttribute>{{"security.selinux", "label"},
                                                                                    {"system.posix_acl_access", acl},
                                                                                    {"user.short", "value"}});
    // What is half made and what names a parent is not shown.
    CHECK(files.attributes(NodeId{sample::kValues}) == std::vector<ExtendedAttribute>{{"security.capability", "cap"},
                                                                                      {"user.large", kLongValue},
                                                                                      {"user.local", "small"}});
    CHECK(files.attributes(NodeId{sample::kNode}) ==
          std::vector<ExtendedAttribute>{{"trusted.second", "2"}, {"user.first", "1"}});
    CHECK(files.attributes(NodeId{sample::kEmpty}).empty());
}

TEST_CASE("an access control list is as long as it counts") {
    CHECK(xfs::convert_stored_acl(std::string(4, '\0')).size() == 4);
    CHECK_THROWS_AS(xfs::convert_stored_acl(""), Error);
    CHECK_THROWS_AS(xfs::convert_stored_acl(std::string(16, '\0')), Error);
    CHECK_THROWS_AS(xfs::convert_stored_acl(std::string("\0\0\0\2", 4) + std::string(12, '\0')), Error);
}

TEST_CASE("names that ignore case where the file system does") {
    XfsBuilder made = make_sample();
    made.finish();
    made.put16(100, 0xf4a5);
    made.seal();
    const XfsFileSystem files(made.device());
    CHECK(files.lookup(NodeId{sample::kNames}, "AgAiN") == NodeId{sample::kTwice});
    CHECK_FALSE(files.lookup(NodeId{sample::kNames}, "AgAi"));
}

TEST_CASE("features of version 4 that were written behind their place") {
    XfsBuilder made = make_sample(Version::v4);
    made.finish();
    made.put32(204, 0x28a);
    made.put32(200, 0);
    CHECK_NOTHROW(read_everything(XfsFileSystem(made.device())));
    CHECK(names_of(XfsFileSystem(made.device()), sample::kSingle) == std::vector<std::string>{"one", "two"});
    made.put32(204, 0x28a | 0x10);
    CHECK_THROWS_AS(XfsFileSystem(made.device()), Error);
}

TEST_CASE("free space: both groups, and how much of it there is") {
    const XfsFileSystem files = open_sample(GENERATE(Version::v4, Version::v5));
    CHECK(files.free_space() ==
          std::vector<DataRange>{{100 * 1024, (512 - 100) * 1024}, {(512 + 4) * 1024, (512 - 4) * 1024}});
    const FileSystemUsage usage = files.usage();
    CHECK(usage.total_bytes == (1024 - 32) * 1024);
    CHECK(usage.free_bytes == (1024 - 104) * 1024);
    CHECK(usage.total_inodes > 32);
}
