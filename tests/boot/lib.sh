# What the boot tests share; sourced after tests/support/integration.sh.
# shellcheck shell=bash
boot_dir=$VM2OCI_SOURCE_DIR/tests/boot

# make_small_initramfs [OPTIONS OF make-initramfs.sh]: the small guest's initramfs, as $scratch/small.cpio.gz.
make_small_initramfs() {
    require_tool busybox cpio modprobe qemu-ga
    local modules=() module
    for module in virtio_pci virtio_blk virtio_console virtio_net isofs; do
        modules+=(--module "$module")
    done
    "$boot_dir/make-initramfs.sh" "$boot_dir/guest/init" "$scratch/small.cpio.gz" "${modules[@]}" \
        --program "$(command -v qemu-ga)" --file "$boot_dir/guest/udhcpc.sh:/udhcpc.sh" "$@"
}

# small_guest MODE [KERNEL ARGUMENTS]: a disk whose guest does MODE (see guest/init), as $scratch/small.raw.
small_guest() {
    "$boot_dir/make-small-disk.sh" "$scratch/small.raw" "$scratch/small.cpio.gz" "vm2oci.test=$1 ${2:-}"
}

# boot EXIT OPTION…: boots $scratch/small.raw by emulation, boot.json in $scratch/stdout.
boot() {
    local expected=$1
    shift
    local status=0
    nice "$VM2OCI" boot "raw:$scratch/small.raw" --json --accel tcg "$@" > "$scratch/stdout" 2> "$scratch/stderr" ||
        status=$?
    [[ $status -eq $expected ]] ||
        fail "exit status $status instead of $expected: $(jq -r '.summary + " | " + .last_line' "$scratch/stdout") $(tail -n 3 "$scratch/stderr")"
}

# expect_verdict RULE: of the boot before ("null": ready).
expect_verdict() {
    expect_equal "$1" "$(jq -r '.verdict.rule' "$scratch/stdout")" \
        "rule of the verdict ($(jq -r '.summary + " | " + .last_line' "$scratch/stdout"))"
}

# nested_machine SECONDS SCRIPT FILE:TARGET…: runs SCRIPT as root in an emulated machine with AMD's virtualization and the
# kernel's KVM, in which vm2oci, QEMU and the FILEs are installed. What it prints is in $scratch/console.log, without
# carriage returns. One emulated processor and one thread: what runs in that machine then never races with its emulator.
nested_machine() {
    local limit=$1 script=$2 qemu file folder
    shift 2
    require_tool busybox cpio modprobe qemu-system-x86_64 strip
    qemu=$(command -v qemu-system-x86_64)
    strip -o "$scratch/vm2oci" "$VM2OCI"
    local arguments=(--module kvm-amd --program "$scratch/vm2oci" --file "$scratch/vm2oci:/bin/vm2oci"
        --program "$qemu" --file "$script:/nested.sh")
    for file in "$@"; do arguments+=(--file "$file"); done
    for file in /usr/lib/*/qemu/accel-tcg-x86_64.so; do
        [[ ! -e $file ]] || arguments+=(--file "$file:$file")
    done
    # Firmware lies behind links; the machine gets the files.
    for file in bios-256k.bin vgabios-stdvga.bin kvmvapic.bin linuxboot_dma.bin; do
        for folder in /usr/share/seabios /usr/share/qemu; do
            [[ -e $folder/$file ]] && arguments+=(--file "$folder/$file:/usr/share/qemu/$file") && break
        done
    done
    "$boot_dir/make-initramfs.sh" "$boot_dir/guest/init" "$scratch/nested.cpio.gz" "${arguments[@]}"
    local kernels=(/boot/vmlinuz-*) status=0
    timeout "$limit" "$qemu" -accel tcg,thread=single -cpu max -machine q35 -m 2048 -smp 1 -nodefaults -display none \
        -no-reboot -serial stdio -kernel "${kernels[-1]}" -initrd "$scratch/nested.cpio.gz" \
        -append 'console=ttyS0 quiet panic=-1 no_timer_check vm2oci.test=nested' < /dev/null > "$scratch/console.raw" ||
        status=$?
    tr -d '\r' < "$scratch/console.raw" > "$scratch/console.log"
    # For the log of the test: without what a terminal would obey.
    tr -cd '\n[:print:]' < "$scratch/console.log"
    [[ $status -eq 0 ]] || fail "the emulated machine did not end by itself within $limit s (exit status $status)"
}
