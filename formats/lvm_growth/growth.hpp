// A physical volume of LVM2 that has become larger: its label, the text of its group, and a logical volume that takes
// the room.
//
// Sources of the format: LVM2's lib/format_text/layout.h (labels, areas and where text lies in them), as formats/lvm
// reads it.
#pragma once

#include "formats/block/block_device.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct LvmWrite {
    std::size_t member = 0;   // index into what was given
    std::uint64_t offset = 0; // on that physical volume
    std::vector<std::byte> bytes;
};

struct LvmGrowth {
    std::vector<LvmWrite> writes;
    std::uint64_t added = 0; // bytes that the logical volume has more, or that the group has free
};

// `members`: the volume that has its new size; behind it the further physical volumes of its group, and maybe of
// others, in any order. Of what is free at the first one's end all goes to `logical_volume` ("root"; "": to nobody);
// each member that keeps the group's text gets the new one. Error{unsupported} for a group of which a member is not
// there, with two copies of its text on one, or whose volume is no linear one, is the origin of snapshots or lies
// elsewhere; Error{corrupt} for damaged metadata, and members that tell different things; Error{limit} where a text has
// no room.
LvmGrowth grow_physical_volume(const std::vector<std::shared_ptr<const BlockDevice>>& members,
                               const std::string& logical_volume);

} // namespace vm2oci
