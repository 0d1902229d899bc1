#include "formats/base/fd.hpp"
#include "formats/ext4/journal.hpp"
#include "tests/unit/ext4/journal_fixture.hpp"

using namespace vm2oci;
using test::Journal;
using test::kChecksumV2;
using test::kChecksumV3;
using test::kEscaped;
using test::kRevokes;
using test::kWide;

namespace {

constexpr std::uint32_t kFirst = Journal::kContent;

// As mke2fs and kernels have made them: none (RHEL 6), 64bit (RHEL 7 on), checksums of version 2 and 3.
const std::uint32_t kForms[] = {0, kWide, kChecksumV2, kChecksumV2 | kWide, kChecksumV3, kChecksumV3 | kWide};

std::string said(const Journal& journal) {
    return journal.opening();
}

constexpr const char* kUnsupported = "unsupported: the ext4 journal must be replayed and uses fast commits or another "
                                     "feature that only the kernel replays: mount it once in its machine and shut that "
                                     "down cleanly";
constexpr const char* kOutside = "corrupt: the ext4 journal names blocks outside itself";
constexpr const char* kBeyond = "corrupt: the ext4 journal holds a block beyond the file system's end";

std::string wrong(const char* what) {
    return std::string("corrupt: the checksum of a ") + what +
           " in the ext4 journal is wrong: run e2fsck on the file system first";
}

} // namespace

TEST_CASE("committed transactions are laid over the disk, in every form of tags") {
    for (const std::uint32_t form : kForms) {
        CAPTURE(form);
        Journal journal(form);
        CHECK(journal.open()->log() == LogState::replayed);
        CHECK(journal.letters() == "....");
        std::uint32_t next = journal.put_transaction(1, 7, {{kFirst, "a"}, {kFirst + 1, "b"}, {kFirst + 2, "c"}});
        CHECK(journal.letters() == "abc.");
        next = journal.put_transaction(next, 8, {{kFirst + 1, "B"}});
        next = journal.put_transaction(next, 9, {{kFirst + 3, "d"}});
        CHECK(journal.letters() == "aBcd");
        CHECK(journal.open()->log() == LogState::replayed);
        // What follows without a commit never happened.
        next = journal.put_blocks(next, 10, {{kFirst, "x"}});
        CHECK(journal.letters() == "aBcd");
        journal.put_commit(next, 10);
        CHECK(journal.letters() == "xBcd");
    }
}

TEST_CASE("a transaction may have several descriptors") {
    for (const std::uint32_t form : kForms) {
        CAPTURE(form);
        Journal journal(form);
        std::uint32_t next = journal.put_blocks(1, 7, {{kFirst, "a"}, {kFirst + 1, "b"}});
        next = journal.put_blocks(next, 7, {{kFirst + 1, "c"}, {kFirst + 2, "d"}});
        CHECK(journal.letters() == "....");
        journal.put_commit(next, 7);
        CHECK(journal.letters() == "acd.");
    }
}

TEST_CASE("the replay ends where sequence or magic number say that the log ends") {
    Journal journal;
    const std::uint32_t second = journal.put_transaction(1, 7, {{kFirst, "a"}});
    journal.put_transaction(second, 8, {{kFirst + 1, "b"}});
    CHECK(journal.letters() == "ab..");
    Journal older = journal; // what an earlier round of the ring left
    older.put_be(Journal::place(second) + 8, 4, 6);
    CHECK(older.letters() == "a...");
    Journal later = journal;
    later.put_be(Journal::place(second) + 8, 4, 9);
    CHECK(later.letters() == "a...");
    Journal magic = journal;
    magic.put_be(Journal::place(second), 4, test::kJournalMagicNumber + 1);
    CHECK(magic.letters() == "a...");
    for (const std::uint32_t type : {0u, 3u, 4u, 6u, 0xffffffffu}) {
        CAPTURE(type);
        Journal other = journal;
        other.put_be(Journal::place(second) + 4, 4, type);
        CHECK(other.letters() == "a...");
    }
    Journal uncommitted = journal;
    uncommitted.put_be(Journal::place(second + 2) + 8, 4, 9);
    CHECK(uncommitted.letters() == "a...");
    Journal moved = journal; // the superblock says where it begins
    moved.put_be(Journal::place(0) + 28, 4, second);
    moved.put_be(Journal::place(0) + 24, 4, 8);
    CHECK(moved.letters() == ".b..");
    Journal empty = journal; // nothing to replay
    empty.put_be(Journal::place(0) + 28, 4, 0);
    CHECK(empty.letters() == "....");
}

TEST_CASE("a journal that need not be replayed is not looked at") {
    Journal journal;
    journal.put_transaction(1, 7, {{kFirst, "a"}});
    journal.put_le(Journal::super(96), 4, journal.le(Journal::super(96), 4) & ~std::uint64_t{4});
    CHECK(journal.letters() == "....");
    CHECK(journal.open()->log() == LogState::clean);
    journal.put_be(Journal::place(0), 4, 0);
    CHECK(said(journal) == "accepted");
}

TEST_CASE("a journal is a ring") {
    for (const std::uint32_t start : {29u, 30u, 31u}) {
        CAPTURE(start);
        Journal journal(0, start);
        const std::uint32_t next = journal.put_transaction(start, 7, {{kFirst, "a"}, {kFirst + 1, "b"}});
        CHECK(next == (start + 4 - 1) % 31 + 1);
        journal.put_transaction(next, 8, {{kFirst + 2, "c"}});
        CHECK(journal.letters() == "abc.");
    }
    // It need not begin behind its superblock, nor end where its file does.
    Journal journal(0, 18);
    journal.put_be(Journal::place(0) + 16, 4, 20);
    journal.put_be(Journal::place(0) + 20, 4, 5);
    journal.put_blocks(18, 7, {{kFirst, "a"}}); // descriptor at 18, its block at 19
    journal.put_commit(5, 7);
    CHECK(journal.letters() == "a...");
}

TEST_CASE("sequence numbers go on behind the largest") {
    Journal journal(kRevokes, 1, 0xffffffff);
    std::uint32_t next = journal.put_transaction(1, 0xffffffff, {{kFirst, "a"}, {kFirst + 1, "b"}});
    next = journal.put_revokes(next, 0, {kFirst});
    next = journal.put_commit(next, 0);
    journal.put_transaction(next, 1, {{kFirst + 1, "c"}});
    CHECK(journal.letters() == ".c..");
}

TEST_CASE("what was revoked is not replayed, unless it was written again") {
    for (const std::uint32_t form : kForms) {
        CAPTURE(form);
        Journal journal(form | kRevokes);
        std::uint32_t next = journal.put_transaction(1, 7, {{kFirst, "a"}, {kFirst + 1, "b"}, {kFirst + 2, "c"}});
        next = journal.put_revokes(next, 8, {kFirst, kFirst + 2});
        next = journal.put_commit(journal.put_blocks(next, 8, {{kFirst + 3, "d"}}), 8);
        CHECK(journal.letters() == ".b.d");
        next = journal.put_transaction(next, 9, {{kFirst, "A"}});
        CHECK(journal.letters() == "Ab.d");
        // The same transaction's own blocks are revoked by it, too.
        next = journal.put_blocks(next, 10, {{kFirst + 1, "B"}});
        next = journal.put_revokes(next, 10, {kFirst + 1});
        next = journal.put_commit(next, 10);
        CHECK(journal.letters() == "A..d");
        // A later revocation counts over an earlier one, and one without a commit does not count.
        next = journal.put_commit(journal.put_revokes(next, 11, {kFirst + 3}), 11);
        CHECK(journal.letters() == "A...");
        const std::uint32_t last = journal.put_revokes(next, 12, {kFirst});
        CHECK(journal.letters() == "A...");
        journal.put_commit(last, 12); // revoked, written again, and revoked a second time
        CHECK(journal.letters() == "....");
    }
}

TEST_CASE("the records of revocations are as many as their length says") {
    Journal journal(kRevokes);
    std::uint32_t next = journal.put_transaction(1, 7, {{kFirst, "a"}, {kFirst + 1, "b"}});
    const std::uint32_t revokes = next;
    next = journal.put_revokes(next, 8, {kFirst, kFirst + 1});
    journal.put_commit(next, 8);
    const struct {
        std::uint32_t length;
        const char* letters;
    } rows[] = {{0, "ab.."}, {16, "ab.."}, {19, "ab.."}, {20, ".b.."}, {23, ".b.."}, {24, "...."}, {1024, "...."}};
    for (const auto& row : rows) {
        CAPTURE(row.length);
        journal.put_be(Journal::place(revokes) + 12, 4, row.length);
        CHECK(journal.letters() == row.letters);
    }
    for (const std::uint32_t length : {1025u, 0xffffffffu}) {
        CAPTURE(length);
        journal.put_be(Journal::place(revokes) + 12, 4, length);
        CHECK(said(journal) == "corrupt: a revoke record of the ext4 journal is longer than its block");
    }
    Journal sealed(kRevokes | kChecksumV3); // whose last four bytes are a checksum
    next = sealed.put_transaction(1, 7, {{kFirst, "a"}});
    sealed.put_commit(sealed.put_revokes(next, 8, {kFirst}), 8);
    sealed.put_be(Journal::place(next) + 12, 4, 1021);
    CHECK(said(sealed) == "corrupt: a revoke record of the ext4 journal is longer than its block");
    sealed.put_be(Journal::place(next) + 12, 4, 1020);
    CHECK(said(sealed) == wrong("revoke record"));
}

TEST_CASE("a block that began with the journal's magic number gets it back") {
    for (const std::uint32_t form : kForms) {
        CAPTURE(form);
        Journal journal(form);
        journal.put_transaction(1, 7, {{kFirst, std::string(4, '\0') + "rest", kEscaped}, {kFirst + 1, "b"}});
        const auto files = journal.open();
        CHECK(test::part_of(*files, test::node(test::kBlob), 0, 9) == "\xc0\x3b\x39\x98rest_");
        CHECK(test::part_of(*files, test::node(test::kBlob), 1, 3) == "\x3b\x39\x98");
        CHECK(test::part_of(*files, test::node(test::kBlob), 3, 2) == "\x98r");
        CHECK(test::part_of(*files, test::node(test::kBlob), 4, 2) == "re");
        CHECK(test::part_of(*files, test::node(test::kBlob), 1024, 2) == "b_");
    }
}

TEST_CASE("tags name blocks of the file system alone") {
    for (const std::uint32_t form : kForms) {
        CAPTURE(form);
        Journal journal(form);
        journal.put_transaction(1, 7, {{2047, "last"}});
        CHECK(said(journal) == "accepted");
        journal.put_transaction(1, 7, {{2048, "x"}});
        CHECK(said(journal) == kBeyond);
        journal.put_transaction(1, 7, {{std::uint64_t{1} << 32 | kFirst, "x"}});
        // The upper half counts with the feature 64bit alone.
        CHECK(said(journal) == ((form & kWide) != 0 ? kBeyond : "accepted"));
    }
    Journal uncommitted; // is not replayed, whatever it names
    uncommitted.put_blocks(1, 7, {{9999, "x"}});
    CHECK(said(uncommitted) == "accepted");
    Journal revoked(kRevokes);
    revoked.put_commit(revoked.put_revokes(revoked.put_transaction(1, 7, {{9999, "x"}}), 8, {9999}), 8);
    CHECK(said(revoked) == "accepted");
}

TEST_CASE("a descriptor without a last tag is as long as its block") {
    // 126 tags of eight bytes and one of 24: the ring is shorter than what they describe.
    Journal journal;
    journal.put_head(1, 1, 7);
    for (std::uint64_t i = 0; i < 126; ++i) {
        const std::uint64_t tag = Journal::place(1) + 12 + 8 * i;
        journal.put_be(tag, 4, kFirst);
        journal.put_be(tag + 6, 2, test::kSameUuid);
    }
    CHECK(said(journal) == "corrupt: the ext4 journal goes in circles");
}

TEST_CASE("a log that never ends is refused") {
    Journal journal(kRevokes);
    for (std::uint32_t block = 1; block < Journal::kBlocks; ++block)
        journal.put_revokes(block, 7, {kFirst});
    CHECK(said(journal) == "corrupt: the ext4 journal goes in circles");
    journal.put_be(Journal::place(31) + 8, 4, 8);
    CHECK(said(journal) == "accepted");
}

TEST_CASE("checksums of the journal are of every block, and change with each of its bytes") {
    for (const std::uint32_t form : {kChecksumV2, kChecksumV3, kChecksumV2 | kWide, kChecksumV3 | kWide}) {
        CAPTURE(form);
        Journal good(form | kRevokes);
        const std::uint32_t data = 2;
        std::uint32_t next = good.put_transaction(1, 7, {{kFirst, "a"}, {kFirst + 1, "b"}});
        const std::uint32_t revokes = next;
        next = good.put_revokes(next, 8, {kFirst + 3});
        good.put_commit(next, 8);
        CHECK(good.letters() == "ab..");
        const struct {
            std::uint32_t block;
            std::uint64_t within;
            std::string said;
        } rows[] = {
            {0, 100, wrong("superblock")},
            {0, 0xfc, wrong("superblock")},
            {0, 1023, wrong("superblock")},
            {1, 500, wrong("descriptor")},
            {1, 1019, wrong("descriptor")},
            {1, 1023, wrong("descriptor")},
            {data, 0, wrong("block")},
            {data, 1023, wrong("block")},
            {data + 1, 7, wrong("block")},
            {data + 2, 16, wrong("commit record")},
            {data + 2, 1023, wrong("commit record")},
            {revokes, 19, wrong("revoke record")},
            {revokes, 1023, wrong("revoke record")},
            {next, 900, wrong("commit record")},
        };
        for (const auto& row : rows) {
            CAPTURE(row.block, row.within);
            Journal changed = good;
            const std::uint64_t at = Journal::place(row.block) + row.within;
            changed.put_le(at, 1, changed.le(at, 1) ^ 0x10);
            CHECK(said(changed) == row.said);
        }
    }
    // Without the feature nothing of it is compared.
    Journal plain;
    plain.put_transaction(1, 7, {{kFirst, "a"}});
    plain.put_be(Journal::place(1) + 1020, 4, 0xdeadbeef);
    plain.put_be(Journal::place(0) + 0xfc, 4, 0xdeadbeef);
    CHECK(plain.letters() == "a...");
}

TEST_CASE("the journal's superblock is judged before its log") {
    const struct {
        std::uint64_t field;
        std::uint32_t value;
        std::string said;
    } rows[] = {
        {0, 0xc03b3999, "corrupt: the journal of the ext4 file system has no superblock"},
        {4, 3, "accepted"}, // version 1
        {4, 2, "corrupt: the journal of the ext4 file system has no superblock"},
        {4, 5, "corrupt: the journal of the ext4 file system has no superblock"},
        {12, 2048, "corrupt: the ext4 journal has another block size than its file system"},
        {12, 0, "corrupt: the ext4 journal has another block size than its file system"},
        {16, 1024 * 1024, "accepted"},
        {16, 1024 * 1024 + 1, "limit: the ext4 journal is larger than any real one"},
        {16, 1, kOutside},
        {16, 0, kOutside},
        {16, 2, "accepted"}, // a ring of one block
        {20, 0, kOutside},
        {20, 32, kOutside},
        {20, 2, kOutside}, // it starts before that
        {28, 31, "accepted"},
        {28, 32, kOutside},
        {28, 0xffffffff, kOutside},
        {36, 1, kUnsupported}, // checksums of version 1
        {36, 2, "accepted"},
        {40, 0x4, "accepted"}, // asynchronous commits
        {40, 0x20, kUnsupported},
        {40, 0x40, kUnsupported},
        {40, 0x80000000, kUnsupported},
    };
    for (const auto& row : rows) {
        CAPTURE(row.field, row.value);
        Journal journal;
        journal.put_be(Journal::place(0) + row.field, 4, row.value);
        CHECK(said(journal) == row.said);
    }
    // Version 1 has no features: what lies there is none.
    Journal old;
    old.put_transaction(1, 7, {{kFirst, "a"}});
    old.put_be(Journal::place(0) + 4, 4, 3);
    old.put_be(Journal::place(0) + 36, 4, 1);
    old.put_be(Journal::place(0) + 40, 4, 0xffffffff);
    CHECK(old.letters() == "a...");
}

TEST_CASE("a journal on another disk, or one with a hole, is refused") {
    Journal elsewhere;
    elsewhere.put_le(Journal::super(224), 4, 0);
    CHECK(said(elsewhere) == "unsupported: the ext4 file system has a journal on another disk that must be replayed: "
                             "mount it once in its machine and shut that down cleanly");
    constexpr const char* kHole = "corrupt: the journal of the ext4 file system has a hole";
    Journal empty;
    empty.put_extents(8, 32 * 1024, {});
    CHECK(said(empty) == kHole);
    Journal hole;
    hole.put_extents(8, 32 * 1024, {{0, 2, Journal::kBegin}, {3, 29, Journal::kBegin + 3}});
    CHECK(said(hole) == "accepted");
    hole.put_transaction(1, 7, {{kFirst, "a"}});
    CHECK(said(hole) == kHole);
    Journal pieces; // a journal in several places
    pieces.put_transaction(1, 7, {{kFirst, "a"}, {kFirst + 1, "b"}});
    pieces.put_extents(8, 32 * 1024, {{0, 2, Journal::kBegin}, {2, 1, 1700}, {3, 29, Journal::kBegin + 3}});
    pieces.fill(1700 * 1024, 1024, 'z');
    CHECK(pieces.letters() == "zb..");
}

TEST_CASE("the device of a replayed journal reads and describes itself as one disk") {
    Journal journal;
    journal.put_transaction(1, 7, {{kFirst, "a"}, {kFirst + 1, "b"}, {kFirst + 3, "d"}});
    const auto device = journal.device();
    device->declare(kFirst * 1024 - 4096, 10 * 1024, ExtentKind::zero);
    const Ext4Library library(device);
    CHECK(needs_journal_replay(library));
    const auto replayed = replay_journal(device, library);
    CHECK(replayed->size() == device->size());
    const auto read = [&](std::uint64_t offset, std::size_t length) {
        std::string text(length, '?');
        replayed->read_at(offset, std::as_writable_bytes(std::span(text)));
        return text;
    };
    constexpr std::uint64_t kAt = std::uint64_t{kFirst} * 1024;
    CHECK(read(kAt - 1, 3) == std::string("\0a_", 3));
    CHECK(read(kAt + 1023, 2) == "_b");
    CHECK(read(kAt + 1025, 1024) == std::string(1023, '_') + ".");
    CHECK(read(kAt + 2047, 1026) == "_" + std::string(1024, '.') + "d");
    CHECK(read(kAt + 3072, 1026) == "d" + std::string(1023, '_') + std::string(2, '\0'));

    const struct {
        std::uint64_t offset;
        std::uint64_t length;
        ExtentKind kind;
    } rows[] = {{kAt - 4096, 4096, ExtentKind::zero}, {kAt - 1, 1, ExtentKind::zero},
                {kAt, 1024, ExtentKind::data},        {kAt + 1000, 24, ExtentKind::data},
                {kAt + 1024, 1024, ExtentKind::data}, {kAt + 2048, 1024, ExtentKind::zero},
                {kAt + 3072, 1024, ExtentKind::data}, {kAt + 4096, 2048, ExtentKind::zero},
                {0, kAt - 4096, ExtentKind::data}};
    for (const auto& row : rows) {
        CAPTURE(row.offset);
        CHECK(replayed->extent_at(row.offset).length == row.length);
        CHECK(replayed->extent_at(row.offset).kind == row.kind);
    }
    std::byte buffer[2];
    CHECK_THROWS_AS(replayed->read_at(device->size() - 1, buffer), Error);
    CHECK_THROWS_AS(replayed->extent_at(device->size()), Error);

    Journal clean;
    const auto unchanged = clean.device();
    CHECK(replay_journal(unchanged, Ext4Library(unchanged)) == unchanged);
}

TEST_CASE("free space after a replay is that of the replayed bitmaps, and the superblock may be behind") {
    Journal journal;
    const std::uint64_t bitmap = journal.le(journal.descriptor(), 4);
    std::string bits(1024, '\0');
    for (std::size_t i = 0; i < bits.size(); ++i)
        bits[i] = static_cast<char>(journal.le(bitmap * 1024 + i, 1));
    // Block 2000 is in use now; block 1 has the first bit.
    bits[1999 / 8] = static_cast<char>(bits[1999 / 8] | 1 << (1999 % 8));
    std::string descriptors(1024, '\0');
    for (std::size_t i = 0; i < descriptors.size(); ++i)
        descriptors[i] = static_cast<char>(journal.le(journal.descriptor() + i, 1));
    test::ImageBytes changed;
    changed.put(0, descriptors);
    changed.put_le(12, 2, journal.le(journal.descriptor() + 12, 2) - 1);
    journal.put_transaction(1, 7, {{bitmap, bits}, {journal.descriptor() / 1024, std::string(as_text(changed.bytes))}});
    const auto files = journal.open();
    const std::vector<DataRange> ranges = files->free_space().value();
    REQUIRE(ranges.size() == 2);
    CHECK(ranges[0].offset + ranges[0].length == 2000 * 1024);
    CHECK(ranges[1] == DataRange{2001 * 1024, 47 * 1024});
    // Without the replay the same difference is a contradiction.
    Journal clean = journal;
    clean.put_le(Journal::super(12), 4, clean.le(Journal::super(12), 4) + 1);
    clean.put_le(Journal::super(96), 4, clean.le(Journal::super(96), 4) & ~std::uint64_t{4});
    CHECK_THAT(test::refusal_of([&] { return clean.open()->free_space(); }),
               Catch::StartsWith("corrupt: the superblock counts "));
}
