// A boot loader where firmware looks when its own list of entries is gone: \EFI\BOOT\BOOTX64.EFI.
#include "formats/base/escape.hpp"
#include "libconvert/edit/planners.hpp"
#include "libconvert/edit/text.hpp"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>

namespace vm2oci {
namespace {

constexpr std::size_t kLoaderLimit = 32 * 1024 * 1024; // GRUB with all its modules stays below 10 MB

struct Names {
    const char* fallback;
    const char* shim;
    const char* grub;
    const char* systemd_boot;
    const char* mok_manager;
};

Names names_for(const PlanBuilder& plan) {
    if (guest_machine(plan) == EM_AARCH64)
        return {"BOOTAA64.EFI", "shimaa64.efi", "grubaa64.efi", "systemd-bootaa64.efi", "mmaa64.efi"};
    return {"BOOTX64.EFI", "shimx64.efi", "grubx64.efi", "systemd-bootx64.efi", "mmx64.efi"};
}

// FAT compares names without regard to case.
std::optional<std::string> find_name(const PlanBuilder& plan, const std::string& folder, std::string_view name) {
    for (const std::string& entry : plan.list(folder))
        if (to_lower(entry) == to_lower(name))
            return folder + "/" + entry;
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
            const auto shim = find_name(plan, folder, names.shim);
            const auto grub = find_name(plan, folder, names.grub);
            const auto other = find_name(plan, folder, names.systemd_boot);
            const auto first = shim && grub ? shim : grub ? grub : other;
            if (!first)
                continue;
            context.problems.push_back(
                fmt::format("UEFI firmware finds no boot loader: there is no {}", names.fallback));
            copy(plan, *first, boot + "/" + names.fallback);
            // shim starts what lies beside it.
            if (shim && grub) {
                copy(plan, *grub, boot + "/" + names.grub);
                if (const auto manager = find_name(plan, folder, names.mok_manager))
                    copy(plan, *manager, boot + "/" + names.mok_manager);
            }
            return;
        }
    }
}

} // namespace vm2oci
