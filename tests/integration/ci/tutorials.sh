#!/usr/bin/env bash
# The tutorials of the four journeys: every command block as it stands on the page, against a registry and a small machine.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/ci/tutorial_disk.sh"
require_tool python3 skopeo jq qemu-img debugfs qemu-system-x86_64

step "a machine that boots in seconds and looks like a Debian from inside"
make_tutorial_disk

mkdir bin
ln -s "$VM2OCI" bin/vm2oci
ln -s "$VM2OCI_SOURCE_DIR/tools/ci/vm2oci-ci" bin/vm2oci-ci
export PATH=$scratch/bin:$PATH PUSH=$VM2OCI_SOURCE_DIR/tools/push USER=${USER:-tester} VM2OCI_DELAY=0
unset VM2OCI
start_registry
export REGISTRY=$registry
for page in "$VM2OCI_SOURCE_DIR"/tools/tutorials/*-*.md; do
    step "${page##*/}"
    mkdir "work-${page##*/}"
    (cd "work-${page##*/}" && cp --sparse=always ../small.qcow2 web01.qcow2 && cp --sparse=always ../small.qcow2 legacy-erp.qcow2 &&
        python3 "$VM2OCI_SOURCE_DIR/tests/integration/ci/tutorial.py" "$page") || fail "${page##*/}"
done
