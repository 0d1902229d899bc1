#!/usr/bin/env python3
"""Judges the zstd:chunked layers of an OCI layout as containers/storage does, and shares no code with the program.

    check_chunked.py LAYOUT [TAG]

Checks, from the annotations on: digests of the table of contents and of the tar-split; that both name exactly the same
entries with the same attributes; that every chunk lies where it is said to and holds what its digest says, decoded alone
by zstd; that tar-split and files make up the tar of the diff_id; the footer. Prints how many chunks there are.
"""

import base64
import hashlib
import io
import json
import pathlib
import struct
import subprocess
import sys
import tarfile

NEW = "io.github.containers.zstd-chunked."
OLD = "io.containers.zstd-chunked."


def crc64(data):
    """CRC-64/GO-ISO."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xD800000000000000 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFFFFFFFFFF


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def unzstd(data):
    return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Layout:
    def __init__(self, folder, tag):
        self.folder = pathlib.Path(folder)
        index = json.loads((self.folder / "index.json").read_text())
        names = [m for m in index["manifests"]
                 if tag is None or m["annotations"]["org.opencontainers.image.ref.name"] == tag]
        assert len(names) == 1, "the layout has several images: name a tag"
        self.manifest = json.loads(self.blob(names[0]["digest"]))

    def blob(self, digest):
        data = (self.folder / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
        assert sha256(data) == digest
        return data


def expected_entry(member):
    """What the header of a member says, as the table of contents has it."""
    kinds = {tarfile.REGTYPE: "reg", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink",
             tarfile.CHRTYPE: "char", tarfile.BLKTYPE: "block", tarfile.FIFOTYPE: "fifo"}
    entry = {"type": kinds[member.type], "mode": member.mode, "size": member.size, "uid": member.uid,
             "gid": member.gid, "linkName": member.linkname}
    if member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        entry.update(devMajor=member.devmajor, devMinor=member.devminor)
    xattrs = {key.removeprefix("SCHILY.xattr."): base64.b64encode(value.encode("utf-8", "surrogateescape")).decode()
              for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
    entry["xattrs"] = xattrs
    return {key: value for key, value in entry.items() if value}


def check_layer(blob, annotations, diff_id):
    offset, packed, size, kind = map(int, annotations[NEW + "manifest-position"].split(":"))
    assert kind == 1
    assert annotations[OLD + "manifest-position"] == annotations[NEW + "manifest-position"]
    assert annotations[OLD + "manifest-checksum"] == annotations[NEW + "manifest-checksum"]
    assert sha256(blob[offset:offset + packed]) == annotations[NEW + "manifest-checksum"]
    text = unzstd(blob[offset:offset + packed])
    assert len(text) == size
    toc = json.loads(text)
    assert toc["version"] == 1

    split_offset, split_packed, split_size = map(int, annotations[NEW + "tarsplit-position"].split(":"))
    assert sha256(blob[split_offset:split_offset + split_packed]) == toc["tarSplitDigest"]
    split = unzstd(blob[split_offset:split_offset + split_packed])
    assert len(split) == split_size

    footer = split_offset + split_packed + 8
    numbers = struct.unpack("<7Q8s", blob[footer:footer + 64])
    assert numbers == (offset, packed, size, 1, split_offset, split_packed, split_size, b"GNUlInUx")

    files, entries, chunks = {}, {}, 0
    items = toc["entries"]
    for index, entry in enumerate(items):
        if entry["type"] == "chunk":
            continue
        assert entry["name"] not in entries, "two entries of one name"
        entries[entry["name"]] = entry
        if entry["type"] != "reg" or not entry.get("size"):
            continue
        parts = [entry]
        for other in items[index + 1:]:
            if other["type"] != "chunk":
                break
            parts.append(other)
        content = b""
        for number, part in enumerate(parts):
            end = parts[number + 1]["offset"] if number + 1 < len(parts) else entry["endOffset"]
            data = unzstd(blob[part["offset"]:end])
            assert part.get("chunkOffset", 0) == len(content)
            assert len(data) == part.get("chunkSize", entry["size"])
            if part.get("chunkType", "") == "zeros":
                assert not data.strip(b"\0")
            elif len(parts) > 1:
                assert sha256(data) == part["chunkDigest"]
            content += data
            chunks += 1
        assert len(content) == entry["size"] and sha256(content) == entry["digest"]
        files[entry["name"]] = content

    tar = b""
    pending = dict(entries)
    padding = 0
    for position, line in enumerate(split.splitlines()):
        item = json.loads(line)
        assert item["position"] == position
        if item["type"] == 2:
            segment = base64.b64decode(item["payload"])
            tar += segment
            header = segment[padding:]
            if not header.strip(b"\0"):
                continue
            member = tarfile.open(fileobj=io.BytesIO(header + bytes(1024)), errors="surrogateescape").next()
            name = member.name + "/" * member.isdir()
            entry = pending.pop(name, None) or pending.pop("./" if name in ("./", ".//") else "", None)
            assert entry is not None, f"the table of contents lacks {name}"
            found = {key: entry[key] for key in
                     ("type", "mode", "size", "uid", "gid", "linkName", "devMajor", "devMinor", "xattrs")
                     if entry.get(key)}
            assert found == expected_entry(member), (found, expected_entry(member))
            padding = -member.size % 512 if member.isreg() else 0
        else:
            content = files.get(item["name"], b"")
            assert item.get("size", 0) == len(content)
            if content and len(content) < 1 << 20:
                assert base64.b64decode(item["payload"]) == crc64(content).to_bytes(8, "big")
            tar += content
    assert not pending, f"the tar-split lacks {list(pending)[:5]}"
    assert sha256(tar) == diff_id
    return chunks


def main():
    layout = Layout(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
    config = json.loads(layout.blob(layout.manifest["config"]["digest"]))
    for layer, diff_id in zip(layout.manifest["layers"], config["rootfs"]["diff_ids"]):
        print(check_layer(layout.blob(layer["digest"]), layer["annotations"], diff_id), "chunks")


if __name__ == "__main__":
    main()
