// A physical volume of LVM2 that has become larger: its label, the text of its group, and a logical volume that takes
// the room.
//
// Sources of the format: LVM2's lib/format_text/layout.h (labels, areas and where text lies in them), as formats/lvm
// reads it.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace vm2oci {

struct LvmWrite {
    std::uint64_t offset = 0; // on the physical volume
    std::vector<std::byte> bytes;
};

struct LvmGrowth {
    std::vector<LvmWrite> writes;
    std::uint64_t added = 0; // bytes that the logical volume has more, or that the group has free
};

// `volume` has its new size. What is free at its end goes to `logical_volume` ("root"; "": to nobody).
// Error{unsupported} for a group of several members, with two copies of its text, or whose volume is no linear one, is
// the origin of snapshots or lies elsewhere; Error{corrupt} for damaged metadata; Error{limit} where the text has no
// room.
LvmGrowth grow_physical_volume(const BlockDevice& volume, const std::string& logical_volume);

} // namespace vm2oci
