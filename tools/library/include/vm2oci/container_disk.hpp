// A disk in an image, as KubeVirt, CDI and crun-vm take it.
#pragma once

#include <string>

namespace vm2oci::v0 {

struct ContainerDisk {
    std::string file_name;    // in /disk; empty: as the disk's format has it
    std::string instancetype; // KubeVirt's defaults for a VM of this image; empty: none
    std::string preference;
};

} // namespace vm2oci::v0
