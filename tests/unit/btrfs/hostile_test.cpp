// One thing is wrong at a time, with checksums that are right unless they are what is wrong.
#include "formats/base/error.hpp"
#include "tests/support/btrfs_sample.hpp"

#include <catch2/catch.hpp>

#include <chrono>
#include <functional>

using namespace vm2oci;
using namespace vm2oci::test;
using namespace vm2oci::test::btrfs_sample;

namespace {

constexpr std::size_t kSuper = BtrfsBuilder::kSuperblock;

struct HostileRow {
    const char* what;
    std::function<void(BtrfsBuilder&)> harm;
    ErrorKind kind = ErrorKind::corrupt;
    enum class Checksums { right, left } checksums = Checksums::right;
};

std::size_t chunk_item(const BtrfsBuilder& made, std::uint64_t logical) {
    return made.item_at(3, {256, 228, logical});
}
std::size_t inode_item(const BtrfsBuilder& made, std::uint64_t number) {
    return made.item_at(kTop, {number, 1, 0});
}
std::size_t extent_item(const BtrfsBuilder& made, std::uint64_t number, std::uint64_t at = 0) {
    return made.item_at(kTop, {number, 108, at});
}
std::size_t root_item(const BtrfsBuilder& made, std::uint64_t tree) {
    return made.item_at(1, {tree, 132, 0});
}
std::size_t position_item(const BtrfsBuilder& made, std::uint64_t position) {
    return made.item_at(kTop, {kRoot, 96, position});
}

const std::vector<HostileRow>& superblock_rows() {
    using M = BtrfsBuilder;
    constexpr auto kNotRead = ErrorKind::unsupported;
    static const std::vector<HostileRow> rows{
        {"no magic", [](M& m) { m.put8(kSuper + 64, 'x'); }},
        {"a wrong checksum", [](M& m) { m.put8(kSuper + 300, 'x'); }, ErrorKind::corrupt, HostileRow::Checksums::left},
        {"another's place", [](M& m) { m.put64(kSuper + 48, 64 << 20); }},
        {"sectors of 3000 bytes", [](M& m) { m.put32(kSuper + 144, 3000); }},
        {"sectors of 16 KiB", [](M& m) { m.put32(kSuper + 144, 16384); }, kNotRead},
        {"nodes of 2 KiB", [](M& m) { m.put32(kSuper + 148, 2048); }},
        {"nodes of 128 KiB", [](M& m) { m.put32(kSuper + 148, 131072); }},
        {"nodes that are no power of two", [](M& m) { m.put32(kSuper + 148, 12288); }},
        {"more device than there is", [](M& m) { m.put64(kSuper + 209, M::kSize + 4096); }},
        {"a root within a sector", [](M& m) { m.put64(kSuper + 80, M::kMetadata + 1); }},
        {"a root in no chunk", [](M& m) { m.put64(kSuper + 80, 1ull << 60); }},
        {"a root of level 8", [](M& m) { m.put8(kSuper + 198, 8); }},
        {"a root of another level", [](M& m) { m.put8(kSuper + 198, 3); }},
        {"a root of another generation", [](M& m) { m.put64(kSuper + 72, 9); }},
        {"a chunk root of another generation", [](M& m) { m.put64(kSuper + 164, 9); }},
        {"the tree of chunks as root", [](M& m) { m.put64(kSuper + 80, m.get64(kSuper + 88)); }},
        {"too many first chunks", [](M& m) { m.put32(kSuper + 160, 2049); }},
        {"first chunks that are cut off", [](M& m) { m.put32(kSuper + 160, 60); }},
        {"no first chunk", [](M& m) { m.put32(kSuper + 160, 0); }},
        {"a first chunk that is none", [](M& m) { m.put8(kSuper + 811 + 8, 1); }},
        {"two devices", [](M& m) { m.put64(kSuper + 136, 2); }, kNotRead},
        {"zones", [](M& m) { m.put64(kSuper + 188, 0x1341); }, kNotRead},
        {"an extent tree of version 2", [](M& m) { m.put64(kSuper + 188, 0x2341); }, kNotRead},
        {"a tree of stripes", [](M& m) { m.put64(kSuper + 188, 0x4341); }, kNotRead},
        {"a tree of remapped chunks", [](M& m) { m.put64(kSuper + 188, 0x20341); }, kNotRead},
        {"a feature that nobody knows", [](M& m) { m.put64(kSuper + 188, 1ull << 40); }, kNotRead},
        {"a seed", [](M& m) { m.put64(kSuper + 56, 1ull << 32 | 1); }, kNotRead},
        {"a dump of metadata", [](M& m) { m.put64(kSuper + 56, 1ull << 33 | 1); }, kNotRead},
        {"a UUID that is being changed", [](M& m) { m.put64(kSuper + 56, 1ull << 36 | 1); }, kNotRead},
        {"a flag that nobody knows", [](M& m) { m.put64(kSuper + 56, 1ull << 50); }, kNotRead},
        {"checksums that nobody knows", [](M& m) { m.put16(kSuper + 196, 4); }, kNotRead},
        {"blocks of another file system", [](M& m) { m.put64(kSuper + 32, 1); }},
    };
    return rows;
}

const std::vector<HostileRow>& chunk_rows() {
    using M = BtrfsBuilder;
    constexpr auto kNotRead = ErrorKind::unsupported;
    static const std::vector<HostileRow> rows{
        {"RAID0", [](M& m) { m.put64(chunk_item(m, M::kData) + 24, 1 | 8); }, kNotRead},
        {"RAID10", [](M& m) { m.put64(chunk_item(m, M::kData) + 24, 1 | 64); }, kNotRead},
        {"RAID5", [](M& m) { m.put64(chunk_item(m, M::kMetadata) + 24, 4 | 128); }, kNotRead},
        {"RAID6", [](M& m) { m.put64(chunk_item(m, M::kMetadata) + 24, 4 | 256); }, kNotRead},
        {"a profile that nobody knows", [](M& m) { m.put64(chunk_item(m, M::kData) + 24, 1 | 1 << 12); }, kNotRead},
        {"two profiles", [](M& m) { m.put64(chunk_item(m, M::kData) + 24, 1 | 16 | 32); }},
        {"nothing in it", [](M& m) { m.put64(chunk_item(m, M::kData) + 24, 0); }},
        {"no length", [](M& m) { m.put64(chunk_item(m, M::kData), 0); }},
        {"an odd length", [](M& m) { m.put64(chunk_item(m, M::kData), 4097); }},
        {"a length that overflows", [](M& m) { m.put64(chunk_item(m, M::kData), ~0ull << 12); }},
        {"a place behind the end", [](M& m) { m.put64(chunk_item(m, M::kData) + 56, M::kSize - 4096); }},
        {"another device", [](M& m) { m.put64(chunk_item(m, M::kData) + 48, 2); }, kNotRead},
        {"no stripe", [](M& m) { m.put16(chunk_item(m, M::kData) + 44, 0); }},
        {"more stripes than the item", [](M& m) { m.put16(chunk_item(m, M::kData) + 44, 9); }},
        {"an overlap", [](M& m) { m.put64(chunk_item(m, M::kMetadata), M::kData - M::kMetadata + 4096); }},
        {"the same place twice", [](M& m) { m.put64(chunk_item(m, M::kData) + 56, M::kMetadataPlace); }},
    };
    return rows;
}

const std::vector<HostileRow>& block_rows() {
    using M = BtrfsBuilder;
    static const std::vector<HostileRow> rows{
        {"a wrong checksum", [](M& m) { m.put8(m.block_of(kTop) + 99, 7); }, ErrorKind::corrupt,
         HostileRow::Checksums::left},
        {"another's address", [](M& m) { m.put64(m.block_of(kTop) + 48, M::kMetadata + 3 * 4096); }},
        {"another's UUID", [](M& m) { m.put8(m.block_of(kTop) + 40, 7); }},
        {"another generation", [](M& m) { m.put64(m.block_of(kTop) + 80, 6); }},
        {"another tree", [](M& m) { m.put64(m.block_of(kTop) + 88, 2); }},
        {"a log in a subvolume", [](M& m) { m.put64(m.block_of(kTop) + 88, ~0ull - 5); }},
        {"another level", [](M& m) { m.put8(m.block_of(kTop) + 100, 0); }},
        {"a level of 200", [](M& m) { m.put8(m.block_of(kTop) + 100, 200); }},
        {"more items than room", [](M& m) { m.put32(m.block_of(kTop) + 96, 4000); }},
        {"no children", [](M& m) { m.put32(m.block_of(kTop) + 96, 0); }},
        {"children out of order", [](M& m) { m.put64(m.block_of(kTop) + 101, 1ull << 50); }},
        {"a child of another first key", [](M& m) { m.put64(m.block_of(kTop) + 101 + 33, kFile); }},
        {"a child that is the parent",
         [](M& m) { m.put64(m.block_of(kTop) + 101 + 17, M::kMetadata + m.block_of(kTop) - M::kMetadataPlace); }},
        {"a child twice",
         [](M& m) { m.put64(m.block_of(kTop) + 101 + 33 + 17, m.get64(m.block_of(kTop) + 101 + 17)); }},
        {"a child of another generation", [](M& m) { m.put64(m.block_of(kTop) + 101 + 25, 3); }},
        {"a child in no chunk", [](M& m) { m.put64(m.block_of(kTop) + 101 + 17, 4096); }},
        {"items that overlap", [](M& m) { m.put32(m.block_of(7) + 101 + 17, 3000); }},
        {"an item larger than its block", [](M& m) { m.put32(m.block_of(7) + 101 + 21, ~0u); }},
    };
    return rows;
}

const std::vector<HostileRow>& file_rows() {
    using M = BtrfsBuilder;
    constexpr auto kNotRead = ErrorKind::unsupported;
    static const std::vector<HostileRow> rows{
        {"a mode that is none", [](M& m) { m.put32(inode_item(m, kFile) + 52, 0); }},
        {"a size of 2^63", [](M& m) { m.put64(inode_item(m, kFile) + 16, 1ull << 63); }},
        {"a time with too many nanoseconds", [](M& m) { m.put32(inode_item(m, kFile) + 144, 1'000'000'000); }},
        {"a folder that is a file", [](M& m) { m.put32(inode_item(m, kRoot) + 52, 0100644); }},
        {"a link without content", [](M& m) { m.put64(inode_item(m, kLink) + 16, 0); }},
        {"a link longer than its content", [](M& m) { m.put64(inode_item(m, kLink) + 16, 12); }},
        {"a link with a NUL", [](M& m) { m.put8(extent_item(m, kLink) + 21, 0); }},
        {"a name with a slash", [](M& m) { m.put8(position_item(m, 2) + 30, '/'); }},
        {"a name that goes up",
         [](M& m) {
             m.put16(position_item(m, 2) + 27, 2), m.put16(position_item(m, 2) + 25, 2),
                 m.put16(position_item(m, 2) + 30, 0x2e2e);
         }},
        {"a name longer than its item", [](M& m) { m.put16(position_item(m, 2) + 27, 200); }},
        {"an entry of no kind", [](M& m) { m.put8(position_item(m, 2) + 8, 84); }},
        {"an entry without inode", [](M& m) { m.put64(position_item(m, 2), 7777); }},
        {"an inode larger than any", [](M& m) { m.put64(position_item(m, 2), 1ull << 50); }, ErrorKind::limit},
        {"an encrypted name", [](M& m) { m.put8(position_item(m, 2) + 29, 0x81); }, kNotRead},
        {"a name twice",
         [](M& m) {
             m.put16(position_item(m, 2) + 30, 'l' | 'i' << 8), m.put16(position_item(m, 2) + 32, 'n' | 'k' << 8);
         }},
        {"an attribute that is none",
         [](M& m) {
             m.put8(m.item_at(kTop, {kFile, 24, btrfs::hash_of_name("user.one")}) + 29, 1);
         }},
        {"encryption", [](M& m) { m.put8(extent_item(m, kLarge) + 17, 1); }, kNotRead},
        {"a codec that nobody knows", [](M& m) { m.put8(extent_item(m, kLarge) + 16, 4); }, kNotRead},
        {"an extent of no kind", [](M& m) { m.put8(extent_item(m, kLarge) + 20, 3); }},
        {"an extent in its item that is not", [](M& m) { m.put8(extent_item(m, kLarge) + 20, 0); }},
        {"an extent in a sector", [](M& m) { m.put64(extent_item(m, kLarge) + 21, M::kData + 512); }},
        {"an extent in no chunk", [](M& m) { m.put64(extent_item(m, kLarge) + 21, M::kData + M::kChunkLength); }},
        {"an extent over the end of its chunk",
         [](M& m) { m.put64(extent_item(m, kLarge) + 21, M::kData + M::kChunkLength - 4096); }},
        {"an extent larger than what is stored", [](M& m) { m.put64(extent_item(m, kLarge) + 29, 4096); }},
        {"an extent that overlaps", [](M& m) { m.put64(extent_item(m, kLarge) + 45, 12288); }},
        {"an extent of nothing", [](M& m) { m.put64(extent_item(m, kLarge) + 45, 0); }},
        {"an offset that overflows", [](M& m) { m.put64(extent_item(m, kLarge) + 37, ~0ull << 12); }},
        {"packed content of 1 GiB", [](M& m) { m.put64(extent_item(m, kPacked) + 8, 1 << 30); }},
        {"packed content of other codec", [](M& m) { m.put8(extent_item(m, kPacked) + 16, 3); }},
        {"content in an item, of another size", [](M& m) { m.put64(extent_item(m, kFile) + 8, 6); }},
        {"a default that is a file", [](M& m) { m.put64(root_item(m, kTop) + 168, kFile); }},
        {"a root of level 9", [](M& m) { m.put8(root_item(m, kTop) + 238, 9); }},
        {"a subvolume in another's blocks",
         [](M& m) { m.put64(root_item(m, kSecond) + 176, m.get64(root_item(m, 7) + 176)); }},
        {"no tree of checksums", [](M& m) { m.put64(m.block_of(1) + 101, 1); }},
    };
    return rows;
}

const std::vector<HostileRow>& space_rows() {
    using M = BtrfsBuilder;
    const auto group = [](M& m) { return m.item_at(2, {M::kData, 192, M::kChunkLength}); };
    static const std::vector<HostileRow> rows{
        {"a group that has more in use", [=](M& m) { m.put64(group(m), m.get64(group(m)) + 4096); }},
        {"a group that has less in use", [=](M& m) { m.put64(group(m), 0); }},
    };
    return rows;
}

void hold(const std::vector<HostileRow>& rows) {
    for (const HostileRow& row : rows) {
        INFO(row.what);
        BtrfsBuilder made = make_btrfs_sample();
        // The last file needs a name in each place that rows break.
        made.finish(6);
        row.harm(made);
        if (row.checksums == HostileRow::Checksums::right)
            made.seal();
        std::optional<ErrorKind> kind;
        const auto begin = std::chrono::steady_clock::now();
        try {
            read_all_of(BtrfsFileSystem(made.device()));
        } catch (const Error& error) {
            kind = error.kind();
        }
        CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
        REQUIRE(kind.has_value());
        CHECK(*kind == row.kind);
    }
}

} // namespace

TEST_CASE("a hostile superblock of btrfs is refused") {
    hold(superblock_rows());
}
TEST_CASE("hostile chunks of btrfs are refused") {
    hold(chunk_rows());
}
TEST_CASE("hostile tree blocks of btrfs are refused") {
    hold(block_rows());
}
TEST_CASE("hostile files of btrfs are refused") {
    hold(file_rows());
}
TEST_CASE("accounts of btrfs that contradict each other are refused") {
    hold(space_rows());
}

TEST_CASE("btrfs: chunks of a profile with copies are read on the one device that is left") {
    BtrfsBuilder made = make_btrfs_sample(btrfs::ChecksumType::crc32c, BtrfsBuilder::Copies::two);
    made.finish();
    for (const std::uint64_t chunk : {BtrfsBuilder::kMetadata, BtrfsBuilder::kData}) {
        const std::size_t at = chunk_item(made, chunk);
        made.put64(at + 24, (chunk == BtrfsBuilder::kData ? 1 : 4) | 16); // RAID1
        made.put64(at + 48, 2);                                           // of which one leg is gone
        made.put64(at + 48 + 32 + 8, made.get64(at + 48 + 8));
    }
    made.seal();
    const BtrfsFileSystem files(made.device());
    CHECK(read_content(files, find_node(files, "file")) == "content");
}

TEST_CASE("btrfs: features that only writers must know keep its free space, and its files are read") {
    BtrfsBuilder made = make_btrfs_sample();
    made.finish();
    made.put64(kSuper + 180, 1ull << 20);
    made.seal();
    const BtrfsFileSystem files(made.device());
    CHECK(read_content(files, find_node(files, "file")) == "content");
    CHECK_THROWS_AS(files.free_space(), Error);
}
