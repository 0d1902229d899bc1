#!/usr/bin/env bash
# Builds the guest kernel a second time and compares every file with the one in the cache: without a compiler cache, in
# another folder, under another umask, time zone and locale, today. Some twenty minutes of processor time; if the cache
# has no kernel yet, that one is built first.
#
#   tests/bench/guest_kernel_twice.sh [OPTIONS OF guest-kernel/build.sh]
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/kernel-twice.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
first=$("$here/guest-kernel/build.sh" "$@")
mkdir "$scratch/a-longer-folder"
(
    umask 0077
    CCACHE_DISABLE=1 TZ=Pacific/Chatham LC_ALL=C.UTF-8 TMPDIR="$scratch/a-longer-folder" \
        "$here/guest-kernel/build.sh" "$@" --no-cache --output "$scratch/second"
)
diff -r "$first" "$scratch/second"
(cd "$first" && find . -type f -exec sha256sum {} + | sort -k2)
echo "both builds gave the same bytes"
