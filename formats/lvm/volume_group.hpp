// LVM2: volume groups from the text that every physical volume carries, and their logical volumes as disks: linear,
// striped, mirrored by a sound copy, and thin. Old-style snapshots are told, and their origins read.
//
// Source of the format: LVM2, lib/format_text/layout.h and lib/format_text/import_vsn1.c.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

inline constexpr std::uint64_t kMaxLvmTextBytes = 8ull * 1024 * 1024; // the customary area has 1 MiB

struct LvmPhysicalVolume {
    std::string uuid; // as signatures have it, with dashes
    std::shared_ptr<const BlockDevice> device;
};

// A part of a logical volume: where it lies on a physical volume.
struct LvmSegment {
    std::uint64_t offset = 0; // in the logical volume
    std::string uuid;         // of the physical volume
    std::uint64_t physical_offset = 0;
    std::uint64_t length = 0;
};

struct LvmLogicalVolume {
    std::string group;
    std::string name;
    std::shared_ptr<const BlockDevice> device;
    std::vector<LvmSegment> segments; // in order; of a mirror each sound copy; empty: striped or thin
    std::string mapper_uuid; // as LVM names the volume to device-mapper: "LVM-", both identifiers without dashes
    bool is_plain = true;    // each byte lies in one place, and the segments say where
};

// A segment of a physical volume that belongs to no logical volume.
struct LvmFreeSpace {
    std::string uuid; // of the physical volume
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

struct LvmFindings {
    std::vector<LvmLogicalVolume> volumes; // in the order of the metadata
    std::vector<LvmFreeSpace> free;        // only of groups in which every segment is understood
    std::vector<std::string> remarks;      // what could not be read, and why
};

// Never throws for what the disk holds: damaged metadata, missing members and volumes of other kinds (RAID with parity,
// cache, VDO) are remarks. Throws what reading the devices throws.
LvmFindings read_volume_groups(const std::vector<LvmPhysicalVolume>& members);

} // namespace vm2oci
