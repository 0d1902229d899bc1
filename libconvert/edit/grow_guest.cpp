#include "libconvert/edit/grow_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/lvm_growth/growth.hpp"
#include "formats/partition/growth.hpp"
#include "libconvert/edit/job_writer.hpp"
#include "libconvert/edit/own_appliance.hpp"
#include "libconvert/edit/volume_changes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace vm2oci {
namespace {

bool is_growable(const Volume& volume) {
    return volume.signature && volume.signature->kind == ContentKind::file_system &&
           own_appliance_grows(volume.signature->type);
}

class Growth {
  public:
    Growth(const std::shared_ptr<const BlockDevice>& disk, std::uint64_t size, const GuestAccess& access,
           const OperationContext& operation)
        : disk_(disk), access_(access), operation_(operation),
          scratch_(std::filesystem::path(operation.scratch_folder)),
          grown_(std::make_shared<OverlayDevice>(disk, size, scratch_)) {}

    GrownDisk run() {
        try {
            grow();
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled)
                throw;
            remark(fmt::format("the guest is left as it is on the larger disk: {}", error.what()));
        }
        return {grown_, std::move(remarks_)};
    }

  private:
    void remark(std::string text) { remarks_.push_back(std::move(text)); }

    void grow() {
        const DiskLayout layout = examine_layout(disk_);
        if (layout.table.kind == TableKind::none) {
            if (layout.volumes.empty() || !is_growable(layout.volumes.front()))
                return remark("the guest is left as it is on the larger disk: it has no partition that could grow");
            return grow_file_system(examine_layout(grown_).volumes.front());
        }
        const Partition* last = last_partition(layout.table);
        const auto volume = std::find_if(layout.volumes.begin(), layout.volumes.end(), [&](const Volume& each) {
            return last != nullptr && each.logical_volume.empty() && partition_of(layout, each) == last;
        });
        const bool is_group =
            volume != layout.volumes.end() && volume->signature && volume->signature->kind == ContentKind::volume_group;
        const bool grows = volume != layout.volumes.end() && (is_group || is_growable(*volume));
        const TableGrowth table = grow_table(*grown_, layout.table, disk_->size(), grows ? last : nullptr);
        for (const DiskWrite& write : table.writes)
            grown_->write_at(write.offset, write.bytes);
        if (last == nullptr)
            return remark("no partition is grown: there is none");
        if (!grows)
            return remark(fmt::format("partition {} lies last on the disk and is not grown: it holds {}", last->number,
                                      volume != layout.volumes.end() && volume->signature
                                          ? escape_untrusted(volume->signature->type)
                                          : "nothing that is known"));
        if (!table.new_length)
            return remark(fmt::format("partition {} is not grown: {}", last->number, table.reason));
        remark(fmt::format("partition {} has {} now", last->number, format_size(*table.new_length)));
        const DiskLayout after = examine_layout(grown_);
        for (const Volume& each : after.volumes)
            if (const Partition* partition = partition_of(after, each);
                partition != nullptr && partition->number == last->number)
                return is_group ? grow_group(each) : grow_file_system(each);
    }

    // The root's logical volume takes the room, where it is one; else the group has it.
    void grow_group(const Volume& member) {
        GuestAccess reading = access_;
        reading.backend = GuestBackend::native;
        std::string root;
        const OpenedGuest opened = open_guest(grown_, reading, operation_);
        if (opened.guest)
            for (const Volume& volume : opened.layout.volumes)
                if (!volume.logical_volume.empty() && volume.name == opened.guest->mounts().front().volume)
                    root = volume.logical_volume; // "group/volume"
        try {
            const LvmGrowth growth = grow_physical_volume(*member.device, root.substr(root.find('/') + 1));
            VolumeChanges changes(grown_, member.segments);
            for (const LvmWrite& write : growth.writes)
                changes.write_at(write.offset, write.bytes);
            if (root.empty())
                return remark(fmt::format("the volume group on {} has {} more, free", escape_untrusted(member.name),
                                          format_size(growth.added)));
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled)
                throw;
            return remark(fmt::format("the volume group on {} keeps its size until the guest grows it: {}",
                                      escape_untrusted(member.name), error.what()));
        }
        for (const Volume& volume : examine_layout(grown_).volumes)
            if (volume.logical_volume == root) {
                remark(fmt::format("{} has {} now", escape_untrusted(volume.name), format_size(volume.device->size())));
                if (is_growable(volume))
                    grow_file_system(volume);
            }
    }

    // In an overlay of its own, which is dropped when it fails.
    void grow_file_system(const Volume& volume) {
        const std::string what = fmt::format("{} on {}", volume.signature->type, escape_untrusted(volume.name));
        if (const auto obstacle = own_appliance_missing(access_))
            return remark(fmt::format("{} keeps its size until the guest grows it: {}", what, *obstacle));
        const auto overlay = std::make_shared<OverlayDevice>(grown_, std::nullopt, scratch_);
        try {
            grow_by_own_appliance(volume, overlay, access_, operation_);
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled)
                throw;
            return remark(fmt::format("{} keeps its size until the guest grows it: {}", what, error.what()));
        }
        grown_ = overlay;
        remark(fmt::format("{} fills its volume of {}", what, format_size(volume.device->size())));
    }

    std::shared_ptr<const BlockDevice> disk_;
    const GuestAccess& access_;
    const OperationContext& operation_;
    std::filesystem::path scratch_;
    std::shared_ptr<OverlayDevice> grown_;
    std::vector<std::string> remarks_;
};

} // namespace

GrownDisk grow_guest(const std::shared_ptr<const BlockDevice>& disk, std::uint64_t size, const GuestAccess& access,
                     const OperationContext& operation) {
    return Growth(disk, size, access, operation).run();
}

} // namespace vm2oci
