// What the disks of a machine are divided into, and how a guest's configuration names each piece.
#pragma once

#include "formats/block/block_changes.hpp"
#include "formats/block/masked.hpp"
#include "formats/partition/partition.hpp"
#include "formats/partition/signature.hpp"
#include "libconvert/guest/device_name.hpp"
#include "libconvert/guest/disk_key.hpp"
#include "libconvert/guest/fstab.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vm2oci {

// A part of a volume, in order: where it lies on the device that was examined.
struct VolumeSegment {
    std::uint64_t offset = 0; // in the volume
    std::uint64_t disk_offset = 0;
    std::uint64_t length = 0;
};

// What a RAID array is called.
struct ArrayNames {
    std::string uuid;                     // as mdadm writes it: "11223344:55667788:…"
    std::string name;                     // "host:name"; empty: none
    std::optional<std::uint32_t> minor;   // 3 for /dev/md3, where the array says it
    std::optional<Partition> partition{}; // of a partition inside of the array: its entry in the table there
};

// What became of what holds other volumes: the member of an array, LUKS.
enum class Containment {
    unread, // it holds none, or nothing here reads it
    read,   // what it holds is among the volumes
    locked, // no key that was given opens it
};

// A segment that holds a file system, swap, or something opaque: a partition, the whole disk, a logical volume, an
// array, what LUKS encrypts.
struct Volume {
    std::string name; // for people: "partition 1", "whole disk", "disk 2, partition 1", "logical volume vg0/root"
    std::shared_ptr<const BlockDevice> device;
    std::optional<Signature> signature;
    std::size_t disk = 0;                   // of the machine's disks: the first that it lies on; 0: a logical volume
    std::optional<std::size_t> partition{}; // index into the table of that disk, for partitions
    std::string logical_volume{};           // "vg0/root" for logical volumes
    std::string mapper_uuid{};              // of logical volumes: as LVM names them to device-mapper
    std::optional<ArrayNames> array{};      // of arrays, and of partitions inside of them
    std::optional<std::size_t> encrypted{}; // the index of the LUKS volume that it is the content of
    Containment containment = Containment::unread;
    std::string locked_reason{}; // of a locked one: why, as the rest of a sentence about it; safe to print
    // From changes to the device that was examined to those of the volume. Null: it cannot be written by this process.
    ChangesRoute route{};
    // Where zeros may take the place of what nobody uses in it, maybe in several places for one: the members of an
    // array; of LUKS what it encrypts. Empty: nowhere.
    std::vector<VolumeSegment> stored{};
    // Only whole units of so many bytes of the volume may be replaced there: those that are encrypted together.
    std::uint64_t stored_unit = 1;
};

struct DiskLayout {
    PartitionTable table;                       // of the first disk, from which the machine boots
    std::vector<PartitionTable> further_tables; // of the others, in their order
    std::vector<Volume> volumes;                // extended partitions are not among them
    std::vector<DiskRange> free_extents;        // of LVM, on the device that was examined
    std::vector<std::string> remarks;
    GuestDisks guest_disks;    // empty until learn_guest_disks()
    std::size_t root_disk = 0; // the disk that the root lies on, as Volume::disk
};

// A partition or a whole disk, of the machine's own.
bool lies_on_disk(const Volume& volume);

// Reads the partition tables and the signatures, and what lies inside of arrays, LUKS volumes that `keys` open, and
// LVM2's volume groups, as deep as they lie in each other. `sizes` are those of the disks that lie one behind
// another on the device (JoinedDevice); empty: it is one disk. Throws as read_partitions() does for the first disk; a
// table of another one that cannot be read is a remark.
DiskLayout examine_layout(const std::shared_ptr<const BlockDevice>& device,
                          const std::vector<std::uint64_t>& sizes = {}, const std::vector<DiskKey>& keys = {});

// The entry of a disk's partition table; null: the volume is none of its partitions.
const Partition* partition_of(const DiskLayout& layout, const Volume& volume);

// As place_of_disk() counts the disks: 0 is the root's, 1 and on are the others in their order; and the way back.
std::size_t place_in_layout(const DiskLayout& layout, std::size_t disk);
std::size_t disk_at_place(const DiskLayout& layout, std::size_t place);

// Which volume an fstab or a kernel command line means: "UUID=…", "LABEL=…", "PARTUUID=…", "PARTLABEL=…",
// "/dev/disk/by-…/…", "/dev/vg/lv", what crypttab maps (the LUKS volume below if it is not open), arrays (the first of
// their members if they are not read), and all that parse_disk_device() knows, if the disk is the guest's. nullopt:
// none of this disk's.
std::optional<std::size_t> find_volume(const DiskLayout& layout, std::string_view specification);

// Fills in layout.guest_disks: what the guest, whose root is layout.volumes[root], calls the disk. `root_names`: what
// its boot loaders' root= says.
void learn_guest_disks(DiskLayout& layout, std::size_t root, const std::vector<FstabEntry>& fstab,
                       const std::vector<std::string>& root_names,
                       std::vector<std::pair<std::string, std::string>> crypttab);

} // namespace vm2oci
