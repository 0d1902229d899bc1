#include "libconvert/edit/apply.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/appliance.hpp"
#include "libconvert/edit/apply_edit.hpp"
#include "libconvert/edit/edited_mounts.hpp"
#include "libconvert/edit/own_appliance.hpp"
#include "libconvert/edit/space.hpp"
#include "libconvert/guest/file_system_drivers.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

namespace vm2oci {
namespace {

// The volume of a mount that is written natively; null: it is none.
const Volume* native_volume(const OpenedGuest& opened, const GuestMount& mount) {
    const FileSystemDriver* driver = find_driver(mount.type);
    if (driver == nullptr || driver->edit == nullptr)
        return nullptr;
    return writable_volume(opened, mount);
}

// Why the plan cannot be carried out natively; nullopt: it can.
std::optional<std::string> native_obstacle(const EditPlan& plan, const OpenedGuest& opened,
                                           const std::vector<GuestMount>& mounts) {
    for (const std::size_t index : edited_mounts(plan, mounts)) {
        const GuestMount& mount = mounts[index];
        const Volume* volume = native_volume(opened, mount);
        if (volume == nullptr)
            return fmt::format("{} is {} on {}, which is not written natively", escape_untrusted(mount.mount_point),
                               escape_untrusted(mount.type), escape_untrusted(mount.volume));
        if (const auto reason = find_driver(mount.type)->reason_not_to_edit(volume->device))
            return fmt::format("{}: {}", escape_untrusted(mount.volume), *reason);
    }
    return std::nullopt;
}

void apply_natively(const EditPlan& plan, const OpenedGuest& opened, const std::vector<GuestMount>& mounts,
                    const std::shared_ptr<OverlayDevice>& overlay, const ApplyOptions& options,
                    const OperationContext& operation) {
    struct Opened {
        std::shared_ptr<BlockChanges> changes;
        std::unique_ptr<FileSystemEditor> editor;
    };
    std::map<std::size_t, Opened> editors;
    for (const Edit& edit : plan.edits) {
        operation.check_cancelled();
        const std::size_t index = mount_of(mounts, edit.path);
        Opened& target = editors[index];
        if (!target.editor) {
            const Volume& volume = *native_volume(opened, mounts[index]);
            target.changes = volume.route(overlay);
            // The volume was opened through the overlay, and shows what is written to it.
            target.editor = find_driver(mounts[index].type)->edit(volume.device, *target.changes, options.time);
        }
        with_context(fmt::format("changing {} in the guest", quote_untrusted(edit.path)),
                     [&] { apply_edit(edit, path_on_mount(edit.path, mounts[index]), *target.editor); });
    }
    for (auto& [index, target] : editors)
        target.editor->finish();
}

std::shared_ptr<const ApplianceSession> start_session(const std::shared_ptr<OverlayDevice>& overlay,
                                                      const GuestAccess& access, const OperationContext& operation) {
    auto session =
        std::make_shared<const ApplianceSession>(ApplianceDisks{overlay, overlay, access.disk_sizes}, operation);
    session->open_encrypted(access.keys);
    return session;
}

void apply_by_libguestfs(const EditPlan& plan, OpenedGuest& opened, const std::vector<GuestMount>& mounts,
                         const std::shared_ptr<OverlayDevice>& overlay, const ApplyOptions& options,
                         const OperationContext& operation) {
    std::vector<ApplianceMount> devices = appliance_mounts(opened, mounts);
    if (opened.backend == "native")
        for (std::size_t i = 0; i < mounts.size(); ++i)
            if (!mounts[i].subvolume.empty()) // libguestfs' name of it
                devices[i].device = "btrfsvol:" + devices[i].device + "/" + mounts[i].subvolume;
    opened.guest.reset();
    std::shared_ptr<const ApplianceSession> session = std::exchange(opened.appliance, nullptr);
    if (!session || !session->may_write())
        session = start_session(overlay, options.access, operation);
    operation.progress->note(fmt::format("libguestfs' appliance makes {} changes", plan.edits.size()));
    const auto editor = open_appliance_editor(session, devices, options.time, operation);
    for (const Edit& edit : plan.edits) {
        operation.check_cancelled();
        with_context(fmt::format("changing {} in the guest", quote_untrusted(edit.path)),
                     [&] { apply_edit(edit, edit.path.substr(1), *editor); });
    }
    editor->finish();
    opened.appliance = std::move(session);
}

} // namespace

std::string apply_edits(const EditPlan& plan, OpenedGuest& opened, const std::shared_ptr<OverlayDevice>& overlay,
                        const ApplyOptions& options, const OperationContext& operation) {
    if (plan.edits.empty())
        return "none";
    check_space(plan, *opened.guest);
    const std::vector<GuestMount> mounts = opened.guest->mounts();
    const GuestBackend backend = options.access.backend;
    if (backend == GuestBackend::automatic || backend == GuestBackend::native) {
        const auto obstacle = native_obstacle(plan, opened, mounts);
        if (!obstacle) {
            apply_natively(plan, opened, mounts, overlay, options, operation);
            opened.appliance.reset(); // it does not see what was written behind its back
            return "native";
        }
        if (backend == GuestBackend::native)
            fail(ErrorKind::unsupported, *obstacle);
        operation.progress->note(*obstacle);
    }
    if (backend == GuestBackend::automatic || backend == GuestBackend::appliance) {
        const auto obstacle = own_appliance_obstacle(plan, opened, mounts, options.access);
        if (!obstacle) {
            apply_by_own_appliance(plan, opened, mounts, overlay, options, operation);
            opened.guest.reset(); // what its readers remember may have changed
            opened.appliance.reset();
            return "appliance";
        }
        if (backend == GuestBackend::appliance)
            fail(ErrorKind::unsupported, *obstacle);
        operation.progress->note(*obstacle);
    }
    apply_by_libguestfs(plan, opened, mounts, overlay, options, operation);
    return "libguestfs";
}

} // namespace vm2oci
