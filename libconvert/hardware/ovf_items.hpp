// The VirtualHardwareSection of an OVF.
#pragma once

#include "libconvert/hardware/hardware.hpp"
#include "libconvert/hardware/ovf.hpp"

#include <pugixml.hpp>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// A disk of the DiskSection.
struct OvfDisk {
    std::string id;
    std::string file_ref;
    std::optional<std::uint64_t> capacity;
    OvfFormat format = OvfFormat::unsaid;
    std::string interface; // oVirt's, and so is what follows
    std::size_t boot_order = ~std::size_t{0};
};

// Fills in everything of `hardware` that the section tells: of the items those that count in `configuration` ("": the
// default one). The disks are those that an item names, in order; each of them is in `disks`. Error{corrupt}.
void read_hardware_section(const pugi::xml_node& section, std::string_view configuration,
                           const std::vector<OvfDisk>& disks, MachineHardware& hardware);

} // namespace vm2oci
