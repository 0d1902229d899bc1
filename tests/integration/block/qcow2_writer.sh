#!/usr/bin/env bash
# What we write, read and judged by qemu-img: every size that is odd, every way to store a cluster, and the same bytes
# whatever the source's format and the number of threads. $1: the program write_disk.
set -euo pipefail

write_disk=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
    echo "FAIL: $*" >&2
    exit 1
}

# make NAME SIZE [KIND:OFFSET:LENGTH ...] writes a sparse raw disk; KIND is noise, text, ones or zeros.
make() {
    python3 - "$@" <<'PYTHON'
import random, sys
name, size, parts = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
source = random.Random(name)
with open(name, "wb") as disk:
    disk.truncate(size)
    for part in parts:
        kind, offset, length = part.split(":")
        length = int(length)
        if kind == "noise":
            data = source.randbytes(length)
        elif kind == "text":
            words = [b"kernel ", b"network ", b"cloud ", b"disk ", b"boot\n"]
            data = b"".join(source.choices(words, k=length // 5 + 1))[:length]
        else:
            data = (b"\1" if kind == "ones" else b"\0") * length
        disk.seek(int(offset))
        disk.write(data)
PYTHON
}

# check NAME IMAGE: a sound qcow2 without leaks that holds what NAME holds.
check() {
    qemu-img check -q -f qcow2 "$2" || fail "qemu-img check of $2"
    qemu-img compare -q -f raw -F qcow2 "$1" "$2" || fail "$2 differs from $1"
    qemu-img info --output=json -f qcow2 "$2" >info.json
    python3 - "$1" "$2" <<'PYTHON'
import json, os, sys
info = json.load(open("info.json"))
data = info["format-specific"]["data"]
size = os.path.getsize(sys.argv[1])
wanted = (size + 511) // 512 * 512
checks = {
    "virtual size": info["virtual-size"] >= wanted if "grown" in sys.argv[2] else info["virtual-size"] == wanted,
    "cluster size": info["cluster-size"] == 65536,
    "compat": data["compat"] == "1.1",
    "compression": data["compression-type"] == ("zstd" if "zstd" in sys.argv[2] else "zlib"),
    "refcounts": data["refcount-bits"] == 16 and data["lazy-refcounts"] is False,
    "not corrupt": data["corrupt"] is False and data["extended-l2"] is False,
    "no backing file, no snapshots": "backing-filename" not in info and "snapshots" not in info,
}
for name, holds in checks.items():
    if not holds:
        sys.exit(f"{sys.argv[2]}: {name}: {info}")
PYTHON
}

M=$((1024 * 1024))
make empty 0
make one-byte 1 ones:0:1
make odd $((3 * M + 1000)) text:0:70000 noise:$((3 * M)):1000
make holes $((700 * M + 512)) noise:65535:2 zeros:$M:$M text:$((520 * M)):300000 ones:$((700 * M)):512
make full $((40 * M)) noise:0:$((10 * M)) text:$((10 * M)):$((20 * M)) ones:$((30 * M)):$((10 * M))
make terabyte $((1024 * 1024 * M)) noise:0:100000 text:$((512 * 1024 * M - 5)):200000 ones:$((1024 * 1024 * M - 1)):1

for disk in empty one-byte odd holes full terabyte; do
    for format in qcow2 qcow2-zlib qcow2-zstd; do
        image=$disk.$format
        "$write_disk" "$format" "raw:$disk" "$image" 1
        check "$disk" "$image"
        "$write_disk" "$format" "raw:$disk" again 8
        cmp "$image" again || fail "$image depends on the number of threads"
        "$write_disk" "$format" "qcow2:$image" again 2
        cmp "$image" again || fail "$image is not what it makes of itself"
    done
    qemu-img convert -f raw -O qcow2 -o cluster_size=4k "$disk" foreign
    "$write_disk" qcow2 qcow2:foreign again 2
    cmp "$disk.qcow2" again || fail "$disk.qcow2 depends on the source's format"
    [[ $(stat -c %s "$disk.qcow2") == $(qemu-img check -f qcow2 --output=json "$disk.qcow2" |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["image-end-offset"])') ]] ||
        fail "$disk.qcow2 has bytes behind its end"
done

# Compression pays off: as small as what qemu-img itself makes, give or take the level.
for compression in zlib zstd; do
    qemu-img convert -f raw -O qcow2 -c -o compression_type=$compression full theirs
    ours=$(stat -c %s full.qcow2-$compression)
    (($(stat -c %s theirs) * 11 / 10 > ours)) || fail "full.qcow2-$compression has $ours bytes"
done

for disk in one-byte odd holes full; do
    qemu-img convert -f raw -O raw "$disk" theirs
    for format in raw raw-stream; do
        "$write_disk" $format "qcow2:$disk.qcow2" ours 2
        cmp theirs ours || fail "$format of $disk"
    done
done
"$write_disk" raw qcow2:terabyte.qcow2-zstd ours 2
qemu-img compare -q -f raw -F raw terabyte ours || fail "raw of terabyte"
(($(stat -c %b ours) < 4096)) || fail "the raw terabyte is not sparse"

"$write_disk" qcow2 raw:odd odd.grown 2 1G
check odd odd.grown
[[ $(qemu-img info --output=json odd.grown) == *'"virtual-size": 1073741824'* ]] || fail "the size of odd.grown"
"$write_disk" raw raw:odd ours 2 1G
[[ $(stat -c %s ours) == 1073741824 ]] || fail "the size of the grown raw disk"
if "$write_disk" qcow2 raw:odd cut 2 1M 2>message; then
    fail "a disk was cut"
fi
grep -q 'would be cut' message || fail "the message: $(cat message)"
echo "all disks are as qemu-img wants them"
