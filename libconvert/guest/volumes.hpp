// What a disk is divided into, and how a guest's configuration names each piece.
#pragma once

#include "formats/block/masked.hpp"
#include "formats/partition/partition.hpp"
#include "formats/partition/signature.hpp"
#include "libconvert/guest/device_name.hpp"
#include "libconvert/guest/fstab.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

// A part of a volume, in order: where it lies on the disk.
struct VolumeStretch {
    std::uint64_t offset = 0; // in the volume
    std::uint64_t disk_offset = 0;
    std::uint64_t length = 0;
};

// A stretch that holds a file system, swap, or something opaque: a partition, the whole disk, a logical volume.
struct Volume {
    std::string name; // for people: "partition 1", "whole disk", "logical volume vg0/root"
    std::shared_ptr<const BlockDevice> device;
    std::optional<Signature> signature;
    std::optional<std::size_t> partition; // index into the table, for partitions
    std::string logical_volume;           // "vg0/root" for logical volumes
    std::string mapper_uuid;              // of logical volumes: as LVM names them to device-mapper
    std::vector<VolumeStretch> stretches;
};

struct DiskLayout {
    PartitionTable table;
    std::vector<Volume> volumes;         // extended partitions are not among them
    std::vector<DiskRange> free_extents; // of LVM, on the disk
    std::vector<std::string> remarks;
    GuestDisks guest_disks; // empty until learn_guest_disks()
};

// Reads the partition table, the signatures, and LVM2's metadata. Throws as read_partitions() does.
DiskLayout examine_layout(const std::shared_ptr<const BlockDevice>& disk);

// Which volume an fstab or a kernel command line means: "UUID=…", "LABEL=…", "PARTUUID=…", "PARTLABEL=…",
// "/dev/disk/by-…/…", "/dev/vg/lv", what crypttab maps, arrays (the first of their members), and all that
// parse_disk_device() knows, if the disk is the guest's. nullopt: none of this disk's.
std::optional<std::size_t> find_volume(const DiskLayout& layout, std::string_view specification);

// Fills in layout.guest_disks: what the guest, whose root is layout.volumes[root], calls the disk. `root_names`: what
// its boot loaders' root= says.
void learn_guest_disks(DiskLayout& layout, std::size_t root, const std::vector<FstabEntry>& fstab,
                       const std::vector<std::string>& root_names,
                       std::vector<std::pair<std::string, std::string>> crypttab);

} // namespace vm2oci
