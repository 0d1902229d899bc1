#!/usr/bin/env bash
# suse_like_disk.sh sles15|leap-mbr TREE DISK [boots]: a disk as YaST lays it out, with the files of TREE (a Debian's: kernels
# and programs of SUSE cannot be had) under what such a system keeps: os-release, the database of rpm, snapper's
# snapshots, GRUB's menu, an initrd for this machine alone, wicked's network configuration.
#
#   sles15    GPT: a partition for GRUB, btrfs, swap; snapper's first snapshot is the default subvolume
#   leap-mbr  MBR: btrfs, swap; after a rollback: the default subvolume is the fourth snapshot
#
# With "boots" it starts by GRUB, by BIOS.
#
# Needs root, for loop devices, and a kernel that mounts btrfs. TREE is not changed. Works in the current folder.
set -euo pipefail
kind=$1 tree=$(realpath "$2") disk=$3 boots=${4:-}
# shellcheck source=like_disk_parts.sh
source "$(dirname "$0")/like_disk_parts.sh"
uuid_root=$(new_uuid) uuid_swap=$(new_uuid)
case $kind in
    sles15) id=sles version=15.5 name="SUSE Linux Enterprise Server 15 SP5" current=1 ;;
    leap-mbr) id=opensuse-leap version=15.6 name="openSUSE Leap 15.6" current=4 ;;
    *) echo "suse_like_disk.sh: $kind is no kind" >&2 && exit 2 ;;
esac

# Where everything lies, in MiB.
root_at=9 root_size=2000 swap_at=2009 swap_size=128
# What boots is grown, too: the root lies last, as in SUSE's own images for clouds.
[[ -z $boots ]] || swap_at=9 root_at=137
truncate -s $((9 + root_size + swap_size + 2))M "$disk"
if [[ $kind == sles15 ]]; then
    printf 'label: gpt\nstart=1MiB,size=8MiB,type=21686148-6449-6E6F-744E-656564454649\nstart=%dMiB,size=%dMiB,type=L\nstart=%dMiB,size=%dMiB,type=S\n' \
        $root_at $root_size $swap_at $swap_size | sfdisk -q "$disk"
else
    printf 'label: dos\nstart=%dMiB,size=%dMiB,type=83,bootable\nstart=%dMiB,size=%dMiB,type=82\n' \
        $root_at $root_size $swap_at $swap_size | sfdisk -q "$disk"
fi
at $swap_at $swap_size mkswap -U "$uuid_swap" > /dev/null
# SUSE's GRUB finds its folder in the default subvolume, Debian's by its whole path.
snapshot_path=/@/.snapshots/$current/snapshot
install_bios_grub "$uuid_root" "$snapshot_path/boot/grub2"

loop_at $root_at $root_size
mkfs.btrfs -q -f -U "$uuid_root" "$loop"
mount "$loop" "$point"
btrfs -q subvolume create "$point/@"
mkdir -p "$point/@/usr" "$point/@/boot/grub2"
places=(home opt root srv tmp usr/local var boot/grub2/i386-pc boot/grub2/x86_64-efi)
for place in "${places[@]}"; do btrfs -q subvolume create "$point/@/$place"; done
chattr +C "$point/@/var"
btrfs -q subvolume create "$point/@/.snapshots"
mkdir "$point/@/.snapshots/1"
btrfs -q subvolume snapshot "$point/@" "$point/@/.snapshots/1/snapshot"
umount "$point"

mount_guest() { # SNAPSHOT
    local place
    mount -o "subvol=@/.snapshots/$1/snapshot" "$loop" "$point"
    for place in .snapshots "${places[@]}"; do
        mkdir -p "$point/$place"
        mount -o "subvol=/@/$place" "$loop" "$point/$place"
    done
}
mount_guest 1
cp -a "$tree/." "$point/"
cd "$point"
become "${name%% 1*}" "$version" "$id" suse "$name"
printf '4dcb1f1e0a3b4c5d8e9f00112233e5e5\n' > etc/machine-id
add_room_unit
{
    printf 'UUID=%s / btrfs defaults 0 0\n' "$uuid_root"
    for place in var usr/local tmp srv root opt home boot/grub2/x86_64-efi boot/grub2/i386-pc .snapshots; do
        printf 'UUID=%s /%s btrfs subvol=/@/%s 0 0\n' "$uuid_root" $place $place
    done
    printf 'UUID=%s swap swap defaults 0 0\n' "$uuid_swap"
} > etc/fstab
rm -rf etc/network etc/netplan
mkdir -p etc/sysconfig/network home/geeko
printf "BOOTPROTO='dhcp'\nSTARTMODE='auto'\nZONE=''\n" > etc/sysconfig/network/ifcfg-eth0
printf "BOOTPROTO='none'\nSTARTMODE='auto'\n" > etc/sysconfig/network/ifcfg-lo
printf 'NETCONFIG_DNS_POLICY="auto"\n' > etc/sysconfig/network/config
printf 'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="00:50:56:9a:12:34", ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"\n' \
    > etc/udev/rules.d/70-persistent-net.rules
printf 'in a subvolume\n' > home/geeko/note
kernel=$(basename "$(ls -d usr/lib/modules/*)")
rm -f boot/initrd.img-* boot/config-* boot/System.map-*
make_host_only_initrd "$kernel" "$PWD/boot/initrd-$kernel"
ln -s "vmlinuz-$kernel" boot/vmlinuz
ln -s "initrd-$kernel" boot/initrd
# shellcheck disable=SC2016  # GRUB's variables
printf 'set btrfs_relative_path="y"\nset default="${saved_entry}"\nmenuentry "%s" --id simple {\n  linux /boot/vmlinuz-%s root=UUID=%s ${extra_cmdline} splash=silent quiet\n  initrd /boot/initrd-%s\n}\n' \
    "$name" "$kernel" "$uuid_root" "$kernel" > boot/grub2/grub.cfg
[[ -z $boots ]] || sed -i -e "s, /boot/, $snapshot_path/boot/,g" -e '1i set timeout=0' boot/grub2/grub.cfg
printf '# GRUB Environment Block\n' > boot/grub2/grubenv
: > boot/grub2/i386-pc/normal.mod
cd ..
make_rpm_database suse-database "lp${version/./}"
mkdir -p "$point/usr/lib/sysimage/rpm"
"$(dirname "$0")/rpm_to_ndb.py" suse-database/rpmdb.sqlite "$point/usr/lib/sysimage/rpm/Packages.db"
rm -r suse-database
ln -s ../../usr/lib/sysimage/rpm "$point/var/lib/rpm"

# What snapper and a rollback leave.
snapshot() { # NUMBER OF [OPTION]
    mkdir "$point/.snapshots/$1"
    printf '<?xml version="1.0"?>\n<snapshot><type>single</type><num>%d</num></snapshot>\n' "$1" > "$point/.snapshots/$1/info.xml"
    btrfs -q subvolume snapshot ${3:+"$3"} "$point/.snapshots/$2/snapshot" "$point/.snapshots/$1/snapshot"
}
printf 'of the first day\n' > "$point/etc/issue.d-first"
snapshot 2 1 -r
rm "$point/etc/issue.d-first"
[[ $current == 1 ]] || { snapshot 3 1 -r && snapshot 4 2; }
printf '%d\n' "$current" > "$point/.snapshots/$current/snapshot/etc/snapshot-number"
[[ $current == 1 ]] || printf '1\n' > "$point/.snapshots/1/snapshot/etc/snapshot-number"
btrfs -q subvolume set-default "$point/.snapshots/$current/snapshot"
umount -R "$point"
release_loop
