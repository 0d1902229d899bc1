#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/partition/tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vm2oci::tables {
namespace {

using Sector = std::array<std::byte, kMbrSectorSize>;

constexpr std::size_t kDiskIdAt = 440;
constexpr std::size_t kBootCodeSize = 440;
constexpr unsigned kFirstLogicalNumber = 5;

bool has_boot_signature(const Sector& sector) {
    return sector[510] == std::byte{0x55} && sector[511] == std::byte{0xaa};
}

// A FAT or NTFS boot sector ends in the same signature and holds text or code where the table would be.
bool is_file_system_boot_sector(const Sector& sector) {
    const auto text_at = [&](std::size_t at, std::string_view text) {
        return std::memcmp(sector.data() + at, text.data(), text.size()) == 0;
    };
    return text_at(3, "NTFS    ") || text_at(3, "EXFAT   ") || text_at(54, "FAT1") || text_at(82, "FAT32");
}

std::array<MbrEntry, 4> parse_entries(const Sector& sector) {
    std::array<MbrEntry, 4> entries;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const std::byte* at = sector.data() + kMbrEntriesAt + i * kMbrEntrySize;
        entries[i] = {std::to_integer<unsigned char>(at[0]), std::to_integer<unsigned char>(at[kMbrTypeAt]),
                      load_le<std::uint32_t>(at + kMbrStartAt), load_le<std::uint32_t>(at + kMbrLengthAt)};
    }
    return entries;
}

Partition make_partition(const BlockDevice& disk, const MbrEntry& entry, std::uint64_t base_sector, unsigned number,
                         std::uint32_t disk_id) {
    Partition partition;
    partition.number = number;
    const std::uint64_t start = base_sector + entry.start_sector;
    if (start == 0)
        fail(ErrorKind::corrupt, fmt::format("partition {} covers the partition table itself", number));
    if (start + entry.sectors > disk.size() / kMbrSectorSize)
        fail(ErrorKind::corrupt,
             fmt::format("partition {} ends beyond the disk: the disk was cut off, or its table is damaged", number));
    partition.offset = start * kMbrSectorSize;
    partition.length = entry.sectors * kMbrSectorSize;
    partition.type = fmt::format("0x{:02x}", entry.type);
    partition.type_name = mbr_type_name(entry.type);
    partition.uuid = fmt::format("{:08x}-{:02x}", disk_id, number);
    partition.active = entry.flag == 0x80;
    return partition;
}

// Follows one chain of extended boot records: each holds one logical partition and a link to the next record.
void read_extended(const BlockDevice& disk, const MbrEntry& extended, std::uint32_t disk_id, unsigned& next_number,
                   PartitionTable& table) {
    const std::uint64_t first = extended.start_sector;
    const std::uint64_t end = first + extended.sectors;
    std::uint64_t record = first;
    for (;;) {
        Sector sector;
        disk.read_at(record * kMbrSectorSize, sector);
        if (!has_boot_signature(sector)) {
            table.remarks.push_back("an extended boot record has no signature: the chain ends there");
            return;
        }
        const std::array<MbrEntry, 4> entries = parse_entries(sector);
        const MbrEntry* link = nullptr;
        for (const MbrEntry& entry : entries) {
            if (entry.type == 0 || entry.sectors == 0)
                continue;
            if (is_extended(entry.type)) {
                if (link == nullptr)
                    link = &entry;
                continue;
            }
            if (next_number - kFirstLogicalNumber >= kMaxLogicalPartitions)
                fail(ErrorKind::limit,
                     fmt::format("more than {} logical partitions: no real disk has so many", kMaxLogicalPartitions));
            Partition partition = make_partition(disk, entry, record, next_number, disk_id);
            if (partition.offset / kMbrSectorSize <= record ||
                (partition.offset + partition.length) / kMbrSectorSize > end)
                fail(ErrorKind::corrupt,
                     fmt::format("logical partition {} lies outside its extended partition", next_number));
            partition.role = PartitionRole::logical;
            table.partitions.push_back(std::move(partition));
            ++next_number;
        }
        if (link == nullptr)
            return;
        const std::uint64_t next = first + link->start_sector;
        if (next >= end)
            fail(ErrorKind::corrupt, "an extended boot record lies outside its extended partition");
        // Every tool writes forward links; that alone makes the chain finite.
        if (next <= record)
            fail(ErrorKind::corrupt, "the chain of extended boot records runs backwards");
        record = next;
    }
}

} // namespace

bool is_extended(unsigned char type) {
    return type == 0x05 || type == 0x0f || type == 0x85;
}

std::optional<Mbr> read_mbr(const BlockDevice& disk) {
    Sector sector;
    if (disk.size() < sector.size())
        return std::nullopt;
    disk.read_at(0, sector);
    if (!has_boot_signature(sector) || is_file_system_boot_sector(sector))
        return std::nullopt;
    Mbr mbr;
    mbr.entries = parse_entries(sector);
    // Linux' own test for "this is no table": a flag that is neither on nor off.
    if (std::any_of(mbr.entries.begin(), mbr.entries.end(), [](const MbrEntry& e) { return (e.flag & 0x7f) != 0; }))
        return std::nullopt;
    mbr.disk_id = load_le<std::uint32_t>(sector.data() + kDiskIdAt);
    mbr.has_boot_code = !is_zero(std::span(sector).first<kBootCodeSize>());
    return mbr;
}

void read_mbr_partitions(const BlockDevice& disk, const Mbr& mbr, PartitionTable& table) {
    table.id = fmt::format("{:08x}", mbr.disk_id);
    unsigned next_logical = kFirstLogicalNumber;
    for (unsigned i = 0; i < mbr.entries.size(); ++i) {
        const MbrEntry& entry = mbr.entries[i];
        if (entry.type == 0 || entry.sectors == 0)
            continue;
        Partition partition = make_partition(disk, entry, 0, i + 1, mbr.disk_id);
        if (is_extended(entry.type)) {
            partition.role = PartitionRole::extended;
            table.partitions.push_back(std::move(partition));
            read_extended(disk, entry, mbr.disk_id, next_logical, table);
        } else {
            table.partitions.push_back(std::move(partition));
        }
    }
}

} // namespace vm2oci::tables
