#!/usr/bin/env bash
# Disks that somebody else may be writing to, by ways that the file itself does not show. Needs root, for a loop device.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs losetup mount umount mountpoint python3
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"

step "the file behind a loop device that is mounted"
truncate -s 16M backing.img
mke2fs -q -F backing.img
ln backing.img other-name.img
mkdir place
device=$(losetup --find --show backing.img)
trap 'status=$?; set +e; ! mountpoint -q place || umount place; losetup -j backing.img -n -O NAME | xargs -r losetup -d; (exit "$status"); _clean_up' EXIT
mount "$device" place
for disk in backing.img other-name.img "$device"; do
    expect_exit 3 "$VM2OCI" convert --quiet "raw:$disk" oci:out:x
    expect_match "mounted writable on .*place" "$(cat stderr)" "what is said of $disk"
    [[ ! -e out ]] || fail "something was written"
done
expect_match "$device" "$("$VM2OCI" convert --quiet raw:backing.img null: 2>&1 || true)" "the device that is named"
"$VM2OCI" convert --quiet --allow-in-use raw:backing.img null: > /dev/null
mount -o remount,ro place
"$VM2OCI" convert --quiet raw:backing.img null: > /dev/null
umount place
"$VM2OCI" convert --quiet raw:backing.img null: > /dev/null
losetup --detach "$device"

step "standard input that a QEMU writes to"
truncate -s 2M input.raw
# What QEMU's block/file-posix.c locks for a disk that is written: byte 101 of the file.
cat > holder.py << 'PYTHON'
import fcntl, struct, subprocess, sys
disk = open("input.raw", "r+b")
fcntl.fcntl(disk, 37, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, 101, 1, 0))  # F_OFD_SETLK
sys.exit(subprocess.run(sys.argv[1:], stdin=open("input.raw", "rb")).returncode)
PYTHON
expect_exit 3 python3 holder.py "$VM2OCI" convert --quiet - null:
expect_match '^vm2oci: standard input: a running QEMU' "$(cat stderr)" "the reason"
expect_exit 0 python3 holder.py "$VM2OCI" convert --quiet --allow-in-use - null:
expect_exit 0 "$VM2OCI" convert --quiet - null: < input.raw
