#!/usr/bin/env bash
# Container images that were made to be odd, unpacked into a tree of ours and by umoci into a folder: the two hold the
# same names, types, modes, owners, times, contents, links, devices and attributes. Hostile ones are refused, and leave
# nothing behind. What ext4 and EROFS make of the trees is what e2fsck and fsck.erofs call clean.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool umoci python3 buildah busybox e2fsck fsck.erofs jq xxd
if [[ $(id -u) -ne 0 && -z ${VM2OCI_UNSHARED-} ]]; then
    exec env VM2OCI_UNSHARED=1 buildah unshare "$0"
fi
here=$VM2OCI_SOURCE_DIR/tests/integration/container

step 'odd images'
"$here/make_images.py" odd odd > tags
# In a user namespace nobody makes device nodes.
mknod probe c 1 3 2> /dev/null || { grep -v '^devices ' tags > fewer && mv fewer tags; }
compared=0
while read -r tag unsaid; do
    umoci raw unpack --image "odd:$tag" "unpacked-$tag" > umoci.log 2>&1 || fail "umoci: $tag: $(tail -n 3 umoci.log)"
    "$here/list_folder.py" "unpacked-$tag" > theirs
    "$LIST_CONTAINER" odd "$tag" > ours 2> ours.log || fail "$tag: $(cat ours.log)"
    for path in ${unsaid//,/ }; do
        hex=$(printf '/%s' "${path#.}" | xxd -p | tr -d '\n')
        [[ $path != ...* ]] || hex=$(printf '/%s' "$path" | xxd -p | tr -d '\n')
        sed -i -E "s/^($hex directory [0-9]+ [0-9:]+) [0-9.-]+/\1 -/" ours theirs
    done
    diff theirs ours > difference || fail "$tag: umoci's (<) and our (>) tree differ: $(head -n 6 difference)"
    rm -rf "unpacked-$tag"
    compared=$((compared + 1))
done < tags
((compared >= 36)) || fail "only $compared images were compared"

step 'hostile images'
"$here/make_images.py" hostile hostile > tags
kernel=(/boot/vmlinuz-*)
while read -r tag; do
    expect_exit 3 "$VM2OCI" convert --quiet --as bundle --kernel "${kernel[0]}" "oci:hostile:$tag" oci:refused:x
    [[ $(wc -l < stderr) -eq 1 ]] || fail "$tag: not one line: $(cat stderr)"
    [[ ! -e refused/index.json ]] || fail "$tag: something was published"
done < tags

step 'file systems of odd trees'
for tag in plain attributes devices modes-and-owners times long-names posix-sparse link-over-layers many-layers; do
    "$VM2OCI" convert --quiet --as bundle --kernel "${kernel[0]}" "oci:odd:$tag" oci:bundles:ext4 > /dev/null
    "$VM2OCI" convert --quiet oci:bundles:ext4 folder-ext4 > /dev/null
    e2fsck -fn folder-ext4/rootfs.img > check.log 2>&1 || fail "$tag: $(cat check.log)"
    "$VM2OCI" convert --quiet --as bundle --root erofs --kernel "${kernel[0]}" "oci:odd:$tag" oci:bundles:erofs > /dev/null
    "$VM2OCI" convert --quiet oci:bundles:erofs folder-erofs > /dev/null
    fsck.erofs folder-erofs/rootfs.erofs > check.log 2>&1 || fail "$tag: $(cat check.log)"
    "$VM2OCI" verify --quiet oci:bundles:ext4 > /dev/null
    rm -rf folder-ext4 folder-erofs
done

step 'what is said of disks, and a container image has not'
for words in '--backing odd/index.json' '--ca tags' '--data-file tags' '--extent tags' '--disk tags' '--key all:file:tags' \
    '--root-partition 1'; do
    for kind in '--as bundle' '--as kata --agent kata-agent=tags'; do
        destination=oci:unheard:x
        [[ $kind == *bundle ]] || destination=unheard
        # shellcheck disable=SC2086
        expect_exit 2 "$VM2OCI" convert --quiet $kind $words oci:odd:plain "$destination"
        expect_match 'container image is taken as it is' "$(cat stderr)" "$kind $words"
        [[ ! -e unheard ]] || fail "$words was passed over"
    done
done

step 'the way back: a root file system as an image, as a bundle, and as an image again'
source "$VM2OCI_SOURCE_DIR/tests/support/container_images.sh"
make_busybox_image images checks
round() { # IMAGE NEXT: the bundle of an image, and the image of that bundle's root
    "$VM2OCI" convert --quiet --as bundle --kernel "${kernel[0]}" "oci:images:$1" oci:bundles:round > /dev/null
    "$VM2OCI" convert --quiet oci:bundles:round folder-round > /dev/null
    "$VM2OCI" convert --quiet --as rootfs raw:folder-round/rootfs.img "oci:images:$2" > /dev/null
    rm -rf folder-round
}
round checks back
round back again
"$LIST_CONTAINER" images checks > first
"$LIST_CONTAINER" images back > second
"$LIST_CONTAINER" images again > third
# A root file system is packaged without what lies in /run.
grep -v "^$(printf '/run/lock' | xxd -p) " first | diff - second > difference || fail "the trees differ: $(head -n 6 difference)"
cmp second third

step 'the same image gives the same digest'
for root in qcow2 erofs; do
    for run in 1 2; do
        "$VM2OCI" convert --json --quiet --as bundle --root "$root" --kernel "${kernel[0]}" --threads "$run" oci:odd:many-layers \
            oci:again:"$root$run" > "made-$run.json"
    done
    expect_equal "$(jq -r .digest made-1.json)" "$(jq -r .digest made-2.json)" "the second digest of $root"
done

step 'a layer that is not what its digest says'
cp -r odd broken
blob=$(jq -r '.layers[0].digest' < "broken/blobs/sha256/$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "plain").digest' broken/index.json | cut -d: -f2)" | cut -d: -f2)
python3 - "broken/blobs/sha256/$blob" <<'EOF'
import sys, gzip
path = sys.argv[1]
text = bytearray(gzip.decompress(open(path, "rb").read()))
at = text.index(b"toolt")
text[at] ^= 1
packed = gzip.compress(bytes(text), mtime=0)
open(path, "wb").write(packed)
EOF
expect_exit 3 "$VM2OCI" convert --quiet --as bundle --kernel "${kernel[0]}" oci:broken:plain oci:refused:y
[[ ! -e refused/index.json ]] || fail 'something was published'
