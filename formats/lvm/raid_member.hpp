// Inside of the room: what device-mapper's RAID writes beside each of its members.
//
// Source of the format: Linux, drivers/md/dm-raid.c (struct dm_raid_superblock, super_init_validation).
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <optional>

namespace vm2oci::lvm {

struct RaidMember {
    std::uint32_t position = 0;
    std::uint64_t events = 0;
    std::uint64_t failed = 0; // a bit for each position
    bool is_recovering = false;
    bool is_reshaping = false;
};

// nullopt: nothing was written there yet.
std::optional<RaidMember> read_raid_member(const BlockDevice& metadata);

} // namespace vm2oci::lvm
