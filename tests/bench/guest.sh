#!/usr/bin/env bash
# What looking into a guest costs beside other people's tools, as CPU seconds of user and system in one run.
#
#   tests/bench/guest.sh VM2OCI [DISK]     DISK: a qcow2 (default: the real Debian disk); needs root, for the loop mount
#
# The other tools' appliance runs without KVM where KVM does not work, and says so by its numbers: compare on a machine
# that has it. Without guestfish and virt-sparsify their lines are left out.
set -euo pipefail
export LC_ALL=C.UTF-8 TIMEFORMAT='%U %S %R'

vm2oci=$(realpath "${1:?usage: guest.sh VM2OCI [DISK]}")
disk=${2:-$("$(dirname "$0")/../../tools/make-debian-disk.sh")}
scratch=$(mktemp --directory "${TMPDIR:-/var/tmp}/vm2oci-bench.XXXXXX")
trap 'umount "$scratch/mnt" 2> /dev/null || true; rm -rf "$scratch"' EXIT
mkdir "$scratch/mnt"
cd "$scratch"

# measure NAME COMMAND…
measure() {
    local name=$1 user system wall
    shift
    read -r user system wall < <({ time "$@" > out 2> err; } 2>&1 || true)
    printf '%-46s %8.2f CPU s  %8.2f s\n' "$name" "$(awk "BEGIN { print $user + $system }")" "$wall"
}

qemu-img convert -O raw "$disk" disk.raw
read -r start sectors < <(sfdisk --json disk.raw |
    python3 -c 'import json, sys; p = max(json.load(sys.stdin)["partitiontable"]["partitions"], key=lambda p: p["size"]); print(p["start"], p["size"])')
loop_tar() {
    mount -o "loop,ro,noload,offset=$((start * 512)),sizelimit=$((sectors * 512))" disk.raw mnt
    # Through a pipe: GNU tar reads no file when it writes to /dev/null itself.
    tar --xattrs --xattrs-include='*' --acls -C mnt -cf - . | cat > /dev/null
    umount mnt
}

echo "root file system to tar"
measure "  vm2oci convert --as rootfs, no compression" "$vm2oci" -q convert --as rootfs --keep-kernel --compression none "$disk" null:
measure "  loop mount and GNU tar" loop_tar
export LIBGUESTFS_BACKEND=direct
[[ -n ${LIBGUESTFS_BACKEND_SETTINGS:-} ]] || export LIBGUESTFS_BACKEND_SETTINGS=force_tcg
if command -v guestfish > /dev/null; then
    measure "  guestfish tar-out" guestfish --ro --format=qcow2 -a "$disk" -i tar-out / rootfs.tar xattrs:true
fi
echo "free space left out"
measure "  vm2oci convert --sparsify to a raw file" "$vm2oci" -q convert --sparsify "$disk" raw:sparse.raw
measure "  the same without --sparsify" "$vm2oci" -q convert "$disk" raw:whole.raw
if command -v virt-sparsify > /dev/null; then
    measure "  virt-sparsify --in-place" virt-sparsify --quiet --in-place disk.raw
fi
echo "inspection"
measure "  vm2oci inspect" "$vm2oci" -q inspect --guest-backend native "$disk"
if command -v virt-inspector > /dev/null; then
    measure "  virt-inspector" virt-inspector --format=qcow2 -a "$disk"
fi
