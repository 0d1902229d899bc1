#include "libconvert/edit/cloud_config_schema.hpp"

#include "formats/base/escape.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <set>

namespace vm2oci {
namespace {

enum ValueKind : unsigned {
    kNull = 1U,
    kBool = 2U,
    kNumber = 4U,
    kString = 8U,
    kList = 16U,
    kMapping = 32U,
    kDate = 64U, // which no key takes
    kAnything = 127U,
};

// By YAML 1.1, which PyYAML reads.
unsigned kind_of(const YamlValue& value) {
    if (value.kind() == YamlKind::null)
        return kNull;
    if (value.kind() == YamlKind::sequence)
        return kList;
    if (value.kind() == YamlKind::mapping)
        return kMapping;
    const std::string text = value.text();
    if (!value.is_plain())
        return kString;
    constexpr std::array kBooleans = {"true", "false", "yes", "no", "on", "off"};
    if (std::find(kBooleans.begin(), kBooleans.end(), to_lower(text)) != kBooleans.end())
        return kBool;
    // Whole numbers, and in the second line others (yaml.org/type/int.html and float.html, as PyYAML has them). Digits
    // between colons count by sixties: a MAC address of decimal digits alone is a number.
    static const RE2 kNumbers(
        R"([-+]?(?:0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*(?::[0-5]?[0-9])*)|)"
        R"([-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|)"
        R"(\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))");
    static const RE2 kDates(R"(\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?)"
                            R"((?:[ \t]*(?:Z|[-+]\d\d?(?::?\d\d)?))?)");
    return RE2::FullMatch(text, kNumbers) ? kNumber : RE2::FullMatch(text, kDates) ? kDate : kString;
}

std::string kind_names(unsigned kinds) {
    std::string names;
    for (const auto& [kind, name] :
         {std::pair(kBool, "true or false"), std::pair(kNumber, "a number"), std::pair(kString, "text"),
          std::pair(kList, "a list"), std::pair(kMapping, "a mapping")})
        if ((kinds & kind) != 0)
            names += (names.empty() ? "" : " or ") + std::string(name);
    return names;
}

struct KnownKey {
    std::string_view name;
    unsigned kinds;
};

constexpr KnownKey kTopLevel[] = {
    {"allow_public_ssh_keys", kBool},
    {"ansible", kMapping},
    {"apk_repos", kMapping},
    {"apt", kMapping},
    {"apt_mirror", kString},
    {"apt_pipelining", kBool | kNumber | kString},
    {"apt_preserve_sources_list", kBool},
    {"apt_proxy", kString},
    {"apt_reboot_if_required", kBool},
    {"apt_sources", kList | kMapping},
    {"apt_update", kBool},
    {"apt_upgrade", kBool},
    {"authkey_hash", kString},
    {"autoinstall", kMapping},
    {"bootcmd", kList},
    {"byobu_by_default", kString | kBool},
    {"ca-certs", kMapping},
    {"ca_certs", kMapping},
    {"chef", kMapping},
    {"chpasswd", kMapping},
    {"cloud_config_modules", kList},
    {"cloud_final_modules", kList},
    {"cloud_init_modules", kList},
    {"create_hostname_file", kBool},
    {"datasource", kMapping},
    {"datasource_list", kList},
    {"debug", kMapping},
    {"device_aliases", kMapping},
    {"disable_ec2_metadata", kBool},
    {"disable_root", kBool | kString},
    {"disable_root_opts", kString},
    {"disk_setup", kMapping},
    {"drivers", kMapping},
    {"fan", kMapping},
    {"final_message", kString},
    {"fqdn", kString},
    {"fs_setup", kList},
    {"groups", kList | kMapping | kString},
    {"growpart", kMapping},
    {"grub-dpkg", kMapping},
    {"grub_dpkg", kMapping},
    {"hostname", kString},
    {"keyboard", kMapping},
    {"landscape", kMapping},
    {"launch-index", kNumber},
    {"locale", kBool | kString},
    {"locale_configfile", kString},
    {"lxd", kMapping},
    {"manage_etc_hosts", kBool | kString},
    {"manage_resolv_conf", kBool},
    {"manual_cache_clean", kBool},
    {"mcollective", kMapping},
    {"merge_how", kString | kList},
    {"merge_type", kString | kList},
    {"migrate", kBool},
    {"mount_default_fields", kList},
    {"mounts", kList},
    {"no_ssh_fingerprints", kBool},
    {"ntp", kNull | kMapping},
    {"output", kMapping},
    {"package_reboot_if_required", kBool},
    {"package_update", kBool},
    {"package_upgrade", kBool},
    {"packages", kList},
    {"password", kString},
    {"phone_home", kMapping},
    {"power_state", kMapping},
    {"prefer_fqdn_over_hostname", kBool},
    {"preserve_hostname", kBool},
    {"puppet", kMapping},
    {"random_seed", kMapping},
    {"reporting", kMapping},
    {"resize_rootfs", kBool | kString},
    {"resolv_conf", kMapping},
    {"rh_subscription", kMapping},
    {"rpi", kMapping},
    {"rsyslog", kMapping | kList},
    {"runcmd", kList},
    {"salt_minion", kMapping},
    {"snap", kMapping},
    {"snappy", kMapping},
    {"spacewalk", kMapping},
    {"ssh", kMapping},
    {"ssh_authorized_keys", kList},
    {"ssh_deletekeys", kBool},
    {"ssh_fp_console_blacklist", kList},
    {"ssh_genkeytypes", kList},
    {"ssh_import_id", kList},
    {"ssh_key_console_blacklist", kList},
    {"ssh_keys", kMapping},
    {"ssh_publish_hostkeys", kMapping},
    {"ssh_pwauth", kBool | kString},
    {"ssh_quiet_keygen", kBool},
    {"swap", kMapping},
    {"syslog_fix_perms", kString | kList},
    {"system_info", kMapping},
    {"timezone", kString},
    {"ubuntu_advantage", kMapping},
    {"ubuntu_pro", kMapping},
    {"unverified_modules", kList},
    {"updates", kMapping},
    {"user", kString | kMapping},
    {"users", kString | kList | kMapping},
    {"vendor_data", kMapping},
    {"vendor_data2", kMapping},
    {"version", kAnything},
    {"warnings", kMapping},
    {"wireguard", kNull | kMapping},
    {"write_files", kList},
    {"yum_repo_dir", kString},
    {"yum_repos", kMapping},
    {"zypper", kMapping},
};

constexpr std::size_t kRemarkLimit = 30; // nobody reads more of them

class Remarks {
  public:
    explicit Remarks(std::string what) : what_(std::move(what)) {}

    void add(const YamlValue& where, const std::string& text) {
        if (texts_.size() == kRemarkLimit)
            texts_.push_back(what_ + ": there is more of this kind");
        if (texts_.size() > kRemarkLimit)
            return;
        texts_.push_back(fmt::format("{}, line {}: {}", what_, where.line(), text));
    }
    // True: it is of such a kind.
    bool expect(const YamlValue& value, const std::string& name, unsigned kinds) {
        if ((kind_of(value) & kinds) != 0)
            return true;
        add(value, fmt::format("{} must be {}", quote_untrusted(name, 60), kind_names(kinds)));
        return false;
    }
    std::vector<std::string> take() { return std::move(texts_); }

  private:
    std::string what_;
    std::vector<std::string> texts_;
};

void check_commands(const YamlValue& list, const char* key, Remarks& remarks) {
    for (const YamlValue& command : list.items())
        if ((kind_of(command) & (kString | kList | kNull)) == 0)
            remarks.add(
                command,
                fmt::format("a command of {} is no text and no list; quote it, since ': ' makes a mapping", key));
}

void check_files(const YamlValue& list, Remarks& remarks) {
    for (const YamlValue& file : list.items()) {
        if (!remarks.expect(file, "a file of write_files", kMapping))
            continue;
        if (!file.get("path"))
            remarks.add(file, "a file of write_files has no 'path'");
        if (const auto content = file.get("content"))
            remarks.expect(*content, "content", kString | kNumber | kBool | kNull);
        const auto mode = file.get("permissions");
        if (mode && kind_of(*mode) == kNumber && !mode->text().starts_with("0"))
            remarks.add(*mode, fmt::format("'permissions' {} is a decimal number; write '0{}' in quotes",
                                           quote_untrusted(mode->text(), 20), escape_untrusted(mode->text())));
    }
}

void check_users(const YamlValue& users, Remarks& remarks) {
    for (const YamlValue& user : users.items()) {
        if (!remarks.expect(user, "a user", kString | kMapping | kList))
            continue;
        if (kind_of(user) != kMapping)
            continue;
        if (!user.get("name") && !user.get("snapuser"))
            remarks.add(user, "a user has no 'name'");
        for (const char* key : {"ssh_authorized_keys", "ssh-authorized-keys", "ssh_import_id", "ssh-import-id"})
            if (const auto value = user.get(key))
                remarks.expect(*value, key,
                               kList | (std::string_view(key).find("import") == std::string_view::npos ? 0U : kString));
        for (const char* key : {"lock_passwd", "lock-passwd", "no_create_home", "system"})
            if (const auto value = user.get(key))
                remarks.expect(*value, key, kBool);
        for (const char* key : {"shell", "homedir", "gecos", "passwd", "hashed_passwd", "plain_text_passwd"})
            if (const auto value = user.get(key))
                remarks.expect(*value, key, kString | kNumber);
    }
}

void check_texts(const YamlValue& list, const char* key, unsigned kinds, Remarks& remarks) {
    for (const YamlValue& item : list.items())
        remarks.expect(item, std::string("an item of ") + key, kinds);
}

// --- network configuration --------------------------------------------------------------------------------------

constexpr std::array kSections = {"ethernets",     "bonds",      "bridges",     "vlans",
                                  "wifis",         "tunnels",    "modems",      "vrfs",
                                  "dummy-devices", "nm-devices", "openvswitch", "virtual-ethernets"};
// Of netplan's reference, those that are alike for all devices.
constexpr KnownKey kDeviceKeys[] = {
    {"renderer", kString},
    {"dhcp4", kBool},
    {"dhcp6", kBool},
    {"dhcp4-overrides", kMapping},
    {"dhcp6-overrides", kMapping},
    {"dhcp-identifier", kString},
    {"accept-ra", kBool},
    {"addresses", kList},
    {"gateway4", kString},
    {"gateway6", kString},
    {"nameservers", kMapping},
    {"routes", kList},
    {"routing-policy", kList},
    {"match", kMapping},
    {"set-name", kString},
    {"macaddress", kString},
    {"mtu", kNumber},
    {"optional", kBool},
    {"critical", kBool},
    {"wakeonlan", kBool},
    {"interfaces", kList},
    {"parameters", kMapping},
    {"id", kNumber},
    {"link", kString},
    {"link-local", kList},
    {"optional-addresses", kList},
    {"access-points", kMapping},
};

void check_device(std::string_view section, const std::string& name, const YamlValue& device, Remarks& remarks) {
    if (!remarks.expect(device, name, kMapping | kNull))
        return;
    for (const auto& [key, value] : device.members()) {
        const auto known = std::find_if(std::begin(kDeviceKeys), std::end(kDeviceKeys),
                                        [&, text = key.text()](const KnownKey& each) { return each.name == text; });
        if (known != std::end(kDeviceKeys))
            remarks.expect(value, key.text(), known->kinds);
        else if (to_lower(key.text()) != key.text() || key.text() == "dhcp" || key.text() == "address" ||
                 key.text() == "gateway" || key.text() == "dns" || key.text() == "nameserver" || key.text() == "name" ||
                 key.text().find('_') != std::string::npos)
            remarks.add(key, fmt::format("{} is no key of a device in version 2", quote_untrusted(key.text(), 60)));
    }
    if (section == "vlans" && (!device.get("id") || !device.get("link")))
        remarks.add(device, fmt::format("the VLAN {} needs 'id' and 'link'", quote_untrusted(name, 60)));
    if (section == "bonds" && !device.get("interfaces"))
        remarks.add(device, fmt::format("{} has no 'interfaces'", quote_untrusted(name, 60)));
    if (const auto match = device.get("match"))
        if (const auto mac = match->get("macaddress"))
            remarks.expect(*mac, "macaddress", kString);
    if (device.get("set-name") && !device.get("match"))
        remarks.add(device, fmt::format("'set-name' of {} needs a 'match'", quote_untrusted(name, 60)));
    if (const auto addresses = device.get("addresses"))
        for (const YamlValue& address : addresses->items())
            if (kind_of(address) == kString && address.text().find('/') == std::string::npos)
                remarks.add(address, fmt::format("the address {} has no prefix length ('/24')",
                                                 quote_untrusted(address.text(), 60)));
}

void check_version_2(const YamlValue& config, Remarks& remarks) {
    for (const auto& [key, value] : config.members()) {
        const std::string name = key.text();
        if (name == "version" || name == "renderer")
            continue;
        if (std::find(kSections.begin(), kSections.end(), name) == kSections.end()) {
            remarks.add(key, fmt::format("{} is no key of version 2, and is passed over", quote_untrusted(name, 60)));
            continue;
        }
        if (!remarks.expect(value, name, kMapping | kNull))
            continue;
        for (const auto& [id, device] : value.members())
            check_device(name, id.text(), device, remarks);
    }
}

void check_version_1(const YamlValue& config, Remarks& remarks) {
    constexpr std::array kTypes = {"physical", "bond",       "bridge", "vlan",
                                   "loopback", "nameserver", "route",  "infiniband"};
    constexpr std::array kSubnets = {
        "dhcp4",     "dhcp", "dhcp6", "static", "static6", "manual", "ipv6_dhcpv6-stateful", "ipv6_dhcpv6-stateless",
        "ipv6_slaac"};
    const auto list = config.get("config");
    for (const YamlValue& item : list ? list->items() : std::vector<YamlValue>()) {
        if (!remarks.expect(item, "an item of config", kMapping))
            continue;
        const std::string type = item.get("type") ? item.get("type")->text() : "";
        if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
            remarks.add(item, fmt::format("{} is no type of version 1", quote_untrusted(type, 60)));
            continue;
        }
        if (type != "nameserver" && type != "route" && !item.get("name"))
            remarks.add(item, fmt::format("the {} has no 'name'", type));
        for (const auto& [of, needed] : {std::pair("bond", "bond_interfaces"), std::pair("bridge", "bridge_interfaces"),
                                         std::pair("vlan", "vlan_link"), std::pair("vlan", "vlan_id"),
                                         std::pair("nameserver", "address"), std::pair("route", "destination")})
            if (type == of && !item.get(needed))
                remarks.add(item, fmt::format("the {} has no '{}'", of, needed));
        if (const auto mac = item.get("mac_address"))
            remarks.expect(*mac, "mac_address", kString);
        const auto subnets = item.get("subnets");
        if (!subnets || !remarks.expect(*subnets, "subnets", kList))
            continue;
        for (const YamlValue& subnet : subnets->items()) {
            const std::string kind = subnet.get("type") ? subnet.get("type")->text() : "";
            if (std::find(kSubnets.begin(), kSubnets.end(), kind) == kSubnets.end())
                remarks.add(subnet, fmt::format("{} is no type of a subnet", quote_untrusted(kind, 60)));
            else if (kind.starts_with("static") && !subnet.get("address"))
                remarks.add(subnet, "a static subnet has no 'address'");
        }
    }
}

} // namespace

std::vector<std::string> cloud_config_remarks(const YamlValue& root) {
    Remarks remarks("the cloud-config");
    for (const auto& [key, value] : root.members()) {
        const std::string name = key.text();
        if (name == "network") {
            remarks.add(key, "'network' is not read from user data, but from a network-config of its own");
            continue;
        }
        const auto known = std::find_if(std::begin(kTopLevel), std::end(kTopLevel),
                                        [&](const KnownKey& each) { return each.name == name; });
        if (known == std::end(kTopLevel)) {
            remarks.add(key, fmt::format("cloud-init knows no {}, and passes it over", quote_untrusted(name, 60)));
            continue;
        }
        if (!remarks.expect(value, name, known->kinds))
            continue;
        if (name == "runcmd" || name == "bootcmd")
            check_commands(value, name.c_str(), remarks);
        else if (name == "write_files")
            check_files(value, remarks);
        else if (name == "users")
            check_users(value, remarks);
        else if (name == "packages")
            check_texts(value, "packages", kString | kList | kMapping, remarks);
        else if (name == "ssh_authorized_keys")
            check_texts(value, "ssh_authorized_keys", kString, remarks);
        else if (name == "mounts")
            check_texts(value, "mounts", kList, remarks);
    }
    return remarks.take();
}

std::vector<std::string> network_config_remarks(const YamlValue& root) {
    Remarks remarks("the network configuration");
    const auto inner = root.get("network");
    const YamlValue config = inner ? *inner : root;
    const auto version = config.get("version");
    if (version && version->text() == "1")
        check_version_1(config, remarks);
    else if (version && version->text() == "2")
        check_version_2(config, remarks);
    return remarks.take();
}

} // namespace vm2oci
