// A disk with its guest changed, in one step: open, plan, apply to an overlay.
#pragma once

#include "formats/block/open_disk.hpp"
#include "libconvert/edit/apply.hpp"
#include "libconvert/edit/plan_edits.hpp"
#include "libconvert/inspect/guest_summary.hpp"

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
};

// Replaces `disk.device` by the changed disk (EditMode::apply); the source itself is never written. Error{unsupported}
// when the disk has no guest that can be read.
EditReport edit_disk(OpenedDisk& disk, const EditRequest& request, const ApplyOptions& options, EditMode mode,
                     const OperationContext& operation);

// What would keep the guest from booting elsewhere or from its network; empty without a guest. Throws only what the
// disk throws.
std::vector<BootProblem> diagnose(const OpenedGuest& opened);

// The report of a conversion that changes nothing: only `problems` are filled, of a guest that is read natively. For
// any other starting the appliance would cost more than the conversion: that nothing was looked for is a note.
EditReport report_unchanged(const OpenedDisk& disk, GuestAccess access, const OperationContext& operation);

} // namespace vm2oci
