#!/usr/bin/env bash
# Processor seconds of the same edits by vm2oci and by virt-customize, in one run, on the real Debian disk.
#
#   tests/bench/inject.sh VM2OCI
#
# vm2oci's own number is what the edits add to a conversion: the same disk is converted without them first. Both tools
# write a raw disk on the same file system; virt-customize works on a copy whose making is not counted.
set -euo pipefail

vm2oci=$(realpath "${1:?the vm2oci to measure}")
here=$(cd "$(dirname "$0")" && pwd)
disk=$("$here/../../tools/make-debian-disk.sh")
scratch=$(mktemp --directory "${TMPDIR:-/var/tmp}/vm2oci-bench.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

# seconds NAME COMMAND…: user and system time of the command and its children.
seconds() {
    local name=$1
    shift
    TIMEFORMAT='%U %S'
    { time "$@" > "$name.log" 2>&1; } 2> "$name.time" || { cat "$name.log" >&2 && return 1; }
    awk '{ printf "%.2f", $1 + $2 }' "$name.time"
}

ssh-keygen -q -t ed25519 -N '' -C bench -f key
printf '#cloud-config\nusers: [default]\n' > user-data
export LIBGUESTFS_BACKEND=direct
# That /dev/kvm is there does not say that it works.
export LIBGUESTFS_BACKEND_SETTINGS=${LIBGUESTFS_BACKEND_SETTINGS:-force_tcg}

plain=$(seconds plain "$vm2oci" convert -q "$disk" raw:plain.raw)
rm -f plain.raw
edited=$(seconds edited "$vm2oci" inject -q --hostname web01 --ssh-key key.pub:root --copy-in user-data:/etc/added \
    --sysprep=machine-id,ssh-host-keys,random-seed,logs "$disk" raw:edited.raw)
rm -f edited.raw
"$vm2oci" convert -q "$disk" raw:other.raw > other.log
other=$(seconds other virt-customize -q --format raw -a other.raw --hostname web01 --ssh-inject root:file:key.pub \
    --copy-in user-data:/etc --truncate /etc/machine-id --delete '/etc/ssh/ssh_host_*_key' --delete '/etc/ssh/ssh_host_*_key.pub' \
    --delete /var/lib/systemd/random-seed --truncate-recursive /var/log)

printf 'convert                    %8s s\nconvert with edits         %8s s\nvirt-customize             %8s s\n' \
    "$plain" "$edited" "$other"
awk -v plain="$plain" -v edited="$edited" -v other="$other" 'BEGIN {
    added = edited - plain; if (added < 0.01) added = 0.01
    printf "the edits add              %8.2f s, %.0f times less\n", added, other / added }'
