#!/usr/bin/env bash
# Peak memory is bounded and does not grow with the disk: at most 100 MiB for the real 10 GiB disk, at every compression,
# and for a sparse disk of 1 TiB.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img /usr/bin/time
limit_kib=$((100 * 1024))

# measure WHAT COMMAND…
measure() {
    local what=$1 peak
    shift
    /usr/bin/time --format %M --output peak "$@" > /dev/null 2> measured.log || fail "$what: $(cat measured.log)"
    peak=$(tail -n 1 peak)
    printf '%-50s %6d KiB\n' "$what" "$peak"
    expect_at_most "$limit_kib" "$peak" "KiB of memory for $what"
}

disk=$(debian_disk)
for compression in zstd:1 zstd gzip none; do
    measure "Debian, 10 GiB, $compression" "$VM2OCI" convert --quiet --compression "$compression" "$disk" null:
done
measure 'Debian, 10 GiB, eight threads' "$VM2OCI" convert --quiet --threads 8 "$disk" null:
measure 'Debian, 10 GiB, zstd clusters' "$VM2OCI" convert --quiet --cluster-compression zstd --compression none "$disk" null:
measure 'Debian, 10 GiB, kept' "$VM2OCI" convert --quiet --disk-format keep --compression none "$disk" null:
measure 'Debian, 10 GiB, into a layout' "$VM2OCI" convert --quiet --compression zstd:1 "$disk" oci:layout:x
measure 'Debian, 10 GiB, verify' "$VM2OCI" verify oci:layout:x

python3 - << 'PYTHON'
# One TiB with 64 KiB of noise every 8 GiB and at both ends.
import os
with open("huge.raw", "wb") as disk:
    disk.truncate(1 << 40)
    for position in [*range(0, 1 << 40, 8 << 30), (1 << 40) - 65536]:
        disk.seek(position)
        disk.write(os.urandom(65536))
PYTHON
qemu-img create -q -f qcow2 huge.qcow2 1T
qemu-img convert -n -f raw -O qcow2 huge.raw huge.qcow2
for source in raw:huge.raw qcow2:huge.qcow2; do
    measure "sparse 1 TiB, $source" "$VM2OCI" convert --quiet "$source" null:
done
measure 'sparse 1 TiB into a layout' "$VM2OCI" convert --quiet raw:huge.raw oci:layout:huge
measure 'sparse 1 TiB, out of the layout' "$VM2OCI" convert --quiet oci:layout:huge raw:back.raw
qemu-img compare -q -f qcow2 -F raw huge.qcow2 back.raw
