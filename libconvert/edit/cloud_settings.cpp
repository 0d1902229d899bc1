// cloud-init's own configuration in a guest: its files, and whether it runs at all.
#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/edit/yaml.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

bool only_holds(const YamlValue& root, std::string_view key) {
    const auto members = root.members();
    return std::all_of(members.begin(), members.end(), [&](const auto& member) { return member.first.text() == key; });
}

bool on_every_command_line(const PlanBuilder& plan, std::string_view wanted) {
    const auto lines = kernel_command_lines(plan);
    return !lines.empty() && std::all_of(lines.begin(), lines.end(), [&](const std::vector<std::string>& words) {
        return std::find(words.begin(), words.end(), wanted) != words.end();
    });
}

} // namespace

std::vector<std::string> cloud_settings_files(const PlanBuilder& plan) {
    std::vector<std::string> files = {"/etc/cloud/cloud.cfg"};
    for (const std::string& path : plan.glob("/etc/cloud/cloud.cfg.d/*.cfg"))
        files.push_back(path);
    return files;
}

void cut_cloud_setting(PlanBuilder& plan, const std::string& path, std::string_view key, const std::string& reason) {
    const auto text = plan.read_text(path);
    const auto root = text ? try_parse_yaml(*text) : std::nullopt;
    if (!root || !root->get(key))
        return;
    if (only_holds(*root, key) && path != "/etc/cloud/cloud.cfg")
        return plan.remove(path, reason);
    std::string cut = without_top_level_key(*text, key);
    const auto after = try_parse_yaml(cut);
    // Written in one line or indented, it does not come out with its lines: the whole is written anew.
    if (!after || after->get(key) || after->members().size() + 1 != root->members().size())
        cut = yaml_text(*root, {}, key);
    plan.write(path, cut, reason);
}

std::string cloud_init_obstacle(const PlanBuilder& plan) {
    if (!has_cloud_init(plan))
        return "it is not installed";
    if (plan.exists("/etc/cloud/cloud-init.disabled"))
        return "/etc/cloud/cloud-init.disabled switches it off";
    if (on_every_command_line(plan, "cloud-init=disabled"))
        return "the kernel's command line switches it off";
    const std::string identify = plan.read_text("/etc/cloud/ds-identify.cfg").value_or("");
    for (const std::string_view line : lines_of(identify))
        if (trimmed(line).starts_with("policy:") && words_of(line).back() == "disabled")
            return "/etc/cloud/ds-identify.cfg switches it off";
    if (init_system(plan) == InitSystem::systemd) {
        for (const char* unit : {"cloud-init.target", "cloud-init.service", "cloud-init-network.service",
                                 "cloud-init-main.service", "cloud-config.target"})
            if (is_mask(plan, std::string("/etc/systemd/system/") + unit))
                return std::string(unit) + " is masked";
        if (is_mask(plan, "/etc/systemd/system-generators/cloud-init-generator"))
            return "its generator is masked";
        if (service_state(plan, "cloud-init") == ServiceState::disabled)
            return "cloud-init.service is not enabled";
        return {};
    }
    const ServiceState state = service_state(plan, "cloud-init");
    return state == ServiceState::enabled || state == ServiceState::unknown ? "" : "no service of the guest starts it";
}

bool cloud_init_certainly_runs(const PlanBuilder& plan) {
    if (!cloud_init_obstacle(plan).empty())
        return false;
    if (init_system(plan) == InitSystem::systemd && service_state(plan, "cloud-init") != ServiceState::enabled &&
        service_state(plan, "cloud-init-network") != ServiceState::enabled)
        return false;
    // Its look for a data source switches it off where there is none; with one in the list there is no look.
    if (!plan.exists("/usr/lib/cloud-init/ds-identify") && !plan.exists("/usr/libexec/cloud-init/ds-identify"))
        return true;
    if (plan.exists("/var/lib/cloud/seed/nocloud/meta-data"))
        return true;
    std::vector<std::string> names;
    for (const std::string& path : cloud_settings_files(plan)) {
        const auto text = plan.read_text(path);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        if (const auto list = root ? root->get("datasource_list") : std::nullopt) {
            names.clear();
            for (const YamlValue& item : list->items())
                names.push_back(item.text());
        }
    }
    return names.size() == 1 || (names.size() == 2 && names[1] == "None");
}

} // namespace vm2oci
