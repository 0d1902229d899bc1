// Settings in files of lines: ifupdown's interfaces, and the ifcfg files of Red Hat and SUSE.
#include "libconvert/edit/network_settings.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace vm2oci {
namespace {

constexpr std::string_view kInterfaces = "/etc/network/interfaces";

// A backslash at its end continues a line (interfaces(5)).
std::vector<std::string> logical_lines(std::string_view text) {
    std::vector<std::string> lines;
    bool continued = false;
    for (const std::string_view view : lines_of(text)) {
        const bool goes_on = view.ends_with('\\');
        const std::string_view part = goes_on ? view.substr(0, view.size() - 1) : view;
        if (continued)
            lines.back() += std::string(part);
        else
            lines.emplace_back(part);
        continued = goes_on;
    }
    return lines;
}

// Options of stanzas that make an interface out of others, or hand it to one (ifenslave, bridge-utils, vlan, ifupdown2,
// ifupdown-ng, openvswitch), with '_' as '-'.
bool is_stacking_option(const std::string& word) {
    const std::string name = replaced(word, "_", "-");
    constexpr std::array kStarts = {"bridge", "bond",      "vlan",   "team",    "slaves",         "ovs-",
                                    "vxlan",  "wireguard", "tunnel", "batman",  "hsr-",           "requires",
                                    "wpa-",   "vrf",       "master", "macvlan", "address-virtual"};
    return std::any_of(kStarts.begin(), kStarts.end(), [&](std::string_view start) { return name.starts_with(start); });
}

// A stanza with one of these makes the interface that it is for; others hand a card to one that is made elsewhere.
bool is_making_option(const std::string& word, const std::vector<std::string>& words) {
    const std::string name = replaced(word, "_", "-");
    if (name == "ovs-type")
        return words.size() > 1 && words[1] != "OVSPort";
    constexpr std::array kStarts = {"bridge-ports", "bond-slaves", "bond-mode", "slaves", "vlan-raw-device", "vxlan",
                                    "wireguard",    "tunnel",      "batman",    "hsr-",   "vrf-table",       "macvlan"};
    return std::any_of(kStarts.begin(), kStarts.end(), [&](std::string_view start) { return name.starts_with(start); });
}

struct StackingCommand {
    std::string made; // the interface; empty: not told
};

// Commands of stanzas that do the same by hand.
std::optional<StackingCommand> stacking_command(const std::vector<std::string>& words) {
    if (words.size() < 3 || (words[0] != "up" && words[0] != "pre-up" && words[0] != "post-up"))
        return std::nullopt;
    const auto word = [&](std::size_t i) { return i < words.size() ? words[i] : std::string(); };
    for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string program = words[i].substr(words[i].rfind('/') + 1);
        if (program == "ip" &&
            ((word(i + 1).starts_with("l") && word(i + 2) == "add") || word(i + 1).starts_with("tun"))) {
            const auto named = std::find(words.begin(), words.end(), "name");
            const std::string next = word(i + 3);
            return StackingCommand{named != words.end() ? word(static_cast<std::size_t>(named - words.begin()) + 1)
                                   : next == "dev"      ? word(i + 4)
                                                        : next};
        }
        if (program == "brctl" && word(i + 1) == "addbr")
            return StackingCommand{word(i + 2)};
        if (program == "wg-quick" || program == "openvpn" || program == "tunctl" || program == "teamd" ||
            program == "wg")
            return StackingCommand{words.back()};
        if (program == "brctl" || program == "ifenslave" || program == "vconfig")
            return StackingCommand{};
    }
    return std::nullopt;
}

void read_stanzas(const std::string& file, const std::string& text, std::vector<InterfaceSetting>& settings) {
    std::optional<std::size_t> current;
    for (const std::string& line : logical_lines(text)) {
        const std::vector<std::string> words = words_of(line);
        if (words.empty() || words[0].starts_with("#"))
            continue;
        if (words[0] == "iface") {
            current.reset();
            if (words.size() < 2 || words[1] == "lo")
                continue;
            InterfaceSetting setting{NetworkStack::ifupdown, file, words[1]};
            const std::string method = words.size() > 3 ? words[3] : "";
            setting.is_static = method == "static";
            const bool is_made =
                method.find("tunnel") != std::string::npos || method == "6to4" || method == "ppp" || method == "wvdial";
            setting.is_virtual = is_made || is_virtual_name(words[1]);
            setting.complex = setting.is_virtual || words[1].starts_with("wl");
            settings.push_back(std::move(setting));
            current = settings.size() - 1;
            if (words[1].find('.') != std::string::npos)
                add_card_below(InterfaceSetting(settings[*current]), words[1], settings);
            continue;
        }
        if (words[0] == "auto" || words[0].starts_with("allow-") || words[0] == "mapping" || words[0] == "source" ||
            words[0] == "source-directory") {
            current.reset();
            continue;
        }
        if (!current)
            continue;
        if ((words[0] == "hwaddress" || words[0] == "match-mac") && words.size() > 1)
            settings[*current].mac = words.back();
        // ifupdown-ng and ifupdown2 take a stanza without a method for one with addresses.
        settings[*current].is_static = settings[*current].is_static || words[0] == "address";
        const auto command = stacking_command(words);
        if (!is_stacking_option(words[0]) && !command)
            continue;
        InterfaceSetting& setting = settings[*current];
        setting.complex = true;
        setting.is_virtual = setting.is_virtual || is_making_option(words[0], words) ||
                             (command && (command->made == setting.name || command->made == "$IFACE"));
        const std::string option = replaced(words[0], "_", "-");
        const bool lists_ports = option == "bridge-ports" || option == "bond-slaves" || option == "slaves" ||
                                 option == "vlan-raw-device" || option == "ovs-ports";
        const InterfaceSetting above = setting;
        for (std::size_t i = 1; i < words.size(); ++i) {
            const std::string card = words[i].substr(0, words[i].find('.'));
            const bool is_word = words[i] == "none" || words[i] == "all" || words[i] == "regex";
            // Of commands and of options that hold other things as well, what is called as cards are.
            if (lists_ports ? !is_word : is_card_name(card))
                add_card_below(above, card, settings);
        }
    }
}

bool says_yes(const std::string& value) {
    const std::string lower = to_lower(value);
    return lower == "yes" || lower == "true" || lower == "1";
}

// ifcfg files of something else than one Ethernet card (Red Hat's sysconfig.txt, ifcfg(5) of SUSE).
bool is_stacked_ifcfg(const std::string& text, const std::string& name) {
    const std::string type = to_lower(shell_value(text, "TYPE") + shell_value(text, "INTERFACETYPE"));
    if (!type.empty() && type != "ethernet")
        return true;
    for (const char* key : {"MASTER",
                            "BRIDGE",
                            "BRIDGE_UUID",
                            "BRIDGE_PORTS",
                            "BRIDGE_STP",
                            "BONDING_OPTS",
                            "BONDING_MODULE_OPTS",
                            "BONDING_SLAVE0",
                            "BONDING_SLAVE_0",
                            "BONDING_SLAVE_1",
                            "TEAM_MASTER",
                            "TEAM_CONFIG",
                            "TEAM_RUNNER",
                            "TEAM_PORT_DEVICE_0",
                            "DEVICETYPE",
                            "ETHERDEVICE",
                            "PHYSDEV",
                            "VLAN_ID",
                            "VID",
                            "TUNNEL",
                            "MY_INNER_IPADDR",
                            "PEER_OUTER_IPADDR",
                            "TUNNEL_REMOTE_IPADDR",
                            "MACVLAN_DEVICE",
                            "OVS_BRIDGE",
                            "VRF"})
        if (!shell_value(text, key).empty())
            return true;
    for (const char* key : {"SLAVE", "VLAN", "BONDING_MASTER"})
        if (says_yes(shell_value(text, key)))
            return true;
    return is_virtual_name(name);
}

// A card that is handed to a bond, a bridge or a team.
bool is_port_ifcfg(const std::string& text) {
    for (const char* key : {"MASTER", "TEAM_MASTER", "BRIDGE_UUID"})
        if (!shell_value(text, key).empty())
            return true;
    const std::string bridge = shell_value(text, "BRIDGE");
    return says_yes(shell_value(text, "SLAVE")) || (!bridge.empty() && !says_yes(bridge)) ||
           shell_value(text, "DEVICETYPE") == "TeamPort" || shell_value(text, "TYPE") == "OVSPort";
}

std::size_t indent_of(std::string_view line) {
    return std::min(line.find_first_not_of(' '), line.size());
}

// Netplan: `macaddress` goes, a `match` that is empty then goes with it, and so does `set-name`, which needs a match.
// Of cloud-init's version 1 it is `mac_address`, which may be the first of an item.
std::string netplan_without_mac(std::string_view text) {
    const std::vector<std::string_view> lines = lines_of(text);
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string_view line = trimmed(lines[i]);
        if (line.starts_with("macaddress:") || line.starts_with("mac_address:") || line.starts_with("set-name:"))
            continue;
        if (const std::size_t inside = indent_of(lines[i]) + 2;
            line.starts_with("- mac_address:") && i + 1 < lines.size() && indent_of(lines[i + 1]) == inside) {
            out += std::string(lines[i].substr(0, inside)) + std::string(lines[i + 1].substr(inside)) + "\n";
            ++i;
            continue;
        }
        if (line == "match:") {
            bool anything_else = false;
            for (std::size_t next = i + 1; next < lines.size() && indent_of(lines[next]) > indent_of(lines[i]); ++next)
                anything_else = anything_else || (!trimmed(lines[next]).starts_with("macaddress:") &&
                                                  !trimmed(lines[next]).starts_with("#"));
            if (!anything_else)
                continue;
        }
        const std::size_t mac = line.find("macaddress");
        if (line.starts_with("match:") && mac != std::string_view::npos) {
            // In one line: {name: "e*", macaddress: "…"}.
            const std::size_t comma = line.rfind(',', mac);
            const std::size_t end = line.find_first_of(",}", mac);
            if (line.find(',') == std::string_view::npos || end == std::string_view::npos)
                continue;
            const std::size_t at = comma == std::string_view::npos ? mac : comma;
            const std::size_t after = comma == std::string_view::npos ? end + 1 : end;
            out += std::string(lines[i].substr(0, indent_of(lines[i]))) + std::string(line.substr(0, at)) +
                   std::string(line.substr(after)) + "\n";
            continue;
        }
        out += std::string(lines[i]) + "\n";
    }
    return out;
}

} // namespace

std::vector<std::string> ifupdown_files(const PlanBuilder& plan) {
    std::vector<std::string> files = {std::string(kInterfaces)};
    const auto add = [&](const std::string& pattern) {
        const std::string absolute = pattern.starts_with("/") ? pattern : "/etc/network/" + pattern;
        for (const std::string& file : plan.glob(absolute))
            if (std::find(files.begin(), files.end(), file) == files.end())
                files.push_back(file);
    };
    // Files grow as they are read: those that are named may name others.
    for (std::size_t i = 0; i < files.size(); ++i)
        for (const std::string& line : logical_lines(plan.read_text(files[i]).value_or("")))
            if (const auto words = words_of(line); words.size() > 1)
                for (std::size_t word = 1; word < words.size(); ++word) {
                    if (words[0] == "source")
                        add(words[word]);
                    if (words[0] == "source-directory")
                        add(words[word] + "/*");
                }
    add("/etc/network/interfaces.d/*");
    return files;
}

void read_ifupdown(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : ifupdown_files(plan))
        if (const auto text = plan.read_text(file))
            read_stanzas(file, *text, settings);
}

void read_ifcfg(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const char* pattern : {"/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"}) {
        for (const std::string& file : plan.glob(pattern)) {
            const auto text = plan.read_text(file);
            const std::string id = file.substr(file.rfind("ifcfg-") + 6);
            constexpr std::array kCopies = {".template", "~",        ".bak",     ".orig",
                                            ".rpmnew",   ".rpmorig", ".rpmsave", ".swp"};
            if (!text || id == "lo" ||
                std::any_of(kCopies.begin(), kCopies.end(), [&](std::string_view end) { return id.ends_with(end); }))
                continue;
            InterfaceSetting setting{NetworkStack::ifcfg, file, shell_value(*text, "DEVICE"),
                                     shell_value(*text, "HWADDR") + shell_value(*text, "LLADDR_MATCH")};
            if (setting.name.empty())
                setting.name = id;
            if (setting.name == "lo")
                continue;
            const std::string protocol = to_lower(shell_value(*text, "BOOTPROTO"));
            setting.is_static = !shell_value(*text, "IPADDR").empty() || !shell_value(*text, "IPADDR0").empty() ||
                                !shell_value(*text, "IPADDR_0").empty() || protocol == "static";
            setting.complex = is_stacked_ifcfg(*text, setting.name);
            setting.is_virtual = is_virtual_name(setting.name) || (setting.complex && !is_port_ifcfg(*text));
            const InterfaceSetting above = setting;
            settings.push_back(std::move(setting));
            if (!above.complex)
                continue;
            // What lies below it may have no file of its own.
            for (const char* key : {"PHYSDEV", "ETHERDEVICE", "BRIDGE_PORTS", "MACVLAN_DEVICE", "TEAM_PORT_DEVICE_0",
                                    "TEAM_PORT_DEVICE_1", "BONDING_SLAVE0", "BONDING_SLAVE1", "BONDING_SLAVE2",
                                    "BONDING_SLAVE3", "BONDING_SLAVE_0", "BONDING_SLAVE_1", "OVS_BRIDGE_PORT_DEVICE_0"})
                for (const std::string& name : words_of(shell_value(*text, key)))
                    add_card_below(above, name, settings);
            if (above.name.find('.') != std::string::npos)
                add_card_below(above, above.name, settings);
        }
    }
}

std::string without_interfaces(std::string_view interfaces) {
    std::string out;
    bool inside = false;
    bool continued = false;
    for (const std::string_view line : lines_of(interfaces)) {
        const std::vector<std::string> words = words_of(line);
        const bool goes_on = line.ends_with('\\');
        if (continued || words.empty() || words[0].starts_with("#")) {
            if (!continued || !inside)
                out += std::string(line) + "\n";
            continued = continued && goes_on;
            continue;
        }
        const std::string& first = words[0];
        continued = goes_on;
        if (first == "auto" || first.starts_with("allow-")) {
            inside = true; // what continues the line goes with it
            if (std::find(words.begin() + 1, words.end(), "lo") != words.end())
                out += first + " lo\n";
            if (!goes_on)
                inside = false;
            continue;
        }
        if (first == "iface" || first == "mapping")
            inside = !(first == "iface" && words.size() > 1 && words[1] == "lo");
        else if (first == "source" || first == "source-directory" || first == "no-auto-down" || first == "no-scripts" ||
                 first == "rename" || first == "template")
            inside = false;
        if (!inside)
            out += std::string(line) + "\n";
    }
    return out;
}

std::string without_mac_address(std::string_view text, NetworkStack stack) {
    if (stack == NetworkStack::netplan || stack == NetworkStack::cloud_init)
        return netplan_without_mac(text);
    if (stack == NetworkStack::ifcfg)
        return without_shell_values(text, {"HWADDR", "LLADDR_MATCH"}).value_or(std::string(text));
    std::string out;
    std::string section;
    for (const std::string_view line : lines_of(text)) {
        const std::string_view setting = trimmed(line);
        if (setting.starts_with("["))
            section = setting;
        const std::string_view key = trimmed(setting.substr(0, setting.find_first_of("= \t")));
        // [Link] MACAddress= gives an address, and does not ask for one.
        const bool binds = (stack == NetworkStack::networkd && section == "[Match]" &&
                            (key == "MACAddress" || key == "PermanentMACAddress")) ||
                           (stack == NetworkStack::network_manager && key == "mac-address") ||
                           (stack == NetworkStack::ifupdown && (key == "hwaddress" || key == "match-mac"));
        if (!binds)
            out += std::string(line) + "\n";
    }
    return out;
}

} // namespace vm2oci
