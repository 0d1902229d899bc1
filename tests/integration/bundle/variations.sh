#!/usr/bin/env bash
# A real Debian, laid out as installers of other distributions lay out machines, becomes bundles that boot to a login,
# with its own kernel and with ours: ext4 on LVM; /boot apart and /, /var on LVM; xfs. Root rights, loop devices and a
# quarter of an hour of emulation, so it has no CTest entry:
#
#   cmake --build --preset release --target guest-kernel
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/bundle/variations.sh [NAME…]
#
# NAMEs are lvm, spread and xfs; all of them unless given.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs e2fsck mkfs.xfs sfdisk pvcreate vgcreate lvcreate losetup skopeo jq tar qemu-system-x86_64
[[ $(id -u) -eq 0 ]] || fail 'this needs root, for loop devices'
variations=("$@")
[[ $# -gt 0 ]] || variations=(lvm spread xfs)
uuid=6d0a2f60-8a3e-4c53-9a57-0c1d5b6f7e01
boot_uuid=aaaaaaaa-0000-4000-8000-000000000001

step 'the files of a Debian machine'
disk=$(debian_disk)
"$VM2OCI" convert --quiet --as rootfs --keep-kernel --compression none "$disk" oci:files:debian
layer=$(skopeo inspect --raw oci:files:debian | jq -r '.layers[0].digest')
mkdir tree
tar -x -C tree --xattrs --xattrs-include='*' --numeric-owner -f "files/blobs/${layer/://}"
rm -r files

# volume_group: pv.img with the group vg, its volumes root and var; where they lie is in the file segments.
volume_group() {
    truncate -s 1900M pv.img
    local loop options
    loop=$(losetup --find --show pv.img)
    options=(--config "devices{filter=[\"a|^$loop\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]} global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
    {
        pvcreate -q "${options[@]}" "$loop"
        vgcreate -q "${options[@]}" vg "$loop"
        lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n root -L 1200M vg
        lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n var -L 600M vg
    } > lvm.log 2>&1 || fail "$(cat lvm.log)"
    pvs --noheadings --units s --nosuffix "${options[@]}" --segments \
        -o lv_name,seg_start,pvseg_start,pvseg_size,pe_start,vg_extent_size "$loop" 2> /dev/null > segments
    losetup -d "$loop"
}
fill_volume() { # NAME IMAGE
    local name start first count pe_start extent
    while read -r name start first count pe_start extent; do
        [[ $name != "$1" ]] || dd if="$2" of=pv.img bs=1M skip=$((start / 2048)) conv=notrunc,sparse status=none \
            seek=$(((pe_start + first * extent) / 2048)) count=$((count * extent / 2048))
    done < segments
}
ext4() { # FILE SIZE FOLDER [OPTIONS]
    truncate -s "$2" "$1"
    mke2fs -q -F -t ext4 -d "$3" "${@:4}" "$1"
}

make_lvm() {
    printf '/dev/mapper/vg-root / ext4 errors=remount-ro 0 1\n' > tree/etc/fstab
    ext4 root.img 1200M tree -U "$uuid"
    volume_group
    fill_volume root root.img
    truncate -s 1902M lvm.raw
    printf 'start=2048,size=%s,type=8e\n' $((1900 * 2048)) | sfdisk --quiet lvm.raw
    dd if=pv.img of=lvm.raw bs=1M seek=1 conv=notrunc,sparse status=none
}

make_spread() {
    printf '/dev/mapper/vg-root / ext4 errors=remount-ro 0 1\nUUID=%s /boot ext4 defaults 0 2\n/dev/mapper/vg-var /var ext4 defaults 0 2\n' \
        "$boot_uuid" > tree/etc/fstab
    mv tree/boot tree/var .
    mkdir tree/boot tree/var
    ext4 root.img 1200M tree -U "$uuid"
    ext4 var.img 600M var
    ext4 boot.img 300M boot -U "$boot_uuid"
    rmdir tree/boot tree/var
    mv boot var tree
    volume_group
    fill_volume root root.img
    fill_volume var var.img
    truncate -s 2300M spread.raw
    printf 'start=2048,size=%s,type=83\nstart=%s,size=%s,type=8e\n' $((300 * 2048)) $((301 * 2048)) $((1900 * 2048)) |
        sfdisk --quiet spread.raw
    dd if=boot.img of=spread.raw bs=1M seek=1 conv=notrunc,sparse status=none
    dd if=pv.img of=spread.raw bs=1M seek=301 conv=notrunc,sparse status=none
}

make_xfs() {
    printf 'UUID=%s / xfs defaults 0 0\n' "$uuid" > tree/etc/fstab
    truncate -s 1200M xfs.img
    mkfs.xfs -q -f -m "uuid=$uuid" xfs.img
    mkdir mounted
    mount -o loop xfs.img mounted
    cp -a tree/. mounted/
    umount mounted
    truncate -s 1202M xfs.raw
    printf 'start=2048,size=%s,type=83\n' $((1200 * 2048)) | sfdisk --quiet xfs.raw
    dd if=xfs.img of=xfs.raw bs=1M seek=1 conv=notrunc,sparse status=none
}

# boot_bundle TAG: QEMU starts the kernel with nothing but what the annotations say.
boot_bundle() {
    local annotation=org.vm2oci.bundle line initrd=() log=$scratch/$1.log layer
    mkdir "parts-$1"
    for layer in $(skopeo inspect --raw "oci:bundles:$1" | jq -r '.layers[].digest'); do
        tar -x -C "parts-$1" --no-same-owner --no-same-permissions -f "bundles/blobs/${layer/://}"
    done
    line=$(skopeo inspect --raw "oci:bundles:$1" | jq -r ".annotations[\"$annotation.command-line\"]")
    [[ ! -e parts-$1/boot/initramfs ]] || initrd=(-initrd "parts-$1/boot/initramfs")
    in_background nice qemu-system-x86_64 -accel tcg -M q35 -m 1024 -smp 2 -nodefaults -display none -no-reboot \
        -serial "file:$log" -kernel "parts-$1/boot/vmlinuz" "${initrd[@]}" -append "$line" \
        -drive "file=parts-$1/disk/rootfs.qcow2,format=qcow2,if=virtio,snapshot=on"
    wait_until 900 grep -q 'login:' "$log"
    kill "$started_pid"
    ! grep -a 'FAILED\|Timed out\|DEPEND' "$log" || fail "something failed in the guest of $1"
}

for name in "${variations[@]}"; do
    step "$name: make it"
    "make_$name"
    for kernel in guest minimal; do
        step "$name, kernel $kernel: convert it"
        "$VM2OCI" convert --as bundle --kernel "$kernel" --compression none "raw:$name.raw" "oci:bundles:$name-$kernel"
        "$VM2OCI" verify "oci:bundles:$name-$kernel" > /dev/null
        "$VM2OCI" check "oci:bundles:$name-$kernel" > /dev/null
        step "$name, kernel $kernel: boot it"
        boot_bundle "$name-$kernel"
        rm -r "parts-$name-$kernel" bundles
    done
    rm -f ./*.img "$name.raw"
done
