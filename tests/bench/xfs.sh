#!/usr/bin/env bash
# What a guest on xfs costs beside the same files on ext4, as CPU seconds of user and system (the best of three runs), and
# the ratios that count: the real Debian disk, its files on one partition with xfs, and a disk as Enterprise Linux lays it
# out (tests/support/el_like_disk.sh; its database has 20 packages where Debian's has hundreds).
#
#   tests/bench/xfs.sh VM2OCI     needs root, for loop devices, and a kernel that mounts xfs
#
# With virt-sparsify installed, its trim of the same disk is measured as well: minutes without KVM.
set -euo pipefail
export LC_ALL=C.UTF-8 TIMEFORMAT='%U %S'

vm2oci=$(realpath "${1:?usage: xfs.sh VM2OCI}")
source_dir=$(realpath "$(dirname "$0")/../..")
debian=$("$source_dir/tools/make-debian-disk.sh")
scratch=$(mktemp --directory "${TMPDIR:-/var/tmp}/vm2oci-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

qemu-img convert -O raw "$debian" ext4.raw
"$vm2oci" -q convert --as rootfs --keep-kernel --compression none ext4.raw oci-archive:files.tar:files > /dev/null
mkdir files tree
tar -x -C files -f files.tar
layer=$(find files/blobs/sha256 -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
tar -x -C tree --xattrs --xattrs-include='*' --numeric-owner -f "$layer"
rm -r files files.tar
"$source_dir/tests/support/el_like_disk.sh" el9 tree xfs.raw > make.log 2>&1 || { cat make.log >&2 && exit 1; }

truncate -s 2402M same.raw
printf 'label: gpt\nstart=1MiB,size=2400MiB,type=L\n' | sfdisk -q same.raw
loop=$(losetup --find --show --offset 1048576 --sizelimit $((2400 << 20)) same.raw)
trap 'umount mnt 2> /dev/null || true; losetup -d "$loop" 2> /dev/null || true; rm -rf "$scratch"' EXIT
mkfs.xfs -q -f "$loop"
mkdir mnt
mount "$loop" mnt
cp -a tree/. mnt/
umount mnt
losetup -d "$loop"

cpu() { # COMMAND…
    for _ in 1 2 3; do
        { time "$@" > out 2> err; } 2>&1 | awk '{ print $1 + $2 }'
    done | sort -n | head -1
}
# side_by_side WHAT COMMAND…: DISK in the command is either disk.
side_by_side() {
    local what=$1 disk cost=()
    shift
    for disk in ext4 same xfs; do cost+=("$(cpu "${@/DISK/$disk.raw}")"); done
    awk -v what="$what" -v a="${cost[0]}" -v b="${cost[1]}" -v c="${cost[2]}" 'BEGIN { a = a > 0 ? a : 0.01
        printf "%-30s ext4 %5.2f CPU s   the same on xfs %5.2f (%.2f times)   EL-like %5.2f (%.2f times)\n", what, a, b, b / a, c, c / a }'
}
side_by_side "inspect" "$vm2oci" inspect DISK
side_by_side "--as rootfs, no compression" "$vm2oci" -q convert --as rootfs --keep-kernel --compression none DISK null:
side_by_side "containerDisk, no compression" "$vm2oci" -q convert --compression none DISK null:
side_by_side "--sparsify, no compression" "$vm2oci" -q convert --sparsify --compression none DISK null:
if command -v virt-sparsify > /dev/null; then
    export LIBGUESTFS_BACKEND=direct
    [[ -n ${LIBGUESTFS_BACKEND_SETTINGS:-} ]] || export LIBGUESTFS_BACKEND_SETTINGS=force_tcg
    cp --sparse=always xfs.raw trimmed.raw
    printf '%-30s EL-like %.2f CPU s\n' "virt-sparsify --in-place" \
        "$({ time virt-sparsify --quiet --in-place --format raw trimmed.raw > out 2> err; } 2>&1 | awk '{ print $1 + $2 }')"
fi
