// What other readers of xfs got wrong, by public reports, rebuilt.
#include "tests/support/xfs_sample.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

using namespace vm2oci;
using namespace vm2oci::test;
using Version = XfsBuilder::Version;

namespace {

std::size_t inode_at(std::uint64_t number) {
    return static_cast<std::size_t>(number) * XfsBuilder::kInode;
}

std::vector<std::string> names_of(const FileSystem& files, std::uint64_t folder) {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : files.list(NodeId{folder}))
        names.push_back(entry.name);
    return names;
}

std::vector<std::string> names_of_sample(std::uint64_t folder) {
    XfsBuilder made = make_sample();
    made.finish();
    return names_of(XfsFileSystem(made.device()), folder);
}

} // namespace

TEST_CASE("masahiro331/go-xfs-filesystem#12: a folder whose extents are counted in 64 bits, as RHEL 10 makes it") {
    XfsBuilder made = make_sample();
    made.put64(inode_at(sample::kNames) + 120, 0x10);
    made.put64(inode_at(sample::kNames) + 24, 3);
    made.put32(inode_at(sample::kNames) + 76, 0);
    made.finish();
    made.put32(216, 0x21);
    made.seal();
    CHECK(names_of(XfsFileSystem(made.device()), sample::kNames) == names_of_sample(sample::kNames));
}

TEST_CASE("masahiro331/go-xfs-filesystem#11: set-user-ID and set-group-ID are not each other") {
    for (const Version version : {Version::v4, Version::v5})
        for (const unsigned bits : {04755U, 02755U, 01777U}) {
            XfsBuilder made = make_sample(version);
            made.finish();
            made.put16(inode_at(sample::kEmpty) + 2, 0100000U | bits);
            made.seal();
            CHECK(XfsFileSystem(made.device()).status(NodeId{sample::kEmpty}).permissions == bits);
        }
}

TEST_CASE("DiscUtils/DiscUtils#128: folders have the same names with and without the type of each file behind it") {
    const std::vector<std::string> expected = names_of_sample(XfsBuilder::kRoot);
    for (const Version version : {Version::v4, Version::v5})
        for (const auto types : {XfsBuilder::TypesInFolders::yes, XfsBuilder::TypesInFolders::no}) {
            XfsBuilder made = make_sample(version, types);
            made.finish();
            CHECK(names_of(XfsFileSystem(made.device()), XfsBuilder::kRoot) == expected);
        }
}

TEST_CASE("sleuthkit/sleuthkit#1476: what was removed from the middle of a folder's block hides nothing behind it") {
    constexpr std::size_t kBlock = (sample::kNamesBlock + 1) * XfsBuilder::kBlock;
    constexpr std::size_t kHeader = 64;
    XfsBuilder made = make_sample();
    made.finish();
    const auto length_of = [&](std::size_t at) {
        // Number, length and text of the name, type, place: in whole eights.
        const auto name = std::to_integer<std::size_t>(*made.at(at + 8));
        return (8 + 1 + name + 1 + 2 + 7) / 8 * 8;
    };
    std::size_t at = kBlock + kHeader;
    for (int passed = 0; passed < 3; ++passed)
        at += length_of(at);
    const std::size_t length = length_of(at);
    const std::string removed(reinterpret_cast<const char*>(made.at(at + 9)),
                              std::to_integer<std::size_t>(*made.at(at + 8)));
    made.put16(at, 0xffff);
    made.put16(at + 2, static_cast<unsigned>(length));
    made.put16(at + length - 2, static_cast<unsigned>(at - kBlock));
    made.seal();
    std::vector<std::string> expected = names_of_sample(sample::kNames);
    const auto found = std::find(expected.begin(), expected.end(), removed);
    REQUIRE(found != expected.end());
    expected.erase(found);
    CHECK(names_of(XfsFileSystem(made.device()), sample::kNames) == expected);
}
