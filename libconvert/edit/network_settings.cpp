#include "libconvert/edit/network_settings.hpp"

#include "libconvert/edit/text.hpp"
#include "libconvert/edit/yaml.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kInterfaceNameLimit = 15; // IFNAMSIZ less the zero

void read_netplan(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : plan.glob("/etc/netplan/*.yaml")) {
        const auto text = plan.read_text(file);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        const auto network = root ? root->get("network") : std::nullopt;
        if (!network)
            continue;
        bool complex = false;
        for (const auto& [kind, value] : network->members())
            complex = complex || (value.kind() == YamlKind::mapping && kind.text() != "ethernets");
        const auto ethernets = network->get("ethernets");
        if (!ethernets)
            continue;
        for (const auto& [id, value] : ethernets->members()) {
            InterfaceSetting setting{NetworkStack::netplan, file, id.text(), {}, false, complex};
            if (const auto match = value.get("match")) {
                setting.name = match->get("name") ? match->get("name")->text() : "";
                if (const auto mac = match->get("macaddress"))
                    setting.mac = mac->text();
                if (const auto name = value.get("set-name"))
                    setting.name = name->text();
            }
            setting.is_static = value.get("addresses").has_value();
            settings.push_back(std::move(setting));
        }
    }
}

std::vector<std::string> ifupdown_files(const PlanBuilder& plan) {
    std::vector<std::string> files = {"/etc/network/interfaces"};
    for (const std::string& file : plan.glob("/etc/network/interfaces.d/*"))
        files.push_back(file);
    return files;
}

void read_ifupdown(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : ifupdown_files(plan)) {
        const auto text = plan.read_text(file);
        if (!text)
            continue;
        InterfaceSetting* current = nullptr;
        for (const std::string_view line : lines_of(*text)) {
            const std::vector<std::string> words = words_of(line);
            if (words.empty() || words[0].starts_with("#"))
                continue;
            if (words[0] == "iface") {
                current = nullptr;
                if (words.size() < 4 || words[1] == "lo")
                    continue;
                settings.push_back({NetworkStack::ifupdown, file, words[1], {}, words[3] == "static", false});
                current = &settings.back();
            } else if (current != nullptr && (words[0] == "hwaddress" || words[0] == "match-mac") && words.size() > 1) {
                current->mac = words.back();
            } else if (current != nullptr && (words[0].starts_with("bridge") || words[0].starts_with("bond") ||
                                              words[0].starts_with("vlan"))) {
                current->complex = true;
            }
        }
    }
}

// The last value of a key in a file of sections, whatever the section.
std::string ini_value(std::string_view text, std::string_view key) {
    std::string value;
    for (const std::string_view view : lines_of(text)) {
        const std::string_view line = trimmed(view);
        const std::size_t equals = line.find('=');
        if (equals != std::string_view::npos && trimmed(line.substr(0, equals)) == key)
            value = std::string(trimmed(line.substr(equals + 1)));
    }
    return value;
}

void read_networkd(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : plan.glob("/etc/systemd/network/*.network")) {
        const auto text = plan.read_text(file);
        if (!text)
            continue;
        InterfaceSetting setting{NetworkStack::networkd,
                                 file,
                                 ini_value(*text, "Name"),
                                 ini_value(*text, "MACAddress"),
                                 !ini_value(*text, "Address").empty(),
                                 false};
        setting.complex = !ini_value(*text, "Bridge").empty() || !ini_value(*text, "Bond").empty() ||
                          !ini_value(*text, "VLAN").empty();
        if (setting.name != "lo" && (!setting.name.empty() || !setting.mac.empty()))
            settings.push_back(std::move(setting));
    }
}

void read_network_manager(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const std::string& file : plan.glob("/etc/NetworkManager/system-connections/*")) {
        const auto text = plan.read_text(file);
        if (!text)
            continue;
        const std::string type = ini_value(*text, "type");
        InterfaceSetting setting{NetworkStack::network_manager,
                                 file,
                                 ini_value(*text, "interface-name"),
                                 ini_value(*text, "mac-address"),
                                 text->find("method=manual") != std::string::npos,
                                 false};
        setting.complex = (type != "ethernet" && type != "802-3-ethernet") || !ini_value(*text, "master").empty() ||
                          !ini_value(*text, "controller").empty();
        if (!setting.name.empty() || !setting.mac.empty() || setting.is_static)
            settings.push_back(std::move(setting));
    }
}

void read_ifcfg(const PlanBuilder& plan, std::vector<InterfaceSetting>& settings) {
    for (const char* pattern : {"/etc/sysconfig/network-scripts/ifcfg-*", "/etc/sysconfig/network/ifcfg-*"}) {
        for (const std::string& file : plan.glob(pattern)) {
            const auto text = plan.read_text(file);
            const std::string id = file.substr(file.rfind("ifcfg-") + 6);
            if (!text || id == "lo" || id.ends_with(".template") || id.ends_with("~") || id.ends_with(".bak"))
                continue;
            InterfaceSetting setting{NetworkStack::ifcfg,          file,  shell_value(*text, "DEVICE"),
                                     shell_value(*text, "HWADDR"), false, false};
            if (setting.name.empty())
                setting.name = id;
            const std::string protocol = to_lower(shell_value(*text, "BOOTPROTO"));
            setting.is_static = !shell_value(*text, "IPADDR").empty() || protocol == "static";
            const std::string type = to_lower(shell_value(*text, "TYPE"));
            setting.complex = (!type.empty() && type != "ethernet") || !shell_value(*text, "MASTER").empty() ||
                              !shell_value(*text, "BRIDGE").empty() || shell_value(*text, "VLAN") == "yes" ||
                              !shell_value(*text, "BONDING_MASTER").empty() ||
                              !shell_value(*text, "ETHERDEVICE").empty();
            settings.push_back(std::move(setting));
        }
    }
}

std::size_t indent_of(std::string_view line) {
    return std::min(line.find_first_not_of(' '), line.size());
}

// Netplan: `macaddress` goes, a `match` that is empty then goes with it, and so does `set-name`, which needs a match.
std::string netplan_without_mac(std::string_view text) {
    const std::vector<std::string_view> lines = lines_of(text);
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string_view line = trimmed(lines[i]);
        if (line.starts_with("macaddress:") || line.starts_with("set-name:"))
            continue;
        if (line == "match:") {
            bool anything_else = false;
            for (std::size_t next = i + 1; next < lines.size() && indent_of(lines[next]) > indent_of(lines[i]); ++next)
                anything_else = anything_else || !trimmed(lines[next]).starts_with("macaddress:");
            if (!anything_else)
                continue;
        }
        if (line.starts_with("match:") && line.find("macaddress") != std::string_view::npos)
            continue;
        out += std::string(lines[i]) + "\n";
    }
    return out;
}

} // namespace

std::vector<InterfaceSetting> network_settings(const PlanBuilder& plan) {
    std::vector<InterfaceSetting> settings;
    read_netplan(plan, settings);
    read_ifupdown(plan, settings);
    read_networkd(plan, settings);
    read_network_manager(plan, settings);
    read_ifcfg(plan, settings);
    return settings;
}

bool is_slot_name(std::string_view name) {
    if (name.size() < 3 || !name.starts_with("en") || name.find_first_of("*?[/") != std::string_view::npos)
        return false;
    return name[2] == 's' || name[2] == 'p' || name[2] == 'o' || name[2] == 'x' || name[2] == 'v' || name[2] == 'P';
}

bool is_plain_interface_name(std::string_view name) {
    return !name.empty() && name.size() <= kInterfaceNameLimit && name.front() != '.' && name.front() != '-' &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                      c == '_' || c == '-';
           });
}

std::string without_interfaces(std::string_view interfaces) {
    std::string out;
    bool inside = false;
    for (const std::string_view line : lines_of(interfaces)) {
        const std::vector<std::string> words = words_of(line);
        if (words.empty() || words[0].starts_with("#")) {
            out += std::string(line) + "\n";
            continue;
        }
        const std::string& first = words[0];
        if (first == "auto" || first.starts_with("allow-")) {
            inside = false;
            if (std::find(words.begin() + 1, words.end(), "lo") != words.end())
                out += first + " lo\n";
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
    if (stack == NetworkStack::netplan)
        return netplan_without_mac(text);
    std::string out;
    for (const std::string_view line : lines_of(text)) {
        const std::string_view setting = trimmed(line);
        bool binds = false;
        for (const std::string_view key : {"HWADDR=", "mac-address=", "MACAddress=", "hwaddress ", "match-mac "})
            binds = binds || setting.starts_with(key);
        if (!binds)
            out += std::string(line) + "\n";
    }
    return out;
}

} // namespace vm2oci
