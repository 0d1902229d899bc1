// Init, services, agents, packages and the marks of identity.
#include "libconvert/guest/selinux_config.hpp"
#include "libconvert/inspect/package_database.hpp"
#include "libconvert/inspect/parts.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace vm2oci::inspect {
namespace {

std::vector<std::string> split_colons(const std::string& line) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
        if (c == ':')
            fields.emplace_back();
        else
            fields.back() += c;
    }
    return fields;
}

struct KnownAgent {
    std::string_view name;
    std::array<std::string_view, 3> paths;
    std::array<std::string_view, 3> services; // without the suffix
};
constexpr KnownAgent kAgents[] = {
    {"vm2oci-agent", {"/usr/local/sbin/vm2oci-agent", "", ""}, {"vm2oci-agent", "", ""}},
    {"qemu-guest-agent", {"/usr/sbin/qemu-ga", "/usr/bin/qemu-ga", ""}, {"qemu-guest-agent", "qemu-ga", ""}},
    {"open-vm-tools", {"/usr/bin/vmtoolsd", "/usr/sbin/vmtoolsd", ""}, {"open-vm-tools", "vmtoolsd", "vmware-tools"}},
    {"virtualbox-guest",
     {"/usr/sbin/VBoxService", "/usr/bin/VBoxService", ""},
     {"virtualbox-guest-utils", "vboxadd-service", "vboxservice"}},
    {"xe-guest-utilities",
     {"/usr/sbin/xe-daemon", "/usr/bin/xe-daemon", ""},
     {"xe-linux-distribution", "xe-daemon", ""}},
    {"hyperv-daemons",
     {"/usr/sbin/hv_kvp_daemon", "/usr/bin/hv_kvp_daemon", ""},
     {"hv-kvp-daemon", "hypervkvpd", "hv_kvp_daemon"}},
    {"walinuxagent", {"/usr/sbin/waagent", "/usr/bin/waagent", ""}, {"walinuxagent", "waagent", ""}},
    {"google-guest-agent",
     {"/usr/bin/google_guest_agent", "/usr/bin/google_guest_agent_manager", ""},
     {"google-guest-agent", "google-guest-agent-manager", ""}},
    {"amazon-ssm-agent", {"/usr/bin/amazon-ssm-agent", "/snap/amazon-ssm-agent", ""}, {"amazon-ssm-agent", "", ""}},
    {"spice-vdagent",
     {"/usr/sbin/spice-vdagentd", "/usr/bin/spice-vdagentd", ""},
     {"spice-vdagentd", "spice-vdagent", ""}},
    {"parallels-tools", {"/usr/bin/prltoolsd", "/usr/lib/parallels-tools", ""}, {"prltoolsd", "", ""}},
};

} // namespace

std::string read_init(const Guest& guest) {
    const std::string target = guest.read_link("/sbin/init").value_or("");
    if (target.find("systemd") != std::string::npos)
        return "systemd";
    if (target.empty() && (exists(guest, "/usr/lib/systemd/systemd") || exists(guest, "/lib/systemd/systemd")))
        return "systemd";
    if (exists(guest, "/sbin/openrc") || exists(guest, "/usr/bin/openrc") || exists(guest, "/usr/sbin/openrc"))
        return "openrc";
    if (exists(guest, "/etc/init") && exists(guest, "/sbin/initctl"))
        return "upstart";
    if (exists(guest, "/etc/inittab"))
        return "sysvinit";
    if (exists(guest, "/etc/runit"))
        return "runit";
    return exists(guest, "/usr/lib/systemd/systemd") ? "systemd" : "";
}

std::string read_systemd_version(const Guest& guest) {
    // Its private library bears the version: "libsystemd-core-252.so", on Fedora "libsystemd-core-255.4-1.fc40.so".
    constexpr std::string_view prefix = "libsystemd-core-";
    for (const char* folder : {"/usr/lib/systemd", "/usr/lib64/systemd", "/usr/lib/x86_64-linux-gnu/systemd",
                               "/usr/lib/aarch64-linux-gnu/systemd", "/lib/systemd"})
        for (const std::string& name : list_folder(guest, folder))
            if (starts_with(name, prefix))
                return name.substr(prefix.size(), name.find_first_not_of("0123456789", prefix.size()) - prefix.size());
    return {};
}

std::vector<std::string> read_enabled_services(const Guest& guest) {
    std::set<std::string> services;
    for (const std::string& folder : list_folder(guest, "/etc/systemd/system")) {
        if (!ends_with(folder, ".wants") && !ends_with(folder, ".requires"))
            continue;
        for (const std::string& unit : list_folder(guest, "/etc/systemd/system/" + folder))
            services.insert(unit);
    }
    for (const std::string& level : list_folder(guest, "/etc/runlevels"))
        for (const std::string& service : list_folder(guest, "/etc/runlevels/" + level))
            services.insert(service);
    // System V: "S20ssh". systemd takes the unit of that name instead, where there is one.
    for (const char* level : {"/etc/rc2.d", "/etc/rc3.d", "/etc/rc.d/rc3.d", "/etc/init.d/rc3.d"})
        for (const std::string& link : list_folder(guest, level))
            if (link.size() > 3 && link.front() == 'S' && std::isdigit(static_cast<unsigned char>(link[1])) != 0)
                if (services.count(link.substr(3) + ".service") == 0)
                    services.insert(link.substr(3));
    return {services.begin(), services.end()};
}

std::vector<InstalledAgent> read_agents(const Guest& guest, const std::vector<std::string>& services) {
    std::vector<InstalledAgent> agents;
    for (const KnownAgent& known : kAgents) {
        const auto path = std::find_if(known.paths.begin(), known.paths.end(),
                                       [&](std::string_view p) { return !p.empty() && exists(guest, p); });
        if (path == known.paths.end())
            continue;
        InstalledAgent agent{std::string(known.name), std::string(*path), false};
        for (const std::string_view service : known.services) {
            if (service.empty())
                continue;
            const std::string unit = std::string(service) + ".service";
            agent.enabled = agent.enabled || std::find(services.begin(), services.end(), unit) != services.end() ||
                            std::find(services.begin(), services.end(), service) != services.end();
            // Debian starts qemu-ga by a udev rule when its port appears; so does vm2oci its own agent.
            for (const char* rules : {"/lib/udev/rules.d/60-", "/usr/lib/udev/rules.d/60-", "/usr/lib/udev/rules.d/99-",
                                      "/etc/udev/rules.d/60-"})
                agent.enabled = agent.enabled || exists(guest, rules + std::string(service) + ".rules");
        }
        agents.push_back(std::move(agent));
    }
    return agents;
}

PackageInfo read_packages(const Guest& guest) {
    const PackageDatabase database = read_package_database(guest, PackageLicenses::skip);
    PackageInfo info{database.manager, std::nullopt, database.problem};
    if (!info.manager.empty() && info.problem.empty())
        info.count = database.packages.size();
    return info;
}

std::string read_machine_id(const Guest& guest) {
    const std::optional<std::string> text = try_read_text(guest, "/etc/machine-id");
    if (!text)
        return "absent";
    const std::string id = trim(*text);
    if (id.empty())
        return "empty";
    return id == "uninitialized" ? "uninitialized" : "set";
}

std::vector<std::string> read_host_keys(const Guest& guest) {
    std::vector<std::string> keys;
    for (const std::string& name : list_folder(guest, "/etc/ssh"))
        if (starts_with(name, "ssh_host_") && ends_with(name, "_key"))
            keys.push_back(name);
    return keys;
}

std::vector<LoginUser> read_users(const Guest& guest) {
    std::vector<std::pair<std::string, std::string>> hashes;
    for (const std::string& line : read_lines(guest, "/etc/shadow")) {
        const std::vector<std::string> fields = split_colons(line);
        if (fields.size() >= 2)
            hashes.emplace_back(fields[0], fields[1]);
    }
    std::vector<LoginUser> users;
    for (const std::string& line : read_lines(guest, "/etc/passwd")) {
        const std::vector<std::string> fields = split_colons(line);
        if (fields.size() < 7)
            continue;
        const std::string& shell = fields[6];
        if (ends_with(shell, "/nologin") || ends_with(shell, "/false") || ends_with(shell, "/sync") ||
            ends_with(shell, "/shutdown") || ends_with(shell, "/halt"))
            continue;
        LoginUser user;
        user.name = fields[0];
        std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), user.uid);
        const std::string hash = fields[1] == "x" ? find_assignment(hashes, user.name) : fields[1];
        user.has_password = !hash.empty() && hash.front() != '!' && hash.front() != '*';
        for (const char* file : {"/.ssh/authorized_keys", "/.ssh/authorized_keys2"})
            for (const std::string& key : read_lines(guest, fields[5] + file))
                user.authorized_keys += !trim(key).empty() && trim(key).front() != '#' ? 1u : 0u;
        users.push_back(std::move(user));
    }
    return users;
}

std::string read_selinux(const Guest& guest) {
    return std::string(selinux_mode_of(try_read_text(guest, "/etc/selinux/config").value_or("")));
}

} // namespace vm2oci::inspect
