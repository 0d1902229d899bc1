#!/usr/bin/env bash
# The real disk as an OCI image, in a layout and in an archive, read by everybody else's tools: skopeo, umoci, GNU tar,
# zstd, qemu-img, and a validator of the image-spec that shares no code with vm2oci.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool skopeo umoci qemu-img zstd tar jq python3
validate=$VM2OCI_SOURCE_DIR/tests/support/validate_layout.py

disk=$(debian_disk)

step 'a layout'
"$VM2OCI" convert --json "$disk" oci:layout:web > report.json
"$validate" layout --containerdisk disk.qcow2 --no-garbage > found.json
expect_equal "$(jq -r .digest report.json)" "$(jq -r '.[0].digest' found.json)" 'manifest digest'
expect_equal "$(jq -r .layer.digest report.json)" "$(jq -r '.[0].layers[0]' found.json)" 'layer digest'
expect_equal "$(jq -r .layer.diff_id report.json)" "$(jq -r '.[0].diff_ids[0]' found.json)" 'diff_id'
digest=$(jq -r .digest report.json)
"$VM2OCI" verify oci:layout:web > verify.log || fail "$(cat verify.log)"

step 'skopeo reads it and copies it without changing a byte'
expect_equal "$digest" "$(skopeo inspect --format '{{.Digest}}' oci:layout:web)" "skopeo's digest"
expect_equal linux/amd64 "$(skopeo inspect --override-arch amd64 --format '{{.Os}}/{{.Architecture}}' oci:layout:web)" platform
skopeo --insecure-policy copy --quiet oci:layout:web dir:copied
expect_equal "${digest#sha256:}" "$(sha256sum < copied/manifest.json | cut -d' ' -f1)" 'manifest after skopeo copy'

step 'zstd and GNU tar unpack the layer'
layer=layout/blobs/sha256/$(jq -r '.layer.digest' report.json | cut -d: -f2)
zstd --test --quiet "$layer"
zstd -dc "$layer" | tar --list --verbose --numeric-owner --full-time --file - > listing
[[ $(wc -l < listing) -eq 2 ]] || fail "$(cat listing)"
expect_match '^dr-xr-xr-x 107/107 +0 1970-01-01 00:00:00 disk/$' "$(sed -n 1p listing)" 'the folder'
expect_match '^-r--r--r-- 107/107 +[0-9]+ 1970-01-01 00:00:00 disk/disk.qcow2$' "$(sed -n 2p listing)" 'the disk'
zstd -dc "$layer" | tar --extract --sparse --file - disk/disk.qcow2

step 'qemu-img finds a clean qcow2 with the same content'
qemu-img check -q disk/disk.qcow2
qemu-img compare -q "$disk" disk/disk.qcow2
expect_equal "$(jq -r .disk.virtual_size report.json)" "$(qemu-img info --output json disk/disk.qcow2 | jq '."virtual-size"')" \
    'virtual size'

step 'the archive holds the same image'
"$VM2OCI" convert --quiet "$disk" oci-archive:web.tar:web
tar --list --file web.tar > /dev/null
expect_equal "$digest" "$(skopeo inspect --format '{{.Digest}}' oci-archive:web.tar:web)" 'digest in the archive'
skopeo --insecure-policy copy --quiet oci-archive:web.tar:web oci:from-archive:web
expect_equal "$digest" "$(skopeo inspect --format '{{.Digest}}' oci:from-archive:web)" 'digest after a copy'
mkdir unpacked
tar --extract --file web.tar --directory unpacked
"$validate" unpacked --containerdisk disk.qcow2 --no-garbage > /dev/null
rm -rf copied from-archive unpacked web.tar

step 'umoci lists and unpacks (gzip: this umoci knows no zstd)'
"$VM2OCI" convert --quiet --compression gzip:1 "$disk" oci:layout:gzip
umoci ls --layout layout | sort > tags
expect_equal 'gzip web' "$(paste -s -d ' ' tags)" "umoci's list"
umoci unpack --rootless --image layout:gzip bundle > umoci.log 2>&1 || fail "$(cat umoci.log)"
cmp disk/disk.qcow2 bundle/rootfs/disk/disk.qcow2
