#include "tools/flows/guest_session.hpp"

#include "formats/block/overlay.hpp"
#include "libconvert/package/sparsify.hpp"

#include <utility>

namespace vm2oci {

GuestSession::GuestSession(DiskView disk, GuestAccess access, std::int64_t time, const OperationContext& operation)
    : view_(std::move(disk)), access_(std::move(access)), time_(time), operation_(operation) {}

const OpenedGuest& GuestSession::guest() {
    if (!opened_)
        opened_.emplace(open_guest(view_.device(), access_, operation_));
    return *opened_;
}

EditReport GuestSession::edit(const EditRequest& request, EditMode mode) {
    const auto overlay =
        std::make_shared<OverlayDevice>(view_.device(), std::nullopt, std::filesystem::path(operation_.scratch_folder));
    GuestAccess access = access_;
    if (mode == EditMode::apply)
        access.changes = overlay;
    opened_.emplace(open_guest(overlay, access, operation_));
    EditReport report = edit_guest(*opened_, overlay, request, {access_, time_}, mode, operation_);
    // Without a change the overlay has at most what a mount by the appliance left in it.
    if (mode == EditMode::apply && !report.plan.edits.empty()) {
        opened_.reset();
        view_.change(overlay);
    }
    return report;
}

EditReport GuestSession::look() const {
    return report_unchanged(view_.device(), access_, operation_);
}

std::vector<std::string> GuestSession::leave_out_unused() {
    SparsifiedDisk sparse = sparsify(view_.device(), access_, operation_);
    view_.change(std::move(sparse.device));
    return std::move(sparse.remarks); // the files are what they were: the guest stays open
}

} // namespace vm2oci
