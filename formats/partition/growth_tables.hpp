// Inside of the room: what grows either kind of table, as grow_table() does.
#pragma once

#include "formats/partition/growth.hpp"

namespace vm2oci::tables {

TableGrowth grow_gpt(const BlockDevice& disk, const PartitionTable& table, const PartitionRoom& room);
TableGrowth grow_mbr(const BlockDevice& disk, const PartitionTable& table, const PartitionRoom& room);

// Where something of `length` bytes begins that ends at or before `limit`, at the table's alignment; none: it would not
// lie behind `offset`, where it begins now.
std::optional<std::uint64_t> place_at_end(std::uint64_t offset, std::uint64_t length, std::uint64_t limit);

} // namespace vm2oci::tables
