#!/usr/bin/env bash
# Over an air gap: a delta archive of a machine's second version is hardly more than what a pull with --reuse would fetch,
# the far side makes the whole of it, and machines in one archive share what they share.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool jq python3
start_registry

# Version 2 has changes as an update makes them: here and there, some larger, and something new at the end.
small_disk one.raw 64
cp --sparse=always one.raw two.raw
python3 - << 'PYTHON'
import random
changes = random.Random(2)
with open("two.raw", "r+b") as disk:
    for place, size in ((3 << 20, 17), (9 << 20, 40960), (22 << 20, 600_000), (31 << 20, 3), (60 << 20, 900_000)):
        disk.seek(place)
        disk.write(changes.randbytes(size))
PYTHON
size_of() { stat --format %s "$1"; }

for form in '' --chunked '--compression zstd:9'; do
    step "a delta against what a pull fetches: ${form:-as it comes}"
    rm -rf near far fetched
    # shellcheck disable=SC2086 # words
    "$VM2OCI" convert --quiet $form raw:one.raw oci:near:v1 > log
    # shellcheck disable=SC2086
    "$VM2OCI" convert --quiet $form raw:two.raw oci:near:v2 > log
    for version in v1 v2; do "$VM2OCI" push --quiet "oci:near:$version" "docker://$registry/vm/a:$version" > log; done
    "$VM2OCI" push --quiet --against oci:near:v1 oci:near:v2 oci-archive:pushed.tar:v2 > log
    # shellcheck disable=SC2086
    "$VM2OCI" convert --quiet $form --against oci:near:v1 raw:two.raw oci-archive:converted.tar:v2 > log

    "$VM2OCI" pull --quiet "docker://$registry/vm/a:v1" oci:far:v1 > log
    cp -r far fetched
    start_proxy "$registry" none
    "$VM2OCI" pull --quiet --reuse oci:fetched:v1 "docker://$proxy/vm/a:v2" oci:fetched:v2 > log
    stop_proxy
    by_network=$(seen download_bytes)
    for archive in pushed converted; do
        printf '   %s: %d bytes; by the network: %d; the whole: %d\n' "$archive" "$(size_of $archive.tar)" "$by_network" \
            "$(find near/blobs -type f -size +100k -printf '%s\n' | sort -n | tail -1)"
        expect_at_most $((by_network * 12 / 10)) "$(size_of $archive.tar)" "the delta archive that was $archive"
    done
    cmp pushed.tar converted.tar || fail 'push and convert make other deltas'

    "$VM2OCI" pull --quiet --reuse oci:far:v1 oci-archive:pushed.tar:v2 oci:far:v2 > log
    "$VM2OCI" verify --quiet oci:far > log
    expect_same_tree near far
    "$VM2OCI" convert --quiet oci:far:v2 raw:back.raw > log
    cmp two.raw back.raw || fail 'the disk of the far side differs'
    rm pushed.tar converted.tar back.raw
done

step 'without its base, or with another one, a delta makes nothing, and says what it wants'
"$VM2OCI" push --quiet --against oci:near:v1 oci:near:v2 oci-archive:delta.tar:v2 > log
expect_exit 2 "$VM2OCI" pull oci-archive:delta.tar:v2 oci:nothing:v2
expect_match 'say by --reuse which version a delta is against' "$(< stderr)" 'what to do'
"$VM2OCI" convert --quiet raw:two.raw oci:other:v1 > log
if "$VM2OCI" pull --reuse oci:other:v1 oci-archive:delta.tar:v2 oci:nothing:v2 > stdout 2> stderr; then fail 'another base was taken'; fi
[[ ! -e nothing/index.json ]] || fail 'something was published'
printf 'x' | dd of=delta.tar bs=1 seek=$(($(size_of delta.tar) / 2)) conv=notrunc status=none
if "$VM2OCI" pull --reuse oci:near:v1 oci-archive:delta.tar:v2 oci:nothing:v2 > stdout 2> stderr; then fail 'a damaged delta was taken'; fi
[[ ! -e nothing/index.json ]] || fail 'something was published'

step 'a set of machines as deltas in one archive, by a batch; the same batch again makes nothing'
mkdir disks
for number in 1 2 3; do
    cp --sparse=always two.raw "disks/web$number.raw"
    printf 'machine %d' "$number" | dd of="disks/web$number.raw" bs=1 seek=1048576 conv=notrunc status=none
    "$VM2OCI" convert --quiet "raw:disks/web$number.raw" "oci:fresh:web$number" > log
    echo "raw:disks/web$number.raw oci-archive:set.tar:web$number --against oci:base:v1"
done > list.txt
"$VM2OCI" convert --quiet raw:one.raw oci:base:v1 > log
"$VM2OCI" batch --json --quiet list.txt > result.json
expect_equal 3 "$(jq .counts.done result.json)" 'made'
"$VM2OCI" batch --json --quiet list.txt > result.json
expect_equal 3 "$(jq .counts.unchanged result.json)" 'unchanged'
for number in 1 2 3; do
    "$VM2OCI" pull --quiet --reuse oci:base:v1 "oci-archive:set.tar:web$number" "oci:made:web$number" > log
done
expect_same_tree fresh made
"$VM2OCI" convert --quiet raw:one.raw oci:base:v2 --label version=2 > log
"$VM2OCI" batch --json --quiet list.txt > result.json
expect_equal 3 "$(jq .counts.done result.json)" 'made anew, as the base is another layout than it was'

step 'and whole: what they have in common is there once'
sed 's| --against.*||; s|set.tar|whole.tar|' list.txt > whole.txt
sed 's|raw:disks/web[0-9].raw|raw:disks/web1.raw|; s|$| --label number=|' whole.txt | awk '{ print $0 NR }' > same.txt
"$VM2OCI" batch --quiet same.txt > log
one=$("$VM2OCI" convert --quiet --json raw:disks/web1.raw null: | jq .layer.size)
expect_at_most $((one * 11 / 10)) "$(size_of whole.tar)" 'three images of one disk in one archive'
