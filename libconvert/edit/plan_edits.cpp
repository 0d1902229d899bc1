#include "libconvert/edit/plan_edits.hpp"

#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/selection.hpp"
#include "libconvert/edit/yaml.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

using PlanFix = void (*)(PlanBuilder& plan, const FixContext& context);

struct KnownFix {
    Fix description;
    PlanFix plan;
};

// In the order in which they are planned: the initrd goes after what may be written into it, labels come last.
const std::vector<KnownFix>& known_fixes() {
    static const std::vector<KnownFix> kFixes = {
        {{"tools", "Disable the services of VMware, VirtualBox, Xen, Hyper-V and Parallels"}, plan_tools_fix},
        {{"network", "Free the network from old interface names and MAC addresses (network:dhcp, :pin or :keep)"},
         plan_network_fix},
        {{"devices", "Turn /dev/sda1 and the like in fstab, crypttab and boot loaders into UUIDs"}, plan_devices_fix},
        {{"console", "Put the kernel's console and a login on the serial port"}, plan_console_fix},
        {{"virtio", "Add the virtio drivers to initrds that lack them"}, plan_virtio_fix},
        {{"uefi", "Put a boot loader at UEFI's fallback path"}, plan_uefi_fix},
        {{"selinux", "Let SELinux set the labels of all files at the next boot, where new ones cannot get theirs here"},
         plan_selinux_fix},
    };
    return kFixes;
}

std::string joined_keys(const EditRequest& request) {
    std::string keys;
    for (const SshKeyRequest& key : request.ssh_keys)
        if (key.user.empty())
            keys += key.keys + (key.keys.ends_with('\n') ? "" : "\n");
    return keys;
}

// cloud-init's preserve_hostname: the guest's name is not its matter.
bool keeps_hostname(const PlanBuilder& plan) {
    bool keeps = false;
    for (const std::string& path : cloud_settings_files(plan)) {
        const auto text = plan.read_text(path);
        const auto root = text ? try_parse_yaml(*text) : std::nullopt;
        if (const auto value = root ? root->get("preserve_hostname") : std::nullopt)
            keeps = value->text() == "true" || value->text() == "True";
    }
    return keeps;
}

} // namespace

const std::vector<Fix>& fixes() {
    static const std::vector<Fix> kDescriptions = [] {
        std::vector<Fix> all;
        for (const KnownFix& fix : known_fixes())
            all.push_back(fix.description);
        return all;
    }();
    return kDescriptions;
}

FixRequest select_fixes(std::string_view list) {
    FixRequest request;
    std::vector<std::string> all;
    for (const Fix& fix : fixes())
        all.push_back(fix.name);
    // The mode belongs to one name and not to the grammar of lists.
    std::string names(list);
    if (const std::size_t colon = names.find("network:"); colon != std::string::npos) {
        const std::size_t begin = colon + std::string_view("network:").size();
        const std::size_t end = std::min(names.find(',', begin), names.size());
        const std::string mode = names.substr(begin, end - begin);
        if (mode == "dhcp")
            request.network = NetworkFix::dhcp;
        else if (mode == "pin")
            request.network = NetworkFix::pin;
        else if (mode == "keep")
            request.network = NetworkFix::keep;
        else
            fail(ErrorKind::usage,
                 fmt::format("the fix 'network' takes dhcp, pin or keep, not {}", quote_untrusted(mode)));
        names.erase(begin - 1, end - begin + 1);
    }
    request.names = select_names(names, all, all, "fixes");
    return request;
}

Seed make_cloud_init_seed(const EditRequest& request) {
    return make_seed(request.cloud_init, request.hostname, joined_keys(request));
}

EditPlan plan_edits(const Guest& guest, const std::vector<DiskVolume>& volumes, const EditRequest& request) {
    PlanBuilder plan(guest);
    plan_sysprep(plan, request.sysprep);

    const std::string keys = joined_keys(request);
    plan.begin("cloud-init");
    // A key for nobody in particular goes to the user that cloud-init makes, where there is a cloud-init.
    const bool seed_keys = !keys.empty() && has_cloud_init(plan);
    if (request.cloud_init.has_files() || seed_keys)
        plan_cloud_init(plan, request.cloud_init, request.hostname, keys);
    if (!request.hostname.empty()) {
        plan.begin("hostname");
        plan_hostname(plan, request.hostname);
        if (!request.cloud_init.has_files() && !seed_keys && has_cloud_init(plan) &&
            cloud_init_obstacle(plan).empty() && !keeps_hostname(plan))
            plan.found("cloud-init gives the machine the name that its data source has for it, if it has one; a seed "
                       "of cloud-init's has this one");
    }
    plan.begin("ssh-key");
    for (const SshKeyRequest& key : request.ssh_keys) {
        if (key.user.empty() && seed_keys)
            check_public_keys(key.keys);
        else
            plan_ssh_key(plan, key);
    }
    plan_agents(plan, request.agents);
    plan.begin("copy-in");
    for (const CopyRequest& copy : request.copies)
        plan_copy(plan, copy);

    for (const KnownFix& fix : known_fixes()) {
        const std::string& name = fix.description.name;
        if (std::find(request.fixes.names.begin(), request.fixes.names.end(), name) == request.fixes.names.end())
            continue;
        plan.begin("fix:" + name);
        std::vector<std::string> problems;
        fix.plan(plan, {volumes, request.fixes.network, problems});
        for (const std::string& problem : problems)
            plan.found(problem);
    }
    return std::move(plan).finish();
}

std::vector<BootProblem> diagnose(const Guest& guest, const std::vector<DiskVolume>& volumes,
                                  const std::vector<std::string>& except) {
    std::vector<BootProblem> all;
    for (const KnownFix& fix : known_fixes()) {
        if (std::find(except.begin(), except.end(), fix.description.name) != except.end())
            continue;
        PlanBuilder scratch(guest);
        std::vector<std::string> problems;
        try {
            fix.plan(scratch, {volumes, NetworkFix::dhcp, problems});
        } catch (const Error& error) {
            if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                throw;
            problems.push_back(error.what());
        }
        for (std::string& problem : problems)
            all.push_back({fix.description.name, std::move(problem)});
    }
    return all;
}

} // namespace vm2oci
