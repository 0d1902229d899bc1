#include "libconvert/inspect/parts.hpp"

#include <algorithm>

namespace vm2oci::inspect {
namespace {

// "[ NoCloud, 'None' ]" → NoCloud, None.
std::vector<std::string> parse_flow_list(std::string_view text) {
    std::vector<std::string> items;
    std::string item;
    for (const char c : text) {
        if (c == ',' || c == ']') {
            if (!trim(item).empty())
                items.push_back(trim(item));
            item.clear();
            if (c == ']')
                break;
        } else if (c != '[' && c != '"' && c != '\'') {
            item += c;
        }
    }
    return items;
}

void read_config(const Guest& guest, const std::string& path, CloudInitInfo& info) {
    bool in_list = false;
    std::string brackets; // that are open behind datasource_list
    bool in_network = false;
    for (const std::string& line : read_lines(guest, path)) {
        const std::string text = trim(line);
        if (text.empty() || text.front() == '#')
            continue;
        if (!brackets.empty()) {
            brackets += " " + text.substr(0, text.find(" #"));
            if (brackets.find(']') != std::string::npos) {
                info.datasources = parse_flow_list(brackets);
                brackets.clear();
            }
            continue;
        }
        const bool top_level = line.front() != ' ' && line.front() != '\t' && line.front() != '-';
        if (top_level) {
            in_list = false;
            in_network = starts_with(text, "network:");
        }
        if (starts_with(text, "datasource_list:")) {
            const std::string rest = trim(std::string_view(text).substr(16));
            info.datasources = parse_flow_list(rest + "]");
            if (starts_with(rest, "[") && rest.find(']') == std::string::npos)
                brackets = rest.substr(0, rest.find(" #"));
            info.datasource_file = path;
            in_list = rest.empty();
        } else if (in_list && starts_with(text, "- ")) {
            info.datasources.push_back(trim(std::string_view(text).substr(2)));
        }
        if (in_network && text.find("config:") != std::string::npos && text.find("disabled") != std::string::npos)
            info.network_disabled = true;
    }
}

// "22.4.2-1+deb12u3" → "22.4.2"
std::string upstream_version(const std::string& version) {
    const std::size_t colon = version.find(':');
    const std::string rest = colon == std::string::npos ? version : version.substr(colon + 1);
    return rest.substr(0, rest.rfind('-'));
}

std::string read_version(const Guest& guest) {
    bool is_ours = false;
    for (const std::string& line : read_lines(guest, "/var/lib/dpkg/status")) {
        if (starts_with(line, "Package: "))
            is_ours = trim(std::string_view(line).substr(9)) == "cloud-init";
        else if (is_ours && starts_with(line, "Version: "))
            return upstream_version(trim(std::string_view(line).substr(9)));
    }
    for (const char* path : {"/usr/lib/python3/dist-packages/cloudinit/version.py"})
        for (const std::string& line : read_lines(guest, path)) {
            const std::size_t quote = line.find('"');
            if (starts_with(line, "__VERSION__") && quote != std::string::npos)
                return line.substr(quote + 1, line.find('"', quote + 1) - quote - 1);
        }
    for (const std::string& python : list_folder(guest, "/usr/lib")) {
        if (!starts_with(python, "python3."))
            continue;
        const std::string folder = "/usr/lib/" + python + "/site-packages";
        for (const std::string& name : list_folder(guest, folder))
            if (starts_with(name, "cloud_init-"))
                return name.substr(11, name.find('-', 11) - 11);
    }
    return {};
}

} // namespace

CloudInitInfo read_cloud_init(const Guest& guest) {
    CloudInitInfo info;
    info.installed = exists(guest, "/usr/lib/cloud-init") || exists(guest, "/usr/libexec/cloud-init") ||
                     exists(guest, "/usr/bin/cloud-init");
    if (!info.installed)
        return info;
    info.version = read_version(guest);
    read_config(guest, "/etc/cloud/cloud.cfg", info);
    // Later files win, as cloud-init merges them. The distribution's own default stands in 90_dpkg.cfg: a long list.
    for (const std::string& name : list_folder(guest, "/etc/cloud/cloud.cfg.d"))
        if (ends_with(name, ".cfg"))
            read_config(guest, "/etc/cloud/cloud.cfg.d/" + name, info);
    info.disabled = exists(guest, "/etc/cloud/cloud-init.disabled");
    for (const std::string& name : list_folder(guest, "/var/lib/cloud/instances"))
        info.instances.push_back(name);
    info.has_seed = exists(guest, "/var/lib/cloud/seed/nocloud/meta-data") ||
                    exists(guest, "/var/lib/cloud/seed/nocloud-net/meta-data");
    return info;
}

} // namespace vm2oci::inspect
