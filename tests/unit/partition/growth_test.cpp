// Tables of disks that became larger, read again by the reader that holds everything against everything.
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/partition/growth.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>
#include <libdeflate.h>

#include <cstring>
#include <limits>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;

struct Wanted {
    std::uint64_t first; // sectors
    std::uint64_t last;
};

using Bytes = std::vector<std::byte>;

std::uint32_t crc(std::span<const std::byte> bytes) {
    return libdeflate_crc32(0, bytes.data(), bytes.size());
}

Bytes gpt_header(std::uint64_t sector_size, std::uint64_t own, std::uint64_t other, std::uint64_t entries_at,
                 std::uint64_t last_usable, const Bytes& entries, std::uint32_t count) {
    Bytes header(sector_size);
    std::memcpy(header.data(), "EFI PART", 8);
    store_le<std::uint32_t>(header.data() + 8, 0x10000);
    store_le<std::uint32_t>(header.data() + 12, 92);
    store_le<std::uint64_t>(header.data() + 24, own);
    store_le<std::uint64_t>(header.data() + 32, other);
    store_le<std::uint64_t>(header.data() + 40, 64);
    store_le<std::uint64_t>(header.data() + 48, last_usable);
    header[56] = std::byte{7};
    store_le<std::uint64_t>(header.data() + 72, entries_at);
    store_le<std::uint32_t>(header.data() + 80, count);
    store_le<std::uint32_t>(header.data() + 84, 128);
    store_le<std::uint32_t>(header.data() + 88, crc(std::span(entries).first(std::size_t{count} * 128)));
    store_le<std::uint32_t>(header.data() + 16, crc(std::span(header).first(92)));
    return header;
}

// A disk of `size` with a table as on one of `old_size`.
std::shared_ptr<MemoryDevice> gpt_disk(std::uint64_t size, std::uint64_t old_size, const std::vector<Wanted>& wanted,
                                       std::uint64_t sector_size = 512, std::uint32_t count = 128) {
    auto disk = std::make_shared<MemoryDevice>(size);
    const std::uint64_t sectors = old_size / sector_size;
    const std::uint64_t table = (std::uint64_t{count} * 128 + sector_size - 1) / sector_size;
    Bytes entries(table * sector_size);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        std::byte* at = entries.data() + i * 128;
        std::memset(at, 0x11, 16);
        std::memset(at + 16, static_cast<int>(0x20 + i), 16);
        store_le<std::uint64_t>(at + 32, wanted[i].first);
        store_le<std::uint64_t>(at + 40, wanted[i].last);
    }
    const std::uint64_t usable = sectors - 2 - table;
    disk->put(sector_size, gpt_header(sector_size, 1, sectors - 1, 2, usable, entries, count));
    disk->put(2 * sector_size, entries);
    disk->put((sectors - 1 - table) * sector_size, entries);
    disk->put((sectors - 1) * sector_size,
              gpt_header(sector_size, sectors - 1, 1, sectors - 1 - table, usable, entries, count));
    Bytes mbr(512);
    mbr[446 + 4] = std::byte{0xee};
    store_le<std::uint32_t>(mbr.data() + 446 + 8, 1);
    store_le<std::uint32_t>(mbr.data() + 446 + 12, static_cast<std::uint32_t>(sectors - 1));
    mbr[510] = std::byte{0x55};
    mbr[511] = std::byte{0xaa};
    disk->put(0, mbr);
    return disk;
}

struct MbrRow {
    std::uint8_t type;
    std::uint32_t start;
    std::uint32_t sectors;
};

std::shared_ptr<MemoryDevice> mbr_disk(std::uint64_t size, const std::vector<MbrRow>& rows) {
    auto disk = std::make_shared<MemoryDevice>(size);
    Bytes mbr(512);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        mbr[446 + 16 * i + 4] = std::byte{rows[i].type};
        store_le<std::uint32_t>(mbr.data() + 446 + 16 * i + 8, rows[i].start);
        store_le<std::uint32_t>(mbr.data() + 446 + 16 * i + 12, rows[i].sectors);
    }
    mbr[510] = std::byte{0x55};
    mbr[511] = std::byte{0xaa};
    disk->put(0, mbr);
    return disk;
}

void write(MemoryDevice& disk, const TableGrowth& growth) {
    for (const DiskWrite& change : growth.writes)
        disk.put(change.offset, change.bytes);
}

std::uint32_t protective_sectors(const BlockDevice& disk) {
    Bytes mbr(512);
    disk.read_at(0, mbr);
    return load_le<std::uint32_t>(mbr.data() + 446 + 12);
}

} // namespace

TEST_CASE("a GPT fills its disk, and its last partition reaches to the end") {
    for (const std::uint64_t sector_size : {std::uint64_t{512}, std::uint64_t{4096}})
        for (const std::uint32_t count : {128U, 4U, 200U}) {
            INFO(sector_size << " " << count);
            const std::uint64_t per_mib = kMiB / sector_size;
            // The last on the disk is not the last of the table.
            const auto disk =
                gpt_disk(64 * kMiB, 20 * kMiB, {{10 * per_mib, 18 * per_mib - 1}, {per_mib, 10 * per_mib - 1}},
                         sector_size, count);
            const PartitionTable before = read_partitions(*disk);
            const Partition* last = last_partition(before);
            REQUIRE(last != nullptr);
            CHECK(last->number == 1);
            const TableGrowth growth = grow_table(*disk, before, {last});
            CHECK(growth.new_length == 53 * kMiB);
            write(*disk, growth);
            const PartitionTable after = read_partitions(*disk);
            CHECK(after.remarks.empty()); // both headers are sound, alike, and the backup at the end
            CHECK(after.id == before.id);
            REQUIRE(after.partitions.size() == 2);
            CHECK(after.partitions[0].offset == 10 * kMiB);
            CHECK(after.partitions[0].length == 53 * kMiB);
            CHECK(after.partitions[0].uuid == before.partitions[0].uuid);
            CHECK(after.partitions[1].length == before.partitions[1].length);
            CHECK(protective_sectors(*disk) == 64 * kMiB / sector_size - 1);
            // What was the backup is one no more.
            Bytes old(8);
            disk->read_at(20 * kMiB - sector_size, old);
            CHECK(std::memcmp(old.data(), "EFI PART", 8) != 0);
        }
}

TEST_CASE("swap at the end of a GPT makes room for what lies before it") {
    // Debian's installer on UEFI: ESP, root, swap.
    for (const std::uint64_t sector_size : {512U, 4096U}) {
        INFO(sector_size);
        const std::uint64_t per_mib = kMiB / sector_size;
        const auto disk =
            gpt_disk(64 * kMiB + 4096, 20 * kMiB,
                     {{per_mib, 2 * per_mib - 1}, {2 * per_mib, 15 * per_mib - 1}, {15 * per_mib, 19 * per_mib - 1}},
                     sector_size);
        const PartitionTable before = read_partitions(*disk);
        const Partition* moves =
            moves_with(before, *last_partition(before), [](const Partition& each) { return each.number == 3; });
        REQUIRE(moves != nullptr);
        const Partition* grows = partition_before(before, *moves);
        REQUIRE(grows != nullptr);
        CHECK(grows->number == 2);
        const TableGrowth growth = grow_table(*disk, before, {grows, moves});
        CHECK(growth.moved_to == 59 * kMiB);
        CHECK(growth.new_length == 57 * kMiB);
        write(*disk, growth);
        const PartitionTable after = read_partitions(*disk);
        CHECK(after.remarks.empty());
        CHECK(after.partitions[0].length == before.partitions[0].length);
        CHECK(after.partitions[1].length == 57 * kMiB);
        CHECK(after.partitions[2].offset == 59 * kMiB);
        CHECK(after.partitions[2].length == 4 * kMiB);
        CHECK(after.partitions[2].uuid == before.partitions[2].uuid);
    }
}

TEST_CASE("the backup moves though no partition grows") {
    const auto disk = gpt_disk(40 * kMiB, 20 * kMiB, {{2048, 4095}});
    const PartitionTable before = read_partitions(*disk);
    write(*disk, grow_table(*disk, before, {}));
    const PartitionTable after = read_partitions(*disk);
    CHECK(after.remarks.empty());
    CHECK(after.partitions[0].length == before.partitions[0].length);
}

TEST_CASE("a partition never shrinks, and an odd size of the disk costs at most a MiB") {
    const auto odd = gpt_disk(64 * kMiB + 512 * 77, 20 * kMiB, {{2048, 4095}});
    const PartitionTable table = read_partitions(*odd);
    const TableGrowth growth = grow_table(*odd, table, {last_partition(table)});
    write(*odd, growth);
    CHECK(growth.new_length == 63 * kMiB);
    CHECK(read_partitions(*odd).remarks.empty());
    // Up to the very end of what the old table could use: the next boundary lies behind the new one's.
    const auto full = gpt_disk(20 * kMiB + 512, 20 * kMiB, {{2048, 20 * 2048 - 34}});
    const PartitionTable before = read_partitions(*full);
    const TableGrowth none = grow_table(*full, before, {last_partition(before)});
    CHECK_FALSE(none.new_length);
    CHECK(none.reason.find("no room") != std::string::npos);
    write(*full, none);
    CHECK(read_partitions(*full).partitions[0].length == before.partitions[0].length);
}

TEST_CASE("a GPT that only its backup tells is not written over") {
    const auto disk = gpt_disk(20 * kMiB, 20 * kMiB, {{2048, 4095}});
    disk->put(512 + 60, "x");
    const PartitionTable table = read_partitions(*disk);
    REQUIRE_FALSE(table.partitions.empty());
    CHECK_THROWS_AS(grow_table(*disk, table, {last_partition(table)}), Error);
}

TEST_CASE("a disk beyond what a protective entry can count") {
    const auto disk = gpt_disk(3ull << 40, 20 * kMiB, {{2048, 4095}});
    const PartitionTable table = read_partitions(*disk);
    const TableGrowth growth = grow_table(*disk, table, {last_partition(table)});
    write(*disk, growth);
    CHECK(growth.new_length == (3ull << 40) - 2 * kMiB);
    CHECK(protective_sectors(*disk) == std::numeric_limits<std::uint32_t>::max());
    CHECK(read_partitions(*disk).remarks.empty());
}

TEST_CASE("a primary partition of an MBR grows, as far as its numbers go") {
    const auto disk = mbr_disk(30 * kMiB + 512, {{0x83, 2048, 2048}, {0x83, 8192, 2048}, {0x82, 4096, 2048}});
    const PartitionTable table = read_partitions(*disk);
    const Partition* last = last_partition(table);
    REQUIRE(last->number == 2);
    const TableGrowth growth = grow_table(*disk, table, {last});
    write(*disk, growth);
    CHECK(growth.new_length == 26 * kMiB);
    const PartitionTable after = read_partitions(*disk);
    CHECK(after.partitions[1].offset == 4 * kMiB);
    CHECK(after.partitions[1].length == 26 * kMiB);
    CHECK(after.partitions[0].length == kMiB);
    const auto large = mbr_disk(5ull << 40, {{0x83, 2048, 2048}});
    const PartitionTable small = read_partitions(*large);
    const TableGrowth most = grow_table(*large, small, {last_partition(small)});
    CHECK(most.new_length == (std::numeric_limits<std::uint32_t>::max() - 2048ull) * 512);
    CHECK(most.uncounted == (5ull << 40) - std::numeric_limits<std::uint32_t>::max() * 512ull);
    CHECK(growth.uncounted == 0);
    CHECK(grow_table(*disk, after, {last_partition(after)}).reason.find("no room") != std::string::npos);
}

TEST_CASE("an old backup goes wherever it is, but for what lies in a partition or is none") {
    const auto backup_goes = [](const std::shared_ptr<MemoryDevice>& disk, std::uint64_t sector) {
        const PartitionTable table = read_partitions(*disk);
        Bytes before(512);
        Bytes after(512);
        disk->read_at(sector * 512, before);
        write(*disk, grow_table(*disk, table, {last_partition(table)}));
        disk->read_at(sector * 512, after);
        CHECK(read_partitions(*disk).remarks.empty());
        return before != after;
    };
    const std::uint64_t old_last = 10 * kMiB / 512 - 1;
    CHECK(backup_goes(gpt_disk(30 * kMiB, 10 * kMiB, {{2048, 4095}}), old_last));
    const auto overwritten = gpt_disk(30 * kMiB, 10 * kMiB, {{2048, 4095}});
    overwritten->put(old_last * 512, Bytes(512, std::byte{'x'}));
    CHECK_FALSE(backup_goes(overwritten, old_last));
    const auto elsewhere = gpt_disk(30 * kMiB, 10 * kMiB, {{2048, 4095}});
    Bytes moved(512);
    elsewhere->read_at(old_last * 512, moved);
    store_le<std::uint64_t>(moved.data() + 24, old_last - 1);
    elsewhere->put(old_last * 512, moved);
    CHECK_FALSE(backup_goes(elsewhere, old_last));
}

TEST_CASE("no table, nothing to grow") {
    const MemoryDevice disk(kMiB);
    const PartitionTable table = read_partitions(disk);
    CHECK(last_partition(table) == nullptr);
    CHECK(grow_table(disk, table, {}).writes.empty());
}
