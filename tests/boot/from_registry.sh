#!/usr/bin/env bash
# A guest boots from a registry, and what it does not read is not fetched.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool jq qemu-system-x86_64 grub-mkimage python3 docker-registry
make_small_initramfs
small_guest login
# Behind the partition, what no boot reads: noise, so that the layer is as large as it.
python3 -c 'import random, sys; sys.stdout.buffer.write(random.Random(3).randbytes(48 << 20))' >> small.raw
start_registry
"$VM2OCI" convert --quiet --chunked --json raw:small.raw "docker://$registry/guests/small:v1" > convert.json
size=$(jq .layer.size convert.json)

step 'to the login prompt'
start_proxy "$registry" none
nice "$VM2OCI" boot "docker://$proxy/guests/small:v1" --accel tcg --timeout 10m --ready login --json > boot.json
stop_proxy
jq --exit-status .passed boot.json > passed.log
fetched=$(seen download_bytes)
printf '   %d of %d bytes were fetched\n' "$fetched" "$size"
expect_at_most $((size / 2)) "$fetched" 'bytes fetched by a boot'

step 'what a registry changes on the way does not boot'
start_proxy "$registry" corrupt
expect_exit 3 "$VM2OCI" boot "docker://$proxy/guests/small:v1" --accel tcg --timeout 10m --ready login
stop_proxy
