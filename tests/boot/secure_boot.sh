#!/usr/bin/env bash
# Secure Boot: a disk that is made for UEFI alone and signed (Debian's shim, GRUB and kernel) is booted with the firmware
# that enforces it, without being asked, to its login prompt; and one whose GRUB was changed is refused for that reason.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq qemu-img mcopy qemu-system-x86_64
qemu-img convert -O raw "$(debian_disk --format qcow2)" disk.raw
# The real disk boots by BIOS too, and would: without code in its boot sector it is a disk for UEFI.
dd if=/dev/zero of=disk.raw bs=440 count=1 conv=notrunc status=none

boot() { expect_exit "$1" nice "$VM2OCI" boot raw:disk.raw --json --accel tcg --timeout 10m "${@:2}"; }

step 'signed: the kernel says that Secure Boot is on, and the login prompt comes'
boot 0 --ready login --expect 'secureboot: Secure boot enabled' --expect 'Kernel is locked down from EFI Secure Boot' \
    --ignore no-datasource
expect_equal uefi-secure "$(jq -r .machine.firmware stdout)" 'firmware of a signed disk for UEFI'
expect_match '^[0-9]+$' "$(jq '.milestones[] | select(.name == "login") | .at.cpu_ms' stdout)" 'the login prompt'
jq -r '"   " + .summary' stdout

step 'a GRUB that was changed: refused, and that is the reason'
esp=disk.raw@@$((4 << 20))
mcopy -i "$esp" ::EFI/BOOT/grubx64.efi grub.efi
printf 'changed' | dd of=grub.efi bs=1 seek=$((512 << 10)) conv=notrunc status=none
mcopy -o -i "$esp" grub.efi ::EFI/BOOT/grubx64.efi
boot 4
expect_equal uefi-secure "$(jq -r .machine.firmware stdout)" 'firmware of a disk whose shim is still signed'
expect_equal secure-boot-refused "$(jq -r .verdict.rule stdout)" \
    "rule of the verdict ($(jq -r '.summary + " | " + .last_line' stdout))"
jq -r '"   " + .summary' stdout
