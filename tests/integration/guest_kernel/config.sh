#!/usr/bin/env bash
# The fragments and patches of the guest kernel against its source: every symbol comes out of the kernel's own configuration
# as it was asked for, every patch fits, and one that did not would be noticed. kernel/guest builds the kernel itself.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool make gcc flex bison bc patch python3
here=$VM2OCI_SOURCE_DIR/guest-kernel
arch=$(uname -m)
arch=${arch/aarch64/arm64}

step 'the configuration takes every symbol, the source every patch, and one that does not fit is told'
mkdir scratch
cp -r "$here" with-stale-patch
cat > with-stale-patch/patches/stale.patch << 'PATCH'
Changes what no source has.

--- a/Kbuild
+++ b/Kbuild
@@ -1,2 +1 @@
-what no source has
-nor this
+what no source has either
PATCH
TMPDIR=$PWD/scratch with-stale-patch/build.sh --config-only > config 2> log || fail "$(cat log)"
expect_equal 'stale.patch' "$(sed -n 's/.*: \(.*\) does not fit this source.*/\1/p' log)" 'the patches that are left out'
config=config
expect_equal CONFIG_VIRTIO_BLK=y "$(grep '^CONFIG_VIRTIO_BLK=' "$config")" 'a symbol'
expect_equal '' "$(ls scratch)" 'what is left behind'

if [[ $arch == x86_64 ]]; then
    step 'and so does that of the other architecture'
    require_tool aarch64-linux-gnu-gcc
    TMPDIR=$PWD/scratch "$here/build.sh" --arch arm64 --config-only > config-arm64 2> log || fail "$(cat log)"
    expect_equal CONFIG_RTC_DRV_PL031=y "$(grep '^CONFIG_RTC_DRV_PL031=' config-arm64)" 'a symbol'
fi

step 'a symbol that is lost, and one that came by itself'
grep -v '^CONFIG_VIRTIO_BLK=' "$config" > lost
expect_exit 1 "$here/fragments.py" check "$arch" lost
expect_match 'CONFIG_VIRTIO_BLK of common/virtio.config should be y and is off' "$(cat stderr)" 'what is wrong'
{
    grep -v CONFIG_DEVMEM "$config"
    echo CONFIG_DEVMEM=y
} > with-more
expect_exit 1 "$here/fragments.py" check "$arch" with-more
expect_match 'CONFIG_DEVMEM of common/hardening.config should be off and is y' "$(cat stderr)" 'what is wrong'

step 'another source than the one that was promised'
expect_exit 3 "$here/build.sh" --config-only --sha256 0000
expect_match 'has the SHA-256 [0-9a-f]{64}, not 0000' "$(cat stderr)" 'what is wrong'
