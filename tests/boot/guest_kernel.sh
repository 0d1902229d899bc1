#!/usr/bin/env bash
# Our own kernel, built or from the cache, under the real Debian: a bundle with it comes up with every unit and port of the
# disk as shipped but those for the disk itself, and nothing fails; and again from a read-only root, proven by dm-verity.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq qemu-system-x86_64
arch=$(uname -m)
kernel=$(XDG_CACHE_HOME=$user_cache "$VM2OCI_SOURCE_DIR/guest-kernel/build.sh" 2> build.log) || fail "$(tail -n 20 build.log)"
expect_at_most 7500000 "$(stat --format %s "$kernel/vmlinuz")" 'bytes of the kernel'
expect_equal 7f454c46 "$(head -c 4 "$kernel/vmlinux" | xxd -p)" 'the head of what micro-VMs start'

install -D "$VM2OCI" prefix/bin/vm2oci
mkdir -p prefix/share/vm2oci/guest-kernel
cp "${VM2OCI%/*/*/*}/share/vm2oci/vm2oci-agent" prefix/share/vm2oci/
cp -r "$kernel" "prefix/share/vm2oci/guest-kernel/$arch"
disk=$(debian_disk --format qcow2)

boot() {
    expect_exit 0 nice prefix/bin/vm2oci boot "$@" --json --accel tcg --timeout 10m --ignore no-datasource
    jq -r '"   " + .summary' stdout
}

step 'a bundle, beside the disk that it was made of'
prefix/bin/vm2oci convert --quiet --as bundle --kernel minimal "$disk" oci:images:plain > convert.log
boot oci:images:plain --compare "$disk"
expect_equal true "$(jq .comparison.fits stdout)" 'whether nothing is lost'
expect_equal '[] [] []' "$(jq -c '.comparison | .units_missing, .failed_here, .ports_missing' stdout | paste -sd' ')" 'what is lost'
(($(jq '.facts.units | length' stdout) > 40)) || fail "the agent names $(jq -c .facts.units stdout) only"

step 'a read-only root that proves itself'
prefix/bin/vm2oci convert --quiet --as bundle --kernel minimal --root erofs --verity "$disk" oci:images:proven > convert.log
boot oci:images:proven --ready login

step 'the same with one other byte'
prefix/bin/vm2oci convert --quiet oci:images:proven files > convert.log
printf 'x' | dd of=files/rootfs.erofs bs=1 seek=1100 conv=notrunc status=none
timeout 120 qemu-system-"$arch" -accel tcg -machine q35 -m 512 -nodefaults -display none -no-reboot -serial file:console \
    -kernel files/vmlinux -initrd files/initramfs -append "$(jq -r .payload.cmdline files/cloud-hypervisor.json) panic=1" \
    -drive file=files/rootfs.erofs,format=raw,if=virtio,readonly=on || fail "$(tail -n 5 console)"
expect_match 'dm-verity device corrupted' "$(cat console)" 'what stops the machine'

if [[ $arch == x86_64 ]]; then
    step 'a machine without ACPI, which an MP table describes'
    timeout 120 qemu-system-x86_64 -accel tcg -machine q35 -m 256 -nodefaults -display none -no-reboot -serial file:console \
        -kernel "$kernel/vmlinuz" -append 'console=ttyS0 acpi=off' || fail "$(tail -n 5 console)"
    expect_match 'MPTABLE: APIC at: 0xFEE00000' "$(cat console)" 'what the kernel found'
    expect_match 'IOAPIC\[0\]: .* GSI 0-23' "$(cat console)" 'what the table says of interrupts'
fi
