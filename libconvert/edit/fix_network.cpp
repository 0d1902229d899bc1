// Interface names and MAC addresses of another machine: let go, or given to this machine's interfaces.
#include "formats/base/escape.hpp"
#include "libconvert/edit/network_settings.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace vm2oci {
namespace {

constexpr std::string_view kDhcpReason = "every wired interface asks for its address, whatever it is called";

// Not `optional`: where no interface is required, networkd's wait for the network never ends well.
constexpr std::string_view kNetplan = R"(# Written by vm2oci.
network:
  version: 2
  ethernets:
    wired:
      match:
        name: "e*"
      dhcp4: true
      dhcp6: true
)";

constexpr std::string_view kNetworkd = R"(# Written by vm2oci.
[Match]
Name=en* eth*

[Network]
DHCP=yes
)";

constexpr std::string_view kNetworkManager = R"([connection]
id=wired
type=ethernet
multi-connect=3
autoconnect-priority=-100

[ipv4]
method=auto

[ipv6]
method=auto
)";

// Numbers the network cards by their PCI addresses: those are all known before the first driver looks at one, so that
// the order in which interfaces appear does not matter.
constexpr std::string_view kNamingScript = R"sh(#!/bin/sh
# Written by vm2oci: prints the name for the interface whose device is $1, by the order of the slots.
names="@NAMES@"
wanted=$(readlink -f "$1")
set -- $names
for device in /sys/bus/pci/devices/*; do
    read -r class < "$device/class" || continue
    case $class in 0x0200*) ;; *) continue ;; esac
    case $wanted/ in "$(readlink -f "$device")"/*) [ $# -gt 0 ] && echo "$1" && exit 0; exit 1 ;; esac
    [ $# -gt 0 ] && shift
done
exit 1
)sh";

// What ifupdown calls an interface on this guest: Debian's matches patterns since 0.8.20 (Debian 9); BusyBox's does
// not.
std::string dhcp_stanza(const PlanBuilder& plan) {
    const bool patterns = init_system(plan) == InitSystem::systemd && !plan.exists("/etc/alpine-release");
    return patterns ? "allow-hotplug /e*=wired\niface wired inet dhcp\n" : "auto eth0\niface eth0 inet dhcp\n";
}

void dhcp_ifupdown(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings) {
    std::set<std::string> files;
    for (const InterfaceSetting& setting : settings)
        if (setting.stack == NetworkStack::ifupdown)
            files.insert(setting.file);
    if (files.empty())
        return;
    const std::string main = "/etc/network/interfaces";
    for (const std::string& file : files)
        if (file != main)
            plan.write(file, without_interfaces(plan.read_text(file).value_or("")), std::string(kDhcpReason));
    std::string text = without_interfaces(plan.read_text(main).value_or("auto lo\niface lo inet loopback\n"));
    while (text.ends_with("\n\n"))
        text.pop_back();
    plan.write(main, text + "\n" + dhcp_stanza(plan), std::string(kDhcpReason));
}

void set_up_dhcp(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings) {
    const std::string reason(kDhcpReason);
    std::set<NetworkStack> stacks;
    std::set<std::string> removed;
    for (const InterfaceSetting& setting : settings) {
        if (setting.complex) {
            plan.found(fmt::format("{} sets up more than plain interfaces (bonds, bridges, VLANs) and stays",
                                   escape_untrusted(setting.file)));
            continue;
        }
        stacks.insert(setting.stack);
        if (setting.stack != NetworkStack::ifupdown)
            removed.insert(setting.file);
    }
    for (const std::string& file : removed)
        plan.remove(file, reason);
    if (stacks.contains(NetworkStack::netplan))
        plan.write("/etc/netplan/50-vm2oci.yaml", std::string(kNetplan), reason, {0600, 0, 0, {}});
    if (stacks.contains(NetworkStack::networkd))
        plan.write("/etc/systemd/network/80-vm2oci.network", std::string(kNetworkd), reason, {0644, 0, 0, {}});
    const bool has_manager = plan.exists("/usr/sbin/NetworkManager");
    if (stacks.contains(NetworkStack::network_manager) || (stacks.contains(NetworkStack::ifcfg) && has_manager))
        plan.write("/etc/NetworkManager/system-connections/vm2oci-wired.nmconnection", std::string(kNetworkManager),
                   reason, {0600, 0, 0, {}});
    else if (stacks.contains(NetworkStack::ifcfg))
        plan.write(plan.exists("/etc/sysconfig/network/ifcfg-lo") ? "/etc/sysconfig/network/ifcfg-eth0"
                                                                  : "/etc/sysconfig/network-scripts/ifcfg-eth0",
                   "DEVICE=eth0\nBOOTPROTO=dhcp\nONBOOT=yes\nSTARTMODE=auto\n", reason, {0644, 0, 0, {}});
    dhcp_ifupdown(plan, settings);
}

void pin_names(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings) {
    std::vector<std::string> names;
    for (const InterfaceSetting& setting : settings)
        if (!setting.name.empty() && is_plain_interface_name(setting.name) &&
            std::find(names.begin(), names.end(), setting.name) == names.end())
            names.push_back(setting.name);
    if (names.empty())
        return;
    std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.size(), a) < std::pair(b.size(), b);
    });
    const std::string reason =
        fmt::format("the interfaces get their old names in the order of their slots: {}", fmt::join(names, ", "));
    plan.write("/usr/local/lib/vm2oci/interface-name",
               replaced(kNamingScript, "@NAMES@", fmt::format("{}", fmt::join(names, " "))), reason, {0755, 0, 0, {}});
    plan.write("/etc/udev/rules.d/81-vm2oci-net.rules",
               "# Written by vm2oci.\n"
               "SUBSYSTEM==\"net\", ACTION==\"add\", SUBSYSTEMS==\"pci\", ATTR{type}==\"1\", "
               "PROGRAM=\"/usr/local/lib/vm2oci/interface-name /sys%p/device\", NAME=\"%c\"\n",
               reason, {0644, 0, 0, {}});
}

void let_addresses_go(PlanBuilder& plan) {
    for (const char* pattern :
         {"/etc/udev/rules.d/70-persistent-net.rules", "/etc/udev/rules.d/*-persistent-net*.rules"})
        for (const std::string& path : plan.glob(pattern))
            plan.remove(path, "it ties interface names to the old machine's MAC addresses");
    for (const std::string& path : plan.glob("/etc/systemd/network/*.link"))
        if (const auto text = plan.read_text(path))
            for (const std::string_view line : lines_of(*text))
                if (trimmed(line).starts_with("MACAddress=")) {
                    plan.remove(path, "it ties an interface name to the old machine's MAC address");
                    break;
                }
}

} // namespace

void plan_network_fix(PlanBuilder& plan, const FixContext& context) {
    const std::vector<InterfaceSetting> settings = network_settings(plan);
    const std::size_t edits_before = plan.plan().edits.size();
    let_addresses_go(plan);
    bool pinned = plan.plan().edits.size() != edits_before;
    if (pinned)
        context.problems.push_back("rules tie interface names to the old machine's MAC addresses");
    for (const InterfaceSetting& setting : settings) {
        if (!setting.mac.empty())
            context.problems.push_back(fmt::format("{} is for the MAC address {} alone", escape_untrusted(setting.file),
                                                   escape_untrusted(setting.mac)));
        else if (is_slot_name(setting.name))
            context.problems.push_back(fmt::format("{} is for the interface {}, which is called otherwise on another "
                                                   "machine",
                                                   escape_untrusted(setting.file), escape_untrusted(setting.name)));
        else if (!setting.is_static)
            continue;
        pinned = true;
    }
    if (!pinned)
        return;
    switch (context.network) {
    case NetworkFix::dhcp:
        return set_up_dhcp(plan, settings);
    case NetworkFix::pin:
        pin_names(plan, settings);
        break;
    case NetworkFix::keep:
        break;
    }
    for (const InterfaceSetting& setting : settings)
        if (!setting.mac.empty())
            if (const auto text = plan.read_text(setting.file))
                plan.write(setting.file, without_mac_address(*text, setting.stack),
                           "the old machine's MAC address is not this one's");
}

} // namespace vm2oci
