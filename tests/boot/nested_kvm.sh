#!/usr/bin/env bash
# Real KVM without the hardware: an emulated machine with AMD's virtualization, in which the kernel's own KVM runs. The
# probe must say yes there, and `boot --accel kvm` must boot a machine in the machine.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool jq qemu-system-x86_64 grub-mkimage
make_small_initramfs
small_guest login

cat > nested.sh << 'SH'
#!/bin/busybox sh
export TMPDIR=/tmp
echo "nested: probing"
if vm2oci boot --probe; then echo "nested: probe ran"; fi
vm2oci boot --probe | grep -q '^KVM is usable' && echo "nested: probe says usable"
echo "nested: booting"
vm2oci boot raw:/small.raw --accel kvm --memory 256M --cpus 1 --timeout 10m --progress plain && echo "nested: passed"
echo "nested: end"
SH
chmod +x nested.sh
qemu=$(command -v qemu-system-x86_64)
arguments=(--module kvm-amd --program "$VM2OCI" --file "$VM2OCI:/bin/vm2oci" --program "$qemu"
    --file nested.sh:/nested.sh --file small.raw:/small.raw)
# Firmware lies behind links; the guest gets the files.
for file in bios-256k.bin vgabios-stdvga.bin kvmvapic.bin linuxboot_dma.bin; do
    for folder in /usr/share/seabios /usr/share/qemu; do
        [[ -e $folder/$file ]] && arguments+=(--file "$folder/$file:/usr/share/qemu/$file") && break
    done
done
"$boot_dir/make-initramfs.sh" "$boot_dir/guest/init" nested.cpio.gz "${arguments[@]}"

kernels=(/boot/vmlinuz-*)
timeout 1500 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -machine q35 -m 2048 -smp 2 -nodefaults -display none \
    -no-reboot -serial stdio -kernel "${kernels[-1]}" -initrd nested.cpio.gz \
    -append 'console=ttyS0 quiet panic=-1 no_timer_check vm2oci.test=nested' < /dev/null | tee console.log | sed 's/[^[:print:]]//g'
grep -q 'nested: probe says usable' console.log || fail 'the probe did not find the nested KVM usable'
grep -q 'nested: passed' console.log || fail 'no machine came up under the nested KVM'
