#!/usr/bin/env bash
# The real Debian guest on LVM and xfs, and on file systems that only libguestfs' appliance reads: inspected, packaged
# and trimmed, and held against what the kernel's own mount shows. Making the disks takes a loop device and the kernel's xfs and btrfs, and so
# root; no device mapper. A command of its own, for the appliance takes many minutes without KVM:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=. tests/integration/guest/appliance_disks.sh [KIND…]
#
# KIND: lvm-xfs (the root and /var on xfs on LVM, /boot on ext4), btrfs (subvolumes for / and /home), luks (ext4 in LUKS2,
# /boot beside it). All of them unless given.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs mkfs.xfs xfs_repair mkfs.btrfs btrfs pvcreate cryptsetup losetup sfdisk guestfish python3 jq
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"

kinds=("$@")
[[ $# -gt 0 ]] || kinds=(lvm-xfs btrfs luks)
here=$VM2OCI_SOURCE_DIR/tests/integration/guest
uuid_root=$(cat /proc/sys/kernel/random/uuid)
uuid_boot=$(cat /proc/sys/kernel/random/uuid)
uuid_var=$(cat /proc/sys/kernel/random/uuid)
uuid_luks=$(cat /proc/sys/kernel/random/uuid)
printf 'correct horse battery staple\n' > passphrase
readonly MiB=1048576

mkdir mnt
unmount() { ! mountpoint -q mnt || umount -R mnt; }
loop=
release() {
    unmount
    [[ -z $loop ]] || losetup -d "$loop"
    loop=
}
trap 'status=$?; set +e; release; (exit "$status"); _clean_up' EXIT

# mount_at DISK OFFSET SIZE (MiB) POINT [OPTIONS]
mount_at() { mount -o "loop,offset=$(($2 * MiB)),sizelimit=$(($3 * MiB))${5:+,$5}" "$1" "$4"; }

step "the tree"
"$VM2OCI" -q convert --as rootfs --keep-kernel --compression none "$(debian_disk)" oci:made:debian > /dev/null
layer_of() {
    local manifest
    manifest=$(jq -r '.manifests[0].digest' "$1/index.json")
    printf '%s/blobs/%s\n' "$1" "$(jq -r '.layers[0].digest' "$1/blobs/${manifest/://}" | tr : /)"
}
# Part of what is packed: what differs by purpose is the fstab.
fill_tree() {
    tar -x -C mnt --xattrs --xattrs-include='*' --acls --numeric-owner -f "$(layer_of made)"
    cp fstab mnt/etc/fstab
    # What is deleted again leaves something to trim.
    mkdir mnt/junk
    head -c 200000000 /dev/urandom > mnt/junk/garbage
    sync -f mnt
    rm -r mnt/junk
}

# Where the file systems lie, in MiB of the disk.
boot_at=1 boot_size=400 rest_at=401

make_lvm-xfs() {
    printf 'UUID=%s / xfs defaults 0 0\nUUID=%s /boot ext4 defaults 0 2\nUUID=%s /var xfs defaults 0 0\n' \
        "$uuid_root" "$uuid_boot" "$uuid_var" > fstab
    truncate -s 3200M "$1"
    printf 'label: gpt\nstart=%dMiB, size=%dMiB, type=L\nstart=%dMiB, size=2700MiB, type=V\n' $boot_at $boot_size $rest_at |
        sfdisk -q "$1"
    loop=$(losetup --find --show --offset $((rest_at * MiB)) --sizelimit $((2700 * MiB)) "$1")
    local options=(--config "devices{filter=[\"a|^$loop\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]}
        global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
    {
        pvcreate -q "${options[@]}" "$loop"
        vgcreate -q "${options[@]}" debian "$loop"
        lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n root -L 1600M debian
        lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n var -L 800M debian
    } > lvm.log 2>&1 || fail "$(cat lvm.log)"
    local first
    first=$(pvs --noheadings --units m --nosuffix "${options[@]}" -o pe_start "$loop" 2> /dev/null)
    losetup -d "$loop"
    loop=
    # Both volumes are one segment each, in the order in which they were made.
    root_at=$((rest_at + ${first%.*})) root_size=1600
    var_at=$((root_at + root_size)) var_size=800
    loop=$(losetup --find --show --offset $((root_at * MiB)) --sizelimit $((root_size * MiB)) "$1")
    mkfs.xfs -q -f -m "uuid=$uuid_root" "$loop"
    losetup -d "$loop"
    loop=$(losetup --find --show --offset $((var_at * MiB)) --sizelimit $((var_size * MiB)) "$1")
    mkfs.xfs -q -f -m "uuid=$uuid_var" "$loop"
    losetup -d "$loop"
    loop=
    mke2fs -q -F -t ext4 -U "$uuid_boot" -E "offset=$((boot_at * MiB))" "$1" ${boot_size}M
    mount_lvm-xfs "$1" rw mkdir
    rmdir mnt/boot/lost+found
    fill_tree
    unmount
}
mount_lvm-xfs() { # DISK rw|ro [mkdir]
    mount_at "$1" "$root_at" "$root_size" mnt "$2"
    [[ -z ${3:-} ]] || mkdir mnt/boot mnt/var
    mount_at "$1" $boot_at $boot_size mnt/boot "$2"
    mount_at "$1" "$var_at" "$var_size" mnt/var "$2"
}
check_lvm-xfs() {
    local at size
    for at in "$root_at $root_size" "$var_at $var_size"; do
        read -r at size <<< "$at"
        dd if="$1" of=part.img bs=1M skip="$at" count="$size" conv=sparse status=none
        xfs_repair -n -f part.img > check.log 2>&1 || fail "xfs_repair: $(tail -5 check.log)"
        rm part.img
    done
}

make_btrfs() {
    printf 'UUID=%s / btrfs subvol=@ 0 0\nUUID=%s /home btrfs subvol=@home 0 0\n' "$uuid_root" "$uuid_root" > fstab
    root_at=1 root_size=2400
    truncate -s $((root_size + 2))M "$1"
    printf 'label: gpt\nstart=%dMiB, size=%dMiB, type=L\n' $root_at $root_size | sfdisk -q "$1"
    loop=$(losetup --find --show --offset $((root_at * MiB)) --sizelimit $((root_size * MiB)) "$1")
    mkfs.btrfs -q -f -U "$uuid_root" "$loop"
    mount "$loop" mnt
    btrfs -q subvolume create mnt/@
    btrfs -q subvolume create mnt/@home
    umount mnt
    mount -o subvol=@ "$loop" mnt
    mkdir mnt/home
    mount -o subvol=@home "$loop" mnt/home
    fill_tree
    printf 'home' > mnt/home/marker
    release
}
mount_btrfs() {
    # One loop device for both: the same file system twice on two devices is refused.
    loop=$(losetup --find --show --offset $((root_at * MiB)) --sizelimit $((root_size * MiB)) "$1")
    mount -o "$2,subvol=@" "$loop" mnt
    mount -o "$2,subvol=@home" "$loop" mnt/home
}
check_btrfs() {
    dd if="$1" of=part.img bs=1M skip="$root_at" count="$root_size" conv=sparse status=none
    btrfs check --readonly part.img > check.log 2>&1 || fail "btrfs check: $(tail -5 check.log)"
    rm part.img
}

make_luks() {
    printf 'UUID=%s / ext4 defaults 0 1\nUUID=%s /boot ext4 defaults 0 2\n' "$uuid_root" "$uuid_boot" > fstab
    root_size=1500
    truncate -s $((rest_at + root_size + 33))M "$1"
    printf 'label: gpt\nstart=%dMiB, size=%dMiB, type=L\nstart=%dMiB, size=%dMiB, type=L\n' \
        $boot_at $boot_size $rest_at $((root_size + 32)) | sfdisk -q "$1"
    mke2fs -q -F -t ext4 -U "$uuid_boot" -E "offset=$((boot_at * MiB))" "$1" ${boot_size}M
    # Encrypted where it lies: cryptsetup does that by itself where the kernel has no device mapper, and needs room for
    # its header (half of what the file is reduced by) in front.
    truncate -s $((root_size + 32))M inner.img
    mke2fs -q -F -t ext4 -U "$uuid_root" inner.img ${root_size}M
    mount -o loop inner.img mnt
    mkdir mnt/boot
    mount_at "$1" $boot_at $boot_size mnt/boot
    rmdir mnt/lost+found mnt/boot/lost+found
    fill_tree
    unmount
    cp --sparse=always inner.img plain.img
    cryptsetup -q reencrypt --encrypt --type luks2 --uuid "$uuid_luks" --reduce-device-size 32M --pbkdf pbkdf2 \
        --pbkdf-force-iterations 1000 --key-file <(tr -d '\n' < passphrase) inner.img > luks.log 2>&1 || fail "$(cat luks.log)"
    dd if=inner.img of="$1" bs=1M seek=$rest_at conv=notrunc status=none
    rm inner.img
}
check_luks() { # by what is inside: this kernel opens no LUKS
    "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none "${key[@]}" "$1" oci:trimmed:disk > /dev/null
    expect_equal "$(sha256sum < "$(layer_of packed)")" "$(sha256sum < "$(layer_of trimmed)")" 'the layer of the trimmed disk'
}
mount_luks() {
    mount -o "loop,$2" plain.img mnt
    mount_at "$1" $boot_at $boot_size mnt/boot "$2"
}

# same_tree LAYOUT DISK: what was packed is what the kernel shows.
same_tree() {
    "mount_$kind" "$2" ro
    python3 "$here/compare_tree.py" "$(layer_of "$1")" mnt || fail "$kind: the trees differ"
    release
}

for kind in "${kinds[@]}"; do
    step "$kind: make"
    "make_$kind" disk.raw
    key=()
    [[ $kind != luks ]] || key=(--key all:file:passphrase)

    step "$kind: inspect"
    if [[ $kind == luks ]]; then
        "$VM2OCI" -q inspect disk.raw > closed
        grep -q -- '--key' closed || fail "without a key, inspect should say how to give one: $(cat closed)"
    fi
    "$VM2OCI" -q --json inspect "${key[@]}" disk.raw > inspect.json
    python3 - "$kind" << 'PYTHON'
import json, sys
inside = json.load(open("inspect.json"))["inside"]
assert inside["backend"] == ("libguestfs" if sys.argv[1] == "btrfs" else "native"), inside["reason"]
assert inside["guest"]["os"]["product"].startswith("Debian GNU/Linux 12"), inside["guest"]["os"]
assert inside["guest"]["packages"]["count"] > 100
assert all(k["boots_on_virtio"] for k in inside["guest"]["kernels"]), inside["guest"]["kernels"]
mounts = {m["mount_point"]: m["type"] for m in inside["mounts"]}
expected = {"lvm-xfs": {"/": "xfs", "/boot": "ext4", "/var": "xfs"}, "btrfs": {"/": "btrfs", "/home": "btrfs"},
            "luks": {"/": "ext4", "/boot": "ext4"}}[sys.argv[1]]
assert mounts == expected, mounts
PYTHON

    step "$kind: convert --as rootfs gives the tree that the kernel shows"
    rm -rf packed
    "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none "${key[@]}" disk.raw oci:packed:disk > /dev/null
    same_tree packed disk.raw

    step "$kind: --sparsify"
    cp --sparse=always disk.raw whole.raw
    "$VM2OCI" convert --progress plain --sparsify "${key[@]}" disk.raw raw:sparse.raw > sparsify.log 2>&1 ||
        fail "$(cat sparsify.log)"
    cmp disk.raw whole.raw || fail "the source was written"
    before=$(du -B1 whole.raw | cut -f1) after=$(du -B1 sparse.raw | cut -f1)
    printf '   %d MiB → %d MiB\n' $((before >> 20)) $((after >> 20))
    expect_at_most $((before - 150000000)) "$after" "what is left after the trim: $(cat sparsify.log)"
    rm whole.raw
    "check_$kind" sparse.raw
    same_tree packed sparse.raw
    rm sparse.raw disk.raw
done
