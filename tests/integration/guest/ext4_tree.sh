#!/usr/bin/env bash
# The tree that we read out of ext4 is the tree that the kernel shows when it mounts the same image: on the many forms
# that ext2, ext3 and ext4 take. Needs root, for loop mounts.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs setfattr setfacl setcap python3 e2fsck
[[ $(id -u) -eq 0 ]] || fail "loop mounts need root"

here=$VM2OCI_SOURCE_DIR/tests/integration/guest
mkdir mnt
mounted=
unmount() {
    [[ -z $mounted ]] || umount "$mounted"
    mounted=
}
trap 'status=$?; set +e; unmount; (exit "$status"); _clean_up' EXIT

# compare NAME MKE2FS-OPTION…
compare() {
    local name=$1
    shift
    step "$name: mke2fs $*"
    rm -f image.raw image.tar
    truncate -s 192M image.raw
    mke2fs -q -F "$@" image.raw
    if ! mount -t ext4 -o loop,user_xattr,acl image.raw mnt 2> mount.log; then
        [[ $name == casefold ]] || fail "$name cannot be mounted: $(cat mount.log)"
        step "$name: this kernel does not mount it; the exporter must read it all the same"
        "$EXPORT_TAR" image.raw > image.tar || fail "$name was not read"
        return
    fi
    mounted=mnt
    bash "$here/odd_tree.sh" mnt > odd.log 2>&1 || fail "filling $name: $(tail -3 odd.log)"
    [[ $name != casefold ]] || { mkdir mnt/folded && chattr +F mnt/folded && touch mnt/folded/{Straße,README,läufer}; }
    unmount
    "$EXPORT_TAR" image.raw > image.tar || fail "$name was not read"
    mount -t ext4 -o loop,ro image.raw mnt
    mounted=mnt
    python3 "$here/compare_tree.py" image.tar mnt || fail "$name: the trees differ"
    unmount
}

compare default -t ext4
compare ext2 -t ext2 -b 1024
compare ext3 -t ext3 -b 4096
compare 1k -t ext4 -b 1024
compare 2k -t ext4 -b 2048 -I 512
compare inode-128 -t ext4 -I 128 -O ^metadata_csum
compare inline -t ext4 -I 512 -O inline_data
compare inline-256 -t ext4 -b 4096 -I 256 -O inline_data
compare ea-inode -t ext4 -O ea_inode
compare bigalloc -t ext4 -O bigalloc -C 65536
compare no-64bit -t ext4 -O ^64bit,^metadata_csum,uninit_bg
compare no-extents -t ext4 -O ^extents,^64bit
compare meta-bg -t ext4 -O meta_bg,^resize_inode
compare no-filetype -t ext4 -O ^filetype,^dir_index
compare csum-seed -t ext4 -O metadata_csum_seed
compare casefold -t ext4 -O casefold -E encoding=utf8
for size in 8192 16384 65536; do
    truncate -s 64M probe.raw
    mke2fs -q -F -t ext4 -b "$size" probe.raw 2> /dev/null || continue
    if mount -t ext4 -o loop probe.raw mnt 2> /dev/null; then
        umount mnt
        compare "$size" -t ext4 -b "$size"
    else
        step "$size: this kernel does not mount blocks of $size bytes"
    fi
done

step "an unfinished journal is replayed"
rm -f image.raw
truncate -s 96M image.raw
mke2fs -q -F -t ext4 -J size=8 image.raw
mount -t ext4 -o loop,commit=1 image.raw mnt
mounted=mnt
mkdir mnt/before mnt/removed
for i in $(seq 300); do printf '%s' "$i" > "mnt/before/$i"; done
sync -f mnt
rm -r mnt/removed
for i in $(seq 200); do printf 'new %s' "$i" > "mnt/before/$i"; done
mkdir mnt/after && touch mnt/after/{a,b,c}
setfattr -n user.late -v value mnt/after/a
sync -f mnt
cp --sparse=always image.raw crashed.raw
unmount
dumpe2fs -h crashed.raw 2> /dev/null | grep -q needs_recovery || fail "the copy needs no recovery: the test is void"
cp --sparse=always crashed.raw recovered.raw
e2fsck -fy -E journal_only recovered.raw > e2fsck.log 2>&1 || true
"$EXPORT_TAR" crashed.raw > crashed.tar || fail "a file system with a journal was not read"
"$EXPORT_TAR" recovered.raw > recovered.tar
cmp crashed.tar recovered.tar || fail "our replay and that of e2fsck differ"
mount -t ext4 -o loop,ro recovered.raw mnt
mounted=mnt
python3 "$here/compare_tree.py" crashed.tar mnt || fail "the replayed tree differs from the kernel's"
unmount
[[ $(tar -tf crashed.tar | grep -c '^after/') -eq 4 ]] || fail "what the journal holds is missing"

step "an encrypted file is refused by name"
rm -f image.raw
truncate -s 16M image.raw
mke2fs -q -F -t ext4 -O encrypt image.raw
debugfs -w -R "mkdir secret" image.raw > /dev/null 2>&1
debugfs -w -R "set_inode_field /secret flags 0x80800" image.raw > /dev/null 2>&1
if "$EXPORT_TAR" image.raw > image.tar 2> message; then
    fail "an encrypted folder was read"
fi
expect_match encrypt "$(cat message)" "the refusal"
