# What the boot tests share; sourced after tests/support/integration.sh.
# shellcheck shell=bash
boot_dir=$VM2OCI_SOURCE_DIR/tests/boot

# The small guest's initramfs, as $scratch/small.cpio.gz.
make_small_initramfs() {
    require_tool busybox cpio modprobe qemu-ga
    local modules=() module
    for module in virtio_pci virtio_blk virtio_console virtio_net isofs; do
        modules+=(--module "$module")
    done
    "$boot_dir/make-initramfs.sh" "$boot_dir/guest/init" "$scratch/small.cpio.gz" "${modules[@]}" \
        --program "$(command -v qemu-ga)" --file "$boot_dir/guest/udhcpc.sh:/udhcpc.sh"
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
