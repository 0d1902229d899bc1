// How a guest's file systems are read and changed.
#pragma once

#include <string>
#include <vector>

namespace vm2oci::v0 {

enum class GuestBackend {
    automatic,  // in this process where it can be; else changed as appliance, where it is installed, or as libguestfs
    native,     // in this process
    libguestfs, // in its appliance
    appliance,  // read in this process, changed by vm2oci's own appliance
};

struct GuestAccess {
    GuestBackend backend = GuestBackend::automatic;
    std::vector<std::string> keys; // to encrypted volumes: "SELECTOR:file:FILE"
    std::string root;              // a partition's number, "VG/LV", "UUID=…"; empty: the guest tells
};

} // namespace vm2oci::v0
