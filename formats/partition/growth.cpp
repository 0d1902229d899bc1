#include "formats/partition/growth.hpp"

#include "formats/base/checked.hpp"
#include "formats/partition/growth_tables.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

std::uint64_t end_of(const Partition& partition) {
    return partition.offset + partition.length;
}

bool lies_in(const Partition& partition, const Partition& extended) {
    return partition.role == PartitionRole::logical && partition.offset >= extended.offset &&
           end_of(partition) <= end_of(extended);
}

// Of those that `is_meant`, the one that ends last.
template <class Condition>
const Partition* last_of(const PartitionTable& table, Condition is_meant) {
    const Partition* last = nullptr;
    for (const Partition& partition : table.partitions)
        if (is_meant(partition) && (last == nullptr || end_of(partition) > end_of(*last)))
            last = &partition;
    return last;
}

const Partition* extended_of(const PartitionTable& table, const Partition& logical) {
    return last_of(
        table, [&](const Partition& each) { return each.role == PartitionRole::extended && lies_in(logical, each); });
}

} // namespace

std::optional<std::uint64_t> tables::place_at_end(std::uint64_t offset, std::uint64_t length, std::uint64_t limit) {
    if (length > limit)
        return std::nullopt;
    const std::uint64_t place = align_down(limit - length, kPartitionAlignment);
    return place > offset ? std::optional(place) : std::nullopt;
}

const Partition* last_partition(const PartitionTable& table) {
    const Partition* last = last_of(table, [](const Partition&) { return true; });
    if (last == nullptr || last->role != PartitionRole::extended)
        return last;
    const Partition* inside = last_of(table, [&](const Partition& each) { return lies_in(each, *last); });
    return inside == nullptr ? last : inside;
}

const Partition* moves_with(const PartitionTable& table, const Partition& last,
                            const std::function<bool(const Partition&)>& can_move) {
    if (last.role == PartitionRole::extended || !can_move(last))
        return nullptr;
    const Partition* extended = last.role == PartitionRole::logical ? extended_of(table, last) : nullptr;
    if (extended == nullptr)
        return &last;
    const bool whole = std::ranges::all_of(
        table.partitions, [&](const Partition& each) { return !lies_in(each, *extended) || can_move(each); });
    return whole ? extended : &last;
}

const Partition* partition_before(const PartitionTable& table, const Partition& moves) {
    const bool is_inside = moves.role == PartitionRole::logical;
    const Partition* before = last_of(table, [&](const Partition& each) {
        return end_of(each) <= moves.offset && is_inside == (each.role == PartitionRole::logical);
    });
    return before != nullptr && before->role == PartitionRole::extended ? nullptr : before;
}

TableGrowth grow_table(const BlockDevice& disk, const PartitionTable& table, const PartitionRoom& room) {
    if (table.kind == TableKind::gpt)
        return tables::grow_gpt(disk, table, room);
    if (table.kind == TableKind::mbr)
        return tables::grow_mbr(disk, table, room);
    return {};
}

} // namespace vm2oci
