# What a migrated machine's initrd is like; sourced.
# shellcheck shell=bash

# break_initrd INITRD BROKEN-INITRD KERNEL-VERSION: the same without a driver for virtio. Works in the current folder.
break_initrd() {
    unmkinitramfs "$1" initrd-tree
    [[ ! -d initrd-tree/main ]] || mv initrd-tree/main initrd-main
    [[ -d initrd-main ]] || mv initrd-tree initrd-main
    find initrd-main -name 'virtio*.ko*' -delete
    depmod -b initrd-main "$3"
    # One byte more keeps it from ending on a boundary of 4.
    (cd initrd-main && find . | LC_ALL=C sort | cpio --quiet -o -H newc | zstd -q -3) > "$2"
    printf '\0' >> "$2"
    rm -rf initrd-main initrd-tree
}
