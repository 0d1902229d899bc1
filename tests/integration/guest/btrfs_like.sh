#!/usr/bin/env bash
# Guests as SUSE and Fedora lay them out on btrfs: inspected, packaged as root file system and bundle, listed and
# sparsified, all of it in this process. Needs root, for loop devices, and a kernel that mounts btrfs.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=like_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/guest/like_guest.sh"
require_tool mkfs.btrfs btrfs chattr sfdisk mkfs.fat mke2fs mcopy mmd losetup cpio rpm rpmbuild setcap jq strace python3
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
modprobe btrfs 2> /dev/null || true
grep -qw btrfs /proc/filesystems || fail "this kernel does not mount btrfs, and the disks are made by it"

mkdir mnt
loop=
trap 'status=$?; set +e; ! mountpoint -q mnt || umount -R mnt; [[ -z $loop ]] || losetup -d "$loop"; (exit "$status"); _clean_up' EXIT

step "the files of a Debian machine"
unpack_debian

# The guest as its kernel mounts it, by its own fstab.
mount_guest() { # PARTITION ROOT-OPTIONS
    local place mount_point type options
    place=$(sfdisk -J disk.raw | jq -r ".partitiontable.partitions[$(($1 - 1))] | \"--offset \\(.start * 512) --sizelimit \\(.size * 512)\"")
    # shellcheck disable=SC2086
    loop=$(losetup --find --show --read-only $place disk.raw)
    mount -o "ro${2:+,$2}" "$loop" mnt
    while read -r _ mount_point type options _; do
        [[ $type == btrfs && $mount_point != / ]] || continue
        mount -o "ro,$options" "$loop" "mnt$mount_point"
    done < mnt/etc/fstab
}

# Snapshots are folders with nothing in them.
kernel_paths() { # FOLDER
    python3 - "$1" << 'PYTHON'
import os, re, stat, sys
def visit(path):
    print(path)
    full = os.path.join(sys.argv[1], path)
    if os.path.islink(full) or not os.path.isdir(full) or re.fullmatch(r"\.snapshots/\d+/snapshot", path):
        return
    for name in os.listdir(full):
        inside = os.path.join(path, name)
        if not stat.S_ISSOCK(os.lstat(os.path.join(sys.argv[1], inside)).st_mode):
            visit(inside)
visit("")
PYTHON
}

declare -A product=([sles15]="SUSE Linux Enterprise Server 15 SP5" [leap-mbr]="openSUSE Leap 15.6"
    [boot-ext4]="Fedora Linux 41 (Cloud Edition)" [boot-subvolume]="Fedora Linux 44 (Cloud Edition)")
declare -A partition=([sles15]=2 [leap-mbr]=1 [boot-ext4]=3 [boot-subvolume]=3)

start_registry
for kind in sles15 leap-mbr boot-ext4 boot-subvolume; do
    step "$kind: make"
    maker=fedora
    [[ $kind != sles15 && $kind != leap-mbr ]] || maker=suse
    rm -f disk.raw
    "$VM2OCI_SOURCE_DIR/tests/support/${maker}_like_disk.sh" $kind tree disk.raw > make.log 2>&1 || fail "$(tail -5 make.log)"

    step "$kind: inspect"
    alone "$VM2OCI" -q --json inspect disk.raw > inspect.json
    python3 - $kind "${product[$kind]}" << 'PYTHON'
import json, sys
kind, product = sys.argv[1:]
inside = json.load(open("inspect.json"))["inside"]
guest = inside["guest"]
assert inside["backend"] == "native", inside["reason"]
mounts = {m["mount_point"]: m.get("subvolume") or m["type"] for m in inside["mounts"]}
if kind in ("sles15", "leap-mbr"):
    places = "home opt root srv tmp usr/local var boot/grub2/i386-pc boot/grub2/x86_64-efi .snapshots".split()
    expected = {"/" + place: "@/" + place for place in places}
    expected["/"] = f"@/.snapshots/{1 if kind == 'sles15' else 4}/snapshot"
    snapshots = 1 if kind == "sles15" else 3
    assert any(f"has {snapshots} snapshot" in remark for remark in inside["remarks"]), inside["remarks"]
else:
    expected = {"/": "root", "/home": "home", "/var": "var", "/boot/efi": "vfat",
                "/boot": "ext4" if kind == "boot-ext4" else "boot"}
    assert not any("snapshot" in remark for remark in inside["remarks"]), inside["remarks"]
assert mounts == expected, mounts
assert guest["os"]["product"] == product, guest["os"]
assert guest["packages"]["count"] == 20, guest["packages"]
assert [k["boots_on_virtio"] for k in guest["kernels"]] == [False], guest["kernels"]
assert not inside["missing"], inside["missing"]
PYTHON

    step "$kind: every file is the kernel's"
    "$EXPORT_TAR" --guest disk.raw > guest.tar
    if [[ $maker == fedora ]]; then
        mount_guest "${partition[$kind]}" subvol=root
        # What lies on other partitions is not mounted here.
        left_out=boot
    else
        mount_guest "${partition[$kind]}" ""
        left_out=
    fi
    tar --quoting-style=literal -tf guest.tar | sed 's,^\./,,; s,/$,,' | grep -v "^${left_out:-/}" | LC_ALL=C sort > paths_in_tar
    kernel_paths mnt | grep -v "^${left_out:-/}" | LC_ALL=C sort > paths_in_kernel
    diff paths_in_kernel paths_in_tar > differing || fail "paths differ: $(head -5 differing)"
    tar -xOf guest.tar usr/lib/os-release | cmp - mnt/usr/lib/os-release || fail "os-release is another one"
    expect_equal "in a subvolume" "$(tar -xOf guest.tar --wildcards 'home/*/note')" "what lies in /home"
    umount -R mnt
    losetup -d "$loop"
    loop=

    step "$kind: --as rootfs has every label and capability"
    rm -rf packed
    alone "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none --sbom packages.json disk.raw oci:packed:disk > /dev/null
    layer=$(layer_of packed)
    python3 - "$layer" $kind << 'PYTHON'
import sys, tarfile
members = {m.name: m.pax_headers for m in tarfile.open(sys.argv[1])}
if sys.argv[2].startswith("boot"):
    assert members["usr/bin/env"]["SCHILY.xattr.security.selinux"].startswith("system_u:object_r:bin_t:s0"), members["usr/bin/env"]
    assert "SCHILY.xattr.security.capability" in members["usr/bin/env"], members["usr/bin/env"]
else:
    assert "etc/issue.d-first" in members if sys.argv[2] == "leap-mbr" else "etc/issue.d-first" not in members
    assert not any(name.startswith(".snapshots/2/snapshot/") for name in members)
    assert "var/lib/rpm" in members and "home/geeko/note" in members
PYTHON
    expect_equal 20 "$(jq '[.packages[] | select(.name | startswith("base-"))] | length' packages.json)" "packages in the SBOM"

    step "$kind: --as bundle, and --sparsify"
    package_whole_and_trimmed btrfs

    step "$kind: inspect from a registry reads a part of the layer"
    inspect_from_registry "btrfs/$kind"
    rm -rf packed sparse.raw
done
