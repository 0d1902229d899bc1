#!/usr/bin/env bash
# convert --boot-test: what comes up appears, in every kind of destination, and what does not leaves no trace.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/boot/lib.sh"
require_tool jq skopeo
make_small_initramfs
start_registry

boot_options=(--boot-test --accel tcg --memory 256M --cpus 1 --progress none)

step 'a disk that does not come up'
truncate --size 4M blank.raw
for destination in oci:layout:v1 oci-archive:image.tar:v1 "docker://$registry/small:v1" qcow2:disk.qcow2; do
    expect_exit 4 nice "$VM2OCI" convert raw:blank.raw "$destination" "${boot_options[@]}" --json \
        --report "report-${destination%%:*}"
    expect_equal false "$(jq .published stdout)" "published to $destination"
    expect_equal no-boot-sector "$(jq -r .boot.verdict.rule stdout)" "the reason at $destination"
    [[ -s report-${destination%%:*}/report.html ]] || fail "no report for $destination"
done
for path in layout image.tar disk.qcow2; do
    [[ ! -e $path ]] || fail "$path is there"
done
expect_exit 1 skopeo inspect --tls-verify=false "docker://$registry/small:v1"
expect_exit 4 nice "$VM2OCI" convert raw:blank.raw oci:layout:v1 "${boot_options[@]}"
expect_match 'oci:layout:v1 was not written' "$(cat stdout)" 'the verdict for people'

step 'one that does: into a registry, where an old tag stays until then'
small_guest login
"$VM2OCI" convert raw:blank.raw "docker://$registry/small:v1" --progress none > convert.log
expect_exit 4 nice "$VM2OCI" convert raw:blank.raw "docker://$registry/small:v1" "${boot_options[@]}" --size 8M
expect_equal 4194304 "$(skopeo inspect --tls-verify=false --config "docker://$registry/small:v1" |
    jq -r '.config.Labels["org.vm2oci.disk.virtual-size"]')" 'the old image behind the tag'
expect_exit 0 nice "$VM2OCI" convert raw:small.raw "docker://$registry/small:v1" "${boot_options[@]}" --json
expect_equal true "$(jq .published stdout)" 'published to the registry'
expect_equal ready "$(jq -r .boot.verdict.outcome stdout)" 'the verdict'
expect_equal "$(jq -r .digest stdout)" \
    "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/small:v1")" 'the image behind the tag'

step 'options'
expect_exit 2 "$VM2OCI" convert raw:small.raw oci:layout:v1 --accel tcg
expect_match 'is for --boot-test' "$(cat stderr)" 'an option of booting without the test'
expect_exit 2 "$VM2OCI" convert raw:small.raw null: --boot-test
expect_exit 2 "$VM2OCI" convert raw:small.raw oci:layout:v1 --as rootfs --boot-test
