// Programs of other hypervisors, which find nothing to talk to and fail, wait or steer the clock.
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"
#include "libconvert/guest/fstab.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

struct Tools {
    const char* product;
    std::vector<const char*> services;
};

// Units by their names; what other inits start has the name without ".service". VMware's own installer leaves
// vmware-tools, as a script or as upstart's job; open-vm-tools' packages name the rest.
const std::vector<Tools>& all_tools() {
    static const std::vector<Tools> kTools = {
        {"VMware",
         {"open-vm-tools.service", "vmtoolsd.service", "vgauthd.service", "vgauth.service",
          "run-vmblock\\x2dfuse.mount", "vmware-tools.service", "vmware-tools-services.service",
          "vmware-tools-thinprint.service", "vmware-tools-vgauth.service", "vmware-vmblock-fuse.service"}},
        {"VirtualBox",
         {"vboxadd.service", "vboxadd-service.service", "vboxadd-x11.service", "vboxservice.service",
          "virtualbox-guest-utils.service", "virtualbox-guest-additions.service"}},
        {"Xen",
         {"xe-linux-distribution.service", "xe-daemon.service", "xen-guest-agent.service", "xenstored.service",
          "xendomains.service"}},
        {"Hyper-V",
         {"hv-kvp-daemon.service", "hv-vss-daemon.service", "hv-fcopy-daemon.service", "hypervkvpd.service",
          "hypervvssd.service", "hypervfcopyd.service", "hv_kvp_daemon.service", "hv_vss_daemon.service",
          "hv_fcopy_daemon.service"}},
        {"Parallels", {"prltoolsd.service", "prltoolsd"}},
    };
    return kTools;
}

bool is_unit(const PlanBuilder& plan, const std::string& unit) {
    for (const char* folder : {"/usr/lib/systemd/system/", "/lib/systemd/system/", "/etc/systemd/system/"}) {
        const auto status = plan.status(folder + unit);
        if (status && status->type == FileType::regular)
            return true;
    }
    return false;
}

// Whether the guest's init would start it. A unit counts while it is not masked: others may ask for it.
bool may_start(const PlanBuilder& plan, const std::string& unit) {
    const std::string script = unit.substr(0, unit.rfind(".service"));
    if (init_system(plan) != InitSystem::systemd)
        return service_state(plan, script) == ServiceState::enabled;
    return (is_unit(plan, unit) || plan.exists("/etc/init.d/" + script)) &&
           !is_mask(plan, "/etc/systemd/system/" + unit);
}

// Nothing mounts them elsewhere, and the boot may wait for them or end in emergency mode.
void leave_out_shares(PlanBuilder& plan, const FixContext& context) {
    const auto text = plan.read_text("/etc/fstab");
    if (!text)
        return;
    std::string changed;
    for (const std::string_view line : lines_of(*text)) {
        const std::vector<FstabEntry> entries = parse_fstab(line);
        if (!entries.empty() && is_share_of_host(entries.front())) {
            context.problems.push_back(fmt::format("/etc/fstab mounts {} of the old host ({})",
                                                   escape_untrusted(entries.front().mount_point),
                                                   escape_untrusted(entries.front().type)));
            changed += '#';
        }
        changed.append(line).append("\n");
    }
    if (changed != *text && changed != *text + "\n")
        plan.write("/etc/fstab", changed, "a folder of the old host, which no other host has");
}

} // namespace

void plan_tools_fix(PlanBuilder& plan, const FixContext& context) {
    for (const Tools& tools : all_tools()) {
        bool found = false;
        for (const std::string unit : tools.services) {
            if (!may_start(plan, unit))
                continue;
            found = true;
            disable_service(plan, unit,
                            fmt::format("a service of {}'s tools, which has no use elsewhere", tools.product));
        }
        if (found)
            context.problems.push_back(fmt::format("services of {}'s tools are installed", tools.product));
    }
    leave_out_shares(plan, context);
    for (const std::string& path : plan.glob("/etc/X11/xorg.conf*"))
        if (const auto text = plan.read_text(path))
            for (const char* driver : {"\"vmware\"", "\"vboxvideo\"", "\"vmmouse\""})
                if (text->find(driver) != std::string::npos)
                    plan.found(fmt::format("{} asks for the display driver {}", escape_untrusted(path), driver));
}

} // namespace vm2oci
