// A part of what learn_guest_disks() learns, for those who know no root.
#pragma once

#include "libconvert/guest/device_name.hpp"
#include "libconvert/guest/fstab.hpp"

#include <vector>

namespace vm2oci {

// Where the root tells nothing: firmware starts what lies on the disk that it boots from, so the link of /boot's or the
// EFI system partition's disk is the root's.
void learn_boot_disk(GuestDisks& disks, const std::vector<FstabEntry>& fstab);

} // namespace vm2oci
