// One thing is wrong at a time, with checksums that are right unless they are what is wrong.
#include "formats/base/error.hpp"
#include "tests/support/memory_device.hpp"
#include "tests/support/xfs_sample.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <functional>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::size_t kInodeSize = XfsBuilder::kInode;
constexpr std::size_t kBlockSize = XfsBuilder::kBlock;
constexpr std::size_t kForkAt = 176;
constexpr std::size_t kGroupHeader = 512;

struct HostileRow {
    const char* what;
    std::function<void(XfsBuilder&)> harm;
    ErrorKind kind = ErrorKind::corrupt;
    enum class Checksums { right, left } checksums = Checksums::right;
};

std::size_t inode_at(std::uint64_t number) {
    return static_cast<std::size_t>(number) * kInodeSize;
}

void harm_extents(XfsBuilder& made, std::uint64_t inode, std::initializer_list<XfsBuilder::Extent> extents) {
    const std::vector<std::byte> list = XfsBuilder::extent_list(std::vector<XfsBuilder::Extent>(extents));
    std::copy(list.begin(), list.end(), made.inode(inode) + kForkAt);
    made.put32(inode_at(inode) + 76, static_cast<std::uint32_t>(extents.size()));
}

const std::vector<HostileRow>& superblock_rows() {
    static const std::vector<HostileRow> rows{
        {"no magic", [](XfsBuilder& m) { m.put32(0, 1); }},
        {"a block size that is none", [](XfsBuilder& m) { m.put32(4, 1000); }},
        {"a block size unlike its logarithm", [](XfsBuilder& m) { m.put8(120, 11); }},
        {"a sector larger than a block", [](XfsBuilder& m) { m.put16(102, 2048), m.put8(121, 11); }},
        {"an inode larger than any", [](XfsBuilder& m) { m.put16(104, 4096), m.put8(122, 12); }},
        {"a logarithm of 255", [](XfsBuilder& m) { m.put8(120, 255); }},
        {"folder blocks of 128 KiB", [](XfsBuilder& m) { m.put8(192, 7); }},
        {"more blocks than the volume", [](XfsBuilder& m) { m.put32(88, 4), m.put64(8, 2048); }},
        {"groups that do not add up", [](XfsBuilder& m) { m.put64(8, 5000); }},
        {"no group", [](XfsBuilder& m) { m.put32(88, 0); }},
        {"four billion groups", [](XfsBuilder& m) { m.put32(88, ~0u); }, ErrorKind::limit},
        {"bits of a group unlike its size", [](XfsBuilder& m) { m.put8(124, 20); }},
        {"a log outside of its group", [](XfsBuilder& m) { m.put64(48, 500); }},
        {"a log without blocks", [](XfsBuilder& m) { m.put32(96, 0); }},
        {"a making that was not finished", [](XfsBuilder& m) { m.put8(126, 1); }},
        {"a root that is no folder", [](XfsBuilder& m) { m.put64(56, sample::kFile); }},
        {"a root outside of everything", [](XfsBuilder& m) { m.put64(56, 1ull << 60); }},
        {"a wrong checksum", [](XfsBuilder& m) { m.put8(108, 'x'); }, ErrorKind::corrupt, HostileRow::Checksums::left},
        {"NEEDSREPAIR", [](XfsBuilder& m) { m.put32(216, 0x11); }, ErrorKind::unsupported},
        {"metadir", [](XfsBuilder& m) { m.put32(216, 0x101); }, ErrorKind::unsupported},
        {"zoned", [](XfsBuilder& m) { m.put32(216, 0x201); }, ErrorKind::unsupported},
        {"a feature that nobody knows", [](XfsBuilder& m) { m.put32(216, 0x40000001); }, ErrorKind::unsupported},
        {"a log on another disk", [](XfsBuilder& m) { m.put64(48, 0); }, ErrorKind::unsupported},
        {"version 6", [](XfsBuilder& m) { m.put16(100, 0xb4a6); }, ErrorKind::unsupported},
    };
    return rows;
}

const std::vector<HostileRow>& inode_rows() {
    static const std::vector<HostileRow> rows{
        {"no inode", [](XfsBuilder& m) { m.put16(inode_at(sample::kFile), 0); }},
        {"one of version 2 among those of 3", [](XfsBuilder& m) { m.put8(inode_at(sample::kFile) + 4, 2); }},
        {"another's number", [](XfsBuilder& m) { m.put64(inode_at(sample::kFile) + 152, 10); }},
        {"another file system's", [](XfsBuilder& m) { m.put8(inode_at(sample::kFile) + 165, 1); }},
        {"a wrong checksum", [](XfsBuilder& m) { m.put8(inode_at(sample::kFile) + 11, 1); }, ErrorKind::corrupt,
         HostileRow::Checksums::left},
        {"not in use", [](XfsBuilder& m) { m.put16(inode_at(sample::kFile) + 2, 0); }},
        {"deleted", [](XfsBuilder& m) { m.put32(inode_at(sample::kFile) + 16, 0); }},
        {"of no type", [](XfsBuilder& m) { m.put16(inode_at(sample::kFile) + 2, 0170644); }},
        {"larger than a file can be", [](XfsBuilder& m) { m.put64(inode_at(sample::kFile) + 56, ~0ull); }},
        {"attributes behind its end", [](XfsBuilder& m) { m.put8(inode_at(sample::kFile) + 82, 200); }},
        {"content in a form that there is not", [](XfsBuilder& m) { m.put8(inode_at(sample::kFile) + 5, 9); }},
        {"a file that keeps its content in itself", [](XfsBuilder& m) { m.put8(inode_at(sample::kFile) + 5, 1); }},
        {"metadata with a name", [](XfsBuilder& m) { m.put64(inode_at(sample::kFile) + 120, 0x20); }},
        {"on the realtime device", [](XfsBuilder& m) { m.put16(inode_at(sample::kFile) + 90, 1); },
         ErrorKind::unsupported},
        {"a device without a number", [](XfsBuilder& m) { m.put8(inode_at(sample::kDevice) + 5, 2); }},
        {"a link without a target", [](XfsBuilder& m) { m.put64(inode_at(sample::kLink) + 56, 0); }},
        {"a link longer than its inode", [](XfsBuilder& m) { m.put64(inode_at(sample::kLink) + 56, 900); }},
        {"a target longer than any", [](XfsBuilder& m) { m.put64(inode_at(sample::kLongLink) + 56, 1025); }},
        {"a NUL in a target", [](XfsBuilder& m) { m.put8(inode_at(sample::kLink) + kForkAt + 1, 0); }},
        {"a target that is another's", [](XfsBuilder& m) { m.put64(sample::kLinkBlock * kBlockSize + 32, 9); }},
        {"a target shorter than its link", [](XfsBuilder& m) { m.put32(sample::kLinkBlock * kBlockSize + 8, 3); }},
    };
    return rows;
}

const std::vector<HostileRow>& extent_rows() {
    constexpr std::size_t kLeaf = sample::kTreeLeaves * kBlockSize;
    constexpr std::size_t kRoot = sample::kTree * kInodeSize + kForkAt;
    constexpr std::size_t kSecondPointer = kRoot + 4 + (kInodeSize - kForkAt - 4) / 16 * 8 + 8;
    static const std::vector<HostileRow> rows{
        {"extents that overlap",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kSparse, {{0, 78, 2}, {1, 79, 1}});
         }},
        {"extents out of order",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kSparse, {{9, 78, 1}, {1, 79, 1}});
         }},
        {"an empty extent",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kSparse, {{0, 78, 0}});
         }},
        {"an extent behind its group",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kSparse, {{0, 510, 4}});
         }},
        {"an extent behind the volume",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kSparse, {{0, 1ull << 40, 1}});
         }},
        {"an extent behind what a file can be",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kSparse, {{(1ull << 54) - 2, 78, 1}});
         }},
        {"more extents than the inode has room for",
         [](XfsBuilder& m) { m.put32(inode_at(sample::kSparse) + 76, 5000); }},
        {"a tree of no depth", [](XfsBuilder& m) { m.put16(kRoot, 0); }},
        {"a tree of depth 60000", [](XfsBuilder& m) { m.put16(kRoot, 60000); }},
        {"a tree without children", [](XfsBuilder& m) { m.put16(kRoot + 2, 0); }},
        {"more children than room", [](XfsBuilder& m) { m.put16(kRoot + 2, 400); }},
        {"a child twice", [](XfsBuilder& m) { m.put64(kSecondPointer, sample::kTreeLeaves); }},
        {"a child outside", [](XfsBuilder& m) { m.put64(kSecondPointer, 1ull << 50); }},
        {"a child that is no leaf", [](XfsBuilder& m) { m.put64(kSecondPointer, sample::kNamesBlock); }},
        {"a leaf on another level", [](XfsBuilder& m) { m.put16(kLeaf + 4, 1); }},
        {"a leaf with more records than room", [](XfsBuilder& m) { m.put16(kLeaf + 6, 60); }},
        {"a leaf without records", [](XfsBuilder& m) { m.put16(kLeaf + 6, 0); }},
        {"another number than the inode counts", [](XfsBuilder& m) { m.put32(inode_at(sample::kTree) + 76, 6); }},
        {"more extents than any file", [](XfsBuilder& m) { m.put32(inode_at(sample::kTree) + 76, 1u << 31); },
         ErrorKind::limit},
        {"another owner", [](XfsBuilder& m) { m.put64(kLeaf + 56, 12); }},
        {"another file system", [](XfsBuilder& m) { m.put8(kLeaf + 41, 1); }},
        {"another place", [](XfsBuilder& m) { m.put64(kLeaf + 24, 12); }},
        {"a wrong checksum", [](XfsBuilder& m) { m.put8(kLeaf + 1000, 1); }, ErrorKind::corrupt,
         HostileRow::Checksums::left},
        {"a node that leads back to itself",
         [](XfsBuilder& m) {
             // Two levels, of which the upper one names itself.
             m.put_extent_node(91, sample::kTree, 1, std::array<std::uint64_t, 1>{91});
             const std::vector<std::byte> root =
                 XfsBuilder::extent_root(2, std::array<std::uint64_t, 1>{91}, kInodeSize - kForkAt);
             std::copy(root.begin(), root.end(), m.inode(sample::kTree) + kForkAt);
         }},
    };
    return rows;
}

const std::vector<HostileRow>& folder_rows() {
    constexpr std::size_t kSingle = sample::kSingleBlock * kBlockSize;
    constexpr std::size_t kNames = sample::kNamesBlock * kBlockSize;
    constexpr std::size_t kRoot = XfsBuilder::kRoot * kInodeSize + kForkAt;
    static const std::vector<HostileRow> rows{
        {"more names in the inode than bytes", [](XfsBuilder& m) { m.put8(kRoot, 200); }},
        {"fewer names in the inode than bytes", [](XfsBuilder& m) { m.put8(kRoot, 3); }},
        {"a name longer than its folder", [](XfsBuilder& m) { m.put8(kRoot + 6, 255); }},
        {"a folder of five bytes", [](XfsBuilder& m) { m.put64(inode_at(8) + 56, 5); }},
        {"a folder larger than its inode", [](XfsBuilder& m) { m.put64(inode_at(8) + 56, 900); }},
        {"a slash in a name", [](XfsBuilder& m) { m.put8(kRoot + 6 + 3, '/'); }},
        {"an empty name", [](XfsBuilder& m) { m.put8(kSingle + 64 + 32 + 8, 0); }},
        {"no magic", [](XfsBuilder& m) { m.put32(kSingle, 0); }},
        {"another owner", [](XfsBuilder& m) { m.put64(kSingle + 40, 12); }},
        {"another place", [](XfsBuilder& m) { m.put64(kSingle + 8, 12); }},
        {"a wrong checksum", [](XfsBuilder& m) { m.put8(kSingle + 600, 1); }, ErrorKind::corrupt,
         HostileRow::Checksums::left},
        {"an index larger than the block", [](XfsBuilder& m) { m.put32(kSingle + kBlockSize - 8, 4000); }},
        {"an index that covers the names", [](XfsBuilder& m) { m.put32(kSingle + kBlockSize - 8, 127); }},
        {"an entry that says another place", [](XfsBuilder& m) { m.put16(kSingle + 64 + 14, 4); }},
        {"free space of length 0",
         [](XfsBuilder& m) { m.put16(kNames + 64 + 56 + 2, 0), m.put16(kNames + 64 + 56, 0xffff); }},
        {"free space behind the block",
         [](XfsBuilder& m) { m.put16(kNames + 64 + 56 + 2, 4096), m.put16(kNames + 64 + 56, 0xffff); }},
        {"a name twice",
         [](XfsBuilder& m) {
             m.put8(kSingle + 64 + 32 + 24 + 9, 'o'), m.put8(kSingle + 64 + 32 + 24 + 10, 'n'),
                 m.put8(kSingle + 64 + 32 + 24 + 11, 'e');
         }},
        {"the block of a small folder in a large one",
         [](XfsBuilder& m) { m.put32(kNames + kBlockSize, 0x58444233), m.put32(kNames + 2 * kBlockSize - 8, 0); }},
        {"a folder without blocks", [](XfsBuilder& m) { harm_extents(m, sample::kSingle, {}); }},
        {"a folder that was never written",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kSingle, {{0, sample::kSingleBlock, 1, true}});
         }},
        {"an entry for an inode outside", [](XfsBuilder& m) { m.put64(kSingle + 64 + 32, 1ull << 40); }},
        {"a block twice",
         [](XfsBuilder& m) {
             harm_extents(m, sample::kNames, {{0, sample::kNamesBlock, 1}, {2, sample::kNamesBlock, 1}});
         }},
        {"an entry for inode 0", [](XfsBuilder& m) { m.put64(kSingle + 64 + 32, 0); }},
    };
    return rows;
}

const std::vector<HostileRow>& attribute_rows() {
    constexpr std::size_t kLeaf = sample::kValuesBlock * kBlockSize;
    constexpr std::size_t kNode = sample::kNodeBlock * kBlockSize;
    constexpr std::size_t kShort = sample::kFile * kInodeSize + kForkAt + 24;
    const auto entry_place = [](XfsBuilder& m, std::size_t index) {
        const std::byte* at = m.at(kLeaf + 80 + index * 8 + 4);
        return kLeaf + (std::to_integer<std::size_t>(at[0]) << 8) + std::to_integer<std::size_t>(at[1]);
    };
    static const std::vector<HostileRow> rows{
        {"a list longer than the inode", [](XfsBuilder& m) { m.put16(kShort, 400); }},
        {"a list of three bytes", [](XfsBuilder& m) { m.put16(kShort, 3); }},
        {"more of them than bytes", [](XfsBuilder& m) { m.put8(kShort + 2, 90); }},
        {"a value longer than the list", [](XfsBuilder& m) { m.put8(kShort + 5, 255); }},
        {"a name of no length", [](XfsBuilder& m) { m.put8(kShort + 4, 0); }},
        {"an access control list that is cut off",
         [](XfsBuilder& m) { m.put8(kShort + 4 + 3 + 10 + 3 + 12 + 3 + 12 + 3, 9); }},
        {"a leaf without magic", [](XfsBuilder& m) { m.put16(kLeaf + 8, 0); }},
        {"a leaf of another owner", [](XfsBuilder& m) { m.put64(kLeaf + 48, 9); }},
        {"a leaf with a wrong checksum", [](XfsBuilder& m) { m.put8(kLeaf + 500, 1); }, ErrorKind::corrupt,
         HostileRow::Checksums::left},
        {"more entries than room", [](XfsBuilder& m) { m.put16(kLeaf + 56, 1000); }},
        {"an entry among the entries", [](XfsBuilder& m) { m.put16(kLeaf + 80 + 4, 8); }},
        {"an entry at the block's end", [](XfsBuilder& m) { m.put16(kLeaf + 80 + 4, 1023); }},
        {"a value behind the block", [=](XfsBuilder& m) { m.put16(entry_place(m, 0), 60000); }},
        {"a value in blocks of no length", [=](XfsBuilder& m) { m.put32(entry_place(m, 2) + 4, 0); }},
        {"a value of four gigabytes", [=](XfsBuilder& m) { m.put32(entry_place(m, 2) + 4, ~0u); }},
        {"a value in blocks that are not there", [=](XfsBuilder& m) { m.put32(entry_place(m, 2), 70000); }},
        {"a value of another file", [](XfsBuilder& m) { m.put64(kLeaf + kBlockSize + 32, 9); }},
        {"pieces of a value in another order", [](XfsBuilder& m) { m.put32(kLeaf + kBlockSize + 4, 968); }},
        {"a piece shorter than it must be", [](XfsBuilder& m) { m.put32(kLeaf + kBlockSize + 8, 5); }},
        {"leaves in a circle", [](XfsBuilder& m) { m.put32(kNode + 2 * kBlockSize, 1); }},
        {"a leaf that is followed by itself", [](XfsBuilder& m) { m.put32(kNode + kBlockSize, 1); }},
        {"a node that leads to itself", [](XfsBuilder& m) { m.put32(kNode + 64 + 4, 0); }},
        {"a block twice",
         [](XfsBuilder& m) {
             const std::vector<std::byte> list = XfsBuilder::extent_list(std::array{
                 XfsBuilder::Extent{0, sample::kNodeBlock, 3}, XfsBuilder::Extent{3, sample::kNodeBlock + 1, 1}});
             std::copy(list.begin(), list.end(), m.inode(sample::kNode) + kForkAt + 32);
             m.put16(inode_at(sample::kNode) + 80, 2);
         }},
        {"a node of depth 9", [](XfsBuilder& m) { m.put16(kNode + 58, 9); }},
        {"a node without children", [](XfsBuilder& m) { m.put16(kNode + 56, 0); }},
        {"a node that leads outside", [](XfsBuilder& m) { m.put32(kNode + 64 + 4, 5000); }},
    };
    return rows;
}

const std::vector<HostileRow>& space_rows() {
    constexpr std::size_t kByPlace = 2 * kBlockSize;
    constexpr std::size_t kBySize = 3 * kBlockSize;
    const auto both = [](XfsBuilder& m, std::uint32_t begin, std::uint32_t count) {
        for (const std::size_t leaf : {kByPlace, kBySize})
            m.put32(leaf + 56, begin), m.put32(leaf + 60, count);
        m.put32(kGroupHeader + 52, count);
        m.put32(kGroupHeader + 56, count);
    };
    static const std::vector<HostileRow> rows{
        {"a header that counts more", [](XfsBuilder& m) { m.put32(kGroupHeader + 52, 500); }},
        {"a header with another longest", [](XfsBuilder& m) { m.put32(kGroupHeader + 56, 5); }},
        {"a header of another group", [](XfsBuilder& m) { m.put32(kGroupHeader + 8, 1); }},
        {"a header of another size", [](XfsBuilder& m) { m.put32(kGroupHeader + 12, 5); }},
        {"a header with a wrong checksum", [](XfsBuilder& m) { m.put8(kGroupHeader + 300, 5); }, ErrorKind::corrupt,
         HostileRow::Checksums::left},
        {"lists that differ", [](XfsBuilder& m) { m.put32(kBySize + 56, 101), m.put32(kBySize + 60, 411); }},
        {"blocks outside of the group", [=](XfsBuilder& m) { both(m, 100, 500); }},
        {"no blocks", [=](XfsBuilder& m) { both(m, 100, 0); }},
        {"the log is called free", [=](XfsBuilder& m) { both(m, 40, 2); }},
        {"the headers are called free", [=](XfsBuilder& m) { both(m, 0, 2); }},
        {"the lists themselves are called free", [=](XfsBuilder& m) { both(m, 3, 4); }},
        {"the reserve is called free",
         [](XfsBuilder& m) { m.put32(kGroupHeader + 48, 1), m.put32(3 * 512 + 36, 200); }},
        {"a reserve longer than its place", [](XfsBuilder& m) { m.put32(kGroupHeader + 48, 4000); }},
        {"a tree of depth 200", [](XfsBuilder& m) { m.put32(kGroupHeader + 28, 200); }},
        {"a root outside of the group", [](XfsBuilder& m) { m.put32(kGroupHeader + 16, 100000); }},
        {"more records than room", [](XfsBuilder& m) { m.put16(kByPlace + 6, 900); }},
        {"a node that leads to itself",
         [](XfsBuilder& m) {
             m.put32(kGroupHeader + 28, 2);
             m.put16(kByPlace + 4, 1);
             m.put32(kByPlace + 56 + (kBlockSize - 56) / 12 * 8, 2);
         }},
        {"another owner", [](XfsBuilder& m) { m.put32(kByPlace + 48, 1); }},
    };
    return rows;
}

void try_rows(const std::vector<HostileRow>& rows) {
    for (const HostileRow& row : rows) {
        INFO(row.what);
        XfsBuilder made = make_sample();
        made.finish();
        row.harm(made);
        if (row.checksums == HostileRow::Checksums::right)
            made.seal();
        const auto begin = std::chrono::steady_clock::now();
        try {
            read_everything(XfsFileSystem(made.device()));
            FAIL_CHECK("it was read");
        } catch (const Error& error) {
            INFO(error.what());
            CHECK(error.kind() == row.kind);
        }
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
    }
}

} // namespace

TEST_CASE("hostile superblocks of xfs are refused") {
    try_rows(superblock_rows());
}
TEST_CASE("hostile inodes of xfs are refused") {
    try_rows(inode_rows());
}
TEST_CASE("a file with the mark of the realtime device that has no blocks lies nowhere, and is read") {
    XfsBuilder made = make_sample();
    made.finish();
    made.put16(inode_at(sample::kEmpty) + 90, 1);
    made.seal();
    read_everything(XfsFileSystem(made.device()));
}
TEST_CASE("hostile extents of xfs are refused") {
    try_rows(extent_rows());
}
TEST_CASE("hostile folders of xfs are refused") {
    try_rows(folder_rows());
}
TEST_CASE("hostile attributes of xfs are refused") {
    try_rows(attribute_rows());
}
TEST_CASE("free space of xfs in doubt is none") {
    try_rows(space_rows());
}

TEST_CASE("an xfs of another length is refused if it is shorter") {
    XfsBuilder made = make_sample();
    made.finish();
    const auto device = [&](std::size_t size) {
        auto cut = std::make_shared<MemoryDevice>(size);
        cut->put(0, made.bytes().first(std::min(size, made.bytes().size())));
        return cut;
    };
    for (const std::size_t size : {0u, 1u, 511u, 512u, 1024u, 1024u * 1024u - 1})
        CHECK_THROWS_AS(XfsFileSystem(device(size)), Error);
    CHECK_NOTHROW(read_everything(XfsFileSystem(device(2 << 20))));
}
