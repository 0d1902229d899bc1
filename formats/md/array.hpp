// Linux' software RAID: arrays from their members, as disks that are read and changed. Mirrors (RAID 1) by one good
// member; members one behind the other (linear) and stripes of equal members (RAID 0) when all are there; stripes of
// mirrors (RAID 10, near copies, in whole groups) by one good member of each; stripes with parity (RAID 4, 5 and 6) by
// as many as it takes to calculate the rest. The other levels are told.
//
// Sources: Linux, drivers/md/md.c (analyze_sbs, super_1_validate, super_90_validate), md-linear.c, raid0.c, raid1.c,
// raid10.c and raid5.c.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/block_device.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

struct MdMember {
    std::string name; // for people: "partition 2"
    std::shared_ptr<const BlockDevice> device;
};

// A part of an array, and where it lies on a member: in a mirror on each that is up to date. Striped ones have none.
struct MdPart {
    std::uint64_t offset = 0; // in the array
    std::size_t member = 0;   // index into what was given
    std::uint64_t member_offset = 0;
    std::uint64_t length = 0;
};

// From changes to what was given, in its order, to those of an array. Those of other arrays' members may be null.
using MdRoute = std::function<std::shared_ptr<BlockChanges>(const std::vector<std::shared_ptr<BlockChanges>>& members)>;

struct MdArray {
    std::string uuid;                   // as mdadm writes it: "11223344:55667788:99aabbcc:ddeeff00"
    std::string name;                   // "host:name"; empty: none
    std::optional<std::uint32_t> minor; // the number that version 0.90 keeps: 3 for /dev/md3
    std::shared_ptr<const BlockDevice> device;
    std::vector<MdPart> parts;        // by member, then by offset
    std::vector<std::size_t> members; // all that are of this array, those that are behind among them
    // Null: it may only be read. Each place of the array must have its member: one that came back later would be filled
    // by what the array's bitmap says has changed since, and what is changed here is not in there.
    MdRoute route;
};

struct MdFindings {
    std::vector<MdArray> arrays;      // in the order of their first members
    std::vector<std::string> remarks; // what is not read, or is not whole, and why; safe to print
};

// Never throws for what the disks hold. Throws what reading the devices throws (io).
MdFindings assemble_arrays(const std::vector<MdMember>& members);

// Where the superblock stands in which the device ends (versions 0.90 and 1.0), if it is sound. Of 0.90 it may as well
// be that of a last partition which ends where the device does. nullopt: there is none.
std::optional<std::uint64_t> find_end_superblock(const BlockDevice& device);

} // namespace vm2oci
