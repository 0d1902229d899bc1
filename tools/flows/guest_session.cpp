#include "tools/flows/guest_session.hpp"

#include "formats/block/joined.hpp"
#include "formats/block/overlay.hpp"
#include "formats/block/slice.hpp"
#include "libconvert/edit/grow_guest.hpp"
#include "libconvert/guest/appliance_session.hpp"
#include "libconvert/package/sparsify.hpp"

#include <utility>

namespace vm2oci {

GuestSession::GuestSession(DiskView disk, GuestAccess access, std::int64_t time, const OperationContext& operation)
    : view_(std::move(disk)), access_(std::move(access)), time_(time), operation_(operation) {}

const OpenedGuest& GuestSession::guest() {
    if (!opened_)
        opened_.emplace(open_guest(seen(), access_, operation_));
    return *opened_;
}

std::shared_ptr<const BlockDevice> GuestSession::seen() const {
    return access_.appliance ? std::shared_ptr<const BlockDevice>(access_.changes) : view_.device();
}

void GuestSession::close() {
    opened_.reset();
    access_.appliance.reset();
    access_.changes.reset();
}

std::vector<std::string> GuestSession::grow(std::uint64_t size) {
    close();
    if (access_.disk_sizes.size() <= 1) {
        GrownDisk grown = grow_guest(view_.device(), size, access_, operation_);
        view_.change(std::move(grown.device));
        return std::move(grown.remarks);
    }
    std::uint64_t& first_size = access_.disk_sizes.front();
    const std::shared_ptr<const BlockDevice> all = view_.device();
    GuestAccess alone = access_;
    alone.disk_sizes.clear();
    GrownDisk grown = grow_guest(std::make_shared<const SliceDevice>(all, 0, first_size), size, alone, operation_);
    const auto others = std::make_shared<const SliceDevice>(all, first_size, all->size() - first_size);
    first_size = grown.device->size();
    view_.change(std::make_shared<const JoinedDevice>(
        std::vector<std::shared_ptr<const BlockDevice>>{std::move(grown.device), others}));
    return std::move(grown.remarks);
}

EditReport GuestSession::edit(const EditRequest& request, EditMode mode) {
    const auto overlay =
        std::make_shared<OverlayDevice>(view_.device(), std::nullopt, std::filesystem::path(operation_.scratch_folder));
    if (mode == EditMode::apply)
        access_.changes = overlay;
    opened_.emplace(open_guest(overlay, access_, operation_));
    EditReport report = edit_guest(*opened_, overlay, request, {access_, time_}, mode, operation_);
    access_.appliance = opened_->appliance;
    if (!access_.appliance || !access_.appliance->may_write()) {
        access_.appliance.reset();
        access_.changes.reset();
    }
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
    SparsifiedDisk sparse = sparsify(seen(), access_, operation_);
    view_.change(std::move(sparse.device));
    if (sparse.trimmed.appliance) {
        opened_.reset();
        access_.changes = sparse.trimmed.device;
        access_.appliance = sparse.trimmed.appliance;
    }
    return std::move(sparse.remarks);
}

} // namespace vm2oci
