// The kernel: Linux first, and the panics of the BSDs.
#include "runner/judge/rules.hpp"

#include <array>

namespace vm2oci {
namespace {

using P = std::string_view;

constexpr P kRootNotMounted[] = {"^Kernel panic - not syncing: VFS: Unable to mount root fs",
                                 "^VFS: Cannot open root device", "^VFS: Unable to mount root fs"};
constexpr P kNoInit[] = {"^Kernel panic - not syncing: No working init found",
                         "^Kernel panic - not syncing: No init found",
                         "^Kernel panic - not syncing: Requested init ",
                         "^No init found. Try passing init= bootarg",
                         "^Failed to execute /init (error",
                         "^Target filesystem doesn't have requested",
                         "^run-init: *No such file or directory",
                         "^run-init: *: Permission denied",
                         "^run-init: *: Exec format error"};
// The kernel goes on; init opens its console itself, or prints nowhere.
constexpr P kNoInitialConsole[] = {"^Warning: unable to open an initial console"};
constexpr P kMemoryPanic[] = {"^Kernel panic - not syncing: System is deadlocked on memory",
                              "^Kernel panic - not syncing: Out of memory", "^Initramfs unpacking failed: write error",
                              "^Kernel panic - not syncing: Cannot allocate"};
constexpr P kTimer[] = {"^Kernel panic - not syncing: IO-APIC + timer doesn't work"};
constexpr P kInitDied[] = {"^Kernel panic - not syncing: Attempted to kill init!"};
constexpr P kFatalOops[] = {"^Kernel panic - not syncing: Fatal exception"};
constexpr P kPanic[] = {"^Kernel panic - not syncing", "^Kernel panic:", "^---[ end Kernel panic",
                        // The BSDs: their first line begins as any notice may, those behind it do not.
                        "^panic: *_", "^panic: page fault", "^panic: trap", "^panic: kernel ", "^panic: general ",
                        "^panic: double fault", "^panic: init ", "^panic: no init", "^panic: init died",
                        "^panic: mountroot", "^panic: cannot ", "^panic: mutex ", "^panic: lock", "^panic: free",
                        "^panic: malloc", "^panic: root ", "^panic: ffs", "^panic: ufs", "^panic: Going nowhere",
                        "^KDB: stack backtrace", "^KDB: enter: panic", "^Stopped at *db_enter",
                        "^fatal * in supervisor mode", "^Fatal trap "};
constexpr P kDecompress[] = {"^-- System halted$",
                             "^invalid compressed format (err",
                             "^XZ-compressed data is corrupt",
                             "^ZSTD-compressed data is corrupt",
                             "^LZ4 data is corrupt",
                             "^crc error$",
                             "^Decoding failed$",
                             "^uncompression error"};
constexpr P kProcessor[] = {"^This kernel requires an * CPU, but only detected",
                            "^This kernel requires the following features not present on the CPU",
                            "^Unable to boot - please use a kernel appropriate for your CPU",
                            "Fatal glibc error: CPU does not support x86-64-v", "CPU ISA level is lower than required"};
constexpr P kInitramfsUnpack[] = {"^Initramfs unpacking failed", "^rootfs image is not initramfs",
                                  "^junk at the end of compressed archive", "^invalid magic at start of compressed"};
constexpr P kSelinux[] = {"Failed to load SELinux policy", "SELinux: Could not open policy file",
                          "SELinux:  Could not load policy"};
constexpr P kOops[] = {"^BUG: unable to handle",
                       "^BUG: kernel NULL pointer dereference",
                       "^Oops: ",
                       "^general protection fault, probably",
                       "^general protection fault: ",
                       "^Unable to handle kernel ",
                       "^Internal error: Oops",
                       "^kernel tried to execute NX-protected",
                       "^invalid opcode: 0000 ["};
constexpr P kBug[] = {"^kernel BUG at ",         "^BUG: Bad page",         "^BUG: scheduling while atomic",
                      "^BUG: sleeping function", "^BUG: workqueue lockup", "^Bad page state in process"};
constexpr P kLockup[] = {"BUG: soft lockup - ",       "Watchdog detected hard LOCKUP", "self-detected stall on CPU",
                         "rcu_sched detected stalls", "rcu_preempt detected stalls",   "rcu: INFO: rcu_"};
constexpr P kHungTask[] = {"^INFO: task * blocked for more than"};
constexpr P kOom[] = {"^Out of memory: Kill", "^oom-kill:constraint=CONSTRAINT_NONE", " invoked oom-killer:"};
constexpr P kCgroupOom[] = {"^Memory cgroup out of memory", "^oom-kill:constraint=CONSTRAINT_MEMCG"};
constexpr P kInitSegfault[] = {"^systemd[1]: segfault at", "^init[1]: segfault at", "^traps: systemd[1]",
                               "^systemd[1]: Caught <SEGV>", "^systemd[1]: Caught <ABRT>"};
constexpr P kSegfault[] = {"]: segfault at ", "^traps: * trap ", "]: * general protection ip:"};
constexpr P kReadOnly[] = {"Remounting filesystem read-only", "forced readonly", "Remounting file system read-only",
                           "Aborting journal on device"};
constexpr P kNoSpace[] = {": No space left on device", "] No space left on device", "^No space left on device",
                          "filesystem full$"};
constexpr P kFileSystemMissing[] = {"^EXT4-fs (*): VFS: Can't find ext4 filesystem",
                                    "bad superblock on ",
                                    "^EXT4-fs (*): VFS: Found no valid superblock",
                                    "^XFS (*): Invalid superblock magic",
                                    "^XFS (*): SB validate failed",
                                    "^BTRFS error (*): open_ctree failed",
                                    "wrong fs type, bad option, bad superblock",
                                    "unknown filesystem type"};
constexpr P kFileSystemError[] = {"^EXT4-fs error (device",
                                  "^EXT3-fs error (device",
                                  "^EXT2-fs error (device",
                                  "^EXT4-fs (*): error loading journal",
                                  "^EXT4-fs (*): group descriptors corrupted",
                                  "^EXT4-fs (*): bad geometry",
                                  "^EXT4-fs (*): ext4_check_descriptors:",
                                  "^XFS (*): Corruption",
                                  "^XFS (*): Metadata corruption",
                                  "^XFS (*): Filesystem has been shut down",
                                  "^XFS (*): log mount/recovery failed",
                                  "^BTRFS critical (",
                                  "^BTRFS error (",
                                  "^JBD2: recovery failed",
                                  "^EXT4-fs (*): no journal found",
                                  "^UFS: * bad magic"};
constexpr P kDiskError[] = {"^blk_update_request: I/O error",  "^I/O error, dev ",
                            "^Buffer I/O error on dev",        "^critical medium error, dev ",
                            "^end_request: I/O error",         "attempt to access beyond end of device",
                            "rejecting I/O to offline device", "^blk_update_request: critical"};
constexpr P kModule[] = {"modprobe: FATAL: Module ", "^modprobe: can't load module",
                         "disagrees about version of symbol", "^Error inserting ",
                         "Loading of module with unavailable key is rejected"};

constexpr std::array kKernelRules = {
    Rule{"root-not-mounted", Severity::fatal, RuleRole::cause, "the kernel cannot mount the root file system",
         "the initrd is missing or lacks the disk's driver (virtio), or root= names something that is not there",
         "virtio", kRootNotMounted},
    Rule{"no-init", Severity::fatal, RuleRole::cause, "there is no init to start",
         "the root file system has no working /sbin/init: it is the wrong one, or its files are damaged", "", kNoInit},
    Rule{"no-initial-console", Severity::warning, RuleRole::cause, "init was started without a console",
         "the root file system or the initrd has no /dev/console: what init prints first is lost", "",
         kNoInitialConsole},
    Rule{"out-of-memory-panic", Severity::fatal, RuleRole::cause, "the machine has too little memory to start",
         "give it more", "", kMemoryPanic},
    Rule{"timer-check-failed", Severity::fatal, RuleRole::cause, "the kernel found its timer not working",
         "the host was too busy to emulate it in time: try again, or with less beside it", "", kTimer},
    Rule{"init-died", Severity::fatal, RuleRole::symptom, "init died, and the kernel panicked",
         "the lines above say what killed it: a damaged file, a wrong architecture, too old a processor", "",
         kInitDied},
    Rule{"fatal-oops", Severity::fatal, RuleRole::symptom, "the kernel crashed",
         "a driver or the kernel itself is broken: try another kernel", "", kFatalOops},
    Rule{"kernel-panic", Severity::fatal, RuleRole::symptom, "the kernel panicked", "the lines above say why", "",
         kPanic},
    Rule{"kernel-corrupt", Severity::fatal, RuleRole::cause, "the kernel cannot unpack itself",
         "the kernel file is damaged: reinstall it", "", kDecompress},
    Rule{"processor-too-old", Severity::fatal, RuleRole::cause, "the guest needs a newer processor",
         "the system is built for x86-64-v2 or later: give it a processor model that has it", "", kProcessor},
    Rule{"initramfs-corrupt", Severity::failure, RuleRole::cause, "the kernel cannot unpack the initramfs",
         "the initrd file is damaged or compressed in a way that this kernel does not know", "virtio",
         kInitramfsUnpack},
    Rule{"selinux-policy", Severity::fatal, RuleRole::cause, "SELinux's policy cannot be loaded",
         "its files are missing or mislabelled: relabel the file system", "selinux", kSelinux},
    Rule{"kernel-oops", Severity::failure, RuleRole::cause, "the kernel hit a fault (oops)",
         "a driver or the kernel itself is broken: try another kernel", "", kOops},
    Rule{"kernel-bug", Severity::failure, RuleRole::cause, "the kernel found a bug in itself",
         "a driver or the kernel itself is broken: try another kernel", "", kBug},
    Rule{"kernel-lockup", Severity::warning, RuleRole::cause, "a processor made no progress for a while",
         "on a busy host without KVM this is harmless", "", kLockup},
    Rule{"hung-task", Severity::failure, RuleRole::cause, "a task hangs in the kernel",
         "usually it waits for a disk that does not answer", "", kHungTask},
    Rule{"out-of-memory", Severity::failure, RuleRole::cause, "the machine ran out of memory", "give it more", "",
         kOom},
    Rule{"memory-limit", Severity::warning, RuleRole::cause, "a service ran into its memory limit", "", "", kCgroupOom},
    Rule{"init-crashed", Severity::fatal, RuleRole::cause, "init crashed", "a library that it needs is damaged", "",
         kInitSegfault},
    Rule{"segfault", Severity::warning, RuleRole::cause, "a program crashed", "", "", kSegfault},
    Rule{"remounted-read-only", Severity::failure, RuleRole::cause, "a file system was made read-only after an error",
         "check it: the disk or the file system is damaged", "", kReadOnly},
    Rule{"disk-full", Severity::failure, RuleRole::cause, "a file system is full", "grow the disk or remove files", "",
         kNoSpace},
    Rule{"file-system-not-found", Severity::failure, RuleRole::cause,
         "the kernel does not find the file system that it expects",
         "the superblock is damaged, or the kernel lacks the file system's driver", "", kFileSystemMissing},
    Rule{"file-system-damaged", Severity::failure, RuleRole::cause, "a file system is damaged",
         "check it with fsck; the source image may be a copy of a running machine", "", kFileSystemError},
    Rule{"disk-io-error", Severity::failure, RuleRole::cause, "the guest met an error on its disk",
         "the image is truncated or damaged", "", kDiskError},
    Rule{"module-not-loaded", Severity::warning, RuleRole::cause, "a kernel module could not be loaded",
         "the modules do not belong to the running kernel, or are missing from the initrd", "virtio", kModule},
};

} // namespace

std::span<const Rule> kernel_rules() {
    return kKernelRules;
}

} // namespace vm2oci
