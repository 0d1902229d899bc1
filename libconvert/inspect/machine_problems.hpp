// What would keep a guest from booting on another machine, and what no edit mends: it is told, with what to do.
#pragma once

#include "libconvert/guest/open_guest.hpp"
#include "libconvert/inspect/guest_info.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

struct MachineProblem {
    std::string id;   // a stable word for programs: "missing-device"
    std::string text; // one line, escaped
    // How `text` begins, up to what it is about ("/etc/netplan/a.yaml"), where a fix may tell of the same; else empty.
    std::string about{};
};

// Devices of fstab and resume= that this disk does not have, LVM's filters, suspended systems, an EFI system partition
// that nothing names, 4096-byte sectors, interface names and drivers of other hypervisors. Reads a few files of the
// guest; nothing without one but what the disk itself tells.
std::vector<MachineProblem> find_machine_problems(const OpenedGuest& opened);

// Whether LVM, told by the filter or global_filter of lvm.conf, looks at a device. Of the patterns of each list the
// first that matches decides; none: it is taken (lvm.conf(5)). A pattern that is no regular expression matches nothing.
bool lvm_takes_device(std::string_view lvm_configuration, const std::string& device);

// Whether a list of drivers that a setting is for, with patterns ("e1000 virtio_*", "!veth"), has that of virtio's
// cards; an empty list is for all.
bool takes_virtio_cards(std::string_view drivers);

// "ens192", "enX0", "em1", "p3p1", "eno1": a name after the slot, port or hypervisor of another machine. Empty: it is
// none. Else what gives such names, for people.
std::string_view origin_of_interface_name(std::string_view name);

} // namespace vm2oci
