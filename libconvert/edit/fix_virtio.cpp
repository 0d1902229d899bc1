// Drivers for virtio in initrds that were made for the hardware of another machine.
#include "formats/base/error.hpp"
#include "formats/base/escape.hpp"
#include "libconvert/edit/initrd.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace vm2oci {
namespace {

constexpr std::size_t kModuleLimit = 16ull * 1024 * 1024;
// Without these the root is not found, on a disk of either kind.
constexpr std::array kNeeded = {"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod"};
// Loaded with them: the network is often wanted before the root is there.
constexpr std::array kWanted = {"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "virtio_net"};

std::vector<std::string> initrds_of(const PlanBuilder& plan, const std::string& version) {
    std::vector<std::string> found;
    for (const std::string& pattern :
         {"/boot/initrd.img-" + version, "/boot/initramfs-" + version + ".img", "/boot/initrd-" + version,
          "/boot/initrd-" + version + ".img", "/boot/initramfs-" + version, "/boot/*/" + version + "/initrd"})
        for (const std::string& path : plan.glob(pattern))
            found.push_back(path);
    if (const auto base = plan.read_text("/usr/lib/modules/" + version + "/pkgbase"))
        for (const char* suffix : {".img", "-fallback.img"}) {
            const std::string path = "/boot/initramfs-" + std::string(trimmed(*base)) + suffix;
            if (plan.exists(path))
                found.push_back(path);
        }
    return found;
}

class KernelModules {
  public:
    KernelModules(const PlanBuilder& plan, std::string folder) : plan_(plan), folder_(std::move(folder)) {
        dependencies_ = parse_module_dependencies(plan.read_text(folder_ + "/modules.dep").value_or(""));
        const std::string built_in = plan.read_text(folder_ + "/modules.builtin").value_or("");
        for (const std::string_view line : lines_of(built_in))
            built_in_.insert(module_name(trimmed(line)));
    }

    bool built_in(const std::string& name) const { return built_in_.contains(name); }
    bool known(const std::string& name) const { return dependencies_.by_name.contains(name); }
    const ModuleDependencies& dependencies() const { return dependencies_; }

    // With everything that they need, each once.
    std::vector<std::string> paths_with_needs(const std::vector<std::string>& names) const {
        std::vector<std::string> paths;
        const auto add = [&](const std::string& path) {
            if (std::find(paths.begin(), paths.end(), path) == paths.end())
                paths.push_back(path);
        };
        for (const std::string& name : names) {
            const auto module = dependencies_.by_name.find(name);
            if (module == dependencies_.by_name.end())
                continue;
            for (const std::string& need : module->second.needs)
                add(need);
            add(module->second.path);
        }
        return paths;
    }

    AddedModule read(const std::string& path) const {
        auto content = plan_.guest().read_file(folder_ + "/" + path, kModuleLimit);
        if (!content)
            fail(ErrorKind::not_found,
                 fmt::format("the guest's list of modules names {}, which is not there", quote_untrusted(path)));
        return {path, std::move(*content)};
    }

  private:
    const PlanBuilder& plan_;
    std::string folder_;
    ModuleDependencies dependencies_;
    std::set<std::string> built_in_;
};

void mend(PlanBuilder& plan, const FixContext& context, const KernelModules& modules, const std::string& version,
          const std::string& path) {
    const std::string shown = escape_untrusted(path);
    const auto status = plan.status(path);
    if (!status || status->type != FileType::regular)
        return;
    if (status->size > kInitrdLimit)
        fail(ErrorKind::limit, "it is larger than 1 GiB");
    const InitrdRead read = [&](std::uint64_t offset, std::size_t length) {
        return plan.guest().read_range(path, offset, length).value_or("");
    };
    std::set<std::string> needed;
    for (const char* name : kNeeded)
        if (!modules.built_in(name) && modules.known(name))
            needed.insert(name);
    if (initrd_has_modules(read, needed))
        return;
    const Initrd initrd = read_initrd(read);
    if (initrd.was_extended)
        return;
    std::set<std::string> present;
    for (const std::string& name : initrd.names)
        if (name.find(".ko") != std::string::npos)
            present.insert(module_name(name));
    std::vector<std::string> missing;
    std::copy_if(kNeeded.begin(), kNeeded.end(), std::back_inserter(missing),
                 [&](const std::string& name) { return needed.contains(name) && !present.contains(name); });
    context.problems.push_back(
        fmt::format("{} has no {}: the guest does not find its root on virtio", shown, fmt::join(missing, ", ")));
    if (initrd.kind == InitrdKind::unknown)
        return plan.found(fmt::format("{} cannot be mended: the program that made it is not known", shown));
    std::vector<std::string> loaded;
    std::copy_if(kWanted.begin(), kWanted.end(), std::back_inserter(loaded),
                 [&](const std::string& name) { return modules.known(name) && !modules.built_in(name); });
    std::vector<AddedModule> added;
    for (const std::string& module : modules.paths_with_needs(loaded))
        if (!present.contains(module_name(module)))
            added.push_back(modules.read(module));
    plan.append(path, initrd_extension(initrd, status->size, version, modules.dependencies(), added, loaded),
                fmt::format("loads {} before the root is looked for", fmt::join(loaded, ", ")));
}

// An initrd that the guest makes later must not lose the drivers again.
void keep_for_later(PlanBuilder& plan) {
    const std::string reason = "initrds that the guest makes later have the drivers too";
    if (const auto list = plan.read_text("/etc/initramfs-tools/modules")) {
        std::string text = *list + (list->empty() || list->ends_with('\n') ? "" : "\n");
        for (const char* name : kWanted) {
            const auto lines = lines_of(*list);
            if (std::none_of(lines.begin(), lines.end(), [&](std::string_view line) { return trimmed(line) == name; }))
                text += std::string(name) + "\n";
        }
        plan.write("/etc/initramfs-tools/modules", text, reason);
    }
    // mkinitcpio reads its folder since version 36, and sources both as bash.
    if (const auto settings = plan.read_text("/etc/mkinitcpio.conf")) {
        const std::string line = fmt::format("MODULES+=({})\n", fmt::join(kWanted, " "));
        if (plan.exists("/etc/mkinitcpio.conf.d"))
            plan.write("/etc/mkinitcpio.conf.d/zz-vm2oci.conf", "# Written by vm2oci.\n" + line, reason,
                       {0644, 0, 0, {}});
        else if (settings->find(line) == std::string::npos)
            plan.write("/etc/mkinitcpio.conf", *settings + (settings->ends_with('\n') ? "" : "\n") + line, reason);
    }
    if (plan.exists("/usr/bin/dracut") || plan.exists("/usr/sbin/dracut"))
        plan.write("/etc/dracut.conf.d/90-vm2oci.conf",
                   fmt::format("# Written by vm2oci.\nadd_drivers+=\" {} \"\n", fmt::join(kWanted, " ")), reason,
                   {0644, 0, 0, {}});
}

} // namespace

void plan_virtio_fix(PlanBuilder& plan, const FixContext& context) {
    const std::size_t before = plan.plan().edits.size();
    std::set<std::string> seen;
    for (const std::string& folder : plan.glob("/lib/modules/*")) {
        const std::string version = folder.substr(folder.rfind('/') + 1);
        std::vector<std::string> initrds = initrds_of(plan, version);
        if (initrds.empty())
            continue;
        const KernelModules modules(plan, folder);
        for (const std::string& initrd : initrds) {
            const auto canonical = plan.resolve(initrd, FinalLink::follow);
            if (!canonical || !seen.insert(*canonical).second)
                continue;
            try {
                mend(plan, context, modules, version, *canonical);
            } catch (const Error& error) {
                if (error.kind() == ErrorKind::cancelled || error.kind() == ErrorKind::io)
                    throw;
                plan.found(fmt::format("{} is not looked at: {}", escape_untrusted(initrd), error.what()));
            }
        }
    }
    if (plan.plan().edits.size() != before)
        keep_for_later(plan);
}

} // namespace vm2oci
