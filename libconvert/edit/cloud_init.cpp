// The NoCloud seed, and everything in a guest that would keep cloud-init from reading it.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "formats/base/fd.hpp"
#include "formats/base/sha256.hpp"
#include "formats/tree/nocloud.hpp"
#include "libconvert/edit/kernel_command_lines.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/edit/user_data.hpp"
#include "libconvert/edit/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::string_view kSeedFolder = "/var/lib/cloud/seed/nocloud";
// Read after every other file of the folder, since cloud-init merges them in the order of their names.
constexpr std::string_view kOwnSettings = "/etc/cloud/cloud.cfg.d/zz-vm2oci.cfg";
constexpr std::size_t kInstanceIdDigits = 16;

std::string derived_instance_id(const Seed& seed) {
    Sha256 hash;
    const auto add = [&](std::string_view name, const std::optional<std::string>& content) {
        const std::string head = fmt::format("{}:{}:", name, content ? std::to_string(content->size()) : "-");
        hash.update(as_bytes(head));
        if (content)
            hash.update(as_bytes(*content));
    };
    add(nocloud::user_data, seed.user_data);
    add(nocloud::meta_data, seed.meta_data);
    add(nocloud::network_config, seed.network_config);
    add(nocloud::vendor_data, seed.vendor_data);
    return "vm2oci-" + to_hex(hash.finish()).substr(0, kInstanceIdDigits);
}

// Whom cloud-init gives the keys of the meta-data: the default user of the last file that names one.
std::string default_user(const PlanBuilder& plan) {
    std::string name;
    for (const std::string& path : cloud_settings_files(plan)) {
        const auto text = plan.read_text(path);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        const auto system = root ? root->get("system_info") : std::nullopt;
        const auto user = system ? system->get("default_user") : std::nullopt;
        if (user && user->get("name"))
            name = user->get("name")->text();
    }
    return name;
}

// The list that counts: that of the last file that has one.
std::optional<std::string> pinned_datasources(const PlanBuilder& plan) {
    std::optional<std::string> pinned;
    for (const std::string& path : cloud_settings_files(plan)) {
        const auto text = plan.read_text(path);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        const auto list = root ? root->get("datasource_list") : std::nullopt;
        if (!list)
            continue;
        std::string names;
        bool has_no_cloud = false;
        for (const YamlValue& item : list->items()) {
            names.append(names.empty() ? "" : ", ").append(item.text());
            has_no_cloud = has_no_cloud || item.text() == "NoCloud";
        }
        pinned = has_no_cloud ? std::nullopt : std::optional(fmt::format("{} ({})", names, path));
    }
    return pinned;
}

enum class NetworkSettings { kept, replaced };

void mend_settings(PlanBuilder& plan, NetworkSettings network_settings) {
    for (const std::string& path : cloud_settings_files(plan)) {
        if (path == kOwnSettings)
            continue;
        const auto text = plan.read_text(path);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        if (!root)
            continue;
        // Ubuntu's installer leaves its own answers under None; what stands under NoCloud goes before the seed.
        const auto datasource = root->get("datasource");
        if (datasource && (datasource->get("None") || datasource->get("NoCloud")))
            cut_cloud_setting(plan, path, "datasource", "a seed of its own would take the place of NoCloud's");
        // cloud-init merges in the order of names: a list that comes after ours would count.
        if (root->get("datasource_list") && path > kOwnSettings)
            cut_cloud_setting(plan, path, "datasource_list", "it would pin the data source after our own list");
        const auto network = root->get("network");
        if (!network)
            continue;
        const bool disabled =
            network->text() == "disabled" || (network->get("config") && network->get("config")->text() == "disabled");
        if (disabled)
            cut_cloud_setting(plan, path, "network", "cloud-init was forbidden to set up the network");
        else if (network_settings == NetworkSettings::replaced)
            cut_cloud_setting(plan, path, "network", "it would go before the network configuration of the seed");
    }
}

void remove_old_instance(PlanBuilder& plan) {
    for (const std::string& name : plan.list("/var/lib/cloud"))
        if (name != "seed")
            plan.remove("/var/lib/cloud/" + name, "instance data of the machine's old life");
    for (const char* generated :
         {"/etc/netplan/50-cloud-init.yaml", "/etc/network/interfaces.d/50-cloud-init",
          "/etc/network/interfaces.d/50-cloud-init.cfg", "/etc/systemd/network/10-cloud-init-*.network",
          "/etc/NetworkManager/system-connections/cloud-init-*.nmconnection",
          "/etc/udev/rules.d/70-persistent-net-cloud-init.rules"})
        for (const std::string& path : plan.glob(generated))
            plan.remove(path, "written by cloud-init for the old machine; it writes it anew");
}

// Units that somebody has disabled. Others of the same version of cloud-init are missing, and are none of these.
void enable_units(PlanBuilder& plan) {
    if (init_system(plan) != InitSystem::systemd)
        return;
    for (const char* name :
         {"cloud-init-local", "cloud-init", "cloud-init-main", "cloud-init-network", "cloud-config", "cloud-final"})
        for (const char* folder : {"/usr/lib/systemd/system/", "/lib/systemd/system/"}) {
            const std::string unit = folder + std::string(name) + ".service";
            if (service_state(plan, name) == ServiceState::disabled && plan.exists(unit))
                enable_systemd_unit(plan, unit, "a unit of cloud-init was disabled");
        }
}

void let_cloud_init_run(PlanBuilder& plan, NetworkSettings network_settings) {
    plan.remove("/etc/cloud/cloud-init.disabled", "cloud-init was switched off");
    for (const std::string& unit : plan.glob("/etc/systemd/system/cloud-*"))
        if (is_mask(plan, unit))
            plan.remove(unit, "a unit of cloud-init was masked");
    if (const char* generator = "/etc/systemd/system-generators/cloud-init-generator"; is_mask(plan, generator))
        plan.remove(generator, "cloud-init's generator was masked");
    enable_units(plan);
    if (const auto identify = plan.read_text("/etc/cloud/ds-identify.cfg")) {
        for (const std::string_view line : lines_of(*identify)) {
            const std::string_view setting = trimmed(line);
            if (setting.starts_with("datasource:") || setting.starts_with("policy:")) {
                plan.remove("/etc/cloud/ds-identify.cfg", "it pins the data source or switches cloud-init off");
                break;
            }
        }
    }
    change_kernel_command_lines(
        plan,
        [&](std::vector<std::string> words) {
            std::erase_if(words, [&](const std::string& word) {
                return word == "cloud-init=disabled" || word.starts_with("ds=") || word.starts_with("ci.ds=") ||
                       word.starts_with("ci.datasource=") || word == "autoinstall" ||
                       word == "network-config=disabled" || word == "cc:network-config=disabled" ||
                       (network_settings == NetworkSettings::replaced && word.starts_with("network-config="));
            });
            return words;
        },
        "the kernel's command line pins cloud-init's data source or switches it off");
}

} // namespace

Seed make_seed(const CloudInitRequest& request, const std::string& hostname, const std::string& public_keys) {
    Seed seed;
    check_user_data(request.user_data.value_or(""));
    seed.user_data = plain_user_data(request.user_data.value_or(""));
    if (request.vendor_data)
        check_vendor_data(*request.vendor_data);
    if (request.network_config)
        check_network_config(*request.network_config);
    check_meta_data(request.meta_data.value_or(""));
    seed.network_config = request.network_config;
    if (request.vendor_data)
        seed.vendor_data = plain_user_data(*request.vendor_data);
    // The digest covers the host name and the keys too, by a meta-data that has everything but the id.
    MetaDataAdditions additions{"", hostname, public_keys};
    seed.meta_data = complete_meta_data(request.meta_data.value_or(""), additions);
    additions.instance_id = derived_instance_id(seed);
    seed.meta_data = complete_meta_data(request.meta_data.value_or(""), additions);
    // cloud-init takes an empty file for something that it does not know, and says so on the console.
    if (trimmed(seed.user_data).empty())
        seed.user_data = "#cloud-config\n{}\n";
    return seed;
}

void plan_cloud_init(PlanBuilder& plan, const CloudInitRequest& request, const std::string& hostname,
                     const std::string& public_keys) {
    const Seed seed = make_seed(request, hostname, public_keys);
    if (!has_cloud_init(plan))
        fail(ErrorKind::unsupported, "the guest has no cloud-init that could read the seed",
             HintKind::without_cloud_init);
    for (const std::string& remark : user_data_remarks(seed.user_data))
        plan.found(remark);
    if (seed.vendor_data)
        for (const std::string& remark : user_data_remarks(*seed.vendor_data))
            plan.found("vendor data: " + remark);
    for (const std::string& remark : meta_data_remarks(request.meta_data.value_or("")))
        plan.found(remark);
    if (seed.network_config)
        for (const std::string& remark : network_config_remarks(*seed.network_config))
            plan.found(remark);
    if (const auto pinned = pinned_datasources(plan))
        plan.found("the data source was pinned to " + escape_untrusted(*pinned));
    if (const std::string user = default_user(plan); !public_keys.empty() && !user.empty())
        find_ssh_obstacles(plan, user, KeyPlace::cloud_init);
    remove_old_instance(plan);
    const NetworkSettings network_settings = request.network_config ? NetworkSettings::replaced : NetworkSettings::kept;
    mend_settings(plan, network_settings);
    let_cloud_init_run(plan, network_settings);
    if (const std::string obstacle = cloud_init_obstacle(plan); !obstacle.empty())
        plan.found("cloud-init may not run in this guest: " + obstacle);
    // With one source besides None, ds-identify asks no further; with the seed on a disk, it must look for it.
    plan.write(kOwnSettings, "# Written by vm2oci.\ndatasource_list: [ NoCloud, None ]\n",
               "cloud-init reads its data from NoCloud");
    if (request.place == SeedPlace::disk) {
        plan.remove(kSeedFolder, "the seed comes on a disk of its own");
        plan.found("the seed is as public as what it lies in: an image's annotations and the file beside a disk are "
                   "readable for all who can read these; keep passwords and private keys out of it");
        return;
    }
    const FileAttributes secret{0600, 0, 0, {}};
    const std::string reason = "the seed for NoCloud";
    const std::string folder(kSeedFolder);
    plan.make_folder(folder, reason, {0700, 0, 0, {}});
    plan.write(folder + "/" + nocloud::user_data, seed.user_data, reason, secret);
    plan.write(folder + "/" + nocloud::meta_data, seed.meta_data, reason, secret);
    for (const auto& [name, content] :
         {std::pair(nocloud::network_config, seed.network_config), std::pair(nocloud::vendor_data, seed.vendor_data)}) {
        const std::string path = folder + "/" + name;
        if (content)
            plan.write(path, *content, reason, secret);
        else
            plan.remove(path, "left from an earlier seed");
    }
}

} // namespace vm2oci
