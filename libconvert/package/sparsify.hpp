// What no file system of the guest uses is left out: a view of the disk in which it reads as zeros.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "libconvert/guest/appliance_trim.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct SparsifiedDisk {
    std::shared_ptr<const BlockDevice> device;
    TrimmedDisk trimmed;              // what the appliance made of it; null: it did nothing
    std::uint64_t unused = 0;         // bytes of the disk that now read as zeros
    std::vector<std::string> remarks; // what was left whole, and why; which swap was emptied
};

// Free blocks of ext2, ext3, ext4 and xfs by their bitmaps and lists where descriptors and superblock agree with them,
// the contents of swap (its header stays) that its partition's type or the guest's fstab calls so, and free extents of
// LVM. What any of them calls used does not change by a bit. A file system that is marked as damaged, or was not
// unmounted and has no journal, is left whole. Reads metadata only.
//
// Inside of arrays it is unused on each member, inside of LUKS that `access.keys` open in whole encrypted sectors. Thin
// and striped volumes are left whole: what lies in them may be another's, too, or in many places.
//
// The free space of btrfs, and of LUKS that is not read in this process, is found by libguestfs' appliance, unless the
// backend is native or there is no appliance: then they are left whole, as is everything else. An appliance in `access`
// sees `disk` and is used on.
SparsifiedDisk sparsify(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                        const OperationContext& operation);

} // namespace vm2oci
