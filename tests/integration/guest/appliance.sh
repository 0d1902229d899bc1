#!/usr/bin/env bash
# The same guest through libguestfs' appliance, one on a striped btrfs that only the appliance reads, and one on xfs that
# it changes. Slow without KVM.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs mkfs.xfs sfdisk xfs_repair guestfish python3
mkdir -p root/{etc,bin,sbin,boot,home,var/lib/dpkg,usr/bin,usr/lib,dev,proc}
printf 'ID=debian\nPRETTY_NAME="Test Linux 1"\nVERSION_ID="1"\nNAME=Debian\n' > root/etc/os-release
printf '12.1\n' > root/etc/debian_version
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
cp /bin/true root/bin/sh
ln -s ../bin/sh root/sbin/init
ln root/bin/sh root/bin/also-sh
head -c 3000000 /dev/urandom > root/usr/lib/blob
printf 'Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n' > root/var/lib/dpkg/status

step "ext4: both backends see the same"
printf '/dev/sda1 / ext4 defaults 0 1\n' > root/etc/fstab
truncate -s 80M ext4.raw
printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q ext4.raw
truncate -s 79M part.img
mke2fs -q -F -t ext4 -d root part.img
dd if=part.img of=ext4.raw bs=1M seek=1 conv=notrunc status=none
"$VM2OCI" -q --json inspect --guest-backend native ext4.raw > native.json
"$VM2OCI" -q --json inspect --guest-backend libguestfs ext4.raw > appliance.json
python3 - << 'PYTHON'
import json
native, appliance = (json.load(open(f + ".json"))["inside"] for f in ("native", "appliance"))
assert native["backend"] == "native" and appliance["backend"] == "libguestfs", (appliance["backend"], appliance["reason"])
assert native["guest"] == appliance["guest"], (native["guest"], appliance["guest"])
PYTHON
"$VM2OCI" -q convert --as rootfs --guest-backend native ext4.raw oci:layout:native > /dev/null
"$VM2OCI" -q convert --as rootfs --guest-backend libguestfs ext4.raw oci:layout:appliance > /dev/null
python3 - << 'PYTHON'
import json
digests = {m["digest"] for m in json.load(open("layout/index.json"))["manifests"]}
assert len(digests) == 1, "the two backends make different images"
PYTHON

step "btrfs over two partitions: auto takes the appliance; xfs is read without it"
head -c 40000000 /dev/urandom > garbage
for kind in btrfs xfs; do
    printf '/dev/sda1 / %s defaults 0 1\n' $kind > root/etc/fstab
    tar -C root -cf $kind.tar .
    truncate -s 400M $kind.raw
done
printf 'label: dos\nstart=1MiB, size=190MiB, type=83\nstart=200MiB, type=83\n' | sfdisk -q btrfs.raw
printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q xfs.raw
LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg guestfish --format=raw -a btrfs.raw -a xfs.raw \
    run : mkfs-btrfs "/dev/sda1 /dev/sda2" datatype:raid0 metadata:raid1 : mount /dev/sda1 / : tar-in btrfs.tar / : umount-all : \
    mkfs xfs /dev/sdb1 : mount /dev/sdb1 / : tar-in xfs.tar / : upload garbage /garbage : sync : rm /garbage
for kind in btrfs xfs; do "$VM2OCI" -q --json inspect $kind.raw > $kind.json; done
python3 - << 'PYTHON'
import json
for kind, backend in (("btrfs", "libguestfs"), ("xfs", "native")):
    inside = json.load(open(kind + ".json"))["inside"]
    assert inside["backend"] == backend, (kind, inside["reason"])
    assert inside["mounts"][0]["type"] == kind
    assert inside["guest"]["os"]["product"] == "Test Linux 1", inside["guest"]["os"]
PYTHON
if "$VM2OCI" -q inspect --guest-backend native btrfs.raw | grep -q 'Test Linux'; then
    fail "native read btrfs: this test is void"
fi

step "one appliance for the edits, the free space and the packages of a conversion"
"$VM2OCI" --json convert --guest-backend libguestfs --hostname renamed --sparsify --sbom s.json xfs.raw raw:changed.raw > changed.json 2> changed.log
expect_equal 1 "$(grep -c 'starting libguestfs' changed.log)" "how often an appliance was started"
expect_match '"name": "renamed"' "$(cat s.json)" "the bill of materials, of the guest as it was changed"
expect_match '"name": "base"' "$(cat s.json)" "its packages"
dd if=changed.raw of=changed.xfs bs=1M skip=1 status=none
xfs_repair -n changed.xfs > repair.log 2>&1 || fail "xfs_repair finds faults: $(cat repair.log)"
stored=$(python3 -c 'import json; print(json.load(open("changed.json"))["disk"]["allocated_size"])')
((stored < 30000000)) || fail "$stored bytes are stored: what was removed is still there"
