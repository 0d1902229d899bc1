#!/usr/bin/env bash
# `convert --size` on a volume group that its owner once extended by a second partition: the physical volume that lies last
# grows, both tell the same of the group, LVM's own tools find no fault, and the root's volume has the room. Needs root, for
# loop devices; no device-mapper.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool sfdisk mke2fs e2fsck losetup pvcreate vgcreate vgcfgbackup vgcfgrestore vgck lvs jq
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
export LVM_SUPPRESS_FD_WARNINGS=1
trap 'status=$?; losetup -n -O NAME -j "$scratch/disk.raw" | xargs -r losetup -d; losetup -n -O NAME -j "$scratch/grown.raw" | xargs -r losetup -d; (exit "$status"); _clean_up' EXIT

# attach DISK: sets first and second, loop devices of its two physical volumes.
attach() {
    first=$(attach_partition "$1" 2)
    second=$(attach_partition "$1" 3)
}
attach_partition() {
    local start size
    read -r start size < <(sfdisk --json "$1" | jq -r ".partitiontable.partitions[$(($2 - 1))] | \"\(.start) \(.size)\"")
    losetup --show --find --offset $((start * 512)) --sizelimit $((size * 512)) "$1"
}
lvm() { command lvm "$@" --config "devices { use_devicesfile=0 filter=[\"a|^$first\$|\", \"a|^$second\$|\", \"r|.*|\"] }" 2>&1; }

step 'a group over two partitions, as vgextend leaves it'
truncate -s 400M disk.raw
sfdisk --quiet disk.raw <<< 'label: dos
start=2048, size=102400, type=83, bootable
start=104448, size=204800, type=8e
start=309248, size=204800, type=8e'
attach disk.raw
lvm pvcreate --quiet "$first" "$second" > log || fail "$(cat log)"
lvm vgcreate --quiet centos "$first" "$second" > log || fail "$(cat log)"
lvm vgcfgbackup --file backup centos > log || fail "$(cat log)"
# Without device-mapper no tool makes a volume; the text of the group is theirs.
python3 - backup with-root <<'PY'
import sys
text = open(sys.argv[1]).read().rstrip()
end = text.rindex("}")
segments = "".join(
    f'segment{n} {{\nstart_extent = {start}\nextent_count = {count}\ntype = "striped"\nstripe_count = 1\nstripes = [ "{pv}", 0 ]\n}}\n'
    for n, start, count, pv in ((1, 0, 24, "pv0"), (2, 24, 10, "pv1")))
root = ('root {\nid = "Ngq5cC-0hJk-0ter-wVEe-Ep2g-azkL-RRm7TK"\nstatus = ["READ", "WRITE", "VISIBLE"]\nflags = []\n'
        'creation_time = 1600000000\ncreation_host = "web"\nsegment_count = 2\n' + segments + "}\n")
open(sys.argv[2], "w").write(text[:end] + "logical_volumes {\n" + root + "}\n" + text[end:] + "\n")
PY
lvm vgcfgrestore --quiet --force --file with-root centos > log || fail "$(cat log)"
lvm vgck centos > log || fail "$(cat log)"
mkdir -p root/etc root/usr/lib
printf 'ID=centos\nVERSION_ID=7\n' > root/usr/lib/os-release
printf '/dev/mapper/centos-root / ext4 defaults 0 0\n' > root/etc/fstab
truncate -s 136M root.ext4
mke2fs -q -t ext4 -d root root.ext4
dd if=root.ext4 of="$first" bs=1M seek=1 count=96 conv=notrunc status=none
dd if=root.ext4 of="$second" bs=1M seek=1 skip=96 conv=notrunc status=none
losetup --detach "$first" "$second"

step 'it has the room of a larger disk'
"$VM2OCI" convert --quiet --json --size 1G raw:disk.raw raw:grown.raw > report.json
jq -e '.remarks | any(startswith("logical volume centos/root has "))' report.json > /dev/null || fail "$(cat report.json)"
attach grown.raw
lvm vgck centos > log || fail "$(cat log)"
expect_equal '' "$(cat log)" 'what vgck says'
lvm lvs --noheadings --units m --options lv_name,lv_size,seg_count centos > log
expect_match 'root +968\.00m +2' "$(cat log)" 'the volume' # 24 and 218 extents of 4 MiB
lvm pvs --noheadings --units m --options pv_size,pv_free "$second" > log
expect_match '872\.00m +0' "$(cat log)" 'the physical volume'
losetup --detach "$first" "$second"
"$VM2OCI" inspect --json raw:grown.raw > inspect.json
jq -e '.inside.guest.os.distribution == "centos"' inspect.json > /dev/null || fail "$(cat inspect.json)"
