#!/usr/bin/env bash
# el_like_disk.sh el9|el7 TREE DISK [boots]: a disk as installers of Enterprise Linux lay them out, with the files of TREE (a
# Debian's: kernels and programs of theirs cannot be had) under what such a system keeps: os-release, the database of
# rpm, boot entries, an initrd for this machine alone, network profiles by hardware address, SELinux labels.
#
#   el9  GPT: ESP, /boot on xfs, the root (xfs) and swap in a volume group; boot entries as files; sqlite
#   el7  MBR: /boot on xfs, the root (xfs without reflinks and big timestamps) and swap in a volume group; grub.cfg;
#        ifcfg and persistent net rules; Berkeley DB
#
# With "boots" it starts by GRUB: by the entry of its menu (Debian's GRUB reads no others), by BIOS, and el9 by UEFI.
#
# Needs root, for loop devices, and a kernel that mounts xfs. TREE is not changed. Works in the current folder.
set -euo pipefail
kind=$1 tree=$(realpath "$2") disk=$3 boots=${4:-}
# shellcheck source=like_disk_parts.sh
source "$(dirname "$0")/like_disk_parts.sh"
uuid_root=$(new_uuid)
uuid_boot=$(new_uuid)
machine=4dcb1f1e0a3b4c5d8e9f00112233e199

case $kind in
    el9) id=almalinux version=9.4 name="AlmaLinux 9.4 (Seafoam Ocelot)" root_options=() ;;
    el7) id=centos version=7 name="CentOS Linux 7 (Core)"
        root_options=(-m "reflink=0,bigtime=0,inobtcount=0,finobt=0" -i sparse=0) ;;
    *) echo "el_like_disk.sh: $kind is no kind" >&2 && exit 2 ;;
esac
group=$id

# Where everything lies, in MiB.
esp_at=1 esp_size=100 boot_at=101 boot_size=400 group_at=501 group_size=2100
truncate -s $((group_at + group_size + 2))M "$disk"
if [[ $kind == el9 ]]; then
    printf 'label: gpt\nstart=%dMiB,size=%dMiB,type=U\nstart=%dMiB,size=%dMiB,type=L\nstart=%dMiB,size=%dMiB,type=V\n' \
        $esp_at $esp_size $boot_at $boot_size $group_at $group_size | sfdisk -q "$disk"
    make_esp $esp_at $esp_size $id E5D1B007 "$uuid_boot" /grub2
else
    printf 'label: dos\nstart=%dMiB,size=%dMiB,type=83,bootable\nstart=%dMiB,size=%dMiB,type=8e\n' \
        $boot_at $boot_size $group_at $group_size | sfdisk -q "$disk"
fi

install_bios_grub "$uuid_boot" /grub2
loop_at $group_at $group_size
options=(--config "devices{filter=[\"a|^$loop\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]}
    global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
{
    pvcreate -q "${options[@]}" "$loop"
    vgcreate -q "${options[@]}" "$group" "$loop"
    lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n swap -L 128M "$group"
    lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n root -l 100%FREE "$group"
} > lvm.log 2>&1 || { cat lvm.log >&2 && exit 1; }
first=$(pvs --noheadings --units m --nosuffix "${options[@]}" -o pe_start "$loop" 2> /dev/null)
release_loop
swap_at=$((group_at + ${first%.*})) root_at=$((group_at + ${first%.*} + 128)) root_size=1960
at $swap_at 128 mkswap > /dev/null
at $boot_at $boot_size mkfs.xfs -q -f -m "uuid=$uuid_boot"
loop_at $root_at $root_size
mkfs.xfs -q -f -m "uuid=$uuid_root" "${root_options[@]}" "$loop"
mount "$loop" "$point"
# Inodes first: where the kernel writes content back in between, they lie scattered, and what is fetched of this disk from
# a registry would depend on how busy the machine was that made it.
cp -a --attributes-only "$tree/." "$point/"
cp -a "$tree/." "$point/"

cd "$point"
become "${name%% *}" "$version" "$id" "rhel centos fedora" "$name"
printf '%s\n' "${name/ ${version}/ release ${version}}" > etc/redhat-release
printf '%s\n' $machine > etc/machine-id
add_room_unit
{
    printf '/dev/mapper/%s-root / xfs defaults 0 0\nUUID=%s /boot xfs defaults 0 0\n' "$group" "$uuid_boot"
    [[ $kind == el7 ]] || printf 'UUID=E5D1-B007 /boot/efi vfat umask=0077,shortname=winnt 0 2\n'
    printf '/dev/mapper/%s-swap none swap defaults 0 0\n' "$group"
} > etc/fstab
mkdir -p etc/selinux/targeted etc/sysconfig/network-scripts
printf 'SELINUX=enforcing\nSELINUXTYPE=targeted\n' > etc/selinux/config
hardware=00:50:56:9a:12:34
if [[ $kind == el9 ]]; then
    mkdir -p etc/NetworkManager/system-connections etc/lvm/devices
    printf '[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n[ethernet]\nmac-address=%s\n[ipv4]\nmethod=auto\n' \
        ${hardware^^} > etc/NetworkManager/system-connections/ens192.nmconnection
    chmod 600 etc/NetworkManager/system-connections/ens192.nmconnection
    printf 'VERSION=1.1.1\nIDTYPE=sys_wwid IDNAME=naa.6000c29a IDTYPE=devname DEVNAME=/dev/sda3 PVID=abc PART=3\n' \
        > etc/lvm/devices/system.devices
else
    printf 'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{address}=="%s", NAME="eth0"\n' $hardware \
        > etc/udev/rules.d/70-persistent-net.rules
fi
printf 'DEVICE=eth0\nHWADDR=%s\nONBOOT=yes\nBOOTPROTO=dhcp\n' ${hardware^^} > etc/sysconfig/network-scripts/ifcfg-eth0

# The kernel, and an initrd that drives nothing but this machine's disk.
kernel=$(basename "$(ls -d usr/lib/modules/*)")
mkdir ../el-boot
mv "boot/vmlinuz-$kernel" ../el-boot/
make_host_only_initrd "$kernel" "../el-boot/initramfs-$kernel.img"
line="root=/dev/mapper/$group-root ro crashkernel=auto rd.lvm.lv=$group/root rd.lvm.lv=$group/swap rhgb quiet"
mkdir -p ../el-boot/grub2 ../el-boot/loader/entries
if [[ $kind == el9 ]]; then
    printf 'title %s (%s)\nversion %s\nlinux /vmlinuz-%s\ninitrd /initramfs-%s.img\noptions %s\n' \
        "$name" "$kernel" "$kernel" "$kernel" "$kernel" "$line" > "../el-boot/loader/entries/$machine-$kernel.conf"
    printf 'insmod blscfg\nblscfg\n' > ../el-boot/grub2/grub.cfg
    [[ -z $boots ]] || printf "set default=0\nset timeout=0\nsearch.fs_uuid %s root\nmenuentry '%s' {\n  linux /vmlinuz-%s %s\n  initrd /initramfs-%s.img\n}\n" \
        "$uuid_boot" "$name" "$kernel" "$line" "$kernel" > ../el-boot/grub2/grub.cfg
    printf '# GRUB Environment Block\nsaved_entry=%s-%s\nkernelopts=%s\n' $machine "$kernel" "$line" > ../el-boot/grub2/grubenv
else
    printf "set default=0\nset timeout=0\nmenuentry '%s' {\n  linux16 /vmlinuz-%s %s\n  initrd16 /initramfs-%s.img\n}\n" \
        "$name" "$kernel" "$line" "$kernel" > ../el-boot/grub2/grub.cfg
fi
cd ..
rm -rf "${point:?}/boot/"*
[[ $kind == el7 ]] || mkdir el-boot/efi

database=$point/usr/lib/sysimage/rpm
[[ $kind == el9 ]] || database=$PWD/el-database
make_rpm_database "$database" "el${version%%.*}"
if [[ $kind == el7 ]]; then
    mkdir -p "$point/var/lib/rpm"
    python3 - "$database/rpmdb.sqlite" << 'PYTHON' | db5.3_load -t hash "$point/var/lib/rpm/Packages"
import sqlite3, sys
print("VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END")
for number, blob in sqlite3.connect(sys.argv[1]).execute("select hnum, blob from Packages"):
    print(" " + number.to_bytes(4, "little").hex() + "\n " + blob.hex())
print("DATA=END")
PYTHON
fi
rm -rf el-database

mount_part $boot_at $boot_size "$point/boot"
cp -a el-boot/. "$point/boot/"
rm -r el-boot
setcap cap_net_raw+ep "$point/usr/bin/env"
label "$point"
umount -R "$point"
release_loop
