#!/usr/bin/env bash
# Makes the pictures of README.md anew: a terminal with a machine that is inspected, converted, booted and checked
# (terminal.svg), and the report of its boot (report.png).
#
#   tools/pictures/make.sh DISK     a disk that comes up (tools/make-debian-disk.sh prints one); $VM2OCI: the program
#
# Needs QEMU, python3 and chromium.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
disk=$(realpath "${1:?a disk}")
program=$(realpath "$(command -v "${VM2OCI:-vm2oci}")")
scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
mkdir bin
ln -s "$program" bin/vm2oci
export PATH=$scratch/bin:$PATH COLUMNS=100 LC_ALL=C.UTF-8
ln -s "$disk" "web01.${disk##*.}"
name=web01.${disk##*.}
[[ ${disk##*.} == qcow2 ]] || name=raw:$name
"$here/record.py" "$here/terminal.svg" \
    "vm2oci inspect $name | head -n 14" \
    "vm2oci convert --quiet --fix --sparsify $name oci:images:web01" \
    "vm2oci boot --progress none --report report oci:images:web01" \
    "vm2oci check --for kubevirt,cdi oci:images:web01"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,760 \
    --screenshot="$here/report.png" "file://$scratch/report/report.html" 2> chromium.log || {
    cat chromium.log >&2
    exit 1
}
ls -l "$here"/*.svg "$here"/*.png
