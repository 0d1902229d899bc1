#include "libconvert/edit/grow_guest.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/size.hpp"
#include "formats/lvm_growth/growth.hpp"
#include "formats/partition/growth.hpp"
#include "libconvert/edit/job_writer.hpp"
#include "libconvert/edit/own_appliance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace vm2oci {
namespace {

// Its first page, of the largest that Linux has.
constexpr std::uint64_t kSwapHeader = 64 * KiB;

bool is_growable(const Volume& volume) {
    return volume.signature && volume.signature->kind == ContentKind::file_system &&
           own_appliance_grows(volume.signature->type);
}

bool is_luks(const Volume& volume) {
    return volume.signature && volume.signature->type == "crypto_LUKS";
}

bool is_group(const Volume& volume) {
    return volume.signature && volume.signature->kind == ContentKind::volume_group;
}

// Not what a sleeping machine has written there, which says so.
bool is_swap(const Volume& volume) {
    return volume.signature && volume.signature->type == "swap";
}

const Volume* volume_of(const DiskLayout& layout, const Partition& partition) {
    const auto found = std::find_if(layout.volumes.begin(), layout.volumes.end(), [&](const Volume& each) {
        return lies_on_disk(each) && partition_of(layout, each) == &partition;
    });
    return found == layout.volumes.end() ? nullptr : &*found;
}

// Whether room behind its end is of use to what it holds.
bool has_use_for_room(const Volume& volume) {
    return is_growable(volume) || is_group(volume) || is_luks(volume);
}

const Volume* find_named(const DiskLayout& layout, const std::string& name) {
    const auto found = std::find_if(layout.volumes.begin(), layout.volumes.end(),
                                    [&](const Volume& volume) { return volume.name == name; });
    return found == layout.volumes.end() ? nullptr : &*found;
}

// The innermost of what LUKS encrypts in a volume; one of LUKS if it is closed.
const Volume& decrypted(const DiskLayout& layout, const Volume& volume) {
    const Volume* inner = &volume;
    for (const Volume& each : layout.volumes) // those that are inside stand behind it
        if (const std::optional<std::size_t> outer = each.encrypted; outer && &layout.volumes[*outer] == inner)
            inner = &each;
    return *inner;
}

// The logical volume, as "group/volume", that the guest's root lies on, maybe encrypted; empty: it lies on none.
std::string logical_volume_of_root(const OpenedGuest& opened) {
    const Volume* volume = opened.guest ? find_named(opened.layout, opened.guest->mounts().front().volume) : nullptr;
    while (volume != nullptr && volume->encrypted)
        volume = &opened.layout.volumes[*volume->encrypted];
    return volume == nullptr ? "" : volume->logical_volume;
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
            if (layout.volumes.empty() || !has_use_for_room(layout.volumes.front()))
                return remark("the guest is left as it is on the larger disk: it has no partition that could grow");
            return grow_content(layout.volumes.front().name);
        }
        const Partition* last = last_partition(layout.table);
        const Volume* volume = last == nullptr ? nullptr : volume_of(layout, *last);
        PartitionRoom room;
        if (volume != nullptr && has_use_for_room(*volume))
            room.grows = last;
        else if (volume != nullptr && is_swap(*volume))
            room = room_before(layout, *last);
        const TableGrowth table = grow_table(*grown_, layout.table, room);
        if (table.moved_to)
            move_swap(layout, *room.moves, *table.moved_to);
        for (const DiskWrite& write : table.writes)
            grown_->write_at(write.offset, write.bytes);
        if (last == nullptr)
            return remark("no partition is grown: there is none");
        if (room.grows == nullptr)
            return remark(fmt::format("partition {} lies last on the disk and is not grown: it holds {}", last->number,
                                      volume != nullptr && volume->signature ? escape_untrusted(volume->signature->type)
                                      : last->role == PartitionRole::extended ? "no partition"
                                                                              : "nothing that is known"));
        if (!table.new_length)
            return remark(fmt::format("partition {} is not grown: {}", room.grows->number, table.reason));
        if (table.uncounted > 0)
            remark(fmt::format("{} at the end of the disk stay unused: a partition table of this kind (MBR) counts no "
                               "further",
                               format_size(table.uncounted)));
        if (table.moved_to)
            remark(fmt::format("partition {}, swap, is at the end of the disk now", last->number));
        remark(fmt::format("partition {} has {} now", room.grows->number, format_size(*table.new_length)));
        grow_content(volume_of(layout, *room.grows)->name);
    }

    // Swap holds nothing that outlives its machine: what lies before it can have its place.
    static PartitionRoom room_before(const DiskLayout& layout, const Partition& last) {
        const Partition* moves = moves_with(layout.table, last, [&](const Partition& each) {
            const Volume* volume = volume_of(layout, each);
            return volume != nullptr && is_swap(*volume);
        });
        const Partition* before = moves == nullptr ? nullptr : partition_before(layout.table, *moves);
        const Volume* volume = before == nullptr ? nullptr : volume_of(layout, *before);
        if (volume == nullptr || !has_use_for_room(*volume))
            return {};
        return {before, moves};
    }

    // What makes it swap, with its label and UUID; what was swapped out goes.
    void move_swap(const DiskLayout& layout, const Partition& moves, std::uint64_t place) {
        std::vector<DiskWrite> headers;
        for (const Partition& each : layout.table.partitions) {
            const bool is_moved = each.role != PartitionRole::extended && each.offset >= moves.offset &&
                                  each.offset + each.length <= moves.offset + moves.length;
            if (!is_moved)
                continue;
            DiskWrite header{each.offset - moves.offset + place, {}};
            header.bytes.resize(static_cast<std::size_t>(std::min(each.length, kSwapHeader)));
            disk_->read_at(each.offset, header.bytes);
            headers.push_back(std::move(header));
        }
        grown_->discard(moves.offset, moves.length);
        for (const DiskWrite& header : headers)
            grown_->write_at(header.offset, header.bytes);
    }

    // What lies on a volume that has become larger takes the room, as deep as volumes lie in it. Each step has an
    // overlay of its own, which is dropped when it fails.
    void grow_content(const std::string& name) {
        const auto overlay = std::make_shared<OverlayDevice>(grown_, std::nullopt, scratch_);
        GuestAccess reading = access_;
        reading.backend = GuestBackend::native;
        const OpenedGuest opened = open_guest(overlay, reading, operation_);
        const Volume* outer = find_named(opened.layout, name);
        if (outer == nullptr)
            return;
        const Volume& volume = decrypted(opened.layout, *outer);
        if (is_luks(volume))
            return remark(fmt::format("what LUKS encrypts in {} keeps its size until the guest grows it: {}",
                                      escape_untrusted(volume.name),
                                      volume.locked_reason.empty() ? "it is not read here" : volume.locked_reason));
        if (is_group(volume))
            return grow_group(opened.layout, volume, logical_volume_of_root(opened), overlay);
        if (is_growable(volume))
            return grow_file_system(volume, overlay);
        remark(fmt::format("{} is not grown further: it holds {}", escape_untrusted(volume.name),
                           volume.signature ? escape_untrusted(volume.signature->type) : "nothing that is known"));
    }

    // The root's logical volume takes the room, where it is one; else the group has it.
    void grow_group(const DiskLayout& layout, const Volume& member, const std::string& root,
                    const std::shared_ptr<OverlayDevice>& overlay) {
        const std::string what = "the volume group on " + escape_untrusted(member.name);
        try {
            // Each member that can be written: the group's text lies on all of them.
            std::vector<const Volume*> members{&member};
            for (const Volume& other : layout.volumes)
                if (&other != &member && is_group(other) && other.route)
                    members.push_back(&other);
            if (!member.route)
                fail(ErrorKind::unsupported, "it lies where it cannot be written");
            std::vector<std::shared_ptr<const BlockDevice>> devices;
            devices.reserve(members.size());
            for (const Volume* each : members)
                devices.push_back(each->device);
            const LvmGrowth growth = grow_physical_volume(devices, root.substr(root.find('/') + 1));
            for (const LvmWrite& write : growth.writes)
                members[write.member]->route(overlay)->write_at(write.offset, write.bytes);
            grown_ = overlay;
            if (root.empty())
                return remark(fmt::format("{} has {} more, free", what, format_size(growth.added)));
            remark(fmt::format("logical volume {} has {} more", escape_untrusted(root), format_size(growth.added)));
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::io || error.kind() == ErrorKind::cancelled)
                throw;
            return remark(fmt::format("{} keeps its size until the guest grows it: {}", what, error.what()));
        }
        grow_content("logical volume " + root);
    }

    void grow_file_system(const Volume& volume, const std::shared_ptr<OverlayDevice>& overlay) {
        const std::string type = volume.signature ? volume.signature->type : "";
        const std::string what = fmt::format("{} on {}", type, escape_untrusted(volume.name));
        if (const auto obstacle = own_appliance_missing(access_))
            return remark(fmt::format("{} keeps its size until the guest grows it: {}", what, *obstacle));
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
