#!/usr/bin/env bash
# Disk to disk and image to disk: canonical qcow2 and sparse raw, compared with the source by qemu-img.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq

small_disk disk.raw
qemu-img convert -c -f raw -O qcow2 -o compression_type=zstd disk.raw source.qcow2

check_qcow2() {
    qemu-img check -q "$1" || fail "$1: qemu-img check complains"
    qemu-img compare -q -f qcow2 -F raw "$1" disk.raw || fail "$1 has another content"
    expect_equal '1.1 65536 false' "$(qemu-img info --output json "$1" |
        jq -r '"\(."format-specific".data.compat) \(."cluster-size") \(."format-specific".data."extended-l2")"')" "form of $1"
}

step 'qcow2'
"$VM2OCI" convert --quiet source.qcow2 qcow2:plain.qcow2
check_qcow2 plain.qcow2
"$VM2OCI" convert --quiet raw:disk.raw qcow2:again.qcow2
cmp plain.qcow2 again.qcow2
for algorithm in zlib zstd; do
    "$VM2OCI" convert --quiet --cluster-compression "$algorithm" source.qcow2 "qcow2:$algorithm.qcow2"
    check_qcow2 "$algorithm.qcow2"
    expect_equal "$algorithm" "$(qemu-img info --output json "$algorithm.qcow2" |
        jq -r '."format-specific".data."compression-type"')" 'compression type'
    expect_at_most "$(stat --format %s plain.qcow2)" "$(stat --format %s "$algorithm.qcow2")" "size of $algorithm.qcow2"
done

step 'raw'
"$VM2OCI" convert --quiet source.qcow2 raw:out.raw
cmp disk.raw out.raw
expect_at_most "$(du --block-size=1K disk.raw | cut -f1)" "$(du --block-size=1K out.raw | cut -f1)" 'KiB in use of the sparse file'

step '--size grows, in both formats'
"$VM2OCI" convert --quiet --size 64M source.qcow2 qcow2:large.qcow2
"$VM2OCI" convert --quiet --size 64M source.qcow2 raw:large.raw
expect_equal $((64 << 20)) "$(qemu-img info --output json large.qcow2 | jq '."virtual-size"')" 'virtual size'
expect_equal $((64 << 20)) "$(stat --format %s large.raw)" 'size of the raw file'
qemu-img compare -q -f qcow2 -F raw large.qcow2 large.raw
cmp --bytes=$((24 << 20)) disk.raw large.raw
qemu-img check -q large.qcow2

step 'a disk that is no multiple of anything'
cp disk.raw odd.raw
truncate --size $(((24 << 20) + 512 * 77)) odd.raw
"$VM2OCI" convert --quiet raw:odd.raw qcow2:odd.qcow2
qemu-img check -q odd.qcow2
qemu-img compare -q -f raw -F qcow2 odd.raw odd.qcow2

step 'from images of every form'
for options in '' '--compression gzip' '--compression none' '--disk-format raw' '--cluster-compression zlib'; do
    read -ra arguments <<< "$options"
    rm -rf layout image.tar
    "$VM2OCI" convert --quiet "${arguments[@]}" source.qcow2 oci:layout:x
    "$VM2OCI" convert --quiet oci:layout:x raw:back.raw
    cmp disk.raw back.raw || fail "back from an image made with '$options'"
    "$VM2OCI" convert --quiet "${arguments[@]}" source.qcow2 oci-archive:image.tar:x
    "$VM2OCI" convert --quiet oci-archive:image.tar:x qcow2:back.qcow2
    cmp plain.qcow2 back.qcow2 || fail "back from an archive made with '$options'"
done
