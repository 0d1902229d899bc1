#!/usr/bin/env bash
# The broken VMware guest of vmware_debian.sh with its root on a logical volume, on xfs and in a subvolume of btrfs:
# mended by one convert each, natively on LVM and by libguestfs' appliance elsewhere, and booted by UEFI. Needs root and
# a kernel with loop devices, xfs and btrfs; an hour of emulation, so it has no CTest entry:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/edit/roots.sh [lvm|xfs|btrfs…]
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=vmware_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/vmware_guest.sh"
require_tool jq qemu-ga qemu-system-x86_64 mkfs.xfs mkfs.btrfs pvcreate losetup mcopy sfdisk
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
kinds=("$@")
[[ $# -gt 0 ]] || kinds=(lvm xfs btrfs)

loops=()
release() {
    local device
    sync
    umount "$scratch"/{from,to} 2> /dev/null || true
    for device in "${loops[@]}"; do losetup -d "$device" 2> /dev/null || true; done
    loops=()
}
trap 'status=$?; set +e; release; (exit "$status"); _clean_up' EXIT
# loop FILE OFFSET SIZE: its name in $loop.
loop() {
    loop=$(losetup --find --show --offset "$2" --sizelimit "$3" "$1")
    loops+=("$loop")
}

# Where the logical volume begins, in bytes of the physical volume on $loop.
make_logical_volume() {
    local options=(--config "devices{filter=[\"a|^$loop\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]}
        global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
    pvcreate -q -ff -y "${options[@]}" "$loop" > lvm.log 2>&1 || fail "$(cat lvm.log)"
    vgcreate -q "${options[@]}" vg0 "$loop" >> lvm.log 2>&1 || fail "$(cat lvm.log)"
    lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n root -L 8G vg0 >> lvm.log 2>&1 || fail "$(cat lvm.log)"
    pvs --noheadings --units b --nosuffix "${options[@]}" -o pe_start "$loop" 2> /dev/null | tr -d ' '
}

# rehome KIND DISK: the root file system of broken.raw on another kind of root, under the same UUID.
rehome() {
    local kind=$1 disk=$2 size uuid start
    cp --sparse=always broken.raw "$disk"
    size=$(sfdisk --json "$disk" | jq '.partitiontable.partitions[] | select(.start * 512 == '"$root_offset"') | .size * 512')
    uuid=$(blkid -p -O "$root_offset" -s UUID -o value "$disk")
    mkdir -p from to
    # mkfs.btrfs wants no other device with this UUID, so that the old file system is mounted afterwards.
    fallocate --punch-hole --offset "$root_offset" --length "$size" "$disk"
    loop "$disk" "$root_offset" "$size"
    case $kind in
        lvm)
            start=$(make_logical_volume)
            loop "$disk" $((root_offset + start)) $((8 << 30))
            mke2fs -q -F -t ext4 -U "$uuid" "$loop"
            ;;
        xfs) mkfs.xfs -q -f -m "uuid=$uuid" "$loop" ;;
        btrfs) mkfs.btrfs -q -f -U "$uuid" "$loop" ;;
    esac
    mount "$loop" to
    loop broken.raw "$root_offset" "$size"
    mount -o ro,noload "$loop" from
    local root=to
    if [[ $kind == btrfs ]]; then
        btrfs -q subvolume create to/@
        root=to/@
    fi
    cp -a from/. "$root/"
    case $kind in
        lvm)
            sed -i 's,^/dev/sda1,/dev/mapper/vg0-root,' $root/etc/fstab
            sed -i 's,root=/dev/sda1,root=/dev/mapper/vg0-root,' $root/boot/grub/grub.cfg
            ;;
        xfs) sed -i '/^\/dev\/sda1/s/ext4.*/xfs defaults 0 0/' $root/etc/fstab ;;
        btrfs)
            sed -i '/^\/dev\/sda1/s/ext4.*/btrfs subvol=@ 0 0/' $root/etc/fstab
            sed -i -e 's,root=/dev/sda1,root=/dev/sda1 rootflags=subvol=@,' -e 's,\(\s\)/boot/,\1/@/boot/,g' \
                $root/boot/grub/grub.cfg
            esp=$(sfdisk --json "$disk" | jq '.partitiontable.partitions[] | select(.type | test("C12A7328")) | .start * 512')
            mcopy -i "$disk@@$esp" ::EFI/debian/grub.cfg esp.cfg
            sed -i 's,/boot/grub,/@/boot/grub,' esp.cfg
            mcopy -o -i "$disk@@$esp" esp.cfg ::EFI/debian/grub.cfg
            ;;
    esac
    release
}

break_guest "$(debian_disk --packages lvm2,xfsprogs,btrfs-progs)" broken.raw
for kind in "${kinds[@]}"; do
    step "$kind: mend it"
    rehome "$kind" "$kind.raw"
    [[ $kind == lvm ]] || expect_diagnosis "raw:$kind.raw"
    expected_device=/dev/sda1
    [[ $kind != lvm ]] || expected_device=ttyS0
    mend_guest "raw:$kind.raw" "raw:$kind-mended.raw"
    step "$kind: before, it does not come up on virtio"
    expect_no_boot "raw:$kind.raw" --firmware uefi
    rm "$kind.raw"
    step "$kind: after, it does"
    boot_mended "raw:$kind-mended.raw" --firmware uefi
    rm "$kind-mended.raw"
done
