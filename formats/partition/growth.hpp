// A disk that has become larger: its table says so, and its last partition reaches to the end.
//
// Sources: UEFI Specification 2.10, chapter 5 (GPT, protective MBR); the MBR as Linux reads it (block/partitions/).
#pragma once

#include "formats/partition/partition.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

// Partitions end on these, so that what aligns itself to a disk's blocks stays aligned.
inline constexpr std::uint64_t kPartitionAlignment = 1024 * 1024;

// Bytes that take the place of others.
struct DiskWrite {
    std::uint64_t offset = 0;
    std::vector<std::byte> bytes;
};

struct TableGrowth {
    std::vector<DiskWrite> writes;
    std::optional<std::uint64_t> new_length; // of the partition that was to grow; none: it cannot, or was none
    std::string reason;                      // why it cannot
};

// The partition that lies last on the disk, behind which nothing is but the table's backup; an
// extended one if that reaches further than the logical ones in it. Null: there is none.
const Partition* last_partition(const PartitionTable& table);

// `disk` has its new size, and its table is `table`, which stands as on one of `old_size`. A GPT's backup moves to the
// end, whether a partition grows or not. `partition`, unless null, is last_partition(). Error{corrupt} for a GPT whose
// primary header is damaged: its owner has that mended first.
TableGrowth grow_table(const BlockDevice& disk, const PartitionTable& table, std::uint64_t old_size,
                       const Partition* partition);

} // namespace vm2oci
