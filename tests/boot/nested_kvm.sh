#!/usr/bin/env bash
# Real KVM without the hardware: an emulated machine with AMD's virtualization, in which the kernel's own KVM runs. The
# probe must say yes there, and `boot --accel kvm` must boot a machine in the machine: firmware, a disk, a boot sector.
# nested_linux.sh boots a whole Linux that way.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool as ld

as --32 -o sector.o "$boot_dir/guest/boot-sector.S"
ld -m elf_i386 --oformat binary -Ttext 0x7c00 -o sector.raw sector.o
expect_equal 512 "$(stat --format %s sector.raw)" 'size of the boot sector'
truncate --size 1M sector.raw

cat > nested.sh << 'SH'
#!/bin/busybox sh
export TMPDIR=/tmp
vm2oci boot --probe
vm2oci boot raw:/sector.raw --accel kvm --memory 64M --cpus 1 --ready "boot sector runs" --timeout 100s --progress none \
    --json > /tmp/boot.json && grep -q '"accelerator": "kvm"' /tmp/boot.json && echo "nested: passed"

# A QEMU that dies under KVM, as some do on hosts whose KVM is fine: one more try, without.
mkdir /tmp/dying
cat > /tmp/dying/qemu-system-x86_64 << 'WRAPPER'
#!/bin/busybox sh
case "$*" in *"-accel kvm"*) echo "qemu: error: failed to set MSR 0x10a" >&2; exit 1 ;; esac
exec /usr/bin/qemu-system-x86_64 "$@"
WRAPPER
chmod +x /tmp/dying/qemu-system-x86_64
PATH=/tmp/dying:$PATH vm2oci boot raw:/sector.raw --memory 64M --cpus 1 --ready "boot sector runs" --timeout 100s \
    --progress none --json > /tmp/boot.json && grep -q '"accelerator": "tcg"' /tmp/boot.json &&
    grep -q 'QEMU ended under KVM' /tmp/boot.json && echo "nested: fell back"
SH
nested_machine 400 nested.sh sector.raw:/sector.raw
grep -q '^KVM is usable' console.log || fail 'the probe did not find the nested KVM usable'
grep -q '^nested: fell back' console.log || fail 'a QEMU that dies under KVM was not replaced by one without'
grep -q '^nested: passed' console.log || fail 'no machine came up under the nested KVM'
