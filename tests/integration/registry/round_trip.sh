#!/bin/bash
# Images go into Debian's docker-registry and come back, by our commands and by skopeo's and podman's.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool skopeo podman qemu-img
start_registry

step "an image is pushed, and the digest is what the layout says"
small_disk disk.raw 40
"$VM2OCI" convert --quiet raw:disk.raw oci:layout:v1 > /dev/null
digest=$("$VM2OCI" push --quiet --json --digest-file digest oci:layout:v1 "docker://$registry/team/disk:v1" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])')
expect_equal "$digest" "$(< digest)" "the digest file"
expect_equal "$digest" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/team/disk:v1")" \
    "the digest that skopeo sees"

step "it comes back byte for byte"
"$VM2OCI" pull --quiet "docker://$registry/team/disk:v1" oci:back:v1 > /dev/null
expect_same_tree layout/blobs back/blobs
"$VM2OCI" pull --quiet "docker://$registry/team/disk@$digest" oci:by-digest:v1 > /dev/null
expect_same_tree layout/blobs by-digest/blobs

step "skopeo takes it out and puts it in"
skopeo copy --quiet --src-tls-verify=false "docker://$registry/team/disk:v1" oci:skopeo:v1
expect_same_tree layout/blobs skopeo/blobs
skopeo copy --quiet --dest-tls-verify=false oci:layout:v1 "docker://$registry/other/disk:v1"
"$VM2OCI" pull --quiet "docker://$registry/other/disk:v1" oci:from-skopeo:v1 > /dev/null
expect_same_tree layout/blobs from-skopeo/blobs

step "Docker's schema 2 is read as well"
"$VM2OCI" convert --quiet --compression gzip raw:disk.raw oci:gzip:v1 > /dev/null
skopeo copy --quiet --format v2s2 --dest-tls-verify=false oci:gzip:v1 "docker://$registry/docker/disk:v1"
"$VM2OCI" pull --quiet "docker://$registry/docker/disk:v1" oci:docker:v1 > /dev/null
"$VM2OCI" convert --quiet "docker://$registry/docker/disk:v1" raw:docker.raw > /dev/null
cmp disk.raw docker.raw || fail "the disk in Docker's schema 2 differs"

step "podman pulls it"
podman --root "$scratch/podman" --runroot "$scratch/pod" --storage-driver vfs pull --quiet --tls-verify=false \
    "$registry/team/disk:v1" > /dev/null
podman --root "$scratch/podman" --runroot "$scratch/pod" --storage-driver vfs rmi --all > /dev/null

step "a disk is streamed into the registry, and out of it"
"$VM2OCI" convert --quiet raw:disk.raw "docker://$registry/team/stream:v1" > /dev/null
expect_equal "$digest" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/team/stream:v1")" \
    "the digest of the streamed image"
"$VM2OCI" convert --quiet "docker://$registry/team/stream:v1" raw:back.raw > /dev/null
cmp disk.raw back.raw || fail "the disk that came back differs"

step "what is there is not sent again, and can be mounted from elsewhere"
expect_equal 0 "$("$VM2OCI" push --quiet --json oci:layout:v1 "docker://$registry/team/disk:again" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["copied_bytes"])')" "bytes of a second push"
"$VM2OCI" push --quiet --mount-from team/disk oci:layout:v1 "docker://$registry/mounted/disk:v1" > /dev/null
expect_equal "$digest" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/mounted/disk:v1")" \
    "the digest of the mounted image"
# Within one registry that happens by itself.
expect_match 'was mounted from team/disk' "$("$VM2OCI" push --progress plain "docker://$registry/team/disk:v1" \
    "docker://$registry/copied-within/disk:v1" 2>&1)" 'what a copy within the registry says'
expect_equal "$digest" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/copied-within/disk:v1")" \
    "the digest of the copy"

step "all tags go at once"
"$VM2OCI" push --quiet oci:layout:v1 "docker://$registry/many/disk:a" > /dev/null
"$VM2OCI" push --quiet oci:layout:v1 "docker://$registry/many/disk:b" > /dev/null
"$VM2OCI" pull --quiet --all-tags "docker://$registry/many/disk" oci:many > /dev/null
expect_equal "a b" "$(python3 -c 'import json; print(*sorted(m["annotations"]["org.opencontainers.image.ref.name"] for m in json.load(open("many/index.json"))["manifests"]))')" \
    "the tags that were pulled"
start_proxy "$registry" login
"$VM2OCI" pull --quiet --all-tags "docker://$proxy/many/disk" oci:many-tokens > /dev/null
stop_proxy
expect_equal 1 "$(seen tokens)" "tokens for all tags"
expect_same_tree many/blobs many-tokens/blobs
"$VM2OCI" pull --quiet "docker://$registry/many/disk:a" oci-archive:many.tar:a > /dev/null
"$VM2OCI" pull --quiet "docker://$registry/many/disk:b" oci-archive:many.tar:b > /dev/null
"$VM2OCI" push --quiet --all-tags oci-archive:many.tar "docker://$registry/unpacked/disk" > /dev/null
skopeo inspect --tls-verify=false "docker://$registry/unpacked/disk:a" > /dev/null
skopeo inspect --tls-verify=false "docker://$registry/unpacked/disk:b" > /dev/null
"$VM2OCI" push --quiet --all-tags oci:many "docker://$registry/copied/disk" > /dev/null
skopeo inspect --tls-verify=false "docker://$registry/copied/disk:b" > /dev/null

step "images of several architectures are joined"
"$VM2OCI" convert --quiet --arch arm64 raw:disk.raw oci:layout:arm > /dev/null
"$VM2OCI" index create --quiet "docker://$registry/multi/disk:v1" oci:layout:v1 oci:layout:arm > /dev/null
skopeo inspect --raw --tls-verify=false "docker://$registry/multi/disk:v1" > index.json
expect_equal "amd64 arm64" "$(python3 -c 'import json; print(*sorted(m["platform"]["architecture"] for m in json.load(open("index.json"))["manifests"]))')" \
    "the architectures of the index"
"$VM2OCI" pull --quiet --arch arm64 "docker://$registry/multi/disk:v1" oci:one:arm > /dev/null
expect_equal arm64 "$(skopeo inspect --override-arch arm64 --format '{{.Architecture}}' oci:one:arm)" "the architecture that was pulled"
expect_exit 1 "$VM2OCI" index create "docker://$registry/multi/disk:v2" oci:layout:v1 oci:layout:v1
no_tag "$registry" multi/disk v2

step "mistakes are told"
expect_exit 1 "$VM2OCI" pull "docker://$registry/team/disk:v9" oci:none:v1
expect_match "its tags are again, v1" "$(< stderr)" "the message about a tag that is not there"
expect_exit 1 "$VM2OCI" pull "docker://127.0.0.1:1/team/disk:v1" oci:none:v1
expect_exit 2 "$VM2OCI" push disk.raw "docker://$registry/team/disk:v1"
expect_exit 2 "$VM2OCI" push oci:layout:v1 oci:other:v1
expect_exit 2 "$VM2OCI" push --all-tags oci:layout "docker://$registry/team/disk:v1"
[[ ! -e none ]] || fail "a failed pull left a layout"
