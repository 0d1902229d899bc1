#!/usr/bin/env bash
# Disks that are compressed, and disks from standard input: read as if they had been unpacked first.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img gzip xz zstd bzip2 lz4 jq

small_disk disk.raw
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
mkdir scratch-files

# convert_and_compare SOURCE [STDIN]
convert_and_compare() {
    if (($# == 2)); then
        # A pipe, which cannot be read twice.
        # shellcheck disable=SC2002
        cat "$2" | "$VM2OCI" convert --quiet --json --tmpdir scratch-files "$1" raw:out.raw > /dev/null
    else
        "$VM2OCI" convert --quiet --json --tmpdir scratch-files "$1" raw:out.raw > /dev/null
    fi
    cmp disk.raw out.raw || fail "another content from $*"
    rm out.raw
}

step 'every compression, of raw and of qcow2, from a file and from a pipe'
for tool in 'gzip -1' 'xz -0' 'xz -0 -T2 --block-size=1MiB' 'zstd -1' 'bzip2 -1' 'lz4 -1'; do
    for file in disk.raw disk.qcow2; do
        # shellcheck disable=SC2086
        $tool --stdout < "$file" > packed
        convert_and_compare packed
        convert_and_compare - packed
    done
done
convert_and_compare - disk.qcow2
convert_and_compare - disk.raw
"$VM2OCI" convert --quiet raw:- raw:out.raw < disk.raw
cmp disk.raw out.raw
expect_equal '' "$(ls scratch-files)" 'what is left of scratch files'

step 'the image does not depend on how its source was packed'
digest_of() { "$VM2OCI" convert --json --progress none "$1" null: | jq -r .digest; }
plain=$(digest_of disk.qcow2)
zstd --quiet -1 disk.qcow2 -o disk.qcow2.zst
gzip --keep disk.raw
expect_equal "$plain" "$(digest_of disk.qcow2.zst)" 'digest from zstd'
expect_equal "$plain" "$(digest_of disk.raw.gz)" 'digest from gzip'
expect_equal "$plain" "$("$VM2OCI" convert --json --progress none - null: < disk.raw.gz | jq -r .digest)" 'digest from stdin'

step 'an archive in a compression is named as one, and not unpacked'
"$VM2OCI" convert --quiet --json disk.raw oci:layout:disk > /dev/null
layer=$(find layout/blobs/sha256 -size +64k)
expect_exit 3 "$VM2OCI" inspect --tmpdir scratch-files "$layer"
expect_match 'tar archive packed with zstd' "$(cat stderr)" 'what the layer is'

step 'inspect tells the compression'
xz --keep -0 -T2 --block-size=1MiB disk.raw
expect_equal 'xz by blocks raw' "$("$VM2OCI" inspect --json disk.raw.xz |
    jq -r '"\(.disk.compression.format) \(.disk.compression.read) \(.disk.format)"')" 'what inspect tells'
expect_match 'gzip, .* packed' "$("$VM2OCI" inspect disk.raw.gz)" 'the page of inspect'
expect_equal null "$("$VM2OCI" inspect --json disk.raw | jq .disk.compression)" 'of what is not compressed'

step 'what is broken, cut or followed by something is refused'
for packed in disk.raw.gz disk.raw.xz disk.qcow2.zst; do
    head --bytes=-7 "$packed" > broken
    expect_exit 3 "$VM2OCI" convert --quiet broken null:
    expect_exit 3 "$VM2OCI" convert --quiet - null: < broken
    { cat "$packed"; printf 'something else'; } > broken
    expect_exit 3 "$VM2OCI" convert --quiet broken null:
    expect_match 'broken' "$(cat stderr)" 'the message, which names the file'
done
{ cat disk.raw.gz; head --bytes=1024 /dev/zero; } > padded
convert_and_compare padded

step 'limits'
expect_exit 3 "$VM2OCI" convert --quiet --max-virtual-size 1M disk.raw.gz null:
head --bytes=2G /dev/zero | zstd --quiet -1 > bomb
expect_exit 3 timeout 60 "$VM2OCI" convert --quiet --max-virtual-size 64M bomb null:
expect_exit 3 timeout 60 "$VM2OCI" convert --quiet --max-virtual-size 64M - null: < <(head --bytes=2G /dev/zero)
expect_exit 1 "$VM2OCI" convert --quiet --json --tmpdir /nonexistent/folder disk.raw.gz null:

step 'a disk that is said to be raw is not unpacked'
"$VM2OCI" convert --quiet raw:disk.raw.gz raw:as-it-is.raw
cmp --bytes="$(stat --format %s disk.raw.gz)" disk.raw.gz as-it-is.raw

step 'compressed twice, or a name of its own'
gzip --stdout disk.raw.xz > twice
expect_exit 3 "$VM2OCI" convert --quiet twice null:
cp disk.raw ./-
"$VM2OCI" convert --quiet ./- raw:out.raw
cmp disk.raw out.raw
expect_exit 2 "$VM2OCI" convert --quiet disk.raw -
expect_exit 2 "$VM2OCI" convert --quiet disk.raw qcow2:-
