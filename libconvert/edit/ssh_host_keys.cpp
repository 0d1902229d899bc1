// SSH host keys go only where something makes new ones: a daemon without keys lets nobody in.
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/edit/yaml.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::array kSystemUnits = {"/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"};
constexpr const char* kScript = "/usr/local/lib/vm2oci/ssh-host-keys";
constexpr const char* kMakerReason = "nothing else in this guest makes host keys that are missing";

// Old ssh-keygen has no -A, and not every type.
constexpr std::string_view kMakerScript = R"sh(#!/bin/sh
# Written by vm2oci: makes the SSH host keys that are missing.
for type in rsa dsa ecdsa ed25519; do
    key=/etc/ssh/ssh_host_${type}_key
    [ -s "$key" ] || ssh-keygen -q -t "$type" -N '' -f "$key" < /dev/null > /dev/null 2>&1
done
exit 0
)sh";

// Not before ssh.socket: it comes before basic.target, which comes before this.
constexpr std::string_view kMakerUnit = R"([Unit]
Description=Make SSH host keys that are missing
After=cloud-init.service cloud-init-network.service
Before=ssh.service sshd.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
)";

constexpr std::string_view kMakerJob = R"(# Written by vm2oci.
description "Make SSH host keys that are missing"
start on (starting ssh or starting sshd or starting rc)
task
exec /usr/local/lib/vm2oci/ssh-host-keys
)";

constexpr std::string_view kMakerRunScript = R"sh(#!/sbin/openrc-run
# Written by vm2oci.
description="Make SSH host keys that are missing"

depend() {
    before sshd
}

start() {
    ebegin "Making SSH host keys that are missing"
    /usr/local/lib/vm2oci/ssh-host-keys
    eend 0
}
)sh";

bool mentions_making(std::string_view text) {
    for (const std::string_view word : {"keygen", "gen-keys", "genkeys", "host-keys"})
        if (text.find(word) != std::string_view::npos)
            return true;
    return false;
}

bool masked_unit(const PlanBuilder& plan, const std::string& unit) {
    return plan.read_link(kSystemUnits[0] + unit) == "/dev/null" ||
           (plan.read_text(kSystemUnits[0] + unit) == std::string());
}

std::optional<std::string> unit_text(const PlanBuilder& plan, const std::string& unit) {
    if (masked_unit(plan, unit))
        return std::nullopt;
    for (const char* folder : kSystemUnits)
        if (auto text = plan.read_text(folder + unit))
            return text;
    return std::nullopt;
}

// With its drop-ins behind it.
std::optional<std::string> whole_unit(const PlanBuilder& plan, const std::string& unit) {
    auto text = unit_text(plan, unit);
    if (text)
        for (const char* folder : kSystemUnits)
            for (const std::string& part : plan.glob(std::string(folder) + unit + ".d/*.conf"))
                *text += "\n" + plan.read_text(part).value_or("");
    return text;
}

// cloud-init has carried out its modules for an instance, and does not again while it is the same.
bool has_seen_instance(const PlanBuilder& plan) {
    return plan.status("/var/lib/cloud/instance", FinalLink::keep).has_value();
}

// Conditions that do not hold when keys are missing: a boot counts as the first one where there is no machine-id, and
// not where it is empty (machine-id(5)); and cloud-init may be left to make the keys. An empty value lets all
// conditions before it go.
bool is_held_back(const PlanBuilder& plan, const std::string& text) {
    bool held = false;
    for (const IniEntry& entry : parse_ini(text)) {
        if (entry.section != "Unit" || !entry.key.starts_with("Condition"))
            continue;
        const std::string value = to_lower(entry.value);
        if (value.empty())
            held = false;
        else if (entry.key == "ConditionFirstBoot")
            held = held || value == "yes" || value == "true" || value == "1" || value == "on";
        else if (value.starts_with("!") && value.find("cloud-init") != std::string::npos)
            held = held || has_seen_instance(plan);
    }
    return held;
}

// A unit that makes keys is there, nobody has masked it, and it runs whenever keys are missing.
bool makes_keys(const PlanBuilder& plan, const std::string& unit) {
    // The target is made of instances.
    const std::string worker = unit == "sshd-keygen.target" ? "sshd-keygen@.service" : unit;
    const auto text = whole_unit(plan, worker);
    return !masked_unit(plan, worker) && unit_text(plan, unit) && !(text && is_held_back(plan, *text));
}

bool units_make_keys(const PlanBuilder& plan) {
    bool has_daemon = false;
    for (const char* daemon : {"sshd.service", "ssh.service", "sshd@.service"}) {
        const auto text = whole_unit(plan, daemon);
        if (!text || (text->find("[Unit]") == std::string::npos && text->find("[Service]") == std::string::npos))
            continue;
        has_daemon = true;
        for (const IniEntry& entry : parse_ini(*text)) {
            if (entry.key.starts_with("Exec") && mentions_making(entry.value))
                return true;
            if (entry.key != "Wants" && entry.key != "Requires" && entry.key != "BindsTo")
                continue;
            for (const std::string& unit : words_of(entry.value))
                if (mentions_making(unit) && makes_keys(plan, unit))
                    return true;
        }
    }
    for (const char* unit : {"sshd-keygen.target", "sshd-keygen.service", "sshd-keygen@.service", "sshdgenkeys.service",
                             "ssh-keygen.service"}) {
        if (!makes_keys(plan, unit))
            continue;
        if (!has_daemon)
            return true; // what asks for it is not known
        bool pulled = false;
        for (const char* folder : kSystemUnits)
            pulled = pulled || !plan.glob(std::string(folder) + "*.wants/" + unit).empty() ||
                     !plan.glob(std::string(folder) + "*.requires/" + unit).empty();
        if (pulled)
            return true;
    }
    return false;
}

bool scripts_make_keys(const PlanBuilder& plan) {
    const std::string switched_off =
        to_lower(shell_value(plan.read_text("/etc/conf.d/sshd").value_or(""), "sshd_disable_keygen") +
                 shell_value(plan.read_text("/etc/conf.d/sshd").value_or(""), "SSHD_DISABLE_KEYGEN"));
    if (switched_off == "yes" || switched_off == "true" || switched_off == "1")
        return false;
    for (const char* script : {"/etc/init.d/sshd", "/etc/init.d/ssh", "/etc/rc.d/init.d/sshd", "/etc/init/ssh.conf",
                               "/etc/init/sshd.conf", "/etc/sv/sshd/run", "/etc/sv/ssh/run", "/etc/rc.d/sshd"})
        if (mentions_making(plan.read_text(script).value_or("")))
            return true;
    return false;
}

// cloud-init's ssh module makes keys that are missing, once for each instance.
bool cloud_init_makes_keys(const PlanBuilder& plan) {
    if (!cloud_init_certainly_runs(plan) || has_seen_instance(plan))
        return false;
    bool runs_module = true;
    bool makes_types = true;
    for (const std::string& path : cloud_settings_files(plan)) {
        const auto text = plan.read_text(path);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        if (const auto modules = root ? root->get("cloud_init_modules") : std::nullopt) {
            runs_module = false;
            for (const YamlValue& item : modules->items()) {
                const auto parts = item.items();
                runs_module = runs_module || (parts.empty() ? item.text() : parts.front().text()) == "ssh";
            }
        }
        if (const auto types = root ? root->get("ssh_genkeytypes") : std::nullopt)
            makes_types = !types->items().empty();
        if (root && root->get("ssh_keys"))
            return false; // it writes those that are given, and makes none
    }
    return runs_module && makes_types;
}

bool anything_makes_keys(const PlanBuilder& plan) {
    const std::string automatic =
        to_lower(shell_value(plan.read_text("/etc/sysconfig/sshd").value_or(""), "AUTOCREATE_SERVER_KEYS"));
    if (automatic != "no") {
        if (init_system(plan) == InitSystem::systemd && units_make_keys(plan))
            return true;
        if (init_system(plan) != InitSystem::systemd && scripts_make_keys(plan))
            return true;
    }
    return cloud_init_makes_keys(plan);
}

// Into inittab before the first entry that runs a level: init carries out the entries in their order, and waits.
bool add_to_inittab(PlanBuilder& plan) {
    const auto table = plan.read_text("/etc/inittab");
    if (!table || table->find(":initdefault:") == std::string::npos)
        return false;
    const std::string entry = fmt::format("vmk:2345:wait:{}\n", kScript);
    if (table->find(entry) != std::string::npos)
        return true;
    std::string out;
    bool added = false;
    for (const std::string_view line : lines_of(*table)) {
        const bool runs_level = !line.starts_with('#') && line.find(":wait:") != std::string_view::npos;
        if (runs_level && !added)
            out += entry;
        added = added || runs_level;
        out += std::string(line) + "\n";
    }
    plan.write("/etc/inittab", added ? out : out + entry, kMakerReason);
    return true;
}

// False: this guest has no place for one.
bool add_maker(PlanBuilder& plan) {
    if (!plan.exists("/usr/bin/ssh-keygen"))
        return false;
    const auto add_script = [&] { plan.write(kScript, std::string(kMakerScript), kMakerReason, {0755, 0, 0, {}}); };
    switch (init_system(plan)) {
    case InitSystem::systemd: {
        const std::string unit = "/etc/systemd/system/vm2oci-ssh-host-keys.service";
        plan.write(unit, std::string(kMakerUnit), kMakerReason, {0644, 0, 0, {}});
        enable_systemd_unit(plan, unit, kMakerReason);
        return true;
    }
    case InitSystem::openrc:
        add_script();
        plan.write("/etc/init.d/vm2oci-ssh-host-keys", std::string(kMakerRunScript), kMakerReason, {0755, 0, 0, {}});
        plan.make_symlink("/etc/runlevels/default/vm2oci-ssh-host-keys", "/etc/init.d/vm2oci-ssh-host-keys",
                          kMakerReason);
        return true;
    case InitSystem::sysv:
        if (has_upstart(plan)) {
            add_script();
            plan.write("/etc/init/vm2oci-ssh-host-keys.conf", std::string(kMakerJob), kMakerReason, {0644, 0, 0, {}});
            return true;
        }
        if (has_runit(plan) || !add_to_inittab(plan))
            return false;
        add_script();
        return true;
    case InitSystem::unknown:
        break;
    }
    return false;
}

bool dropbear_makes_keys(const PlanBuilder& plan) {
    for (const char* file : {"/etc/init.d/dropbear", "/etc/conf.d/dropbear", "/etc/default/dropbear",
                             "/etc/sv/dropbear/run", "/etc/systemd/system/dropbear.service",
                             "/usr/lib/systemd/system/dropbear.service", "/lib/systemd/system/dropbear.service"}) {
        const std::string text = plan.read_text(file).value_or("");
        for (const std::string_view line : lines_of(text))
            if (!trimmed(line).starts_with("#") &&
                (line.find("dropbearkey") != std::string_view::npos || line.find(" -R") != std::string_view::npos ||
                 line.find("\"-R") != std::string_view::npos))
                return true;
    }
    return plan.exists("/usr/lib/systemd/system/dropbearkey.service");
}

std::vector<std::string> files_of(const PlanBuilder& plan, std::initializer_list<const char*> patterns) {
    std::vector<std::string> files;
    for (const char* pattern : patterns)
        for (const std::string& path : plan.glob(pattern))
            if (!is_mask(plan, path) && std::find(files.begin(), files.end(), path) == files.end())
                files.push_back(path);
    return files;
}

void keep_keys(PlanBuilder& plan, const char* daemon) {
    plan.found(
        fmt::format("{}'s host keys stay, since nothing in this guest would make new ones: every machine made of "
                    "it has the same; remove them in the guest, or give it a service that makes them",
                    daemon));
}

} // namespace

void plan_ssh_host_keys(PlanBuilder& plan) {
    const std::string reason = "remove the SSH host keys, and see that new ones are made";
    const auto keys = files_of(plan, {"/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub",
                                      "/etc/ssh/ssh_host_key*", "/etc/ssh/ssh_host_*_key-cert.pub"});
    const bool has_daemon = plan.exists("/usr/sbin/sshd") || plan.exists("/usr/bin/sshd");
    if (has_daemon && !anything_makes_keys(plan) && !add_maker(plan)) {
        if (!keys.empty())
            keep_keys(plan, "OpenSSH");
    } else {
        for (const std::string& key : keys)
            plan.remove(key, reason);
    }
    const auto dropbear_keys = files_of(plan, {"/etc/dropbear/dropbear_*_host_key"});
    const bool has_dropbear = plan.exists("/usr/sbin/dropbear") || plan.exists("/usr/bin/dropbear");
    if (has_dropbear && !dropbear_makes_keys(plan)) {
        if (!dropbear_keys.empty())
            keep_keys(plan, "Dropbear");
    } else {
        for (const std::string& key : dropbear_keys)
            plan.remove(key, reason);
    }
    const std::string settings = plan.read_text("/etc/ssh/sshd_config").value_or("");
    for (const std::string_view line : lines_of(settings))
        if (const auto words = words_of(line);
            words.size() > 1 && to_lower(words[0]) == "hostkey" && !words[1].starts_with("/etc/ssh/ssh_host_"))
            plan.found(fmt::format("sshd_config names the host key {}, which stays", escape_untrusted(words[1])));
}

} // namespace vm2oci
