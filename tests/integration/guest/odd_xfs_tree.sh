#!/usr/bin/env bash
# odd_xfs_tree.sh FOLDER [ENTRIES]: what odd_tree.sh leaves out and xfs has forms of its own for. ENTRIES (default 3000):
# how many names the largest folder has. Root.
set -euo pipefail
cd "$1"
entries=${2:-3000}

mkdir xfs xfs/{folders,extents,shared,values,links}
cd xfs

# Folders in each form, some of which shrank again.
for count in 1 2 5 12 40 150 700; do
    mkdir "folders/of-$count"
    (cd "folders/of-$count" && seq -f "name of medium length %g" "$count" | xargs -d '\n' touch)
done
mkdir folders/largest folders/holey folders/long-names
(cd folders/largest && seq -f "entry %g" "$entries" | xargs -d '\n' touch)
(cd folders/holey && seq -f "entry with a longer name so that blocks are emptied %g" 2000 | xargs -d '\n' touch &&
    seq -f "entry with a longer name so that blocks are emptied %g" 100 1700 | xargs -d '\n' rm)
for i in $(seq 100 150); do : > "folders/long-names/$i$(printf 'n%.0s' $(seq 252))"; done
ln -s folders/largest "links/to folder"

# Extents: 5,000 in one file, unwritten ones between them, one terabyte of holes.
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
PYTHON
touch extents/behind-the-end
fallocate -l 1M --keep-size extents/behind-the-end

head -c 2000000 /dev/urandom > shared/first
if cp --reflink=always shared/first shared/second 2> /dev/null; then
    printf 'changed' | dd of=shared/second bs=1 seek=1000000 conv=notrunc status=none
    for i in $(seq 20); do cp --reflink=always shared/second "shared/copy-$i"; done
fi

# Values in the inode, in a leaf, in a tree, and in blocks of their own.
printf 'v' > values/largest
setfattr -n user.largest -v "0x$(printf 'ab%.0s' $(seq 65536))" values/largest 2> /dev/null ||
    python3 -c 'import os; os.setxattr("values/largest", "user.largest", b"\xab" * 65536)'
python3 - << 'PYTHON'
import os
for name, count, size in (("few", 3, 10), ("leaf", 20, 100), ("tree", 900, 60), ("blocks", 30, 9000)):
    with open("values/" + name, "w") as file:
        for i in range(count):
            os.setxattr(file.fileno(), f"user.{name}-{i}", (b"%d-" % i) * (size // 4) + b"x" * (i % 7))
os.setxattr("values/tree", "security.selinux", b"system_u:object_r:etc_t:s0\0")
for i in range(0, 900, 3):
    os.removexattr("values/tree", f"user.tree-{i}")
os.setxattr("values", "trusted." + "n" * 240, b"on a folder")
PYTHON
for length in 30 155 156 300 511 700 1000 1023; do ln -s "$(printf 't%.0s' $(seq $length))" "links/$length"; done

path=.
for part in $(seq 150); do path=$path/deep$part; done
mkdir -p "$path" && printf 'bottom' > "$path/file"
