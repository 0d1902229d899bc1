#!/usr/bin/env bash
# odd_btrfs_tree.sh FOLDER [ENTRIES]: what odd_tree.sh leaves out and btrfs has forms of its own for. ENTRIES (default
# 3000): how many names the largest folder has. Root.
set -euo pipefail
cd "$1"
entries=${2:-3000}

mkdir btrfs btrfs/{folders,extents,shared,values,links,packed,nocow,trees}
cd btrfs

for count in 1 12 150 700; do
    mkdir "folders/of-$count"
    (cd "folders/of-$count" && seq -f "name of medium length %g" "$count" | xargs -d '\n' touch)
done
mkdir folders/largest folders/holey
(cd folders/largest && seq -f "entry %g" "$entries" | xargs -d '\n' touch)
(cd folders/holey && seq -f "entry %g" 1000 | xargs -d '\n' touch && seq -f "entry %g" 100 900 | xargs -d '\n' rm)
path=folders
for part in $(seq 150); do path=$path/deep$part; done
mkdir -p "$path" && printf 'bottom' > "$path/file"

# Extents: 5,000 in one file, prepared ones between them, a terabyte of holes, holes punched and islands of all kinds.
python3 - << 'PYTHON'
import os
with open("extents/many", "wb") as file:
    for i in range(5000):
        file.seek(i * 131072)
        file.write(b"%d" % i)
with open("extents/terabyte", "wb") as file:
    file.truncate(1 << 40)
    for at in (0, 1 << 30, (1 << 39) + 12345, (1 << 40) - 5):
        file.seek(at)
        file.write(b"land")
with open("extents/prepared", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 4 << 20)
    for at in (100, 70000, 2 << 20):
        os.pwrite(file.fileno(), b"written", at)
    os.truncate("extents/prepared", (4 << 20) - 77)
with open("extents/over-and-over", "wb") as file:
    file.write(os.urandom(1 << 20))
    file.flush()
    os.fsync(file.fileno())
    for at in range(0, 1 << 20, 40000):
        os.pwrite(file.fileno(), b"x" * 5000, at)
        os.fsync(file.fileno())
# Around the sizes at which content leaves its item.
for size in (1, 2047, 2048, 2049, 3900, 4095, 4096, 4097, 8192):
    with open(f"extents/size-{size}", "wb") as file:
        file.write((b"%d " % size * size)[:size])
PYTHON
touch extents/behind-the-end
fallocate -l 1M --keep-size extents/behind-the-end
head -c 3000000 /dev/urandom > extents/punched
sync extents/punched
fallocate -p -o 100000 -l 1000000 extents/punched
fallocate -z -o 2000000 -l 300000 extents/punched
printf 'inline' > extents/grown
sync extents/grown
truncate -s 100000 extents/grown
printf 'end' >> extents/grown

head -c 2000000 /dev/urandom > shared/first
cp --reflink=always shared/first shared/second
printf 'changed' | dd of=shared/second bs=1 seek=1000000 conv=notrunc status=none
for i in $(seq 20); do cp --reflink=always shared/second "shared/copy-$i"; done

# Content that packs, by each codec, whatever the mount says; with parts replaced.
for codec in zlib lzo zstd; do
    mkdir packed/$codec
    btrfs property set packed/$codec compression $codec
    seq 300000 > packed/$codec/numbers
    head -c 10000000 /dev/zero > packed/$codec/zeros
    seq 300 > packed/$codec/small
    seq -f "$codec %g" 80 > packed/$codec/in-item
    { head -c 200000 /dev/urandom && seq 100000; } > packed/$codec/mixed
    python3 - packed/$codec << 'PYTHON'
import random, sys
rng = random.Random(7)
with open(sys.argv[1] + "/words", "wb") as file:
    for _ in range(120000):
        file.write(rng.choice([b"alpha", b"beta", b"gamma", b"delta" * rng.randrange(1, 400), b"\0" * rng.randrange(1, 3000)]))
        file.write(bytes([rng.randrange(256)]) * rng.randrange(1, 5))
        if file.tell() > 6000000:
            break
PYTHON
    sync -f packed/$codec
    printf 'replaced' | dd of=packed/$codec/numbers bs=1 seek=500000 conv=notrunc status=none
    cp --reflink=always packed/$codec/numbers packed/$codec/copy
    truncate -s 777777 packed/$codec/copy
done

chattr +C nocow
head -c 500000 /dev/urandom > nocow/file
sync nocow/file
printf 'in place' | dd of=nocow/file bs=1 seek=123456 conv=notrunc status=none

# Values up to what a leaf holds.
printf 'v' > values/large
python3 - << 'PYTHON'
import os
for size in (3000, 2000, 1000, 400):
    while True:
        try:
            os.setxattr("values/large", f"user.large-{size}", b"l" * size)
            break
        except OSError:
            size //= 2
with open("values/many", "w") as file:
    for i in range(400):
        os.setxattr(file.fileno(), f"user.many-{i}", b"%d-" % i * (i % 9))
os.setxattr("values/many", "security.selinux", b"system_u:object_r:etc_t:s0\0")
for i in range(0, 400, 3):
    os.removexattr("values/many", f"user.many-{i}")
os.setxattr("values", "trusted." + "n" * 240, b"on a folder")
PYTHON
for length in 30 255 1000 3000; do ln -s "$(printf 't%.0s' $(seq $length))" "links/$length" 2> /dev/null || true; done
# More names than one item of them has room for.
: > links/named-often
for i in $(seq 1500); do ln links/named-often "links/one of the many names of a file, which is long enough to fill items $i" 2> /dev/null || break; done

# Trees in each other, and what a snapshot has of them.
btrfs -q subvolume create trees/inner
printf 'inner' > trees/inner/file
btrfs -q subvolume create trees/inner/innermost
printf 'innermost' > trees/inner/innermost/file
btrfs -q subvolume create trees/gone
btrfs -q subvolume snapshot trees/inner trees/snapshot
btrfs -q subvolume snapshot -r trees/inner trees/read-only
printf 'later' > trees/inner/later
mv trees/inner/innermost trees/inner/renamed
btrfs -q subvolume delete trees/gone
