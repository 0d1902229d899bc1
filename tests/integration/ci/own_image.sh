#!/usr/bin/env bash
# vm2oci's own image, made by tools/image.sh of what was built: small, the same twice, and at work under an OCI runtime with
# a read-only root, another user and no capability.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
: "${VM2OCI_BUILD_DIR:?set by CTest: the folder that vm2oci was built in}"
require_tool umoci skopeo runc jq apt-get
export XDG_CACHE_HOME=$user_cache # packages are kept for the next time

step "made, and judged by others"
digest=$("$VM2OCI_SOURCE_DIR/tools/image.sh" --build "$VM2OCI_BUILD_DIR" image:test)
expect_equal "$digest" "sha256:$(skopeo inspect --raw oci:image:test | sha256sum | cut -d ' ' -f 1)" "the digest that it prints"
"$VM2OCI" verify oci:image:test > verified
size=$(skopeo inspect --raw oci:image:test | jq '[.layers[].size] | add')
expect_at_most $((40 * 1024 * 1024)) "$size" "the size of the image"
skopeo inspect --config oci:image:test > config
expect_equal 65532:65532 "$(jq --raw-output .config.User config)" "the user"
expect_equal '["vm2oci"]' "$(jq --compact-output .config.Entrypoint config)" "the entrypoint"

step "a destination in another tool's words makes no layout of that name"
for wrong in oci:elsewhere/images:test image:-test 'image:two words'; do
    expect_exit 2 "$VM2OCI_SOURCE_DIR/tools/image.sh" --build "$VM2OCI_BUILD_DIR" "$wrong"
done
[[ ! -e oci ]] || fail "a layout named oci was made"

step "with a list of what is inside"
list=$(skopeo inspect --raw "oci:image:sha256-${digest#sha256:}" | jq --raw-output '.manifests[0].digest')
subject=$(jq --raw-output .subject.digest "image/blobs/sha256/${list#sha256:}")
expect_equal "$digest" "$subject" "what the list is about"
sbom=image/blobs/sha256/$(jq --raw-output '.layers[0].digest' "image/blobs/sha256/${list#sha256:}" | cut -d : -f 2)
for package in libc6 libcurl4 busybox-static vm2oci; do
    jq --exit-status --arg name "$package" '.packages[] | select(.name == $name) | .versionInfo' "$sbom" > found || fail "$package is not listed"
done
python3 "$VM2OCI_SOURCE_DIR/tests/support/validate_spdx.py" "$sbom" || fail "the list is no SPDX"

step "the same, a second time"
expect_equal "$digest" "$(umask 077 && TZ=Asia/Tokyo "$VM2OCI_SOURCE_DIR/tools/image.sh" --build "$VM2OCI_BUILD_DIR" again:test)" "the digest"

step "it runs read-only, without capabilities, as nobody in particular"
rootless=()
[[ $(id -u) -eq 0 ]] || rootless=(--rootless)
umoci unpack "${rootless[@]}" --image image:test bundle
mkdir work
small_disk work/disk.raw 8
chmod 0777 work
# run_inside ARGUMENT…: the image's command, in a container.
run_inside() {
    local arguments
    arguments=$(printf '%s\n' "$@" | jq --raw-input . | jq --slurp --compact-output .)
    jq --argjson args "$arguments" --arg work "$scratch/work" '
        .process.args = $args | .process.terminal = false | .root.readonly = true
        | .process.capabilities = {} | .process.noNewPrivileges = true
        | .process.user = {uid: 65532, gid: 65532}
        | .mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"]},
                      {destination: "/work", type: "bind", source: $work, options: ["rbind", "rw"]}]
        | del(.linux.resources)' bundle/config.json > config.new
    cp config.new bundle/config.json
    runc --root "$scratch/state" run --bundle bundle "vm2oci-test-$$"
}
cp bundle/config.json pristine.json
run_inside vm2oci --version > version
expect_equal "$("$VM2OCI" --version)" "$(< version)" "the program inside"
cp pristine.json bundle/config.json
run_inside vm2oci convert --quiet raw:/work/disk.raw oci:/work/images:v1
expected=$("$VM2OCI" --json convert raw:work/disk.raw oci:outside:v1 | jq --raw-output .digest)
expect_equal "$expected" "sha256:$(skopeo inspect --raw oci:work/images:v1 | sha256sum | cut -d ' ' -f 1)" "the digest of what it made"
cp pristine.json bundle/config.json
run_inside sh -c 'id -u; grep CapEff /proc/self/status; touch /usr/x 2>&1; [ ! -e /usr/x ] && cat /etc/ssl/certs/ca-certificates.crt | grep -c BEGIN' > said
expect_match '^65532' "$(< said)" "the user inside"
expect_match 'CapEff:[[:space:]]+0000000000000000' "$(< said)" "the capabilities inside"
expect_match 'Read-only' "$(< said)" "the root inside"
expect_match '[1-9][0-9]+$' "$(< said)" "authorities"

step "CI's script is inside, and its results are the same"
cp pristine.json bundle/config.json
run_inside sh -c 'cd /work && VM2OCI_SOURCE=raw:disk.raw VM2OCI_DESTINATION=oci:by-ci:v1 VM2OCI_BOOT_TEST=no vm2oci-ci' 2> log || fail "$(cat log)"
expect_equal "$expected" "$(< work/vm2oci-results/digest)" "the digest"
