// A disk with its guest changed, in one step: open, plan, apply to an overlay.
#pragma once

#include "formats/block/disk_view.hpp"
#include "formats/block/overlay.hpp"
#include "libconvert/edit/apply.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/inspect/guest_summary.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vm2oci {

enum class EditMode { plan_only, apply };

struct EditReport {
    EditPlan plan;
    std::string backend = "none";      // that carried it out; "none" when nothing was written
    std::vector<BootProblem> problems; // what is wrong and was not asked to be mended
    std::optional<GuestSummary> guest; // as it was found; none: not looked at, or there is none
    std::vector<std::string> remarks;  // on how the guest was found, or why it was not looked at; safe to print
};

// Makes `disk` a view of the changed disk (EditMode::apply). Error{unsupported} when it has no guest that can be read.
EditReport edit_disk(DiskView& disk, const EditRequest& request, const ApplyOptions& options, EditMode mode,
                     const OperationContext& operation);

// The same for a guest that was opened already from `overlay`, which takes the changes; apply_edits() has the terms.
// What `opened` shows afterwards is undefined if anything was changed.
EditReport edit_guest(OpenedGuest& opened, const std::shared_ptr<OverlayDevice>& overlay, const EditRequest& request,
                      const ApplyOptions& options, EditMode mode, const OperationContext& operation);

// What would keep the guest from booting elsewhere or from its network; empty without a guest. Throws only what the
// disk throws.
std::vector<BootProblem> diagnose(const OpenedGuest& opened);

// The report of a conversion that changes nothing: `problems`, `guest` and `remarks` are filled, of a guest that is
// read natively. For any other starting the appliance would cost more than the conversion: that nothing was looked for
// is a remark.
EditReport report_unchanged(const std::shared_ptr<const BlockDevice>& disk, GuestAccess access,
                            const OperationContext& operation);

} // namespace vm2oci
