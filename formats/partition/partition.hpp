// Partition tables as data: MBR with extended and logical partitions, and GPT.
//
// Sources: UEFI Specification 2.10, chapter 5 (GPT, protective MBR); the numbering is Linux's (block/partitions/).
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// More than any disk that boots has; bounds the chain of extended boot records.
inline constexpr unsigned kMaxLogicalPartitions = 128;
// The customary table has 128; 4096 of the smallest entries are 512 KiB.
inline constexpr std::uint32_t kMaxGptEntries = 4096;
inline constexpr std::uint64_t kMaxGptTableBytes = 2ull * 1024 * 1024;

enum class TableKind { none, mbr, gpt };
std::string_view to_string(TableKind kind);

enum class PartitionRole { primary, extended, logical };

struct Partition {
    unsigned number = 0; // as Linux names it: sda1 is 1; logical ones begin at 5
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    PartitionRole role = PartitionRole::primary;
    std::string type;             // "0x83", or the GPT type in lower case
    std::string type_name;        // "Linux", "EFI system"; empty when not known
    std::string name;             // GPT only: UTF-8, untrusted
    std::string uuid;             // PARTUUID in lower case, as udev writes it
    std::uint64_t attributes = 0; // GPT only: its flags, as they stand there
    bool active = false;          // MBR: the boot flag; GPT: "legacy BIOS bootable"
};

struct PartitionTable {
    TableKind kind = TableKind::none;
    std::string id;                    // disk GUID, or the MBR's signature as 8 digits
    std::uint64_t sector_size = 512;   // the unit of the table
    std::vector<Partition> partitions; // by number; extended ones included
    bool has_boot_code = false;        // the first sector holds x86 code
    std::vector<std::string> remarks;  // what is odd and was read all the same
};

// kind none: no table (a whole-disk file system, or nothing). Error{corrupt} for a table that breaks its format or
// contradicts itself, Error{limit} for one that is larger than any real one. Reads a few sectors.
PartitionTable read_partitions(const BlockDevice& disk);

// The unit that a GPT counts in, told by where its header stands: 512, or 4096. 512 without one. Reads 16 bytes.
std::uint64_t gpt_sector_size(const BlockDevice& disk);

// The partition as a disk of its own.
std::shared_ptr<const BlockDevice> open_partition(std::shared_ptr<const BlockDevice> disk, const Partition& partition);

// Type codes that matter to us.
namespace partition_type {
inline constexpr std::string_view gpt_efi_system = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b";
inline constexpr std::string_view gpt_bios_boot = "21686148-6449-6e6f-744e-656564454649";
} // namespace partition_type

bool is_efi_system(const Partition& partition);
bool is_bios_boot(const Partition& partition);

} // namespace vm2oci
