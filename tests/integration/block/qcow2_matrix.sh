#!/usr/bin/env bash
# Disks that qemu-img and qemu-io make, read by us: every cluster size, compression, extended L2, refcount width, both
# versions, preallocation, snapshots, chains and data files. Our raw must be the one of qemu-img convert, byte for byte.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img qemu-io cmp

# read_back NAME IMAGE [OPTION…]: our raw of IMAGE against qemu's.
images=0
read_back() {
    local name=$1 image=$2
    shift 2
    qemu-img convert -f qcow2 -O raw "$image" expected.raw
    "$VM2OCI" --quiet --progress none convert "$@" "qcow2:$image" raw:actual.raw 2> stderr || fail "$name: $(cat stderr)"
    cmp expected.raw actual.raw || fail "$name: other content than qemu-img's"
    rm expected.raw actual.raw
    images=$((images + 1))
}

# 6 MiB and a bit: text, noise, zeros and holes, for whole images; less for tiny clusters.
small_disk source.raw 6
truncate --size=$((6 * 1048576 + 1536)) source.raw

# scribble IMAGE SEED: writes, zero writes and discards all over an image of 6 MiB, never twice the same.
scribble() {
    python3 - "$2" << 'PYTHON' > commands
import random, sys
generator = random.Random(int(sys.argv[1]))
for _ in range(60):
    length = 512 * generator.choice([1, 3, 8, 60, 128, 300, 700])
    offset = 512 * generator.randrange(0, (6 << 20) // 512 - length // 512)
    verb = generator.choice(["write -q -P %d" % generator.randrange(1, 256)] * 3 + ["write -q -z", "write -q -z -u", "discard -q"])
    print(verb, offset, length)
PYTHON
    qemu-io -t unsafe -f qcow2 "$1" < commands > /dev/null
}

for cluster in 512 1k 2k 4k 8k 16k 32k 64k 128k 256k 512k 1M 2M; do
    step "clusters of $cluster"
    for compat in 0.10 1.1; do
        options=compat=$compat,cluster_size=$cluster
        qemu-img convert -f raw -O qcow2 -o "$options" source.raw image
        read_back "$options" image
        qemu-img convert -f raw -O qcow2 -c -o "$options" source.raw image
        read_back "$options, zlib" image
        scribble image "$images"
        read_back "$options, zlib, written to" image
        qemu-img create -q -f qcow2 -o "$options" image 6291456
        scribble image "$images"
        read_back "$options, written to" image
    done
    qemu-img convert -f raw -O qcow2 -c -o "compression_type=zstd,cluster_size=$cluster" source.raw image
    read_back "$cluster, zstd" image
    scribble image "$images"
    read_back "$cluster, zstd, written to" image
done

for cluster in 16k 32k 64k 256k 1M 2M; do
    step "extended L2, clusters of $cluster"
    options=extended_l2=on,cluster_size=$cluster
    qemu-img create -q -f qcow2 -o "$options" image 6291456
    scribble image "$images"
    read_back "$options, written to" image
    for compression in zlib zstd; do
        qemu-img convert -f raw -O qcow2 -c -o "$options,compression_type=$compression" source.raw image
        scribble image "$images"
        read_back "$options, $compression, written to" image
    done
done

step "refcount widths, preallocation, lazy refcounts"
for bits in 1 2 4 8 16 32 64; do
    qemu-img convert -f raw -O qcow2 -o "refcount_bits=$bits,cluster_size=4k" source.raw image
    read_back "refcounts of $bits bits" image
done
for preallocation in metadata falloc full; do
    qemu-img create -q -f qcow2 -o "preallocation=$preallocation,cluster_size=8k" image 6291456
    read_back "preallocation $preallocation" image
    scribble image "$images"
    read_back "preallocation $preallocation, written to" image
done
qemu-img create -q -f qcow2 -o lazy_refcounts=on image 6291456
scribble image "$images"
read_back "lazy refcounts" image

step "sizes"
for size in 512 1024 65024 66048 1049088 5368709632; do
    qemu-img create -q -f qcow2 image "$size"
    read_back "$size, empty" image
    qemu-io -t unsafe -f qcow2 -c "write -q -P 7 0 512" -c "write -q -P 9 $((size - 512)) 512" image
    read_back "$size" image
done
qemu-img resize -q --shrink image 3000832
read_back "shrunk" image
qemu-img resize -q image 90000384
read_back "grown" image

step "snapshots"
qemu-img create -q -f qcow2 -o cluster_size=4k image 6291456
scribble image 1
qemu-img snapshot -c first image
scribble image 2
qemu-img snapshot -c second image
scribble image 3
read_back "the active layer over two snapshots" image

step "chains and data files"
qemu-img create -q -f qcow2 -o cluster_size=32k base 6291456
scribble base 4
qemu-img create -q -f qcow2 -o extended_l2=on,cluster_size=64k -b base -F qcow2 middle 4194304
qemu-io -t unsafe -f qcow2 -c "write -q -P 5 1000448 700416" -c "write -q -z 2000896 300032" middle
qemu-img create -q -f qcow2 -o cluster_size=4k -b middle -F qcow2 top 7340032
qemu-io -t unsafe -f qcow2 -c "write -q -P 6 1200128 100352" -c "write -q -z 0 66048" top
expect_exit 3 "$VM2OCI" --progress none convert qcow2:top raw:actual.raw
[[ ! -e actual.raw ]] || fail "a refused chain left a file"
read_back "a chain of three" top --backing middle:qcow2 --backing base
qemu-img create -q -f qcow2 -b source.raw -F raw over-raw
qemu-io -t unsafe -f qcow2 -c "write -q -P 8 66048 70144" over-raw
read_back "over raw" over-raw --backing source.raw:raw
for raw in on off; do
    rm -f data
    qemu-img create -q -f qcow2 -o "data_file=data,data_file_raw=$raw,cluster_size=4k" image 6291456
    scribble image 5
    expect_exit 3 "$VM2OCI" --progress none convert qcow2:image raw:actual.raw
    read_back "a data file, raw $raw" image --data-file data
done

step "$images images"
