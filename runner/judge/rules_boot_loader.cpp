// Firmware and boot loaders: SeaBIOS, OVMF, GRUB, SYSLINUX, systemd-boot, boot sectors.
#include "runner/judge/rules.hpp"

#include <array>

namespace vm2oci {
namespace {

using P = std::string_view;

constexpr P kNoBootableDevice[] = {"^No bootable device", "BdsDxe: No bootable option or device was found",
                                   "^No bootable option or device was found"};
constexpr P kNoBootSector[] = {"^Boot failed: not a bootable disk", "^Boot failed: could not read the boot disk"};
constexpr P kBrokenBootSector[] = {"^Missing operating system",
                                   "^Error loading operating system",
                                   "^Invalid partition table",
                                   "^Operating System not found",
                                   "^BOOTMGR is missing",
                                   "^BOOTMGR is compressed",
                                   "^NTLDR is missing",
                                   "^Non-System disk or disk error",
                                   "^Missing OS",
                                   "^No active partition"};
constexpr P kEfiShell[] = {"UEFI Interactive Shell v", "^Shell> $", "^Shell>$"};
constexpr P kSecureBoot[] = {"Security Violation", "bad shim signature", "BdsDxe: failed to * Access Denied",
                             "Verification failed: (0x1A)", "prohibited by secure boot policy"};
constexpr P kEfiBootFailed[] = {"BdsDxe: failed to load Boot", "BdsDxe: failed to start Boot"};
constexpr P kNetworkBoot[] = {">>Start PXE over IPv", ">>Start HTTP Boot over IPv", "^iPXE initialising devices"};
constexpr P kGrubRescue[] = {"^grub rescue>", "^Entering rescue mode..."};
constexpr P kGrubHarmless[] = {"^error: no suitable video mode found", "^error: can't find command `hwmatch'",
                               "^error: invalid environment block",    "^error: serial port `*' isn't found",
                               "^error: terminal `*' isn't found",     "^error: no video mode activated",
                               "^error: file `*.mo' not found",        "^error: file `*locale*' not found",
                               "^error: file `*.pf2' not found",       "^error: sparse file not allowed"};
constexpr P kGrubDevice[] = {"^error: no such device:",
                             "^error: no such partition",
                             "^error: no such disk",
                             "^error: disk `*' not found",
                             "^error: ../../grub-core/kern/disk.c:*not found",
                             "^error: unknown filesystem",
                             "^error: *search_fs_*no such device"};
constexpr P kGrubKernel[] = {"^error: invalid magic number",
                             "^error: *invalid arch-dependent ELF magic",
                             "^error: unsupported architecture",
                             "^error: *plain image kernel not supported",
                             "^error: premature end of file",
                             "^error: cannot load image",
                             "^error: *kernel doesn't support 64-bit",
                             "^error: *invalid magic number",
                             "^error: not a regular file",
                             "^error: *unknown command `linux"};
constexpr P kGrubFile[] = {"^error: file `*' not found", "^error: *file `*' not found"};
constexpr P kGrubDisk[] = {"^error: attempt to read or write outside of",
                           "^error: failure reading sector",
                           "^error: *attempt to read or write outside of",
                           "^error: *failure reading sector",
                           "^GRUB Hard Disk Error",
                           "^GRUB Read Error",
                           "^GRUB Geom Error",
                           "^GRUB Loading stage1*Error"};
constexpr P kGrubModule[] = {"^error: symbol `*' not found", "^error: *symbol `*' not found"};
constexpr P kGrubNoKernel[] = {"^error: you need to load the kernel first",
                               "^error: *you need to load the kernel first", "^error: no server is specified",
                               "^error: *out of memory"};
constexpr P kGrubLegacy[] = {"^Error 1?: ",
                             "^Error 15: File not found",
                             "^Error 17: Cannot mount selected partition",
                             "^Error 2: Bad file or directory type",
                             "^Error 13: Invalid or unsupported executable",
                             "^Error 22: No such partition",
                             "^Error 21: Selected disk does not exist",
                             "^Error 18: Selected cylinder exceeds",
                             "^Error 25: Disk read error"};
constexpr P kGrubPrompt[] = {"^grub>$", "Minimal BASH-like line editing is supported"};
constexpr P kGrubWaits[] = {"^Press any key to continue..."};
constexpr P kSyslinux[] = {"No DEFAULT or UI configuration directive found",
                           "^Could not find kernel image:",
                           "^ERROR: No configuration file found",
                           "^Failed to load ldlinux.c32",
                           "^Failed to load libcom32.c32",
                           "^Boot failed: please change disks",
                           "^SYSLINUX*Boot error",
                           "^EXTLINUX*Boot error"};
// SYSLINUX with PROMPT goes on by itself after its TIMEOUT.
constexpr P kBootPrompt[] = {"^boot:$"};
constexpr P kSystemdBoot[] = {"^Error loading *: Not Found",
                              "^Failed to execute *: ",
                              "^Error opening root path",
                              "^Error loading EFI binary",
                              "^Unable to locate configuration file",
                              "^No loader found. Configuration files in"};
constexpr P kWindowsLoader[] = {"Windows failed to start", "Your PC/Device needs to be repaired",
                                "Your PC needs to be repaired", "INACCESSIBLE_BOOT_DEVICE", "INACCESSIBLE BOOT DEVICE"};

constexpr std::array kBootLoaderRules = {
    Rule{"no-bootable-device", Severity::fatal, RuleRole::symptom, "the firmware found nothing to boot from",
         "the disk may need the other firmware (BIOS or UEFI), or has no boot loader", "uefi", kNoBootableDevice},
    Rule{"no-boot-sector", Severity::warning, RuleRole::cause, "the disk has no BIOS boot loader",
         "a disk made for UEFI boots with UEFI firmware; a data or blank disk does not boot at all", "", kNoBootSector},
    Rule{"broken-boot-sector", Severity::fatal, RuleRole::cause, "the boot sector did not find an operating system",
         "the active partition or its boot sector is damaged or missing", "", kBrokenBootSector},
    Rule{"efi-shell", Severity::fatal, RuleRole::symptom, "UEFI found no boot loader and opened its shell",
         "the EFI system partition lacks EFI/BOOT/BOOTX64.EFI, which a new machine needs", "uefi", kEfiShell},
    Rule{"secure-boot-refused", Severity::failure, RuleRole::cause, "Secure Boot refused the boot loader or kernel",
         "it is not signed by a key that the firmware trusts: boot without Secure Boot", "", kSecureBoot},
    Rule{"efi-boot-entry-failed", Severity::warning, RuleRole::cause, "a UEFI boot entry could not be loaded",
         "the disk may have no EFI/BOOT/BOOTX64.EFI: try BIOS firmware, or mend it", "uefi", kEfiBootFailed},
    Rule{"network-boot", Severity::warning, RuleRole::symptom, "the firmware tries the network",
         "it found nothing to boot on the disk", "uefi", kNetworkBoot},
    Rule{"grub-harmless", Severity::warning, RuleRole::symptom, "GRUB complains, and goes on", "", "", kGrubHarmless},
    Rule{"grub-device-missing", Severity::fatal_if_last, RuleRole::cause,
         "GRUB does not find the file system that it wants",
         "its configuration names a file system (UUID) that is not on the disk: reinstall GRUB or mend search.fs_uuid",
         "", kGrubDevice},
    Rule{"kernel-not-bootable", Severity::fatal_if_last, RuleRole::cause,
         "the boot loader does not accept the kernel file",
         "the kernel is damaged or was built for another architecture: reinstall it", "", kGrubKernel},
    Rule{"boot-file-missing", Severity::fatal_if_last, RuleRole::cause,
         "a file that the boot loader needs is not there",
         "the kernel or initrd named in the boot loader's configuration is gone: reinstall the kernel", "", kGrubFile},
    Rule{"boot-disk-error", Severity::fatal_if_last, RuleRole::cause, "the boot loader cannot read the disk",
         "the disk is truncated, or its partition table points beyond its end", "", kGrubDisk},
    Rule{"grub-modules-mismatch", Severity::fatal_if_last, RuleRole::cause,
         "GRUB's core image and its modules do not belong together", "reinstall GRUB on the disk", "", kGrubModule},
    Rule{"grub-no-kernel", Severity::fatal_if_last, RuleRole::symptom, "GRUB has no kernel to start",
         "the lines above say why", "", kGrubNoKernel},
    Rule{"grub-legacy-error", Severity::fatal_if_last, RuleRole::cause, "GRUB Legacy cannot boot",
         "its menu names a disk or file that is not there", "", kGrubLegacy},
    Rule{"grub-rescue", Severity::fatal, RuleRole::symptom, "GRUB is in rescue mode",
         "it does not find its own files in /boot/grub: reinstall GRUB", "", kGrubRescue},
    Rule{"grub-prompt", Severity::fatal_if_last, RuleRole::symptom, "GRUB shows its prompt: it has no menu",
         "grub.cfg is missing or was not found: run update-grub or grub2-mkconfig in the guest", "", kGrubPrompt},
    Rule{"grub-waits", Severity::fatal_if_last, RuleRole::symptom, "GRUB waits for a key after an error",
         "the lines above say why", "", kGrubWaits},
    Rule{"syslinux-error", Severity::fatal_if_last, RuleRole::cause, "SYSLINUX cannot boot",
         "its configuration or a file named in it is missing", "", kSyslinux},
    Rule{"boot-prompt", Severity::fatal_if_last, RuleRole::symptom, "SYSLINUX waits at its prompt",
         "its configuration has PROMPT without TIMEOUT, or no DEFAULT", "", kBootPrompt},
    Rule{"systemd-boot-error", Severity::fatal_if_last, RuleRole::cause, "systemd-boot cannot load its entry",
         "the kernel or initrd named in loader/entries is missing", "", kSystemdBoot},
    Rule{"windows-loader-error", Severity::fatal, RuleRole::cause, "Windows cannot start",
         "its boot configuration or its virtio storage driver is missing", "virtio", kWindowsLoader},
};

} // namespace

std::span<const Rule> boot_loader_rules() {
    return kBootLoaderRules;
}

} // namespace vm2oci
