#!/usr/bin/env bash
# The tree that we read out of btrfs is the tree that the kernel shows when it mounts the same image: on the many forms
# that btrfs takes, after a clean unmount and with a log that must be replayed. Needs root, for loop mounts, and a kernel
# that mounts btrfs. With --all more than thirty forms of it, which take some minutes:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD EXPORT_TAR=build/release/tests/integration/guest/export_tar
#       tests/integration/guest/btrfs_tree.sh --all
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mkfs.btrfs btrfs btrfstune chattr setfattr setfacl setcap python3
[[ $(id -u) -eq 0 ]] || fail "loop mounts need root"
modprobe btrfs 2> /dev/null || true
grep -qw btrfs /proc/filesystems || fail "this kernel does not mount btrfs, which is what the trees are held against"

here=$VM2OCI_SOURCE_DIR/tests/integration/guest
mkdir mnt
mounted=
unmount() {
    [[ -z $mounted ]] || umount "$mounted"
    mounted=
}
trap 'status=$?; set +e; unmount; (exit "$status"); _clean_up' EXIT
mount_image() { # IMAGE [OPTIONS]
    mount -t btrfs -o "loop${2:+,$2}" "$1" mnt 2> mount.log || fail "the kernel does not mount it: $(cat mount.log)"
    mounted=mnt
}
make_image() { # MKFS-OPTION…
    rm -f image.raw image.tar
    truncate -s 2G image.raw
    mkfs.btrfs -q -f "$@" image.raw > mkfs.log 2>&1 || fail "mkfs.btrfs $*: $(cat mkfs.log)"
}
fill() { # ENTRIES
    bash "$here/odd_tree.sh" mnt > odd.log 2>&1 || fail "filling: $(tail -3 odd.log)"
    bash "$here/odd_btrfs_tree.sh" mnt "$1" > odd.log 2>&1 || fail "filling: $(tail -3 odd.log)"
}
hold_against_kernel() { # WHAT [OPTIONS]
    "$EXPORT_TAR" image.raw > image.tar || fail "$1 was not read"
    mount_image image.raw "${2:-ro}"
    python3 "$here/compare_tree.py" image.tar mnt || fail "$1: the trees differ"
    unmount
}

# What --sparsify leaves out the kernel does not miss.
hold_sparsified() { # WHAT
    cp --sparse=never image.raw whole.raw
    "$VM2OCI" -q convert --sparsify raw:whole.raw raw:sparse.raw > /dev/null
    expect_at_most $(($(du -B1 image.raw | cut -f1) + 8000000)) "$(du -B1 sparse.raw | cut -f1)" "bytes that are left of it"
    mv sparse.raw image.raw
    rm whole.raw
    btrfs check --check-data-csum image.raw > check.log 2>&1 || fail "$1: btrfs check: $(tail -5 check.log)"
    "$EXPORT_TAR" image.raw | cmp - image.tar || fail "$1: --sparsify changed a file"
    mount_image image.raw ro
    python3 "$here/compare_tree.py" image.tar mnt > /dev/null || fail "$1: the kernel misses something that was left out"
    unmount
}

# compare NAME ENTRIES MOUNT-OPTIONS MKFS-OPTION…
compare() {
    local name=$1 entries=$2 options=$3
    shift 3
    step "$name: mkfs.btrfs $*${options:+, mounted with $options}"
    make_image "$@"
    mount_image image.raw "$options"
    fill "$entries"
    unmount
    hold_against_kernel "$name"
}

# What happens after the tree was synchronised is in the log alone.
compare_dirty() { # NAME MOUNT-OPTIONS MKFS-OPTION…
    local name=$1 options=$2
    shift 2
    step "a log that must be replayed: $name: mkfs.btrfs $*"
    make_image "$@"
    mount_image image.raw "$options"
    fill 1500
    btrfs -q subvolume create mnt/second
    mkdir mnt/before mnt/removed mnt/second/before
    for i in $(seq 300); do printf '%s' "$i" > "mnt/before/$i"; done
    for i in $(seq 50); do printf '%s' "$i" > "mnt/second/before/$i"; done
    head -c 3000000 /dev/urandom > mnt/before/large
    head -c 3000000 /dev/urandom > mnt/before/cut
    for i in $(seq 20); do ln mnt/before/1 "mnt/before/link-$i"; done
    setfattr -n user.gone -v old mnt/before/2
    sync -f mnt
    # No transaction ends until the copy is made: fsync alone writes.
    mount -o remount,commit=300 mnt
    python3 "$here/write_btrfs_log.py" mnt
    # What a copy of a running machine's disk holds.
    cp --sparse=always image.raw crashed.raw
    unmount
    mv crashed.raw image.raw
    btrfs inspect-internal dump-super image.raw | grep -q '^log_root\s*0$' && fail "$name: there is no log: the test is void"
    "$EXPORT_TAR" image.raw > image.tar || fail "$name: a file system with a log was not read"
    mount_image image.raw ro,rescue=nologreplay
    if python3 "$here/compare_tree.py" image.tar mnt > /dev/null 2>&1; then
        fail "$name: without its log it shows the same: the test is void"
    fi
    unmount
    mount_image image.raw
    python3 "$here/compare_tree.py" image.tar mnt || fail "$name: the replayed tree differs from the kernel's"
    unmount
}

many=()
if [[ ${1:-} == --all ]]; then
    compare "100,000 names in one folder" 100000 ""
    for node in 4096 8192 16384 32768 65536; do
        many+=("|-n $node" "compress=zstd:1|-n $node -m single")
    done
    for sum in crc32c xxhash sha256 blake2; do
        many+=("|--csum $sum" "compress-force=lzo|--csum $sum -n 4096 -d dup")
    done
    many+=("|-M" "compress-force=zlib|-M -n 4096" "|-m single -d single" "|-m dup -d dup" "|-L labelled"
        "nodatacow|-n 8192" "nodatasum|" "max_inline=0|" "max_inline=4095|-n 32768" "compress-force=zlib:9|" "compress-force=lzo|"
        "compress-force=zstd:15|" "space_cache=v1|-R ^free-space-tree" "|-O ^no-holes" "|-O ^extref" "|-O ^skinny-metadata"
        "compress=lzo,space_cache=v1|-O ^no-holes,^extref,^skinny-metadata -R ^free-space-tree" "|-R quota" "autodefrag|")
else
    many+=("compress=zstd:1|--csum xxhash" "compress-force=lzo|-n 4096 --csum blake2 -d dup"
        "space_cache=v1|-M --csum sha256 -O ^no-holes,^extref,^skinny-metadata -R ^free-space-tree")
fi
for row in "${many[@]}"; do
    # shellcheck disable=SC2086
    compare "the form" 1500 "${row%%|*}" ${row#*|}
    hold_sparsified "the form"
done

step "a file system with another UUID than its blocks bear"
make_image
mount_image image.raw
fill 1500
unmount
btrfstune -M 0d5f0a2e-6d0b-4d3c-8d1c-123456789abc image.raw > tune.log 2>&1 || fail "btrfstune: $(cat tune.log)"
hold_against_kernel "another UUID"

step "the default subvolume, one within it, and a snapshot of both"
make_image
mount_image image.raw
btrfs -q subvolume create mnt/@
btrfs -q subvolume create mnt/@/home
mkdir mnt/@/var
btrfs -q subvolume create mnt/@/var/lib
echo in > mnt/@/home/file
echo in > mnt/@/var/lib/file
btrfs -q subvolume snapshot mnt/@ mnt/@snapshot
btrfs -q subvolume set-default mnt/@snapshot
unmount
hold_against_kernel "a snapshot as the default"
"$EXPORT_TAR" image.raw | tar -t > names
expect_equal $'./\n./home/\n./var/\n./var/lib/' "$(sed 's,^\./$,./,; /^\.\//!s,^,./,' names)" "what a snapshot has of subvolumes"

compare_dirty "as made" ""
compare_dirty "small nodes, compressed" compress-force=zstd -n 4096 --csum xxhash
if [[ ${1:-} == --all ]]; then
    compare_dirty "holes as extents" "" -O ^no-holes
    compare_dirty "mixed groups" compress=lzo -M
    compare_dirty "few names at an inode" "" -O ^extref -n 65536
    compare_dirty "no checksums" nodatasum
fi

step "what is not read is named"
refused() { # WORDS COMMAND…
    local words=$1
    shift
    rm -f image.raw second.raw
    truncate -s 600M image.raw second.raw
    "$@" > mkfs.log 2>&1 || fail "$*: $(cat mkfs.log)"
    ! "$EXPORT_TAR" image.raw > /dev/null 2> refused.log || fail "$*: it was read"
    expect_match "$words" "$(cat refused.log)" "why it is not read"
}
refused 'on 2 devices' mkfs.btrfs -q -f image.raw second.raw
refused 'sectors of 16384 bytes' mkfs.btrfs -q -f -s 16384 image.raw
seed() { mkfs.btrfs -q -f image.raw && btrfstune -S 1 image.raw; }
refused 'a seed' seed
