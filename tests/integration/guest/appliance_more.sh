#!/usr/bin/env bash
# What only libguestfs' appliance reads: the registry of a Windows on NTFS, LUKS. A command of
# its own, for it takes many minutes without KVM:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=. tests/integration/guest/appliance_more.sh
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs btrfs sfdisk guestfish hivexregedit python3
mkdir -p root/{etc,bin,sbin,boot,home,var,usr/bin,usr/lib,dev,proc}
printf 'ID=debian\nPRETTY_NAME="Test Linux 1"\nVERSION_ID="1"\nNAME=Debian\n' > root/etc/os-release
printf '12.1\n' > root/etc/debian_version
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
cp /bin/true root/bin/sh
ln -s ../bin/sh root/sbin/init
ln root/bin/sh root/bin/also-sh
head -c 3000000 /dev/urandom > root/usr/lib/blob

step "disks with btrfs, with a Windows on NTFS, and with LUKS"
printf '/dev/sda1 / btrfs defaults 0 1\n' > root/etc/fstab
tar -C root -cf root.tar .
python3 "$VM2OCI_SOURCE_DIR/tests/integration/guest/empty_hive.py" empty
cat > software.reg << 'REG'
Windows Registry Editor Version 5.00

[\Microsoft]

[\Microsoft\Windows NT]

[\Microsoft\Windows NT\CurrentVersion]
"ProductName"="Windows Server 2019 Standard"
"EditionID"="ServerStandard"
"InstallationType"="Server Core"
"CurrentVersion"="6.3"
"CurrentMajorVersionNumber"=dword:0000000a
"CurrentMinorVersionNumber"=dword:00000000
"CurrentBuildNumber"="17763"
"ReleaseId"="1809"
"UBR"=dword:000004d2
"SystemRoot"="C:\\Windows"
REG
cp empty SOFTWARE
cp empty SYSTEM
hivexregedit --merge SOFTWARE software.reg
# The head of a 64-bit program for Windows, by which its architecture is known.
python3 - << 'PYTHON'
import struct
program = b"MZ".ljust(60, b"\0") + struct.pack("<I", 128) + bytes(64) + b"PE\0\0"
program += struct.pack("<HHIIIHHH", 0x8664, 1, 0, 0, 0, 240, 0x22, 0x20b)
open("cmd.exe", "wb").write(program.ljust(4096, b"\0"))
PYTHON
printf 'correct horse battery staple\nnot part of it\n' > passphrase
head -c 60000000 /dev/urandom > garbage
truncate -s 400M btrfs.raw
truncate -s 64M windows.raw
truncate -s 128M luks.raw
for disk in btrfs windows luks; do
    printf 'label: dos\nstart=2048, type=83\n' | sfdisk -q "$disk.raw"
done
LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg guestfish --keys-from-stdin --format=raw \
    -a btrfs.raw -a windows.raw -a luks.raw > guestfish.log 2>&1 << FISH || fail "$(tail -3 guestfish.log)"
run
mkfs btrfs /dev/sda1
mount /dev/sda1 /
upload garbage /garbage
tar-in root.tar /
sync
rm /garbage
umount-all
mkfs ntfs /dev/sdb1
mount /dev/sdb1 /
mkdir-p /Windows/System32/config
mkdir-p /Windows/System32/drivers
mkdir-p "/Program Files/Qemu-ga"
upload SOFTWARE /Windows/System32/config/SOFTWARE
upload SYSTEM /Windows/System32/config/SYSTEM
upload cmd.exe /Windows/System32/cmd.exe
touch /Windows/System32/drivers/viostor.sys
touch "/Program Files/Qemu-ga/qemu-ga.exe"
umount-all
luks-format /dev/sdc1 0
$(head -1 passphrase)
cryptsetup-open /dev/sdc1 opened
$(head -1 passphrase)
mkfs ext4 /dev/mapper/opened
mount /dev/mapper/opened /
tar-in root.tar /
umount-all
FISH

step "btrfs: --sparsify, of what libguestfs made"
sum=$(sha256sum btrfs.raw)
"$VM2OCI" convert --sparsify btrfs.raw raw:sparse.raw > /dev/null 2> sparsify.log
expect_equal "$sum" "$(sha256sum btrfs.raw)" "the source, which must not be written"
expect_at_most $((20 << 20)) "$(du -B1 sparse.raw | cut -f1)" "bytes after the trim ($(cat sparsify.log))"
dd if=sparse.raw of=part.img bs=1M skip=1 status=none
btrfs check part.img > repair.log 2>&1 || fail "$(tail -5 repair.log)"
python3 - << 'PYTHON'
disk, blob = open("sparse.raw", "rb").read(), open("root/usr/lib/blob", "rb").read()
assert all(disk.find(blob[at:at + 4096]) >= 0 for at in range(0, len(blob) - 4096, 65536)), "a file was trimmed"
PYTHON

step "Windows: version and edition from the registry"
"$VM2OCI" -q --json inspect windows.raw > windows.json
python3 - << 'PYTHON'
import json
guest = json.load(open("windows.json"))["inside"]["guest"]
os = guest["os"]
assert (os["type"], os["product"], os["edition"]) == ("windows", "Windows Server 2019 Standard", "ServerStandard"), os
assert (os["version"], os["build"], os["release"], os["architecture"]) == ("10.0", "17763.1234", "1809", "amd64"), os
assert [a["name"] for a in guest["agents"]] == ["qemu-guest-agent", "virtio-blk driver"], guest["agents"]
PYTHON

step "LUKS, with an fstab from before: closed without its key, and said so at once; open with it"
"$VM2OCI" inspect luks.raw > closed 2> closed.log
grep -q -- '--key' closed || fail "inspect should say how to give a key: $(cat closed)"
! grep -q appliance closed.log || fail "the appliance was started in vain"
expect_exit 2 "$VM2OCI" inspect --key 'all:key:secret' luks.raw
"$VM2OCI" -q --json inspect --key all:file:passphrase luks.raw > luks.json
python3 - << 'PYTHON'
import json
inside = json.load(open("luks.json"))["inside"]
assert inside["guest"] and inside["guest"]["os"]["product"] == "Test Linux 1", (inside["reason"], inside["remarks"])
PYTHON
