// What a guest's network settings say of interfaces, whichever of the many programs they are for.
#pragma once

#include "libconvert/edit/plan_builder.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

enum class NetworkStack { netplan, ifupdown, networkd, network_manager, ifcfg };

struct InterfaceSetting {
    NetworkStack stack = NetworkStack::netplan;
    std::string file;       // absolute, in the guest
    std::string name;       // empty: none is named
    std::string mac;        // empty: none is asked for
    bool is_static = false; // has an address of its own
    bool complex = false;   // part of a bond, a bridge, a VLAN, or of another kind than Ethernet
};

// The loopback is left out.
std::vector<InterfaceSetting> network_settings(const PlanBuilder& plan);

// Named after a slot or the firmware's index, which differ between machines: ens192, enp3s0, eno1.
bool is_slot_name(std::string_view name);
// Letters, digits, '.', '_' and '-', at most 15: what the kernel takes, and no shell minds.
bool is_plain_interface_name(std::string_view name);

// /etc/network/interfaces without every stanza but the loopback's.
std::string without_interfaces(std::string_view interfaces);
// Without what binds the setting to a MAC address.
std::string without_mac_address(std::string_view text, NetworkStack stack);

} // namespace vm2oci
