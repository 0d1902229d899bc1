#include "runner/judge/milestones.hpp"

#include "runner/judge/console_lines.hpp"
#include "runner/judge/rules.hpp"

namespace vm2oci {
namespace {

struct Mark {
    Milestone milestone;
    std::string_view pattern;
};

// The first that matches counts, so what is more specific stands above what is less.
constexpr Mark kMarks[] = {
    {Milestone::firmware, "SeaBIOS (version"},
    {Milestone::firmware, "^UEFI firmware (version"},
    {Milestone::firmware, "BdsDxe: loading Boot"},
    {Milestone::firmware, "BdsDxe: starting Boot"},
    {Milestone::firmware, "^Booting from Hard Disk"},
    {Milestone::firmware, "^Booting from DVD/CD"},
    {Milestone::firmware, "^Booting from ROM"},
    {Milestone::firmware, "BdsDxe: "},
    {Milestone::boot_loader, "^GRUB loading"},
    {Milestone::boot_loader, "^GRUB Loading stage"},
    {Milestone::boot_loader, "^Welcome to GR"},
    {Milestone::boot_loader, "GNU GRUB  version"},
    {Milestone::boot_loader, "Booting `"},
    {Milestone::boot_loader, "Booting a command list"},
    {Milestone::boot_loader, "^Loading Linux "},
    {Milestone::boot_loader, "^Loading initial ramdisk"},
    {Milestone::boot_loader, "^SYSLINUX "},
    {Milestone::boot_loader, "^EXTLINUX "},
    {Milestone::boot_loader, "^ISOLINUX "},
    {Milestone::boot_loader, "^Loading vmlinuz"},
    {Milestone::boot_loader, "^LILO "},
    {Milestone::boot_loader, "^systemd-boot"},
    {Milestone::boot_loader, ">> FreeBSD/"},
    {Milestone::boot_loader, ">> OpenBSD/"},
    {Milestone::boot_loader, ">> NetBSD/"},
    {Milestone::boot_loader, "^Loading /boot/"},
    {Milestone::kernel, "^Linux version "},
    {Milestone::kernel, "^EFI stub: "},
    {Milestone::kernel, "^Decompressing Linux"},
    {Milestone::kernel, "^Probing EDD (edd=off to disable)"},
    {Milestone::kernel, "^Booting the kernel"},
    {Milestone::kernel, "^Command line: "},
    {Milestone::kernel, "^Copyright (c) 1992-"},
    {Milestone::kernel, "^Copyright (c) 1995-"},      // OpenBSD
    {Milestone::kernel, "^Copyright (c) 1996, 1997"}, // NetBSD
    {Milestone::kernel, "^SunOS Release "},
    {Milestone::initramfs, "^Run /init as init process"},
    {Milestone::initramfs, "^Loading, please wait"},
    {Milestone::initramfs, "^Begin: "},
    {Milestone::initramfs, "^dracut: "},
    {Milestone::initramfs, "dracut-cmdline["},
    {Milestone::initramfs, "systemd[1]: Running in initrd"},
    {Milestone::initramfs, "systemd[1]: Running in initial RAM disk"},
    {Milestone::initramfs, "^Welcome to * dracut-"},
    {Milestone::initramfs, "^Welcome to *(Initramfs)!"},
    {Milestone::initramfs, "^:: running early hook"},
    {Milestone::initramfs, "^Alpine Init "},
    {Milestone::initramfs, "^* Mounting boot media"},
    {Milestone::initramfs, "^Freeing initrd memory"},
    {Milestone::init, "Reached target Switch Root"},
    {Milestone::init, "Reached target initrd-switch-root.target"},
    {Milestone::init, "systemd[1]: Switching root"},
    // With a second word at least: GRUB welcomes too, and a busy emulator loses letters of its name.
    {Milestone::init, "^Welcome to * "},
    {Milestone::init, "^vm2oci-init: starting "},
    {Milestone::system, "^vm2oci-init: healthy after "},
    {Milestone::init, "^INIT: version "},
    {Milestone::init, "^OpenRC "},
    {Milestone::init, "OpenRC * is starting up "},
    {Milestone::init, "^Run /sbin/init as init process"},
    {Milestone::init, "^init started: BusyBox"},
    {Milestone::init, "^procd: "},
    {Milestone::init, "^Entering runlevel:"},
    {Milestone::init, "^INIT: Entering runlevel"},
    {Milestone::init, "SAC started"},
    {Milestone::init, "^- runit: * stage"},
    {Milestone::init, "^runit: enter stage"},
    {Milestone::init, "^s6-linux-init"},
    {Milestone::init, "^Entering non-interactive startup"},
    {Milestone::init, "^Setting hostuuid:"}, // rc of FreeBSD
    {Milestone::init, "^starting network"},  // rc of OpenBSD
    {Milestone::init, "^Entering multi-user"},
    {Milestone::init, "^starting early daemons:"},
    {Milestone::network, "^bound to * -- renewal in"},
    {Milestone::network, "DHCPv4 address *acquired from"},
    {Milestone::network, "udhcpc: lease of * obtained"},
    {Milestone::network, "dhcpcd*: leased "},
    {Milestone::network, "^IP-Config: Complete"},
    {Milestone::network, "ci-info: | e* |  True  |"},
    {Milestone::network, "Reached target Network is Online"},
    {Milestone::network, "Reached target network-online.target"},
    {Milestone::system, "Reached target Multi-User System"},
    {Milestone::system, "Reached target Graphical Interface"},
    {Milestone::system, "Reached target multi-user.target"},
    {Milestone::system, "Reached target graphical.target"},
    {Milestone::system, "systemd[1]: Startup finished in"},
    {Milestone::cloud_init, "Cloud-init v. * finished at"},
    {Milestone::cloud_init, "cloud-init*] Cloud-init v. * finished at"},
    {Milestone::login, "^EVENT: The CMD command is now available"},
    {Milestone::login, "^* login: * (auto*)"}, // agetty --autologin
    {Milestone::login, "^login: * (auto*)"},
    {Milestone::login, "^Please press Enter to activate this console"}, // BusyBox' askfirst
};

} // namespace

std::string_view to_string(Milestone milestone) {
    switch (milestone) {
    case Milestone::firmware:
        return "firmware";
    case Milestone::boot_loader:
        return "boot_loader";
    case Milestone::kernel:
        return "kernel";
    case Milestone::initramfs:
        return "initramfs";
    case Milestone::init:
        return "init";
    case Milestone::network:
        return "network";
    case Milestone::system:
        return "system";
    case Milestone::cloud_init:
        return "cloud_init";
    case Milestone::agent_port:
        return "agent_port";
    case Milestone::agent:
        return "agent";
    case Milestone::login:
        return "login";
    }
    return "firmware";
}

std::string_view display_name(Milestone milestone) {
    switch (milestone) {
    case Milestone::firmware:
        return "firmware";
    case Milestone::boot_loader:
        return "boot loader";
    case Milestone::kernel:
        return "kernel";
    case Milestone::initramfs:
        return "initramfs";
    case Milestone::init:
        return "init";
    case Milestone::network:
        return "network";
    case Milestone::system:
        return "system up";
    case Milestone::cloud_init:
        return "cloud-init finished";
    case Milestone::agent_port:
        return "guest agent's port";
    case Milestone::agent:
        return "guest agent";
    case Milestone::login:
        return "login prompt";
    }
    return "firmware";
}

std::optional<Milestone> milestone_of_line(std::string_view line) {
    const std::string_view text = without_kernel_prefix(line);
    for (const Mark& mark : kMarks)
        if (matches_pattern(mark.pattern, text))
            return mark.milestone;
    // A kernel told to start late on this console begins in the middle; its time stamp gives it away.
    if (has_kernel_prefix(line))
        return Milestone::kernel;
    return std::nullopt;
}

} // namespace vm2oci
