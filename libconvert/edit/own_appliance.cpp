#include "libconvert/edit/own_appliance.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/apply_edit.hpp"
#include "libconvert/edit/edited_mounts.hpp"
#include "libconvert/edit/job_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

namespace vm2oci {
namespace {

struct KernelFileSystem {
    std::string_view type;
    // What a removed file held is gone with it (discard). A snapshot of a volume, or its mirror on another disk, has
    // the same UUID, and it is here alone (nouuid). Names on FAT are UTF-8 for us.
    std::string_view options;
    bool grows = false;
};
constexpr std::array kKernelFileSystems = {
    KernelFileSystem{"btrfs", "discard", true}, KernelFileSystem{"ext2", "discard", true},
    KernelFileSystem{"ext3", "discard", true},  KernelFileSystem{"ext4", "discard", true},
    KernelFileSystem{"vfat", "discard,utf8=1"}, KernelFileSystem{"xfs", "discard,nouuid", true},
};

const KernelFileSystem* find_kernel_file_system(std::string_view type) {
    const auto* found = std::find_if(kKernelFileSystems.begin(), kKernelFileSystems.end(),
                                     [&](const KernelFileSystem& row) { return row.type == type; });
    return found == kKernelFileSystems.end() ? nullptr : found;
}

// The tree of a btrfs that the guest mounts there, as it was read: the default may be another.
std::string subvolume_options(const GuestMount& mount) {
    if (mount.type != "btrfs")
        return {};
    return mount.subvolume.empty() ? ",subvolid=5" : ",subvol=/" + mount.subvolume;
}

// What changed files bear where nobody said it: that of the latest change of what a system changes while it runs.
std::int64_t latest_change(const Guest& guest) {
    std::int64_t time = 0;
    for (const char* path : {"/etc", "/var/lib", "/var/log"})
        if (const auto status = guest.status(path, FinalLink::follow))
            time = std::max(time, status->modified.seconds);
    return time;
}

// The job of a plan while it is made.
class PlannedJob {
  public:
    PlannedJob(const OpenedGuest& opened, const std::vector<GuestMount>& mounts, std::shared_ptr<OverlayDevice> overlay,
               JobWriter& writer)
        : opened_(opened), mounts_(mounts), overlay_(std::move(overlay)), writer_(writer) {}

    void add(const Edit& edit) {
        const std::size_t index = mount_of(mounts_, edit.path);
        JobEditor editor(writer_, volume_for(index));
        apply_edit(edit, path_on_mount(edit.path, mounts_[index]), editor);
    }

  private:
    std::uint32_t volume_for(std::size_t index) {
        if (const auto known = volumes_.find(index); known != volumes_.end())
            return known->second;
        const GuestMount& mount = mounts_[index];
        const Volume& volume = *writable_volume(opened_, mount);
        auto disk = disks_.find(&volume);
        if (disk == disks_.end())
            disk = disks_.emplace(&volume, writer_.add_disk({volume.device, volume.route(overlay_)})).first;
        std::string options(find_kernel_file_system(mount.type)->options);
        options += subvolume_options(mount);
        const std::uint32_t added = writer_.add_volume(disk->second, mount.type, std::move(options), mount.mount_point);
        return volumes_.emplace(index, added).first->second;
    }

    const OpenedGuest& opened_;
    const std::vector<GuestMount>& mounts_;
    std::shared_ptr<OverlayDevice> overlay_;
    JobWriter& writer_;
    std::map<const Volume*, std::uint32_t> disks_;
    std::map<std::size_t, std::uint32_t> volumes_; // by mount
};

} // namespace

std::optional<std::string> own_appliance_obstacle(const EditPlan& plan, const OpenedGuest& opened,
                                                  const std::vector<GuestMount>& mounts, const GuestAccess& access) {
    if (opened.backend != "native")
        return "vm2oci's appliance changes only guests that are read in this process";
    if (auto obstacle = own_appliance_missing(access))
        return obstacle;
    for (const std::size_t index : edited_mounts(plan, mounts)) {
        const GuestMount& mount = mounts[index];
        const Volume* volume = writable_volume(opened, mount);
        // Options of a mount have commas between them.
        if (volume == nullptr || find_kernel_file_system(mount.type) == nullptr ||
            volume->device->size() % kJobSector != 0 || mount.subvolume.find(',') != std::string::npos)
            return fmt::format("{} is {} on {}, which vm2oci's appliance does not change",
                               escape_untrusted(mount.mount_point), escape_untrusted(mount.type),
                               escape_untrusted(mount.volume));
    }
    return std::nullopt;
}

void apply_by_own_appliance(const EditPlan& plan, const OpenedGuest& opened, const std::vector<GuestMount>& mounts,
                            const std::shared_ptr<OverlayDevice>& overlay, const ApplyOptions& options,
                            const OperationContext& operation) {
    const std::int64_t time = options.time > 0 ? options.time : latest_change(*opened.guest);
    JobWriter writer(time, std::filesystem::path(operation.scratch_folder));
    PlannedJob job(opened, mounts, overlay, writer);
    for (const Edit& edit : plan.edits) {
        operation.check_cancelled();
        with_context(fmt::format("changing {} in the guest", quote_untrusted(edit.path)), [&] { job.add(edit); });
    }
    operation.progress->note(fmt::format("vm2oci's appliance makes {} changes", plan.edits.size()));
    try {
        writer.run(*options.access.machine, operation);
    } catch (Error& error) {
        // Another kernel may know what this one does not; what is broken or full is so for both.
        if (error.kind() == ErrorKind::unsupported || error.kind() == ErrorKind::external)
            error.suggest({HintKind::guest_backend, "libguestfs"});
        throw;
    }
}

std::optional<std::string> own_appliance_missing(const GuestAccess& access) {
    if (access.backend != GuestBackend::automatic && access.backend != GuestBackend::appliance)
        return "vm2oci's appliance is not to be used";
    if (!access.machine)
        return "there is nothing here that runs vm2oci's appliance";
    return access.machine->obstacle();
}

bool own_appliance_grows(std::string_view type) {
    const KernelFileSystem* row = find_kernel_file_system(type);
    return row != nullptr && row->grows;
}

void grow_by_own_appliance(const Volume& volume, const std::shared_ptr<OverlayDevice>& overlay,
                           const GuestAccess& access, const OperationContext& operation) {
    if (!volume.route || volume.device->size() % kJobSector != 0)
        fail(ErrorKind::unsupported, "vm2oci's appliance does not change such volumes");
    JobWriter writer(0, std::filesystem::path(operation.scratch_folder));
    const std::string& type = volume.signature->type;
    JobStep step;
    step.kind = JobStepKind::grow;
    step.volume = writer.add_volume(writer.add_disk({volume.device, volume.route(overlay)}), type,
                                    std::string(find_kernel_file_system(type)->options), volume.name);
    writer.add_step(step);
    operation.progress->note(fmt::format("vm2oci's appliance grows {} on {}", type, escape_untrusted(volume.name)));
    writer.run(*access.machine, operation);
}

} // namespace vm2oci
