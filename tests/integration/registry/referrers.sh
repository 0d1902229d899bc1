#!/bin/bash
# What refers to an image goes along: by the list of referrers, in registries without its API too, and by cosign's tags.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/integration/registry/registry.sh"
require_tool curl
start_registry

# artifact FOLDER SUBJECT-DIGEST SUBJECT-SIZE TEXT: a layout with one artifact that refers to the subject; prints its digest.
artifact() {
    python3 - "$@" << 'PYTHON'
import hashlib, json, os, sys
folder, subject, size, text = sys.argv[1:5]
os.makedirs(folder + "/blobs/sha256", exist_ok=True)
def put(data, kind):
    digest = hashlib.sha256(data).hexdigest()
    with open(folder + "/blobs/sha256/" + digest, "wb") as file:
        file.write(data)
    return {"mediaType": kind, "digest": "sha256:" + digest, "size": len(data)}
manifest = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "artifactType": "application/vnd.example.report",
    "config": put(b"{}", "application/vnd.oci.empty.v1+json"),
    "layers": [put(text.encode(), "text/plain")],
    "subject": {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": subject, "size": int(size)},
}
entry = put(json.dumps(manifest).encode(), manifest["mediaType"])
entry["annotations"] = {"org.opencontainers.image.ref.name": "a"}
with open(folder + "/index.json", "w") as file:
    json.dump({"schemaVersion": 2, "manifests": [entry]}, file)
with open(folder + "/oci-layout", "w") as file:
    file.write('{"imageLayoutVersion":"1.0.0"}')
print(entry["digest"])
PYTHON
}

# has_manifest REPO REFERENCE
has_manifest() {
    curl --silent --fail --output /dev/null --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
        --header 'Accept: application/vnd.oci.image.index.v1+json' "http://$registry/v2/$1/manifests/$2" ||
        fail "$1 has no $2"
}

field() { python3 -c 'import json, sys; print(eval("d" + sys.argv[1], {"d": json.load(sys.stdin), "len": len}))' "$1"; }

step "an image, a report on it, a signature of the report, and a signature by tag"
small_disk disk.raw 12
small_disk other.raw 3
"$VM2OCI" convert --quiet raw:disk.raw oci:layout:web > /dev/null
"$VM2OCI" convert --quiet raw:other.raw oci:signature:s > /dev/null
pushed=$("$VM2OCI" push --quiet --json oci:layout:web "docker://$registry/team/web:1")
digest=$(field '["digest"]' <<< "$pushed")
report=$(artifact report "$digest" "$(field '["size"]' <<< "$pushed")" "all is well")
"$VM2OCI" push --quiet oci:report:a "docker://$registry/team/web@$report" > /dev/null
signature=$(artifact signed "$report" "$(stat --format %s "report/blobs/sha256/${report#sha256:}")" "signed")
"$VM2OCI" push --quiet oci:signed:a "docker://$registry/team/web@$signature" > /dev/null
"$VM2OCI" push --quiet oci:signature:s "docker://$registry/team/web:sha256-${digest#sha256:}.sig" > /dev/null

step "they stay behind unless they are asked for"
expect_equal "[]" "$("$VM2OCI" pull --quiet --json "docker://$registry/team/web:1" oci:plain:1 | field '["referrers"]')" \
    "referrers of a plain pull"

step "they come into a layout, and go from it into another repository"
pulled=$("$VM2OCI" pull --quiet --json --referrers "docker://$registry/team/web:1" oci:out:1)
expect_equal 3 "$(field '["referrers"].__len__()' <<< "$pulled")" "what refers to the image"
"$VM2OCI" verify --quiet oci:out > /dev/null
"$VM2OCI" push --quiet --referrers oci:out:1 "docker://$registry/copy/web:1" > /dev/null
for reference in "$digest" "$report" "$signature" "sha256-${digest#sha256:}" "sha256-${report#sha256:}" \
    "sha256-${digest#sha256:}.sig"; do
    has_manifest copy/web "$reference"
done

step "and from registry to registry, and through an archive"
"$VM2OCI" push --quiet --referrers "docker://$registry/team/web:1" "docker://$registry/direct/web:2" > /dev/null
has_manifest direct/web "$signature"
"$VM2OCI" pull --quiet --referrers "docker://$registry/team/web:1" oci-archive:web.tar:1 > /dev/null
"$VM2OCI" verify --quiet oci-archive:web.tar > /dev/null
"$VM2OCI" push --quiet --referrers oci-archive:web.tar:1 "docker://$registry/archived/web:3" > /dev/null
has_manifest archived/web "$signature"
has_manifest archived/web "sha256-${digest#sha256:}.sig"

step "a whole layout is verified, and what is broken in one of its images is found"
blob=$(find signed/blobs/sha256 -type f -size -10c -name '*' | head -n 1)
printf 'xx' > "out/blobs/sha256/$(basename "$blob")"
code=0
"$VM2OCI" verify --quiet oci:out > report.txt || code=$?
expect_equal 4 "$code" "the exit code for a broken layout"
grep --quiet mismatch report.txt || fail "no mismatch is named"
