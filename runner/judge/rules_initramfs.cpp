// The stage between the kernel and the real init: initramfs-tools, dracut, mkinitcpio, mkinitfs, mkinitrd.
#include "runner/judge/rules.hpp"

#include <array>

namespace vm2oci {
namespace {

using P = std::string_view;

constexpr P kRootMissing[] = {"^ALERT!*does not exist.",
                              "^Gave up waiting for root",
                              "dracut-initqueue*Warning: /dev/*does not exist",
                              "^Warning: /dev/*does not exist",
                              "dracut*FATAL: No or empty root= argument",
                              "^ERROR: Unable to find root device",
                              "^ERROR: device '*' not found. Skipping fsck",
                              "^ERROR: Failed to mount '*' on real root",
                              "not found -- exiting to /bin/sh",
                              "^Unable to find device for root",
                              "^Mounting root: failed",
                              "^mount: mounting /dev/* on /sysroot failed",
                              "^mount: mounting /dev/* on /root failed",
                              "^Not all disks have been found",
                              "^mount: /sysroot: *failed",
                              "^Could not find the root block device"};
constexpr P kInitqueue[] = {"dracut-initqueue timeout", "dracut-initqueue*timeout, still waiting for following",
                            "dracut-initqueue*starting timeout scripts", "Warning: Could not boot."};
constexpr P kVolumeGroup[] = {"Volume group \"*\" not found", "Cannot process volume group",
                              "^Logical volume * not found", "Failed to find logical volume"};
constexpr P kFsck[] = {"UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY",
                       "requires a manual fsck",
                       "^fsck exited with status code 4",
                       "fsck failed with exit status 4",
                       "fsck failed with error code 4",
                       "^* File system check failed"};
constexpr P kPassphrase[] = {"^Please enter passphrase for disk", "^Please unlock disk", "^Enter passphrase for /dev/",
                             "^Enter passphrase for hd", "A password is required to access the"};
constexpr P kNoOperatingSystem[] = {"does not seem to be an OS tree", "Failed to switch root",
                                    "^ERROR: Root device mounted successfully, but /sbin/init does not exist",
                                    "Failed to start initrd-switch-root", "[FAILED] Failed to start *Switch Root"};
constexpr P kShell[] = {"^(initramfs)$",
                        "^BusyBox v* built-in shell (ash)",
                        "^dracut:/#$",
                        "^[rootfs *]#$",
                        "^initramfs emergency recovery shell launched",
                        "^You are now being dropped into an emergency shell"};
constexpr P kDracutEmergency[] = {"Generating \"/run/initramfs/rdsosreport.txt\"", "dracut*Refusing to continue",
                                  "^Entering emergency mode. Exit the shell to continue",
                                  "dracut-emergency*Starting Dracut Emergency Shell"};
constexpr P kIgnition[] = {"^Ignition failed", "ignition[*]: failed to ", "ignition[*]: Ignition failed"};

constexpr std::array kInitramfsRules = {
    Rule{"root-device-missing", Severity::failure, RuleRole::cause, "the root file system's device does not appear",
         "the initrd lacks the disk's driver (virtio), or root= names a UUID or device that is not on this disk",
         "virtio", kRootMissing},
    Rule{"volume-group-missing", Severity::failure, RuleRole::cause, "an LVM volume group is not found",
         "another disk of the machine is missing, or LVM's device list names the old disk", "", kVolumeGroup},
    Rule{"dracut-timeout", Severity::failure, RuleRole::cause, "dracut gave up waiting for the root device",
         "the initrd was made for other hardware: it lacks virtio drivers", "virtio", kInitqueue},
    Rule{"fsck-needed", Severity::fatal_if_last, RuleRole::cause, "a file system needs a check by hand",
         "the image was taken from a running machine or is damaged: run fsck on it", "", kFsck},
    Rule{"passphrase-wanted", Severity::fatal_if_last, RuleRole::cause, "the machine waits for a disk's passphrase",
         "an encrypted disk cannot boot without somebody at the console", "", kPassphrase},
    Rule{"no-operating-system", Severity::failure, RuleRole::cause, "the root file system holds no operating system",
         "root= names the wrong file system, or it is damaged", "", kNoOperatingSystem},
    Rule{"dracut-emergency", Severity::fatal, RuleRole::symptom, "dracut opened its emergency shell",
         "the lines above say what it waited for", "virtio", kDracutEmergency},
    Rule{"initramfs-shell", Severity::fatal_if_last, RuleRole::symptom, "the initramfs opened a shell",
         "the lines above say what it did not find", "virtio", kShell},
    Rule{"ignition-failed", Severity::failure, RuleRole::cause, "Ignition could not configure the machine",
         "it found no configuration, or one that it does not understand", "", kIgnition},
};

} // namespace

std::span<const Rule> initramfs_rules() {
    return kInitramfsRules;
}

} // namespace vm2oci
