#!/usr/bin/env bash
# Many machines in one batch: what each becomes is what `convert` makes of it; killed at random, a batch goes on where it
# was; failures are told, and shares become one summary.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq python3 skopeo

machines=24
mkdir disks
small_disk disks/base.raw 6
for ((i = 0; i < machines; ++i)); do
    cp --sparse=always disks/base.raw "disks/m$i.raw"
    printf 'machine %d' "$i" | dd of="disks/m$i.raw" bs=1 seek=1048576 conv=notrunc status=none
done
rm disks/base.raw

step 'a plan says what would be done, and does nothing'
for ((i = 0; i < machines; ++i)); do
    printf 'raw:disks/m%d.raw oci:images:m%d --label "number=%d, of many"\n' "$i" "$i" "$i"
done > list.txt
"$VM2OCI" batch --dry-run --json list.txt > plan.json
expect_equal "$machines" "$(jq '[.machines[] | select(.plan == "convert")] | length' plan.json)" 'machines to convert'
[[ ! -e list.txt.state && ! -e images ]] || fail 'the plan left something'

step 'killed twenty times at random, it is complete, and nothing was made twice'
: > events
runs=0
for ((kill = 0; kill < 20; ++kill)); do
    "$VM2OCI" batch --progress json --jobs 2 list.txt > /dev/null 2> "events.$kill" &
    batch=$!
    sleep "0.$((RANDOM % 90 + 10))"
    kill -KILL "$batch" 2> /dev/null && runs=$((runs + 1))
    wait "$batch" 2> /dev/null || true
done
"$VM2OCI" batch --json --progress json --jobs 2 list.txt > result.json 2> events.last
expect_equal "$machines" "$(jq '.counts.done + .counts.unchanged' result.json)" 'machines that are there'
cat events.* | jq -r 'select(.state == "done") | .name' 2> /dev/null | sort | uniq -d > twice
[[ ! -s twice ]] || fail "made twice: $(< twice)"
printf '   %d runs were killed\n' "$runs"
for ((i = 0; i < machines; ++i)); do
    alone=$("$VM2OCI" convert --json --quiet --label "number=$i, of many" "raw:disks/m$i.raw" null: | jq -r .digest)
    expect_equal "$alone" "$(jq -r --arg name "m$i" '.machines[] | select(.name == $name) | .digest' result.json)" "the digest of m$i"
    expect_equal "$alone" "sha256:$(skopeo inspect --raw "oci:images:m$i" | sha256sum | cut -d' ' -f1)" "what is published of m$i"
done
"$VM2OCI" verify oci:images > /dev/null
[[ -z $(find images -name '.vm2oci*' -newer result.json) ]] || fail 'something was left in the layout'

step 'a second run makes nothing, and what is missing or changed alone'
"$VM2OCI" batch --json --quiet list.txt > second.json
expect_equal "0 $machines" "$(jq -r '"\(.counts.done) \(.counts.unchanged)"' second.json)" 'made and unchanged'
printf 'other' | dd of=disks/m3.raw bs=1 seek=2097152 conv=notrunc status=none
sed -i 's/ --label "number=5, of many"/ --label number=five/' list.txt
"$VM2OCI" convert --quiet raw:disks/m0.raw oci:images:m7 > /dev/null # somebody else's
"$VM2OCI" batch --json --quiet list.txt > third.json
expect_equal 'm3 m5 m7' "$(jq -r '[.machines[] | select(.state == "done") | .name] | join(" ")' third.json)" 'what was made'

step 'one that is damaged stops the others, or not; the page, JUnit and the exit code tell of it'
cat > mixed.yaml << 'YAML'
defaults:
  destination: oci:mixed:{name}
machines:
  - raw:disks/m0.raw
  - source: qcow2:disks/m1.raw
    name: damaged
  - source: disks/not-there.raw
  - raw:disks/m[23].raw
YAML
expect_exit 3 "$VM2OCI" batch --jobs 1 --json --quiet mixed.yaml
expect_equal 'done refused left-out left-out left-out' "$(jq -r '[.machines[].state] | join(" ")' stdout)" 'what became of each'
expect_exit 1 "$VM2OCI" batch --keep-going --report page.html --junit junit.xml --progress plain mixed.yaml
expect_match '3 of 5 machines are there' "$(cat stdout)" 'the summary'
expect_match 'damaged +refused' "$(cat stdout)" 'the damaged one'
python3 - << 'PYTHON'
import html.parser, xml.etree.ElementTree as tree
suite = tree.parse("junit.xml").getroot()
assert (suite.get("tests"), suite.get("errors"), suite.get("failures"), suite.get("skipped")) == ("5", "2", "0", "0"), suite.attrib
class Page(html.parser.HTMLParser):
    open_tags, text = [], ""
    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "iframe", "object"), tag
        assert not any(name in ("src", "href") for name, value in attributes), attributes
        if tag not in ("meta", "br"):
            self.open_tags.append(tag)
    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag, tag
    def handle_data(self, data):
        self.text += data
page = Page()
page.feed(open("page.html", encoding="utf-8").read())
assert not page.open_tags
assert "3 of 5 machines are there" in page.text and "not-there.raw" in page.text, page.text
PYTHON

step 'words that make no sense are found before anything is converted'
printf 'raw:disks/m0.raw oci:never:a\nraw:disks/m1.raw oci:never:b --no-such-option\n' > wrong.txt
expect_exit 2 "$VM2OCI" batch wrong.txt
expect_match '^vm2oci: line 2, m1: ' "$(cat stderr)" 'where the fault is'
[[ ! -e never && ! -e wrong.txt.state ]] || fail 'something was converted'
expect_exit 2 "$VM2OCI" batch --of 3 list.txt
expect_exit 2 "$VM2OCI" batch --index 3 --of 3 list.txt

step 'shares take each machine once, and their results become one'
sed 's/oci:images:/oci:shared:/' list.txt > shared.txt
for share in 0 1 2; do
    JOB_COMPLETION_INDEX=$share "$VM2OCI" batch --json --progress plain --of 3 --state state shared.txt > "share-$share.log" 2>&1
done
"$VM2OCI" batch --gather --json share-*.log > gathered.json
expect_equal "$machines" "$(jq .counts.done gathered.json)" 'machines of all shares'
expect_equal "$(jq -c '[range(1; 25)]' <<< null)" "$(jq -c '[.machines[].number]' gathered.json)" 'their order'
expect_equal 8 "$(jq -s '.[0].machines | length' <(sed -n '/^{/,$p' share-1.log))" 'machines of one share'

step 'one archive for all of them'
for i in 0 1 2 3; do printf 'raw:disks/m%d.raw oci-archive:all.tar:m%d\n' $i $i; done | "$VM2OCI" batch --quiet --state archive-state - > out
expect_equal 'm0 m1 m2 m3' "$(tar -xOf all.tar index.json |
    jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | sort | join(" ")')" 'images in it'

step 'what no image reaches is removed, beside a batch that goes on'
"$VM2OCI" batch --quiet --jobs 2 <(sed 's/label "number/label "other/' list.txt) --state again > /dev/null &
batch=$!
for ((i = 0; i < 5; ++i)); do
    "$VM2OCI" prune --older-than 0s oci:images > /dev/null
    sleep 0.3
done
wait "$batch" || true # one that counted on a blob begins again
"$VM2OCI" batch --quiet <(sed 's/label "number/label "other/' list.txt) --state again > /dev/null
"$VM2OCI" prune --older-than 0s --json oci:images > pruned.json
"$VM2OCI" verify oci:images > /dev/null
expect_equal "$(find images/blobs -type f | wc -l)" "$(jq .kept pruned.json)" 'blobs that are left'
