// A disk that has become larger: its table says so, and what lies last on it reaches to the end; or goes there, and
// what lies before it takes the room.
//
// Sources: UEFI Specification 2.10, chapter 5 (GPT, protective MBR); the MBR and its chain of extended boot records as
// Linux reads them (block/partitions/msdos.c).
#pragma once

#include "formats/partition/partition.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Partitions begin and end on these, so that what aligns itself to a disk's blocks stays aligned.
inline constexpr std::uint64_t kPartitionAlignment = std::uint64_t{1024} * 1024;

// Bytes that take the place of others.
struct DiskWrite {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
};

// Of the table's partitions.
struct PartitionRoom {
    const Partition* grows = nullptr; // takes the room: last_partition(), or partition_before() what moves; null: none
    const Partition* moves = nullptr; // to the end, as long as it is: what moves_with() last_partition(); null: none
};

struct TableGrowth {
    std::vector<DiskWrite> writes;           // in this order
    std::optional<std::uint64_t> new_length; // of the partition that was to grow; none: it cannot, or was none
    std::optional<std::uint64_t> moved_to;   // where what was to move begins now; what it holds is the caller's to move
    std::string reason;                      // why neither can
    std::uint64_t uncounted = 0;             // bytes at the disk's end that a table of this kind cannot count
};

// The partition that lies last on the disk, behind which nothing is but the table's backup, and of extended ones the
// last in it. An extended one only if it is empty. Null: there is none.
const Partition* last_partition(const PartitionTable& table);

// What has to move so that `last`, which is last_partition(), is out of the way: the extended partition if all that is
// in it `can_move`, else `last`. Null: that cannot.
const Partition* moves_with(const PartitionTable& table, const Partition& last,
                            const std::function<bool(const Partition&)>& can_move);

// The one that lies last before `moves`, and in the same extended partition if that is a logical one. Null: none.
const Partition* partition_before(const PartitionTable& table, const Partition& moves);

// `disk` has its new size, and its table is `table`, as on a smaller one, or on one that was made larger by what knows
// no tables. A GPT's backup moves to the end, whether a partition grows or not. Error{corrupt} for a GPT whose primary
// header is damaged: its owner has that mended first.
TableGrowth grow_table(const BlockDevice& disk, const PartitionTable& table, const PartitionRoom& room);

} // namespace vm2oci
