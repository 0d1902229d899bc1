#!/usr/bin/env bash
# A layout that has another layer's bytes under a layer's digest: no command makes anything of it, and those that read
# in parts say that they did not verify.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq cmp

# layer_of TAG: the file of the image's only layer.
layer_of() {
    local manifest
    manifest=$(jq -r --arg tag "$1" \
        '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $tag).digest' layout/index.json)
    printf 'layout/blobs/%s\n' "$(jq -r '.layers[0].digest' "layout/blobs/${manifest/://}" | tr : /)"
}

head -c 3145728 /dev/urandom > a.raw
head -c 3145728 /dev/urandom > b.raw
for compression in zstd gzip none; do
    step "$compression"
    rm -rf layout good.raw
    "$VM2OCI" convert --quiet --compression "$compression" raw:a.raw oci:layout:a > a.txt
    "$VM2OCI" convert --quiet --compression "$compression" raw:b.raw oci:layout:b > b.txt
    "$VM2OCI" convert --quiet oci:layout:a raw:good.raw > good.txt
    cmp a.raw good.raw
    "$VM2OCI" inspect --json oci:layout:a > seen.json
    expect_equal not-verified "$(jq -r .image.content seen.json)" 'what is read in parts'
    "$VM2OCI" inspect --verify --json oci:layout:a > seen.json
    expect_equal verified "$(jq -r .image.content seen.json)" 'what is read whole'

    layer=$(layer_of a)
    rm "$layer"
    cp "$(layer_of b)" "$layer"
    for destination in raw:out.raw qcow2:out.qcow2 oci:layout:out oci-archive:out.tar:1; do
        expect_exit 3 "$VM2OCI" convert --quiet oci:layout:a "$destination"
    done
    expect_exit 3 "$VM2OCI" convert --quiet --disk-format keep oci:layout:a oci:layout:out
    expect_exit 3 "$VM2OCI" inspect --verify oci:layout:a
    expect_equal '' "$(find . -name 'out*')" 'what appeared'
    expect_equal 2 "$(jq '.manifests | length' layout/index.json)" 'tags'
done
