// Interface names and MAC addresses of another machine: let go, or given to this machine's interfaces.
#include "formats/base/escape.hpp"
#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/network_settings.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/edit/yaml.hpp"
#include "libconvert/inspect/machine_problems.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <set>

namespace vm2oci {
namespace {

constexpr std::string_view kDhcpReason = "every wired interface asks for its address, whatever it is called";

// Not `optional`: where no interface is required, networkd's wait for the network never ends well.
constexpr std::string_view kNetplan = R"(# Written by vm2oci.
network:
  version: 2
@RENDERER@  ethernets:
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

constexpr const char* kFirstName = "eth0";
constexpr const char* kNamingScriptPath = "/usr/local/lib/vm2oci/interface-name";
constexpr const char* kNamingRules = "/etc/udev/rules.d/81-vm2oci-net.rules";
constexpr unsigned kPatternVersion[3] = {0, 8, 20};

// The kernel's own names stay: nothing in the guest renames cards after their slots.
bool keeps_kernel_names(const PlanBuilder& plan) {
    if (init_system(plan) != InitSystem::systemd)
        return true;
    for (const char* rules : {"/etc/systemd/network/99-default.link", "/etc/udev/rules.d/80-net-setup-link.rules",
                              "/etc/udev/rules.d/80-net-name-slot.rules"})
        if (is_mask(plan, rules))
            return true;
    // Debian before 9: names are written down once, and are eth0 before that.
    for (const char* generator : {"/lib/udev/rules.d/75-persistent-net-generator.rules",
                                  "/usr/lib/udev/rules.d/75-persistent-net-generator.rules"})
        if (plan.exists(generator))
            return true;
    const auto lines = kernel_command_lines(plan);
    return !lines.empty() && std::all_of(lines.begin(), lines.end(), [](const std::vector<std::string>& words) {
        return std::find(words.begin(), words.end(), "net.ifnames=0") != words.end();
    });
}

// What an earlier fix lets the cards be called.
std::vector<std::string> pinned_names(const PlanBuilder& plan) {
    return plan.exists(kNamingRules) ? words_of(shell_value(plan.read_text(kNamingScriptPath).value_or(""), "names"))
                                     : std::vector<std::string>();
}

// systemd from 197 on: names after slots come by this file.
bool has_naming_policy(const PlanBuilder& plan) {
    return plan.exists("/usr/lib/systemd/network/99-default.link") ||
           plan.exists("/lib/systemd/network/99-default.link");
}

// Debian's ifupdown matches patterns since 0.8.20; the version is dpkg's word, and a guest without one is taken for
// new.
bool ifupdown_knows_patterns(const PlanBuilder& plan) {
    if (init_system(plan) != InitSystem::systemd || plan.exists("/etc/alpine-release"))
        return false; // BusyBox's does not
    const std::string status = plan.read_text("/var/lib/dpkg/status").value_or("");
    const std::size_t package = ("\n" + status).find("\nPackage: ifupdown\n");
    const std::size_t version = package == std::string::npos ? package : status.find("\nVersion: ", package);
    if (version == std::string::npos)
        return true;
    unsigned parts[3] = {};
    const char* at = status.data() + version + std::string_view("\nVersion: ").size();
    const char* const end = status.data() + status.size();
    for (unsigned& part : parts) {
        const auto read = std::from_chars(at, end, part);
        at = read.ptr == end ? end : read.ptr + 1;
    }
    return std::lexicographical_compare(std::begin(kPatternVersion), std::end(kPatternVersion), std::begin(parts),
                                        std::end(parts)) ||
           std::equal(std::begin(parts), std::end(parts), std::begin(kPatternVersion));
}

std::string dhcp_stanza(const PlanBuilder& plan) {
    return ifupdown_knows_patterns(plan) ? "allow-hotplug /e*=wired\niface wired inet dhcp\n"
                                         : "auto eth0\niface eth0 inet dhcp\n";
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

// The order of the slots gives the cards these names.
void pin_to_slots(PlanBuilder& plan, const std::vector<std::string>& names) {
    const std::string reason =
        fmt::format("the interfaces get their old names in the order of their slots: {}", fmt::join(names, ", "));
    plan.write(kNamingScriptPath, replaced(kNamingScript, "@NAMES@", fmt::format("{}", fmt::join(names, " "))), reason,
               {0755, 0, 0, {}});
    plan.write(kNamingRules,
               "# Written by vm2oci.\n"
               "SUBSYSTEM==\"net\", ACTION==\"add\", SUBSYSTEMS==\"pci\", ATTR{type}==\"1\", "
               "PROGRAM=\"/usr/local/lib/vm2oci/interface-name /sys%p/device\", NAME=\"%c\"\n",
               reason, {0644, 0, 0, {}});
}

// Of cards, not of what the settings make themselves; in the order in which a machine has them.
std::vector<std::string> names_of_cards(const std::vector<InterfaceSetting>& settings) {
    std::vector<std::string> names;
    for (const InterfaceSetting& setting : settings)
        if (!setting.is_virtual && is_plain_interface_name(setting.name) && !is_virtual_name(setting.name) &&
            std::find(names.begin(), names.end(), setting.name) == names.end())
            names.push_back(setting.name);
    std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.size(), a) < std::pair(b.size(), b);
    });
    return names;
}

// "  renderer: NetworkManager\n" where the guest's netplan hands its interfaces to it.
std::string netplan_renderer(const PlanBuilder& plan) {
    std::string renderer;
    for (const char* pattern : {"/lib/netplan/*.yaml", "/usr/lib/netplan/*.yaml", "/etc/netplan/*.yaml"})
        for (const std::string& file : plan.glob(pattern)) {
            const auto text = plan.read_text(file);
            const auto root = text ? try_parse_yaml(*text) : std::nullopt;
            const auto network = root ? root->get("network") : std::nullopt;
            if (const auto value = network ? network->get("renderer") : std::nullopt)
                renderer = value->text();
        }
    return renderer == "NetworkManager" || renderer == "networkd" ? "  renderer: " + renderer + "\n" : "";
}

// Red Hat's network service and SUSE's wicked know no patterns: the first card gets a name, where it would have
// another.
void dhcp_ifcfg(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings, const std::string& reason) {
    std::string folder = "/etc/sysconfig/network-scripts/";
    for (const InterfaceSetting& setting : settings)
        if (setting.stack == NetworkStack::ifcfg && setting.file.starts_with("/etc/sysconfig/network/"))
            folder = "/etc/sysconfig/network/";
    const bool suse = folder == "/etc/sysconfig/network/";
    plan.write(folder + "ifcfg-" + kFirstName,
               suse ? "BOOTPROTO='dhcp'\nSTARTMODE='auto'\n"
                    : "DEVICE=eth0\nTYPE=Ethernet\nBOOTPROTO=dhcp\nONBOOT=yes\nNM_CONTROLLED=no\n",
               reason, {0644, 0, 0, {}});
    for (const char* routes : {"/etc/sysconfig/network/routes", "/etc/sysconfig/network/ifroute-eth0"})
        if (plan.read_text(routes).value_or("").find("default") != std::string::npos)
            plan.found(fmt::format("{} keeps a default route of the old network", routes));
    if (!shell_value(plan.read_text("/etc/sysconfig/network").value_or(""), "GATEWAY").empty())
        plan.found("/etc/sysconfig/network keeps the gateway of the old network");
}

// Profiles are read by NetworkManager unless the plugin for them is left out, as Red Hat 6 does.
bool reads_profiles(const PlanBuilder& plan) {
    for (const IniEntry& entry : parse_ini(plan.read_text("/etc/NetworkManager/NetworkManager.conf").value_or("")))
        if (entry.key == "plugins")
            return entry.value.find("keyfile") != std::string::npos || init_system(plan) == InitSystem::systemd;
    return true;
}

// Red Hat's network service and NetworkManager share the ifcfg files; each card is the latter's unless its file says
// no.
bool left_to_network_service(const PlanBuilder& plan, const std::vector<InterfaceSetting>& settings) {
    for (const InterfaceSetting& setting : settings)
        if (setting.stack == NetworkStack::ifcfg &&
            to_lower(shell_value(plan.read_text(setting.file).value_or(""), "NM_CONTROLLED")) != "no")
            return false;
    return service_state(plan, "network") != ServiceState::absent;
}

bool has_word(std::string_view text, std::string_view word) {
    const auto inside = [&](std::size_t at) {
        return at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 || text[at] == '_');
    };
    for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1))
        if (!inside(at + word.size()) && (at == 0 || !inside(at - 1)))
            return true;
    return false;
}

// Tunnels, firewalls, routes and servers that go on naming a card by what it was called.
void tell_of_other_mentions(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings) {
    for (const char* pattern :
         {"/etc/wireguard/*.conf", "/etc/openvpn/*.conf", "/etc/nftables.conf", "/etc/nftables/*.nft",
          "/etc/sysconfig/nftables.conf", "/etc/sysconfig/iptables", "/etc/iptables/rules.v4", "/etc/ufw/*.rules",
          "/etc/firewalld/zones/*.xml", "/etc/firewalld/direct.xml", "/etc/sysctl.conf", "/etc/sysctl.d/*.conf",
          "/etc/default/isc-dhcp-server", "/etc/sysconfig/dhcpd", "/etc/dnsmasq.conf", "/etc/dnsmasq.d/*",
          "/etc/keepalived/keepalived.conf", "/etc/sysconfig/network-scripts/route-*",
          "/etc/sysconfig/network-scripts/rule-*"})
        for (const std::string& path : plan.glob(pattern)) {
            std::string text = path + "\n";
            const std::string content = plan.read_text(path).value_or("");
            for (const std::string_view line : lines_of(content))
                if (!trimmed(line).starts_with("#"))
                    text.append(line).append("\n");
            std::set<std::string> names;
            for (const InterfaceSetting& setting : settings)
                if (is_slot_name(setting.name) && has_word(text, setting.name))
                    names.insert(setting.name);
            if (!names.empty())
                plan.found(fmt::format("{} names {}, which no interface is called on another machine",
                                       escape_untrusted(path), fmt::join(names, ", ")));
        }
}

void set_up_dhcp(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings) {
    const std::string reason(kDhcpReason);
    const std::string renderer = netplan_renderer(plan);
    const bool managed = network_manager_runs(plan) && reads_profiles(plan) && !left_to_network_service(plan, settings);
    std::set<NetworkStack> stacks;
    std::set<std::string> files;
    for (const InterfaceSetting& setting : settings) {
        stacks.insert(setting.stack);
        if (setting.stack == NetworkStack::cloud_init)
            cut_cloud_setting(plan, setting.file, "network",
                              "cloud-init would write the old network's settings anew from it");
        else if (setting.stack != NetworkStack::ifupdown && !setting.file.starts_with("/usr/"))
            files.insert(setting.file); // a package's files are its own, and others go before them
    }
    bool named_first = false;
    if (stacks.contains(NetworkStack::ifcfg) && !managed && !stacks.contains(NetworkStack::network_manager)) {
        for (const std::string& file : files)
            if (!file.ends_with(std::string("/ifcfg-") + kFirstName))
                plan.remove(file, reason);
        dhcp_ifcfg(plan, settings, reason);
        named_first = true;
    } else {
        for (const std::string& file : files)
            plan.remove(file, reason);
    }
    if (stacks.contains(NetworkStack::netplan))
        plan.write("/etc/netplan/50-vm2oci.yaml", replaced(kNetplan, "@RENDERER@", renderer), reason, {0600, 0, 0, {}});
    if (stacks.contains(NetworkStack::networkd))
        plan.write("/etc/systemd/network/80-vm2oci.network", std::string(kNetworkd), reason, {0644, 0, 0, {}});
    if (stacks.contains(NetworkStack::network_manager) || (stacks.contains(NetworkStack::ifcfg) && managed))
        plan.write("/etc/NetworkManager/system-connections/vm2oci-wired.nmconnection", std::string(kNetworkManager),
                   reason, {0600, 0, 0, {}});
    dhcp_ifupdown(plan, settings);
    named_first = named_first || (stacks.contains(NetworkStack::ifupdown) && !ifupdown_knows_patterns(plan));
    if (named_first && !keeps_kernel_names(plan))
        pin_to_slots(plan, {kFirstName});
}

// "…, ATTR{address}==…, NAME=…" of udev, or by a slot, in any of its rules.
bool names_by_address(std::string_view line) {
    const bool tells_card =
        line.find("address}==") != std::string_view::npos || line.find("KERNELS==\"0000:") != std::string_view::npos;
    return trimmed(line).substr(0, 1) != "#" && tells_card && line.find("net") != std::string_view::npos &&
           (line.find("NAME=\"") != std::string_view::npos || line.find("NAME:=\"") != std::string_view::npos ||
            line.find("NAME+=\"") != std::string_view::npos);
}

void let_addresses_go(PlanBuilder& plan) {
    const std::string reason = "it ties interface names to the old machine's MAC addresses";
    for (const std::string& path : plan.glob("/etc/udev/rules.d/*.rules")) {
        if (is_mask(plan, path))
            continue; // an administrator's way to have none
        if (path.find("-persistent-net") != std::string::npos) {
            plan.remove(path, reason);
            continue;
        }
        const std::string text = plan.read_text(path).value_or("");
        std::string kept;
        for (const std::string_view line : lines_of(text))
            if (!names_by_address(line))
                kept += std::string(line) + "\n";
        if (kept.size() < text.size())
            plan.write(path, kept, reason);
    }
    for (const char* path : {"/etc/iftab", "/etc/mactab"}) // ifrename's and nameif's
        if (!is_mask(plan, path))
            plan.remove(path, reason);
    for (const std::string& path : plan.glob("/etc/systemd/network/*.link")) {
        const std::string text = plan.read_text(path).value_or("");
        for (const IniEntry& entry : parse_ini(text))
            if (entry.section == "Match" &&
                (entry.key == "MACAddress" || entry.key == "PermanentMACAddress" || entry.key == "Path" ||
                 (entry.key == "Driver" && !takes_virtio_cards(entry.value)))) {
                plan.remove(path, entry.key == "Driver" || entry.key == "Path"
                                      ? "it names the old machine's cards alone"
                                      : reason);
                break;
            }
    }
}

// What binds a setting to the old machine goes, and the rest of it stays.
void let_bindings_go(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings) {
    std::set<std::string> kept; // files in which nothing else tells an interface
    for (const InterfaceSetting& setting : settings)
        if (setting.only_by_mac) {
            plan.found(fmt::format("{} tells its interface by the MAC address {} alone, and stays so",
                                   escape_untrusted(setting.file), escape_untrusted(setting.mac)));
            kept.insert(setting.file);
        }
    for (const InterfaceSetting& setting : settings) {
        const auto text = setting.mac.empty() || setting.only_by_mac ? std::nullopt : plan.read_text(setting.file);
        if (!text)
            continue;
        const std::string without = without_mac_address(*text, setting.stack);
        // A YAML in one line is not taken apart.
        const bool is_uncut = without == *text && text->find(setting.mac) != std::string::npos;
        if (is_uncut || kept.contains(setting.file))
            plan.found(fmt::format("{} asks for the MAC address {}, and stays so", escape_untrusted(setting.file),
                                   escape_untrusted(setting.mac)));
        else
            plan.write(setting.file, without, "the old machine's MAC address is not this one's");
    }
}

// A guest's network is one thing: bonds, bridges, VLANs and tunnels name the interfaces below them, wherever these are
// set up. They stay as they are, and the cards get their old names.
void keep_whole(PlanBuilder& plan, const std::vector<InterfaceSetting>& settings,
                const std::set<std::string>& stacked) {
    let_bindings_go(plan, settings);
    plan.found(fmt::format("{} set{} up bonds, bridges, VLANs, tunnels or the like, or cannot be read: the network's "
                           "settings stay whole, with "
                           "the addresses in them; for another network, change them in the guest",
                           fmt::join(stacked, ", "), stacked.size() == 1 ? "s" : ""));
    const std::vector<std::string> names = names_of_cards(settings);
    const bool renamed =
        std::any_of(names.begin(), names.end(), [](const std::string& name) { return is_slot_name(name); }) ||
        (!names.empty() && !keeps_kernel_names(plan));
    if (!renamed)
        return;
    pin_to_slots(plan, names);
    plan.found(
        fmt::format("the cards are called {} in the order of their slots, as the settings expect; the new machine "
                    "needs as many",
                    fmt::join(names, ", ")));
}

// What keeps the setting from the cards of another machine; empty: nothing does. `pinned`: names that files of the
// guest give. `renames_cards`: systemd gives those names that come from a card's slot.
std::string problem_of(const InterfaceSetting& setting, const std::vector<std::string>& pinned, bool renames_cards) {
    const std::string file = escape_untrusted(setting.file);
    if (!setting.mac.empty())
        return fmt::format("{} is for the MAC address {} alone", file, escape_untrusted(setting.mac));
    if (!takes_virtio_cards(setting.driver))
        return fmt::format("{} is for cards of {} alone, which another machine has not", file,
                           escape_untrusted(setting.driver));
    if (setting.is_virtual || std::find(pinned.begin(), pinned.end(), setting.name) != pinned.end())
        return "";
    if (is_slot_name(setting.name))
        return fmt::format("{} is for the interface {}, which is called otherwise on another machine", file,
                           escape_untrusted(setting.name));
    if (renames_cards && is_card_name(setting.name))
        return fmt::format("{} is for the interface {}, as hypervisors without slots call it: on another machine "
                           "systemd names it after its slot",
                           file, escape_untrusted(setting.name));
    return "";
}

} // namespace

void plan_network_fix(PlanBuilder& plan, const FixContext& context) {
    const std::vector<InterfaceSetting> settings = network_settings(plan);
    const std::size_t edits_before = plan.plan().edits.size();
    for (const std::string& program : idle_network_stacks(plan))
        plan.found(fmt::format("{} is switched off; its settings are left alone", program));
    for (const std::string& file : other_network_settings(plan))
        plan.found(
            fmt::format("{} has settings for interfaces in a form that is not read here; they stay, with the names "
                        "in them",
                        escape_untrusted(file)));
    let_addresses_go(plan);
    bool bound = plan.plan().edits.size() != edits_before;
    if (bound)
        context.problems.push_back("rules tie interface names to the old machine's MAC addresses");
    const std::vector<std::string> pinned = pinned_names(plan);
    const bool renames_cards = !keeps_kernel_names(plan) && has_naming_policy(plan);
    bool is_static = false;
    std::set<std::string> stacked;
    std::set<std::string> told;
    for (const InterfaceSetting& setting : settings) {
        const std::string file = escape_untrusted(setting.file);
        if (setting.complex)
            stacked.insert(file);
        is_static = is_static || setting.is_static;
        const std::string problem = problem_of(setting, pinned, renames_cards);
        if (!problem.empty() && told.insert(problem).second)
            context.problems.push_back(problem);
        bound = bound || !problem.empty();
    }
    if (context.network != NetworkFix::dhcp) {
        if (!bound && !is_static)
            return;
        if (const auto names = names_of_cards(settings); context.network == NetworkFix::pin && !names.empty())
            pin_to_slots(plan, names);
        let_bindings_go(plan, settings);
        for (const InterfaceSetting& setting : settings)
            if (!takes_virtio_cards(setting.driver))
                plan.found(fmt::format("{} asks for cards of {}, and stays so", escape_untrusted(setting.file),
                                       escape_untrusted(setting.driver)));
    } else if (!stacked.empty()) {
        if (bound || is_static)
            keep_whole(plan, settings, stacked);
    } else if (bound || is_static) {
        set_up_dhcp(plan, settings);
        tell_of_other_mentions(plan, settings);
    }
}

} // namespace vm2oci
