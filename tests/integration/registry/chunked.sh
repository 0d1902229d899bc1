#!/bin/bash
# zstd:chunked layers, and versions that share most of their content.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool skopeo podman umoci zstd python3

field() { python3 -c 'import json, sys; value = json.load(sys.stdin)
for key in sys.argv[1].split("."): value = value[key]
print(value)' "$1"; }
check_chunked() { python3 "$VM2OCI_SOURCE_DIR/tests/support/check_chunked.py" "$@"; }

start_registry
small_disk one.raw 40
cp one.raw two.raw
printf 'a line of a log' | dd of=two.raw bs=1 seek=$((9 << 20)) conv=notrunc status=none

step "a reader of our own finds everything where the tables say"
"$VM2OCI" convert --quiet --chunked raw:one.raw oci:layout:v1 > /dev/null
check_chunked layout v1
"$VM2OCI" convert --quiet --chunked --disk-format raw raw:one.raw oci:layout:raw > /dev/null
check_chunked layout raw
"$VM2OCI" verify --quiet oci:layout:v1 > /dev/null

step "other people's readers take it"
layer=$(python3 - << 'PYTHON'
import json
index = json.load(open("layout/index.json"))
digest = [m for m in index["manifests"] if m["annotations"]["org.opencontainers.image.ref.name"] == "v1"][0]["digest"]
print(json.load(open("layout/blobs/sha256/" + digest[7:]))["layers"][0]["digest"][7:])
PYTHON
)
zstd --test --quiet "layout/blobs/sha256/$layer"
"$VM2OCI" push --quiet oci:layout:v1 "docker://$registry/team/disk:v1" > /dev/null
skopeo copy --quiet --src-tls-verify=false "docker://$registry/team/disk:v1" oci:skopeo:v1
expect_same_tree layout/blobs/sha256/"$layer" skopeo/blobs/sha256/"$layer"
umoci unpack --rootless --image skopeo:v1 unpacked > /dev/null 2>&1 || true
podman --root "$scratch/podman" --runroot "$scratch/pod" --storage-driver vfs pull --quiet --tls-verify=false \
    "$registry/team/disk:v1" > /dev/null
podman --root "$scratch/podman" --runroot "$scratch/pod" --storage-driver vfs rmi --all > /dev/null
"$VM2OCI" convert --quiet "docker://$registry/team/disk:v1" raw:back.raw > /dev/null
cmp one.raw back.raw || fail "the disk from a chunked layer differs"

step "frames of an earlier version are taken, and the result is the same"
for form in --chunked ''; do
    # shellcheck disable=SC2086 # no word when empty
    "$VM2OCI" convert --quiet $form raw:two.raw oci:fresh:v2 > /dev/null
    # By decoding: without notes.
    rm -r "$XDG_CACHE_HOME/vm2oci/frames"
    # shellcheck disable=SC2086
    "$VM2OCI" convert --quiet --json $form --reuse oci:layout:v1 raw:two.raw oci:reused:v2 > report.json
    expect_same_tree fresh reused
    [[ -n $(find "$XDG_CACHE_HOME/vm2oci/frames" -type f) ]] || fail "no notes were left for the next version"
    # By these notes.
    # shellcheck disable=SC2086
    "$VM2OCI" convert --quiet $form --reuse oci:reused:v2 raw:one.raw oci:third:v3 > /dev/null
    # shellcheck disable=SC2086
    "$VM2OCI" convert --quiet $form raw:one.raw oci:third-fresh:v3 > /dev/null
    expect_same_tree third-fresh third
    rm -rf third third-fresh
    frames=$(field layer.frames < report.json)
    reused=$(field layer.reused_frames < report.json)
    ((reused > frames / 2 && reused < frames)) || fail "$reused of $frames frames were taken"
    rm -rf fresh reused
done
damaged=$scratch/damaged
cp -r layout "$damaged"
printf 'damage' | dd of="$damaged/blobs/sha256/$layer" bs=1 seek=1000000 conv=notrunc status=none
"$VM2OCI" convert --quiet raw:one.raw oci:fresh:v1 > /dev/null
"$VM2OCI" convert --quiet --reuse "oci:$damaged:v1" raw:one.raw oci:healed:v1 > /dev/null
expect_same_tree fresh healed

step "a new version is pulled by its changes"
for form in --chunked ''; do
    name=new${form#--}
    # shellcheck disable=SC2086
    "$VM2OCI" convert --quiet $form raw:one.raw "oci:$name:v1" > /dev/null
    # shellcheck disable=SC2086
    "$VM2OCI" convert --quiet $form raw:two.raw "docker://$registry/team/$name:v2" > /dev/null
    "$VM2OCI" pull --quiet "docker://$registry/team/$name:v2" "oci:$name-whole:v2" > /dev/null
    start_proxy "$registry" none
    "$VM2OCI" pull --quiet --json --reuse "oci:$name:v1" "docker://$proxy/team/$name:v2" "oci:$name-part:v2" > report.json
    stop_proxy
    expect_same_tree "$name-whole" "$name-part"
    whole=$(field copied_bytes < report.json)
    reused=$(field reused_bytes < report.json)
    expect_at_most $((whole / 3)) "$(seen download_bytes)" "bytes fetched of $whole"
    ((reused > whole / 2)) || fail "$reused of $whole bytes were taken from the earlier version"
done

step "where parts are not to be had, or deceive, all is fetched"
start_proxy "$registry" no-ranges
"$VM2OCI" pull --quiet --reuse oci:new:v1 "docker://$proxy/team/new:v2" oci:no-ranges:v2 > /dev/null
stop_proxy
expect_same_tree new-whole no-ranges
biggest=$(find new/blobs -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2)
printf 'damage' | dd of="$biggest" bs=1 seek=1000000 conv=notrunc status=none
"$VM2OCI" pull --quiet --reuse oci:new:v1 "docker://$registry/team/new:v2" oci:deceived:v2 > /dev/null
expect_same_tree new-whole deceived

step "mistakes are told"
expect_exit 2 "$VM2OCI" convert --chunked --compression gzip raw:one.raw oci:none:v1
expect_exit 2 "$VM2OCI" convert --chunked raw:one.raw raw:none.raw
expect_exit 1 "$VM2OCI" convert --reuse oci:absent:v1 raw:one.raw oci:none:v1
[[ ! -e none ]] || fail "a failed convert left a layout"
