// What a disk is divided into, and how a guest's configuration names each piece.
#pragma once

#include "formats/block/masked.hpp"
#include "formats/partition/partition.hpp"
#include "formats/partition/signature.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
    std::vector<VolumeStretch> stretches;
};

struct DiskLayout {
    PartitionTable table;
    std::vector<Volume> volumes;         // extended partitions are not among them
    std::vector<DiskRange> free_extents; // of LVM, on the disk
    std::vector<std::string> remarks;
};

// Reads the partition table, the signatures, and LVM2's metadata. Throws as read_partitions() does.
DiskLayout examine_layout(const std::shared_ptr<const BlockDevice>& disk);

// Which volume an fstab or a kernel command line means: "UUID=…", "LABEL=…", "PARTUUID=…", "PARTLABEL=…",
// "/dev/disk/by-…/…", "/dev/sda1" (and vda, xvda, hda, nvme0n1p1, mmcblk0p1; only the first disk is ours),
// "/dev/mapper/vg-lv", "/dev/vg/lv". nullopt: none of this disk's.
std::optional<std::size_t> find_volume(const DiskLayout& layout, std::string_view specification);

} // namespace vm2oci
