// Disks without a guest that can be read: what they are all the same.
#pragma once

#include "libconvert/guest/volumes.hpp"

#include <string>

namespace vm2oci {

// What no Linux mounts alone, or not that of libguestfs' appliance: starting it would take half a minute for nothing.
bool is_beyond_appliance(const Signature& signature);

// An installer's medium, a BSD, a pool of ZFS, a data store, deployments of OSTree: one line, escaped; empty where it
// cannot be told. Reads a folder of each file system that this process reads. Throws what the disk throws.
std::string name_foreign_system(const DiskLayout& layout);

} // namespace vm2oci
