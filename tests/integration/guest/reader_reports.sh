#!/usr/bin/env bash
# What people reported of other readers of xfs and btrfs, rebuilt small and held against the kernel's mount. Needs root,
# for loop mounts, and a kernel that mounts both.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mkfs.xfs xfs_db xfs_io xfs_admin mkfs.btrfs btrfs btrfs-convert mkfs.ext4 setfattr python3 jq
[[ $(id -u) -eq 0 ]] || fail "loop mounts need root"
for type in xfs btrfs; do
    modprobe $type 2> /dev/null || true
    grep -qw $type /proc/filesystems || fail "this kernel does not mount $type, which is what the trees are held against"
done

here=$VM2OCI_SOURCE_DIR/tests/integration/guest
mkdir mnt
trap 'status=$?; set +e; ! mountpoint -q mnt || umount mnt; [[ -z ${loop:-} ]] || losetup -d "$loop"; (exit "$status"); _clean_up' EXIT
make_image() { # SIZE COMMAND…
    rm -f image.raw
    truncate -s "$1" image.raw
    "${@:2}" image.raw > mkfs.log 2>&1 || fail "$2: $(tail -3 mkfs.log)"
}
mount_image() { # [OPTIONS]
    mount -o "loop${1:+,$1}" image.raw mnt 2> mount.log || fail "the kernel does not mount it: $(cat mount.log)"
}
hold_against_kernel() { # [MOUNT-OPTIONS]
    "${EXPORT_TAR:?}" image.raw > image.tar || fail "it was not read"
    mount_image "${1:-ro}"
    python3 "$here/compare_tree.py" image.tar mnt || fail "the trees differ"
    umount mnt
}

step 'rhboot/grub2#172: a folder of which blocks in the middle are gone'
make_image 300M mkfs.xfs -q -b size=1024
mount_image
mkdir mnt/folder
for i in $(seq 200); do : > "mnt/folder/$i $(printf 'n%.0s' $(seq 200))"; done
for i in $(seq 40 150); do rm "mnt/folder/$i $(printf 'n%.0s' $(seq 200))"; done
inode=$(stat -c %i mnt/folder)
umount mnt
xfs_db -r -c "inode $inode" -c bmap image.raw | awk '$1 == "data" && $3 < 33554432 { if (seen && $3 != next_block) hole = 1; seen = 1; next_block = $3 + $(NF-2) }
    END { exit !hole }' || fail "the folder has no hole: this test is void"
hold_against_kernel

step "fox-it/dissect.target#894: links with targets of more than 750 bytes"
for size in 1024 4096; do
    make_image 300M mkfs.xfs -q -b size=$size -i size=512
    mount_image
    for length in 336 337 700 751 800 967 968 969 1000 1022 1023; do
        ln -s "$(printf 't%.0s' $(seq $length))" "mnt/link-$length"
        setfattr -h -n trusted.on-link -v "$(printf 'v%.0s' $(seq $((length % 300 + 1))))" "mnt/link-$length"
    done
    umount mnt
    hold_against_kernel
done

step 'ianka/xfs_undelete#54, go-xfs-filesystem#7, libfsxfs#13: times of both forms in one file system'
make_image 300M mkfs.xfs -q -m bigtime=0
mount_image
touch -d '1931-05-06 07:08:09.123456789 UTC' mnt/early
touch -d '2024-07-18 23:07:00.999999999 UTC' mnt/kept
touch -d '1969-12-31 23:59:59.5 UTC' mnt/half-a-second-before
umount mnt
xfs_admin -O bigtime=1 image.raw > admin.log 2>&1 || fail "xfs_admin: $(cat admin.log)"
mount_image
touch -d '2400-01-02 03:04:05.000000001 UTC' mnt/late
touch -d '1901-12-13 20:45:52 UTC' mnt/first
umount mnt
for name in kept late; do
    xfs_db -r -c "path /$name" -c 'print v3.bigtime' image.raw
done > forms
expect_equal 'v3.bigtime = 0,v3.bigtime = 1' "$(paste -sd, forms)" "the forms of the times"
hold_against_kernel

step 'DiscUtils/DiscUtils#21: extents of folders with several blocks, in groups that are no powers of two'
make_image 500M mkfs.xfs -q -b size=1024 -n size=4096 -d agcount=7
mount_image
for group in $(seq 14); do
    mkdir "mnt/folder-$group"
    (cd "mnt/folder-$group" && seq -f "a name that is rather long, in folder $group, %g" 150 | xargs -d '\n' touch)
    head -c 20000 /dev/urandom > "mnt/folder-$group/content"
done
umount mnt
hold_against_kernel

step 'aquasecurity/trivy#4564, elastic/cloudbeat#733: sectors of 4096 bytes, and folders of one block'
make_image 300M mkfs.xfs -q -s size=4096
mount_image
for count in 8 60; do
    mkdir "mnt/of-$count"
    (cd "mnt/of-$count" && seq -f "name %g" "$count" | xargs -d '\n' touch)
done
umount mnt
hold_against_kernel

step 'xfsprogs of 2025: parents as attributes, and contents that were exchanged, before and after a crash'
make_image 400M mkfs.xfs -q -i nrext64=1
# mkfs.xfs of Debian 12 does not know them: their bits are set by hand while there are no files.
python3 - << 'PYTHON'
import struct
def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
with open("image.raw", "r+b") as image:
    head = image.read(512)
    block, = struct.unpack_from(">I", head, 4)
    blocks, groups = struct.unpack_from(">II", head, 84)
    sector, = struct.unpack_from(">H", head, 102)
    for group in range(groups):
        image.seek(group * blocks * block)
        super = bytearray(image.read(sector))
        struct.pack_into(">I", super, 216, struct.unpack_from(">I", super, 216)[0] | 0x40 | 0x80)
        super[224:228] = bytes(4)
        struct.pack_into("<I", super, 224, crc32c(super))
        image.seek(group * blocks * block)
        image.write(super)
PYTHON
if mount -o loop image.raw mnt 2> mount.log; then
    mkdir mnt/folder mnt/other
    echo content > mnt/folder/file
    for i in $(seq 120); do ln mnt/folder/file "mnt/other/one of the names $i"; done
    mv mnt/folder mnt/moved
    setfattr -n user.own -v value mnt/moved/file
    exchange() { # the first blocks of two files (XFS_IOC_EXCHANGE_RANGE)
        python3 - << 'PYTHON'
import fcntl, os, struct
first, second = (os.open(f"mnt/{name}", os.O_RDWR) for name in ("first", "second"))
fcntl.ioctl(first, 0x40285881, struct.pack("<iIQQQQ", second, 0, 0, 0, 16384, 0))
PYTHON
    }
    head -c 100000 /dev/urandom > mnt/first
    head -c 300000 /dev/urandom > mnt/second
    exchange
    umount mnt
    hold_against_kernel
    mount_image
    ln mnt/moved/file mnt/late
    rm "mnt/other/one of the names 7"
    sync -f mnt
    exchange
    mv mnt/other mnt/moved/other
    sync -f mnt
    xfs_io -x -c 'shutdown -f' mnt
    umount mnt
    hold_against_kernel rw
else
    # The kernel is older than they are.
    expect_match 'wrong fs type' "$(cat mount.log)" "why it does not mount"
    "$EXPORT_TAR" image.raw > image.tar || fail "it was not read"
fi

step 'Zygo/bees#249: what was made of parts of extents by deduplication'
make_image 400M mkfs.btrfs -q
mount_image compress=zstd
python3 - << 'PYTHON'
import fcntl, os, random, struct
generator = random.Random(249)
blocks = [generator.randbytes(4096) if i % 3 else bytes([i]) * 4096 for i in range(64)]
def write(name, order):
    with open(f"mnt/{name}", "wb") as file:
        for number in order:
            file.write(blocks[number])
    return os.open(f"mnt/{name}", os.O_RDWR)
first = write("first", range(64))
orders = [generator.choices(range(64), k=90) for _ in range(6)]
others = [write(f"kernel-{i}", order) for i, order in enumerate(orders)]
os.sync()
same = 0
for order, other in zip(orders, others):
    for at, number in enumerate(order):
        argument = bytearray(struct.pack("<QQHHIqQQiI", number * 4096, 4096, 1, 0, 0, other, at * 4096, 0, 0, 0))
        fcntl.ioctl(first, 0xc0189436, argument) # FIDEDUPERANGE
        same += struct.unpack_from("<Q", argument, 40)[0]
assert same > 400 * 4096, same
PYTHON
umount mnt
hold_against_kernel

step 'libguestfs/libguestfs#202, openSUSE/snapper#159: snapshots of a root are no other systems, after a rollback as well'
make_image 500M mkfs.btrfs -q
mount_image
btrfs -q subvolume create mnt/.snapshots
mkdir mnt/.snapshots/1
btrfs -q subvolume create mnt/.snapshots/1/snapshot
mkdir -p mnt/.snapshots/1/snapshot/{etc,bin,sbin,usr,var,.snapshots}
printf 'ID=sles\nPRETTY_NAME="Server 15"\nVERSION_ID="15.6"\n' > mnt/.snapshots/1/snapshot/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > mnt/.snapshots/1/snapshot/etc/passwd
uuid=$(blkid -p -s UUID -o value image.raw)
printf 'UUID=%s / btrfs defaults 0 0\nUUID=%s /.snapshots btrfs subvol=/.snapshots 0 0\n' "$uuid" "$uuid" \
    > mnt/.snapshots/1/snapshot/etc/fstab
for i in $(seq 2 31); do
    mkdir "mnt/.snapshots/$i"
    echo "host-$i" > mnt/.snapshots/1/snapshot/etc/hostname
    btrfs -q subvolume snapshot -r mnt/.snapshots/1/snapshot "mnt/.snapshots/$i/snapshot"
done
# A rollback to the twentieth: a copy of it that can be written is the default.
mkdir mnt/.snapshots/32
btrfs -q subvolume snapshot mnt/.snapshots/20/snapshot mnt/.snapshots/32/snapshot
btrfs -q subvolume set-default mnt/.snapshots/32/snapshot
umount mnt
"$VM2OCI" --json inspect --guest-backend native raw:image.raw > inspect.json
expect_equal 'host-20' "$(jq -r '.inside.guest.os.hostname' inspect.json)" "the system that the guest boots"
expect_equal '.snapshots/32/snapshot,.snapshots' "$(jq -r '[.inside.mounts[].subvolume] | join(",")' inspect.json)" "what is mounted"

step "btrfs-convert: a file system that was ext4, its image beside it, before and after a balance"
make_image 700M mkfs.ext4 -q
mount_image
for size in 1 100 3000 5000 70000 300000; do
    head -c $size /dev/urandom > mnt/random-$size
    head -c $size /dev/zero > mnt/zeros-$size
done
python3 - << 'PYTHON'
import os
with open("mnt/holes", "wb") as file:
    for i in range(50):
        file.seek(i * 90000)
        file.write(b"x" * (i * 100 + 1))
with open("mnt/prepared", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 1 << 20)
    os.pwrite(file.fileno(), b"written", 300000)
PYTHON
ln -s "$(printf 'y%.0s' $(seq 300))" mnt/long
umount mnt
btrfs-convert image.raw > convert.log 2>&1 || fail "btrfs-convert: $(tail -3 convert.log)"
hold_against_kernel
mount_image
[[ -e mnt/ext2_saved/image ]] || fail "the image of what was is not there: this test is void"
btrfs -q balance start --full-balance mnt
umount mnt
hold_against_kernel

step "btrfs device remove: the one device that is left is not the first"
make_image 500M mkfs.btrfs -q
truncate -s 600M second.raw
mount_image
head -c 300000 /dev/urandom > mnt/random
seq 100000 > mnt/numbers
loop=$(losetup --find --show second.raw)
btrfs -q device add -f -K "$loop" mnt
btrfs -q device remove 1 mnt
umount mnt
losetup -d "$loop"
loop=
mv second.raw image.raw
expect_match 'dev_item.devid[[:space:]]*2' "$(btrfs inspect-internal dump-super image.raw)" "the number of the device"
hold_against_kernel
