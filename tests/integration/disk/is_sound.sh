#!/usr/bin/env bash
# The real disk on which other tests build is what it claims to be: clean container, tables and file systems, the boot
# code for BIOS in its place, the files for UEFI, GRUB and the console, and nobody who can log in.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img sgdisk e2fsck debugfs mdir python3

disk=$(debian_disk)
qemu-img check "$disk" > check.log || fail "$(cat check.log)"
qemu-img convert -O raw "$disk" disk.raw
expect_equal $((10 << 30)) "$(stat --format %s disk.raw)" 'virtual size'
data_mebibytes=$(du --block-size=1M disk.raw | cut -f1)
((data_mebibytes >= 500 && data_mebibytes <= 800)) || fail "some 600 MiB of data are expected, not $data_mebibytes"

step 'partition table'
sgdisk --verify disk.raw > table.log
grep -q 'No problems found' table.log || fail "$(cat table.log)"
read -r boot_code grub_stage < <(python3 - << 'PYTHON'
import struct
with open("disk.raw", "rb") as disk:
    sector = disk.read(512)
    start = struct.unpack_from("<Q", sector, 0x5C)[0]
    disk.seek(start * 512 + 500)
    following, length = struct.unpack("<QH", disk.read(10))
    print(start, following == start + 1 and length > 20)
PYTHON
)
expect_equal 2048 "$boot_code" 'sector that the boot code loads'
expect_equal True "$grub_stage" 'the place that core.img knows for itself'

step 'root file system'
root="disk.raw?offset=$((128 << 20))"
e2fsck -fn "$root" > e2fsck.log 2>&1 || fail "$(cat e2fsck.log)"
in_root() { debugfs -R "$1" "$root" 2> /dev/null; }
expect_match 'root=UUID=6d0a2f60-8a3e-4c53-9a57-0c1d5b6f7e01 ro console=tty0 console=ttyS0' \
    "$(in_root 'cat /boot/grub/grub.cfg')" 'kernel command line in grub.cfg'
expect_match 'root:\*:' "$(in_root 'cat /etc/shadow')" 'a locked root'
expect_match '^[0-9a-f]{32}$' "$(in_root 'cat /etc/machine-id')" 'machine-id'
expect_match 'security.capability' "$(in_root 'ea_list /usr/bin/ping')" 'capabilities of ping'
for path in /usr/bin/cloud-init /usr/sbin/sshd /etc/ssh/ssh_host_ed25519_key /usr/lib/systemd/systemd; do
    expect_match 'Inode: [0-9]+' "$(in_root "stat $path")" "$path"
done

step 'EFI system partition'
mdir -i disk.raw@@4M -b -/ ::EFI | tr -d '\r' | sort > esp.list
grep -qx '::/EFI/BOOT/BOOTX64.EFI' esp.list || fail "no removable loader: $(cat esp.list)"
grep -qx '::/EFI/debian/grub.cfg' esp.list || fail "no grub.cfg for the signed GRUB: $(cat esp.list)"
