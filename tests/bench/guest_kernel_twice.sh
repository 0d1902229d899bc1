#!/usr/bin/env bash
# Builds the guest kernel twice, in other folders, at other times, under another umask and time zone, without a compiler
# cache, and compares every file. Some forty minutes of processor time.
#
#   tests/bench/guest_kernel_twice.sh [OPTIONS OF guest-kernel/build.sh]
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/kernel-twice.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/a" "$scratch/another-longer-folder"
export CCACHE_DISABLE=1
times > /dev/null
TMPDIR=$scratch/a "$here/guest-kernel/build.sh" "$@" --no-cache --output "$scratch/first"
times | tail -n 1
(
    umask 0077
    TZ=Pacific/Chatham LC_ALL=C.UTF-8 TMPDIR="$scratch/another-longer-folder" \
        "$here/guest-kernel/build.sh" "$@" --jobs 1 --no-cache --output "$scratch/second"
)
diff -r "$scratch/first" "$scratch/second"
(cd "$scratch/first" && find . -type f -exec sha256sum {} + | sort -k2)
echo "both builds gave the same bytes"
