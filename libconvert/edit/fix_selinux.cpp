// Labels for what was changed: new files get their folder's, and the guest sets all anew when it is asked to.
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

namespace vm2oci {

void plan_selinux_fix(PlanBuilder& plan, const FixContext& context) {
    const auto config = plan.read_text("/etc/selinux/config");
    if (!config)
        return;
    const std::string mode = shell_value(*config, "SELINUX");
    if (mode != "enforcing" && mode != "permissive")
        return;
    if (plan.exists("/.autorelabel"))
        return;
    if (plan.changed())
        context.problems.push_back("files changed from outside may have labels that SELinux's policy does not expect");
    plan.write("/.autorelabel", "",
               "SELinux sets the labels of all files at the next boot, which takes one more reboot", {0644, 0, 0, {}});
}

} // namespace vm2oci
