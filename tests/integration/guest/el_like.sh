#!/usr/bin/env bash
# Guests as Enterprise Linux 9 and 7 lay them out, on xfs and LVM: inspected, packaged as root file system and bundle,
# listed and sparsified, all of it in this process. Needs root, for loop devices, and a kernel that mounts xfs.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mkfs.xfs xfs_repair sfdisk mkfs.fat mcopy mmd pvcreate lvcreate losetup cpio rpm rpmbuild db5.3_load setcap jq strace python3
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
modprobe xfs 2> /dev/null || true
grep -qw xfs /proc/filesystems || fail "this kernel does not mount xfs, and the disks are made by it"

mkdir mnt tree
trap 'status=$?; set +e; ! mountpoint -q mnt || umount -R mnt; (exit "$status"); _clean_up' EXIT

step "the files of a Debian machine"
"$VM2OCI" -q convert --as rootfs --keep-kernel --compression none "$(debian_disk)" oci:made:debian > /dev/null
layer_of() { # LAYOUT
    local manifest
    manifest=$(jq -r '.manifests[0].digest' "$1/index.json")
    printf '%s/blobs/%s\n' "$1" "$(jq -r '.layers[0].digest' "$1/blobs/${manifest/://}" | tr : /)"
}
tar -x -C tree --xattrs --xattrs-include='*' --numeric-owner -f "$(layer_of made)"
rm -r made

# alone COMMAND…: which starts no program and loads no libguestfs.
alone() {
    strace -f -q -e trace=execve,openat -o trace.log "$@"
    [[ $(grep -c 'execve(.*= 0' trace.log) -eq 1 ]] || fail "it started a program: $(grep 'execve(' trace.log | tail -1)"
    ! grep -q libguestfs trace.log || fail "it loaded libguestfs: $*"
}

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

    step "$kind: --as bundle"
    alone "$VM2OCI" -q convert --as bundle --compression none disk.raw oci:packed:bundle > bundle.log 2>&1 ||
        expect_match 'virtio' "$(cat bundle.log)" "why there is no bundle"

    step "$kind: --sparsify"
    alone "$VM2OCI" -q --json convert --sparsify disk.raw raw:sparse.raw > sparse.json
    expect_equal 0 "$(jq '[.remarks[] | select(test("xfs.*whole|whole.*xfs"))] | length' sparse.json)" "what was left whole"
    "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none sparse.raw oci:packed:sparse > /dev/null
    expect_equal 1 "$(jq '[.manifests[0,-1].digest] | unique | length' packed/index.json)" "images of the two disks"

    step "$kind: inspect from a registry reads a part of the layer"
    "$VM2OCI" -q convert disk.raw "docker://$registry/el/$kind:1" > pushed.log
    strace -f -q -e trace=recvfrom,execve -o trace.log "$VM2OCI" -q --json inspect "docker://$registry/el/$kind:1" > remote.json
    [[ $(grep -c 'execve(.*= 0' trace.log) -eq 1 ]] || fail "it started a program"
    layer=$(find registry -name data -path '*blobs*' -printf '%s\n' | sort -n | tail -1)
    received=$(sed -n 's/.*recvfrom.* = \([0-9]*\)$/\1/p' trace.log | awk '{ sum += $1 } END { print sum + 0 }')
    printf '   %d of %d bytes\n' "$received" "$layer"
    ((received > 10000)) || fail "$received bytes were received: this test is void"
    # 2 % where the files were written in one go, up to 6 % where the kernel wrote them back bit by bit (a busy machine):
    # then the inodes lie scattered, and each frame has one of them.
    expect_at_most $((layer * 10 / 100)) "$received" "bytes that were fetched"
    python3 - << 'PYTHON'
import json
local, remote = (json.load(open(name))["inside"] for name in ("inspect.json", "remote.json"))
assert remote["mounts"] == local["mounts"], remote["mounts"]
# From far away the parts of large files are not read.
differing = {key for key in local["guest"] if remote["guest"].get(key) != local["guest"][key]}
assert differing <= {"kernels"}, {key: (local["guest"][key], remote["guest"].get(key)) for key in differing}
PYTHON
    rm -rf packed sparse.raw
done
