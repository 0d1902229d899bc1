#!/usr/bin/env bash
# make-guest.sh FOLDER: the files of a small guest in FOLDER/root, with FOLDER/boot and FOLDER/var that are to be mounted
# in it, and a kernel that unpacks to an ELF file (and runs nowhere). The same bytes every time.
set -euo pipefail
folder=$1
mkdir -p "$folder"/{root,boot,var}
cd "$folder"
mkdir -p root/{boot,var,etc,dev,proc,sys,run,tmp,usr/bin,usr/lib/systemd,usr/sbin,home/user,lost+found}
ln -s usr/bin root/bin
ln -s usr/sbin root/sbin
ln -s usr/lib root/lib
ln -s ../lib/systemd/systemd root/usr/sbin/init
printf '#!/bin/sh\n' > root/usr/lib/systemd/systemd
chmod 755 root/usr/lib/systemd/systemd
printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' > root/etc/os-release
printf 'root:x:0:0:root:/root:/bin/sh\n' > root/etc/passwd
# The head of an ELF program, by which the architecture is told.
python3 - root/usr/bin/env << 'PYTHON'
import struct, sys
open(sys.argv[1], "wb").write(b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0))
PYTHON
cp root/usr/bin/env root/usr/bin/sh
chmod 4755 root/usr/bin/env
ln root/usr/bin/env root/usr/bin/env-linked
for number in $(seq 1 400); do printf '%s\n' "$number" > "root/home/user/a file with number $number"; done
head -c 300000 /dev/zero | tr '\0' 'x' > root/home/user/large
truncate -s 20M root/home/user/sparse
mkdir -p boot/grub var/log
printf 'old\n' > var/log/messages
python3 - boot/vmlinuz-6.1.0-1-amd64 boot/initrd.img-6.1.0-1-amd64 << 'PYTHON'
import gzip, struct, sys
elf = b"\x7fELF\2\1\1" + b"kernel of a test " * 4000
packed = gzip.compress(elf, mtime=0)
image = bytearray(0x4000)
image[0x1f1] = 3                                     # setup sectors
image[0x1fe:0x200] = b"\x55\xaa"
image[0x202:0x206] = b"HdrS"
struct.pack_into("<H", image, 0x206, 0x020f)
struct.pack_into("<H", image, 0x20e, 0x3000 - 0x200)  # the version's text
image[0x236] = 1
text = b"6.1.0-1-amd64 (test)\0"
image[0x3000:0x3000 + len(text)] = text
at = 4 * 512 + 0x3000
struct.pack_into("<II", image, 0x248, 0x3000, len(packed))
image = image[:at] + packed
open(sys.argv[1], "wb").write(image)
name = b"etc/nothing\0"
def member(name, data):
    head = b"070701" + b"".join(b"%08x" % v for v in (1, 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
    head += name + b"\0"
    head += bytes(-len(head) % 4)
    return head + data + bytes(-len(data) % 4)
open(sys.argv[2], "wb").write(gzip.compress(member(b"conf/modules", b"virtio_blk\n") + member(b"TRAILER!!!", b""), mtime=0))
PYTHON
cat > boot/grub/grub.cfg << 'GRUB'
menuentry 'Debian' {
	linux	/vmlinuz-6.1.0-1-amd64 root=/dev/mapper/vg-root ro net.ifnames=0 quiet resume=/dev/sda4 $extra
	initrd	/initrd.img-6.1.0-1-amd64
}
GRUB
find . -exec touch --no-dereference --date=@1600000000 {} +
