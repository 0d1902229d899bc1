#!/usr/bin/env bash
# A guest whose root is a logical volume that begins on one disk of its machine and goes on on another: inspected, changed
# and packaged as one, and as two images. Needs root, for loop devices.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs e2fsck debugfs pvcreate vgcreate lvcreate lvextend pvs sfdisk qemu-img jq umoci python3
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"

step "a tree of which a file lies on either disk"
mkdir -p root/{etc,bin,sbin,boot,var/lib/dpkg,proc,dev,usr/bin,usr/lib}
printf 'ID=debian\nPRETTY_NAME="Debian on two disks"\nVERSION_ID="12"\n' > root/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
printf '/dev/mapper/vg-root / ext4 defaults 0 1\n' > root/etc/fstab
printf 'old\n' > root/etc/hostname
cp /bin/true root/bin/sh
ln -s ../bin/sh root/sbin/init
printf 'Package: split\nStatus: install ok installed\nVersion: 7.5\nArchitecture: amd64\n\n' > root/var/lib/dpkg/status
for i in 1 2 3 4; do head -c 12000000 /dev/urandom > "root/usr/lib/blob$i"; done
truncate -s 88M root.img
mke2fs -q -F -t ext4 -d root root.img

step "LVM's own tools make the group; where its volume lies is asked of them"
truncate -s 100M first.raw
sfdisk -q first.raw << 'TABLE'
label: gpt
start=2048, size=16384, type=U
start=18432, size=122880, type=V
TABLE
truncate -s 60M first.pv
truncate -s 60M second.raw # a physical volume without a partition around it
loops=()
for file in first.pv second.raw; do loops+=("$(losetup --find --show "$file")"); done
trap 'status=$?; set +e; [[ ${#loops[@]} -eq 0 ]] || losetup -d "${loops[@]}"; (exit "$status"); _clean_up' EXIT
lvm_options=(--config "devices{filter=[\"a|^${loops[0]}\$|\",\"a|^${loops[1]}\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]} global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
run_lvm() { "$@" >> lvm.log 2>&1 || fail "$(cat lvm.log)"; }
run_lvm pvcreate -q "${lvm_options[@]}" "${loops[@]}"
run_lvm vgcreate -q "${lvm_options[@]}" vg "${loops[@]}"
run_lvm lvcreate -q --driverloaded n -an -Zn -Wn "${lvm_options[@]}" -n root -L 48M vg "${loops[0]}"
run_lvm lvextend -q --driverloaded n "${lvm_options[@]}" -L 88M vg/root "${loops[1]}"
# device, first sector of the segment in the volume, first sector on the physical volume, sectors
pvs --noheadings --units s --nosuffix "${lvm_options[@]}" --segments \
    -o pv_name,lv_name,seg_start,pvseg_start,pvseg_size,pe_start,vg_extent_size "${loops[@]}" 2> /dev/null > segments
losetup -d "${loops[@]}"
of_first=${loops[0]} # as it is named in `segments`
loops=()             # they are anybody's now
expect_equal 2 "$(grep -c ' root ' segments)" 'segments of the root'
# copy_segments VOLUME DIRECTION(in|out) FIRST-PV SECOND-PV
copy_segments() {
    local device name start first count pe_start extent file
    while read -r device name start first count pe_start extent; do
        [[ $name == root ]] || continue
        file=$3
        [[ $device == "$of_first" ]] || file=$4
        if [[ $2 == in ]]; then
            dd if="$1" of="$file" bs=512 skip="$start" seek=$((pe_start + first * extent)) count=$((count * extent)) conv=notrunc status=none
        else
            dd if="$file" of="$1" bs=512 skip=$((pe_start + first * extent)) seek="$start" count=$((count * extent)) conv=notrunc status=none
        fi
    done < segments
}
copy_segments root.img in first.pv second.raw
dd if=first.pv of=first.raw bs=1M seek=9 conv=notrunc status=none

step "either disk alone is no guest, and says that a part of it is elsewhere"
"$VM2OCI" inspect --json --guest-backend native raw:first.raw > alone.json
jq -r '..|strings' alone.json > said
grep -q 'Debian on two disks' said && fail 'the guest was read from half of its root'
grep -q 'one of its physical volumes is not on this disk' said || fail 'nothing says that a part is missing'

step "both are"
"$VM2OCI" inspect --json --guest-backend native raw:first.raw --disk raw:second.raw > both.json
jq -r '..|strings' both.json | grep -q 'Debian on two disks' || fail 'the guest on both disks is not seen'

step "the tree, whole"
"$VM2OCI" convert -q --guest-backend native --as rootfs --compression gzip raw:first.raw --disk raw:second.raw oci:tree:web > /dev/null
umoci unpack --image tree:web unpacked > umoci.log 2>&1 || fail "$(cat umoci.log)"
for i in 1 2 3 4; do cmp "root/usr/lib/blob$i" "unpacked/rootfs/usr/lib/blob$i"; done

step "changed across both, and each disk its own image"
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized first.raw first.vmdk
qemu-img convert -f raw -O vhdx second.raw second.vhdx
"$VM2OCI" convert -q --guest-backend native --hostname web01 --copy-in root/usr/lib/blob1:/usr/lib/blob5 first.vmdk \
    --disk second.vhdx oci:images:web > /dev/null
"$VM2OCI" convert -q oci:images:web raw:first.out > /dev/null
"$VM2OCI" convert -q oci:images:web-disk2 raw:second.out > /dev/null
cmp -s second.raw second.out && fail 'the second disk was not changed, though a large file went to where it begins'
dd if=first.out of=first.pv.out bs=1M skip=9 count=60 status=none
truncate -s 88M volume.out
copy_segments volume.out out first.pv.out second.out
e2fsck -fn volume.out > fsck.log 2>&1 || fail "$(cat fsck.log)"
expect_equal web01 "$(debugfs -R 'cat /etc/hostname' volume.out 2> /dev/null)" 'the name'
debugfs -R 'dump /usr/lib/blob5 blob5' volume.out > /dev/null 2>&1
cmp root/usr/lib/blob1 blob5
