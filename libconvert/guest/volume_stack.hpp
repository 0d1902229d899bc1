// Inside of the room: what lies inside of other volumes, as deep as it goes.
#pragma once

#include "libconvert/guest/disk_key.hpp"
#include "libconvert/guest/volumes.hpp"

#include <vector>

namespace vm2oci {

// Adds to the volumes of the disks the arrays, their partitions, what `keys` open and the logical volumes, and tells in
// the layout's remarks what is not read. Throws what reading the disks throws (io).
void open_containers(DiskLayout& layout, const std::vector<DiskKey>& keys);

// What is told of keys for which nothing on the disk is locked; safe to print.
std::vector<std::string> describe_idle_keys(const DiskLayout& layout, const std::vector<DiskKey>& keys);

} // namespace vm2oci
