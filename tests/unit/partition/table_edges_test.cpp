// Tables byte by byte: each number of a GPT and of an MBR at the edge of what is legal, and the sentence behind it.
#include "formats/partition/partition.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/image_bytes.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

// CRC-32 as UEFI has it (ISO 3309), bit by bit.
std::uint32_t crc_of(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xffffffff;
    for (const std::byte byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return ~crc;
}

constexpr std::uint64_t kSectors = 256;

// A disk of 256 sectors with a GPT of `entries` entries: primary in sectors 1 and 2 up, backup at the end.
struct Gpt {
    std::uint64_t sector = 512;
    std::uint32_t entries = 8;
    std::uint32_t entry_size = 128;
    ImageBytes disk{};

    explicit Gpt(std::uint64_t sector_size = 512) : sector(sector_size) {
        disk.fill(kSectors * sector - 1, 1, 0);
        disk.put(510, "\x55\xaa");
        disk.put_le(446 + 4, 1, 0xee);
        disk.put_le(446 + 8, 4, 1);
        disk.put_le(446 + 12, 4, kSectors - 1);
        for (const std::uint64_t at : {primary(), backup()}) {
            disk.put(at, "EFI PART");
            disk.put_le(at + 8, 4, 0x10000);
            disk.put_le(at + 12, 4, 92);
            disk.put_le(at + 24, 8, at / sector);
            disk.put_le(at + 32, 8, at == primary() ? kSectors - 1 : 1);
            disk.put_le(at + 40, 8, 40);
            disk.put_le(at + 48, 8, 200);
            disk.put(at + 56, "disk-identifier!");
            disk.put_le(at + 72, 8, at == primary() ? 2 : 220);
            disk.put_le(at + 80, 4, entries);
            disk.put_le(at + 84, 4, entry_size);
        }
        add(0, 40, 99, "first");
        add(3, 100, 200, "fourth");
    }
    std::uint64_t primary() const { return sector; }
    std::uint64_t backup() const { return (kSectors - 1) * sector; }
    void add(std::uint32_t index, std::uint64_t first, std::uint64_t last, std::string_view name) {
        for (const std::uint64_t table : {2 * sector, 220 * sector}) {
            const std::uint64_t at = table + std::uint64_t{index} * entry_size;
            // Linux file system: 0FC63DAF-8483-4772-8E79-3D69D8477DE4.
            disk.put(at, std::string_view("\xaf\x3d\xc6\x0f\x83\x84\x72\x47\x8e\x79\x3d\x69\xd8\x47\x7d\xe4", 16));
            disk.put(at + 16, "0123456789abcdef");
            disk.put_le(at + 32, 8, first);
            disk.put_le(at + 40, 8, last);
            for (std::size_t i = 0; i < name.size(); ++i)
                disk.put_le(at + 56 + 2 * i, 2, static_cast<unsigned char>(name[i]));
        }
    }
    // In both headers or entries.
    void set(std::uint64_t at, std::size_t width, std::uint64_t value) {
        disk.put_le(primary() + at, width, value);
        disk.put_le(backup() + at, width, value);
    }
    void set_entry(std::uint32_t index, std::uint64_t at, std::size_t width, std::uint64_t value) {
        for (const std::uint64_t table : {2 * sector, 220 * sector})
            disk.put_le(table + std::uint64_t{index} * entry_size + at, width, value);
    }
    // With checksums that fit.
    void seal(std::uint64_t at, std::uint32_t header_size = 92) {
        const std::uint64_t table = at == primary() ? 2 * sector : 220 * sector;
        disk.put_le(at + 88, 4, crc_of(disk.at(table, std::uint64_t{entries} * entry_size)));
        disk.put_le(at + 16, 4, 0);
        disk.put_le(at + 16, 4, crc_of(disk.at(at, header_size)));
    }
    PartitionTable read() {
        seal(primary());
        seal(backup());
        return read_partitions(*disk.device());
    }
};

using Lines = std::vector<std::string>;

} // namespace

TEST_CASE("a GPT is read in sectors of 512 bytes and of 4 KiB") {
    for (const std::uint64_t sector : {std::uint64_t{512}, std::uint64_t{4096}}) {
        Gpt gpt(sector);
        const PartitionTable table = gpt.read();
        CHECK(table.kind == TableKind::gpt);
        CHECK(table.sector_size == sector);
        CHECK(gpt_sector_size(*gpt.disk.device()) == sector);
        CHECK(table.remarks.empty());
        CHECK(table.id == "6b736964-692d-6564-6e74-696669657221"); // "disk-identifier!", the first three parts turned
        REQUIRE(table.partitions.size() == 2);
        CHECK(table.partitions[0].number == 1);
        CHECK(table.partitions[0].offset == 40 * sector);
        CHECK(table.partitions[0].length == 60 * sector);
        CHECK(table.partitions[1].number == 4);
        CHECK(table.partitions[1].offset == 100 * sector);
        CHECK(table.partitions[1].length == 101 * sector);
        CHECK(table.partitions[1].name == "fourth");
        CHECK(table.partitions[1].type == "0fc63daf-8483-4772-8e79-3d69d8477de4");
        CHECK(table.partitions[1].uuid == "33323130-3534-3736-3839-616263646566");
        CHECK_FALSE(table.has_boot_code);
    }
}

TEST_CASE("a GPT's attributes, names and free entries") {
    Gpt gpt;
    gpt.set_entry(0, 48, 8, 1ULL << 63 | 4);
    gpt.set_entry(3, 48, 8, 3);
    for (std::size_t i = 0; i < 36; ++i)
        gpt.set_entry(0, 56 + 2 * i, 2, 'x'); // no NUL ends it
    gpt.set_entry(3, 56, 2, 0xe4);
    gpt.set_entry(3, 58, 2, 0);
    gpt.set_entry(3, 60, 2, 'y'); // behind the end
    gpt.set_entry(5, 32, 8, 77);  // without a type it is free, whatever else is there
    const PartitionTable table = gpt.read();
    REQUIRE(table.partitions.size() == 2);
    CHECK(table.partitions[0].attributes == (1ULL << 63 | 4));
    CHECK(table.partitions[0].active);
    CHECK_FALSE(table.partitions[1].active);
    CHECK(table.partitions[0].name == std::string(36, 'x'));
    CHECK(table.partitions[1].name == "\xc3\xa4");
    gpt.disk.put(0, "\xeb"); // code
    CHECK(gpt.read().has_boot_code);
    gpt.disk.put(0, std::string_view("\0", 1));
    gpt.disk.put(440, "code"); // the MBR's signature is none
    CHECK_FALSE(gpt.read().has_boot_code);
}

TEST_CASE("each number of a GPT is refused behind its edge") {
    struct Case {
        const char* name;
        std::function<void(Gpt&)> change;
        std::string problem; // empty: it is taken
        ErrorKind kind = ErrorKind::corrupt;
    };
    const std::string usable =
        "GPT usable area does not lie on the disk: the disk was cut off, or its table is damaged";
    for (const Case& one : std::vector<Case>{
             {"header of 91 bytes", [](Gpt& g) { g.set(12, 4, 91); }, "GPT header size 91 is not legal"},
             {"header of 513 bytes", [](Gpt& g) { g.set(12, 4, 513); }, "GPT header size 513 is not legal"},
             {"entries of 64 bytes", [](Gpt& g) { g.set(84, 4, 64); }, "GPT entry size 64 is not legal"},
             {"entries of 192 bytes", [](Gpt& g) { g.set(84, 4, 192); }, "GPT entry size 192 is not legal"},
             {"entries of 8 KiB", [](Gpt& g) { g.set(84, 4, 8192); }, "GPT entry size 8192 is not legal"},
             {"4097 entries", [](Gpt& g) { g.set(80, 4, 4097); },
              "GPT has 4097 entries of 128 bytes: no real table has so many", ErrorKind::limit},
             {"first usable behind the last", [](Gpt& g) { g.set(40, 8, 201); }, usable},
             {"usable up to the end", [](Gpt& g) { g.set(48, 8, 256); }, usable},
             {"usable over the backup's entries", [](Gpt& g) { g.set(48, 8, 220); }, ""},
             {"usable up to them", [](Gpt& g) { g.set(48, 8, 219); }, ""},
             {"usable over the primary's entries", [](Gpt& g) { g.set(40, 8, 3); }, ""},
             {"usable behind them", [](Gpt& g) { g.set(40, 8, 4); }, ""},
             {"entries in the header", [](Gpt& g) { g.set(72, 8, 1); }, "GPT entries do not lie on the disk"},
             {"entries behind the end", [](Gpt& g) { g.set(72, 8, 255); }, "GPT entries do not lie on the disk"},
             {"entries nowhere", [](Gpt& g) { g.set(72, 8, ~0ULL); }, "GPT entries do not lie on the disk"},
         }) {
        CAPTURE(one.name);
        Gpt gpt;
        one.change(gpt);
        if (one.problem.empty()) {
            // What is wrong with one of the two is a remark.
            const PartitionTable table = gpt.read();
            CHECK(table.partitions.size() == 2);
            const bool is_over = std::string_view(one.name).starts_with("usable over ");
            REQUIRE(table.remarks.size() == (is_over ? 1 : 0));
            if (is_over)
                CHECK_THAT(table.remarks[0], Catch::EndsWith("GPT usable area covers the table itself"));
            continue;
        }
        const Error error = error_of([&] { gpt.read(); });
        CHECK(error.kind() == one.kind);
        // What is wrong with the backup may be something else.
        CHECK_THAT(error.message(),
                   Catch::StartsWith("the partition table is damaged: " + one.problem + "; its backup: "));
    }
}

TEST_CASE("partitions lie in their GPT's usable area, and not over each other") {
    struct Case {
        std::uint64_t first;
        std::uint64_t last;
        const char* message; // "": it is taken
    };
    for (const Case& one :
         {Case{100, 200, ""}, Case{200, 200, ""}, Case{100, 201, "partition 4 lies outside the usable area of its GPT"},
          Case{39, 39, "partition 4 lies outside the usable area of its GPT"},
          Case{101, 100, "partition 4 lies outside the usable area of its GPT"},
          Case{0, ~0ULL, "partition 4 lies outside the usable area of its GPT"},
          Case{99, 110, "partitions 1 and 4 overlap"}, Case{40, 40, "partitions 1 and 4 overlap"}}) {
        CAPTURE(one.first, one.last);
        Gpt gpt;
        gpt.set_entry(3, 32, 8, one.first);
        gpt.set_entry(3, 40, 8, one.last);
        if (std::string_view(one.message).empty()) {
            CHECK(gpt.read().partitions[1].length == (one.last - one.first + 1) * 512);
            continue;
        }
        const Error error = error_of([&] { gpt.read(); });
        CHECK(error.kind() == ErrorKind::corrupt);
        CHECK_THAT(error.message(), Catch::StartsWith(one.message));
    }
}

TEST_CASE("of two GPTs the good one is read, and what is odd is said") {
    const auto remarks = [](const std::function<void(Gpt&)>& change) {
        Gpt gpt;
        gpt.seal(gpt.primary());
        gpt.seal(gpt.backup());
        change(gpt);
        const PartitionTable table = read_partitions(*gpt.disk.device());
        CHECK(table.partitions.size() == 2);
        return table.remarks;
    };
    CHECK(remarks([](Gpt&) {}).empty());
    CHECK(remarks([](Gpt& g) { g.disk.put(g.primary() + 60, "X"); }) ==
          Lines{"the primary GPT is damaged, its backup was read: GPT header checksum is wrong"});
    CHECK(remarks([](Gpt& g) { g.disk.put(g.backup() + 60, "X"); }) ==
          Lines{"the backup GPT at the end of the disk is not good: GPT header checksum is wrong"});
    CHECK(remarks([](Gpt& g) { g.disk.put(2 * g.sector + 57, "X"); }) ==
          Lines{"the primary GPT is damaged, its backup was read: GPT entries checksum is wrong"});
    CHECK(remarks([](Gpt& g) { g.disk.put(g.backup(), "XFI PART"); }) ==
          Lines{"the backup GPT at the end of the disk is not good: no GPT header"});
    CHECK(remarks([](Gpt& g) {
              g.disk.put(g.backup() + 56, "other");
              g.seal(g.backup());
          }) == Lines{"the primary GPT and its backup differ; the primary was read"});
    CHECK(remarks([](Gpt& g) {
              g.disk.put_le(g.primary() + 32, 8, kSectors);
              g.seal(g.primary());
          }) == Lines{"the backup GPT at the end of the disk is not good: it lies beyond the end of the disk"});
    // A disk that was made larger.
    CHECK(remarks([](Gpt& g) { g.disk.fill((kSectors + 100) * g.sector - 1, 1, 0); }) ==
          Lines{"the backup GPT does not stand at the end of the disk"});
    // A header that was copied elsewhere is not the one of that place.
    CHECK(remarks([](Gpt& g) {
              g.disk.put_le(g.primary() + 24, 8, 2);
              g.seal(g.primary());
          }) == Lines{"the primary GPT is damaged, its backup was read: GPT header names another sector as its own"});
    Gpt both;
    both.disk.put(both.primary(), "?");
    both.disk.put(both.backup(), "?");
    CHECK(error_of([&] { read_partitions(*both.disk.device()); }).message() ==
          "the partition table is damaged: no GPT header; its backup: no GPT header");
}

TEST_CASE("every byte of a GPT's headers and entries is covered by a checksum") {
    Gpt good;
    const PartitionTable wanted = good.read();
    for (std::uint64_t at = 0; at < 92; ++at) {
        Gpt gpt = good;
        gpt.disk.put_le(gpt.primary() + at, 1,
                        std::to_integer<unsigned>(gpt.disk.at(gpt.primary() + at, 1)[0]) ^ 0x40U);
        const PartitionTable table = read_partitions(*gpt.disk.device());
        CAPTURE(at);
        CHECK(table.remarks.size() == 1);
        CHECK(table.partitions.size() == wanted.partitions.size());
        CHECK(table.id == wanted.id);
    }
}

TEST_CASE("a hybrid MBR repeats what the GPT says, or the disk means two things") {
    const auto hybrid = [](unsigned type, std::uint64_t start, std::uint64_t sectors) {
        Gpt gpt;
        gpt.disk.put_le(462 + 4, 1, type);
        gpt.disk.put_le(462 + 8, 4, start);
        gpt.disk.put_le(462 + 12, 4, sectors);
        return gpt.read().remarks;
    };
    CHECK(hybrid(0x83, 40, 60) == Lines{"a hybrid MBR repeats partitions of the GPT"});
    CHECK(hybrid(0xee, 1, 7).empty());  // a second protective one
    CHECK(hybrid(0x83, 41, 0).empty()); // of no length
    CHECK(hybrid(0, 41, 9).empty());
    for (const auto& [start, sectors] : {std::pair{41, 60}, {40, 59}, {40, 61}, {201, 5}})
        CHECK(error_of([&, a = start, b = sectors] {
                  hybrid(0x83, static_cast<std::uint64_t>(a), static_cast<std::uint64_t>(b));
              }).message() == "the hybrid MBR contradicts the GPT: programs would see different partitions");
    // A disk that is announced to have a GPT, and is too small for one.
    ImageBytes small;
    small.fill(3 * 512 - 1, 1, 0);
    small.put(510, "\x55\xaa");
    small.put_le(446 + 4, 1, 0xee);
    CHECK(error_of([&] { read_partitions(*small.device()); }).message() ==
          "the disk is too small for the GPT that its first sector announces");
}

namespace {

struct Entry {
    unsigned type;
    std::uint32_t start;
    std::uint32_t sectors;
    unsigned flag = 0;
};

// Of 1000 sectors.
struct MbrDisk {
    ImageBytes disk{};
    MbrDisk() {
        disk.fill(1000 * 512 - 1, 1, 0);
        disk.put_le(440, 4, 0x1234abcd);
    }
    MbrDisk& table(std::uint64_t sector, const std::vector<Entry>& entries) {
        disk.put(sector * 512 + 510, "\x55\xaa");
        for (std::size_t i = 0; i < entries.size(); ++i) {
            const std::uint64_t at = sector * 512 + 446 + i * 16;
            disk.put_le(at, 1, entries[i].flag);
            disk.put_le(at + 4, 1, entries[i].type);
            disk.put_le(at + 8, 4, entries[i].start);
            disk.put_le(at + 12, 4, entries[i].sectors);
        }
        return *this;
    }
    PartitionTable read() const { return read_partitions(*disk.device()); }
    std::string refused() const {
        const Error error = error_of([&] { read(); });
        CHECK(error.kind() == ErrorKind::corrupt);
        return error.message();
    }
};

} // namespace

TEST_CASE("an MBR's partitions lie on the disk, behind the table") {
    const PartitionTable table =
        MbrDisk().table(0, {{0x83, 1, 10, 0x80}, {0, 5, 5}, {0x82, 11, 989}, {0x83, 3, 0}}).read();
    CHECK(table.kind == TableKind::mbr);
    CHECK(table.id == "1234abcd");
    REQUIRE(table.partitions.size() == 2);
    CHECK(table.partitions[0].active);
    CHECK(table.partitions[0].uuid == "1234abcd-01");
    CHECK(table.partitions[1].number == 3);
    CHECK(table.partitions[1].offset == 11 * 512);
    CHECK(table.partitions[1].length == 989 * 512);
    CHECK(table.partitions[1].type == "0x82");
    CHECK(table.partitions[1].uuid == "1234abcd-03");
    CHECK(MbrDisk().table(0, {{0x83, 11, 990}}).refused() ==
          "partition 1 ends beyond the disk: the disk was cut off, or its table is damaged");
    CHECK(MbrDisk().table(0, {{0x83, 0xffffffff, 0xffffffff}}).refused() ==
          "partition 1 ends beyond the disk: the disk was cut off, or its table is damaged");
    CHECK(MbrDisk().table(0, {{0x83, 1, 1}, {0x83, 0, 5}}).refused() ==
          "partition 2 covers the partition table itself");
    CHECK_THAT(MbrDisk().table(0, {{0x83, 1, 10}, {0x83, 10, 1}}).refused(),
               Catch::StartsWith("partitions 1 and 2 overlap"));
    CHECK(MbrDisk().table(0, {{0x83, 1, 10, 0x81}}).read().kind == TableKind::none); // no flag that a table has
    CHECK(MbrDisk().table(0, {{0, 1, 10}}).read().kind == TableKind::none);
    for (const auto& [at, text] : {std::pair{3, "NTFS    "}, {3, "EXFAT   "}, {54, "FAT16   "}, {82, "FAT32   "}}) {
        MbrDisk boot = MbrDisk().table(0, {{0x83, 1, 10}});
        boot.disk.put(static_cast<std::uint64_t>(at), text);
        CHECK(boot.read().kind == TableKind::none);
    }
}

TEST_CASE("logical partitions are numbered along their chain, and lie in the extended one") {
    for (const unsigned type : {0x05U, 0x0fU, 0x85U}) {
        MbrDisk chained = MbrDisk()
                              .table(0, {{0x83, 1, 9}, {type, 100, 200}})
                              .table(100, {{0x83, 1, 49}, {0x05, 60, 40}})
                              .table(160, {{0x82, 2, 138}});
        const PartitionTable table = chained.read();
        REQUIRE(table.partitions.size() == 4);
        CHECK(table.partitions[1].role == PartitionRole::extended);
        CHECK(table.partitions[2].number == 5);
        CHECK(table.partitions[2].role == PartitionRole::logical);
        CHECK(table.partitions[2].offset == 101 * 512);
        CHECK(table.partitions[2].uuid == "1234abcd-05");
        CHECK(table.partitions[3].number == 6);
        CHECK(table.partitions[3].offset == 162 * 512);
        CHECK(table.partitions[3].length == 138 * 512);
        CHECK(table.remarks.empty());
    }
    const auto extended = [](const std::vector<Entry>& record) {
        return MbrDisk().table(0, {{0x05, 100, 200}}).table(100, record);
    };
    CHECK(extended({{0x83, 1, 199}}).read().partitions.size() == 2);
    CHECK(extended({{0x83, 1, 200}}).refused() == "logical partition 5 lies outside its extended partition");
    CHECK(extended({{0x83, 0, 5}}).refused() == "logical partition 5 lies outside its extended partition");
    CHECK(extended({{0, 0, 0}, {0x05, 200, 5}}).refused() ==
          "an extended boot record lies outside its extended partition");
    CHECK(extended({{0, 0, 0}, {0x05, 0, 5}}).refused() == "the chain of extended boot records runs backwards");
    CHECK(extended({{0, 0, 0}, {0x05, 199, 1}}).read().remarks ==
          Lines{"an extended boot record has no signature: the chain ends there"});
    CHECK(MbrDisk().table(0, {{0x05, 100, 200}}).read().remarks.size() == 1);
    // Of two links the first counts.
    CHECK(extended({{0x05, 50, 5}, {0x05, 60, 5}})
              .table(150, {{0x83, 1, 3}})
              .table(160, {{0x83, 1, 3}})
              .read()
              .partitions[1]
              .offset == 151 * 512);
}

TEST_CASE("a chain of extended boot records ends after 128 partitions") {
    const auto chain = [](unsigned count) {
        MbrDisk chained = MbrDisk().table(0, {{0x05, 100, 900}});
        for (unsigned i = 0; i < count; ++i)
            chained.table(100 + 2 * i, i + 1 < count ? std::vector<Entry>{{0x83, 1, 1}, {0x05, 2 * (i + 1), 2}}
                                                     : std::vector<Entry>{{0x83, 1, 1}});
        return chained;
    };
    CHECK(chain(128).read().partitions.size() == 129);
    const Error error = error_of([&] { chain(129).read(); });
    CHECK(error.kind() == ErrorKind::limit);
    CHECK(error.message() == "more than 128 logical partitions: no real disk has so many");
}
