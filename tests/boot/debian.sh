#!/usr/bin/env bash
# The real Debian disk comes up: as a qcow2 by BIOS and by UEFI, and as a containerDisk in a layout and in an archive,
# served from the layer without being unpacked: what a boot reads is a part of the disk.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq qemu-system-x86_64
disk=$(debian_disk --format qcow2)
mkdir tmp

boot() {
    TMPDIR=$scratch/tmp expect_exit 0 nice "$VM2OCI" boot "$@" --json --accel tcg --timeout 10m --ready login \
        --ignore no-datasource
    expect_match '^[0-9]+$' "$(jq '.milestones[] | select(.name == "login") | .at.cpu_ms' stdout)" 'the login prompt'
    jq -r '"   " + .summary' stdout
}

step 'qcow2 by BIOS'
boot "$disk"
expect_equal bios "$(jq -r .machine.firmware stdout)" 'firmware of a disk that has both'
touched=$(jq .disk.touched stdout)
((touched < 400 << 20)) || fail "a boot read $touched bytes of the disk"

step 'qcow2 by UEFI'
boot "$disk" --firmware uefi
expect_equal uefi "$(jq -r .machine.firmware stdout)" 'firmware'

step 'a containerDisk in a layout, and in an archive'
"$VM2OCI" convert "$disk" oci:images:debian --compression zstd:1 > convert.log
boot oci:images:debian
"$VM2OCI" convert "$disk" oci-archive:debian.tar:debian --compression zstd:1 > convert.log
boot oci-archive:debian.tar:debian
expect_equal '' "$(ls -A tmp)" 'what is left in the temporary folder'
