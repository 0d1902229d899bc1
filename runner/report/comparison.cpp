#include "runner/report/comparison.hpp"

#include "formats/base/escape.hpp"
#include "runner/report/summary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace vm2oci {
namespace {

using Names = std::vector<std::string>;

bool begins_with_any(std::string_view name, std::initializer_list<std::string_view> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool ends_with_any(std::string_view name, std::initializer_list<std::string_view> suffixes) {
    return std::any_of(suffixes.begin(), suffixes.end(),
                       [&](std::string_view suffix) { return name.ends_with(suffix); });
}

// Units that say something about the machine, and not about who is logged in or how we asked.
bool counts(std::string_view unit) {
    return ends_with_any(unit,
                         {".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap", ".target"}) &&
           !begins_with_any(
               unit, {"user@", "user-runtime-dir@", "run-user-", "run-credentials-", "vm2oci-agent", "modprobe@"});
}

// What is there for partitions, swap and a boot loader goes with them; so do mounts of file systems that were joined.
bool goes_with_the_disk(std::string_view unit) {
    const bool own_mount = ends_with_any(unit, {".mount", ".automount"}) && unit != "-.mount" &&
                           !begins_with_any(unit, {"dev-", "proc-", "sys-", "run-", "tmp."});
    return own_mount || unit.ends_with(".swap") || unit == "swap.target" ||
           begins_with_any(unit, {"systemd-fsck@",
                                  "systemd-fsck-root.",
                                  "systemd-cryptsetup@",
                                  "cryptsetup.",
                                  "grub-",
                                  "initrd-",
                                  "lvm2-",
                                  "dm-event.",
                                  "blk-availability.",
                                  "systemd-growfs@",
                                  "systemd-fsckd.",
                                  "systemd-makefs@",
                                  "systemd-mkswap@",
                                  "systemd-hibernate-resume",
                                  "systemd-quotacheck",
                                  "quotaon",
                                  "mdmonitor",
                                  "mdcheck",
                                  "mdadm",
                                  "multipathd.",
                                  "iscsi",
                                  "local-fs-pre.target",
                                  "systemd-boot-update.",
                                  "systemd-bless-boot",
                                  "systemd-boot-random-seed.",
                                  "zfs-",
                                  "e2scrub_",
                                  "stratis"});
}

Names sorted(Names names) {
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

Names counted_units(const Names& units) {
    Names counted;
    std::copy_if(units.begin(), units.end(), std::back_inserter(counted), counts);
    return sorted(std::move(counted));
}

Names without(const Names& names, const Names& removed) {
    Names left;
    std::set_difference(names.begin(), names.end(), removed.begin(), removed.end(), std::back_inserter(left));
    return left;
}

BootInstant since_kernel(const BootReport& report) {
    const auto kernel = std::find_if(report.milestones.begin(), report.milestones.end(),
                                     [](const MilestoneTime& time) { return time.milestone == Milestone::kernel; });
    if (kernel == report.milestones.end() || !report.verdict)
        return {};
    return {report.verdict->at.wall - kernel->at.wall, report.verdict->at.cpu - kernel->at.cpu, {}};
}

std::string problem_of(const BootReport& report, std::string_view which) {
    if (!report.passed())
        return fmt::format("the {} does not come up", which);
    if (!report.facts)
        return fmt::format("the {} came up, but no agent of vm2oci's in it said what runs there", which);
    return {};
}

std::string ratio_text(Milliseconds here, Milliseconds there) {
    if (there.count() == 0)
        return {};
    return fmt::format(" ({:.2f} ×)", static_cast<double>(here.count()) / static_cast<double>(there.count()));
}

} // namespace

bool BootComparison::fits() const {
    return problem.empty() && units_missing.empty() && failed_here.empty() && ports_missing.empty();
}

BootComparison compare_boots(const BootReport& original, const BootReport& here) {
    BootComparison comparison;
    comparison.original = original.source;
    comparison.original_passed = original.passed();
    if (original.verdict)
        comparison.ready_there = original.verdict->at;
    if (here.verdict)
        comparison.ready_here = here.verdict->at;
    comparison.kernel_there = since_kernel(original);
    comparison.kernel_here = since_kernel(here);
    comparison.problem = problem_of(original, "original");
    if (comparison.problem.empty())
        comparison.problem = problem_of(here, "machine");
    if (!comparison.problem.empty())
        return comparison;
    const Names there = counted_units(original.facts->units);
    const Names units = counted_units(here.facts->units);
    comparison.units_there = there.size();
    for (std::string& unit : without(there, units))
        (goes_with_the_disk(unit) ? comparison.units_left : comparison.units_missing).push_back(std::move(unit));
    comparison.units_added = without(units, there);
    const Names failed = sorted(here.facts->units_failed);
    comparison.failed_here = without(failed, sorted(original.facts->units_failed));
    const Names ports_there = sorted(original.facts->listening);
    const Names ports = sorted(here.facts->listening);
    comparison.ports_there = ports_there.size();
    comparison.ports_missing = without(ports_there, ports);
    comparison.ports_added = without(ports, ports_there);
    comparison.modules_there = sorted(original.facts->modules);
    return comparison;
}

std::vector<std::string> comparison_lines(const BootComparison& comparison) {
    const std::string original = escape_untrusted(comparison.original);
    if (!comparison.problem.empty())
        return {fmt::format("beside {}: not compared: {}", original, comparison.problem)};
    const std::size_t gone = comparison.units_missing.size() + comparison.units_left.size();
    std::vector<std::string> lines = {fmt::format(
        "beside {}: {} of {} units run, {} of {} ports listen, {} failed that did not fail there", original,
        comparison.units_there - gone, comparison.units_there, comparison.ports_there - comparison.ports_missing.size(),
        comparison.ports_there, comparison.failed_here.size())};
    const auto list = [&](std::string_view what, const Names& names) {
        for (const std::string& name : names)
            lines.push_back(fmt::format("{}: {}", what, escape_untrusted(name)));
    };
    list("does not run here", comparison.units_missing);
    list("failed here", comparison.failed_here);
    list("does not listen here", comparison.ports_missing);
    list("gone with the old disk", comparison.units_left);
    list("listens here only", comparison.ports_added);
    const auto times = [&](std::string_view what, BootInstant here, BootInstant there) {
        if (here.wall.count() > 0 && there.wall.count() > 0)
            lines.push_back(fmt::format("{}: {} instead of {}{}, processor time {} instead of {}{}", what,
                                        seconds_text(here.wall), seconds_text(there.wall),
                                        ratio_text(here.wall, there.wall), seconds_text(here.cpu),
                                        seconds_text(there.cpu), ratio_text(here.cpu, there.cpu)));
    };
    times("from power-on to ready", comparison.ready_here, comparison.ready_there);
    times("from the kernel's start to ready", comparison.kernel_here, comparison.kernel_there);
    return lines;
}

} // namespace vm2oci
