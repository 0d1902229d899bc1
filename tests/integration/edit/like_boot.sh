#!/usr/bin/env bash
# Guests as Enterprise Linux 9 and 7, Fedora and SUSE lay them out, with initrds that know no virtio and networks of
# another machine: before, they do not come up; after one `convert --fix --size 12G` they do, to their login, by each
# firmware that they start from, and say that the root has the room. By hand, for each boot takes a minute or two without
# KVM; root, loop devices and a kernel with xfs and btrfs:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/edit/like_boot.sh [KIND…]
#
# KIND: el9 (UEFI, BIOS), el7 (BIOS), boot-ext4 (Fedora; UEFI, BIOS), sles15 (BIOS).
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=../guest/like_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/guest/like_guest.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool unmkinitramfs depmod cpio zstd grub-mkimage jq qemu-system-x86_64
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
kinds=("$@")
[[ $# -gt 0 ]] || kinds=(el9 el7 boot-ext4 sles15)

install_without_kernel prefix
install_kernel prefix
# The initrd activates the root's volume group by lvm2.
unpack_debian --packages lvm2,xfsprogs,btrfs-progs
export TMPDIR=$PWD

# boots DISK FIRMWARE OPTION…: on virtio, until its login and a word of its room. The verdict is in stdout.
boots() {
    nice prefix/bin/vm2oci boot "raw:$1" --json --accel tcg --firmware "$2" --disk-bus virtio --nic virtio --timeout 5m \
        "${@:3}" > stdout 2> stderr
}

for kind in "${kinds[@]}"; do
    firmwares=(bios)
    case $kind in
        el9) maker=el firmwares=(uefi bios) ;;
        el7) maker=el ;;
        boot-ext4) maker=fedora firmwares=(uefi bios) ;;
        *) maker=suse ;;
    esac
    step "$kind: make"
    rm -f disk.raw
    "$VM2OCI_SOURCE_DIR/tests/support/${maker}_like_disk.sh" "$kind" tree disk.raw boots > make.log 2>&1 || fail "$(tail -5 make.log)"

    step "$kind: before, it has no root on virtio"
    status=0
    boots disk.raw bios --ready login || status=$?
    jq -r '"   " + .summary' stdout
    expect_equal 4 "$status" "the verdict"
    # Its boot loader does its work: what is missing is missing behind it.
    [[ $(jq -r .verdict.rule stdout) != boot-* ]] || fail "it does not come to its kernel: this test is void"

    step "$kind: one convert"
    prefix/bin/vm2oci convert -q --json --fix --size 12G --hostname mended raw:disk.raw raw:mended.raw > report.json
    rm disk.raw
    jq -r '"   by " + .edits.backend, (.remarks[] | "   " + .)' report.json

    for firmware in "${firmwares[@]}"; do
        step "$kind: after, by $firmware"
        status=0
        boots mended.raw "$firmware" --ready 'mended login:' --ready 'room +(9[0-9]{3}|1[0-2][0-9]{3})M' || status=$?
        jq -r '"   " + .summary' stdout
        [[ $status -eq 0 ]] || fail "exit status $status: $(jq .verdict stdout) $(tail -n 12 stderr)"
    done
    rm mended.raw
done
