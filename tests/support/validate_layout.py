#!/usr/bin/env python3
"""Judges an OCI image layout by the words of the image-spec, with nothing but Python's standard library and the
command-line zstd: a second opinion that shares no code with what it judges.

    validate_layout.py LAYOUT [--containerdisk NAME] [--no-garbage]

Prints what it found as JSON (one entry for each image of index.json); complaints go to stderr and make it fail.
--containerdisk: each image must be KubeVirt's form, with one disk NAME. --no-garbage: every blob must be used.
"""

import argparse
import gzip
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import zlib

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")
REF_NAME = re.compile(r"^[A-Za-z0-9]+((-|\.|_|:|@|\+|--|/)[A-Za-z0-9]+)*$")
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")
MEDIA_TYPE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$")
MAGIC = {"": None, "+gzip": b"\x1f\x8b", "+zstd": b"\x28\xb5\x2f\xfd"}

complaints = []


def expect(condition, message):
    if not condition:
        complaints.append(message)
    return bool(condition)


def no_duplicate_keys(pairs):
    keys = [key for key, _ in pairs]
    expect(len(keys) == len(set(keys)), f"a JSON object repeats a key: {sorted(keys)}")
    return dict(pairs)


class Layout:
    def __init__(self, root):
        self.root = root
        self.used = set()

    def blob(self, descriptor, where):
        """The path of a blob whose descriptor, size and digest are right; None after a complaint."""
        if not expect(isinstance(descriptor, dict), f"{where}: the descriptor is no object"):
            return None
        digest, size = descriptor.get("digest"), descriptor.get("size")
        good = expect(isinstance(descriptor.get("mediaType"), str) and MEDIA_TYPE.match(descriptor["mediaType"]),
                      f"{where}: mediaType is missing or malformed")
        good &= expect(isinstance(digest, str) and DIGEST.match(digest), f"{where}: digest {digest!r}")
        good &= expect(isinstance(size, int) and not isinstance(size, bool) and size >= 0, f"{where}: size {size!r}")
        annotations(descriptor, where)
        if not good:
            return None
        path = self.root / "blobs" / "sha256" / digest.split(":")[1]
        if not expect(path.is_file() and not path.is_symlink(), f"{where}: there is no blob {digest}"):
            return None
        self.used.add(path.name)
        expect(path.stat().st_size == size, f"{where}: {digest} has {path.stat().st_size} bytes, not {size}")
        expect("sha256:" + sha256_of(path.open("rb")) == digest, f"{where}: {digest} has another content")
        return path

    def json(self, descriptor, where):
        path = self.blob(descriptor, where)
        return parse(path, where) if path else None


def parse(path, where):
    expect(path.stat().st_size <= 4 << 20, f"{where}: more than 4 MiB of JSON")
    try:
        value = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=no_duplicate_keys)
    except ValueError as error:
        expect(False, f"{where}: {error}")
        return None
    return value if expect(isinstance(value, dict), f"{where}: not a JSON object") else None


def sha256_of(stream):
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def annotations(holder, where):
    value = holder.get("annotations", {})
    expect(isinstance(value, dict) and all(isinstance(v, str) and k for k, v in value.items()),
           f"{where}: annotations must map non-empty names to text")
    created = value.get("org.opencontainers.image.created")
    expect(created is None or RFC3339.match(created), f"{where}: annotation created is {created!r}")
    return value


class Hashing:
    """Passes a stream on and hashes what went through."""

    def __init__(self, stream):
        self.stream, self.digest = stream, hashlib.sha256()

    def read(self, size=-1):
        block = self.stream.read(size)
        self.digest.update(block)
        return block

    def finish(self):
        while self.read(1 << 20):
            pass
        return "sha256:" + self.digest.hexdigest()


def check_entries(entries, where):
    seen = set()
    for member in entries:
        name = member.name
        expect(not name.startswith("/") and ".." not in pathlib.PurePosixPath(name).parts,
               f"{where}: entry {name!r} leaves the root")
        expect(name not in seen, f"{where}: entry {name!r} comes twice")
        expect(not member.issparse(), f"{where}: entry {name!r} is sparse, which the spec advises against")
        parent = str(pathlib.PurePosixPath(name).parent)
        expect(parent == "." or parent in seen, f"{where}: entry {name!r} comes before its folder")
        seen.add(name)


def read_layer(path, media_type, where):
    """The entries of a layer and the digest of its tar stream."""
    suffix = media_type.removeprefix(LAYER)
    if not expect(media_type.startswith(LAYER) and suffix in MAGIC, f"{where}: mediaType {media_type}"):
        return [], None
    with path.open("rb") as head:
        begin = head.read(4)
    magic = MAGIC[suffix]
    if magic:
        expect(begin.startswith(magic), f"{where}: content does not begin as {media_type} does: {begin.hex()}")
    else:
        expect(not any(m and begin.startswith(m) for m in MAGIC.values()), f"{where}: compressed, but {media_type}")
    process = None
    if suffix == "+zstd":
        process = subprocess.Popen(["zstd", "-dc", str(path)], stdout=subprocess.PIPE)
        stream = Hashing(process.stdout)
    elif suffix == "+gzip":
        stream = Hashing(gzip.open(path, "rb"))
    else:
        stream = Hashing(path.open("rb"))
    entries = []
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            entries = list(archive)
        diff_id = stream.finish()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        expect(False, f"{where}: unreadable: {error}")
        return [], None
    check_entries(entries, where)
    if process:
        expect(process.wait() == 0, f"{where}: zstd refuses the layer")
    return entries, diff_id


def check_config(config, layers, where):
    for field in ("architecture", "os"):
        expect(isinstance(config.get(field), str) and config[field], f"{where}: {field} is required")
    rootfs = config.get("rootfs")
    if expect(isinstance(rootfs, dict) and rootfs.get("type") == "layers", f"{where}: rootfs.type must be layers"):
        diff_ids = rootfs.get("diff_ids")
        expect(isinstance(diff_ids, list) and diff_ids == [diff_id for _, diff_id in layers],
               f"{where}: diff_ids {diff_ids} are not those of the layers {[d for _, d in layers]}")
    if "created" in config:
        expect(isinstance(config["created"], str) and RFC3339.match(config["created"]), f"{where}: created")
    run = config.get("config", {})
    expect(isinstance(run, dict), f"{where}: config is no object")
    expect(all(isinstance(v, str) and "=" in v for v in run.get("Env") or []), f"{where}: Env is NAME=VALUE")
    for field in ("Entrypoint", "Cmd"):
        expect(all(isinstance(v, str) for v in run.get(field) or []), f"{where}: {field} is a list of words")
    labels = run.get("Labels") or {}
    expect(all(isinstance(k, str) and isinstance(v, str) for k, v in labels.items()), f"{where}: Labels map text to text")
    if "history" in config:
        filled = [entry for entry in config["history"] if not entry.get("empty_layer")]
        expect(len(filled) == len(layers), f"{where}: history tells of {len(filled)} layers, there are {len(layers)}")
        expect(all(RFC3339.match(e["created"]) for e in config["history"] if "created" in e), f"{where}: history created")


def check_manifest(layout, manifest, descriptor, where):
    expect(manifest.get("schemaVersion") == 2, f"{where}: schemaVersion must be 2")
    expect(manifest.get("mediaType") == descriptor["mediaType"], f"{where}: mediaType differs from the descriptor's")
    annotations(manifest, where)
    layers = []
    listed = manifest.get("layers")
    if expect(isinstance(listed, list) and listed, f"{where}: layers must not be empty"):
        for number, layer in enumerate(listed):
            place = f"{where}: layer {number}"
            path = layout.blob(layer, place)
            if path:
                layers.append(read_layer(path, layer["mediaType"], place))
    config_descriptor = manifest.get("config") or {}
    expect(config_descriptor.get("mediaType") == CONFIG, f"{where}: config is {config_descriptor.get('mediaType')}")
    config = layout.json(config_descriptor, f"{where}: config") or {}
    check_config(config, layers, f"{where}: config")
    platform = descriptor.get("platform")
    if platform is not None:
        for field in ("architecture", "os"):
            expect(platform.get(field) == config.get(field), f"{where}: platform.{field} differs from the config's")
    return config, layers


def check_containerdisk(config, layers, name, where):
    entries = [entry for members, _ in layers for entry in members]
    shape = [(e.name, e.type, oct(e.mode & 0o7777), e.uid, e.gid, e.uname, e.gname) for e in entries]
    wanted = [
        ("disk", tarfile.DIRTYPE, oct(0o555), 107, 107, "qemu", "qemu"),
        (f"disk/{name}", tarfile.REGTYPE, oct(0o444), 107, 107, "qemu", "qemu"),
    ]
    expect(shape == wanted, f"{where}: entries are {shape}, not {wanted}")
    expect(len({e.mtime for e in entries}) == 1, f"{where}: the entries' times differ")
    expect((config.get("config") or {}).get("Entrypoint") == ["no-entrypoint"], f"{where}: entrypoint")
    expect(config.get("os") == "linux", f"{where}: os must be linux")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("layout", type=pathlib.Path)
    arguments.add_argument("--containerdisk", metavar="NAME")
    arguments.add_argument("--no-garbage", action="store_true")
    options = arguments.parse_args()
    layout = Layout(options.layout)

    marker = parse(options.layout / "oci-layout", "oci-layout") or {}
    expect(marker.get("imageLayoutVersion") == "1.0.0", "oci-layout: imageLayoutVersion must be 1.0.0")
    index = parse(options.layout / "index.json", "index.json") or {}
    expect(index.get("schemaVersion") == 2, "index.json: schemaVersion must be 2")
    expect(index.get("mediaType", INDEX) == INDEX, "index.json: mediaType")
    found = []
    for number, descriptor in enumerate(index.get("manifests", [])):
        where = f"image {number}"
        notes = annotations(descriptor, where)
        tag = notes.get("org.opencontainers.image.ref.name")
        expect(tag is None or REF_NAME.match(tag), f"{where}: tag {tag!r} is outside the grammar")
        if not expect(descriptor.get("mediaType") == MANIFEST, f"{where}: mediaType {descriptor.get('mediaType')}"):
            continue
        manifest = layout.json(descriptor, where)
        if manifest is None:
            continue
        config, layers = check_manifest(layout, manifest, descriptor, where)
        if options.containerdisk:
            check_containerdisk(config, layers, options.containerdisk, where)
        found.append({
            "tag": tag,
            "digest": descriptor["digest"],
            "layers": [layer["digest"] for layer in manifest["layers"]],
            "diff_ids": [diff_id for _, diff_id in layers],
            "sizes": [layer["size"] for layer in manifest["layers"]],
            "annotations": manifest.get("annotations", {}),
            "config": config,
        })
    tags = [image["tag"] for image in found]
    expect(len(tags) == len(set(tags)), f"index.json: tags repeat: {tags}")
    for path in (options.layout / "blobs").rglob("*"):
        if path.is_dir():
            continue
        expect(re.fullmatch(r"[0-9a-f]{64}", path.name) and path.parent.name == "sha256", f"{path} is no blob")
        if options.no_garbage:
            expect(path.name in layout.used, f"no image uses {path.name}")
    json.dump(found, sys.stdout, indent=2)
    print()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return 1 if complaints else 0


sys.exit(main())
