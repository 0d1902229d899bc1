#include "formats/base/checked.hpp"
#include "formats/base/endian.hpp"
#include "formats/base/error.hpp"
#include "formats/base/utf16.hpp"
#include "formats/partition/tables.hpp"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace vm2oci::tables {
namespace {

constexpr std::uint32_t kHeaderSizeMin = 92;
constexpr std::uint32_t kEntrySizeMin = 128;
constexpr std::uint32_t kEntrySizeMax = 4096; // UEFI allows any 128 × 2^n; no tool writes more than 128
constexpr std::size_t kHeaderCrcAt = 16;
constexpr std::size_t kNameAt = 56;
constexpr std::size_t kNameUnits = 36;
constexpr std::uint64_t kLegacyBootable = 1u << 2;

struct Gpt {
    std::uint64_t sector_size = 0;
    std::uint64_t own_sector = 0;
    std::uint64_t other_sector = 0;
    std::uint64_t first_usable = 0;
    std::uint64_t last_usable = 0;
    std::uint64_t entries_sector = 0;
    std::uint32_t entry_count = 0;
    std::uint32_t entry_size = 0;
    std::uint32_t entries_crc = 0;
    std::string disk_id;
    std::vector<std::byte> entries;
};

std::uint32_t crc32(std::span<const std::byte> bytes) {
    return libdeflate_crc32(0, bytes.data(), bytes.size());
}

// Mixed-endian, as UEFI stores GUIDs.
std::string format_guid(const std::byte* at) {
    std::string text = fmt::format("{:08x}-{:04x}-{:04x}-", load_le<std::uint32_t>(at), load_le<std::uint16_t>(at + 4),
                                   load_le<std::uint16_t>(at + 6));
    for (int i = 8; i < 16; ++i) {
        if (i == 10)
            text += '-';
        text += fmt::format("{:02x}", std::to_integer<unsigned>(at[i]));
    }
    return text;
}

std::string read_name(const std::byte* at) {
    std::vector<std::uint16_t> units;
    for (std::size_t i = 0; i < kNameUnits; ++i) {
        const std::uint16_t unit = load_le<std::uint16_t>(at + 2 * i);
        if (unit == 0)
            break;
        units.push_back(unit);
    }
    return utf16_to_utf8(units);
}

// The header at `sector` and its entries, or why they are not to be trusted.
Gpt read_header(const BlockDevice& disk, std::uint64_t sector, std::uint64_t sector_size) {
    const std::uint64_t disk_sectors = disk.size() / sector_size;
    std::vector<std::byte> bytes(sector_size);
    disk.read_at(checked_multiply(sector, sector_size, "GPT header offset"), bytes);
    const std::byte* at = bytes.data();
    if (std::memcmp(at, kGptSignature.data(), kGptSignature.size()) != 0)
        fail(ErrorKind::corrupt, "no GPT header");
    const std::uint32_t header_size = load_le<std::uint32_t>(at + 12);
    if (header_size < kHeaderSizeMin || header_size > sector_size)
        fail(ErrorKind::corrupt, fmt::format("GPT header size {} is not legal", header_size));
    const std::uint32_t stored_crc = load_le<std::uint32_t>(at + kHeaderCrcAt);
    std::vector<std::byte> zeroed(bytes.begin(), bytes.begin() + header_size);
    store_le<std::uint32_t>(zeroed.data() + kHeaderCrcAt, 0);
    if (crc32(zeroed) != stored_crc)
        fail(ErrorKind::corrupt, "GPT header checksum is wrong");

    Gpt gpt;
    gpt.sector_size = sector_size;
    gpt.own_sector = load_le<std::uint64_t>(at + 24);
    gpt.other_sector = load_le<std::uint64_t>(at + 32);
    gpt.first_usable = load_le<std::uint64_t>(at + 40);
    gpt.last_usable = load_le<std::uint64_t>(at + 48);
    gpt.disk_id = format_guid(at + 56);
    gpt.entries_sector = load_le<std::uint64_t>(at + 72);
    gpt.entry_count = load_le<std::uint32_t>(at + 80);
    gpt.entry_size = load_le<std::uint32_t>(at + 84);
    gpt.entries_crc = load_le<std::uint32_t>(at + 88);
    if (gpt.own_sector != sector)
        fail(ErrorKind::corrupt, "GPT header names another sector as its own");
    if (gpt.entry_size < kEntrySizeMin || gpt.entry_size > kEntrySizeMax || !std::has_single_bit(gpt.entry_size))
        fail(ErrorKind::corrupt, fmt::format("GPT entry size {} is not legal", gpt.entry_size));
    const std::uint64_t table_bytes = std::uint64_t{gpt.entry_count} * gpt.entry_size;
    if (gpt.entry_count > kMaxGptEntries || table_bytes > kMaxGptTableBytes)
        fail(ErrorKind::limit,
             fmt::format("GPT has {} entries of {} bytes: no real table has so many", gpt.entry_count, gpt.entry_size));
    if (gpt.first_usable > gpt.last_usable || gpt.last_usable >= disk_sectors)
        fail(ErrorKind::corrupt, "GPT usable area does not lie on the disk: the disk was cut off, or its table is "
                                 "damaged");
    const std::uint64_t table_sectors = divide_up(table_bytes, sector_size);
    if (gpt.entries_sector < 2 || gpt.entries_sector >= disk_sectors ||
        table_sectors > disk_sectors - gpt.entries_sector)
        fail(ErrorKind::corrupt, "GPT entries do not lie on the disk");
    const auto usable_covers = [&](std::uint64_t first, std::uint64_t last) {
        return first <= gpt.last_usable && last >= gpt.first_usable;
    };
    if (usable_covers(0, 1) || usable_covers(sector, sector) ||
        (table_sectors != 0 && usable_covers(gpt.entries_sector, gpt.entries_sector + table_sectors - 1)))
        fail(ErrorKind::corrupt, "GPT usable area covers the table itself");
    gpt.entries.resize(table_bytes);
    disk.read_at(gpt.entries_sector * sector_size, gpt.entries);
    if (crc32(gpt.entries) != gpt.entries_crc)
        fail(ErrorKind::corrupt, "GPT entries checksum is wrong");
    return gpt;
}

struct Attempt {
    std::optional<Gpt> gpt;
    std::string problem;
    ErrorKind kind = ErrorKind::corrupt;
};

Attempt try_header(const BlockDevice& disk, std::uint64_t sector, std::uint64_t sector_size) {
    Attempt attempt;
    try {
        attempt.gpt = read_header(disk, sector, sector_size);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
            throw;
        attempt.problem = error.message();
        attempt.kind = error.kind();
    }
    return attempt;
}

Gpt find_gpt(const BlockDevice& disk, PartitionTable& table) {
    const std::uint64_t sector_size = gpt_sector_size(disk);
    const std::uint64_t sectors = disk.size() / sector_size;
    if (sectors < 4)
        fail(ErrorKind::corrupt, "the disk is too small for the GPT that its first sector announces");
    Attempt primary = try_header(disk, 1, sector_size);
    const std::uint64_t backup_sector = primary.gpt ? primary.gpt->other_sector : sectors - 1;
    Attempt backup;
    if (backup_sector > 1 && backup_sector < sectors)
        backup = try_header(disk, backup_sector, sector_size);
    else
        backup.problem = "it lies beyond the end of the disk";
    if (!primary.gpt && !backup.gpt)
        fail(primary.kind,
             fmt::format("the partition table is damaged: {}; its backup: {}", primary.problem, backup.problem));
    if (primary.gpt && !backup.gpt)
        table.remarks.push_back("the backup GPT at the end of the disk is not good: " + backup.problem);
    else if (!primary.gpt)
        table.remarks.push_back("the primary GPT is damaged, its backup was read: " + primary.problem);
    else if (primary.gpt->disk_id != backup.gpt->disk_id || primary.gpt->entries_crc != backup.gpt->entries_crc)
        table.remarks.push_back("the primary GPT and its backup differ; the primary was read");
    else if (backup_sector != sectors - 1)
        table.remarks.push_back("the backup GPT does not stand at the end of the disk");
    return std::move(primary.gpt ? *primary.gpt : *backup.gpt);
}

// A hybrid MBR is read by some and not by others: it must say the same as the GPT, or the disk means two things.
void refuse_contradiction(const Mbr& mbr, PartitionTable& table) {
    bool hybrid = false;
    for (const MbrEntry& entry : mbr.entries) {
        if (entry.type == 0 || entry.type == kTypeProtective || entry.sectors == 0)
            continue;
        hybrid = true;
        const std::uint64_t offset = entry.start_sector * table.sector_size;
        const std::uint64_t length = entry.sectors * table.sector_size;
        if (std::none_of(table.partitions.begin(), table.partitions.end(), [&](const Partition& partition) {
                return partition.offset == offset && partition.length == length;
            }))
            fail(ErrorKind::corrupt, "the hybrid MBR contradicts the GPT: programs would see different partitions");
    }
    if (hybrid)
        table.remarks.push_back("a hybrid MBR repeats partitions of the GPT");
}

} // namespace

void read_gpt_partitions(const BlockDevice& disk, const Mbr& mbr, PartitionTable& table) {
    const Gpt gpt = find_gpt(disk, table);
    table.id = gpt.disk_id;
    table.sector_size = gpt.sector_size;
    for (std::uint32_t i = 0; i < gpt.entry_count; ++i) {
        const std::byte* at = gpt.entries.data() + std::size_t{i} * gpt.entry_size;
        if (is_zero(std::span(at, 16)))
            continue;
        Partition partition;
        partition.number = i + 1;
        const std::uint64_t first = load_le<std::uint64_t>(at + 32);
        const std::uint64_t last = load_le<std::uint64_t>(at + 40);
        if (first > last || first < gpt.first_usable || last > gpt.last_usable)
            fail(ErrorKind::corrupt, fmt::format("partition {} lies outside the usable area of its GPT", i + 1));
        partition.offset = first * gpt.sector_size;
        partition.length = (last - first + 1) * gpt.sector_size;
        partition.type = format_guid(at);
        partition.type_name = gpt_type_name(partition.type);
        partition.uuid = format_guid(at + 16);
        partition.name = read_name(at + kNameAt);
        partition.attributes = load_le<std::uint64_t>(at + 48);
        partition.active = (partition.attributes & kLegacyBootable) != 0;
        table.partitions.push_back(std::move(partition));
    }
    refuse_contradiction(mbr, table);
}

} // namespace vm2oci::tables

namespace vm2oci {

// Disks are addressed in sectors of 512 bytes nearly always; the table tells, since its header stands in sector 1.
std::uint64_t gpt_sector_size(const BlockDevice& disk) {
    for (const std::uint64_t size : {std::uint64_t{512}, std::uint64_t{4096}}) {
        std::array<std::byte, 8> magic;
        if (disk.size() < 3 * size)
            break;
        disk.read_at(size, magic);
        if (std::memcmp(magic.data(), tables::kGptSignature.data(), magic.size()) == 0)
            return size;
    }
    return 512;
}

} // namespace vm2oci
