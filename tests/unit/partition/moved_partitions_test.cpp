// Logical partitions that grow, and swap that makes room: tables as installers write them, read again by the reader
// that holds everything against everything.
#include "formats/base/endian.hpp"
#include "formats/partition/growth.hpp"
#include "tests/support/memory_device.hpp"

#include <catch2/catch.hpp>

#include <functional>

using namespace vm2oci;
using namespace vm2oci::test;

namespace {

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint32_t kPerMiB = 2048; // sectors

using Bytes = std::vector<std::byte>;

struct Row {
    std::uint8_t type;
    std::uint32_t start;
    std::uint32_t sectors;
};

void put_row(Bytes& table, std::size_t index, const Row& row) {
    std::byte* at = table.data() + 446 + 16 * index;
    at[4] = std::byte{row.type};
    store_le<std::uint32_t>(at + 8, row.start);
    store_le<std::uint32_t>(at + 12, row.sectors);
}

Bytes empty_table() {
    Bytes table(512);
    table[510] = std::byte{0x55};
    table[511] = std::byte{0xaa};
    return table;
}

// Logical partitions by where they lie on the disk, each with its record `gap` sectors before it: 2 by parted (Debian's
// and Ubuntu's installers), 63 by heads and cylinders (before 2010), 2048 by fdisk; the first record heads the extended
// partition.
void put_chain(MemoryDevice& disk, std::uint32_t extended, const std::vector<Row>& logical, std::uint32_t gap) {
    for (std::size_t i = 0; i < logical.size(); ++i) {
        const auto record_of = [&](std::size_t index) { return index == 0 ? extended : logical[index].start - gap; };
        Bytes table = empty_table();
        put_row(table, 0, {logical[i].type, logical[i].start - record_of(i), logical[i].sectors});
        if (i + 1 < logical.size()) {
            const Row& next = logical[i + 1];
            put_row(table, 1, {0x05, record_of(i + 1) - extended, next.start + next.sectors - record_of(i + 1)});
        }
        disk.put(std::uint64_t{record_of(i)} * 512, table);
    }
}

std::shared_ptr<MemoryDevice> disk_with(std::uint64_t size, const std::vector<Row>& primary) {
    auto disk = std::make_shared<MemoryDevice>(size);
    Bytes table = empty_table();
    for (std::size_t i = 0; i < primary.size(); ++i)
        put_row(table, i, primary[i]);
    disk->put(0, table);
    return disk;
}

const Partition& number(const PartitionTable& table, unsigned wanted) {
    for (const Partition& partition : table.partitions)
        if (partition.number == wanted)
            return partition;
    throw std::out_of_range("no such partition");
}

bool is_swap(const Partition& partition) {
    return partition.type == "0x82";
}

// The room that a guest's disk has when swap lies last and what lies before is to grow.
PartitionRoom room_before_swap(const PartitionTable& table) {
    const Partition* moves = moves_with(table, *last_partition(table), is_swap);
    return {moves == nullptr ? nullptr : partition_before(table, *moves), moves};
}

PartitionTable grown(MemoryDevice& disk, const PartitionRoom& room, const PartitionTable& table) {
    const TableGrowth growth = grow_table(disk, table, room);
    CHECK(growth.reason.empty());
    for (const DiskWrite& change : growth.writes)
        disk.put(change.offset, change.bytes);
    return read_partitions(disk);
}

// The sectors of a link's own range, as the record at `record` says it.
std::uint32_t length_of_link(const BlockDevice& disk, std::uint64_t record) {
    Bytes table(512);
    disk.read_at(record * 512, table);
    return load_le<std::uint32_t>(table.data() + 446 + 16 + 12);
}

} // namespace

TEST_CASE("a logical partition grows with the extended one around it") {
    // Ubuntu's server installer with LVM: /boot, and the physical volume as the only logical partition.
    const std::uint32_t gap = GENERATE(2u, 63u, 2048u);
    const std::uint8_t type = GENERATE(std::uint8_t{0x05}, std::uint8_t{0x0f}, std::uint8_t{0x85});
    INFO(gap << " " << int{type});
    const std::uint32_t start = 500 * kPerMiB;
    const auto disk =
        disk_with(4096 * kMiB, {{0x83, 2048, 499 * kPerMiB - gap}, {type, start - gap, 1000 * kPerMiB + gap}});
    put_chain(*disk, start - gap, {{0x8e, start, 1000 * kPerMiB}}, gap);
    const PartitionTable before = read_partitions(*disk);
    const Partition* last = last_partition(before);
    REQUIRE(last != nullptr);
    CHECK(last->number == 5);
    const PartitionTable after = grown(*disk, {last}, before);
    CHECK(after.remarks.empty());
    REQUIRE(after.partitions.size() == 3);
    CHECK(number(after, 5).offset == 500 * kMiB);
    CHECK(number(after, 5).length == 3596 * kMiB);
    CHECK(number(after, 2).offset + number(after, 2).length == 4096 * kMiB);
    CHECK(number(after, 1).length == number(before, 1).length);
}

TEST_CASE("the last of several logical partitions grows, and the link that leads to it says so") {
    const auto disk = disk_with(2000 * kMiB, {{0x83, 2048, 8192}, {0x05, 20480, 300 * kPerMiB}, {0x07, 12288, 4096}});
    // The extended partition reaches further than what is in it.
    put_chain(*disk, 20480, {{0x83, 22528, 2048}, {0x83, 40960, 4096}, {0x83, 61440, 2048}}, 2048);
    const PartitionTable before = read_partitions(*disk);
    const Partition* last = last_partition(before);
    REQUIRE(last != nullptr);
    CHECK(last->number == 7);
    const PartitionTable after = grown(*disk, {last}, before);
    CHECK(number(after, 7).length == 2000 * kMiB - 61440 * 512);
    CHECK(length_of_link(*disk, 40960 - 2048) == 2000 * kPerMiB - (61440 - 2048));
    for (const unsigned same : {1u, 3u, 5u, 6u}) {
        CHECK(number(after, same).offset == number(before, same).offset);
        CHECK(number(after, same).length == number(before, same).length);
    }
}

TEST_CASE("swap in an extended partition of its own goes to the end, and the root has its place") {
    // Debian's and Ubuntu's guided partitioning: everything in one partition, and swap behind it.
    const std::uint32_t gap = GENERATE(2u, 2048u);
    const std::uint32_t start = 900 * kPerMiB;
    const auto disk =
        disk_with(3000 * kMiB + 512, {{0x83, 2048, 899 * kPerMiB - gap}, {0x05, start - gap, 100 * kPerMiB + gap}});
    const bool has_two = GENERATE(false, true);
    if (has_two)
        put_chain(*disk, start - gap, {{0x82, start, 40 * kPerMiB}, {0x82, start + 50 * kPerMiB, 50 * kPerMiB}}, gap);
    else
        put_chain(*disk, start - gap, {{0x82, start, 100 * kPerMiB}}, gap);
    const PartitionTable before = read_partitions(*disk);
    const PartitionRoom room = room_before_swap(before);
    REQUIRE(room.moves != nullptr);
    CHECK(room.moves->number == 2);
    REQUIRE(room.grows != nullptr);
    CHECK(room.grows->number == 1);
    const PartitionTable after = grown(*disk, room, before);
    CHECK(after.remarks.empty());
    CHECK(after.partitions.size() == before.partitions.size());
    const Partition& extended = number(after, 2);
    CHECK(extended.length == number(before, 2).length);
    CHECK(extended.offset + extended.length <= 3000 * kMiB);
    CHECK(extended.offset + extended.length > 2998 * kMiB);
    CHECK(number(after, 1).offset + number(after, 1).length == extended.offset);
    for (const unsigned moved : has_two ? std::vector<unsigned>{5, 6} : std::vector<unsigned>{5}) {
        CHECK(number(after, moved).length == number(before, moved).length);
        CHECK(number(after, moved).offset - extended.offset == number(before, moved).offset - number(before, 2).offset);
    }
    // What was a record is none any more, in the middle of the root.
    Bytes old(512);
    disk->read_at((start - gap) * 512ull, old);
    CHECK(is_zero(old));
}

TEST_CASE("swap that is the last of several logical partitions goes alone") {
    const auto disk = disk_with(2000 * kMiB, {{0x83, 2048, 100 * kPerMiB}, {0x0f, 102 * kPerMiB, 398 * kPerMiB}});
    put_chain(*disk, 102 * kPerMiB,
              {{0x83, 103 * kPerMiB, 96 * kPerMiB},
               {0x83, 200 * kPerMiB, 199 * kPerMiB},
               {0x82, 400 * kPerMiB, 100 * kPerMiB}},
              kPerMiB);
    const PartitionTable before = read_partitions(*disk);
    const PartitionRoom room = room_before_swap(before);
    REQUIRE(room.moves != nullptr);
    CHECK(room.moves->number == 7);
    REQUIRE(room.grows != nullptr);
    CHECK(room.grows->number == 6);
    const PartitionTable after = grown(*disk, room, before);
    CHECK(number(after, 7).offset == 1900 * kMiB);
    CHECK(number(after, 7).length == 100 * kMiB);
    CHECK(number(after, 6).length == (1899 - 200) * kMiB); // its record lies between
    CHECK(number(after, 5).length == 96 * kMiB);
    CHECK(number(after, 2).length == (2000 - 102) * kMiB);
}

TEST_CASE("swap that heads the chain of logical partitions stays, for the chain begins with it") {
    const auto disk = disk_with(2000 * kMiB, {{0x83, 2048, 2048}, {0x05, 8192, 300 * kPerMiB}});
    put_chain(*disk, 8192, {{0x82, 200 * kPerMiB, 50 * kPerMiB}, {0x83, 100 * kPerMiB, 50 * kPerMiB}}, 64);
    // Links go forwards; a first record with two rows does not.
    Bytes record = empty_table();
    put_row(record, 0, {0x82, 200 * kPerMiB - 8192, 50 * kPerMiB});
    put_row(record, 1, {0x83, 100 * kPerMiB - 8192, 50 * kPerMiB});
    disk->put(8192 * 512, record);
    const PartitionTable before = read_partitions(*disk);
    const PartitionRoom room = room_before_swap(before);
    REQUIRE(room.moves != nullptr);
    const TableGrowth growth = grow_table(*disk, before, room);
    CHECK_FALSE(growth.moved_to);
    CHECK_FALSE(growth.new_length);
    CHECK_FALSE(growth.reason.empty());
    CHECK(growth.writes.empty());
}

TEST_CASE("swap in a primary partition makes room for what lies before it") {
    const auto disk = disk_with(
        1000 * kMiB,
        {{0x82, 300 * kPerMiB, 100 * kPerMiB}, {0x83, kPerMiB, 200 * kPerMiB}, {0x83, 201 * kPerMiB, 99 * kPerMiB}});
    const PartitionTable before = read_partitions(*disk);
    const PartitionRoom room = room_before_swap(before);
    REQUIRE(room.grows != nullptr);
    CHECK(room.grows->number == 3);
    const PartitionTable after = grown(*disk, room, before);
    CHECK(number(after, 1).offset == 900 * kMiB);
    CHECK(number(after, 3).length == (900 - 201) * kMiB);
    CHECK(number(after, 2).length == 200 * kMiB);
}

TEST_CASE("nothing grows over an extended partition, and nothing moves that must not") {
    const auto disk = disk_with(1000 * kMiB, {{0x83, 2048, 2048}, {0x05, 8192, 8192}, {0x82, 20480, 2048}});
    put_chain(*disk, 8192, {{0x83, 10240, 4096}}, 2048);
    const PartitionTable table = read_partitions(*disk);
    const Partition* moves = moves_with(table, *last_partition(table), is_swap);
    REQUIRE(moves != nullptr);
    CHECK(moves->number == 3);
    CHECK(partition_before(table, *moves) == nullptr);
    CHECK(moves_with(table, number(table, 1), is_swap) == nullptr);
    // An empty one is last: there is nothing in it that could grow.
    const auto empty = disk_with(1000 * kMiB, {{0x83, 2048, 2048}, {0x05, 8192, 8192}});
    empty->put(8192 * 512, empty_table());
    const PartitionTable alone = read_partitions(*empty);
    CHECK(last_partition(alone)->role == PartitionRole::extended);
    CHECK(moves_with(alone, *last_partition(alone), is_swap) == nullptr);
    CHECK_FALSE(grow_table(*empty, alone, {last_partition(alone)}).new_length);
    const auto two = disk_with(1000 * kMiB, {{0x05, 2048, 2048}, {0x05, 8192, 8192}, {0x83, 20480, 2048}});
    two->put(2048 * 512, empty_table());
    two->put(8192 * 512, empty_table());
    const PartitionTable odd = read_partitions(*two);
    CHECK(grow_table(*two, odd, {last_partition(odd)}).reason.find("extended") != std::string::npos);
}

TEST_CASE("swap has nowhere to go on a disk that is hardly larger") {
    const auto disk =
        disk_with(400 * kMiB + 512, {{0x83, kPerMiB, 199 * kPerMiB}, {0x82, 200 * kPerMiB, 200 * kPerMiB}});
    const PartitionTable table = read_partitions(*disk);
    const TableGrowth growth = grow_table(*disk, table, room_before_swap(table));
    CHECK_FALSE(growth.moved_to);
    CHECK(growth.writes.empty());
    CHECK(growth.reason.find("no room") != std::string::npos);
}
