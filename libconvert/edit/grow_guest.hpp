// A larger disk whose guest has the room: partition table, last partition, file system.
#pragma once

#include "formats/block/overlay.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct GrownDisk {
    std::shared_ptr<OverlayDevice> device; // of the new size
    std::vector<std::string> remarks;      // what was grown, and what was not and why
};

// `disk`, a lone one, with `size` bytes. The backup of a GPT moves to the end; the last partition grows if it holds a
// file system that can (ext4, xfs, btrfs), and then that, by vm2oci's appliance; or a volume group, whose root's
// logical volume then gets the room. Swap that lies last moves to the end, and the partition before it grows. What
// cannot grow stays as it is and is told: this never fails for what the disk holds. Error{io}, Error{cancelled}.
GrownDisk grow_guest(const std::shared_ptr<const BlockDevice>& disk, std::uint64_t size, const GuestAccess& access,
                     const OperationContext& operation);

} // namespace vm2oci
