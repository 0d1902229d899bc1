// /etc/fstab as data (fstab(5)).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct FstabEntry {
    std::string device;      // as written: "UUID=…", "/dev/sda1"
    std::string mount_point; // "none" for swap
    std::string type;
    std::vector<std::string> options;
};

// Lines that say nothing are passed over; octal escapes are decoded.
std::vector<FstabEntry> parse_fstab(std::string_view text);

// A folder that the guest's VMware, VirtualBox or Parallels host lent it, and that no other host has.
bool is_share_of_host(const FstabEntry& entry);

bool has_option(const FstabEntry& entry, std::string_view option);

// "/boot//efi/" → "/boot/efi". Parts "." vanish, ".." clamps at the root.
std::string normalise_path(std::string_view path);

} // namespace vm2oci
