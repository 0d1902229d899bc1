#!/usr/bin/env bash
# --disk-format keep: a clean qcow2 goes into the image byte by byte, compressed clusters and all; one that is not fit to
# ship is refused.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img zstd tar jq
validate=$VM2OCI_SOURCE_DIR/tests/support/validate_layout.py

small_disk disk.raw
qemu-img convert -c -f raw -O qcow2 -o compression_type=zlib disk.raw compressed.qcow2
qemu-img convert -f raw -O qcow2 disk.raw plain.qcow2
for kind in compressed plain; do
    step "$kind qcow2"
    "$VM2OCI" convert --json --disk-format keep --compression none "$kind.qcow2" "oci:layout:$kind" > report.json
    tar --extract --to-stdout --file "layout/blobs/sha256/$(jq -r '.layer.digest' report.json | cut -d: -f2)" disk/disk.qcow2 |
        cmp - "$kind.qcow2"
    "$VM2OCI" convert --json --disk-format keep "$kind.qcow2" "oci:layout:$kind-zstd" > report.json
    zstd -dc "layout/blobs/sha256/$(jq -r '.layer.digest' report.json | cut -d: -f2)" |
        tar --extract --to-stdout --file - disk/disk.qcow2 | cmp - "$kind.qcow2"
done
"$validate" layout --containerdisk disk.qcow2 --no-garbage > /dev/null

step 'what is not fit to ship'
qemu-img create -q -f qcow2 -b plain.qcow2 -F qcow2 overlay.qcow2
expect_exit 3 "$VM2OCI" convert --disk-format keep overlay.qcow2 oci:refused:x
expect_exit 3 "$VM2OCI" convert --disk-format keep --backing plain.qcow2 overlay.qcow2 oci:refused:x
cp plain.qcow2 snapshots.qcow2
qemu-img snapshot -c before snapshots.qcow2
expect_exit 3 "$VM2OCI" convert --disk-format keep snapshots.qcow2 oci:refused:x
expect_match 'snapshot' "$(cat stderr)" 'the reason'
[[ ! -e refused ]] || fail 'a refused disk left a layout'
