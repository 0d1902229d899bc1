#include "formats/partition/partition.hpp"

#include "formats/base/error.hpp"
#include "formats/block/slice.hpp"
#include "formats/partition/tables.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

void refuse_overlaps(const PartitionTable& table) {
    std::vector<const Partition*> order;
    for (const Partition& partition : table.partitions)
        if (partition.role != PartitionRole::extended)
            order.push_back(&partition);
    std::sort(order.begin(), order.end(), [](const Partition* a, const Partition* b) { return a->offset < b->offset; });
    for (std::size_t i = 1; i < order.size(); ++i)
        if (order[i]->offset < order[i - 1]->offset + order[i - 1]->length)
            fail(ErrorKind::corrupt, fmt::format("partitions {} and {} overlap: repair the partition table first",
                                                 order[i - 1]->number, order[i]->number));
}

} // namespace

std::string_view to_string(TableKind kind) {
    switch (kind) {
    case TableKind::none:
        return "none";
    case TableKind::mbr:
        return "mbr";
    case TableKind::gpt:
        return "gpt";
    }
    return "none";
}

PartitionTable read_partitions(const BlockDevice& disk) {
    PartitionTable table;
    const std::optional<tables::Mbr> mbr = tables::read_mbr(disk);
    const auto tell_foreign_table = [&] {
        if (const std::string_view foreign = tables::foreign_table(disk); !foreign.empty())
            table.remarks.push_back(fmt::format("the disk is divided by {}, which is not read", foreign));
        return table;
    };
    if (!mbr)
        return tell_foreign_table();
    table.has_boot_code = mbr->has_boot_code;
    const bool protective = std::any_of(mbr->entries.begin(), mbr->entries.end(),
                                        [](const auto& entry) { return entry.type == tables::kTypeProtective; });
    if (protective) {
        table.kind = TableKind::gpt;
        tables::read_gpt_partitions(disk, *mbr, table);
    } else {
        const bool any = std::any_of(mbr->entries.begin(), mbr->entries.end(),
                                     [](const auto& entry) { return entry.type != 0 && entry.sectors != 0; });
        if (!any) // boot code in front of a whole-disk file system, or of nothing
            return tell_foreign_table();
        table.kind = TableKind::mbr;
        tables::read_mbr_partitions(disk, *mbr, table);
    }
    std::sort(table.partitions.begin(), table.partitions.end(),
              [](const Partition& a, const Partition& b) { return a.number < b.number; });
    refuse_overlaps(table);
    return table;
}

std::shared_ptr<const BlockDevice> open_partition(std::shared_ptr<const BlockDevice> disk, const Partition& partition) {
    return std::make_shared<SliceDevice>(std::move(disk), partition.offset, partition.length);
}

bool is_efi_system(const Partition& partition) {
    return partition.type == partition_type::gpt_efi_system || partition.type == "0xef";
}

bool is_bios_boot(const Partition& partition) {
    return partition.type == partition_type::gpt_bios_boot;
}

} // namespace vm2oci
