// Programs of other hypervisors, which find nothing to talk to and fail, wait or steer the clock.
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"

#include <fmt/format.h>

namespace vm2oci {
namespace {

struct Tools {
    const char* product;
    std::vector<const char*> services;
};

const std::vector<Tools>& all_tools() {
    static const std::vector<Tools> kTools = {
        {"VMware",
         {"open-vm-tools.service", "vmtoolsd.service", "vgauthd.service", "vgauth.service",
          "run-vmblock\\x2dfuse.mount", "vmware-tools.service", "vmware-tools-thinprint.service",
          "vmware-vmblock-fuse.service"}},
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

bool is_installed(const PlanBuilder& plan, const std::string& unit) {
    for (const char* folder : {"/usr/lib/systemd/system/", "/lib/systemd/system/", "/etc/systemd/system/"}) {
        const auto status = plan.status(folder + unit);
        if (status && status->type == FileType::regular)
            return true;
    }
    return plan.exists("/etc/init.d/" + unit.substr(0, unit.rfind(".service")));
}

} // namespace

void plan_tools_fix(PlanBuilder& plan, const FixContext& context) {
    for (const Tools& tools : all_tools()) {
        bool found = false;
        for (const std::string unit : tools.services) {
            if (!is_installed(plan, unit) || plan.read_link("/etc/systemd/system/" + unit) == "/dev/null")
                continue;
            found = true;
            disable_service(plan, unit,
                            fmt::format("a service of {}'s tools, which has no use elsewhere", tools.product));
        }
        if (found)
            context.problems.push_back(fmt::format("services of {}'s tools are installed", tools.product));
    }
    for (const std::string& path : plan.glob("/etc/X11/xorg.conf*"))
        if (const auto text = plan.read_text(path))
            for (const char* driver : {"\"vmware\"", "\"vboxvideo\"", "\"vmmouse\""})
                if (text->find(driver) != std::string::npos)
                    plan.found(fmt::format("{} asks for the display driver {}", escape_untrusted(path), driver));
}

} // namespace vm2oci
