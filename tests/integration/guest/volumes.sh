#!/usr/bin/env bash
# Guests whose files lie on several file systems and on LVM: inspected, packaged and sparsified without an appliance,
# and compared with what other programs see. Needs root, for loop devices.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs pvcreate vgcreate lvcreate sfdisk mkfs.vfat mcopy mmd e2fsck debugfs qemu-img umoci python3
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"

step "a tree, divided: / and /var on LVM, /boot on ext4, the EFI partition on FAT"
mkdir -p root/{etc,bin,sbin,boot,var,proc,dev,tmp,usr/bin,usr/lib} var/{lib,log} boot/efi
printf 'ID=debian\nPRETTY_NAME="Test Linux 1"\nVERSION_ID="1"\n' > root/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
cp /bin/true root/bin/sh
ln root/bin/sh root/bin/also-sh
ln -s ../bin/sh root/sbin/init
head -c 3000000 /dev/urandom > root/usr/lib/blob
printf 'volatile' > root/tmp/volatile
printf 'log' > var/log/messages
printf 'not a kernel' > boot/vmlinuz-1
cat > root/etc/fstab << 'FSTAB'
/dev/mapper/vg--one-root /         ext4 defaults 0 1
/dev/vg-one/var          /var      ext4 defaults 0 2
LABEL=BOOT               /boot     ext4 defaults 0 2
UUID=ABCD-1234           /boot/efi vfat umask=0077 0 1
/swapfile                none      swap sw 0 0
FSTAB
head -c 500000 /dev/urandom > root/swapfile

truncate -s 260M disk.raw
sfdisk -q disk.raw << 'TABLE'
label: gpt
start=2048, size=16384, type=U
start=18432, size=65536, type=L
start=83968, size=16384, type=S
start=100352, size=409600, type=V
TABLE
part() { dd if="$1" of=disk.raw bs=512 seek="$2" conv=notrunc,sparse status=none; }
truncate -s 8M esp.img
mkfs.vfat -i ABCD1234 esp.img > /dev/null
mmd -i esp.img ::EFI ::EFI/BOOT
printf 'MZ not really' > fallback
mcopy -i esp.img fallback ::EFI/BOOT/BOOTX64.EFI
printf 'long' > 'A rather long name.conf'
mcopy -i esp.img 'A rather long name.conf' ::EFI/
part esp.img 2048
truncate -s 32M boot.img
mke2fs -q -F -t ext4 -L BOOT -d boot boot.img
part boot.img 18432
truncate -s 8M swap.img
mkswap -q swap.img
head -c 1M /dev/urandom | dd of=swap.img bs=1M seek=2 conv=notrunc status=none
part swap.img 83968

# LVM's own tools make the group; where its volumes lie is asked of them, and the file systems are put there.
truncate -s 200M pv.img
loop=$(losetup --find --show pv.img)
trap 'status=$?; set +e; [[ -z $loop ]] || losetup -d "$loop"; (exit "$status"); _clean_up' EXIT
lvm_options=(--config "devices{filter=[\"a|^$loop\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]} global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
pvcreate -q "${lvm_options[@]}" "$loop" > lvm.log 2>&1 || fail "$(cat lvm.log)"
vgcreate -q "${lvm_options[@]}" vg-one "$loop" >> lvm.log 2>&1 || fail "$(cat lvm.log)"
lvcreate -q --driverloaded n -an -Zn -Wn "${lvm_options[@]}" -n root -L 48M vg-one >> lvm.log 2>&1 || fail "$(cat lvm.log)"
lvcreate -q --driverloaded n -an -Zn -Wn "${lvm_options[@]}" -n var -L 24M vg-one >> lvm.log 2>&1 || fail "$(cat lvm.log)"
lvextend -q --driverloaded n "${lvm_options[@]}" -L 64M vg-one/root >> lvm.log 2>&1 || fail "$(cat lvm.log)"
# name, first sector of the segment in the volume, first sector on the physical volume, sectors
pvs --noheadings --units s --nosuffix "${lvm_options[@]}" --segments \
    -o lv_name,seg_start,pvseg_start,pvseg_size,pe_start,vg_extent_size "$loop" 2> /dev/null > segments
losetup -d "$loop"
loop= # it is anybody's now
truncate -s 64M root.img
mke2fs -q -F -t ext4 -d root root.img
truncate -s 24M var.img
mke2fs -q -F -t ext4 -d var var.img
[[ $(grep -c '^ *root ' segments) -eq 2 ]] || fail "the root volume should have two segments: $(cat segments)"
while read -r name start first count pe_start extent; do
    [[ $name == root || $name == var ]] || continue
    dd if="$name.img" of=pv.img bs=512 skip="$start" seek=$((pe_start + first * extent)) count=$((count * extent)) \
        conv=notrunc status=none
done < segments
# What LVM calls free, and what the file systems call free, holds old data.
python3 - segments << 'PYTHON'
import sys
used = []
for line in open(sys.argv[1]):
    fields = line.split()
    if len(fields) == 6:
        _, _, first, count, pe_start, extent = fields
        used.append((int(first), int(first) + int(count), int(pe_start), int(extent)))
last, pe_start, extent = max(end for _, end, _, _ in used), used[0][2], used[0][3]
with open("pv.img", "r+b") as pv:
    pv.seek((pe_start + last * extent) * 512)
    pv.write(b"old data " * 100000)
PYTHON
part pv.img 100352
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2

step "inspect"
"$VM2OCI" --json inspect --guest-backend native disk.qcow2 > inspect.json
python3 - << 'PYTHON'
import json
inside = json.load(open("inspect.json"))["inside"]
mounts = {m["mount_point"]: (m["type"], m["volume"]) for m in inside["mounts"]}
assert mounts == {"/": ("ext4", "logical volume vg-one/root"), "/var": ("ext4", "logical volume vg-one/var"),
                  "/boot": ("ext4", "partition 2"), "/boot/efi": ("vfat", "partition 1")}, mounts
assert inside["missing"] == [], inside["missing"]
guest = inside["guest"]
assert guest["os"]["product"] == "Test Linux 1" and guest["os"]["architecture"], guest["os"]
assert [v["content"]["type"] for v in inside["volumes"][:4]] == ["vfat", "ext4", "swap", "LVM2_member"]
PYTHON

step "the whole tree, from all of them"
"$EXPORT_TAR" --guest disk.qcow2 > guest.tar
tar -tf guest.tar > names
for name in etc/fstab var/log/messages boot/vmlinuz-1 boot/efi/EFI/BOOT/BOOTX64.EFI \
    'boot/efi/EFI/A rather long name.conf' usr/lib/blob; do
    grep -Fxq -- "$name" names || fail "$name is missing: $(head -50 names)"
done
tar -xOf guest.tar usr/lib/blob | cmp - root/usr/lib/blob || fail "a file differs"
tar -xOf guest.tar boot/efi/EFI/BOOT/BOOTX64.EFI | cmp - fallback || fail "a file on FAT differs"

step "convert --as rootfs"
"$VM2OCI" -q convert --as rootfs --compression gzip disk.qcow2 oci:layout:one > /dev/null
"$VM2OCI" -q convert --as rootfs --compression gzip --threads 1 raw:disk.raw oci:layout:again > /dev/null
python3 - << 'PYTHON'
import json
index = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in json.load(open("layout/index.json"))["manifests"]}
assert index["one"] == index["again"], "the same guest gives two images"
PYTHON
umoci unpack --image layout:one bundle > umoci.log 2>&1 || fail "umoci does not unpack the image: $(tail -2 umoci.log)"
cmp bundle/rootfs/usr/lib/blob root/usr/lib/blob || fail "a file in the image differs"
[[ bundle/rootfs/bin/sh -ef bundle/rootfs/bin/also-sh ]] || fail "the hard link was lost"
[[ -f bundle/rootfs/var/log/messages ]] || fail "/var is missing"
for gone in tmp/volatile swapfile boot/vmlinuz-1 boot/efi lost+found var/lost+found; do
    [[ ! -e bundle/rootfs/$gone ]] || fail "$gone should not be in the image"
done
python3 - << 'PYTHON'
import json
process = json.load(open("bundle/config.json"))["process"]
assert process["args"] == ["/sbin/init"], process["args"]
PYTHON
"$VM2OCI" -q convert --as rootfs --compression gzip --keep-kernel disk.qcow2 oci:layout:kernel > /dev/null
umoci unpack --image layout:kernel kernel > /dev/null 2>&1
[[ -f kernel/rootfs/boot/vmlinuz-1 ]] || fail "--keep-kernel lost the kernel"

step "--sparsify"
"$VM2OCI" -q convert --sparsify disk.qcow2 raw:sparse.raw > /dev/null
"$EXPORT_TAR" --guest sparse.raw | cmp - guest.tar || fail "sparsify changed a file"
dd if=sparse.raw of=boot.after bs=512 skip=18432 count=65536 status=none
e2fsck -fn boot.after > e2fsck.log 2>&1 || fail "$(cat e2fsck.log)"
dd if=sparse.raw of=swap.after bs=512 skip=83968 count=16384 status=none
blkid -p swap.after | grep -q 'TYPE="swap"' || fail "the swap space lost its header"
[[ $(tr -d '\0' < swap.after | wc -c) -lt 5000 ]] || fail "the contents of swap are still there"
! grep -q 'old data' sparse.raw || fail "free extents of LVM are still there"
grep -q 'old data' disk.raw || fail "the test is void"
