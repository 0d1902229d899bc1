#!/usr/bin/env bash
# What QEMU's own NBD client reads from our server is what qemu-img reads from the disk itself, holes included.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq
: "${NBD_EXPORT:?set by CTest: the program nbd_export}"

small_disk small.raw 24
qemu-img convert -O qcow2 -c small.raw compressed.qcow2
qemu-img convert -O qcow2 small.raw plain.qcow2
for disk in compressed.qcow2 plain.qcow2; do
    step "$disk"
    "$NBD_EXPORT" "$disk" qemu-img convert -O raw \
        'json:{"driver":"raw","file":{"driver":"nbd","server":{"type":"fd","str":"3"}}}' "copy-of-$disk.raw"
    cmp small.raw "copy-of-$disk.raw" || fail "the bytes of $disk differ"
    "$NBD_EXPORT" "$disk" qemu-img map --output json --image-opts \
        driver=raw,file.driver=nbd,file.server.type=fd,file.server.str=3 > map.json
    zeros=$(jq '[.[] | select(.zero) | .length] | add' map.json)
    data=$(jq '[.[] | select(.zero | not) | .length] | add' map.json)
    expect_equal $((24 << 20)) $((zeros + data)) 'the length of the map'
    ((zeros > 4 << 20)) || fail "only $zeros bytes are told as zeros"
done
