#!/usr/bin/env bash
# Guests as Enterprise Linux 9 and 7 lay them out, on xfs and LVM: inspected, packaged as root file system and bundle,
# listed and sparsified, all of it in this process. Needs root, for loop devices, and a kernel that mounts xfs.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=like_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/guest/like_guest.sh"
require_tool mkfs.xfs xfs_repair sfdisk mkfs.fat mcopy mmd pvcreate lvcreate losetup cpio rpm rpmbuild db5.3_load setcap jq strace python3
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
modprobe xfs 2> /dev/null || true
grep -qw xfs /proc/filesystems || fail "this kernel does not mount xfs, and the disks are made by it"

mkdir mnt
trap 'status=$?; set +e; ! mountpoint -q mnt || umount -R mnt; (exit "$status"); _clean_up' EXIT

step "the files of a Debian machine"
unpack_debian

start_registry
for kind in el9 el7; do
    step "$kind: make"
    rm -f disk.raw
    "$VM2OCI_SOURCE_DIR/tests/support/el_like_disk.sh" $kind tree disk.raw > make.log 2>&1 || fail "$(tail -5 make.log)"

    step "$kind: inspect"
    alone "$VM2OCI" -q --json inspect disk.raw > inspect.json
    python3 - $kind << 'PYTHON'
import json, sys
inside = json.load(open("inspect.json"))["inside"]
guest = inside["guest"]
assert inside["backend"] == "native", inside["reason"]
mounts = {m["mount_point"]: m["type"] for m in inside["mounts"]}
expected = {"/": "xfs", "/boot": "xfs"} | ({"/boot/efi": "vfat"} if sys.argv[1] == "el9" else {})
assert mounts == expected, mounts
assert guest["os"]["product"].startswith("AlmaLinux 9.4" if sys.argv[1] == "el9" else "CentOS Linux 7"), guest["os"]
assert guest["packages"]["count"] == 20, guest["packages"]
assert [k["boots_on_virtio"] for k in guest["kernels"]] == [False], guest["kernels"]
assert not inside["missing"], inside["missing"]
PYTHON
    python3 -c 'import json; i = json.load(open("inspect.json"))["inside"]; print("  ", i["guest"]["os"]["product"], [k["version"] for k in i["guest"]["kernels"]])'

    step "$kind: --as rootfs has every file, label and capability that the kernel shows"
    rm -rf packed
    alone "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none --sbom packages.json disk.raw oci:packed:disk > /dev/null
    layer=$(layer_of packed)
    python3 - "$layer" << 'PYTHON'
import sys, tarfile
members = {m.name: m.pax_headers for m in tarfile.open(sys.argv[1])}
assert members["usr/bin/env"]["SCHILY.xattr.security.selinux"].startswith("system_u:object_r:bin_t:s0"), members["usr/bin/env"]
assert "SCHILY.xattr.security.capability" in members["usr/bin/env"], members["usr/bin/env"]
labelled = sum("SCHILY.xattr.security.selinux" in headers for headers in members.values())
assert labelled > len(members) * 0.9, (labelled, len(members))
print("  ", labelled, "of", len(members), "have labels")
PYTHON
    expect_equal 20 "$(jq '[.packages[] | select(.name | startswith("base-"))] | length' packages.json)" "packages in the SBOM"

    step "$kind: --as bundle, and --sparsify"
    package_whole_and_trimmed xfs

    step "$kind: inspect from a registry reads a part of the layer"
    inspect_from_registry "el/$kind"
    rm -rf packed sparse.raw
done
