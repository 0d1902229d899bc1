// Every way in which a Linux guest configures its network, and what each pins to hardware that is gone.
#include "formats/base/ascii.hpp"
#include "libconvert/inspect/parts.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

namespace vm2oci::inspect {
namespace {

std::string unquote(std::string text) {
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
        return text.substr(1, text.size() - 2);
    return text;
}

// As netplan reads a scalar.
bool is_true(const std::string& text) {
    const std::string word = to_lower_ascii(text);
    return word == "true" || word == "yes" || word == "on" || word == "y";
}

// As systemd reads one, and what "DHCP=" said of old.
bool is_false(const std::string& text) {
    const std::string word = to_lower_ascii(text);
    return word == "no" || word == "false" || word == "off" || word == "0" || word == "n" || word == "f" ||
           word == "none";
}

// "[a, 'b']" → "a b".
std::string words_of_list(std::string text) {
    std::erase_if(text, [](char c) { return c == '[' || c == ']' || c == '"' || c == '\''; });
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == ',' || c == ';'; }, ' ');
    std::string words;
    for (const std::string& word : split_words(text))
        words += (words.empty() ? "" : " ") + word;
    return words;
}

// The subset of YAML that netplan's files are written in: keys, indentation, scalars. Flow maps are not looked into.
void read_netplan_file(const Guest& guest, const std::string& path, std::vector<NetworkInterface>& out) {
    std::size_t section_indent = 0;
    std::size_t name_indent = 0;
    bool in_ethernets = false;
    bool listing_drivers = false;
    for (const std::string& line : read_lines(guest, path)) {
        const std::size_t indent = line.find_first_not_of(' ');
        if (indent == std::string::npos || line[indent] == '#')
            continue;
        const std::string text = trim(line);
        if (listing_drivers && starts_with(text, "- ")) {
            std::string& driver = out.back().driver;
            driver += (driver.empty() ? "" : " ") + unquote(without_comment(trim(text.substr(2))));
            continue;
        }
        const std::size_t colon = text.find(':');
        if (colon == std::string::npos)
            continue;
        const std::string key = unquote(trim(text.substr(0, colon)));
        const std::size_t behind_key = text.find(": ") == std::string::npos ? colon + 1 : text.find(": ") + 1;
        const std::string rest = trim(text.substr(behind_key));
        const std::string value = starts_with(rest, "#") ? "" : unquote(without_comment(rest));
        if (in_ethernets && indent <= section_indent)
            in_ethernets = false;
        if (key == "ethernets") {
            in_ethernets = true;
            section_indent = indent;
            name_indent = 0;
            continue;
        }
        if (!in_ethernets)
            continue;
        listing_drivers = key == "driver" && value.empty() && indent > name_indent && name_indent != 0;
        if (name_indent == 0)
            name_indent = indent;
        if (indent == name_indent) {
            out.push_back({"netplan", path, key, "", ""});
        } else if (!out.empty() && out.back().file == path) {
            if (key == "macaddress")
                out.back().mac = to_lower_ascii(value);
            else if (key == "driver")
                out.back().driver = words_of_list(value);
            else if (key == "name" && !value.empty())
                out.back().name = value;
            else if ((key == "dhcp4" || key == "dhcp6") && is_true(value))
                out.back().method = "dhcp";
            else if (key == "addresses" && out.back().method.empty())
                out.back().method = "static";
        }
    }
}

void read_netplan(const Guest& guest, std::vector<NetworkInterface>& out) {
    for (const char* folder : {"/etc/netplan", "/usr/lib/netplan"})
        for (const std::string& name : list_folder(guest, folder))
            if (ends_with(name, ".yaml"))
                read_netplan_file(guest, std::string(folder) + "/" + name, out);
}

void read_ifupdown(const Guest& guest, std::vector<NetworkInterface>& out) {
    std::vector<std::string> files{"/etc/network/interfaces"};
    for (const std::string& name : list_folder(guest, "/etc/network/interfaces.d"))
        files.push_back("/etc/network/interfaces.d/" + name);
    for (const std::string& file : files) {
        for (const std::string& line : read_lines(guest, file)) {
            const std::vector<std::string> words = split_words(line);
            if (words.size() >= 4 && words[0] == "iface" && words[1] != "lo")
                out.push_back({"ifupdown", file, words[1], words[3], ""});
            else if (words.size() >= 2 && words[0] == "hwaddress" && !out.empty() && out.back().file == file)
                out.back().mac = to_lower_ascii(words.back());
        }
    }
}

void read_network_manager(const Guest& guest, std::vector<NetworkInterface>& out) {
    for (const char* folder :
         {"/etc/NetworkManager/system-connections", "/usr/lib/NetworkManager/system-connections"}) {
        for (const std::string& name : list_folder(guest, folder)) {
            const std::string path = std::string(folder) + "/" + name;
            NetworkInterface interface { "NetworkManager", path, "", "", "" };
            std::string section;
            bool ethernet = true;
            for (const std::string& raw : read_lines(guest, path)) {
                const std::string line = trim(raw);
                if (starts_with(line, "[")) {
                    section = line;
                    continue;
                }
                const auto pairs = parse_assignments({line});
                if (pairs.empty())
                    continue;
                const auto& [key, value] = pairs.front();
                if (section == "[connection]" && key == "interface-name")
                    interface.name = value;
                else if (section == "[connection]" && key == "type")
                    ethernet = value == "ethernet" || value == "802-3-ethernet";
                else if (section == "[match]" && key == "driver")
                    interface.driver = words_of_list(value);
                else if (key == "mac-address")
                    interface.mac = to_lower_ascii(value);
                else if (section == "[ipv4]" && key == "method")
                    interface.method = value == "auto" ? "dhcp" : value == "manual" ? "static" : value;
            }
            if (ethernet)
                out.push_back(std::move(interface));
        }
    }
}

void read_networkd_file(const Guest& guest, const std::string& path, std::vector<NetworkInterface>& out) {
    const bool is_link = ends_with(path, ".link");
    bool for_cards = true;
    NetworkInterface interface { is_link ? "link" : "networkd", path, "", "", "" };
    std::string section;
    for (const std::string& raw : read_lines(guest, path)) {
        const std::string line = trim(raw);
        if (starts_with(line, "[")) {
            section = line;
            continue;
        }
        const auto pairs = parse_assignments({line});
        if (pairs.empty())
            continue;
        const auto& [key, value] = pairs.front();
        if (section == "[Match]" && (key == "MACAddress" || key == "PermanentMACAddress"))
            interface.mac = to_lower_ascii(value);
        else if (section == "[Match]" && key == "Driver")
            interface.driver = words_of_list(value);
        else if (section == "[Match]" && (key == "Kind" || key == "Virtualization"))
            for_cards = false;
        else if ((section == "[Match]" && !is_link && key == "Name") ||
                 (section == "[Link]" && is_link && key == "Name"))
            interface.name = value;
        else if (section == "[Network]" && key == "DHCP" && !is_false(value))
            interface.method = "dhcp";
        else if (section == "[Network]" && key == "Address" && interface.method.empty())
            interface.method = "static";
    }
    // Packages bring many that are for what containers make.
    if (for_cards || !starts_with(path, "/usr/"))
        out.push_back(std::move(interface));
}

// It is for a card of this machine, whatever the driver.
bool is_for_any_card(const NetworkInterface& each) {
    const std::vector<std::string> patterns = split_words(each.name);
    return each.stack == "networkd" && each.driver.empty() && each.mac.empty() &&
           (patterns.empty() || std::any_of(patterns.begin(), patterns.end(), [](const std::string& pattern) {
                return fnmatch(pattern.c_str(), "enp1s0", 0) == 0;
            }));
}

void read_networkd(const Guest& guest, std::vector<NetworkInterface>& out) {
    const std::string own = "/etc/systemd/network";
    const std::string packages = "/usr/lib/systemd/network";
    const std::vector<std::string> names = list_folder(guest, own);
    const std::size_t before = out.size();
    for (const std::string& name : names)
        if (ends_with(name, ".link") || ends_with(name, ".network"))
            read_networkd_file(guest, fmt::format("{}/{}", own, name), out);
    // A package's file matters where it is for other cards, and none is for this machine's.
    if (std::any_of(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), is_for_any_card))
        return;
    std::vector<NetworkInterface> packaged;
    for (const std::string& name : list_folder(guest, packages))
        if (ends_with(name, ".network") && std::find(names.begin(), names.end(), name) == names.end())
            read_networkd_file(guest, fmt::format("{}/{}", packages, name), packaged);
    if (std::any_of(packaged.begin(), packaged.end(), is_for_any_card))
        return;
    for (NetworkInterface& each : packaged)
        if (!each.driver.empty())
            out.push_back(std::move(each));
}

void read_ifcfg(const Guest& guest, std::string_view stack, const std::string& folder,
                std::vector<NetworkInterface>& out) {
    constexpr std::string_view kPrefix = "ifcfg-";
    // What the guest's own scripts pass over, too (initscripts, network-functions).
    constexpr std::string_view kIgnored[] = {"~",       ".bak",     ".old",     ".orig",
                                             ".rpmnew", ".rpmorig", ".rpmsave", ".template"};
    for (const std::string& name : list_folder(guest, folder)) {
        if (!starts_with(name, kPrefix) || name == "ifcfg-lo" ||
            std::any_of(std::begin(kIgnored), std::end(kIgnored),
                        [&](std::string_view suffix) { return ends_with(name, suffix); }))
            continue;
        const std::string path = fmt::format("{}/{}", folder, name);
        const auto values = parse_assignments(read_lines(guest, path));
        NetworkInterface interface {
            std::string(stack), path, find_assignment(values, "DEVICE"),
                to_lower_ascii(find_assignment(values, "BOOTPROTO")), to_lower_ascii(find_assignment(values, "HWADDR"))
        };
        if (interface.name.empty())
            interface.name = name.substr(kPrefix.size());
        if (interface.mac.empty())
            interface.mac = to_lower_ascii(find_assignment(values, "LLADDR"));
        if (interface.method == "none")
            interface.method = "static";
        out.push_back(std::move(interface));
    }
}

// Rules that give a name to one card: udev's own of old, and those of installers.
void read_udev_rules(const Guest& guest, std::vector<NetworkInterface>& out) {
    for (const std::string& name : list_folder(guest, "/etc/udev/rules.d")) {
        if (name.find("persistent-net") == std::string::npos && name.find("net-name") == std::string::npos)
            continue;
        const std::string path = "/etc/udev/rules.d/" + name;
        for (const std::string& line : read_lines(guest, path)) {
            const auto quoted_after = [&](std::string_view key) -> std::string {
                const std::size_t at = line.find(key);
                const std::size_t begin = at == std::string::npos ? at : line.find('"', at);
                const std::size_t end = begin == std::string::npos ? begin : line.find('"', begin + 1);
                return end == std::string::npos ? std::string() : line.substr(begin + 1, end - begin - 1);
            };
            if (trim(line).empty() || trim(line).front() == '#')
                continue;
            NetworkInterface interface { "udev", path, quoted_after("NAME="), "", "" };
            // As each release of udev called it.
            for (const char* key : {"ATTR{address}", "ATTRS{address}", "SYSFS{address}"})
                if (interface.mac.empty())
                    interface.mac = to_lower_ascii(quoted_after(key));
            if (!interface.name.empty() || !interface.mac.empty())
                out.push_back(std::move(interface));
        }
    }
}

} // namespace

std::vector<NetworkInterface> read_network(const Guest& guest) {
    std::vector<NetworkInterface> interfaces;
    read_netplan(guest, interfaces);
    read_ifupdown(guest, interfaces);
    read_network_manager(guest, interfaces);
    read_networkd(guest, interfaces);
    read_ifcfg(guest, "ifcfg", "/etc/sysconfig/network-scripts", interfaces);
    read_ifcfg(guest, "wicked", "/etc/sysconfig/network", interfaces);
    read_udev_rules(guest, interfaces);
    return interfaces;
}

} // namespace vm2oci::inspect
