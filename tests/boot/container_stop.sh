#!/usr/bin/env bash
# A container's machine that its virtual machine monitor asks to end: by the power button, as QEMU and Cloud Hypervisor
# press it, and by Ctrl-Alt-Del, which is what Firecracker sends. The program gets its image's stop signal, and the
# machine goes off with its exit code. QEMU is started by hand here, from the files that a bundle is unpacked into.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/support/container_images.sh"
require_tool umoci jq busybox python3 qemu-system-x86_64 setsid
kernel=$(XDG_CACHE_HOME=$user_cache "$VM2OCI_SOURCE_DIR/guest-kernel/build.sh" 2> build.log) || fail "$(tail -n 20 build.log)"
install -D "$VM2OCI" prefix/bin/vm2oci
mkdir -p prefix/share/vm2oci/guest-kernel
cp "${VM2OCI%/*/*/*}/share/vm2oci/vm2oci-agent" prefix/share/vm2oci/
cp -r "$kernel" "prefix/share/vm2oci/guest-kernel/$(uname -m)"

make_busybox_image images checks
umoci config --image images:checks --config.stopsignal SIGUSR1 --clear=config.cmd --config.cmd sh --config.cmd -c \
    --config.cmd 'trap "echo stopping; exit 5" USR1; echo up; while :; do sleep 0.1; done' > umoci.log 2>&1 ||
    fail "$(cat umoci.log)"
prefix/bin/vm2oci convert --quiet --as bundle oci:images:checks oci:bundles:checks > /dev/null
prefix/bin/vm2oci convert --quiet oci:bundles:checks files > /dev/null
manifest=bundles/blobs/$(jq -r '.manifests[0].digest' bundles/index.json | tr : /)
words=$(jq -r '.annotations."org.vm2oci.bundle.command-line"' "$manifest")

# ask COMMAND: of QEMU's monitor, once the program is up; its console is in `console`
ask() {
    rm -f console monitor
    cp --sparse=always files/rootfs.img root.img
    nice qemu-system-x86_64 -machine q35,accel=tcg -cpu max -m 256 -nodefaults -no-user-config -display none -no-reboot \
        -kernel files/vmlinux -initrd files/initramfs -append "$words vm2oci.console=plain no_timer_check" -serial file:console \
        -drive file=root.img,format=raw,if=virtio -monitor unix:monitor,server=on,wait=off > qemu.log 2>&1 &
    local pid=$! tries=0 status=0
    background_pids+=("$pid")
    until grep -aq '^up' console 2> /dev/null; do
        ((tries++ < 1200)) || fail "the program did not start: $(cat qemu.log; tail -n 20 console)"
        kill -0 "$pid" 2> /dev/null || fail "QEMU has ended: $(cat qemu.log; tail -n 20 console)"
        sleep 0.1
    done
    python3 -c 'import socket, sys
monitor = socket.socket(socket.AF_UNIX)
monitor.connect("monitor")
text = b""
while b"(qemu)" not in text:
    text += monitor.recv(4096)
monitor.sendall(sys.argv[1].encode() + b"\n")
while monitor.recv(4096):
    pass' "$1" || true # QEMU ends in the middle of it
    wait "$pid" || status=$?
    expect_equal 0 "$status" "$1: QEMU's exit status"
    grep -aq '^stopping' console || fail "$1: the program was not asked: $(tail -n 20 console)"
    grep -aq 'vm2oci-init: the program ended with exit code 5' console || fail "$1: $(tail -n 20 console)"
}

step 'the power button'
ask system_powerdown

step 'Ctrl-Alt-Del'
ask 'sendkey ctrl-alt-delete'
