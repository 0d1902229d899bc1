// Where new files cannot be given the labels of the guest's policy, the guest is asked to set all of them anew.
#include "libconvert/edit/file_contexts.hpp"
#include "libconvert/edit/planners.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

bool has_label(const Guest& guest, const char* path) {
    const std::vector<ExtendedAttribute> attributes = guest.attributes(path);
    return std::any_of(attributes.begin(), attributes.end(),
                       [](const ExtendedAttribute& each) { return each.name == "security.selinux"; });
}

} // namespace

void plan_selinux_fix(PlanBuilder& plan, const FixContext& context) {
    if (selinux_mode(plan.guest()) == SelinuxMode::off || plan.exists("/.autorelabel"))
        return;
    const bool labelled = has_label(plan.guest(), "/") && has_label(plan.guest(), "/etc");
    if (labelled && guest_file_contexts(plan.guest())) {
        if (plan.changed())
            plan.found("what is new gets the labels of the guest's SELinux policy");
        return;
    }
    if (!labelled)
        context.problems.push_back("the files have no labels, without which SELinux's policy lets little start");
    else if (plan.changed())
        context.problems.push_back("SELinux's policy cannot be read, and new files may have labels that it does not "
                                   "expect");
    plan.write("/.autorelabel", "",
               "SELinux sets the labels of all files at the next boot, which takes one more reboot", {0644, 0, 0, {}});
}

} // namespace vm2oci
