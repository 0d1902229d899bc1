// Settings in YAML and in sections: netplan, cloud-init, networkd, NetworkManager.
#include "libconvert/edit/network_settings.hpp"

#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/edit/yaml.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <set>

namespace vm2oci {
namespace {

constexpr std::size_t kInterfaceNameLimit = 15; // IFNAMSIZ less the zero

bool has_static_subnet(const YamlValue& interface) {
    const auto subnets = interface.get("subnets");
    if (subnets)
        for (const YamlValue& subnet : subnets->items())
            if (const auto type = subnet.get("type"); type && type->text().starts_with("static"))
                return true;
    return false;
}

// Version 1 of cloud-init's network configuration.
void read_interface_list(const YamlValue& list, const std::string& file, std::vector<InterfaceSetting>& settings) {
    for (const YamlValue& item : list.items()) {
        const std::string type = item.get("type") ? item.get("type")->text() : "";
        if (type == "nameserver" || type == "route" || type == "loopback")
            continue;
        InterfaceSetting setting{NetworkStack::cloud_init, file, item.get("name") ? item.get("name")->text() : ""};
        if (const auto mac = item.get("mac_address"))
            setting.mac = mac->text();
        setting.is_static = has_static_subnet(item);
        setting.complex = type != "physical";
        setting.is_virtual = setting.complex;
        settings.push_back(setting);
        for (const char* below : {"vlan_link", "bond_interfaces", "bridge_interfaces"})
            if (const auto value = item.get(below)) {
                add_card_below(setting, value->text(), settings);
                for (const YamlValue& each : value->items())
                    add_card_below(setting, each.text(), settings);
            }
    }
}

// `ethernets` and its like, as netplan and version 2 of cloud-init's configuration have them.
void read_netplan_network(const YamlValue& network, NetworkStack stack, const std::string& file,
                          std::vector<InterfaceSetting>& settings) {
    for (const auto& [kind, value] : network.members()) {
        const bool ethernets = kind.text() == "ethernets";
        for (const auto& [id, interface] : value.members()) {
            InterfaceSetting setting{stack, file, id.text()};
            setting.complex = !ethernets || interface.get("openvswitch") || interface.get("virtual-function-count");
            setting.is_virtual = !ethernets;
            setting.is_static = interface.get("addresses").has_value();
            if (const auto match = interface.get("match")) {
                setting.name = match->get("name") ? match->get("name")->text() : "";
                if (const auto mac = match->get("macaddress"))
                    setting.mac = mac->text();
                if (const auto driver = match->get("driver")) {
                    setting.driver = driver->kind() == YamlKind::sequence ? "" : driver->text();
                    for (const YamlValue& each : driver->items())
                        setting.driver += (setting.driver.empty() ? "" : " ") + each.text();
                }
                if (const auto name = interface.get("set-name"))
                    setting.name = name->text();
                // Without its match, the interface is the one that the key of the entry names.
                setting.only_by_mac = !setting.mac.empty() && setting.name != id.text() && !match->get("name");
            }
            settings.push_back(std::move(setting));
        }
    }
}

void read_netplan(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : plan.glob("/etc/netplan/*.yaml")) {
        const auto text = plan.read_text(file);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        if (text && !root) {
            // Nobody knows what else is set up there.
            settings.push_back(InterfaceSetting{NetworkStack::netplan, file});
            settings.back().complex = settings.back().is_virtual = true;
        }
        if (const auto network = root ? root->get("network") : std::nullopt)
            read_netplan_network(*network, NetworkStack::netplan, file, settings);
    }
}

void read_cloud_init(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : cloud_settings_files(plan)) {
        const auto text = plan.read_text(file);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        auto network = root ? root->get("network") : std::nullopt;
        // Installers have written it one level deeper than it belongs, and cloud-init takes that too.
        if (network && network->get("network"))
            network = network->get("network");
        if (!network || network->kind() != YamlKind::mapping)
            continue;
        if (const auto list = network->get("config"); list && list->kind() == YamlKind::sequence)
            read_interface_list(*list, file, settings);
        else
            read_netplan_network(*network, NetworkStack::cloud_init, file, settings);
    }
}

std::string joined_values(const std::vector<IniEntry>& entries, std::string_view section, std::string_view key) {
    std::string joined;
    for (const IniEntry& entry : entries)
        if (entry.section == section && entry.key == key)
            joined += (joined.empty() ? "" : " ") + entry.value;
    return joined;
}

// An administrator's file of the same name replaces that of a package.
std::vector<std::string> networkd_files(const PlanBuilder& plan, const std::string& suffix) {
    std::vector<std::string> files = plan.glob("/etc/systemd/network/*" + suffix);
    for (const std::string& path : plan.glob("/usr/lib/systemd/network/*" + suffix))
        if (!plan.status("/etc/systemd/network/" + path.substr(path.rfind('/') + 1), FinalLink::keep))
            files.push_back(path);
    return files;
}

// Packages bring files for what containers and others make, which are no cards.
bool is_for_cards(const std::vector<IniEntry>& entries) {
    return joined_values(entries, "Match", "Kind").empty() && joined_values(entries, "Match", "Virtualization").empty();
}

// Whatever card the machine has, this is for it.
bool is_for_any_card(const std::vector<IniEntry>& entries) {
    for (const char* key : {"MACAddress", "PermanentMACAddress", "Driver", "Path"})
        if (!joined_values(entries, "Match", key).empty())
            return false;
    const std::vector<std::string> names = words_of(joined_values(entries, "Match", "Name"));
    return is_for_cards(entries) &&
           (names.empty() || std::any_of(names.begin(), names.end(), [](const std::string& name) {
                return fnmatch(name.c_str(), "enp1s0", 0) == 0;
            }));
}

void read_networkd(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : networkd_files(plan, ".netdev"))
        if (const auto text = plan.read_text(file)) {
            InterfaceSetting device{NetworkStack::networkd, file, joined_values(parse_ini(*text), "NetDev", "Name")};
            device.complex = device.is_virtual = true;
            if (!text->empty())
                settings.push_back(std::move(device));
        }
    // Keys of [Network] that put an interface under or over another one (systemd.network(5)).
    constexpr std::array kStacked = {"Bridge", "Bond",  "VLAN",   "VRF",  "MACVLAN", "MACVTAP", "IPVLAN",
                                     "IPVTAP", "VXLAN", "Tunnel", "Xfrm", "L2TP",    "MACsec",  "BatmanAdvanced"};
    const std::vector<std::string> files = networkd_files(plan, ".network");
    const bool any_card = std::any_of(files.begin(), files.end(), [&](const std::string& file) {
        return is_for_any_card(parse_ini(plan.read_text(file).value_or("")));
    });
    for (const std::string& file : files) {
        const auto text = plan.read_text(file);
        if (!text)
            continue;
        const std::vector<IniEntry> entries = parse_ini(*text);
        const bool by_package = file.starts_with("/usr/");
        InterfaceSetting setting{NetworkStack::networkd, file};
        setting.mac =
            joined_values(entries, "Match", "MACAddress") + joined_values(entries, "Match", "PermanentMACAddress");
        setting.driver = joined_values(entries, "Match", "Driver") + joined_values(entries, "Match", "Path");
        setting.is_static = !joined_values(entries, "Network", "Address").empty() ||
                            !joined_values(entries, "Address", "Address").empty();
        for (const char* key : kStacked)
            setting.complex = setting.complex || !joined_values(entries, "Network", key).empty();
        // A package's file matters where it is for other cards, and none is for this machine's.
        if (by_package && (!is_for_cards(entries) || (!setting.complex && (setting.driver.empty() || any_card))))
            continue;
        const std::vector<std::string> names = words_of(joined_values(entries, "Match", "Name"));
        setting.only_by_mac = !setting.mac.empty() && names.empty();
        if (names.empty() && (!setting.mac.empty() || !setting.driver.empty() || setting.complex || setting.is_static))
            settings.push_back(setting);
        for (const std::string& name : names) {
            if (name == "lo" || name.starts_with("!"))
                continue;
            setting.name = name;
            setting.is_virtual = is_virtual_name(name);
            settings.push_back(setting);
            settings.back().complex = setting.complex || setting.is_virtual;
        }
    }
}

void read_network_manager(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : plan.glob("/etc/NetworkManager/system-connections/*")) {
        const auto text = plan.read_text(file);
        if (!text)
            continue;
        const std::vector<IniEntry> entries = parse_ini(*text);
        const std::string type = joined_values(entries, "connection", "type");
        if (type == "loopback" || type == "wifi" || type == "802-11-wireless" || type == "gsm" || type == "bluetooth")
            continue; // no wired interface, and not touched
        InterfaceSetting setting{NetworkStack::network_manager, file,
                                 joined_values(entries, "connection", "interface-name")};
        if (setting.name.empty())
            setting.name = joined_values(entries, "match", "interface-name");
        for (const char* section : {"ethernet", "802-3-ethernet"})
            setting.mac += joined_values(entries, section, "mac-address");
        setting.driver = joined_values(entries, "match", "driver") + joined_values(entries, "match", "path");
        setting.is_static = joined_values(entries, "ipv4", "method") == "manual" ||
                            joined_values(entries, "ipv6", "method") == "manual";
        setting.complex = type != "ethernet" && type != "802-3-ethernet";
        setting.is_virtual = setting.complex;
        for (const char* key : {"master", "controller", "slave-type", "port-type"})
            setting.complex = setting.complex || !joined_values(entries, "connection", key).empty();
        for (const char* section : {"vlan", "macvlan", "ip-tunnel", "vxlan", "macsec"})
            add_card_below(setting, joined_values(entries, section, "parent"), settings);
        if (setting.is_virtual)
            add_card_below(setting, setting.name, settings);
        if (!setting.name.empty() || !setting.mac.empty() || !setting.driver.empty() || setting.is_static ||
            setting.complex)
            settings.push_back(std::move(setting));
    }
}

bool networkd_runs(const PlanBuilder& plan) {
    return service_state(plan, "systemd-networkd") != ServiceState::disabled ||
           !plan.glob("/etc/netplan/*.yaml").empty(); // netplan starts it where its files want it
}

bool ifupdown_runs(const PlanBuilder& plan) {
    return service_state(plan, "networking") != ServiceState::disabled;
}

bool has_ifcfg_service(const PlanBuilder& plan) {
    const std::array kServices = {"network", "wicked", "wickedd"};
    return std::any_of(kServices.begin(), kServices.end(), [&](const char* name) {
        const ServiceState state = service_state(plan, name);
        return state == ServiceState::enabled || state == ServiceState::unknown;
    });
}

// Every program that reads ifcfg files is there and switched off.
bool ifcfg_is_idle(const PlanBuilder& plan) {
    return !network_manager_runs(plan) && !has_ifcfg_service(plan) &&
           service_state(plan, "network") == ServiceState::disabled;
}

} // namespace

bool network_manager_runs(const PlanBuilder& plan) {
    const ServiceState state = service_state(plan, "NetworkManager");
    if (state == ServiceState::enabled)
        return true;
    const bool installed = plan.exists("/usr/sbin/NetworkManager") || plan.exists("/usr/bin/NetworkManager");
    return installed && state != ServiceState::disabled;
}

std::vector<std::string> other_network_settings(const PlanBuilder& plan) {
    struct Other {
        const char* pattern;
        const char* sign; // of a setting for one interface, at the front of a line
    };
    // dhcpcd, netctl, Gentoo's netifrc, ConnMan, Slackware, NetBSD-like rc files.
    constexpr Other kOthers[] = {{"/etc/dhcpcd.conf", "interface "},    {"/etc/netctl/*", "Interface="},
                                 {"/etc/conf.d/net", "config_"},        {"/var/lib/connman/*.config", "IPv4"},
                                 {"/etc/rc.d/rc.inet1.conf", "IPADDR"}, {"/etc/rc.local", "ip addr"},
                                 {"/etc/rc.local", "ifconfig "}};
    std::vector<std::string> files;
    for (const Other& other : kOthers)
        for (const std::string& path : plan.glob(other.pattern)) {
            const std::string text = plan.read_text(path).value_or("");
            for (const std::string_view line : lines_of(text))
                if (trimmed(line).starts_with(other.sign) && std::find(files.begin(), files.end(), path) == files.end())
                    files.push_back(path);
        }
    return files;
}

std::vector<std::string> idle_network_stacks(const PlanBuilder& plan) {
    std::vector<std::string> idle;
    if (!network_manager_runs(plan) && !plan.glob("/etc/NetworkManager/system-connections/*").empty())
        idle.push_back("NetworkManager");
    if (!networkd_runs(plan) && !plan.glob("/etc/systemd/network/*.network").empty())
        idle.push_back("systemd-networkd");
    std::vector<InterfaceSetting> settings;
    if (!ifupdown_runs(plan))
        read_ifupdown(plan, settings);
    if (!settings.empty())
        idle.push_back("ifupdown");
    return idle;
}

std::vector<InterfaceSetting> network_settings(const PlanBuilder& plan) {
    std::vector<InterfaceSetting> settings;
    read_netplan(plan, settings);
    if (ifupdown_runs(plan))
        read_ifupdown(plan, settings);
    if (networkd_runs(plan))
        read_networkd(plan, settings);
    if (network_manager_runs(plan))
        read_network_manager(plan, settings);
    if (!ifcfg_is_idle(plan))
        read_ifcfg(plan, settings);
    if (has_cloud_init(plan) && cloud_init_obstacle(plan).empty())
        read_cloud_init(plan, settings);
    // What one setting makes is no card in the others.
    std::set<std::string> made;
    for (const InterfaceSetting& setting : settings)
        if (setting.is_virtual && !setting.name.empty())
            made.insert(setting.name);
    for (InterfaceSetting& setting : settings)
        if (made.contains(setting.name))
            setting.is_virtual = setting.complex = true;
    return settings;
}

bool is_slot_name(std::string_view name) {
    if (name.size() < 3 || name.find_first_of("*?[/") != std::string_view::npos)
        return false;
    const auto digits_from = [&](std::size_t at) { return at < name.size() && name[at] >= '0' && name[at] <= '9'; };
    // systemd.net-naming-scheme(7): ACPI, BCMA, CCW, netdevsim, index, slot, path, MAC, VIO, domain and Xen.
    if (name.starts_with("en") && std::string_view("abcdiospxvXP").find(name[2]) != std::string_view::npos)
        return true;
    // biosdevname: em<port> on the board, p<slot>p<port> in a slot.
    if (name.starts_with("em") && digits_from(2))
        return true;
    return name.front() == 'p' && digits_from(1) && name.find('p', 2) != std::string_view::npos &&
           digits_from(name.find('p', 2) + 1);
}

bool is_card_name(std::string_view name) {
    return is_slot_name(name) || (name.starts_with("eth") && name.size() > 3 &&
                                  name.find_first_not_of("0123456789", 3) == std::string_view::npos);
}

void add_card_below(const InterfaceSetting& above, std::string_view name, std::vector<InterfaceSetting>& settings) {
    name = name.substr(0, name.find_first_of(".:@"));
    if (!is_plain_interface_name(name) || is_virtual_name(name) || name == above.name)
        return;
    InterfaceSetting card{above.stack, above.file, std::string(name)};
    card.complex = true;
    settings.push_back(std::move(card));
}

bool is_plain_interface_name(std::string_view name) {
    return !name.empty() && name.size() <= kInterfaceNameLimit && name.front() != '.' && name.front() != '-' &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                      c == '_' || c == '-';
           });
}

bool is_virtual_name(std::string_view name) {
    if (name.find('.') != std::string_view::npos)
        return true;
    constexpr std::array kMade = {"br",     "bond",   "team", "vlan",   "tun",   "tap",    "wg",    "dummy",
                                  "virbr",  "docker", "veth", "lxcbr",  "lxdbr", "ovs",    "vxlan", "gre",
                                  "gretap", "sit",    "ipip", "ip6tnl", "ppp",   "vmbr",   "xenbr", "macvlan",
                                  "ipvlan", "vrf",    "he",   "xfrm",   "ipsec", "geneve", "wwan"};
    return std::any_of(kMade.begin(), kMade.end(), [&](std::string_view start) {
        // "br0", "br-lan", and not "brick": what settings call otherwise, they make by their options.
        if (!name.starts_with(start))
            return false;
        const char next = name.size() == start.size() ? '0' : name[start.size()];
        return (next >= '0' && next <= '9') || next == '-' || next == '_';
    });
}

} // namespace vm2oci
