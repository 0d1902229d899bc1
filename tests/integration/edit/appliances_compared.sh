#!/usr/bin/env bash
# Every edit that there is, on guests as Enterprise Linux, Fedora and SUSE lay them out, by vm2oci's appliance and by
# libguestfs': file for file the same, with labels and times, on file systems that are sound; and what either took. By
# hand, for libguestfs takes minutes without KVM; root, loop devices and a kernel with xfs and btrfs:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/edit/appliances_compared.sh [KIND…]
#
# KIND: el9, el7, boot-ext4, sles15.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=../guest/like_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/guest/like_guest.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool xfs_repair btrfs e2fsck fsck.fat mcopy losetup jq ssh-keygen qemu-system-x86_64
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
kinds=("$@")
[[ $# -gt 0 ]] || kinds=(el9 boot-ext4 sles15)
export LIBGUESTFS_BACKEND=direct
# That /dev/kvm is there does not say that it works.
export LIBGUESTFS_BACKEND_SETTINGS=${LIBGUESTFS_BACKEND_SETTINGS:-force_tcg}
export TIMEFORMAT='%U %S %R'

mkdir mnt
trap 'status=$?; set +e; ! mountpoint -q mnt || umount -R mnt; for disk in ./*.raw; do losetup -n -O NAME -j "$disk" | xargs -r losetup -d; done; (exit "$status"); _clean_up' EXIT
install_without_kernel prefix
install_kernel prefix
unpack_debian
ssh-keygen -q -t ed25519 -N '' -C test -f key
printf '#cloud-config\nusers: [default]\n' > user-data
head -c 3000000 /dev/urandom > large
mkdir -p collector/usr/{local/bin,lib/systemd/system}
printf '#!/bin/sh\n' > collector/usr/local/bin/collector
chmod 755 collector/usr/local/bin/collector
printf '[Service]\nExecStart=/usr/local/bin/collector\n[Install]\nWantedBy=multi-user.target\n' \
    > collector/usr/lib/systemd/system/collector.service
edits=(--fix --sysprep --user-data user-data --ssh-key key.pub:root --hostname new --agent collector
    --copy-in large:/opt/large:0755:1000:1001 --copy-in large:/usr/bin/env --copy-in user-data:/boot/user-data:0600:7:8)

# took NAME COMMAND…: and says what it took.
took() {
    local name=$1
    shift
    { time "$@" > report.json 2> said.log; } 2> took || fail "$(tail -5 said.log)"
    awk -v name="$name" '{ printf "   %-12s %6.1f CPU s, %6.1f s\n", name, $1 + $2, $3 }' took
}

for kind in "${kinds[@]}"; do
    step "$kind"
    case $kind in
        el*) maker=el ;;
        boot-*) maker=fedora ;;
        *) maker=suse ;;
    esac
    rm -f disk.raw
    "$VM2OCI_SOURCE_DIR/tests/support/${maker}_like_disk.sh" "$kind" tree disk.raw > make.log 2>&1 || fail "$(tail -5 make.log)"
    sum=$(sha256sum < disk.raw)
    took "no edit" prefix/bin/vm2oci convert -q --json raw:disk.raw raw:plain.raw
    for backend in appliance libguestfs; do
        took $backend prefix/bin/vm2oci inject -q --json --guest-backend $backend --created 2026-01-02T03:04:05Z "${edits[@]}" \
            raw:disk.raw raw:$backend.raw
        expect_equal $backend "$(jq -r .edits.backend report.json)" "what wrote it"
        jq '.edits.changed' report.json > $backend.edits
        list_like "$kind" $backend.raw
    done
    expect_equal "$sum" "$(sha256sum < disk.raw)" "the source"
    diff appliance.edits libguestfs.edits > differing || fail "they were asked for other things: $(head -5 differing)"
    for list in appliance.raw.*.list; do
        diff "$list" "libguestfs${list#appliance}" > differing || fail "$list: $(cut -c 1-600 differing | head -6)"
        printf '   %s: %d files, %d of them with labels\n' "${list#appliance.raw.}" "$(wc -l < "$list")" "$(grep -c security.selinux "$list" || true)"
    done
    rm -f ./*.list plain.raw appliance.raw libguestfs.raw
done
