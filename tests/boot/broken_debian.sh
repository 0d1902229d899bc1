#!/usr/bin/env bash
# The real Debian disk, broken in some twenty ways: each verdict is no, for the right reason, with its time. Half an hour
# of emulation, so it has no CTest entry:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/boot/broken_debian.sh [CASE…]
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq qemu-img debugfs qemu-system-x86_64 cpio
cases=("$@")
qemu-img convert -O raw "$(debian_disk --format qcow2)" good.raw
root_offset=$((128 << 20))
failures=0

edit() { debugfs -w -f /dev/stdin "broken.raw?offset=$root_offset" > debugfs.log 2>&1; }
read_file() { debugfs -R "cat $1" "broken.raw?offset=$root_offset" 2> debugfs.log; }
# replace_file GUEST_PATH: with standard input, as a plain 0755 file.
replace_file() {
    cat > new-file
    printf 'rm %s\nwrite new-file %s\nset_inode_field %s mode 0100755\n' "$1" "$1" "$1" | edit
}
edit_grub() { read_file /boot/grub/grub.cfg | sed "$1" | replace_file /boot/grub/grub.cfg; }
names_in_boot() { debugfs -R 'ls -p /boot' "broken.raw?offset=$root_offset" 2> debugfs.log | cut -d/ -f6 | grep "^$1"; }
# unit NAME TEXT [WANTED_BY]: a systemd unit, enabled.
unit() {
    printf '%s' "$2" > new-unit
    printf 'write new-unit /etc/systemd/system/%s\nmkdir /etc/systemd/system/%s.wants\nsymlink /etc/systemd/system/%s.wants/%s /etc/systemd/system/%s\n' \
        "$1" "${3:-multi-user.target}" "${3:-multi-user.target}" "$1" "$1" | edit
}

# broken NAME RULES COMMAND…: breaks a fresh copy with COMMAND, boots it, expects one of RULES (a regular expression).
broken() {
    local name=$1 rules=$2 status=0
    shift 2
    if [[ ${#cases[@]} -gt 0 && ! " ${cases[*]} " == *" $name "* ]]; then
        return
    fi
    cp --sparse=always --reflink=auto good.raw broken.raw
    "$@"
    nice "$VM2OCI" boot raw:broken.raw --json --accel tcg --timeout 5m "${boot_options[@]}" > stdout 2> stderr || status=$?
    local rule
    rule=$(jq -r '.verdict.rule' stdout)
    printf '%-24s exit %d  %-26s %s\n' "$name" "$status" "$rule" "$(jq -r '(.elapsed.cpu_ms / 1000 | tostring) + " CPU-s"' stdout)"
    if [[ $status -ne 4 || ! $rule =~ ^($rules)$ ]]; then
        printf '  expected %s: %s\n' "$rules" "$(jq -r '.summary + " | " + .last_line' stdout)"
        failures=$((failures + 1))
    fi
}
boot_options=()

blank() { truncate --size 0 broken.raw && truncate --size 1G broken.raw; }
broken blank-disk 'no-boot-sector' blank
# The disk boots by UEFI too, and without code in its boot sector that is what it is booted by.
boot_options=(--firmware bios)
no_boot_code() { dd if=/dev/zero of=broken.raw bs=440 count=1 conv=notrunc status=none; }
broken no-boot-code 'boot-sector-hangs' no_boot_code
boot_options=()
no_grub_core() { dd if=/dev/zero of=broken.raw bs=1M seek=1 count=3 conv=notrunc status=none; }
broken no-grub-core 'boot-sector-hangs|silent-console|reboot-loop|boot-disk-error' no_grub_core
no_grub_modules() { printf 'rm /boot/grub/i386-pc/normal.mod\n' | edit; }
broken no-grub-modules 'boot-file-missing|grub-rescue' no_grub_modules
no_grub_config() { printf 'rm /boot/grub/grub.cfg\n' | edit; }
broken no-grub-config 'grub-prompt' no_grub_config
no_kernel() { printf 'rm /boot/%s\n' "$(names_in_boot vmlinuz)" | edit; }
broken no-kernel 'boot-file-missing' no_kernel
kernel_garbage() { head -c 3M /dev/urandom | replace_file "/boot/$(names_in_boot vmlinuz)"; }
broken kernel-garbage 'kernel-not-bootable' kernel_garbage
kernel_of_arm() { printf 'MZ\0\0ARM64 kernel%1048576s' '' | replace_file "/boot/$(names_in_boot vmlinuz)"; }
broken kernel-of-arm64 'kernel-not-bootable' kernel_of_arm
no_initrd() { printf 'rm /boot/%s\n' "$(names_in_boot initrd)" | edit; }
broken no-initrd 'boot-file-missing|root-not-mounted' no_initrd
initrd_line_gone() { edit_grub '/^[[:space:]]*initrd/d'; }
broken initrd-not-loaded 'root-not-mounted' initrd_line_gone
initrd_garbage() { head -c 3M /dev/urandom | replace_file "/boot/$(names_in_boot initrd)"; }
broken initrd-garbage 'root-not-mounted|initramfs-corrupt' initrd_garbage
wrong_root() { edit_grub 's/root=UUID=[0-9a-f-]*/root=UUID=00000000-0000-4000-8000-000000000000/'; }
broken wrong-root-uuid 'root-device-missing' wrong_root
boot_options=(--disk-bus sata)
ahci_blacklisted() { edit_grub 's/root=UUID/modprobe.blacklist=ahci,ata_piix root=UUID/'; }
broken no-disk-driver 'root-device-missing' ahci_blacklisted
boot_options=()
# The initrd of another machine. On KubeVirt's virtio it finds no disk; left to itself, vm2oci gives it SATA and says so.
no_virtio() {
    local name
    name=/boot/$(names_in_boot initrd)
    rm -rf initrd-tree && mkdir initrd-tree
    read_file "$name" | gzip -dc | cpio --quiet --extract --make-directories --directory=initrd-tree
    find initrd-tree -name 'virtio*.ko*' -delete
    (cd initrd-tree && find . | cpio --quiet --create --format=newc) | gzip -1 | replace_file "$name"
}
boot_options=(--disk-bus virtio)
broken no-virtio-in-initrd 'root-device-missing' no_virtio
boot_options=()
if [[ ${#cases[@]} -eq 0 || " ${cases[*]} " == *" no-virtio-in-initrd "* ]]; then
    expect_exit 0 nice "$VM2OCI" boot raw:broken.raw --json --accel tcg --timeout 5m
    expect_equal sata "$(jq -r .machine.disk_bus stdout)" 'the bus that such a guest gets'
    expect_match 'does not find its disk on virtio' "$(cat stderr)" 'what is said about it'
fi
emergency() { edit_grub 's/root=UUID/systemd.unit=emergency.target root=UUID/'; }
broken emergency-target 'emergency-shell' emergency
rescue() { edit_grub 's/root=UUID/systemd.unit=rescue.target root=UUID/'; }
broken rescue-target 'rescue-shell|emergency-shell' rescue
no_init() { printf 'rm /sbin/init\nrm /usr/sbin/init\nrm /lib/systemd/systemd\nrm /usr/lib/systemd/systemd\nrm /bin/sh\nrm /usr/bin/sh\n' | edit; }
broken no-init 'no-init' no_init
init_replaced() { edit_grub 's/root=UUID/init=\/usr\/bin\/false root=UUID/'; }
broken init-replaced 'init-died' init_replaced
fstab_device() { { read_file /etc/fstab; printf '/dev/sdb1 /data ext4 defaults,x-systemd.device-timeout=10s 0 2\n'; } | replace_file /etc/fstab; }
broken fstab-of-old-machine 'device-timeout' fstab_device
failing_unit() { unit erp.service $'[Unit]\nDescription=ERP\n[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n'; }
broken failing-unit 'unit-failed' failing_unit
panic() { unit crash.service $'[Unit]\nDescription=Crash\n[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo c > /proc/sysrq-trigger"\n'; }
broken panic 'kernel-oops|kernel-panic|fatal-oops' panic
reboots() { unit again.service $'[Unit]\nDescription=Again\nDefaultDependencies=no\n[Service]\nType=oneshot\nExecStart=/bin/systemctl reboot -ff\n' sysinit.target; }
broken reboot-loop 'reboot-loop' reboots
superblock() { dd if=/dev/zero of=broken.raw bs=1024 seek=$((root_offset / 1024 + 1)) count=1 conv=notrunc status=none; }
broken corrupt-superblock 'grub-device-missing|root-device-missing|grub-rescue' superblock
no_console() { edit_grub 's/console=ttyS0,115200n8//'; printf 'rm /etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service\n' | edit; }
broken no-serial-console 'silent-console|stalled' no_console
full_disk() {
    local free
    free=$(dumpe2fs -h "broken.raw?offset=$root_offset" 2> debugfs.log | sed -n 's/^Free blocks: *//p')
    # All but some blocks belong to a file that nobody has written.
    printf 'set_super_value r_blocks_count 0\nwrite /dev/null /filler\nfallocate /filler 0 %d\n' $((free - 30)) | edit
}
broken full-disk 'disk-full|unit-failed|cloud-init-unit-failed' full_disk

[[ $failures -eq 0 ]] || fail "$failures cases were judged wrong"
