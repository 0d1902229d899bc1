// vm2oci's appliance: a machine that boots for one job on file systems of a guest, and ends.
#pragma once

#include "formats/appliance/job.hpp"
#include "formats/base/fd.hpp"

#include <functional>
#include <string>
#include <vector>

namespace vm2oci::guest {

// A file system of the job that is mounted.
struct MountedVolume {
    UniqueFd folder;
    std::string type;
    std::uint64_t size = 0; // of its disk
};

// Carries the steps out in order, and writes everything to the disks. `begin` hears of the index of each before it
// begins, and again now and then in a long one. Contents are read from `contents`, an open file.
void carry_out(const ApplianceJob& job, std::vector<MountedVolume>& volumes, int contents,
               const std::function<void(std::uint32_t)>& begin);

// As process 1, with the kernel's file systems mounted: reads the job from the disk that has no serial number, mounts
// the disks "volume0" and on, carries it out, unmounts, tells on vm2oci's port, and switches the machine off.
[[noreturn]] void run_appliance();

} // namespace vm2oci::guest
