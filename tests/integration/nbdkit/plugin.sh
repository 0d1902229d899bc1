#!/bin/bash
# The nbdkit plugin serves what vm2oci reads to other people's tools. $VM2OCI_NBDKIT_PLUGIN is its file.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool nbdkit nbdinfo qemu-img
plugin=${VM2OCI_NBDKIT_PLUGIN:?set by CTest: the plugin}
start_registry
small_disk disk.raw 40
"$VM2OCI" convert --quiet --chunked raw:disk.raw oci:layout:v1 > /dev/null
"$VM2OCI" convert --quiet raw:disk.raw qcow2:disk.qcow2 > /dev/null
"$VM2OCI" push --quiet oci:layout:v1 "docker://$registry/team/disk:v1" > /dev/null

# serve REFERENCE COMMAND: the command finds the export at $uri.
serve() { nbdkit --unix - "$plugin" "$1" --run "$2"; }

for reference in disk.raw qcow2:disk.qcow2 oci:layout:v1 "docker://$registry/team/disk:v1"; do
    step "$reference"
    # shellcheck disable=SC2016 # nbdkit sets it
    serve "$reference" 'qemu-img compare -f raw -F raw disk.raw "$uri"' > compare.log || fail "$(< compare.log)"
    # shellcheck disable=SC2016
    expect_equal $((40 << 20)) "$(serve "$reference" 'nbdinfo --size "$uri"')" "the size of $reference"
done

step "holes are holes, and nothing can be written"
# shellcheck disable=SC2016
serve oci:layout:v1 'nbdinfo --map "$uri"' > map
grep -q 'hole,zero' map || fail "no hole: $(< map)"
# shellcheck disable=SC2016
expect_equal true "$(serve oci:layout:v1 'nbdinfo --json "$uri"' |
    python3 -c 'import json, sys; print(str(json.load(sys.stdin)["exports"][0]["is_read_only"]).lower())')" "read-only"

step "an image that is not what its digests say is served unverified, and says so, or not at all"
"$VM2OCI" convert --quiet --compression none raw:disk.raw oci:plain:v1 > /dev/null
layer=$(find plain/blobs -type f -size +100k)
chmod u+w "$layer"
printf 'X' | dd of="$layer" bs=1 seek=$((10 << 20)) conv=notrunc status=none
expect_exit 0 nbdkit --unix - "$plugin" oci:plain:v1 --run true
expect_match 'not verified' "$(< stderr)" "what is said of an image that is read in parts"
expect_exit 1 nbdkit --unix - "$plugin" oci:plain:v1 verify=true --run true
expect_match 'digest|diff_id' "$(< stderr)" "the message about a damaged image"
expect_exit 0 nbdkit --unix - "$plugin" oci:layout:v1 verify=true --run true

step "mistakes are told"
expect_exit 1 nbdkit --unix - "$plugin" oci:absent:v1 --run true
expect_match 'absent' "$(< stderr)" "the message about a layout that is not there"
expect_exit 1 nbdkit --unix - "$plugin" --run true
expect_exit 1 nbdkit --unix - "$plugin" disk.raw nonsense=1 --run true
nbdkit "$plugin" --help > help
grep -q 'reference=' help || fail "the help names no parameter"
