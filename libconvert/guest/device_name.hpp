// How a guest's configuration names disks and partitions: the only place that takes such names apart.
//
// Sources: the kernel's devices.txt; systemd's rules.d/60-persistent-storage.rules and -dm, -md; multipath-tools'
// kpartx; libmount's tags. UUID=, LABEL= and the like are not here: they name what lies in a volume, not a device.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

struct DiskDeviceName {
    // Which disk, without "/dev/" and the partition: "sda", "cciss/c0d0", "disk/by-id/ata-X", "mapper/mpatha". What
    // several links derive from one World Wide Identifier is one name: "wwid 36000c29…".
    std::string disk;
    unsigned partition = 0; // 0: the whole disk
};

// /dev/sda1, /dev/nvme0n1p2, /dev/cciss/c0d0p1, /dev/mapper/mpatha-part1, /dev/disk/by-id/….  nullopt: names no disk or
// partition of one (logical volumes, arrays, optical drives).
std::optional<DiskDeviceName> parse_disk_device(std::string_view name);

// "sda", "nvme0n1", "mapper/mpatha": named in the order in which they were found, and not by anything of their own.
bool is_named_by_order(std::string_view disk);

// What device-mapper's name is: "vg-lv" of /dev/mapper/vg-lv and /dev/disk/by-id/dm-name-vg-lv; empty: another device.
std::string mapper_device(std::string_view name);

// What a guest's own configuration tells of its disks. Without it the first disk of each driver has the root.
struct GuestDisks {
    std::vector<std::string> own;           // DiskDeviceName::disk of what the root and its boot files lie on
    std::optional<unsigned> lone_partition; // a disk without a table that the guest calls a partition (Xen): which
    std::vector<std::pair<std::string, std::string>> mapped; // of crypttab: device-mapper's name, what lies below
};

// Which of the machine's disks a DiskDeviceName::disk means: 0 is the one that the guest's root lies on, 1 and on are
// the others in their order. Names such as sda change with the machine, and only the order counts: by default the first
// is the root's, unless that lies on another one of the kind. nullopt: its place cannot be told.
std::optional<std::size_t> place_of_disk(const GuestDisks& disks, std::string_view disk);

// crypttab(5): name, device.
std::vector<std::pair<std::string, std::string>> parse_crypttab(std::string_view text);

} // namespace vm2oci
