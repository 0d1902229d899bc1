// Which init a guest has, and what it starts.
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <algorithm>

namespace vm2oci {
namespace {

constexpr const char* kUnitFolders[] = {"/etc/systemd/system/", "/usr/lib/systemd/system/", "/lib/systemd/system/"};

std::string name_of(const std::string& path) {
    return path.substr(path.rfind('/') + 1);
}

bool has_openrc(const PlanBuilder& plan) {
    return plan.exists("/sbin/openrc") || plan.exists("/usr/sbin/openrc") || plan.exists("/sbin/openrc-run");
}

bool has_inittab(const PlanBuilder& plan) {
    return plan.exists("/etc/inittab") || plan.exists("/etc/init.d/rcS");
}

bool any_link(const PlanBuilder& plan, std::initializer_list<const char*> patterns, const std::string& name) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const char* pattern) { return !plan.glob(pattern + name).empty(); });
}

ServiceState script_state(const PlanBuilder& plan, const std::string& name) {
    // By their names: /etc may have a hundred thousand entries, and a pattern looks at each.
    if (any_link(plan,
                 {"/etc/rc2.d/S??", "/etc/rc3.d/S??", "/etc/rc4.d/S??", "/etc/rc5.d/S??", "/etc/rcS.d/S??",
                  "/etc/rc.d/rc2.d/S??", "/etc/rc.d/rc3.d/S??", "/etc/rc.d/rc4.d/S??", "/etc/rc.d/rc5.d/S??",
                  "/etc/init.d/rc2.d/S??", "/etc/init.d/rc3.d/S??", "/etc/init.d/rc4.d/S??", "/etc/init.d/rc5.d/S??",
                  "/etc/init.d/boot.d/S??"},
                 name))
        return ServiceState::enabled;
    return plan.exists("/etc/init.d/" + name) ? ServiceState::disabled : ServiceState::absent;
}

ServiceState unit_state(const PlanBuilder& plan, const std::string& name) {
    const std::string unit = name + ".service";
    if (is_mask(plan, kUnitFolders[0] + unit))
        return ServiceState::disabled;
    std::optional<std::string> text;
    for (const char* folder : kUnitFolders)
        if (!text)
            text = plan.read_text(folder + unit);
    if (!text)
        return script_state(plan, name);
    if (any_link(plan,
                 {"/etc/systemd/system/*.wants/", "/etc/systemd/system/*.requires/", "/usr/lib/systemd/system/*.wants/",
                  "/lib/systemd/system/*.wants/"},
                 unit))
        return ServiceState::enabled;
    for (const std::string& link : plan.glob("/etc/systemd/system/*.service"))
        if (const auto target = plan.read_link(link); target && name_of(*target) == unit && name_of(link) != unit)
            return ServiceState::enabled; // by its Alias=
    return text->find("[Install]") == std::string::npos ? ServiceState::unknown : ServiceState::disabled;
}

} // namespace

bool is_mask(const PlanBuilder& plan, const std::string& path) {
    if (plan.read_link(path) == "/dev/null")
        return true;
    const auto status = plan.status(path, FinalLink::keep);
    const auto text = status && status->type == FileType::regular ? plan.read_text(path) : std::nullopt;
    if (!text)
        return false;
    const std::vector<std::string_view> lines = lines_of(*text);
    return std::all_of(lines.begin(), lines.end(), [](std::string_view line) {
        const std::string_view content = trimmed(line);
        return content.empty() || content.front() == '#';
    });
}

bool has_upstart(const PlanBuilder& plan) {
    return init_system(plan) == InitSystem::sysv && !plan.glob("/etc/init/*.conf").empty();
}

bool has_runit(const PlanBuilder& plan) {
    return init_system(plan) == InitSystem::sysv && (plan.exists("/etc/runit") || !plan.list("/etc/sv").empty());
}

InitSystem init_system(const PlanBuilder& plan) {
    const bool has_systemd = plan.exists("/usr/lib/systemd/systemd") || plan.exists("/lib/systemd/systemd");
    const auto init = plan.resolve("/sbin/init", FinalLink::follow);
    // systemd may be installed beside the init that runs, as it is on Debian 7 and Ubuntu 14.10.
    if (has_systemd && init && name_of(*init) != "systemd" && plan.status("/sbin/init")) {
        const auto table = plan.read_text("/etc/inittab").value_or("");
        if (plan.exists("/sbin/initctl") && !plan.glob("/etc/init/*.conf").empty())
            return InitSystem::sysv;
        if (table.find("\n~") != std::string::npos || table.find(":initdefault:") != std::string::npos ||
            table.find(":respawn:") != std::string::npos)
            return has_openrc(plan) ? InitSystem::openrc : InitSystem::sysv;
    }
    if (has_systemd)
        return InitSystem::systemd;
    if (has_openrc(plan))
        return InitSystem::openrc;
    if (has_inittab(plan) || !plan.glob("/etc/init/*.conf").empty() || plan.exists("/etc/runit"))
        return InitSystem::sysv;
    return InitSystem::unknown;
}

ServiceState service_state(const PlanBuilder& plan, const std::string& name) {
    if (init_system(plan) == InitSystem::systemd)
        return unit_state(plan, name);
    if (init_system(plan) == InitSystem::openrc) {
        if (any_link(plan, {"/etc/runlevels/*/"}, name))
            return ServiceState::enabled;
        return plan.exists("/etc/init.d/" + name) ? ServiceState::disabled : ServiceState::absent;
    }
    if (has_runit(plan)) {
        if (any_link(plan, {"/etc/runit/runsvdir/*/", "/var/service/"}, name))
            return ServiceState::enabled;
        return plan.exists("/etc/sv/" + name) ? ServiceState::disabled : ServiceState::absent;
    }
    if (const auto job = plan.read_text("/etc/init/" + name + ".conf")) {
        const auto manual = plan.read_text("/etc/init/" + name + ".override").value_or("");
        return manual.find("manual") == std::string::npos && without_start(*job) ? ServiceState::enabled
                                                                                 : ServiceState::disabled;
    }
    return script_state(plan, name);
}

} // namespace vm2oci
