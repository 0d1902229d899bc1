// Inside of the room: what the log of an xfs holds that its blocks lack, applied in memory.
//
// The disk is not changed: what the log says is laid over the device. Source of the format: the Linux kernel,
// fs/xfs/libxfs/xfs_log_format.h, and xfs_log_recover.c with what stands beside it for each kind of item.
#pragma once

#include "formats/tree/file_system.hpp"
#include "formats/xfs/volume.hpp"

#include <memory>

namespace vm2oci::xfs {

// unfinished: the log leaves space to be freed, or accounts of it to be kept, which the kernel does at the next mount.
enum class SpaceAccount { finished, unfinished };

struct RecoveredVolume {
    Volume volume;
    LogState log; // clean or replayed
    SpaceAccount space;
};

// The file system as a mount would show it. Error: corrupt (a checksum or the structure of the log), unsupported (what
// only the kernel finishes, by its name), limit; and those of read_geometry().
RecoveredVolume recover(std::shared_ptr<const BlockDevice> device);

} // namespace vm2oci::xfs
