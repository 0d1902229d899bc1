#!/usr/bin/env bash
# Disks in layers that GNU tar and Python wrote, in each of their dialects: what we take out of an image is what
# `umoci unpack`, which reads layers as container runtimes do, puts on the disk.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool umoci tar python3 cmp
[[ $(id -u) -eq 0 ]] || fail "umoci unpack needs root"

# A disk with holes at the beginning, in the middle and at the end, of more pieces than a GNU header holds.
mkdir -p tree/disk
truncate -s 24M tree/disk/d.img
for place in 1 3 4 7 9 12 15 16 20 22; do
    head -c 70000 /dev/urandom | dd of=tree/disk/d.img bs=1M seek=$place conv=notrunc status=none
done
truncate -s 3M tree/disk/empty.img
long=disk/$(printf 'n%.0s' {1..140}).img
mkdir -p "tree-long/$(dirname "$long")" tree-link/disk tree-empty/disk
cp --sparse=always tree/disk/d.img "tree-long/$long"
mv tree/disk/empty.img tree-empty/disk/
cp --sparse=always tree/disk/d.img tree-link/original
ln tree-link/original tree-link/disk/d.img

umoci init --layout images
written_as=other # what wrote the layer: GNU tar's format and --sparse
disk=''         # and the disk in it
# same_as_umoci NAME TAR...: an image with these layers.
same_as_umoci() {
    local name=$1 layer theirs
    shift
    umoci new --image "images:$name"
    for layer in "$@"; do umoci raw add-layer --image "images:$name" "$layer" > umoci.log 2>&1; done
    rm -rf bundle ours.raw
    "$VM2OCI" -q convert "oci:images:$name" raw:ours.raw > convert.txt
    if [[ $written_as == *gnu*--sparse* ]]; then
        # umoci, like containerd and Docker, does not know the type of header: the disk is read all the same, and check
        # says what would happen.
        if umoci unpack --keep-dirlinks --image "images:$name" bundle > umoci.log 2>&1; then fail "umoci has learnt it"; fi
        expect_exit 4 "$VM2OCI" check --for kubevirt "oci:images:$name"
        expect_match 'sparse form' "$(< stdout)" "what check says of $name"
        cmp ours.raw "$disk" || fail "$name: another disk than was packed"
        return
    fi
    umoci unpack --keep-dirlinks --image "images:$name" bundle > umoci.log 2>&1 || fail "umoci: $(cat umoci.log)"
    theirs=$(find bundle/rootfs/disk -type f)
    expect_equal 1 "$(wc -l <<< "$theirs")" "disks of $name"
    cmp ours.raw "$theirs" || fail "$name: another disk than umoci's"
    "$VM2OCI" -q check --for kubevirt "oci:images:$name" > check.txt || fail "$name: check says no"
}

number=0
for sparse in "" "--sparse" "--sparse --hole-detection=raw"; do
    for format in gnu oldgnu "posix --sparse-version=0.0" "posix --sparse-version=0.1" "posix --sparse-version=1.0" ustar; do
        [[ -z $sparse || $format != ustar ]] || continue
        for tree in tree tree-long tree-link tree-empty; do
            [[ $format != ustar || $tree != tree-long ]] || continue
            step "GNU tar --format=$format $sparse, $tree"
            written_as="$format $sparse"
            disk=$(find $tree -path '*/disk/*' -type f)
            # shellcheck disable=SC2086
            tar --format=$format $sparse -C $tree -cf layer.tar .
            same_as_umoci "t$((number += 1))" layer.tar
        done
    done
done

written_as=other
step "Python's tarfile, in each of its formats"
for format in USTAR GNU PAX; do
    python3 -c "
import tarfile
with tarfile.open('layer.tar', 'w', format=tarfile.${format}_FORMAT) as tar:
    tar.add('tree/disk/d.img', './disk//d.img')"
    same_as_umoci "p${format,,}" layer.tar
done

step "types of members that no runtime unpacks"
type_number=0
for type in 7 V M D N X 8; do
    python3 - "$type" << 'END'
import sys, tarfile
# A whole layer, and a member of that type: the disk itself, for the type that has content.
with tarfile.open("layer.tar", "w") as tar:
    if sys.argv[1] != "7":
        tar.add("tree/disk/d.img", "disk/d.img")
    member = tarfile.TarInfo("disk/d.img" if sys.argv[1] == "7" else "other")
    member.type, member.size = sys.argv[1].encode(), 1 << 16
    tar.addfile(member, open("tree/disk/d.img", "rb"))
END
    name=type$((type_number += 1))
    umoci new --image "images:$name"
    umoci raw add-layer --image "images:$name" layer.tar > umoci.log 2>&1
    rm -rf bundle
    if umoci unpack --image "images:$name" bundle > umoci.log 2>&1; then fail "umoci unpacks type $type"; fi
    expect_exit 4 "$VM2OCI" check --for kubevirt "oci:images:$name"
    expect_match "type .?$type.*no container runtime unpacks" "$(< stdout)" "what check says of type $type"
done

step "a later layer, and a later member, win"
tar --format=posix -S -C tree -cf lower.tar disk
tar -C tree -cf twice.tar disk
head -c 1M /dev/urandom > tree/disk/d.img
tar --format=posix -S -C tree -cf upper.tar disk
tar -C tree -rf twice.tar disk/d.img
same_as_umoci upper lower.tar upper.tar
same_as_umoci twice twice.tar
