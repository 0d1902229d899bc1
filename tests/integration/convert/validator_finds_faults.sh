#!/usr/bin/env bash
# The validator that judges layouts in other tests accepts a right one and finds each of these faults.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq python3
validate=$VM2OCI_SOURCE_DIR/tests/support/validate_layout.py

small_disk disk.raw 8
"$VM2OCI" convert --quiet --compression gzip raw:disk.raw oci:good:x
"$validate" good --containerdisk disk.qcow2 --no-garbage > found.json

# The layout again, with one document changed by a jq program, and every digest above it made right.
# with_changed index|manifest|config PROGRAM
with_changed() {
    rm -rf bad
    cp -r good bad
    chmod -R u+w bad
    python3 - "$@" << 'PYTHON'
import hashlib, json, pathlib, subprocess, sys
which, program = sys.argv[1:]
blobs = pathlib.Path("bad/blobs/sha256")
def changed(document, name):
    if name != which:
        return document
    text = subprocess.run(["jq", "-c", program], input=json.dumps(document), capture_output=True, text=True, check=True).stdout
    return json.loads(text)
def store(document, descriptor):
    data = json.dumps(document).encode()
    digest = hashlib.sha256(data).hexdigest()
    (blobs / digest).write_bytes(data)
    return {**descriptor, "digest": "sha256:" + digest, "size": len(data)}
def load(descriptor):
    path = blobs / descriptor["digest"][7:]
    document = json.loads(path.read_text())
    path.unlink()
    return document
index = json.loads(pathlib.Path("bad/index.json").read_text())
manifest = load(index["manifests"][0])
config = changed(load(manifest["config"]), "config")
manifest["config"] = store(config, manifest["config"])
index["manifests"][0] = store(changed(manifest, "manifest"), index["manifests"][0])
pathlib.Path("bad/index.json").write_text(json.dumps(changed(index, "index")))
PYTHON
}
with_changed index .
"$validate" bad --containerdisk disk.qcow2 --no-garbage > /dev/null || fail 'a layout with other JSON spacing is refused'

must_find() {
    expect_exit 1 "$validate" "$1" --containerdisk disk.qcow2 --no-garbage
    expect_match "$2" "$(cat stderr)" "the complaint about $3"
}
while IFS='|' read -r which program complaint; do
    with_changed "$which" "$program"
    must_find bad "$complaint" "$which: $program"
done << 'FAULTS'
index|del(.schemaVersion)|schemaVersion
index|.manifests[0].size += 1|bytes, not
index|.manifests[0].digest = "sha256:00"|digest
index|.manifests[0].annotations."org.opencontainers.image.ref.name" = "a b"|grammar
index|.manifests[0].platform = {"architecture": "s390x", "os": "linux"}|platform
index|.manifests += .manifests|repeat
manifest|del(.config.mediaType)|mediaType
manifest|.layers = []|must not be empty
manifest|.layers[0].mediaType = "application/vnd.oci.image.layer.v1.tar"|compressed, but
manifest|.layers[0].mediaType = "application/vnd.oci.image.layer.v1.tar+zstd"|does not begin
manifest|.schemaVersion = 1|schemaVersion
manifest|.annotations = {"a": 1}|annotations
config|del(.architecture)|architecture is required
config|.rootfs.diff_ids = ["sha256:0000000000000000000000000000000000000000000000000000000000000000"]|diff_ids
config|.config.Entrypoint = ["sh"]|entrypoint
config|.created = "yesterday"|created
config|.history += [{"created_by": "nobody"}]|history
FAULTS

step 'faults of bytes'
rm -rf bad
cp -r good bad
chmod -R u+w bad
layer=$(find bad/blobs -type f -size +100k)
printf 'X' | dd of="$layer" bs=1 seek=70000 conv=notrunc status=none
must_find bad 'another content' 'a changed byte'
rm -rf bad
cp -r good bad
chmod -R u+w bad
printf 'nobody asked' > "bad/blobs/sha256/$(printf 'nobody asked' | sha256sum | cut -d' ' -f1)"
must_find bad 'no image uses' 'a blob that nobody uses'
rm "$(find bad/blobs -type f -size +100k)"
must_find bad 'there is no blob' 'a missing layer'
