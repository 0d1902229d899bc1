#!/usr/bin/env bash
# The tree that we read out of xfs is the tree that the kernel shows when it mounts the same image: on the many forms
# that xfs takes, after a clean unmount and with a log that must be replayed. Needs root, for loop mounts, and a kernel
# that mounts xfs. With --all more than forty forms of it, which take a quarter of an hour:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD EXPORT_TAR=build/release/tests/integration/guest/export_tar
#       tests/integration/guest/xfs_tree.sh --all
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mkfs.xfs xfs_db xfs_io xfs_logprint xfs_admin xfs_repair setfattr setfacl setcap python3
[[ $(id -u) -eq 0 ]] || fail "loop mounts need root"
modprobe xfs 2> /dev/null || true
grep -qw xfs /proc/filesystems || fail "this kernel does not mount xfs, which is what the trees are held against"

here=$VM2OCI_SOURCE_DIR/tests/integration/guest
mkdir mnt
mounted=
unmount() {
    [[ -z $mounted ]] || umount "$mounted"
    mounted=
}
trap 'status=$?; set +e; unmount; (exit "$status"); _clean_up' EXIT
mount_image() { # IMAGE [OPTIONS]
    mount -t xfs -o "loop${2:+,$2}" "$1" mnt 2> mount.log || fail "the kernel does not mount it: $(cat mount.log)"
    mounted=mnt
}

make_image() { # MKFS-OPTION…
    rm -f image.raw image.tar
    truncate -s 2G image.raw
    mkfs.xfs -q -f "$@" image.raw 2> mkfs.log || fail "mkfs.xfs $*: $(cat mkfs.log)"
}
fill() { # ENTRIES
    bash "$here/odd_tree.sh" mnt > odd.log 2>&1 || fail "filling: $(tail -3 odd.log)"
    bash "$here/odd_xfs_tree.sh" mnt "$1" > odd.log 2>&1 || fail "filling: $(tail -3 odd.log)"
}
hold_against_kernel() { # WHAT
    "$EXPORT_TAR" image.raw > image.tar || fail "$1 was not read"
    mount_image image.raw "${2:-ro}"
    python3 "$here/compare_tree.py" image.tar mnt || fail "$1: the trees differ"
    unmount
}

# compare NAME ENTRIES MKFS-OPTION…
compare() {
    local name=$1 entries=$2
    shift 2
    step "$name: mkfs.xfs $*"
    make_image "$@"
    mount_image image.raw
    fill "$entries"
    unmount
    hold_against_kernel "$name"
}

# What happens after the tree was synchronised is in the log alone: shutdown stops the file system where it is.
compare_dirty() { # NAME MKFS-OPTION…
    local name=$1 i
    shift
    step "a log that must be replayed: $name: mkfs.xfs $*"
    make_image "$@"
    mount_image image.raw
    fill 1500
    unmount
    mount_image image.raw
    mkdir mnt/before mnt/removed
    for i in $(seq 300); do printf '%s' "$i" > "mnt/before/$i"; done
    sync -f mnt
    rm -r mnt/removed mnt/indexed mnt/xfs/folders/of-700 mnt/xfs/deep1
    for i in $(seq 200); do printf 'new %s' "$i" > "mnt/before/$i"; done
    mkdir mnt/after
    (cd mnt/after && seq -f "file %g" 900 | xargs -d '\n' touch)
    setfattr -n user.late -v value mnt/after/file\ 1
    python3 -c 'import os; os.setxattr("mnt/after/file 2", "user.large", b"l" * 5000)'
    cp --reflink=auto mnt/plain/three-megabytes mnt/after/copy
    mv mnt/links mnt/after/links
    ln -s "$(printf 'z%.0s' $(seq 900))" mnt/after/long
    python3 -c '
with open("mnt/after/extents", "wb") as file:
    for i in range(900):
        file.seek(i * 70000)
        file.write(b"x")'
    truncate -s 1000 mnt/sparse/islands
    chmod 0123 mnt/plain/hello
    rm -r mnt/xfs/values mnt/attributes/huge
    sync -f mnt
    # What a copy of a running machine's disk holds.
    cp --sparse=always image.raw live.raw
    (cd mnt/linear && rm -f file-1*)
    xfs_io -x -c "shutdown -f" mnt
    unmount
    cp --sparse=always image.raw crashed.raw
    "$EXPORT_TAR" image.raw > replayed.tar || fail "$name: a file system with a log was not read"
    mount_image image.raw ro,norecovery
    if python3 "$here/compare_tree.py" replayed.tar mnt > /dev/null 2>&1; then
        fail "$name: without its log it shows the same: the test is void"
    fi
    unmount
    mount_image image.raw
    python3 "$here/compare_tree.py" replayed.tar mnt || fail "$name: the replayed tree differs from the kernel's"
    unmount
    # What is free after the replay is free for the kernel as well, and nothing else.
    "$VM2OCI" -q convert --sparsify raw:crashed.raw raw:sparse.raw > /dev/null
    "$EXPORT_TAR" sparse.raw | cmp - replayed.tar || fail "$name: --sparsify changed a file"
    mv sparse.raw image.raw
    mount_image image.raw
    python3 "$here/compare_tree.py" replayed.tar mnt || fail "$name: the kernel misses something that was left out"
    unmount
    xfs_repair -n -f image.raw > repair.log 2>&1 || fail "$name: xfs_repair: $(tail -5 repair.log)"
    mv live.raw image.raw
    "$EXPORT_TAR" image.raw > live.tar || fail "$name: a copy of a running machine's file system was not read"
    mount_image image.raw
    python3 "$here/compare_tree.py" live.tar mnt || fail "$name: the tree of a running machine differs from the kernel's"
    unmount
}

# A log of 8 MiB, which mkfs.xfs makes only for its own tests, as old systems have it: the records lie across its end.
compare_ring() { # MKFS-OPTION…
    step "a log that went around its ring: mkfs.xfs $*"
    rm -f image.raw
    truncate -s 300M image.raw
    TEST_DIR=x TEST_DEV=x QA_CHECK_FS=x mkfs.xfs -q -f -l size=8m "$@" image.raw > mkfs.log 2>&1 || fail "$(cat mkfs.log)"
    mount_image image.raw
    python3 - << 'PYTHON'
import os
for turn in range(30):
    folder = f"mnt/{turn}"
    os.mkdir(folder)
    for i in range(400):
        open(f"{folder}/file-{i}", "w").close()
        os.setxattr(f"{folder}/file-{i}", "user.x", b"y" * (turn * 3))
    if turn > 3:
        for i in range(0, 400, 3):
            os.unlink(f"mnt/{turn - 3}/file-{i}")
    for again in range(60):
        for i in range(0, 400, 20):
            os.chmod(f"{folder}/file-{i}", 0o600 + again)
        os.sync()
PYTHON
    xfs_io -x -c "shutdown -f" mnt
    unmount
    python3 - << 'PYTHON' || fail "the log did not go around: this test is void"
import struct, sys
image = open("image.raw", "rb")
head = image.read(512)
size, = struct.unpack_from(">I", head, 4)
start, = struct.unpack_from(">Q", head, 48)
group_blocks, = struct.unpack_from(">I", head, 84)
image.seek(((start >> head[124]) * group_blocks + (start & (1 << head[124]) - 1)) * size)
first, second = struct.unpack(">II", image.read(8))
sys.exit((second if first == 0xfeedbabe else first) < 2)
PYTHON
    "$EXPORT_TAR" image.raw > image.tar || fail "it was not read"
    mount_image image.raw
    python3 "$here/compare_tree.py" image.tar mnt || fail "the trees differ"
    unmount
}

# The superblock is logged when the first attribute is set, and by an idle machine every half minute; what is logged bears
# no checksum of its own.
compare_logged_superblock() {
    step "a log that has the superblock"
    make_image
    mount_image image.raw
    sync -f mnt
    printf 'x' > mnt/file
    setfattr -n user.first -v value mnt/file
    sync mnt/file
    cp --sparse=always image.raw live.raw
    unmount
    mv live.raw image.raw
    xfs_logprint -t image.raw 2> /dev/null | grep -q 'SUPER Block' || fail "the log does not have it: this test is void"
    "$EXPORT_TAR" image.raw > image.tar || fail "it was not read"
    mount_image image.raw
    python3 "$here/compare_tree.py" image.tar mnt || fail "the trees differ"
    unmount
}

all=()
if [[ ${1:-} == --all ]]; then
    compare "100,000 names in one folder" 100000 -b size=4096
    for block in 1024 2048 4096 8192 16384 32768 65536; do
        compare "blocks of $block" 3000 -b size=$block
        compare "blocks of $block, old features" 3000 -b size=$block -m reflink=0,bigtime=0,finobt=0,inobtcount=0 -i sparse=0
    done
    for inode in 512 1024 2048; do
        for block in 4096 8192 65536; do
            all+=("-i size=$inode -b size=$block -m rmapbt=1")
        done
    done
    for folder in 4096 8192 16384 32768 65536; do
        all+=("-n size=$folder -b size=1024" "-n size=$folder -i nrext64=1")
    done
    all+=("-s size=4096" "-s size=4096 -b size=65536" "-d agcount=2" "-d agcount=16" "-d agsize=300m"
        "-i maxpct=90" "-l size=100m" "-l su=32k" "-l su=256k" "-l lazy-count=1" "-d su=64k,sw=4" "-L labelled"
        "-m bigtime=0" "-m rmapbt=1,reflink=0" "-i sparse=1,nrext64=1 -m rmapbt=1" "-m finobt=0,inobtcount=0")
else
    all+=("-b size=1024 -n size=16384 -m rmapbt=1 -i nrext64=1" "-b size=65536 -m bigtime=0"
        "-s size=4096 -i size=2048 -m reflink=0" "-n size=65536 -d agcount=9 -l su=32k")
fi
for options in "${all[@]}"; do
    # shellcheck disable=SC2086
    compare "the form" 1500 $options
done

step "a file system with another UUID than it was made with"
make_image
mount_image image.raw
fill 1500
unmount
xfs_admin -U 0d5f0a2e-6d0b-4d3c-8d1c-123456789abc image.raw > admin.log
hold_against_kernel "another UUID"

compare_ring
compare_logged_superblock
compare_dirty "as made"
compare_dirty "small blocks" -b size=1024 -n size=8192 -i nrext64=1 -m rmapbt=1
if [[ ${1:-} == --all ]]; then
    compare_ring -b size=1024
    compare_ring -l su=64k
    compare_dirty "large blocks" -b size=16384
    compare_dirty "old features" -m reflink=0,bigtime=0,finobt=0,inobtcount=0 -i sparse=0
    compare_dirty "striped log" -l su=256k
    compare_dirty "large inodes, large folders" -i size=2048 -n size=65536 -s size=4096
fi
