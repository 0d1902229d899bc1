#!/usr/bin/env bash
# A layout that holds several images: a new tag keeps the others, the same tag moves, equal content is stored once, and
# what somebody else put there stays. Writers at the same time lose nothing.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool skopeo umoci jq python3
validate=$VM2OCI_SOURCE_DIR/tests/support/validate_layout.py
tags() { jq -r '[.[].tag] | sort | join(" ")' found.json; }
digest_of() { jq -r --arg tag "$1" '.[] | select(.tag == $tag) | .digest' found.json; }

small_disk one.raw 8
small_disk two.raw 9

step 'tags stand side by side'
"$VM2OCI" convert --quiet raw:one.raw oci:layout:one
"$VM2OCI" convert --quiet raw:two.raw oci:layout:two
"$validate" layout --containerdisk disk.qcow2 --no-garbage > found.json
expect_equal 'one two' "$(tags)" 'tags'
one=$(digest_of one)
two=$(digest_of two)

step 'the same tag moves'
"$VM2OCI" convert --quiet raw:two.raw oci:layout:one
"$validate" layout --containerdisk disk.qcow2 > found.json
expect_equal 'one two' "$(tags)" 'tags'
expect_equal "$two" "$(digest_of one)" 'the moved tag'
"$VM2OCI" convert --quiet raw:one.raw oci:layout:one
"$validate" layout --containerdisk disk.qcow2 > found.json
expect_equal "$one" "$(digest_of one)" 'the tag that moved back'

step 'what exists is used again, not written anew'
before=$(find layout/blobs -type f -printf '%P %i %T@\n' | sort)
"$VM2OCI" convert --quiet raw:one.raw oci:layout:again
"$VM2OCI" convert --quiet raw:one.raw oci:layout:one
expect_equal "$before" "$(find layout/blobs -type f -printf '%P %i %T@\n' | sort)" 'blobs'

step "an image that umoci made stays, and so do its fields"
umoci new --image layout:foreign 2> /dev/null
foreign=$(jq -c '.manifests[] | select(.annotations."org.opencontainers.image.ref.name" == "foreign")' layout/index.json)
jq -c '. + {annotations: {"org.example.note": "keep me"}}' layout/index.json > index && mv index layout/index.json
"$VM2OCI" convert --quiet raw:two.raw oci:layout:three
expect_equal "$foreign" \
    "$(jq -c '.manifests[] | select(.annotations."org.opencontainers.image.ref.name" == "foreign")' layout/index.json)" \
    'the foreign entry'
expect_equal 'keep me' "$(jq -r '.annotations."org.example.note"' layout/index.json)" 'a foreign annotation'
expect_equal 'again foreign one three two' "$(umoci ls --layout layout | sort | paste -s -d ' ')" 'tags that umoci sees'
expect_equal "$two" "$(skopeo inspect --format '{{.Digest}}' oci:layout:three)" 'what skopeo sees'

step 'six writers at once'
pids=()
for number in 1 2 3 4 5 6; do
    "$VM2OCI" convert --quiet --annotation "org.example.number=$number" raw:one.raw "oci:busy:tag$number" &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || fail 'a writer failed'
done
"$validate" busy --containerdisk disk.qcow2 --no-garbage > found.json
expect_equal 'tag1 tag2 tag3 tag4 tag5 tag6' "$(tags)" 'tags of six writers'

step 'a folder that is no layout is left alone'
mkdir papers
echo precious > papers/letter
expect_exit 1 "$VM2OCI" convert raw:one.raw oci:papers:x
expect_equal letter "$(ls -A papers)" 'what is in the folder'
