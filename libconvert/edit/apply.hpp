// Carries a plan out on a disk, through an overlay: the disk itself is never written.
#pragma once

#include "formats/block/overlay.hpp"
#include "libconvert/edit/plan.hpp"
#include "libconvert/guest/open_guest.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace vm2oci {

struct ApplyOptions {
    GuestAccess access;
    std::int64_t time = 0; // what changed files bear, seconds since 1970; 0: the time of the last write to each volume
};

// Which backend did it: "native", "appliance", "libguestfs", or "none" for an empty plan.
//
// `opened` was opened from `overlay`, which `access.changes` named if an appliance that was started for it is to be
// used on, instead of another. Native for ext4 on what this process writes (Volume::route), vm2oci's appliance where
// another file system lies there, libguestfs for the rest (automatic): a plan is carried out by one as a whole. The
// guest is closed before libguestfs writes; `opened.appliance` is then one that sees the changed overlay and may be
// used on. After an Error the overlay is in an undefined state: drop it. Error{unsupported} says why neither can.
std::string apply_edits(const EditPlan& plan, OpenedGuest& opened, const std::shared_ptr<OverlayDevice>& overlay,
                        const ApplyOptions& options, const OperationContext& operation);

} // namespace vm2oci
