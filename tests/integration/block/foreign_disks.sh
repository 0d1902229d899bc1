#!/usr/bin/env bash
# Disks that qemu-img reads and does not write, from the writers of the unit tests: VMware's streamOptimized with its
# footer, COWD, seSparse, VHDs whose blocks have holes, VHDX with a log to carry out.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img qemu-io
: "${WRITE_FOREIGN_DISKS:?set by CTest}"
"$WRITE_FOREIGN_DISKS"

# same REFERENCE QEMU-FORMAT FILE
same() {
    step "$1"
    rm -f ours.raw theirs.raw
    qemu-img convert -f "$2" -O raw "$3" theirs.raw
    "$VM2OCI" -q convert "$1" raw:ours.raw > /dev/null
    cmp ours.raw theirs.raw || fail "$1 is read as something else than qemu-img reads"
    ! cmp --silent --bytes "$(stat --format %s ours.raw)" ours.raw /dev/zero || fail "$1 holds nothing"
}

for disk in stream zeroed cowd sesparse; do
    same "$disk.vmdk" vmdk "$disk.vmdk"
done
same dynamic.vhd vpc dynamic.vhd
same geometry.vhd vpc geometry.vhd
same blocks.vdi vdi blocks.vdi
same blocks.vhdx vhdx blocks.vhdx

step 'a log: QEMU carries it out where it may write'
cp log.vhdx replayed.vhdx
expect_exit 1 qemu-img convert -f vhdx -O raw replayed.vhdx theirs.raw # not where it may not
qemu-io -f vhdx -c 'read -q 0 512' replayed.vhdx
rm -f ours.raw theirs.raw
qemu-img convert -f vhdx -O raw replayed.vhdx theirs.raw
"$VM2OCI" -q convert log.vhdx raw:ours.raw > /dev/null
cmp ours.raw theirs.raw || fail 'the log is carried out as something else than QEMU does'
expect_match 'changes that its last user had written down' "$("$VM2OCI" inspect log.vhdx)" 'what inspect says of the log'
