#!/usr/bin/env bash
# What edits by vm2oci's appliance add on the clock where KVM is, beside the same edits of ext4 in the process: under the
# KVM of an emulated machine (see nested_kvm.sh), whose every instruction is emulated, so that both are many times slower
# than on hardware. By hand, on an idle processor; needs root, for a loop device, xfs, and the guest kernel in its cache:
#
#   VM2OCI=build/ci/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD bash tests/boot/nested_appliance.sh
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
# shellcheck source=../integration/edit/appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool mkfs.xfs mke2fs qemu-img
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
install_without_kernel prefix
install_kernel prefix
agent=prefix/share/vm2oci/vm2oci-agent kernel=$(echo prefix/share/vm2oci/guest-kernel/*/vmlinuz)

mkdir -p mnt root/{etc/ssh,usr/lib,usr/bin,root,bin,sbin,var/lib/dbus,var/log}
printf 'ID=almalinux\nVERSION_ID="9.4"\n' > root/usr/lib/os-release
printf 'root:x:0:0:root:/root:/bin/sh\n' > root/etc/passwd
printf 'root:x:0:\n' > root/etc/group
printf '/dev/vda / auto defaults 0 0\n' > root/etc/fstab
echo secret > root/etc/ssh/ssh_host_rsa_key
echo 11223344556677889900112233445566 > root/etc/machine-id
truncate -s 400M xfs.raw ext4.raw
mke2fs -q -t ext4 -d root ext4.raw
mkfs.xfs -q -f xfs.raw
mount -o loop xfs.raw mnt
cp -a root/. mnt/
umount mnt
for type in xfs ext4; do qemu-img convert -O qcow2 $type.raw $type.qcow2; done

cat > nested.sh << 'SH'
#!/bin/busybox sh
export TMPDIR=/tmp
vm2oci boot --probe
for type in ext4 xfs; do
    for round in 1 2 3; do
        read -r begin _ < /proc/uptime
        vm2oci convert --quiet --json --sysprep --hostname new --created 2026-01-02T03:04:05Z /$type.qcow2 qcow2:/tmp/out.qcow2 > /tmp/report.json || cat /tmp/report.json
        read -r end _ < /proc/uptime
        backend=$(grep -o '"backend": "[a-z]*"' /tmp/report.json | head -n 1)
        echo "nested: $type $begin $end $backend"
        rm -f /tmp/out.qcow2
    done
done
SH
nested_machine 1800 nested.sh xfs.qcow2:/xfs.qcow2 ext4.qcow2:/ext4.qcow2 \
    "$agent:/share/vm2oci/vm2oci-agent" "$kernel:/share/vm2oci/guest-kernel/x86_64/vmlinuz"
grep -q '^KVM is usable' console.log || fail 'the probe did not find the nested KVM usable'
grep -q '^nested: xfs .*"appliance"' console.log || fail 'the appliance changed nothing'
awk '/^nested: / { took = $4 - $3; if (!($2 in least) || took < least[$2]) least[$2] = took }
    END { printf "ext4 %.2f s, xfs by the appliance %.2f s: %.2f s more\n", least["ext4"], least["xfs"], least["xfs"] - least["ext4"] }' console.log
