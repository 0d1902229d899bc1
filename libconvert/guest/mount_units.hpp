// What a guest mounts without an entry in fstab because its administrator wrote it elsewhere: units of systemd, and
// the automounter's maps.
#pragma once

#include "libconvert/guest/fstab.hpp"
#include "libconvert/guest/guest.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// Where units of one origin lie.
enum class UnitOrigin {
    administrator, // /etc/systemd/system
    vendor,        // /usr/lib/systemd/system, /usr/local/lib/systemd/system, /lib/systemd/system
};

struct MountUnit {
    std::string file; // "/etc/systemd/system/srv.mount"
    FstabEntry entry; // what would stand in fstab; of a swap unit the type is "swap"
};

// The mount and swap units of that origin in the order of their mount points (systemd.mount(5), systemd.swap(5)). A
// unit that nothing starts at boot is "noauto"; a vendor's is left out then. Masked units, those without What= or whose
// conditions do not hold, and packages of snapd are left out, and so are a vendor's for which the administrator has one
// of the same name.
std::vector<MountUnit> read_mount_units(const Guest& guest, UnitOrigin origin);

// What autofs mounts when somebody looks, if the guest starts it: the indirect maps of /etc/auto.master and what it
// includes, of type "autofs" (auto.master(5)). The device is the map. "/misc" and "/net" of its samples are left out.
std::vector<FstabEntry> read_automounts(const Guest& guest);

// "var-lib-data\\x2d1.mount" → "/var/lib/data-1"; empty: no name of a mount unit.
std::string place_of_unit(std::string_view name);

} // namespace vm2oci
