#!/usr/bin/env bash
# What edits by vm2oci's appliance add to a conversion, on a disk as Enterprise Linux 9 has it (xfs on LVM): CPU seconds of
# all processes, the least of three runs, and seconds on the clock beside; and that libguestfs is not looked at.
#
#   tests/bench/appliance.sh VM2OCI [LIMIT]    VM2OCI installed with its kernel; needs root, loop devices and xfs
#
# Exit status 1 if the edits add more than LIMIT CPU seconds (6).
set -euo pipefail
export LC_ALL=C.UTF-8 TIMEFORMAT='%U %S %R'
vm2oci=$(realpath "${1:?usage: appliance.sh VM2OCI [LIMIT]}")
limit=${2:-6}
source_dir=$(realpath "$(dirname "$0")/../..")
debian=$("$source_dir/tools/make-debian-disk.sh")
scratch=$(mktemp --directory "${TMPDIR:-/var/tmp}/vm2oci-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

"$vm2oci" -q convert --as rootfs --keep-kernel --compression none "$debian" oci-archive:files.tar:files > /dev/null
mkdir files tree
tar -x -C files -f files.tar
layer=$(find files/blobs/sha256 -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
tar -x -C tree --xattrs --xattrs-include='*' --numeric-owner -f "$layer"
rm -r files files.tar
"$source_dir/tests/support/el_like_disk.sh" el9 tree disk.raw > make.log 2>&1 || { cat make.log >&2 && exit 1; }
rm -r tree
printf '#cloud-config\nusers: [default]\n' > user-data

# measure COMMAND…: prints "CPU CLOCK" of the run that took the least.
measure() {
    for _ in 1 2 3; do
        rm -f out.raw
        { time "$@" > out.log 2> err.log; } 2>&1 | awk '{ print $1 + $2, $3 }'
    done | sort -n | head -1
    [[ -e out.raw ]] || { cat err.log >&2 && exit 1; }
}
plain=$(measure "$vm2oci" convert -q raw:disk.raw raw:out.raw)
edited=$(measure "$vm2oci" convert -q --json --fix --sysprep --user-data user-data raw:disk.raw raw:out.raw)
grep -q '"backend": *"appliance"' out.log || { echo "vm2oci's appliance did not write it" >&2 && exit 1; }
strace -f -q -e trace=openat,execve -o trace.log "$vm2oci" inject -q --fix raw:disk.raw raw:other.raw > /dev/null
! grep -q guestfs trace.log || { echo "libguestfs was looked at" >&2 && exit 1; }

awk -v plain="$plain" -v edited="$edited" -v limit="$limit" 'BEGIN {
    split(plain, a); split(edited, b); added = b[1] - a[1]
    printf "as it is      %6.2f CPU s %6.2f s\nwith edits    %6.2f CPU s %6.2f s\nthe edits add %6.2f CPU s %6.2f s\n", a[1], a[2], b[1], b[2], added, b[2] - a[2]
    exit added > limit }'
