#include "libconvert/edit/edit_disk.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/planned_guest.hpp"
#include "libconvert/inspect/machine_problems.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

std::vector<DiskVolume> disk_volumes(const DiskLayout& layout) {
    std::vector<DiskVolume> volumes;
    for (const Volume& volume : layout.volumes)
        if (volume.signature && lies_on_disk(volume)) {
            const Partition* partition = partition_of(layout, volume);
            volumes.push_back({partition != nullptr ? partition->number : 0, volume.signature->type,
                               volume.signature->uuid, partition != nullptr ? partition->uuid : "",
                               place_in_layout(layout, volume.disk)});
        }
    return volumes;
}

const std::string kNotLookedAt = "whether the guest would boot was not looked at: ";

// What no fix mends belongs to every diagnosis.
std::vector<BootProblem> diagnose_all(const OpenedGuest& opened, const std::vector<std::string>& except) {
    std::vector<BootProblem> problems;
    if (opened.guest)
        problems = diagnose(*opened.guest, disk_volumes(opened.layout), except);
    std::vector<BootProblem> by_hand;
    for (MachineProblem& problem : find_machine_problems(opened)) {
        // A fix that tells of the same thing mends it.
        const bool is_mended = std::any_of(problems.begin(), problems.end(), [&](const BootProblem& known) {
            return !problem.about.empty() && known.text.starts_with(problem.about + " ");
        });
        if (!is_mended)
            by_hand.push_back({"", std::move(problem.text)});
    }
    problems.insert(problems.end(), by_hand.begin(), by_hand.end());
    return problems;
}

} // namespace

std::vector<BootProblem> diagnose(const OpenedGuest& opened) {
    return diagnose_all(opened, {});
}

EditReport report_unchanged(const std::shared_ptr<const BlockDevice>& disk, GuestAccess access,
                            const OperationContext& operation) {
    EditReport report;
    access.backend = GuestBackend::native;
    try {
        const OpenedGuest opened = open_guest(disk, access, operation);
        report.problems = diagnose(opened);
        if (opened.guest)
            report.guest = summarise_guest(opened);
        report.remarks = escape_each(opened.remarks);
        if (!opened.guest && !opened.reason.empty())
            report.remarks.push_back(kNotLookedAt + escape_untrusted(opened.reason));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
            throw;
        report.remarks.push_back(kNotLookedAt + error.what());
    }
    return report;
}

EditReport edit_disk(DiskView& disk, const EditRequest& request, const ApplyOptions& options, EditMode mode,
                     const OperationContext& operation) {
    const auto overlay =
        std::make_shared<OverlayDevice>(disk.device(), std::nullopt, std::filesystem::path(operation.scratch_folder));
    GuestAccess access = options.access;
    if (mode == EditMode::apply)
        access.changes = overlay;
    OpenedGuest opened = open_guest(overlay, access, operation);
    EditReport report = edit_guest(opened, overlay, request, options, mode, operation);
    // Without a change the overlay has at most what a mount by the appliance left in it.
    if (mode == EditMode::apply && !report.plan.edits.empty())
        disk.change(overlay);
    return report;
}

EditReport edit_guest(OpenedGuest& opened, const std::shared_ptr<OverlayDevice>& overlay, const EditRequest& request,
                      const ApplyOptions& options, EditMode mode, const OperationContext& operation) {
    if (!opened.guest)
        fail(ErrorKind::unsupported, "there is no guest on this disk that could be changed: " + opened.reason,
             opened.reason_hint);
    const std::vector<DiskVolume> volumes = disk_volumes(opened.layout);
    EditReport report;
    report.guest = summarise_guest(opened);
    report.remarks = escape_each(opened.remarks);
    report.plan = plan_edits(*opened.guest, volumes, request);
    report.problems = diagnose_all(as_planned(opened, report.plan), request.fixes.names);
    if (mode == EditMode::apply)
        report.backend = apply_edits(report.plan, opened, overlay, options, operation);
    return report;
}

} // namespace vm2oci
