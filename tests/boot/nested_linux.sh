#!/usr/bin/env bash
# A whole Linux, by firmware and GRUB, under the KVM of an emulated machine (see nested_kvm.sh): one minute of an idle
# processor. VM2OCI=… VM2OCI_SOURCE_DIR=… bash tests/boot/nested_linux.sh [RUNS]
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
runs=${1:-1}
make_small_initramfs
small_guest login
cat > nested.sh << 'SH'
#!/bin/busybox sh
export TMPDIR=/tmp
vm2oci boot --probe
vm2oci boot raw:/small.raw --accel kvm --memory 256M --cpus 1 --timeout 10m --progress plain && echo "nested: passed"
SH
for ((run = 1; run <= runs; ++run)); do
    step "run $run of $runs"
    nested_machine 900 nested.sh small.raw:/small.raw
    grep -q '^nested: passed' console.log || fail 'no machine came up under the nested KVM'
done
