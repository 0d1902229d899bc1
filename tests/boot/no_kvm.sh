#!/usr/bin/env bash
# Machines and containers without a usable KVM: absent, not permitted, something that is no KVM, and what this machine
# has. Each gets a clear line, a result by emulation, and no silent fallback where KVM was asked for.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq unshare setpriv qemu-system-x86_64
truncate --size 16M blank.raw
chmod 0755 "$scratch"
install -m 0755 "$VM2OCI" vm2oci # where any user reaches it
program=$scratch/vm2oci

# in_world SETUP COMMAND…: with a /dev/kvm as SETUP leaves it, in a mount namespace of its own.
in_world() {
    local setup=$1
    shift
    unshare --mount --propagation private bash -c "$setup"' && exec "$@"' world "$@"
}
absent='mkdir -p dev && mount -t tmpfs none dev && cp -a /dev/{null,zero,urandom,random} dev && mount --move dev /dev'
no_kvm='mount --bind /dev/null /dev/kvm'
unreadable='touch kvm && chmod 000 kvm && mount --bind kvm /dev/kvm'

probe() { expect_exit 0 in_world "$@" "$program" boot --probe --json; }

[[ -e /dev/kvm ]] || { touch /dev/kvm && trap 'rm -f /dev/kvm; _clean_up' EXIT; }

step 'absent'
probe "$absent"
expect_equal absent "$(jq -r .verdict stdout)" 'verdict'
expect_exit 4 in_world "$absent" "$program" boot raw:blank.raw
expect_match 'emulating the processor.*does not exist' "$(cat stderr)" 'the visible line'
expect_match 'no BIOS boot loader' "$(cat stdout)" 'the result'
expect_exit 1 in_world "$absent" "$program" boot raw:blank.raw --accel kvm
expect_match 'KVM is not usable: /dev/kvm does not exist' "$(cat stderr)" 'no fallback'

step 'something that is no KVM'
probe "$no_kvm"
expect_equal broken "$(jq -r .verdict stdout)" 'verdict'
expect_match 'KVM_GET_API_VERSION' "$(jq -r .reason stdout)" 'reason'
expect_exit 4 in_world "$no_kvm" "$program" boot raw:blank.raw

step 'not permitted'
expect_exit 0 in_world "$unreadable" setpriv --reuid 65534 --regid 65534 --clear-groups "$program" boot --probe --json
expect_equal not_allowed "$(jq -r .verdict stdout)" 'verdict'
expect_exit 4 in_world "$unreadable" env TMPDIR=/tmp setpriv --reuid 65534 --regid 65534 --clear-groups "$program" \
    boot "raw:$scratch/blank.raw"
expect_match 'may not be opened by this user' "$(cat stderr)" 'the visible line'

step 'this machine, many times: the same verdict each time, and quickly'
expect_exit 0 "$program" boot --probe --json
verdict=$(jq -r .verdict stdout)
for _ in {1..30}; do
    expect_exit 0 "$program" boot --probe --json
    expect_equal "$verdict" "$(jq -r .verdict stdout)" 'verdict'
    (($(jq .elapsed_us stdout) < 12500000)) || fail "the probe took $(jq .elapsed_us stdout) us"
done
