#!/usr/bin/env bash
# --sparsify on ext4 file systems that have lived: what was deleted is gone, what is there is untouched, and e2fsck
# finds nothing. Needs root, for loop mounts.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs e2fsck debugfs python3
[[ $(id -u) -eq 0 ]] || fail "loop mounts need root"
mkdir mnt
python3 -c 'print("deleted content\n" * 100000)' > deleted
trap 'status=$?; set +e; umount mnt 2> /dev/null; (exit "$status"); _clean_up' EXIT

for options in "-t ext4" "-t ext2 -b 1024" "-t ext4 -O bigalloc -C 65536" "-t ext4 -O ^flex_bg,^metadata_csum" \
    "-t ext4 -b 1024 -O inline_data -I 256"; do
    step "mke2fs $options"
    rm -f disk.raw sparse.raw
    truncate -s 128M disk.raw
    # shellcheck disable=SC2086
    mke2fs -q -F $options disk.raw
    mount -t ext4 -o loop disk.raw mnt
    for i in $(seq 40); do head -c 1000000 /dev/urandom > "mnt/keep-$i"; done
    for i in $(seq 30); do cp deleted "mnt/drop-$i"; done
    sync -f mnt
    rm mnt/drop-*
    umount mnt
    "$VM2OCI" -q convert --sparsify raw:disk.raw raw:sparse.raw > /dev/null
    e2fsck -fn sparse.raw > e2fsck.log 2>&1 || fail "e2fsck complains: $(cat e2fsck.log)"
    "$EXPORT_TAR" disk.raw > before.tar
    "$EXPORT_TAR" sparse.raw | cmp - before.tar || fail "a file changed"
    grep -q 'deleted content' disk.raw || fail "the test is void"
    left=$({ grep -ao 'deleted content' sparse.raw || true; } | wc -l)
    # The journal, which is in use, may hold some of the folder's old blocks, never file content.
    expect_equal 0 "$left" "pieces of deleted files in the sparsified disk"
    [[ $(du -k sparse.raw | cut -f1) -lt $(($(du -k disk.raw | cut -f1) - 30000)) ]] || fail "nothing was saved"
done

step "a file system that is marked as damaged is left whole"
debugfs -w -R "set_super_value state 2" disk.raw > /dev/null 2>&1
"$VM2OCI" -q convert --sparsify raw:disk.raw raw:whole.raw > /dev/null
cmp disk.raw whole.raw || fail "a damaged file system was changed"

# stays_whole FILE WHAT COMMAND…: after debugfs' commands a file system that contradicts itself loses not a byte, and
# --json says why.
stays_whole() {
    local file=$1 what=$2
    shift 2
    for command in "$@"; do debugfs -w -R "$command" "$file" > /dev/null 2>&1; done
    "$VM2OCI" -q convert --json --sparsify "raw:$file" raw:kept.raw > report.json
    cmp "$file" kept.raw || fail "$what: content was dropped"
    expect_match 'left whole' "$(python3 -c 'import json; print(json.load(open("report.json"))["remarks"])')" "$what"
}
for options in "-t ext4" "-t ext4 -b 1024 -O ^metadata_csum,uninit_bg" "-t ext4 -O ^flex_bg,^64bit"; do
    step "descriptors that contradict the bitmaps: mke2fs $options"
    rm -f lying.raw sound.raw
    truncate -s 320M sound.raw
    # shellcheck disable=SC2086
    mke2fs -q -F $options sound.raw
    mount -t ext4 -o loop sound.raw mnt
    head -c 250M /dev/urandom > mnt/keep
    umount mnt
    cp --sparse=always sound.raw lying.raw
    stays_whole lying.raw "a used group that is called never used" "set_bg 1 flags 2" "set_bg 1 checksum calc"
    cp --sparse=always sound.raw lying.raw
    stays_whole lying.raw "a bitmap at block 0" "set_bg 0 block_bitmap 0" "set_bg 0 checksum calc"
    cp --sparse=always sound.raw lying.raw
    stays_whole lying.raw "a count of free blocks that is too high" "set_bg 1 free_blocks_count 4000" "set_bg 1 checksum calc"
    cp --sparse=always sound.raw lying.raw
    stays_whole lying.raw "a superblock that counts others" "set_super_value free_blocks_count 7"
done
