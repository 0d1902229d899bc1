// A guest whose settings are anything at all: told, planned for and edited, or refused; never more than that.
//
// The first byte chooses a guest of the population, the second an edit; then records, each behind a byte 0x1e: one byte
// for the path, and what the file at it holds (a path with its highest bit set becomes a link to that).
#include "formats/base/error.hpp"
#include "libconvert/inspect/guest_info.hpp"
#include "libconvert/inspect/guest_summary.hpp"
#include "libconvert/inspect/machine_problems.hpp"
#include "tests/support/phony_edits.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>

namespace {

using namespace vm2oci;
using vm2oci::test::MemoryGuest;

constexpr const char* kPaths[] = {
    "/etc/fstab",
    "/etc/crypttab",
    "/etc/os-release",
    "/etc/lsb-release",
    "/etc/redhat-release",
    "/etc/SuSE-release",
    "/etc/default/grub",
    "/etc/default/grub.d/50.cfg",
    "/etc/sysconfig/bootloader",
    "/etc/kernel/cmdline",
    "/etc/update-extlinux.conf",
    "/boot/grub/grub.cfg",
    "/boot/grub2/grub.cfg",
    "/boot/grub/menu.lst",
    "/boot/grub/grub.conf",
    "/boot/grub2/grubenv",
    "/boot/loader/entries/one.conf",
    "/boot/loader/loader.conf",
    "/boot/extlinux.conf",
    "/boot/efi/EFI/BOOT/BOOTX64.EFI",
    "/boot/vmlinuz-6.1.0",
    "/boot/initrd.img-6.1.0",
    "/boot/initramfs-6.1.0.img",
    "/boot/config-6.1.0",
    "/lib/modules/6.1.0/modules.dep",
    "/lib/modules/6.1.0/modules.builtin",
    "/etc/netplan/01.yaml",
    "/etc/network/interfaces",
    "/etc/network/interfaces.d/eth0",
    "/etc/sysconfig/network-scripts/ifcfg-eth0",
    "/etc/sysconfig/network-scripts/ifcfg-bond0",
    "/etc/sysconfig/network/ifcfg-eth0",
    "/etc/systemd/network/10.network",
    "/etc/systemd/network/10.link",
    "/etc/NetworkManager/NetworkManager.conf",
    "/etc/NetworkManager/system-connections/wired.nmconnection",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/etc/cloud/cloud.cfg",
    "/etc/cloud/cloud.cfg.d/90.cfg",
    "/etc/cloud/ds-identify.cfg",
    "/var/lib/cloud/seed/nocloud/meta-data",
    "/etc/ssh/sshd_config",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/machine-id",
    "/etc/inittab",
    "/etc/securetty",
    "/etc/selinux/config",
    "/etc/selinux/targeted/contexts/files/file_contexts",
    "/etc/selinux/targeted/contexts/files/file_contexts.local",
    "/etc/lvm/lvm.conf",
    "/etc/lvm/devices/system.devices",
    "/etc/mdadm.conf",
    "/etc/initramfs-tools/modules",
    "/etc/initramfs-tools/conf.d/resume",
    "/etc/dracut.conf.d/one.conf",
    "/etc/mkinitcpio.conf",
    "/etc/modprobe.d/one.conf",
    "/etc/modules",
    "/etc/init/ttyS0.conf",
    "/etc/systemd/system/vmtoolsd.service",
    "/etc/rc.conf",
    "/var/lib/dpkg/status",
    "/lib/apk/db/installed",
    "/var/lib/pacman/local/one-1/desc",
    "/sbin/init",
    "/bin/sh",
};

MemoryGuest changed_guest(MemoryGuest guest, std::string_view records) {
    while (!records.empty()) {
        const std::size_t end = std::min(records.find('\x1e'), records.size());
        const std::string_view record = records.substr(0, end);
        records.remove_prefix(std::min(end + 1, records.size()));
        if (record.empty())
            continue;
        const auto choice = static_cast<unsigned char>(record.front());
        const std::string path = kPaths[(choice & 0x7f) % std::size(kPaths)];
        guest.remove(path);
        if ((choice & 0x80) != 0)
            guest.symlink(path, std::string(record.substr(1)));
        else
            guest.file(path, std::string(record.substr(1)));
    }
    return guest;
}

void look_at(const MemoryGuest& guest) {
    OpenedGuest opened;
    opened.guest = std::make_unique<MemoryGuest>(guest);
    // Documents are UTF-8, whatever a guest holds: dump() throws what is not caught here.
    to_json(inspect_guest(opened, {})).dump();
    summarise_guest(opened);
    for (const MachineProblem& problem : find_machine_problems(opened))
        if (problem.text.find('\n') != std::string::npos)
            std::abort();
}

void edit(const MemoryGuest& guest, const vm2oci::test::PhonyEdit& request) {
    const EditPlan plan = plan_phony_edit(guest, request.make(guest));
    const MemoryGuest after = with_edits(guest, plan);
    const EditPlan again = plan_phony_edit(after, request.make(after));
    if (!again.edits.empty()) {
        fmt::print(stderr, "{} twice:\n{}\nthen\n{}", request.name, to_text(plan), to_text(again));
        std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::vector<vm2oci::test::PhonyGuest> kGuests = vm2oci::test::phony_guests();
    if (size < 2)
        return 0;
    const std::string_view records(reinterpret_cast<const char*>(data) + 2, size - 2);
    const MemoryGuest guest = changed_guest(kGuests[data[0] % kGuests.size()].guest, records);
    try {
        look_at(guest);
    } catch (const Error&) {
    }
    try {
        edit(guest, vm2oci::test::phony_edits()[data[1] % vm2oci::test::phony_edits().size()]);
    } catch (const Error&) {
    }
    return 0;
}
