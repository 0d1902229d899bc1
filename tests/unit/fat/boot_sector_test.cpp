#include "formats/fat/file_system.hpp"
#include "tests/support/image_bytes.hpp"
#include "tests/support/refusal.hpp"

#include <catch2/catch.hpp>

using namespace vm2oci;

namespace {

constexpr const char* kDamaged = "corrupt: the FAT file system is damaged";

// The numbers of a boot sector (Microsoft's "FAT: General Overview of On-Disk Format"), and as much disk as they need.
struct Boot {
    std::uint64_t sector = 512;
    std::uint64_t cluster_sectors = 1;
    std::uint64_t reserved = 1;
    std::uint64_t tables = 2;
    std::uint64_t table_sectors = 12;
    std::uint64_t root_entries = 512;
    std::uint64_t clusters = 4084;
    std::uint64_t spare_sectors = 0; // behind the last whole cluster

    std::uint64_t sectors() const {
        return reserved + tables * table_sectors + (root_entries * 32 + sector - 1) / sector +
               clusters * cluster_sectors + spare_sectors;
    }
    test::ImageBytes bytes() const {
        test::ImageBytes boot;
        boot.fill(0, 512, 0);
        boot.put_le(11, 2, sector);
        boot.put_le(13, 1, cluster_sectors);
        boot.put_le(14, 2, reserved);
        boot.put_le(16, 1, tables);
        boot.put_le(17, 2, root_entries);
        boot.put_le(32, 4, sectors());
        boot.put_le(root_entries == 0 ? 36 : 22, root_entries == 0 ? 4 : 2, table_sectors);
        boot.put_le(44, 4, root_entries == 0 ? 2 : 0);
        return boot;
    }
    std::shared_ptr<test::MemoryDevice> disk() const {
        const auto made = std::make_shared<test::MemoryDevice>(sectors() * sector);
        made->put(0, std::span<const std::byte>(bytes().bytes));
        return made;
    }
    std::string said() const {
        return test::refusal_of([&] { return FatFileSystem(disk()).root(); });
    }
};

struct FieldRow {
    std::uint64_t at;
    std::size_t width;
    std::uint64_t value;
    const char* said;
};

Timestamp time_of(unsigned date, unsigned time) {
    const Boot boot;
    const auto disk = boot.disk();
    test::ImageBytes entry;
    entry.put(0, std::string_view("FILE    TXT"));
    entry.put_le(11, 1, 0x20);
    entry.put_le(22, 2, time);
    entry.put_le(24, 2, date);
    entry.put_le(28, 4, 0);
    disk->put((boot.reserved + boot.tables * boot.table_sectors) * 512, std::span<const std::byte>(entry.bytes));
    const FatFileSystem files(disk);
    return files.status(files.lookup(files.root(), "file.txt").value()).modified;
}

} // namespace

TEST_CASE("the number of clusters alone tells the widths of FAT apart") {
    // A table must hold two entries more than there are clusters, of 12, 16 or 32 bits.
    const struct {
        std::uint64_t clusters;
        std::uint64_t enough;
        bool one_less_is_refused;
    } rows[] = {
        {1, 1, false},      {339, 1, false},    // 341 entries of a byte and a half are 512 bytes
        {340, 2, true},     {4084, 12, true},   // the last of FAT12
        {4085, 16, true},   {65524, 256, true}, // FAT16
        {65525, 512, true},                     // the first of FAT32
    };
    for (const auto& row : rows) {
        CAPTURE(row.clusters);
        Boot boot;
        boot.clusters = row.clusters;
        boot.table_sectors = row.enough;
        CHECK(boot.said() == "accepted");
        if (row.one_less_is_refused) {
            --boot.table_sectors;
            CHECK(boot.said() == kDamaged);
        }
    }
    Boot small; // mkfs.fat -F 32 makes small ones, too: without a fixed root it is FAT32
    small.root_entries = 0;
    small.clusters = 126;
    small.table_sectors = 1;
    CHECK(small.said() == "accepted");
    small.clusters = 127;
    CHECK(small.said() == kDamaged);
}

TEST_CASE("free clusters are those whose entry is zero, in every width, and no others") {
    const struct {
        std::uint64_t clusters;
        std::uint64_t table_sectors;
        std::uint64_t bits;
    } rows[] = {{300, 12, 12}, {5000, 40, 16}, {70'000, 548, 32}};
    for (const auto& row : rows) {
        CAPTURE(row.bits);
        Boot boot;
        boot.clusters = row.clusters;
        boot.table_sectors = row.table_sectors;
        boot.cluster_sectors = 2;
        boot.spare_sectors = 1;
        const auto disk = boot.disk();
        const auto free = [&] {
            const FatFileSystem files(disk);
            CHECK(files.usage().total_bytes == row.clusters * 1024);
            return files.usage().free_bytes / 1024;
        };
        const auto put = [&](std::uint64_t cluster, std::uint64_t low_byte) {
            const std::byte byte[1] = {static_cast<std::byte>(low_byte)};
            disk->put(512 + cluster * row.bits / 8, byte);
        };
        CHECK(free() == row.clusters);
        put(0, 0xf8); // the medium, and the state of the last unmounting: no clusters
        CHECK(free() == row.clusters);
        put(2, 1);
        CHECK(free() == row.clusters - 1);
        put(row.clusters & ~1ull, 1); // the last but one or the last
        CHECK(free() == row.clusters - 2);
        put((row.clusters + 2) & ~1ull, 1); // behind the last
        CHECK(free() == row.clusters - 2);
        if (row.bits == 32) { // four bits of an entry are no part of it
            const std::byte top[1] = {std::byte{0xf0}};
            disk->put(512 + 100 * 4 + 3, top);
            CHECK(free() == row.clusters - 2);
            const std::byte lower[1] = {std::byte{0x08}};
            disk->put(512 + 100 * 4 + 3, lower);
            CHECK(free() == row.clusters - 3);
        }
    }
}

TEST_CASE("numbers of a boot sector that cannot be are refused") {
    const FieldRow rows[] = {
        {11, 2, 0, kDamaged},
        {11, 2, 256, kDamaged},
        {11, 2, 513, kDamaged},
        {11, 2, 8192, kDamaged},
        {11, 2, 768, kDamaged},
        {13, 1, 0, kDamaged},
        {13, 1, 3, kDamaged},
        {13, 1, 255, kDamaged},
        {14, 2, 0, kDamaged},
        {16, 1, 0, kDamaged},
        {22, 2, 0, kDamaged},
        {32, 4, 0, kDamaged},
        {32, 4, 57, kDamaged}, // reserved, tables and root, and nothing behind them
        {32, 4, 58, "accepted"},
        {16, 1, 1, kDamaged}, // a table less leaves 4096 clusters: FAT16, for which the other is too small
        {13, 1, 128, "accepted"},
        {32, 4, 0xffffffff, "corrupt: the FAT file system is larger than the space it lies in"},
        {19, 2, 4141, "accepted"}, // the short form of the number of sectors
        {19, 2, 57, kDamaged},
        {19, 2, 65535, "corrupt: the FAT file system is larger than the space it lies in"},
    };
    const Boot boot;
    REQUIRE(boot.sectors() == 4141);
    for (const FieldRow& row : rows) {
        CAPTURE(row.at, row.value);
        const auto disk = boot.disk();
        test::ImageBytes changed = boot.bytes();
        changed.put_le(row.at, row.width, row.value);
        disk->put(0, std::span<const std::byte>(changed.bytes));
        CHECK(test::refusal_of([&] { return FatFileSystem(disk).root(); }) == row.said);
    }
    const auto tiny = std::make_shared<test::MemoryDevice>(511);
    CHECK(test::refusal_of([&] { return FatFileSystem(tiny).root(); }) == kDamaged);
    const auto cut = std::make_shared<test::MemoryDevice>(boot.sectors() * 512 - 1);
    cut->put(0, std::span<const std::byte>(boot.bytes().bytes));
    CHECK(test::refusal_of([&] { return FatFileSystem(cut).root(); }) ==
          "corrupt: the FAT file system is larger than the space it lies in");
}

TEST_CASE("sectors of every size that disks have") {
    for (const std::uint64_t sector : {512u, 1024u, 2048u, 4096u}) {
        CAPTURE(sector);
        Boot boot;
        boot.sector = sector;
        boot.clusters = 200;
        const FatFileSystem files(boot.disk());
        CHECK(files.usage().total_bytes == 200 * sector);
        CHECK(files.list(files.root()).empty());
    }
}

TEST_CASE("times of FAT are those of 1980 to 2107, and days that are none are the epoch") {
    const auto date = [](unsigned year, unsigned month, unsigned day) { return (year - 1980) << 9 | month << 5 | day; };
    const auto time = [](unsigned hour, unsigned minute, unsigned second) {
        return hour << 11 | minute << 5 | second / 2;
    };
    CHECK(time_of(date(1980, 1, 1), 0) == Timestamp{315'532'800, 0});
    CHECK(time_of(date(2000, 2, 29), time(23, 59, 58)) == Timestamp{951'868'798, 0});
    CHECK(time_of(date(2107, 12, 31), time(0, 0, 2)) == Timestamp{4'354'732'802, 0});
    CHECK(time_of(date(2023, 11, 14), time(22, 13, 20)) == Timestamp{1'700'000'000, 0});
    for (const unsigned none : {0u, date(2023, 2, 29), date(2023, 13, 1), date(2023, 0, 1), date(2023, 4, 31),
                                date(2023, 4, 0), date(2100, 2, 29)}) {
        CAPTURE(none);
        CHECK(time_of(none, time(1, 2, 4)) == Timestamp{});
    }
}
