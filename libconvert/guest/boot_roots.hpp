// What boot loaders tell the kernel of the root file system.
#pragma once

#include "libconvert/guest/guest.hpp"

#include <string>
#include <vector>

namespace vm2oci {

struct BootRoot {
    std::string root;  // the value of root=
    std::string flags; // of rootflags=, options of its mount; empty: none
};

// What stands for the root in the entries of GRUB (both), systemd-boot and extlinux whose configuration lies below
// `folder` of `files` ("" for a file system of its own for /boot, "/boot" within a root): the entry that starts by
// default first. Entries without root= are passed over. Empty: no boot loader.
std::vector<BootRoot> read_boot_roots(const Guest& files, const std::string& folder);

} // namespace vm2oci
