// Lines as systems print them, and the rules that they are for.
#include "runner/judge/judge.hpp"
#include "runner/judge/milestones.hpp"
#include "runner/judge/prompts.hpp"
#include "runner/judge/rules.hpp"

#include <catch2/catch.hpp>

#include <set>
#include <string>

using namespace vm2oci;

namespace {

struct Row {
    const char* line;
    const char* rule; // "-": none
};

void check_rules(std::span<const Row> rows) {
    for (const Row& row : rows) {
        CAPTURE(row.line);
        const Rule* rule = match_rule(row.line);
        CHECK((rule == nullptr ? "-" : std::string(rule->id)) == row.rule);
    }
}

} // namespace

TEST_CASE("firmware and boot loaders: what each prints when it is stuck, and what it prints on its way") {
    const Row rows[] = {
        {"No bootable device.", "no-bootable-device"},
        {"Boot failed: not a bootable disk", "no-boot-sector"},
        {"Booting from Hard Disk...", "-"},
        {"BdsDxe: loading Boot0001 \"UEFI Misc Device\" from PciRoot(0x0)/Pci(0x2,0x3)/Pci(0x0,0x0)", "-"},
        {"BdsDxe: failed to load Boot0001 \"UEFI Misc Device\" from PciRoot(0x0): Not Found", "efi-boot-entry-failed"},
        {"BdsDxe: failed to load Boot0002 \"debian\" from HD(1,GPT,x): Access Denied", "secure-boot-refused"},
        {"UEFI Interactive Shell v2.2", "efi-shell"},
        {"Shell> ", "efi-shell"},
        {"FS0:\\> ", "-"},
        {">>Start PXE over IPv4.", "network-boot"},
        {"Missing operating system.", "broken-boot-sector"},
        {"BOOTMGR is missing", "broken-boot-sector"},
        {"error: no such device: 5e1b1a4c-2f0e-4d4e-8b8e-7a2f7c4a8d11.", "grub-device-missing"},
        {"error: ../../grub-core/kern/disk.c:236:disk `lvmid/xyz' not found.", "grub-device-missing"},
        {"error: file `/vmlinuz-5.14.0-1.el9' not found.", "boot-file-missing"},
        {"error: ../../grub-core/fs/fshelp.c:257:file `/boot/grub2/i386-pc/normal.mod' not found.",
         "boot-file-missing"},
        {"error: file `/boot/grub/locale/de.gmo' not found.", "grub-harmless"},
        {"error: file `/boot/grub/fonts/unicode.pf2' not found.", "grub-harmless"},
        {"error: no suitable video mode found.", "grub-harmless"},
        {"error: symbol `grub_is_lockdown' not found.", "grub-modules-mismatch"},
        {"error: ../../grub-core/loader/i386/efi/linux.c:258:you need to load the kernel first.", "grub-no-kernel"},
        {"grub rescue> ", "grub-rescue"},
        {"grub> ", "grub-prompt"},
        {"grub> ls (hd0)", "-"},
        {"Press any key to continue...", "grub-waits"},
        {"Error 15: File not found", "grub-legacy-error"},
        {"Error 17: Cannot mount selected partition", "grub-legacy-error"},
        {"boot: ", "boot-prompt"},
        {"boot: linux single", "-"},
        {"Could not find kernel image: vmlinuz-lts", "syslinux-error"},
        {"Error loading \\EFI\\Linux\\arch.efi: Not Found", "systemd-boot-error"},
        {"Your PC/Device needs to be repaired", "windows-loader-error"},
    };
    check_rules(rows);
}

TEST_CASE("kernels: what ends them, what they get over, with and without time stamps and callers") {
    const Row rows[] = {
        {"[    2.345678] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
         "root-not-mounted"},
        {"[    2.345678][    T1] Kernel panic - not syncing: VFS: Unable to mount root fs on \"LABEL=x\"",
         "root-not-mounted"},
        {"VFS: Cannot open root device \"sda1\" or unknown-block(0,0): error -6", "root-not-mounted"},
        {"[    3.000001] Kernel panic - not syncing: No working init found.  Try passing init= option", "no-init"},
        {"[    3.000001] Failed to execute /init (error -8)", "no-init"},
        {"run-init: can't execute '/sbin/init': No such file or directory", "no-init"},
        {"[    1.000001] Warning: unable to open an initial console.", "no-initial-console"},
        {"[    0.900000] Kernel panic - not syncing: System is deadlocked on memory", "out-of-memory-panic"},
        {"[    0.500000] Kernel panic - not syncing: IO-APIC + timer doesn't work!  Boot with apic=debug",
         "timer-check-failed"},
        {"[    4.000000] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00007f00", "init-died"},
        {"[    4.000000] Kernel panic - not syncing: Fatal exception in interrupt", "fatal-oops"},
        {"[    4.000000] Kernel panic - not syncing: hung_task: blocked tasks", "kernel-panic"},
        {"[    4.000000] ---[ end Kernel panic - not syncing: x ]---", "kernel-panic"},
        {"panic: page fault", "kernel-panic"},
        {"panic: vm_fault_lookup: fault on nofault entry", "kernel-panic"},
        {"panic: attack of the mice, says cron", "-"},
        {"ZSTD-compressed data is corrupt", "kernel-corrupt"},
        {" -- System halted", "-"},
        {"-- System halted", "kernel-corrupt"},
        {"Fatal glibc error: CPU does not support x86-64-v2", "processor-too-old"},
        {"Fatal glibc error: CPU does not support x86-64-v3", "processor-too-old"},
        {"This kernel requires an x86-64 CPU, but only detected an i686 CPU.", "processor-too-old"},
        {"[    0.700000] Initramfs unpacking failed: invalid magic at start of compressed archive",
         "initramfs-corrupt"},
        {"[    0.700000] Initramfs unpacking failed: write error", "out-of-memory-panic"},
        {"[    9.100000] systemd[1]: Failed to load SELinux policy, freezing.", "selinux-policy"},
        {"[   12.000000] BUG: unable to handle page fault for address: ffffc90000000000", "kernel-oops"},
        {"[   12.000000] BUG: kernel NULL pointer dereference, address: 0000000000000008", "kernel-oops"},
        {"[   12.000000] kernel BUG at mm/slub.c:305!", "kernel-bug"},
        {"[   60.000000] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [swapper/1:0]", "kernel-lockup"},
        {"[   60.000000] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "kernel-lockup"},
        {"[  240.000000] INFO: task jbd2/vda1-8:211 blocked for more than 120 seconds.", "hung-task"},
        {"[   30.000000] Out of memory: Killed process 812 (mysqld) total-vm:1kB", "out-of-memory"},
        {"[   30.000000] mysqld invoked oom-killer: gfp_mask=0x1100cca", "out-of-memory"},
        {"[   30.000000] Memory cgroup out of memory: Killed process 812 (php)", "memory-limit"},
        {"[   30.000000] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null)", "memory-limit"},
        {"[   30.000000] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null)", "out-of-memory"},
        {"[    8.000000] systemd[1]: segfault at 0 ip 0000 sp 0000 error 4 in libc.so.6", "init-crashed"},
        {"[    8.000000] systemd[1]: Caught <SEGV>, dumped core as pid 211.", "init-crashed"},
        {"[   40.000000] nginx[812]: segfault at 10 ip 0000 sp 0000 error 4 in nginx", "segfault"},
        {"[   40.000000] traps: node[90] trap invalid opcode ip:1 sp:2 error:0", "segfault"},
        {"[   50.000000] EXT4-fs (vda1): Remounting filesystem read-only", "remounted-read-only"},
        {"[   50.000000] BTRFS: error (device vda2) in btrfs_commit: errno=-5 IO failure (forced readonly)",
         "remounted-read-only"},
        {"[   50.000000] BTRFS info (device vda2): forced readonly", "remounted-read-only"},
        {"cp: error writing '/x': No space left on device", "disk-full"},
        {"pid 812 (cp), uid 0 inumber 5 on /: filesystem full", "disk-full"},
        {"[    2.000000] EXT4-fs (vda1): VFS: Can't find ext4 filesystem", "file-system-not-found"},
        {"mount: /mnt: wrong fs type, bad option, bad superblock on /dev/vdb1, missing codepage",
         "file-system-not-found"},
        {"[    2.000000] XFS (vda2): Invalid superblock magic number", "file-system-not-found"},
        {"[    2.000000] EXT4-fs error (device vda1): ext4_lookup:1785: inode #12", "file-system-damaged"},
        {"[    2.000000] XFS (dm-0): Metadata corruption detected at xfs_buf_ioend", "file-system-damaged"},
        {"[    2.000000] BTRFS critical (device vda2): corrupt leaf, root=5", "file-system-damaged"},
        {"[    2.000000] BTRFS error (device vda2): open_ctree failed", "file-system-not-found"},
        {"[    2.000000] blk_update_request: I/O error, dev vda, sector 2048", "disk-io-error"},
        {"[    2.000000] I/O error, dev sda, sector 0 op 0x0:(READ)", "disk-io-error"},
        {"[    2.000000] vda1: rw=0, want=99, limit=98 attempt to access beyond end of device", "disk-io-error"},
        {"modprobe: FATAL: Module nf_tables not found in directory /lib/modules/6.1.0", "module-not-loaded"},
        {"[    1.000000] Loading of module with unavailable key is rejected", "module-not-loaded"},
        {"[    1.000000] EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none.", "-"},
        {"[    1.000000] systemd[1]: Detected architecture x86-64.", "-"},
    };
    check_rules(rows);
}

TEST_CASE("initramfs: initramfs-tools, dracut, mkinitcpio, mkinitfs, klibc and Ignition") {
    const Row rows[] = {
        {"ALERT!  UUID=1111-2222 does not exist.  Dropping to a shell!", "root-device-missing"},
        {"Gave up waiting for root file system device.  Common problems:", "root-device-missing"},
        {"[  130.123456] dracut-initqueue[312]: Warning: /dev/disk/by-uuid/1111 does not exist", "root-device-missing"},
        {"[  130.123456] dracut-initqueue[312]: Warning: dracut-initqueue timeout - starting timeout scripts",
         "dracut-timeout"},
        {"ERROR: device 'UUID=1111' not found. Skipping fsck.", "root-device-missing"},
        {"mount: mounting /dev/vda3 on /sysroot failed: No such file or directory", "root-device-missing"},
        {"mount: mounting /dev/vda1 on /root failed: Invalid argument", "root-device-missing"},
        {"  Volume group \"vg0\" not found", "volume-group-missing"},
        {"  Cannot process volume group rhel", "volume-group-missing"},
        {"/dev/vda1: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.", "fsck-needed"},
        {"fsck exited with status code 4", "fsck-needed"},
        {"fsck exited with status code 1", "-"},
        {"Please enter passphrase for disk luks-1 (root): ", "passphrase-wanted"},
        {"Please unlock disk vda3_crypt: ", "passphrase-wanted"},
        {"systemd[1]: Failed to switch root: Specified switch root path does not seem to be an OS tree",
         "no-operating-system"},
        {"(initramfs) ", "initramfs-shell"},
        {"(initramfs) ls", "-"},
        {"dracut:/# ", "initramfs-shell"},
        {"[rootfs ~]# ", "initramfs-shell"},
        {"Generating \"/run/initramfs/rdsosreport.txt\"", "dracut-emergency"},
        {"ignition[612]: failed to fetch config: unsupported config version", "ignition-failed"},
        {"ignition[612]: Ignition finished successfully", "-"},
    };
    check_rules(rows);
}

TEST_CASE("units that fail are told by what they are for, in the words of systemd 208 to 257") {
    const Row rows[] = {
        // systemd 208-248 name a unit by its description, later ones by both.
        {"[FAILED] Failed to start Raise network interfaces.", "network-unit-failed"},
        {"[FAILED] Failed to start networking.service - Raise network interfaces.", "network-unit-failed"},
        {"[FAILED] Failed to start LSB: Bring up/down networking.", "network-unit-failed"},
        {"[FAILED] Failed to start network.service - LSB: Bring up/down networking.", "network-unit-failed"},
        {"[FAILED] Failed to start Network Service.", "network-unit-failed"},
        {"[FAILED] Failed to start systemd-networkd.service - Network Configuration.", "network-unit-failed"},
        {"[FAILED] Failed to start Network Manager.", "network-unit-failed"},
        {"[FAILED] Failed to start NetworkManager-wait-online.service - Network Manager Wait Online.",
         "network-unit-failed"},
        {"[FAILED] Failed to start Wait for Network to be Configured.", "network-unit-failed"},
        {"[FAILED] Failed to start systemd-networkd-wait-online.service - Wait for Network to be Configured.",
         "network-unit-failed"},
        {"[FAILED] Failed to start systemd-networkd-w…ce - Wait for Network to be Online.", "network-unit-failed"},
        {"[FAILED] Failed to start wicked managed network interfaces.", "network-unit-failed"},
        {"[FAILED] Failed to start ifup for eth0.", "network-unit-failed"},
        {"[FAILED] Failed to start LSB: Configure network interfaces and set up routing.", "network-unit-failed"},
        // What only has the network in its name is not the network.
        {"[FAILED] Failed to start Network Time Service.", "unit-failed"},
        {"[FAILED] Failed to start systemd-timesyncd.service - Network Time Synchronization.", "unit-failed"},
        {"[FAILED] Failed to start Network Name Resolution.", "unit-failed"},
        {"[FAILED] Failed to start systemd-resolved.service - Network Name Resolution.", "unit-failed"},
        {"[FAILED] Failed to start nfs-client.target - Network File System client.", "unit-failed"},
        {"[FAILED] Failed to start snmpd.service - Simple Network Management Protocol (SNMP) Daemon.", "unit-failed"},
        {"[FAILED] Failed to start Apply the settings specified in cloud-config.", "cloud-init-unit-failed"},
        {"[FAILED] Failed to start cloud-config.service - Apply the settings specified in cloud-config.",
         "cloud-init-unit-failed"},
        {"[FAILED] Failed to start cloud-config.service - Cloud-init: Config Stage.", "cloud-init-unit-failed"},
        {"[FAILED] Failed to start Execute cloud user/final scripts.", "cloud-init-unit-failed"},
        {"[FAILED] Failed to start cloud-final.service - Execute cloud user/final scripts.", "cloud-init-unit-failed"},
        {"[FAILED] Failed to start Initial cloud-init job (metadata service crawler).", "cloud-init-unit-failed"},
        {"[FAILED] Failed to start cloud-init-local.service - Initial cloud-init job (pre-networking).",
         "cloud-init-unit-failed"},
        {"[FAILED] Failed to start Remount Root and Kernel File Systems.", "mount-failed"},
        {"[FAILED] Failed to start systemd-remount-fs.service - Remount Root and Kernel File Systems.", "mount-failed"},
        {"[FAILED] Failed to start systemd-fsck@dev-vdb1.service - File System Check on /dev/vdb1.", "mount-failed"},
        {"[FAILED] Failed to mount /srv.", "mount-failed"},
        {"[FAILED] Failed to mount srv.mount - /srv.", "mount-failed"},
        {"[ TIME ] Timed out waiting for device dev-disk-by\\x2duuid-1.device - /dev/disk/by-uuid/1.",
         "device-timeout"},
        {"systemd[1]: dev-sdb1.device: Job dev-sdb1.device/start timed out.", "device-timeout"},
        {"[DEPEND] Dependency failed for Local File Systems.", "dependency-failed"},
        {"[FAILED] Failed to start nginx.service - A high performance web server.", "unit-failed"},
        {"[FAILED] Failed to listen on dbus.socket.", "unit-failed"},
        {"[FAILED] Failed to start Network Boot Helper.", "unit-failed"},
        {"[  OK  ] Started nginx.service - A high performance web server.", "-"},
        {"         Starting networking.service - Raise network interfaces...", "-"},
    };
    check_rules(rows);
}

TEST_CASE("the end of a boot in words of systemd, System V, OpenRC, BusyBox and cloud-init") {
    const Row rows[] = {
        {"You are in emergency mode. After logging in, type \"journalctl -xb\"", "emergency-shell"},
        {"[  OK  ] Reached target emergency.target - Emergency Mode.", "emergency-shell"},
        {"Cannot open access to console, the root account is locked.", "emergency-shell"},
        {"Give root password for maintenance", "emergency-shell"},
        {"(or press Control-D to continue): ", "emergency-shell"},
        {"[  OK  ] Reached target rescue.target - Rescue Mode.", "rescue-shell"},
        {"systemd[1]: Freezing execution.", "init-frozen"},
        {"[!!!!!!] Failed to allocate manager object, freezing.", "init-frozen"},
        {"INIT: No inittab file found", "init-misconfigured"},
        {"Enter runlevel: ", "init-misconfigured"},
        {"INIT: Id \"s0\" respawning too fast: disabled for 5 minutes", "respawning"},
        {" * ERROR: networking failed to start", "openrc-service-failed"},
        {"mountroot> ", "mountroot-prompt"},
        {"Mounting from ufs:/dev/ada0p2 failed with error 19.", "mountroot-prompt"},
        {"cloud-init[612]: 2026-01-01 00:00:00,000 - util.py[WARNING]: Failed loading yaml blob",
         "cloud-config-invalid"},
        {"cloud-init[612]: schema.py[WARNING]: Invalid cloud-config provided: Please run 'sudo cloud-init schema'",
         "cloud-config-invalid"},
        {"cloud-init[612]: 2026-01-01 - cc_scripts_user.py[WARNING]: Running module scripts-user (<module x>) failed",
         "cloud-init-error"},
        {"[   20.0] cloud-init[612]: Datasource DataSourceNone.  Up 20.0 seconds", "no-datasource"},
        {"No DHCPOFFERS received.", "no-dhcp-lease"},
        {"udhcpc: no lease, failing", "no-dhcp-lease"},
        {"Cannot find device \"eth0\"", "interface-missing"},
        {"ERROR    : [/etc/sysconfig/network-scripts/ifup-eth] Device eth0 does not seem to be present, delaying "
         "initialization.",
         "interface-missing"},
        {"Press Enter to continue", "waits-for-key"},
        {"Press any key to proceed", "waits-for-key"},
        {"sshd: no hostkeys available -- exiting.", "no-ssh-host-keys"},
        {"vm2oci-init: the program ended with exit code 0", "program-ended"},
        {"vm2oci-init: the program ended with exit code 1", "program-failed"},
        {"vm2oci-init: the program ended with exit code 01", "program-failed"},
        {"vm2oci-init: unhealthy: curl: (7) Failed to connect", "unhealthy"},
        // A service's log is not the kernel, nor a boot loader.
        {"web[812]: error: no such device: x", "-"},
        {"app[77]: Kernel panic - not syncing, I would say", "-"},
        {"kernel[1]: Kernel panic - not syncing: x", "-"},
        {"postgres[90]: FATAL: could not write: No space left on device", "-"},
    };
    check_rules(rows);
}

TEST_CASE("how far a boot is, by the lines of eighteen systems") {
    struct Mark {
        const char* line;
        std::optional<Milestone> milestone;
    };
    const Mark marks[] = {
        {"SeaBIOS (version rel-1.16.2-0-gea1b7a0)", Milestone::firmware},
        {"UEFI firmware (version 2024.02)", Milestone::firmware},
        {"BdsDxe: starting Boot0001 \"UEFI Misc Device\"", Milestone::firmware},
        {"GRUB loading.", Milestone::boot_loader},
        {"Welcome to GRUB!", Milestone::boot_loader},
        {"  GNU GRUB  version 2.06", Milestone::boot_loader},
        {"  Booting `Debian GNU/Linux'", Milestone::boot_loader},
        {"Booting `Debian GNU/Linux'", Milestone::boot_loader},
        {"SYSLINUX 6.04 EDD", Milestone::boot_loader},
        {"EXTLINUX 6.04 EDD", Milestone::boot_loader},
        {">> FreeBSD/x86 BOOT", Milestone::boot_loader},
        {"[    0.000000] Linux version 6.1.0-18-amd64", Milestone::kernel},
        {"[    0.512345] pci 0000:00:02.0: reg 0x10", Milestone::kernel},
        {"EFI stub: Loaded initrd from LINUX_EFI_INITRD_MEDIA_GUID device path", Milestone::kernel},
        {"Copyright (c) 1992-2021 The FreeBSD Project.", Milestone::kernel},
        {"Loading, please wait...", Milestone::initramfs},
        {"Begin: Running /scripts/init-premount ... done.", Milestone::initramfs},
        {"[    1.000000] dracut: rd.luks=0: removing cryptoluks activation", Milestone::initramfs},
        {"[    1.000000] systemd[1]: Running in initrd.", Milestone::initramfs},
        {"[    1.000000] systemd[1]: Running in initial RAM disk.", Milestone::initramfs},
        {"Welcome to Rocky Linux 9.3 dracut-057-44 (Initramfs)!", Milestone::initramfs},
        {"Welcome to openSUSE Leap 15.5 dracut-055 (Initramfs)!", Milestone::initramfs},
        {"Alpine Init 3.8.1-r0", Milestone::initramfs},
        {":: running early hook [udev]", Milestone::initramfs},
        {"[  OK  ] Reached target Switch Root.", Milestone::init},
        {"[  OK  ] Reached target initrd-switch-root.target - Switch Root.", Milestone::init},
        {"Welcome to Red Hat Enterprise Linux 8.9 (Ootpa)!", Milestone::init},
        {"Welcome to CentOS Linux 7 (Core)!", Milestone::init},
        {"INIT: version 2.86 booting", Milestone::init},
        {"OpenRC 0.52.1 is starting up Linux 6.6 (x86_64)", Milestone::init},
        {"procd: - early -", Milestone::init},
        {"- runit: $Id: 25da3b86f7bed4038b8a039d2f8e8c9bbcf0822b $: booting.", std::nullopt},
        {"- runit: enter stage: /etc/runit/1", Milestone::init},
        {"vm2oci-init: starting /usr/bin/app", Milestone::init},
        {"vm2oci-init: healthy after 3 s", Milestone::system},
        {"bound to 10.0.2.15 -- renewal in 38000 seconds.", Milestone::network},
        {"udhcpc: lease of 10.0.2.15 obtained from 10.0.2.2, lease time 86400", Milestone::network},
        {"ci-info: | enp1s0 |  True  |         10.0.2.15            |", Milestone::network},
        {"ci-info: | eth0 | False |     .     |", std::nullopt},
        {"[  OK  ] Reached target network-online.target - Network is Online.", Milestone::network},
        {"[  OK  ] Reached target Multi-User System.", Milestone::system},
        {"[  OK  ] Reached target graphical.target - Graphical Interface.", Milestone::system},
        {"[   12.0] cloud-init[700]: Cloud-init v. 22.4.2 finished at Mon, 01 Jan 2026", Milestone::cloud_init},
        {"Cloud-init v. 22.4.2 running 'modules:final' at Mon", std::nullopt},
        {"web login: root (automatic login)", Milestone::login},
        {"Please press Enter to activate this console.", Milestone::login},
        {"EVENT: The CMD command is now available.", Milestone::login},
        {"nothing of interest", std::nullopt},
        {"", std::nullopt},
    };
    for (const Mark& mark : marks) {
        CAPTURE(mark.line);
        const auto found = milestone_of_line(mark.line);
        CHECK((found ? to_string(*found) : "none") == (mark.milestone ? to_string(*mark.milestone) : "none"));
    }
    std::set<std::string_view> names;
    std::set<std::string_view> shown;
    for (int i = 0; i <= static_cast<int>(Milestone::login); ++i) {
        CHECK(names.insert(to_string(static_cast<Milestone>(i))).second);
        CHECK(shown.insert(display_name(static_cast<Milestone>(i))).second);
    }
}

TEST_CASE("menus that wait, questions that wait, and what only ends like one") {
    for (const char* line : {"Use the ^ and v keys to select which entry is highlighted.",
                             "   Press enter to boot the selected OS, `e' to edit the commands",
                             "Press [Tab] to edit options", "Boot Menu: 1. linux"}) {
        CAPTURE(line);
        CHECK(is_boot_menu(line));
        CHECK_FALSE(leaves_boot_menu(line));
    }
    CHECK_FALSE(is_boot_menu("The Boot Menu: of the day"));
    CHECK(leaves_boot_menu("  Booting `Debian GNU/Linux'"));
    CHECK(leaves_boot_menu("  Booting a command list"));
    CHECK_FALSE(leaves_boot_menu("Booting the kernel"));
    for (const char* prompt :
         {"Enter new UNIX password: ", "Continue? ", "Select [1-4] ", "Is this right (y/n)", "name>"})
        CHECK(asks_for_input(prompt));
    for (const char* text :
         {"", ":", "? ", "[    1.000000] pci: ", "sshd[812]: why?", "Last login: ", "done.", "Starting sshd ..."})
        CHECK_FALSE(asks_for_input(text));
}
