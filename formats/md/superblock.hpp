// Inside of the room: what a member of an array says of itself, of either format of its superblock.
//
// Source of the formats: Linux, include/uapi/linux/raid/md_p.h, and what drivers/md/md.c checks in super_90_load,
// super_90_validate, super_1_load and super_1_validate.
#pragma once

#include "formats/block/block_device.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace vm2oci::md {

inline constexpr std::int32_t kLinear = -1;
inline constexpr std::int32_t kStriped = 0;
inline constexpr std::int32_t kMirror = 1;
inline constexpr std::int32_t kParityLevels[] = {4, 5, 6};
inline constexpr std::int32_t kStripedMirrors = 10;

// All sizes and offsets are bytes of the member.
struct Superblock {
    std::array<std::byte, 16> set{};    // which array
    std::string uuid;                   // of the array, as mdadm writes it: four words with colons
    std::string name;                   // "host:name"; empty in 0.90
    std::optional<std::uint32_t> minor; // of 0.90: its number as /dev/md
    std::string version;                // "0.90", "1.0", "1.1", "1.2"
    std::uint64_t place = 0;            // where it stands
    std::int32_t level = 0;
    std::uint32_t members = 0;        // places in the array
    std::uint32_t layout = 0;         // of RAID 10: copies near each other in the lowest byte, far ones in the next
    std::uint64_t chunk = 0;          // 0: none
    std::uint64_t used = 0;           // of each member, where all have the same part in it
    std::uint64_t offset = 0;         // where the array's content begins
    std::uint64_t size = 0;           // of what the member has room for behind `offset`
    std::uint64_t events = 0;         // of two members, the one that has seen fewer is behind
    std::uint32_t number = 0;         // of the device: index into `roles`
    std::vector<std::uint16_t> roles; // of each device that the array has seen; kSpare, kFaulty, kJournal, or its place
    bool is_clean = false;            // parity and copies are known to fit the data
    bool has_journal = false;         // of data, on a device of its own
    bool has_parity_log = false;      // of stripes that were being written
    bool is_recovering = false;       // it is being filled
    bool is_reshaping = false;        // the array is changing its form
    bool has_bad_blocks = false;      // of some of its blocks it is known that they hold something else

    static constexpr std::uint16_t kSpare = 0xffff;
    static constexpr std::uint16_t kFaulty = 0xfffe;
    static constexpr std::uint16_t kJournal = 0xfffd;

    // The place of the device by this table; kSpare for one that the table does not know.
    std::uint16_t role_of(std::uint32_t device) const { return device < roles.size() ? roles[device] : kSpare; }
};

// Error{corrupt}: there is none, or it is damaged; Error{unsupported}: it needs something that is not known.
Superblock read_superblock(const BlockDevice& device);

// Of version 0.90, in its 4096 bytes; `offset`: where they stand.
Superblock parse_superblock_0(std::span<const std::byte> bytes, std::uint64_t offset);

// "11223344:55667788:…" of sixteen bytes.
std::string colon_uuid(std::span<const std::byte> bytes);

} // namespace vm2oci::md
