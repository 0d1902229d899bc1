// Where the disks of a described machine lie: files that the user gave, and siblings of the description whose names
// follow from its own. No path in a description is ever opened.
#pragma once

#include "formats/block/disk_format.hpp"
#include "formats/block/disk_policy.hpp"
#include "formats/block/layer.hpp"
#include "libconvert/hardware/description.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Whether a description of the file name `description` may call a disk beside it `name`: web01.vmx has web01.vmdk,
// web01_1.vmdk (ESXi), web01-0.vmdk (Workstation), web01-000001.vmdk and web01_1-000001.vmdk (their snapshots);
// web01.xml has web01.qcow2, web01-1.qcow2, web01.vhdx, web01-disk2.img.
bool is_disk_sibling(std::string_view description, std::string_view name);

// One disk of the machine, and where it comes from: exactly one of `given` and `sibling` is there.
struct LocatedDisk {
    std::size_t number = 0;           // an index of MachineHardware::disks
    std::optional<std::size_t> given; // an index of the files that the user gave
    DevicePtr sibling;
    std::filesystem::path path;       // of the sibling
    std::optional<DiskFormat> format; // of the sibling, as the description has it; none: it is detected
};

struct LocationRequest {
    std::filesystem::path description; // as the user named it
    std::vector<std::string> given;    // files and addresses; a file stands for the disk that has its name
    std::string wanted;                // which disk alone: its number from 1 or its id; empty: all
    DiskPolicy policy;
};

// The files of all disks, or of the one that is wanted. Those whose names the description does not know stand, in
// order, for disks that nothing else is there for. A machine that is described without disks has those that are given,
// which `machine` is told. Error{unsafe}: a disk lies where nothing is opened on a description's word, or its sibling
// is of another format than stated. Error{usage}: a file that stands for no disk, no such disk.
std::vector<LocatedDisk> locate_disks(MachineDescription& machine, const LocationRequest& request);

} // namespace vm2oci
