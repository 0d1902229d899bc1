#!/bin/bash
# Behind a proxy that misbehaves: never a wrong or partial tag, never a credential to a stranger, little sent twice.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool skopeo
start_registry

small_disk disk.raw 40
"$VM2OCI" convert --quiet raw:disk.raw oci:layout:v1 > /dev/null
digest=$("$VM2OCI" push --quiet --json oci:layout:v1 "docker://$registry/good/disk:v1" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])')
layer_size=$(find layout/blobs -type f -printf '%s\n' | sort -n | tail -1)

# A push by way of the proxy succeeds and is right.
push_succeeds() {
    start_proxy "$registry" "$1"
    "$VM2OCI" push --quiet oci:layout:v1 "docker://$proxy/$1/disk:v1" > /dev/null
    stop_proxy
    expect_equal "$digest" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/$1/disk:v1")" \
        "the digest after a push with the fault $1"
}
# A pull by way of the proxy succeeds and is right.
pull_succeeds() {
    start_proxy "$registry" "$1"
    "$VM2OCI" pull --quiet "docker://$proxy/good/disk:v1" "oci:pulled-$1:v1" > /dev/null
    stop_proxy
    expect_same_tree layout/blobs "pulled-$1/blobs"
}
# push_fails FAULT CODE MESSAGE: it fails, says why, and leaves no tag.
push_fails() {
    start_proxy "$registry" "$1"
    expect_exit "$2" "$VM2OCI" push oci:layout:v1 "docker://$proxy/$1/disk:v1"
    stop_proxy
    expect_match "$3" "$(< stderr)" "the message with the fault $1"
    no_tag "$registry" "$1/disk" v1
}
pull_fails() {
    start_proxy "$registry" "$1"
    expect_exit "$2" "$VM2OCI" pull "docker://$proxy/good/disk:v1" "oci:failed-$1:v1"
    stop_proxy
    expect_match "$3" "$(< stderr)" "the message with the fault $1"
    [[ ! -e failed-$1/index.json ]] || fail "a failed pull with the fault $1 left an image"
}

step "twenty cuts, each after 64 KiB"
push_succeeds cut
expect_equal 20 "$(seen cuts)" "cuts of a push"
pull_succeeds cut
expect_equal 20 "$(seen cuts)" "cuts of a pull"
expect_at_most $((layer_size + 100000)) "$(seen download_bytes)" "bytes downloaded with twenty cuts"

step "the same to a registry that can resume: only what a cut lost is sent twice"
start_python resuming resuming_registry.py "$scratch/resuming"
resuming=$address
start_proxy "$resuming" cut
"$VM2OCI" push --quiet oci:layout:v1 "docker://$proxy/cut/disk:v1" > /dev/null
stop_proxy
expect_equal 20 "$(seen cuts)" "cuts before the registry that resumes"
# What was on its way when the connection was cut may be lost: at most one piece for each cut.
allowed=$((layer_size + 20 * 65536 + 100000))
expect_at_most $allowed "$(seen upload_bytes)" "bytes uploaded with twenty cuts"
"$VM2OCI" pull --quiet "docker://$resuming/cut/disk:v1" oci:resumed:v1 > /dev/null
expect_same_tree layout/blobs resumed/blobs

step "a stream is resumed as well, without a blob on disk"
start_proxy "$resuming" cut
mkdir tmp
"$VM2OCI" convert --quiet --tmpdir tmp raw:disk.raw "docker://$proxy/stream/disk:v1" > /dev/null
stop_proxy
expect_equal 20 "$(seen cuts)" "cuts of a stream"
expect_at_most $allowed "$(seen upload_bytes)" "bytes of a stream with twenty cuts"
"$VM2OCI" pull --quiet "docker://$resuming/stream/disk:v1" oci:streamed:v1 > /dev/null
expect_same_tree layout/blobs streamed/blobs
start_proxy "$registry" cut
"$VM2OCI" convert --quiet raw:disk.raw "docker://$proxy/stream/disk:v1" > /dev/null
stop_proxy

step "tokens that end in the middle"
push_succeeds unauthorized
pull_succeeds unauthorized
(($(seen refusals) > 1)) || fail "the token never ended"

step "416, 429, 500 and 502 pass"
push_succeeds range
expect_at_most 10 "$(seen refusals)" "answers of 416"
push_succeeds busy
pull_succeeds busy

step "a registry that ignores ranges still serves"
pull_succeeds no-ranges
start_proxy "$registry" no-ranges
"$VM2OCI" convert --quiet "docker://$proxy/good/disk:v1" raw:no-ranges.raw > /dev/null
stop_proxy
cmp disk.raw no-ranges.raw || fail "the disk from a registry without ranges differs"

step "a wrong digest, damage, truncation and HTML are refused"
push_fails wrong-digest 1 "says that it stored 'sha256:0000"
pull_fails corrupt 3 "in the place of"
pull_fails truncated 1 "127.0.0.1"
pull_fails html 1 "Please log in to the guest network"

step "an error of 4 GiB costs nothing, and its beginning is told"
push_fails huge-error 1 "quota exceeded for this project"
expect_at_most 33554432 "$(seen error_bytes)" "bytes of the error document that were taken"

step "a stranger is followed and told nothing"
printf '{"auths":{"%s":{"auth":"%s"}}}' PROXY "$(printf 'user:pass' | base64)" > template.json
start_proxy "$registry" elsewhere
sed "s/PROXY/$proxy/" template.json > login.json
"$VM2OCI" pull --quiet --authfile login.json "docker://$proxy/good/disk:v1" oci:elsewhere:v1 > /dev/null
stop_proxy
expect_same_tree layout/blobs elsewhere/blobs
(($(seen stranger_requests) > 0)) || fail "the redirect was not followed"
expect_equal 0 "$(seen stranger_credentials)" "credentials that a stranger saw"
