// Inside of the room: the readers of the two kinds of tables.
#pragma once

#include "formats/partition/partition.hpp"

#include <array>
#include <limits>
#include <optional>
#include <string_view>

namespace vm2oci::tables {

inline constexpr std::uint64_t kMbrSectorSize = 512;
// Of the table in an MBR and in an extended boot record; and the places in an entry.
inline constexpr std::size_t kMbrEntriesAt = 446;
inline constexpr std::size_t kMbrEntrySize = 16;
inline constexpr std::size_t kMbrEntries = 4;
inline constexpr std::size_t kMbrTypeAt = 4;
inline constexpr std::size_t kMbrStartAt = 8;
inline constexpr std::size_t kMbrLengthAt = 12;
inline constexpr std::uint64_t kMostMbrSectors = std::numeric_limits<std::uint32_t>::max();
inline constexpr unsigned char kTypeProtective = 0xee;
inline constexpr std::string_view kGptSignature = "EFI PART";

struct MbrEntry {
    unsigned char flag = 0;
    unsigned char type = 0;
    std::uint32_t start_sector = 0;
    std::uint32_t sectors = 0;
};

struct Mbr {
    std::array<MbrEntry, 4> entries;
    std::uint32_t disk_id = 0;
    bool has_boot_code = false;
};

bool is_extended(unsigned char type);

// nullopt: no boot signature, a boot flag that no table has, or the boot sector of a FAT or NTFS file system.
std::optional<Mbr> read_mbr(const BlockDevice& disk);
void read_mbr_partitions(const BlockDevice& disk, const Mbr& mbr, PartitionTable& table);
// Error{corrupt} if neither header is good, or if `mbr` contradicts the table.
void read_gpt_partitions(const BlockDevice& disk, const Mbr& mbr, PartitionTable& table);

// A table of another kind, for people: "a disk label of SunOS". Empty: none that is known.
std::string_view foreign_table(const BlockDevice& disk);

std::string_view mbr_type_name(unsigned char type);
std::string_view gpt_type_name(std::string_view guid);

} // namespace vm2oci::tables
