// Logs that were not finished: what they hold is shown, and what they lie about is refused.
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "tests/support/xfs_sample.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

using Operations = std::vector<XfsLogOperation>;
using Region = std::vector<std::byte>;
using Item = std::vector<Region>;

constexpr std::uint32_t kId = 0x1234;
constexpr std::size_t kBlockSize = XfsBuilder::kBlock;

Operations begin(std::uint32_t id = kId) {
    return {{id, 0x01, {}}, {id, 0, XfsBytes().le<std::uint32_t>(0x5452414e).le<std::uint32_t>(40).zeros(8).bytes}};
}

Operations transaction(const std::vector<Item>& items, std::uint32_t id = kId) {
    Operations all = begin(id);
    for (const Item& item : items)
        for (const Region& region : item)
            all.push_back({id, 0, region});
    all.push_back({id, 0x02, {}});
    return all;
}

// Of one block of the file system, its first `chunks` pieces of 128 bytes.
Item buffer_item(std::size_t block, std::span<const std::byte> bytes, unsigned flags = 0) {
    const auto chunks = static_cast<unsigned>(bytes.size() / 128);
    XfsBytes head;
    head.le<std::uint16_t>(0x123c).le<std::uint16_t>(static_cast<std::uint16_t>(chunks == 0 ? 1 : 2));
    head.le<std::uint16_t>(static_cast<std::uint16_t>(flags)).le<std::uint16_t>(kBlockSize / 512);
    head.le<std::uint64_t>(block * kBlockSize / 512).le<std::uint32_t>(1).le<std::uint32_t>((1u << chunks) - 1);
    Item item{head.bytes};
    if (chunks != 0)
        item.emplace_back(bytes.begin(), bytes.end());
    return item;
}

struct InodeChange {
    unsigned mode = 0100777;
    std::uint64_t size = 3;
    std::uint64_t number = sample::kFile;
    std::uint64_t place = sample::kFile;
};

// Keeps the one extent and the attributes that the file of the sample has.
Item inode_item(const InodeChange& change = {}) {
    XfsBytes head;
    head.le<std::uint16_t>(0x123b).le<std::uint16_t>(2).le<std::uint32_t>(1).zeros(8).le<std::uint64_t>(change.number);
    head.zeros(16)
        .le<std::uint64_t>(change.place / 2 * 2)
        .le<std::uint32_t>(2)
        .le<std::uint32_t>(static_cast<std::uint32_t>(change.place % 2 * XfsBuilder::kInode));
    XfsBytes core;
    core.le<std::uint16_t>(0x494e).le<std::uint16_t>(static_cast<std::uint16_t>(change.mode));
    core.le<std::uint8_t>(3).le<std::uint8_t>(2).zeros(2).le<std::uint32_t>(77).le<std::uint32_t>(88);
    core.le<std::uint32_t>(1).zeros(12).zeros(8);
    core.le<std::uint32_t>(1700000000).le<std::uint32_t>(5).zeros(8);
    core.le<std::uint64_t>(change.size).le<std::uint64_t>(1).zeros(4).le<std::uint32_t>(1).zeros(2);
    core.le<std::uint8_t>(3).le<std::uint8_t>(1).zeros(92 - 84).zeros(152 - 92).le<std::uint64_t>(change.number);
    for (int i = 0; i < 16; ++i)
        core.le<std::uint8_t>(0xd5);
    return {head.bytes, core.bytes};
}

Item intent(unsigned type, std::uint64_t id) {
    return {XfsBytes().le<std::uint16_t>(static_cast<std::uint16_t>(type)).le<std::uint16_t>(1).zeros(4).le(id).bytes};
}

XfsBuilder with_log(const std::vector<Operations>& records) {
    XfsBuilder made = make_sample();
    made.put_log(records);
    made.finish();
    return made;
}

std::string content_of(const XfsBuilder& made) {
    const XfsFileSystem files(made.device());
    CHECK(files.log() == LogState::replayed);
    CHECK_NOTHROW(read_everything(files));
    const FileStatus status = files.status(NodeId{sample::kFile});
    return std::to_string(status.permissions) + " " +
           read_text(files, sample::kFile, 0, static_cast<std::size_t>(status.size));
}

const std::string kUnchanged = std::to_string(0644) + " content";
const std::string kChanged = std::to_string(0777) + " con";

// A folder's block with another name in it.
Region changed_folder() {
    XfsBuilder made = make_sample();
    made.finish();
    std::byte* block = made.block(sample::kSingleBlock);
    const std::string_view name = "uno";
    std::copy_n(reinterpret_cast<const std::byte*>(name.data()), name.size(), block + 64 + 32 + 9);
    return {block, block + 128};
}

} // namespace

TEST_CASE("inodes and blocks out of a log are shown, whatever their checksums were") {
    const XfsBuilder made =
        with_log({transaction({inode_item(), buffer_item(sample::kSingleBlock, changed_folder())})});
    CHECK(content_of(made) == kChanged);
    const XfsFileSystem files(made.device());
    const FileStatus status = files.status(NodeId{sample::kFile});
    CHECK(status.uid == 77);
    CHECK(status.gid == 88);
    CHECK(status.modified == Timestamp{1700000000, 5});
    CHECK(files.attributes(NodeId{sample::kFile}).size() == 3);
    CHECK(files.lookup(NodeId{sample::kSingle}, "uno") == NodeId{sample::kEmpty});
    CHECK_FALSE(files.lookup(NodeId{sample::kSingle}, "one"));
    CHECK(files.free_space());
}

TEST_CASE("a superblock out of a log counts, and bears the checksum of what it was before") {
    XfsBuilder stored = make_sample();
    stored.finish();
    std::vector<std::byte> super(stored.block(0), stored.block(0) + 512);
    super[127] = std::byte{1}; // the share of the space that inodes may take
    const XfsBuilder made = with_log({transaction({buffer_item(0, super)})});
    const XfsFileSystem files(made.device());
    CHECK(files.log() == LogState::replayed);
    CHECK(files.usage().total_inodes != XfsFileSystem(stored.device()).usage().total_inodes);
}

TEST_CASE("a transaction in pieces over several records is put together") {
    const Operations whole = transaction({inode_item(), buffer_item(sample::kSingleBlock, changed_folder())});
    SECTION("between operations") {
        for (std::size_t cut = 1; cut < whole.size(); ++cut)
            CHECK(content_of(with_log({Operations(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut)),
                                       Operations(whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end())})) ==
                  kChanged);
    }
    SECTION("within one") {
        for (std::size_t index = 2; index + 1 < whole.size(); ++index) {
            Operations first(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(index));
            Operations second(whole.begin() + static_cast<std::ptrdiff_t>(index) + 1, whole.end());
            const Region& body = whole[index].body;
            first.push_back({kId, 0x04, Region(body.begin(), body.begin() + 8)});
            second.insert(second.begin(), {kId, 0x18, Region(body.begin() + 8, body.end())});
            CHECK(content_of(with_log({first, second})) == kChanged);
        }
    }
}

TEST_CASE("what a log holds and does not count") {
    Operations open = transaction({inode_item()});
    open.pop_back();
    CHECK(content_of(with_log({open})) == kUnchanged);
    SECTION("the end of something whose beginning is not there any more") {
        Operations end = transaction({inode_item()});
        end.erase(end.begin(), end.begin() + 2);
        CHECK(content_of(with_log({end})) == kUnchanged);
    }
    SECTION("an inode that was written later") {
        XfsBuilder made = with_log({transaction({inode_item()})});
        made.put64(sample::kFile * XfsBuilder::kInode + 112, std::uint64_t{1} << 32 | 5);
        made.seal();
        CHECK(content_of(made) == kUnchanged);
        made.put64(sample::kFile * XfsBuilder::kInode + 112, std::uint64_t{1} << 32);
        made.seal();
        CHECK(content_of(made) == kChanged);
    }
    SECTION("a block that was written later") {
        XfsBuilder made = with_log({transaction({buffer_item(sample::kSingleBlock, changed_folder())})});
        made.put64(sample::kSingleBlock * kBlockSize + 16, std::uint64_t{1} << 32 | 5);
        made.seal();
        CHECK(XfsFileSystem(made.device()).lookup(NodeId{sample::kSingle}, "one"));
    }
    SECTION("a block that is freed later in the log") {
        const Operations first = transaction({buffer_item(sample::kSingleBlock, changed_folder())});
        const Operations freed = transaction({buffer_item(sample::kSingleBlock, {}, 0x02)}, 9);
        CHECK(XfsFileSystem(with_log({first, freed}).device()).lookup(NodeId{sample::kSingle}, "one"));
        CHECK(XfsFileSystem(with_log({freed, first}).device()).lookup(NodeId{sample::kSingle}, "uno"));
    }
    SECTION("records that were being written") {
        XfsBuilder made = with_log(
            {transaction({buffer_item(sample::kSingleBlock, changed_folder())}), transaction({inode_item()}, 9)});
        CHECK(content_of(made) == kChanged);
        const std::size_t second = XfsBuilder::kLogBlock * kBlockSize + std::size_t{2} * 512;
        made.at(second + 512 + 100)[0] ^= std::byte{1};
        CHECK(content_of(made) == kUnchanged);
        CHECK(XfsFileSystem(made.device()).lookup(NodeId{sample::kSingle}, "uno"));
        // Half of it is not there: the round before, which is none.
        made.put32(second + 512, 0);
        CHECK(content_of(made) == kUnchanged);
    }
}

TEST_CASE("a log that goes around its ring") {
    // The second round has overwritten the first 8 sectors; the tail lies in them.
    XfsBuilder made = make_sample();
    std::vector<Operations> first_round;
    for (std::uint32_t i = 0; i < 32; ++i)
        first_round.push_back(transaction({inode_item({0100111, 2})}, i + 1));
    made.put_log(first_round);
    made.put_log({transaction({inode_item({0100222, 4})}), transaction({inode_item()})}, 2);
    made.finish();
    CHECK(content_of(made) == kChanged);
}

TEST_CASE("new inodes out of a log are empty, and in the list of deleted ones nothing else changes") {
    XfsBytes create;
    create.le<std::uint16_t>(0x123f).le<std::uint16_t>(1).be<std::uint32_t>(0).be<std::uint32_t>(18);
    create.be<std::uint32_t>(4).be<std::uint32_t>(512).be<std::uint32_t>(2).be<std::uint32_t>(99);
    // Inode 36 is the first of these; a name for it stands nowhere, so only its place is looked at.
    XfsBuilder made = with_log({transaction({{create.bytes}})});
    CHECK_THROWS_AS(XfsFileSystem(made.device()).status(NodeId{36}), Error);
    const std::vector<std::byte> pointers(1024, std::byte{7});
    made = with_log({transaction({buffer_item(sample::kFile / 2, std::span(pointers).first(512), 0x01)})});
    CHECK(content_of(made) == kUnchanged);
}

TEST_CASE("what was announced and not done: space is in doubt, changed files are refused") {
    for (const unsigned type : {0x1236u, 0x1240u, 0x1242u}) {
        INFO(type);
        CHECK_FALSE(XfsFileSystem(with_log({transaction({intent(type, 5)})}).device()).free_space());
        CHECK_FALSE(
            XfsFileSystem(with_log({transaction({intent(type, 5), intent(type + 1, 6)})}).device()).free_space());
        CHECK(XfsFileSystem(with_log({transaction({intent(type, 5)}), transaction({intent(type + 1, 5)})}).device())
                  .free_space());
    }
    for (const unsigned type : {0x1244u, 0x1246u, 0x1248u}) {
        INFO(type);
        try {
            const XfsFileSystem files(with_log({transaction({intent(type, 5)})}).device());
            FAIL_CHECK("it was read");
        } catch (const Error& error) {
            CHECK(error.kind() == ErrorKind::unsupported);
        }
        CHECK_NOTHROW(XfsFileSystem(with_log({transaction({intent(type, 5), intent(type + 1, 5)})}).device()));
    }
}

namespace {

struct LogRow {
    const char* what;
    std::vector<Operations> records;
    ErrorKind kind = ErrorKind::corrupt;
};

Operations without(Operations operations, std::size_t index) {
    operations.erase(operations.begin() + static_cast<std::ptrdiff_t>(index));
    return operations;
}

// The transaction with one inode after something was done to a region of it: 0 the description, 1 the core.
Operations harmed(std::size_t region, const std::function<void(Region&)>& harm, Item item = inode_item()) {
    harm(item.at(region));
    return transaction({item});
}

void put(Region& region, std::size_t at, std::uint32_t value) {
    store_le<std::uint32_t>(region.data() + at, value);
}

} // namespace

TEST_CASE("logs that lie are refused") {
    const Region folder = changed_folder();
    const Item buffer = buffer_item(sample::kSingleBlock, folder);
    const auto create = [](std::uint32_t group, std::uint32_t block, std::uint32_t count, std::uint32_t length) {
        XfsBytes bytes;
        bytes.le<std::uint16_t>(0x123f).le<std::uint16_t>(1).be(group).be(block).be(count).be<std::uint32_t>(512);
        return std::vector<Operations>{transaction({{bytes.be(length).be<std::uint32_t>(1).bytes}})};
    };
    const std::vector<LogRow> rows{
        {"a transaction without a beginning", {without(transaction({inode_item()}), 1)}},
        {"half an item", {without(transaction({inode_item()}), 3)}},
        {"an operation of nobody", {{{kId, 0x01, {}, 0x11}}}},
        {"an operation of no kind", {{{kId, 0x01, {}}, {kId, 0x40, {}}}}},
        {"an end that goes on with nothing", {{{kId, 0x01, {}}, {kId, 0x08, Region(40)}}}},
        {"an item of no regions", {harmed(0, [](Region& r) { put(r, 0, 0x123b); })}},
        {"an item of 60000 regions", {harmed(0, [](Region& r) { put(r, 0, 0x123b | 60000u << 16); })}},
        {"an item of an unknown kind",
         {harmed(0, [](Region& r) { put(r, 0, 0x1299 | 2u << 16); })},
         ErrorKind::unsupported},
        {"a description of an inode that is cut off", {harmed(0, [](Region& r) { r.resize(40); })}},
        {"a core that is cut off", {harmed(1, [](Region& r) { r.resize(100); })}},
        {"a core that is none", {harmed(1, [](Region& r) { put(r, 0, 0); })}},
        {"a core of version 2", {harmed(1, [](Region& r) { r[4] = std::byte{2}; })}},
        {"an inode in another's place", {transaction({inode_item({0100644, 3, sample::kFile, sample::kTree})})}},
        {"an inode outside", {transaction({inode_item({0100644, 3, 1u << 30, 1u << 30})})}},
        {"attributes behind the end", {harmed(1, [](Region& r) { r[82] = std::byte{250}; })}},
        {"a fork that is not there", {harmed(0, [](Region& r) { put(r, 4, 0x5); })}},
        {"an exchange of extents", {harmed(0, [](Region& r) { put(r, 4, 0x201); })}, ErrorKind::unsupported},
        {"a fork larger than its place", {transaction({[] {
             Item item = inode_item();
             put(item[0], 0, 0x123b | 3u << 16);
             put(item[0], 4, 0x3);
             item.emplace_back(64);
             return item;
         }()})}},
        {"a tree larger than its place", {transaction({[] {
             Item item = inode_item();
             put(item[0], 0, 0x123b | 3u << 16);
             put(item[0], 4, 0x9);
             item.emplace_back(72 + 160);
             item[2][7] = std::byte{9};
             return item;
         }()})}},
        {"a block outside",
         {harmed(
             0, [](Region& r) { put(r, 8, 1u << 30); }, buffer)}},
        {"a block at the end of the address space",
         {harmed(
             0, [](Region& r) { put(r, 12, ~0u); }, buffer)}},
        {"a block of no size",
         {harmed(
             0, [](Region& r) { put(r, 4, 0); }, buffer)}},
        {"a block of 30 MiB",
         {harmed(
             0, [](Region& r) { put(r, 4, 60000u << 16); }, buffer)}},
        {"a map that is cut off",
         {harmed(
             0, [](Region& r) { put(r, 16, 400); }, buffer)}},
        {"a description without a map",
         {harmed(
             0, [](Region& r) { r.resize(12); }, buffer)}},
        {"a map of more than the bytes",
         {harmed(
             0, [](Region& r) { put(r, 20, 0x5); }, buffer)}},
        {"a map behind the block",
         {harmed(
             0, [](Region& r) { put(r, 20, 1u << 20); }, buffer)}},
        {"bytes less than a piece",
         {harmed(
             1, [](Region& r) { r.resize(64); }, buffer)}},
        {"inodes made in a group that is not", create(7, 18, 4, 2)},
        {"inodes made outside of their group", create(0, 511, 4, 2)},
        {"more inodes than their blocks have", create(0, 18, 64, 2)},
        {"two billion inodes", create(0, 18, 1u << 31, 1u << 30)},
        {"an announcement that is cut off",
         {transaction({{Region{std::byte{0x36}, std::byte{0x12}, std::byte{1}, std::byte{0}}}})}},
        {"an inode that becomes no folder and was the root",
         {transaction({inode_item({0100644, 3, XfsBuilder::kRoot, XfsBuilder::kRoot})})}},
    };
    for (const LogRow& row : rows) {
        INFO(row.what);
        const XfsBuilder made = with_log(row.records);
        try {
            read_everything(XfsFileSystem(made.device()));
            FAIL_CHECK("it was read");
        } catch (const Error& error) {
            INFO(error.what());
            CHECK(error.kind() == row.kind);
        }
    }
}

TEST_CASE("records of a log that are damaged are refused, unless they are its last ones") {
    constexpr std::size_t kLog = XfsBuilder::kLogBlock * kBlockSize;
    const auto broken = [&](std::size_t at, std::uint32_t value, std::size_t records) {
        std::vector<Operations> all;
        for (std::uint32_t i = 0; i < records; ++i)
            all.push_back(transaction({inode_item()}, i + 1));
        XfsBuilder made = with_log(all);
        made.put32(kLog + at, value);
        return made;
    };
    for (const auto& [what, at, value] : std::vector<std::tuple<const char*, std::size_t, std::uint32_t>>{
             {"a byte of content", 512 + 200, 0x55},
             {"a length that is larger than any", 12, 1u << 30},
             {"a length of 0", 12, 0},
             {"a version that is none", 8, 0},
             {"a header of 2 GiB", 320, 1u << 31},
             {"the number of another place", 20, 6},
             {"another file system's", 304, 6},
             {"more operations than there are", 40, 500},
             {"no header", 0, 1}}) {
        INFO(what);
        CHECK_THROWS_AS(XfsFileSystem(broken(at, value, 20).device()), Error);
        CHECK_THROWS_AS(XfsFileSystem(broken(at, value, 1).device()), Error);
    }
    SECTION("a tail behind the ring") {
        CHECK_THROWS_AS(XfsFileSystem(broken(28, 5000, 1).device()), Error);
    }
    SECTION("a machine of the other byte order") {
        CHECK_THROWS_AS(XfsFileSystem(broken(300, 2, 1).device()), Error);
    }
}

TEST_CASE("a log that nobody wrote to, and one that was closed, are clean") {
    XfsBuilder made = make_sample();
    made.finish();
    CHECK(XfsFileSystem(made.device()).log() == LogState::clean);
    std::fill_n(made.block(XfsBuilder::kLogBlock), 32 * kBlockSize, std::byte{0});
    CHECK(XfsFileSystem(made.device()).log() == LogState::clean);
    made.put32(XfsBuilder::kLogBlock * kBlockSize, 17);
    CHECK_THROWS_AS(XfsFileSystem(made.device()), Error);
}

TEST_CASE("only an unmount behind everything else makes a log clean") {
    const Operations unmount = {{0xb0c0d0d0, 0x20, XfsBytes().le<std::uint64_t>(0x556e).bytes, 0xaa}};
    const Operations change = transaction({inode_item()});
    CHECK(XfsFileSystem(with_log({change, unmount}).device()).log() == LogState::clean);
    CHECK(content_of(with_log({unmount, change})) == kChanged);
    SECTION("around the ring") {
        XfsBuilder made = make_sample();
        made.put_log(std::vector<Operations>(32, change));
        made.put_log({change, unmount}, 2);
        made.finish();
        CHECK(XfsFileSystem(made.device()).log() == LogState::clean);
        made = make_sample();
        made.put_log(std::vector<Operations>(32, change));
        made.put_log({unmount, change}, 2);
        made.finish();
        CHECK(content_of(made) == kChanged);
    }
}

TEST_CASE("a log that a machine of the other byte order closed is clean") {
    XfsBuilder made = make_sample(XfsBuilder::Version::v4);
    made.finish();
    const std::size_t record = XfsBuilder::kLogBlock * kBlockSize;
    made.put32(record + 300, 2);
    made.put32(record + 32, 0);
    CHECK(XfsFileSystem(made.device()).log() == LogState::clean);
    made = make_sample(XfsBuilder::Version::v4);
    made.put_log({begin()});
    made.finish();
    made.put32(record + 32, 0);
    CHECK(XfsFileSystem(made.device()).log() == LogState::replayed);
    made.put32(record + 300, 2);
    CHECK_THROWS_AS(XfsFileSystem(made.device()), Error);
}

TEST_CASE("features of a log matter only where it must be replayed") {
    XfsBuilder clean = make_sample();
    clean.finish();
    XfsBuilder dirty = with_log({transaction({inode_item()})});
    for (XfsBuilder* made : {&clean, &dirty})
        made->put32(220, 0x10), made->seal();
    CHECK_NOTHROW(XfsFileSystem(clean.device()));
    CHECK_THROWS_AS(XfsFileSystem(dirty.device()), Error);
    dirty.put32(220, 1);
    dirty.seal();
    CHECK(content_of(dirty) == kChanged);
}
