#!/usr/bin/env bash
# The real Debian disk, broken as a VMware guest would be, does not find its root on virtio; after one inject it comes up
# to a login on the serial console, with an address by DHCP, cloud-init done from NoCloud, and the key in its place.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=vmware_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/vmware_guest.sh"
require_tool e2fsck ssh-keygen

disk=$("$VM2OCI_SOURCE_DIR/tools/make-debian-disk.sh")
break_guest "$disk" broken.raw

step "before: no root on virtio"
expect_exit 4 nice "$VM2OCI" boot -q --accel tcg --timeout 10m --ready login raw:broken.raw

step "mend it"
ssh-keygen -q -t ed25519 -N '' -C test -f key
cat > user-data << 'END'
#cloud-config
runcmd:
  - [sh, -c, 'echo "address $(hostname -I)" > /dev/ttyS0']
  - [sh, -c, 'grep -q " test$" /root/.ssh/authorized_keys && echo "key in place" > /dev/ttyS0']
  - [sh, -c, 'cloud-init status --long | grep -o "DataSourceNoCloud" | head -1 > /dev/ttyS0']
END
"$VM2OCI" inject --fix --sysprep --user-data user-data --ssh-key key.pub:root --hostname mended \
    raw:broken.raw raw:mended.raw > report
for word in virtio_blk ens192 /dev/sda1 VMware open-vm-tools machine-id ttyS0; do
    grep -qi "$word" report || grep -q "$word" report || fail "the report says nothing of $word: $(cat report)"
done
dd if=mended.raw of=root.img bs=1M skip=128 conv=sparse status=none
e2fsck -fn root.img > fsck.log 2>&1 || fail "$(cat fsck.log)"
rm root.img

step "after: login, address, cloud-init, key"
nice "$VM2OCI" boot -q --accel tcg --timeout 15m --network user --ready login --ready 'mended login:' \
    --expect 'address 10\.' --expect 'key in place' --expect DataSourceNoCloud raw:mended.raw
