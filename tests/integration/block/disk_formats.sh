#!/usr/bin/env bash
# VMDK, VHD, VHDX and VDI as qemu-img writes them, of disks whose sizes fit nothing: what comes out is what qemu-img reads
# from them. What they say of themselves agrees with libvmdk and libvhdi. Nothing is opened that was not named.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img vmdkinfo vhdiinfo strace jq

# disk FILE BYTES SEED: data, text, zeros and holes, from the first sector to the last.
disk() {
    python3 - "$@" << 'PYTHON'
import random, sys
path, size, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
generator = random.Random(seed)
with open(path, "wb") as disk:
    disk.truncate(size)
    at = 0
    while at < size:
        length = min(generator.choice([512, 4096, 65536, 300000, 2 << 20]), size - at)
        kind = generator.randrange(4)
        if kind < 3:
            disk.seek(at)
            disk.write([generator.randbytes(length), (b"some text %d " % at * length)[:length], bytes(length)][kind])
        at += length
    disk.seek(size - 512)
    disk.write(b"\xee" * 512)
PYTHON
}

# same REFERENCE QEMU-FORMAT FILE: both read the same of it.
same() {
    rm -f ours.raw theirs.raw
    qemu-img convert -f "$2" -O raw "$3" theirs.raw
    "$VM2OCI" -q convert "$1" raw:ours.raw > /dev/null
    cmp ours.raw theirs.raw || fail "$1 is read as something else than qemu-img reads"
}

seed=0
for size in 512 66048 $((1 << 20)) 7341568 $(((40 << 20) + 3584)); do
    step "a disk of $size bytes"
    disk disk.raw "$size" $((seed += 1))
    for kind in monolithicSparse streamOptimized monolithicFlat twoGbMaxExtentSparse twoGbMaxExtentFlat; do
        for zeroed in off on; do
            [[ $zeroed == on && $kind == *Flat ]] && continue
            rm -f web01*
            qemu-img convert -f raw -O vmdk -o "subformat=$kind,zeroed_grain=$zeroed" disk.raw web01.vmdk
            same vmdk:web01.vmdk vmdk web01.vmdk
            same web01.vmdk vmdk web01.vmdk
            cmp ours.raw disk.raw || fail "$kind of $size bytes lost something"
        done
    done
    for options in subformat=dynamic subformat=fixed subformat=dynamic,force_size=on subformat=fixed,force_size=on; do
        qemu-img convert -f raw -O vpc -o "$options" disk.raw web01.vhd
        same vhd:web01.vhd vpc web01.vhd
    done
    for block in 1M 2M 32M 256M; do
        for kind in dynamic fixed; do
            rm -f web01.vhdx
            qemu-img convert -f raw -O vhdx -o "subformat=$kind,block_size=$block" disk.raw web01.vhdx
            same web01.vhdx vhdx web01.vhdx
        done
    done
    for static in off on; do
        qemu-img convert -f raw -O vdi -o "static=$static" disk.raw web01.vdi
        same vdi:web01.vdi vdi web01.vdi
    done
done

step 'a VMDK of several files, and one that qemu-img wrote over'
disk disk.raw $((12 << 20)) 77
rm -f web01*
qemu-img convert -f raw -O vmdk -o subformat=monolithicSparse,zeroed_grain=on disk.raw web01.vmdk
qemu-io -f vmdk -c 'write -q -P 7 1M 300k' -c 'write -q -z 3M 1M' -c 'write -q -P 9 11M 64k' web01.vmdk
same web01.vmdk vmdk web01.vmdk
truncate --size 5G large.raw
printf 'first' | dd of=large.raw conv=notrunc status=none
printf 'last' | dd of=large.raw bs=1 seek=$(((5 << 30) - 4)) conv=notrunc status=none
for kind in twoGbMaxExtentSparse twoGbMaxExtentFlat; do
    rm -f big*
    qemu-img convert -f raw -O vmdk -o "subformat=$kind" large.raw big.vmdk
    "$VM2OCI" -q convert big.vmdk raw:ours.raw > /dev/null
    cmp ours.raw large.raw || fail "$kind in three files lost something"
    expect_equal 3 "$("$VM2OCI" inspect --json big.vmdk | jq .disk.vmdk.extent_count)" "the extents of $kind"
done
mkdir elsewhere
mv big-f002.vmdk elsewhere/
expect_exit 3 "$VM2OCI" convert big.vmdk raw:ours.raw
"$VM2OCI" -q convert --extent elsewhere/big-f002.vmdk big.vmdk raw:ours.raw > /dev/null
cmp ours.raw large.raw || fail 'an extent that was given lost something'
rm -f big* large.raw

step 'a delta over its parent'
qemu-img convert -f raw -O vmdk disk.raw base.vmdk
qemu-img create -q -f vmdk -b base.vmdk -F vmdk delta.vmdk
qemu-io -f vmdk -c 'write -q -P 5 2M 100k' delta.vmdk
rm -f theirs.raw
qemu-img convert -f vmdk -O raw delta.vmdk theirs.raw
expect_exit 3 "$VM2OCI" convert delta.vmdk raw:ours.raw
"$VM2OCI" -q convert --backing base.vmdk delta.vmdk raw:ours.raw > /dev/null
cmp ours.raw theirs.raw || fail 'the delta is read as something else than qemu-img reads'
qemu-io -f vmdk -c 'write -q -P 6 0 512' base.vmdk # another content ID now
expect_exit 3 "$VM2OCI" convert --backing base.vmdk delta.vmdk raw:ours.raw

step 'second readers'

expect_equal "$(vmdkinfo web01.vmdk | sed -n 's/.*Media size[^(]*(\([0-9]*\) bytes).*/\1/p')" \
    "$("$VM2OCI" inspect --json web01.vmdk | jq .disk.virtual_size)" 'the size of the VMDK'
qemu-img convert -f raw -O vpc -o subformat=dynamic disk.raw web01.vhd
expect_equal "$(vhdiinfo web01.vhd | sed -n 's/.*Media size[^(]*(\([0-9]*\) bytes).*/\1/p')" \
    "$("$VM2OCI" inspect --json web01.vhd | jq .disk.virtual_size)" 'the size of the VHD'

step 'containers, images and what is refused'
"$VM2OCI" -q convert web01.vmdk oci:layout:web01 > /dev/null
"$VM2OCI" -q convert oci:layout:web01 raw:ours.raw > /dev/null
rm -f theirs.raw
qemu-img convert -f vmdk -O raw web01.vmdk theirs.raw
cmp ours.raw theirs.raw || fail 'the way through an image lost something'
expect_exit 3 "$VM2OCI" convert --disk-format keep web01.vmdk oci:layout:kept
for format in vmdk vhd vhdx vdi; do
    expect_exit 2 "$VM2OCI" convert disk.raw "$format:out"
    [[ ! -e out ]] || fail "$format:out was written"
done
mkdir --parents tree/disk
cp web01.vmdk tree/disk/
tar --create --file layer.tar --directory tree --numeric-owner --owner 107 --group 107 disk
python3 - << 'PYTHON'
import hashlib, json, os
def blob(data):
    digest = hashlib.sha256(data).hexdigest()
    os.makedirs("other/blobs/sha256", exist_ok=True)
    with open(f"other/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"digest": f"sha256:{digest}", "size": len(data)}
layer = open("layer.tar", "rb").read()
config = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {
    "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode())
manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
    "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **blob(layer)}]}).encode())
with open("other/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion": "1.0.0"}')
with open("other/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json",
        "annotations": {"org.opencontainers.image.ref.name": "x"}, **manifest}]}, file)
PYTHON
"$VM2OCI" -q convert oci:other:x raw:ours.raw > /dev/null
cmp ours.raw theirs.raw || fail 'a VMDK inside an image is read as something else'
expect_match '"format": "vmdk"' "$("$VM2OCI" inspect --json oci:other:x)" 'inspect of an image with a VMDK'
expect_match 'VMDK' "$("$VM2OCI" check oci:other:x)" 'check of an image with a VMDK'

step 'inspect names what it cannot read'
qemu-img create -q -f vhdx whole.vhdx 4M
head --bytes 70000 whole.vhdx > broken.vhdx
expect_exit 3 "$VM2OCI" inspect broken.vhdx
expect_match 'format +VHDX' "$(cat stdout)" 'the page of a broken VHDX'
expect_equal null "$("$VM2OCI" inspect --json broken.vhdx | jq .disk.virtual_size)" 'its size'

step 'no file is opened that was not named'
printf '# Disk DescriptorFile\nversion=1\nCID=1\ncreateType="vmfs"\nRW 8 VMFS "%s"\n' "$PWD/disk.raw" > evil.vmdk
expect_exit 3 strace --follow-forks --trace=%file --output=trace "$VM2OCI" inspect evil.vmdk
! grep -q disk.raw trace || fail "a name from a descriptor was touched: $(grep disk.raw trace)"
