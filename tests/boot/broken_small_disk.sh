#!/usr/bin/env bash
# The small machine with a disk that does not boot, in many ways: each verdict with its exit code and its rule.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool jq qemu-system-x86_64 grub-mkimage python3 debugfs
make_small_initramfs

step 'a disk that does not boot, in many ways'
small_guest login
dd if=/dev/zero of=small.raw bs=440 count=1 conv=notrunc status=none
boot 4
expect_verdict boot-sector-hangs
small_guest login
debugfs -w -R 'rm /boot/grub/grub.cfg' 'small.raw?offset=1048576' 2> debugfs.log
boot 4
expect_verdict grub-prompt
small_guest login
debugfs -w -R 'rm /boot/vmlinuz' 'small.raw?offset=1048576' 2> debugfs.log
boot 4
expect_verdict boot-file-missing
small_guest login
head -c 2M /dev/urandom > garbage
debugfs -w -R 'rm /boot/vmlinuz' 'small.raw?offset=1048576' 2> debugfs.log
debugfs -w -R 'write garbage /boot/vmlinuz' 'small.raw?offset=1048576' > debugfs.log 2>&1
boot 4
expect_verdict kernel-not-bootable
small_guest login
dd if=/dev/zero of=small.raw bs=1024 seek=1025 count=1 conv=notrunc status=none # the superblock
boot 4
expect_verdict grub-prompt # this GRUB has all that it needs in its core, and says nothing of the file system
small_guest login
debugfs -w -R 'rm /boot/initrd' 'small.raw?offset=1048576' 2> debugfs.log
boot 4
expect_match '^(boot-file-missing|root-not-mounted)$' "$(jq -r .verdict.rule stdout)" 'no initrd'
truncate --size 0 small.raw
truncate --size 64M small.raw
boot 4
expect_verdict no-boot-sector
boot 4 --firmware uefi
expect_match '^(efi-boot-entry-failed|efi-shell|no-bootable-device)$' "$(jq -r .verdict.rule stdout)" 'blank disk, UEFI'
