# The machine of the tutorials; sourced after tests/boot/lib.sh.
# shellcheck shell=bash

# make_tutorial_disk: small.qcow2 in the current folder, which boots in seconds and looks like a Debian from inside.
make_tutorial_disk() {
    make_small_initramfs
    small_guest login
    printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' > os-release
    printf 'legacy\n' > hostname
    printf 'root:x:0:0:root:/root:/bin/sh\n' > passwd
    : > marker
    for folder in etc bin sbin usr var root; do printf 'mkdir %s\n' "$folder"; done > commands
    for file in os-release hostname passwd; do printf 'write %s etc/%s\n' "$file" "$file"; done >> commands
    printf 'write marker bin/sh\nwrite marker sbin/init\n' >> commands
    /sbin/debugfs -w -f commands "small.raw?offset=1048576" > debugfs.log 2>&1
    qemu-img convert -f raw -O qcow2 small.raw small.qcow2
}
