#!/usr/bin/env bash
# fedora_like_disk.sh boot-ext4|boot-subvolume TREE DISK [boots]: a disk as Fedora's cloud images are laid out, with the files of
# TREE (a Debian's: kernels and programs of Fedora cannot be had) under what such a system keeps: os-release, the
# database of rpm, boot entries, an initrd for this machine alone, network profiles, SELinux labels.
#
#   boot-ext4       GPT: ESP, /boot on ext4, btrfs with the subvolumes root, home and var, compressed by zstd:1
#   boot-subvolume  GPT: ESP, btrfs with the subvolumes root, boot, home and var
#
# With "boots" boot-ext4 starts by GRUB: by the entry of its menu (Debian's GRUB reads no others), by BIOS and by UEFI.
#
# Needs root, for loop devices, and a kernel that mounts btrfs. TREE is not changed. Works in the current folder.
set -euo pipefail
kind=$1 tree=$(realpath "$2") disk=$3 boots=${4:-}
# shellcheck source=like_disk_parts.sh
source "$(dirname "$0")/like_disk_parts.sh"
uuid_root=$(new_uuid)
uuid_boot=$(new_uuid)
machine=7dcb1f1e0a3b4c5d8e9f00112233e199
case $kind in
    boot-ext4) version=41 ;;
    boot-subvolume) version=44 ;;
    *) echo "fedora_like_disk.sh: $kind is no kind" >&2 && exit 2 ;;
esac
name="Fedora Linux $version (Cloud Edition)"

# Where everything lies, in MiB.
esp_at=1 esp_size=100 boot_at=101 boot_size=400 root_at=501 root_size=2000
truncate -s $((root_at + root_size + 2))M "$disk"
printf 'label: gpt\nstart=%dMiB,size=%dMiB,type=U\nstart=%dMiB,size=%dMiB,type=L\nstart=%dMiB,size=%dMiB,type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n' \
    $esp_at $esp_size $boot_at $boot_size $root_at $root_size | sfdisk -q "$disk"
make_esp $esp_at $esp_size fedora FEDAB007 "$uuid_boot" /grub2
install_bios_grub "$uuid_boot" /grub2
[[ $kind != boot-ext4 ]] || at $boot_at $boot_size mke2fs -q -t ext4 -O ^metadata_csum_seed,^orphan_file -U "$uuid_boot" -L boot # as GRUB 2.06 reads it

loop_at $root_at $root_size
mkfs.btrfs -q -f -L fedora -U "$uuid_root" "$loop"
mount "$loop" "$point"
subvolumes=(root home var)
[[ $kind == boot-ext4 ]] || subvolumes+=(boot)
for subvolume in "${subvolumes[@]}"; do btrfs -q subvolume create "$point/$subvolume"; done
umount "$point"
mount -o subvol=root,compress=zstd:1 "$loop" "$point"
mkdir "$point/home" "$point/var" "$point/boot"
mount -o subvol=home,compress=zstd:1 "$loop" "$point/home"
mount -o subvol=var,compress=zstd:1 "$loop" "$point/var"
if [[ $kind == boot-ext4 ]]; then
    mount_part $boot_at $boot_size "$point/boot"
else
    mount -o subvol=boot "$loop" "$point/boot"
fi
cp -a "$tree/." "$point/"

cd "$point"
become "Fedora Linux" "$version" fedora "" "$name"
printf 'Fedora release %s\n' "$version" > etc/fedora-release
printf '%s\n' $machine > etc/machine-id
add_room_unit
{
    for pair in "/ root" "/home home" "/var var"; do
        printf 'UUID=%s %s btrfs subvol=%s,compress=zstd:1 0 0\n' "$uuid_root" "${pair% *}" "${pair#* }"
    done
    if [[ $kind == boot-ext4 ]]; then
        printf 'UUID=%s /boot ext4 defaults 1 2\n' "$uuid_boot"
    else
        printf 'UUID=%s /boot btrfs subvol=boot 0 0\n' "$uuid_root"
    fi
    printf 'UUID=FEDA-B007 /boot/efi vfat umask=0077,shortname=winnt 0 2\n'
} > etc/fstab
mkdir -p etc/selinux/targeted etc/NetworkManager/system-connections home/fedora
printf 'in a subvolume\n' > home/fedora/note
printf 'SELINUX=enforcing\nSELINUXTYPE=targeted\n' > etc/selinux/config
printf '[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n[ipv4]\nmethod=auto\n' \
    > etc/NetworkManager/system-connections/ens192.nmconnection
chmod 600 etc/NetworkManager/system-connections/ens192.nmconnection
kernel=$(basename "$(ls -d usr/lib/modules/*)")
rm -f boot/initrd.img-* boot/config-* boot/System.map-*
make_host_only_initrd "$kernel" "$PWD/boot/initramfs-$kernel.img"
mkdir -p boot/efi boot/grub2 boot/loader/entries
printf 'title %s (%s)\nversion %s\nlinux /vmlinuz-%s\ninitrd /initramfs-%s.img\noptions root=UUID=%s ro rootflags=subvol=root no_timer_check console=tty1\n' \
    "$name" "$kernel" "$kernel" "$kernel" "$kernel" "$uuid_root" > "boot/loader/entries/$machine-$kernel.conf"
printf 'insmod blscfg\nblscfg\n' > boot/grub2/grub.cfg
[[ -z $boots ]] || printf "set default=0\nset timeout=0\nsearch.fs_uuid %s root\nmenuentry '%s' {\n  linux /vmlinuz-%s root=UUID=%s ro rootflags=subvol=root\n  initrd /initramfs-%s.img\n}\n" \
    "$uuid_boot" "$name" "$kernel" "$uuid_root" "$kernel" > boot/grub2/grub.cfg
printf '# GRUB Environment Block\nsaved_entry=%s-%s\n' $machine "$kernel" > boot/grub2/grubenv
cd ..
make_rpm_database "$point/usr/lib/sysimage/rpm" "fc$version"
setcap cap_net_raw+ep "$point/usr/bin/env"
label "$point"
umount -R "$point"
release_loop
