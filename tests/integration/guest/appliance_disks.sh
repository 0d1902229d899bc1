#!/usr/bin/env bash
# The real Debian guest on file systems that only libguestfs' appliance reads: made, inspected, packaged and trimmed.
# A command of its own, for it takes an hour without KVM:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=. tests/integration/guest/appliance_disks.sh [KIND…]
#
# KIND: lvm-xfs (the root and /var on xfs on LVM, /boot on ext4), btrfs (subvolumes for / and /home), luks (ext4 in LUKS2,
# /boot beside it). All of them unless given.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool guestfish python3 qemu-img
export LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=${LIBGUESTFS_BACKEND_SETTINGS:-force_tcg}

kinds=("${@:-lvm-xfs btrfs luks}")
# shellcheck disable=SC2206
kinds=(${kinds[*]})
uuid_root=0d5f0a2e-6d0b-4d3c-8d1c-111111111111
uuid_boot=0d5f0a2e-6d0b-4d3c-8d1c-222222222222
uuid_var=0d5f0a2e-6d0b-4d3c-8d1c-333333333333
printf 'correct horse battery staple\n' > passphrase

step "the tree"
"$VM2OCI" -q convert --as rootfs --keep-kernel --compression none "$(debian_disk)" oci:tree:debian > /dev/null
layer=$(python3 - << 'PYTHON'
import json
blob = lambda d: json.load(open("tree/blobs/" + d.replace(":", "/")))
print("tree/blobs/" + blob(json.load(open("tree/index.json"))["manifests"][0]["digest"])["layers"][0]["digest"].replace(":", "/"))
PYTHON
)

# Leaves garbage where files were, so that there is something to trim.
fill='mkdir /junk : upload garbage /junk/a : upload garbage /junk/b : sync : rm-rf /junk'
head -c 100000000 /dev/urandom > garbage

make_lvm_xfs() {
    printf 'UUID=%s / xfs defaults 0 0\nUUID=%s /boot ext4 defaults 0 2\nUUID=%s /var xfs defaults 0 0\n' \
        $uuid_root $uuid_boot $uuid_var > fstab
    # shellcheck disable=SC2086
    guestfish --format=raw -a "$1" << FISH
run
part-init /dev/sda gpt
part-add /dev/sda p 2048 1048575
part-add /dev/sda p 1048576 -2048
mkfs ext4 /dev/sda1
set-uuid /dev/sda1 $uuid_boot
pvcreate /dev/sda2
vgcreate debian /dev/sda2
lvcreate root debian 3000
lvcreate var debian 1500
mkfs xfs /dev/debian/root
mkfs xfs /dev/debian/var
set-uuid /dev/debian/root $uuid_root
set-uuid /dev/debian/var $uuid_var
mount /dev/debian/root /
mkdir /boot
mkdir /var
mount /dev/sda1 /boot
mount /dev/debian/var /var
tar-in $layer / xattrs:true
upload fstab /etc/fstab
${fill// : /$'\n'}
umount-all
FISH
}

make_btrfs() {
    printf 'UUID=%s / btrfs subvol=@ 0 0\nUUID=%s /home btrfs subvol=@home 0 0\n' $uuid_root $uuid_root > fstab
    guestfish --format=raw -a "$1" << FISH
run
part-init /dev/sda gpt
part-add /dev/sda p 2048 -2048
mkfs btrfs /dev/sda1
set-uuid /dev/sda1 $uuid_root
mount /dev/sda1 /
btrfs-subvolume-create /@
btrfs-subvolume-create /@home
umount /
mount-options subvol=@ /dev/sda1 /
mkdir /home
mount-options subvol=@home /dev/sda1 /home
tar-in $layer / xattrs:true
upload fstab /etc/fstab
write /home/marker home
${fill// : /$'\n'}
umount-all
FISH
}

make_luks() {
    printf 'UUID=%s / ext4 defaults 0 1\nUUID=%s /boot ext4 defaults 0 2\n' $uuid_root $uuid_boot > fstab
    guestfish --keys-from-stdin --format=raw -a "$1" << FISH
run
part-init /dev/sda gpt
part-add /dev/sda p 2048 1048575
part-add /dev/sda p 1048576 -2048
mkfs ext4 /dev/sda1
set-uuid /dev/sda1 $uuid_boot
luks-format /dev/sda2 0
$(cat passphrase)
cryptsetup-open /dev/sda2 opened
$(cat passphrase)
mkfs ext4 /dev/mapper/opened
set-uuid /dev/mapper/opened $uuid_root
mount /dev/mapper/opened /
mkdir /boot
mount /dev/sda1 /boot
tar-in $layer / xattrs:true
upload fstab /etc/fstab
umount-all
FISH
}

layer_digest() {
    python3 - "$1" << 'PYTHON'
import json, sys
blob = lambda d: json.load(open(f"{sys.argv[1]}/blobs/" + d.replace(":", "/")))
print(blob(json.load(open(f"{sys.argv[1]}/index.json"))["manifests"][0]["digest"])["layers"][0]["digest"].split(":")[1])
PYTHON
}

for kind in "${kinds[@]}"; do
    step "$kind: make"
    truncate -s 6G disk.raw
    key=()
    [[ $kind != luks ]] || key=(--key all:file:passphrase)
    "make_${kind//-/_}" disk.raw > make.log 2>&1 || fail "$(tail -3 make.log)"

    step "$kind: inspect"
    if [[ $kind == luks ]]; then
        "$VM2OCI" -q inspect disk.raw > closed
        grep -q -- '--key' closed || fail "without a key, inspect should say how to give one: $(cat closed)"
    fi
    "$VM2OCI" -q --json inspect "${key[@]}" disk.raw > inspect.json
    python3 - "$kind" << 'PYTHON'
import json, sys
inside = json.load(open("inspect.json"))["inside"]
assert inside["backend"] == "libguestfs", inside["reason"]
assert inside["guest"]["os"]["product"].startswith("Debian GNU/Linux 12"), inside["guest"]["os"]
assert inside["guest"]["packages"]["count"] > 100
assert all(k["boots_on_virtio"] for k in inside["guest"]["kernels"]), inside["guest"]["kernels"]
mounts = {m["mount_point"]: m["type"] for m in inside["mounts"]}
expected = {"lvm-xfs": {"/": "xfs", "/boot": "ext4", "/var": "xfs"}, "btrfs": {"/": "btrfs", "/home": "btrfs"},
            "luks": {"/": "ext4", "/boot": "ext4"}}[sys.argv[1]]
assert mounts == expected, mounts
PYTHON

    step "$kind: convert --as rootfs gives the tree that the disk was made from"
    rm -rf packed
    "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none "${key[@]}" disk.raw oci:packed:disk > /dev/null
    python3 - "$layer" "packed/blobs/sha256/$(layer_digest packed)" << 'PYTHON'
import sys, tarfile
def entries(path):
    out = {}
    for m in tarfile.open(path, errors="surrogateescape"):
        attributes = {k: v for k, v in m.pax_headers.items() if "xattr" in k and "selinux" not in k}
        out[m.name] = (m.type, m.mode, m.uid, m.gid, m.size, m.linkname, attributes) if not m.isdir() else (m.mode, m.uid)
    return out
before, after = map(entries, sys.argv[1:])
for tree in (before, after):
    for name in ("etc/fstab", "home/marker", "home", "boot", "var", "boot/efi"):
        tree.pop(name, None)
differences = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
assert not differences, [(n, before.get(n), after.get(n)) for n in differences[:10]]
print(f"   {len(before)} entries are the same")
PYTHON

    [[ $kind != luks ]] || continue
    step "$kind: --sparsify"
    "$VM2OCI" -q convert disk.raw raw:whole.raw > /dev/null
    "$VM2OCI" convert --progress plain --sparsify disk.raw raw:sparse.raw > sparsify.log 2>&1
    before=$(du -B1 whole.raw | cut -f1) after=$(du -B1 sparse.raw | cut -f1)
    printf '   %d MiB → %d MiB\n' $((before >> 20)) $((after >> 20))
    expect_at_most $((before - 150000000)) "$after" "what is left after the trim: $(cat sparsify.log)"
    rm -rf packed-sparse
    "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none sparse.raw oci:packed-sparse:disk > /dev/null
    expect_equal "$(layer_digest packed)" "$(layer_digest packed-sparse)" "the tree after the trim"
    rm -f whole.raw sparse.raw
done
