#!/usr/bin/env bash
# A real Debian machine with open-vm-tools, netplan and ifupdown, broken as a migrated VMware guest is: it does not come
# up on virtio, and after one convert it does, to a login on the serial console with an address by DHCP, cloud-init done
# from NoCloud, the keys in place and the agent answering. Half an hour of emulation, so it has no CTest entry:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/edit/vmware_debian.sh
#
# vmware_boot.sh is its shortest part.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=vmware_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/vmware_guest.sh"
require_tool e2fsck jq qemu-ga qemu-system-x86_64

disk=$(debian_disk --packages open-vm-tools,netplan.io,ifupdown,isc-dhcp-client)
break_guest "$disk" broken.raw
expect_diagnosis raw:broken.raw

step "before: it does not come up on virtio"
expect_no_boot raw:broken.raw

step "mend it, into an image and into a disk"
mend_guest raw:broken.raw oci:images:mended
mend_guest raw:broken.raw raw:mended.raw
dd if=mended.raw of=root.img bs=1M skip=128 conv=sparse status=none
e2fsck -fn root.img > fsck.log 2>&1 || fail "$(cat fsck.log)"
rm root.img mended.raw

step "after, by BIOS and by UEFI"
boot_mended oci:images:mended
boot_mended oci:images:mended --firmware uefi
