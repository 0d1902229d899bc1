#!/usr/bin/env bash
# The same digest on every processor: libraries choose their code by what the processor can do, and what they write must
# not show it. Levels of gzip that ISA-L writes are promised from SSE 4.2 on only, and must stay correct without it.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq
[[ $(uname -m) == x86_64 ]] || { step 'not an x86_64 machine: nothing to compare'; exit 0; }
require_tool qemu-x86_64

small_disk disk.raw
digests() { jq -r '.digest + " " + .layer.digest + " " + .layer.diff_id' "$1"; }
on() { qemu-x86_64 -cpu "$1" "$VM2OCI" convert --json --threads 1 --compression "$2" raw:disk.raw null: 2> stderr > other.json \
    || fail "$2 on $1: $(cat stderr)"; }

for compression in zstd:1 zstd gzip gzip:1 none; do
    step "$compression"
    "$VM2OCI" convert --json --compression "$compression" raw:disk.raw null: > here.json
    for processor in Nehalem Haswell; do
        on "$processor" "$compression"
        expect_equal "$(digests here.json)" "$(digests other.json)" "$compression on $processor"
    done
    on qemu64 "$compression"
    if [[ $compression == gzip:1 ]]; then
        expect_equal "$(jq -r .layer.diff_id here.json)" "$(jq -r .layer.diff_id other.json)" 'the content without SSE 4.2'
    else
        expect_equal "$(digests here.json)" "$(digests other.json)" "$compression without SSE 4.2"
    fi
done
