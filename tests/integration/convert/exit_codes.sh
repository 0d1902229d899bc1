#!/usr/bin/env bash
# The exit codes and the one-line errors that scripts rely on, and nothing at the destination after a failure.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq python3

small_disk disk.raw 8
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2

# refused CODE REGEX COMMAND…: exit code, one line on stderr, nothing at the destination `out`.
refused() {
    local code=$1 regex=$2
    shift 2
    expect_exit "$code" "$1" --quiet "${@:2}"
    expect_equal 1 "$(wc -l < stderr)" "lines on stderr of: $*"
    expect_match "^vm2oci: .*($regex)" "$(cat stderr)" "$*"
    expect_equal '' "$(find . -name 'out*')" "what was left by: $*"
}

step '2: the command line is wrong'
refused 2 'help' "$VM2OCI" convert raw:disk.raw
refused 2 'nonsense' "$VM2OCI" convert --nonsense raw:disk.raw oci:out:x
refused 2 'frobnicate' "$VM2OCI" frobnicate
refused 2 'compression' "$VM2OCI" convert --compression brotli raw:disk.raw oci:out:x
refused 2 'at least as large' "$VM2OCI" convert --size 1M raw:disk.raw oci:out:x
refused 2 'VALUE' "$VM2OCI" convert --label nothing raw:disk.raw oci:out:x

step '3: the input is refused'
qemu-img create -q -f qcow2 -b disk.qcow2 -F qcow2 overlay.qcow2
refused 3 'backing' "$VM2OCI" convert overlay.qcow2 oci:out:x
# On a busy machine qemu-img may measure no time at all for its key derivation ("Unable to get accurate CPU usage").
for _ in {1..20}; do
    qemu-img create -q -f qcow2 --object secret,id=s,data=x -o encrypt.format=luks,encrypt.key-secret=s \
        locked.qcow2 8M 2> qemu-img.log && break
done
refused 3 'encrypt' "$VM2OCI" convert locked.qcow2 oci:out:x
cp disk.qcow2 short.qcow2
truncate --size 300000 short.qcow2
refused 3 'truncated|beyond|end' "$VM2OCI" convert short.qcow2 oci:out:x
refused 3 "limit|max-virtual-size" "$VM2OCI" convert --max-virtual-size 1M disk.qcow2 oci:out:x
printf 'KDMV' > vmdk.img
truncate --size 1M vmdk.img
refused 3 'VMDK|vmdk' "$VM2OCI" convert vmdk.img oci:out:x

step 'inspect names what it cannot read, and exits 3'
qemu-img create -q -f parallels foreign.parallels 4M
for format in vhdx vdi; do
    qemu-img create -q -f "$format" "foreign.$format" 4M
    expect_exit 0 "$VM2OCI" inspect "foreign.$format"
    truncate --size 400 "foreign.$format" # in the middle of its headers
done
for format in vhdx vdi parallels; do
    expect_exit 3 "$VM2OCI" inspect "foreign.$format"
    expect_match "format +${format^^}" "$(tr '[:lower:]' '[:upper:]' < stdout | sed 's/FORMAT/format/')" "the page about $format"
    expect_exit 3 "$VM2OCI" inspect --json "foreign.$format"
    expect_equal false "$(jq .disk.verdict.safe stdout)" "the verdict about $format"
    expect_equal null "$(jq .disk.virtual_size stdout)" "a size of $format that nobody read"
done
expect_exit 0 "$VM2OCI" inspect overlay.qcow2 # what it is can be told

step '1: it failed'
refused 1 'no such|not found|does not exist|No such' "$VM2OCI" convert missing.qcow2 oci:out:x
refused 1 'no OCI layout' "$VM2OCI" convert oci:missing:tag raw:out.raw
if [[ -e /dev/full ]]; then
    expect_exit 1 bash -c '"$0" convert --json raw:disk.raw null: > /dev/full' "$VM2OCI"
fi

step '4: the verdict is no'
"$VM2OCI" convert --quiet raw:disk.raw oci:layout:x
"$VM2OCI" verify oci:layout:x > /dev/null
layer=$(find layout/blobs -type f -size +100k)
chmod u+w "$layer"
printf 'X' | dd of="$layer" bs=1 seek=50000 conv=notrunc status=none
expect_exit 4 "$VM2OCI" verify oci:layout:x
expect_match 'sha256:' "$(cat stdout)" 'the mismatch that verify names'

step '--json: one document on stdout, also for errors'
"$VM2OCI" convert --json raw:disk.raw oci:json:x 2> /dev/null | jq -e '.digest' > /dev/null
expect_exit 3 "$VM2OCI" convert --json overlay.qcow2 oci:out:x
expect_equal 3 "$(jq -r '.error.exit_code' stdout)" 'the exit code in the document'

step 'a disk full while it writes'
if [[ $(id -u) -eq 0 ]] && mkdir full && mount -t tmpfs -o size=1m tmpfs full 2> /dev/null; then
    status=0
    "$VM2OCI" convert --quiet --compression none raw:disk.raw oci:full/out:x 2> stderr || status=$?
    left=$(ls -A full)
    umount full
    expect_equal 1 "$status" 'exit status'
    expect_equal '' "$left" 'what was left on the full disk'
fi

step '3: there is nothing in the input to do it with'
refused 3 'no guest' "$VM2OCI" convert --as rootfs raw:disk.raw oci:out:x
refused 3 'no guest' "$VM2OCI" convert --as bundle raw:disk.raw oci:out:x
refused 3 'no guest' "$VM2OCI" convert --sbom out.json raw:disk.raw oci:out:x
refused 3 'no guest' "$VM2OCI" inspect --sbom out.json raw:disk.raw
refused 3 'no guest' "$VM2OCI" inject --hostname web raw:disk.raw raw:out.raw
mkdir -p tree/etc
printf 'hello\n' > tree/etc/motd
tar -C tree -cf layer.tar etc
if command -v umoci > umoci.txt && [[ $(id -u) -eq 0 ]]; then
    umoci init --layout files
    umoci new --image files:x
    umoci raw add-layer --image files:x layer.tar > umoci.txt 2>&1
    refused 3 'no disk' "$VM2OCI" convert oci:files:x raw:out.raw
    refused 3 "container's image.*vm2oci run" "$VM2OCI" boot oci:files:x
fi
