#!/usr/bin/env bash
# The real Debian disk, broken as a migrated VMware guest is and mended by one convert, comes up:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/edit/vmware_boot.sh
#
# The boot before, and one with the real tools of VMware, are in vmware_debian.sh.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=vmware_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/vmware_guest.sh"
require_tool jq qemu-ga qemu-system-x86_64

break_guest "$(debian_disk)" broken.raw
expect_diagnosis raw:broken.raw
mend_guest raw:broken.raw raw:mended.raw
boot_mended raw:mended.raw
