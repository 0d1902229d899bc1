#!/usr/bin/env bash
# The real disk: the same digest from the qcow2 and from its raw twin, with 1 and with 8 threads, in two runs.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq

disk=$(debian_disk)
qemu-img convert -O raw "$disk" debian.raw
digest() { "$VM2OCI" convert --json --compression zstd:1 "$@" null: | jq -r '.digest'; }
first=$(digest --threads 1 "$disk")
expect_match '^sha256:[0-9a-f]{64}$' "$first" 'a digest'
expect_equal "$first" "$(digest --threads 8 "$disk")" '8 threads'
expect_equal "$first" "$(digest --threads 8 raw:debian.raw)" 'the raw twin'
expect_equal "$first" "$(digest --threads 2 raw:debian.raw)" 'the raw twin, 2 threads'
