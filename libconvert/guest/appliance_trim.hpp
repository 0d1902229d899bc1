// Free space of file systems that are not read natively: found by the kernel of libguestfs' appliance.
#pragma once

#include "formats/base/progress.hpp"
#include "formats/block/block_device.hpp"
#include "formats/block/overlay.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct TrimmedDisk {
    std::shared_ptr<OverlayDevice> device;             // the disk itself is never written
    std::shared_ptr<const ApplianceSession> appliance; // that sees `device`, and may be used on
    std::vector<std::string> remarks;                  // what could not be trimmed, and why
};

// Mounts each file system that its keys open and whose row says FreeSpaceSource::reader, read-only, in an overlay, and
// has its free space discarded. A log that was not finished is replayed in the overlay,
// too, as the guest would do it at its next start. The overlay is `access.changes` where `access` has an appliance that
// sees it. Error{external} when the appliance cannot be started.
TrimmedDisk trim_by_appliance(const std::shared_ptr<const BlockDevice>& disk, const GuestAccess& access,
                              const OperationContext& operation);

} // namespace vm2oci
