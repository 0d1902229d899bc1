#!/usr/bin/env bash
# make-small-disk.sh OUTPUT.raw INITRAMFS [KERNEL ARGUMENTS]
# A disk that boots in seconds: GRUB for BIOS in the gap behind the MBR, one ext4 partition with the newest kernel of
# /boot, the initramfs and a grub.cfg. GRUB speaks on the serial port.
set -euo pipefail

output=$1 initramfs=$2 arguments=${3:-}
kernels=(/boot/vmlinuz-*)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/boot/grub"
cp "${kernels[-1]}" "$work/root/boot/vmlinuz"
cp "$initramfs" "$work/root/boot/initrd"
cat > "$work/root/boot/grub/grub.cfg" << GRUB
set timeout=0
menuentry 'small guest' {
    linux /boot/vmlinuz console=ttyS0 no_timer_check $arguments
    initrd /boot/initrd
}
GRUB
cat > "$work/early.cfg" << 'GRUB'
set root=(hd0,msdos1)
set prefix=($root)/boot/grub
GRUB

disk_mebibytes=64
rm -f "$output"
truncate --size "${disk_mebibytes}M" "$output"
printf 'label: dos\nlabel-id: 0x76326f63\nstart=2048, type=83, bootable\n' | /sbin/sfdisk --quiet "$output"
/sbin/mke2fs -q -t ext4 -L small -U 76326f63-0000-4000-8000-000000000001 -O ^metadata_csum -d "$work/root" \
    -E offset=1048576 "$output" $(((disk_mebibytes - 1) * 1024))

grub-mkimage --format i386-pc --prefix '(hd0,msdos1)/boot/grub' --config "$work/early.cfg" --output "$work/core.img" \
    biosdisk part_msdos ext2 normal linux configfile serial echo test boot
# boot.img is 440 bytes of code that load sector 1; core.img fills the gap from there on, as grub-install does it. Its
# first sector says where the others are: directly behind it, which is what grub-mkimage writes.
dd if=/usr/lib/grub/i386-pc/boot.img of="$output" bs=440 count=1 conv=notrunc status=none
dd if="$work/core.img" of="$output" bs=512 seek=1 conv=notrunc status=none
