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
    mount -t ext4 -o loop,user_xattr,acl image.raw mnt 2> mount.log || fail "$name cannot be mounted: $(cat mount.log)"
    mounted=mnt
    bash "$here/odd_tree.sh" mnt > odd.log 2>&1 || fail "filling $name: $(tail -3 odd.log)"
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

# What many kernels do not mount: filled by mke2fs out of another file system, which the kernel shows. mke2fs knows whole
# seconds only, nothing of the root folder, and no hard links of symbolic links.
step "the same tree on file systems that this kernel may not mount"
truncate -s 192M source.raw
mke2fs -q -F -t ext4 source.raw
mount -o loop,user_xattr,acl source.raw mnt
mounted=mnt
bash "$here/odd_tree.sh" mnt > odd.log 2>&1 || fail "filling the source: $(tail -3 odd.log)"
rm mnt/links/hard-symlink
mkdir mnt/folded
touch mnt/folded/{Straße,README,läufer}
find mnt -exec touch -h -d @1600000000 {} +
for options in "-O casefold -E encoding=utf8" "-b 8192" "-b 65536" "-b 65536 -O bigalloc -C 262144 -N 4096"; do
    step "mke2fs $options"
    rm -f image.raw
    truncate -s 600M image.raw
    # shellcheck disable=SC2086
    mke2fs -q -F -t ext4 $options -d mnt image.raw 2> mke2fs.log || fail "$(cat mke2fs.log)"
    debugfs -w -R "set_inode_field / mtime @1600000000" image.raw > /dev/null 2>&1
    # The kernel's flag for a folder that ignores case.
    [[ $options != *casefold* ]] ||
        debugfs -w -R "set_inode_field /folded flags 0x40080000" image.raw > /dev/null 2>&1
    "$EXPORT_TAR" image.raw > image.tar || fail "it was not read"
    python3 "$here/compare_tree.py" image.tar mnt || fail "the trees differ"
done
unmount
rm source.raw

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
