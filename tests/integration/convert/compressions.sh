#!/usr/bin/env bash
# Every compression of a layer, judged by gzip, zstd and tar: the same content from all, media types that say what it
# is, and a zstd seek table at the end that points to independent frames.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool zstd gzip pigz tar jq python3 skopeo
validate=$VM2OCI_SOURCE_DIR/tests/support/validate_layout.py

small_disk disk.raw
for compression in zstd zstd:1 zstd:3 zstd:19 gzip gzip:1 gzip:6 gzip:9 none; do
    step "$compression"
    tag=${compression/:/-}
    "$VM2OCI" convert --json --compression "$compression" raw:disk.raw "oci:layout:$tag" > "$tag.json"
    layer=layout/blobs/sha256/$(jq -r '.layer.digest' "$tag.json" | cut -d: -f2)
    case "$compression" in
        zstd*) unpack=(zstd -dc) ;;
        gzip*) unpack=(gzip -dc) ;;
        none) unpack=(cat) ;;
    esac
    "${unpack[@]}" "$layer" > content.tar
    expect_equal "$(jq -r .layer.diff_id "$tag.json")" "sha256:$(sha256sum < content.tar | cut -d' ' -f1)" 'diff_id'
    [[ -e first.tar ]] || cp content.tar first.tar
    cmp first.tar content.tar
    if [[ $compression == gzip* ]]; then
        pigz --test "$layer"
        python3 -c 'import gzip, sys, shutil; shutil.copyfileobj(gzip.open(sys.argv[1]), open("by-python", "wb"))' "$layer"
        cmp content.tar by-python
    fi
    if [[ $compression == zstd* ]]; then
        python3 - "$layer" << 'PYTHON'
# zstd_seekable_compression_format.md: footer, then the table; each frame must decode by itself.
import struct, subprocess, sys
data = open(sys.argv[1], "rb").read()
frames, descriptor, magic = struct.unpack("<IBI", data[-9:])
assert magic == 0x8F92EAB1, hex(magic)
entry = 12 if descriptor & 0x80 else 8
table = data[-9 - frames * entry:-9]
head = struct.unpack("<II", data[-9 - frames * entry - 8:-9 - frames * entry])
assert head == (0x184D2A5E, frames * entry + 9), head
position, content = 0, b""
for number in range(frames):
    compressed, decompressed = struct.unpack_from("<II", table, number * entry)
    frame = data[position:position + compressed]
    plain = subprocess.run(["zstd", "-dc"], input=frame, capture_output=True, check=True).stdout
    assert len(plain) == decompressed, (number, len(plain), decompressed)
    content += plain
    position += compressed
assert position + 8 + frames * entry + 9 == len(data), position
assert content == open("content.tar", "rb").read()
# Importers that sniff the first 512 bytes must not lose them: they all come from one raw block.
assert data[:4] == b"\x28\xb5\x2f\xfd"
first_decompressed = struct.unpack_from("<II", table)[1]
assert first_decompressed >= 512 and content[:512] in data[:4096], "the tar header is not stored as it is"
PYTHON
    fi
done

step 'the tags stand side by side'
"$validate" layout --containerdisk disk.qcow2 --no-garbage > found.json
expect_equal 9 "$(jq length found.json)" 'images'
expect_equal 1 "$(jq '[.[].diff_ids[0]] | unique | length' found.json)" 'different contents'
smaller=$(jq -r '.layer.size' zstd-19.json)
expect_at_most "$(jq -r '.layer.size' zstd-1.json)" "$smaller" 'bytes at level 19, compared with level 1,'
expect_exit 2 "$VM2OCI" convert --compression lz4 raw:disk.raw oci:layout:x
expect_exit 2 "$VM2OCI" convert --compression zstd:77 raw:disk.raw oci:layout:x
