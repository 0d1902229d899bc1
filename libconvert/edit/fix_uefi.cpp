// A boot loader where firmware looks when its own list of entries is gone: \EFI\BOOT\BOOTX64.EFI.
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kLoaderLimit = 32ull * 1024 * 1024; // GRUB with all its modules stays below 10 MB

// Of each the first that is there counts. SUSE, and Red Hat until 7, leave the architecture out of the names.
struct Names {
    const char* fallback;
    std::vector<const char*> shims;
    std::vector<const char*> loaders;
    std::vector<const char*> beside_shim; // under the names that are built into it
};

Names names_for(const PlanBuilder& plan) {
    if (guest_machine(plan) == EM_AARCH64)
        return {"BOOTAA64.EFI",
                {"shimaa64.efi", "shim.efi"},
                {"grubaa64.efi", "grub.efi", "systemd-bootaa64.efi"},
                {"grubaa64.efi", "grub.efi", "mmaa64.efi", "MokManager.efi", "grub.cfg"}};
    return {"BOOTX64.EFI",
            {"shimx64.efi", "shim.efi"},
            {"grubx64.efi", "grub.efi", "systemd-bootx64.efi"},
            {"grubx64.efi", "grub.efi", "mmx64.efi", "MokManager.efi", "grub.cfg"}};
}

// FAT compares names without regard to case.
std::optional<std::string> find_name(const PlanBuilder& plan, const std::string& folder, std::string_view name) {
    for (const std::string& entry : plan.list(folder))
        if (to_lower(entry) == to_lower(name))
            return fmt::format("{}/{}", folder, entry);
    return std::nullopt;
}

std::optional<std::string> find_first(const PlanBuilder& plan, const std::string& folder,
                                      const std::vector<const char*>& names) {
    for (const char* name : names)
        if (auto found = find_name(plan, folder, name))
            return found;
    return std::nullopt;
}

void copy(PlanBuilder& plan, const std::string& from, const std::string& to) {
    if (const auto content = try_read_text(plan.guest(), from, kLoaderLimit))
        plan.write(
            to, *content,
            fmt::format("firmware that knows no entry for this system starts this copy of {}", escape_untrusted(from)));
}

} // namespace

void plan_uefi_fix(PlanBuilder& plan, const FixContext& context) {
    const Names names = names_for(plan);
    for (const std::string root : {"/boot/efi", "/efi", "/boot"}) {
        const auto efi = find_name(plan, root, "EFI");
        if (!efi)
            continue;
        const std::string boot = find_name(plan, *efi, "BOOT").value_or(*efi + "/BOOT");
        if (find_name(plan, boot, names.fallback))
            return;
        for (const std::string& vendor : plan.list(*efi)) {
            const std::string folder = *efi + "/" + vendor;
            if (folder == boot)
                continue;
            const auto loader = find_first(plan, folder, names.loaders);
            if (!loader)
                continue;
            context.problems.push_back(
                fmt::format("UEFI firmware finds no boot loader: there is no {}", names.fallback));
            const auto shim = find_first(plan, folder, names.shims);
            copy(plan, shim.value_or(*loader), boot + "/" + names.fallback);
            if (shim)
                for (const char* name : names.beside_shim)
                    if (const auto file = find_name(plan, folder, name))
                        copy(plan, *file, boot + "/" + name);
            return;
        }
    }
}

} // namespace vm2oci
