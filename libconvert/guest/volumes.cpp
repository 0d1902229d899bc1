#include "libconvert/guest/volumes.hpp"

#include "formats/base/error.hpp"
#include "formats/block/routed_changes.hpp"
#include "formats/block/slice.hpp"
#include "formats/md/array.hpp"
#include "libconvert/guest/boot_disk.hpp"
#include "libconvert/guest/volume_stack.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

// The disk itself is a member of an array, in which its partitions lie: it ends in a superblock of its own, and not in
// that of a partition.
bool is_member_with_partitions(const PartitionTable& table, const BlockDevice& disk) {
    if (table.kind == TableKind::none)
        return false;
    const std::optional<std::uint64_t> place = find_end_superblock(disk);
    return place && std::none_of(table.partitions.begin(), table.partitions.end(), [&](const Partition& partition) {
               return *place >= partition.offset && *place - partition.offset < partition.length;
           });
}

ChangesRoute route_to(std::uint64_t offset, std::uint64_t length) {
    return [offset, length](const std::shared_ptr<BlockChanges>& device) {
        return std::make_shared<PlacedChanges>(std::vector<PlacedPiece>{{0, length, device, offset}});
    };
}

// `offset`: where the disk begins on the device.
void add_disk(DiskLayout& layout, const PartitionTable& table, const std::shared_ptr<const BlockDevice>& disk,
              std::size_t index, std::uint64_t offset) {
    const std::string front = index == 0 ? "" : fmt::format("disk {}, ", index + 1);
    const bool is_member = is_member_with_partitions(table, *disk);
    for (std::size_t i = 0; i < table.partitions.size() && !is_member; ++i) {
        const Partition& partition = table.partitions[i];
        if (partition.role == PartitionRole::extended)
            continue;
        Volume volume;
        volume.name = fmt::format("{}partition {}", front, partition.number);
        volume.device = open_partition(disk, partition);
        volume.signature = probe_signature(*volume.device);
        volume.disk = index;
        volume.partition = i;
        volume.stored = {{0, offset + partition.offset, partition.length}};
        volume.route = route_to(offset + partition.offset, partition.length);
        layout.volumes.push_back(std::move(volume));
    }
    if (table.kind != TableKind::none && !is_member)
        return;
    if (std::optional<Signature> signature = probe_signature(*disk)) {
        Volume volume;
        volume.name = index == 0 ? "whole disk" : fmt::format("disk {}", index + 1);
        volume.device = disk;
        volume.signature = std::move(signature);
        volume.disk = index;
        volume.stored = {{0, offset, disk->size()}};
        volume.route = route_to(offset, disk->size());
        layout.volumes.push_back(std::move(volume));
    }
}

// The machine boots without it: what it cannot tell is told.
PartitionTable read_further_table(const BlockDevice& disk, std::size_t index, DiskLayout& layout) {
    PartitionTable table;
    try {
        table = read_partitions(disk);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::corrupt && error.kind() != ErrorKind::limit)
            throw;
        table.remarks = {error.what()};
    }
    for (const std::string& remark : table.remarks)
        layout.remarks.push_back(fmt::format("disk {}: {}", index + 1, remark));
    return table;
}

} // namespace

const Partition* partition_of(const DiskLayout& layout, const Volume& volume) {
    if (!volume.partition)
        return nullptr;
    const PartitionTable& table = volume.disk == 0 ? layout.table : layout.further_tables.at(volume.disk - 1);
    return &table.partitions.at(*volume.partition);
}

bool lies_on_disk(const Volume& volume) {
    return volume.logical_volume.empty() && !volume.array && !volume.encrypted;
}

DiskLayout examine_layout(const std::shared_ptr<const BlockDevice>& device, const std::vector<std::uint64_t>& sizes,
                          const std::vector<DiskKey>& keys) {
    DiskLayout layout;
    std::shared_ptr<const BlockDevice> first = device;
    if (sizes.size() > 1)
        first = std::make_shared<SliceDevice>(device, 0, sizes.front());
    layout.table = read_partitions(*first);
    layout.remarks = layout.table.remarks;
    add_disk(layout, layout.table, first, 0, 0);
    std::uint64_t offset = first->size();
    for (std::size_t i = 1; i < sizes.size(); ++i) {
        const auto disk = std::make_shared<SliceDevice>(device, offset, sizes[i]);
        layout.further_tables.push_back(read_further_table(*disk, i, layout));
        add_disk(layout, layout.further_tables.back(), disk, i, offset);
        offset += sizes[i];
    }
    open_containers(layout, keys);
    return layout;
}

std::size_t place_in_layout(const DiskLayout& layout, std::size_t disk) {
    if (disk == layout.root_disk)
        return 0;
    return disk < layout.root_disk ? disk + 1 : disk;
}

std::size_t disk_at_place(const DiskLayout& layout, std::size_t place) {
    if (place == 0)
        return layout.root_disk;
    return place <= layout.root_disk ? place - 1 : place;
}

void learn_guest_disks(DiskLayout& layout, std::size_t root, const std::vector<FstabEntry>& fstab,
                       const std::vector<std::string>& root_names,
                       std::vector<std::pair<std::string, std::string>> crypttab) {
    GuestDisks& disks = layout.guest_disks;
    layout.root_disk = layout.volumes[root].disk;
    disks.mapped = std::move(crypttab);
    const Partition* own = partition_of(layout, layout.volumes[root]);
    const auto learn = [&](const std::string& device) {
        const std::optional<DiskDeviceName> name = parse_disk_device(device);
        if (!name)
            return;
        // The root's own name must fit where the root was found; else it tells of another machine, or of a copy.
        if (own != nullptr && own->number != name->partition)
            return;
        if (own == nullptr && lies_on_disk(layout.volumes[root]))
            disks.lone_partition = name->partition;
        if (std::find(disks.own.begin(), disks.own.end(), name->disk) == disks.own.end())
            disks.own.push_back(name->disk);
    };
    for (const FstabEntry& entry : fstab)
        if (entry.mount_point == "/")
            learn(entry.device);
    for (const std::string& name : root_names)
        learn(name);
    learn_boot_disk(disks, fstab);
}

void learn_boot_disk(GuestDisks& disks, const std::vector<FstabEntry>& fstab) {
    for (const FstabEntry& entry : fstab) {
        const std::string place = normalise_path(entry.mount_point);
        const auto name = parse_disk_device(entry.device);
        if (name && disks.own.empty() && !is_named_by_order(name->disk) &&
            (place == "/boot" || place == "/boot/efi" || place == "/efi"))
            disks.own.push_back(name->disk);
    }
}

} // namespace vm2oci
