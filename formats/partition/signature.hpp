// What a partition or a whole disk holds, told by the magic numbers of the formats.
//
// libblkid needs a file descriptor; this reads a BlockDevice. Type names and the way UUIDs are written are libblkid's.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vm2oci {

enum class ContentKind {
    file_system,
    swap,
    volume_group, // an LVM2 physical volume
    encrypted,    // LUKS, BitLocker
    raid,         // a member of an md array
};
std::string_view to_string(ContentKind kind);

struct Signature {
    ContentKind kind = ContentKind::file_system;
    std::string
        type; // "ext4", "xfs", "vfat", "swap", "LVM2_member", "crypto_LUKS", "linux_raid_member", "swsuspend", …
    std::string uuid;    // empty: none
    std::string label;   // raw bytes, untrusted
    std::string version; // "1.2" of md, "2" of LUKS, "FAT32"; empty where it says nothing
};

// Reads at most sixty ranges of at most 4 KiB, and four of 128 KiB where nothing but swap is found. Containers
// (LUKS, LVM, md) go before file systems: what looks like a file system inside the member of an array is not one.
// nullopt: nothing that we know.
std::optional<Signature> probe_signature(const BlockDevice& device);

// The pages of a swap area behind its header, in bytes: up to where its header says that it ends.
struct SwapArea {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// nullopt: what stands where a swap header would is none that Linux (mm/swapfile.c, read_swap_header) takes, or
// something stands before it, where mkswap writes zeros: the content may be anything.
std::optional<SwapArea> read_swap_area(const BlockDevice& device);

} // namespace vm2oci
