#!/usr/bin/env bash
# vm2oci's appliance whose program lies, talks nonsense, counts for ever, dies or hangs, as one would that a hostile file
# system took over: each ends with a reason, and nothing is changed but the guest that it was given.
#
# LYING_AGENT: the program. With `--all` the one that hangs, too, for which vm2oci waits two minutes.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool mke2fs sfdisk jq cmp qemu-system-x86_64

mkdir -p root/{etc,bin,sbin,usr,var/lib,home}
printf 'ID=debian\nVERSION_ID="12"\n' > root/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
printf '/dev/sda2 / ext4 defaults 0 1\n' > root/etc/fstab
# Quotas keep this process from writing it.
mke2fs -q -t ext4 -O quota -d root fs.raw 30M 2> /dev/null
truncate -s 50M disk.raw
printf 'label: gpt\nstart=1MiB,size=8MiB\nstart=9MiB,size=30MiB\nstart=39MiB,size=8MiB\n' | sfdisk -q disk.raw
for part in 1 39; do head -c 8388608 /dev/urandom | dd of=disk.raw bs=1M seek=$part conv=notrunc status=none; done
dd if=fs.raw of=disk.raw bs=1M seek=9 conv=notrunc status=none
sum=$(sha256sum < disk.raw)

install_without_kernel prefix
install_kernel prefix
# lie HOW [EXIT-CODE]: the disk that comes of it is out.raw.
lie() {
    step "$1"
    rm -f out.raw
    cp "${LYING_AGENT:?}" prefix/share/vm2oci/vm2oci-agent
    printf '\n%s\n' "$1" >> prefix/share/vm2oci/vm2oci-agent
    expect_exit "$2" timeout 500 prefix/bin/vm2oci inject -q --guest-backend appliance --hostname new raw:disk.raw raw:out.raw
    expect_equal "$sum" "$(sha256sum < disk.raw)" "the source"
    [[ $2 -eq 0 || ! -e out.raw ]] || fail "a failed edit left a disk"
    ! grep -q $'\x1b' stderr || fail "its words reach the terminal"
    sed 's/^/   /' stderr
}

lie 'done' 0
cmp disk.raw out.raw || fail "something was changed"
lie overwrites 0
cmp -n $((9 << 20)) disk.raw out.raw || fail "what lies before its volume was changed"
cmp -i $((39 << 20)) disk.raw out.raw || fail "what lies behind its volume was changed"
! cmp -s disk.raw out.raw || fail "it wrote nothing: this test is void"
for how in nonsense floods counts; do
    lie $how 1
    expect_match "no answer|more often" "$(cat stderr)" "what is said of it"
done
lie fails 3
expect_match nonsense "$(cat stderr)" "what it said"
lie panics 1
expect_match panic "$(cat stderr)" "what is said of it"
lie ends 1
expect_match 'ended' "$(cat stderr)" "what is said of it"
if [[ ${1:-} == --all ]]; then
    lie hangs 1
    expect_match 'said nothing' "$(cat stderr)" "what is said of it"
fi
