// What makes a clone of one machine a machine of its own: named operations, most of them lists of paths.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/selection.hpp"
#include "libconvert/edit/shell_text.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace vm2oci {
namespace {

struct Operation {
    SysprepOperation description;
    std::vector<const char*> removed = {}; // patterns
    std::vector<const char*> emptied = {}; // patterns: files stay, with nothing in them
    void (*more)(PlanBuilder& plan) = nullptr;
};

void empty_machine_id(PlanBuilder& plan) {
    // Absent would make systemd treat the next boot as the very first, with its presets; empty only makes it write an
    // id.
    const bool present = plan.status("/etc/machine-id").has_value();
    if (present)
        plan.empty_file("/etc/machine-id", "an id of its own for every machine that boots this");
    else if (init_system(plan) == InitSystem::systemd)
        plan.write("/etc/machine-id", "", "systemd writes the machine's id where this file is", {0444, 0, 0, {}});
    if (const auto bus = plan.status("/var/lib/dbus/machine-id", FinalLink::keep);
        bus && bus->type == FileType::regular) {
        if (plan.exists("/etc/machine-id"))
            plan.make_symlink("/var/lib/dbus/machine-id", "/etc/machine-id", "D-Bus takes the machine's id");
        else
            plan.remove("/var/lib/dbus/machine-id", "D-Bus makes an id of its own");
    }
}

void forget_cloud_instances(PlanBuilder& plan) {
    for (const std::string& name : plan.list("/var/lib/cloud"))
        if (name != "seed")
            plan.remove("/var/lib/cloud/" + name, "instance data of the machine's old life");
}

// Folders under /var/log stay, with their owners: services expect them.
void empty_logs(PlanBuilder& plan) {
    const std::string reason = "logs of the machine's old life";
    std::vector<std::string> folders = {"/var/log"};
    while (!folders.empty()) {
        const std::string folder = folders.back();
        folders.pop_back();
        for (const std::string& name : plan.list(folder)) {
            const std::string path = fmt::format("{}/{}", folder, name);
            const auto status = plan.status(path, FinalLink::keep);
            if (status && status->type == FileType::directory && path == "/var/log/journal")
                plan.remove_content(path, reason);
            else if (status && status->type == FileType::directory)
                folders.push_back(path);
            else if (status && status->type == FileType::regular &&
                     (name.ends_with(".gz") || name.ends_with(".xz") || name.ends_with(".old") ||
                      name.find_first_of("0123456789") != std::string::npos))
                plan.remove(path, reason);
            else if (status && status->type == FileType::regular && status->size != 0)
                plan.empty_file(path, reason);
        }
    }
}

void empty_temporary_folders(PlanBuilder& plan) {
    for (const char* folder : {"/tmp", "/var/tmp"})
        plan.remove_content(folder, "temporary files of the machine's old life");
}

void drop_assignments(PlanBuilder& plan, const char* pattern, std::initializer_list<std::string_view> keys,
                      const char* reason) {
    for (const std::string& path : plan.glob(pattern)) {
        const auto text = plan.read_text(path);
        if (const auto without = text ? without_shell_values(*text, keys) : std::nullopt)
            plan.write(path, *without, reason);
        else if (text && !shell_assignments(*text))
            plan.found(escape_untrusted(path) + " cannot be read as shell, and is not changed");
    }
}

void forget_persistent_names(PlanBuilder& plan) {
    for (const char* path :
         {"/etc/udev/rules.d/70-persistent-net.rules", "/etc/udev/rules.d/75-persistent-net-generator.rules",
          "/etc/udev/rules.d/70-persistent-cd.rules"})
        if (!is_mask(plan, path)) // by which an administrator has none made
            plan.remove(path, "remove rules that tie interface names to MAC addresses");
}

void forget_network_addresses(PlanBuilder& plan) {
    drop_assignments(plan, "/etc/sysconfig/network-scripts/ifcfg-*", {"HWADDR", "UUID"},
                     "the old machine's MAC address");
}

void forget_network_hostname(PlanBuilder& plan) {
    for (const char* pattern : {"/etc/sysconfig/network", "/etc/sysconfig/network-scripts/ifcfg-*"})
        drop_assignments(plan, pattern, {"HOSTNAME", "DHCP_HOSTNAME"}, "the old machine's host name");
}

// sysvinit on Red Hat and its heirs, which systemd's ConditionPathExists=/.unconfigured still look for.
void ask_at_next_boot(PlanBuilder& plan) {
    plan.write("/.unconfigured", "", "the machine's settings are asked for at the next boot", {0644, 0, 0, {}});
}

void lock_root(PlanBuilder& plan) {
    const auto shadow = plan.read_text("/etc/shadow");
    if (!shadow)
        return;
    std::string out;
    for (const std::string_view line : lines_of(*shadow)) {
        if (!line.starts_with("root:")) {
            out += std::string(line) + "\n";
            continue;
        }
        const std::size_t end = line.find(':', 5);
        out += "root:*" + std::string(end == std::string_view::npos ? "" : line.substr(end)) + "\n";
    }
    plan.write("/etc/shadow", out, "nobody logs in as root by the old password");
}

using enum SysprepDefault;

// NOLINTNEXTLINE(readability-function-size): a table
const std::vector<Operation>& operations() {
    static const std::vector<Operation> kOperations = {
        {{"machine-id", on, "Empty the machine's id, so that each clone gets one"}, {}, {}, empty_machine_id},
        {{"ssh-host-keys", on, "Remove the SSH host keys, and see that new ones are made"}, {}, {}, plan_ssh_host_keys},
        {{"random-seed", on, "Remove the saved state of the random number generator"},
         {"/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed", "/var/lib/random-seed",
          "/var/lib/misc/random-seed", "/var/lib/seedrng/*", "/var/lib/systemd/credential.secret"}},
        {{"dhcp-leases", on, "Remove DHCP leases and client identifiers"},
         {"/var/lib/dhcp/*.leases", "/var/lib/dhclient/*.lease*", "/var/lib/dhcpcd/*", "/var/lib/dhcpcd5/*",
          "/var/lib/NetworkManager/*.lease", "/var/lib/NetworkManager/secret_key", "/var/lib/NetworkManager/timestamps",
          "/var/lib/NetworkManager/seen-bssids", "/var/lib/systemd/network/*", "/var/lib/wicked/lease-*",
          "/var/lib/wicked/duid.xml", "/var/lib/wicked/iaid.xml"}},
        {{"udev-persistent-net", on, "Remove rules that tie interface names to MAC addresses"},
         {},
         {},
         forget_persistent_names},
        {{"cloud-init", on, "Remove cloud-init's instance data and logs"},
         {"/var/log/cloud-init.log*", "/var/log/cloud-init-output.log*"},
         {},
         forget_cloud_instances},
        {{"shell-history", on, "Remove the histories of shells and of common programs"},
         {"/root/.*_history", "/home/*/.*_history", "/root/.lesshst", "/home/*/.lesshst", "/root/.viminfo",
          "/home/*/.viminfo", "/root/.wget-hsts", "/home/*/.wget-hsts"}},
        {{"package-cache", on, "Remove package files and indexes that the package manager fetches again"},
         {"/var/cache/apt/archives/*.deb", "/var/cache/apt/archives/partial/*", "/var/cache/apt/*.bin",
          "/var/lib/apt/lists/*", "/var/cache/dnf/*", "/var/cache/libdnf5/*", "/var/cache/yum/*", "/var/cache/zypp/*",
          "/var/cache/apk/*", "/var/cache/pacman/pkg/*", "/var/lib/rpm/__db.*"}},
        {{"reporting-ids", on, "Remove the ids under which this machine is counted elsewhere"},
         {"/etc/smolt/uuid", "/etc/smolt/hw-uuid", "/etc/sysconfig/hw-uuid", "/var/lib/yum/uuid",
          "/var/lib/zypp/AnonymousUniqueId"}},
        {{"logs", on, "Remove rotated logs and the journal, and empty the rest"}, {}, {}, empty_logs},
        {{"mail", on, "Remove mail that lies in spools"},
         {"/var/spool/mail/*", "/var/mail/*", "/var/spool/postfix/*/*"}},
        {{"tmp", on, "Remove temporary files"}, {}, {}, empty_temporary_folders},
        {{"login-records", on, "Empty the records of who logged in and what ran"},
         {"/var/run/console/*", "/var/run/faillock/*", "/var/run/sepermit/*", "/var/account/pacct*"},
         {"/var/run/utmp", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/tallylog"}},
        {{"crash-data", on, "Remove core dumps and crash reports"},
         {"/var/crash/*", "/var/lib/systemd/coredump/*", "/var/spool/abrt/*", "/var/lib/systemd/pstore/*"}},
        {{"device-caches", on, "Remove what the old machine's devices left in caches"},
         {"/etc/blkid.tab", "/etc/blkid.tab.old", "/etc/blkid/blkid.tab*", "/run/blkid/*", "/etc/lvm/cache/.cache",
          "/etc/lvm/devices/system.devices", "/etc/lvm/devices/backup/*", "/var/lib/systemd/rfkill/*"}},
        {{"account-backups", on, "Remove the backup copies of passwd, group and shadow"},
         {"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-"}},
        {{"installer-leftovers", on, "Remove logs and answers of installers"},
         {"/root/anaconda-ks.cfg", "/root/original-ks.cfg", "/root/install.log*", "/root/initial-setup-ks.cfg",
          "/var/log/installer", "/var/log/anaconda", "/etc/cloud/cloud-init.disabled-by-installer"}},
        {{"mac-addresses", off, "Take MAC addresses and UUIDs out of ifcfg files"}, {}, {}, forget_network_addresses},
        {{"network-profiles", off, "Remove NetworkManager's connection profiles"},
         {"/etc/NetworkManager/system-connections/*"}},
        {{"network-hostname", off, "Take the old host name out of the network's configuration"},
         {},
         {},
         forget_network_hostname},
        {{"dhcp-server", off, "Remove the leases that a DHCP server gave"},
         {"/var/lib/dhcpd/*", "/var/lib/dhcp/dhcpd*.leases*", "/var/lib/kea/*.csv*"}},
        {{"editor-backups", off, "Remove backup copies that editors left"},
         {"/etc/*~", "/etc/*/*~", "/etc/*.bak", "/etc/*/*.bak", "/root/*~", "/root/*.bak", "/home/*/*~",
          "/home/*/*.bak", "/var/lib/*/*~"}},
        {{"ssh-user-keys", off, "Remove the .ssh folders of all users"}, {"/root/.ssh", "/home/*/.ssh"}},
        {{"cron-spool", off, "Remove users' cron tables and at jobs"},
         {"/var/spool/cron/*/*", "/var/spool/cron/root", "/var/spool/at/a*", "/var/spool/atjobs/a*"}},
        {{"kerberos", off, "Remove Kerberos keys and data"},
         {"/etc/krb5.keytab", "/var/kerberos/krb5kdc/*", "/var/lib/krb5kdc/*"}},
        {{"directory-services", off, "Remove membership in domains (SSSD, IPA, Samba)"},
         {"/var/lib/sss/db/*", "/var/lib/sss/mc/*", "/var/lib/sss/secrets/*", "/etc/ipa/ca.crt",
          "/var/lib/ipa-client/sysrestore/*", "/var/lib/samba/*.tdb", "/var/lib/samba/private/*"}},
        {{"subscriptions", off, "Remove registrations with Red Hat's and SUSE's services"},
         {"/etc/pki/consumer/*", "/etc/pki/entitlement/*", "/etc/sysconfig/rhn/systemid", "/etc/zypp/credentials.d/*",
          "/etc/SUSEConnect", "/var/lib/rhsm/facts/*"}},
        {{"certificates", off, "Remove TLS keys that were made for the old machine"},
         {"/etc/ssl/private/ssl-cert-snakeoil.key", "/etc/ssl/certs/ssl-cert-snakeoil.pem",
          "/etc/pki/tls/private/*.key", "/etc/pki/tls/certs/localhost.crt", "/etc/pki/CA/private/*.key",
          "/etc/pki/CA/certs/*.crt", "/etc/pki/CA/newcerts/*.crt", "/var/lib/dovecot/ssl-parameters.dat"}},
        {{"configuration-management", off, "Remove the identity of Puppet, Salt and Chef agents"},
         {"/var/lib/puppet/ssl/*", "/etc/puppetlabs/puppet/ssl/*", "/etc/salt/pki/minion/*", "/etc/salt/minion_id",
          "/etc/chef/client.pem"}},
        {{"firewall-rules", off, "Remove saved firewall rules"},
         {"/etc/sysconfig/iptables", "/etc/sysconfig/ip6tables", "/etc/firewalld/zones/*", "/etc/firewalld/services/*",
          "/etc/iptables/rules.v4", "/etc/iptables/rules.v6"}},
        {{"reconfigure", off, "Ask for the machine's settings at the next boot, where the distribution can"},
         {},
         {},
         ask_at_next_boot},
        {{"root-password", off, "Lock root's password"}, {}, {}, lock_root},
    };
    return kOperations;
}

} // namespace

const std::vector<SysprepOperation>& sysprep_operations() {
    static const std::vector<SysprepOperation> kDescriptions = [] {
        std::vector<SysprepOperation> all;
        for (const Operation& operation : operations())
            all.push_back(operation.description);
        return all;
    }();
    return kDescriptions;
}

std::vector<std::string> select_sysprep(std::string_view list) {
    std::vector<std::string> all;
    std::vector<std::string> defaults;
    for (const SysprepOperation& operation : sysprep_operations()) {
        all.push_back(operation.name);
        if (operation.by_default == SysprepDefault::on)
            defaults.push_back(operation.name);
    }
    return select_names(list, all, defaults, "operations of sysprep");
}

void plan_sysprep(PlanBuilder& plan, const std::vector<std::string>& names) {
    // Who makes host keys anew depends on what the others leave.
    constexpr std::string_view kLast = "ssh-host-keys";
    std::vector<const Operation*> wanted;
    for (const Operation& operation : operations())
        if (std::find(names.begin(), names.end(), operation.description.name) != names.end())
            wanted.push_back(&operation);
    std::stable_partition(wanted.begin(), wanted.end(),
                          [&](const Operation* each) { return each->description.name != kLast; });
    for (const Operation* each : wanted) {
        const Operation& operation = *each;
        const std::string& name = operation.description.name;
        plan.begin("sysprep:" + name);
        std::string reason = operation.description.summary;
        reason[0] = static_cast<char>(reason[0] - 'A' + 'a');
        for (const char* pattern : operation.removed)
            for (const std::string& path : plan.glob(pattern))
                // An administrator's link to nowhere is a setting, and not what it stands in the place of.
                if (plan.read_link(path) != "/dev/null")
                    plan.remove(path, reason);
        for (const char* pattern : operation.emptied)
            for (const std::string& path : plan.glob(pattern))
                plan.empty_file(path, reason);
        if (operation.more != nullptr)
            operation.more(plan);
    }
}

} // namespace vm2oci
