// What a guest's network settings say of interfaces, whichever of the many programs they are for.
#pragma once

#include "libconvert/edit/plan_builder.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace vm2oci {

// cloud_init: `network:` in /etc/cloud/cloud.cfg and its .d, which cloud-init writes out for one of the others.
enum class NetworkStack { netplan, ifupdown, networkd, network_manager, ifcfg, cloud_init };

struct InterfaceSetting {
    NetworkStack stack = NetworkStack::netplan;
    std::string file{};       // absolute, in the guest
    std::string name{};       // empty: none is named; may be a pattern
    std::string mac{};        // empty: none is asked for
    bool is_static = false;   // has an address of its own
    bool complex = false;     // part of a bond, a bridge, a VLAN or a tunnel, or of another kind than Ethernet
    std::string driver{};     // of the old machine's card, or its slot; empty: none is asked for
    bool is_virtual = false;  // made by the setting itself, so that no card is called so
    bool only_by_mac = false; // nothing else tells the interface
};

// Of the programs that run in this guest, without the loopback.
std::vector<InterfaceSetting> network_settings(const PlanBuilder& plan);

bool network_manager_runs(const PlanBuilder& plan);
// Files of programs that are installed and do not run: "NetworkManager, which is switched off".
std::vector<std::string> idle_network_stacks(const PlanBuilder& plan);

// Files with settings for interfaces that are of none of the stacks above.
std::vector<std::string> other_network_settings(const PlanBuilder& plan);

// Named after a slot, the firmware's index or a hypervisor's bus, which differ between machines: ens192, enp3s0, eno1,
// em1, p2p1, enX0.
bool is_slot_name(std::string_view name);
// Letters, digits, '.', '_' and '-', at most 15: what the kernel takes, and no shell minds.
bool is_plain_interface_name(std::string_view name);
// br0, bond1, eth0.100, wg0: what settings make themselves.
bool is_virtual_name(std::string_view name);
// "ens192", "eth0": a network card's, whoever gave it.
bool is_card_name(std::string_view name);
// Adds the card that a stacked setting names below itself ("ens192", or "ens192.100" of its VLAN), for it may have no
// setting of its own. Nothing for what is no card's name or is made by settings.
void add_card_below(const InterfaceSetting& above, std::string_view name, std::vector<InterfaceSetting>& settings);
// ifupdown's file and those that it names by source and source-directory.
std::vector<std::string> ifupdown_files(const PlanBuilder& plan);

// /etc/network/interfaces without every stanza but the loopback's.
std::string without_interfaces(std::string_view interfaces);
// Without what binds the setting to a MAC address.
std::string without_mac_address(std::string_view text, NetworkStack stack);

// Read by network_settings().
void read_ifupdown(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings);
void read_ifcfg(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings);

} // namespace vm2oci
