#!/usr/bin/env bash
# vm2oci's own init, in an initramfs under a distribution's kernel that is booted directly: a root by UUID with the agent
# beside it, an erofs under a layer in memory, a logical volume, and a root that is not there.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool busybox cpio modprobe mke2fs e2fsck debugfs mkfs.erofs jq qemu-system-x86_64
uuid=6d0a2f60-8a3e-4c53-9a57-0c1d5b6f7e02
kernels=(/boot/vmlinuz-*)
agent=${VM2OCI%/*/*/*}/share/vm2oci/vm2oci-agent

modules=()
for module in virtio_pci virtio_blk virtio_console virtiofs loop ext4 erofs overlay dm-mod; do modules+=(--module "$module"); done
"$boot_dir/make-initramfs.sh" "$boot_dir/guest/init-with-modules" init.cpio.gz "${modules[@]}" \
    --file "$agent:/own-init"

mkdir -p tree/{bin,sbin,proc,sys,dev,run}
cp "$(command -v busybox)" tree/bin/busybox
for applet in sh sleep cat sync; do ln -s busybox "tree/bin/$applet"; done
install -m 0755 "$boot_dir/guest/plain-init" tree/sbin/init
printf '#!/bin/sh\nwhile :; do sleep 1000; done\n' > tree/bin/getty
chmod 0755 tree/bin/getty
echo 'PRETTY_NAME="A plain guest"' > tree/os-release
mkdir tree/etc && mv tree/os-release tree/etc/
truncate -s 24M ext4.raw
mke2fs -q -t ext4 -U "$uuid" -L plain -d tree ext4.raw
mkfs.erofs -U "$uuid" erofs.raw tree > /dev/null 2>&1

# start EXIT DISK COMMAND-LINE OPTION…
start() {
    local expected=$1 disk=$2 line=$3
    shift 3
    expect_exit "$expected" nice "$VM2OCI" boot "raw:$disk" --json --accel tcg --kernel "${kernels[-1]}" \
        --initrd init.cpio.gz --append "console=ttyS0 no_timer_check panic=-1 $line" --report report "$@"
    jq -r '"   " + .summary' stdout
}

step 'by UUID, with the agent beside the guest'\''s init'
start 0 ext4.raw "root=UUID=$uuid vm2oci.agent single" --ready agent --ready login --exec 'cat /etc/os-release'
grep -q 'the root is ext4 on /dev/vda' report/console.log || fail 'another root'
grep -q 'the root is not writable' report/console.log || fail 'a root that is to be read only is writable'
grep -q 'mode is single' report/console.log || fail 'the word for init was lost'
expect_match 'A plain guest' "$(jq -r '.checks[] | select(.name | startswith("exec")) | .output' stdout)" 'what the agent ran'

step 'erofs under a layer in memory'
start 0 erofs.raw 'root=/dev/vda' --ready login
grep -q 'the root is overlay' report/console.log || fail 'no layer'
grep -q 'the root is writable' report/console.log || fail 'the layer is not writable'

step 'a logical volume'
"$boot_dir/make-volume-group.py" ext4.raw lvm.raw
start 0 lvm.raw 'root=/dev/machines-1/root rw' --ready login
grep -q 'the root is ext4 on /dev/mapper/machines--1-root' report/console.log || fail 'another root'
grep -q 'the root is writable' report/console.log || fail 'the volume is not writable'

step 'no such root'
start 4 ext4.raw 'root=LABEL=absent vm2oci.wait=1' --ready login
grep -q "vm2oci-init: this machine cannot be started: root=LABEL=absent did not appear within 1 s; the machine has /dev/vda (ext4 $uuid)" \
    report/console.log || fail 'the console does not say what is wrong'
expect_equal init-died "$(jq -r .verdict.rule stdout)" 'rule of the verdict'

step 'a file of the host, by virtiofs'
mkdir -p container/disk
cp ext4.raw container/disk/rootfs.img
# QEMU's own virtiofsd on Debian 12, a package of its own elsewhere.
virtiofsd=$(PATH=$PATH:/usr/lib/qemu:/usr/libexec command -v virtiofsd) || fail 'there is no virtiofsd'
# with_share LINE: as krun starts it, but for the console. The root's file is /disk/rootfs.img of container.
with_share() {
    rm -f share.socket console.log
    in_background "$virtiofsd" --socket-path="$scratch/share.socket" -o "source=$scratch/container" -o sandbox=chroot
    wait_until 30 test -S share.socket
    in_background nice qemu-system-x86_64 -accel tcg -M q35 -m 256 -nodefaults -display none -no-reboot \
        -object memory-backend-memfd,id=memory,size=256M,share=on -numa node,memdev=memory \
        -chardev "socket,id=share,path=$scratch/share.socket" -device vhost-user-fs-pci,chardev=share,tag=/dev/root \
        -serial "file:$scratch/console.log" -kernel "${kernels[-1]}" -initrd init.cpio.gz \
        -append "console=ttyS0 no_timer_check panic=-1 root=/dev/root rootfstype=virtiofs vm2oci.file=/disk/$1"
    wait_until 300 grep -q 'plain login:\|cannot be started' console.log
    kill "$started_pid"
}
with_share 'rootfs.img rw'
grep -q 'the root is ext4 on /dev/loop0' console.log || fail "$(tail -n 3 console.log)"
grep -q 'the root is writable' console.log || fail 'the file is not written to'
wait_until 30 e2fsck -fy container/disk/rootfs.img
expect_match written "$(debugfs -R 'cat /written' container/disk/rootfs.img 2> /dev/null)" 'what the guest wrote'
before=$(sha256sum < container/disk/rootfs.img)
with_share 'rootfs.img rw vm2oci.overlay=memory'
grep -q 'the root is writable' console.log || fail 'the layer is not writable'
expect_equal "$before" "$(sha256sum < container/disk/rootfs.img)" 'the file under the layer'
with_share 'absent.img'
grep -q 'cannot read /disk/absent.img on /dev/root: No such file' console.log || fail "$(tail -n 3 console.log)"
