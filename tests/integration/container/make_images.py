#!/usr/bin/env python3
"""Container images that were made to be odd: make_images.py LAYOUT writes an OCI layout with a tag for each, and prints
the tags, one a line, each with the folders (by commas) whose times are umoci's own
doing: those that no member stands for, and those that umoci changes without putting their times back.

Images are written byte for byte here, so that no builder's taste is in the way: members come in the order and in the
dialect that is wanted.
"""

import gzip
import hashlib
import io
import json
import os
import struct
import sys
import tarfile


def member(name, kind=tarfile.REGTYPE, data=b"", mode=None, uid=0, gid=0, mtime=1_600_000_000, link="", pax=None,
           device=(0, 0)):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode if mode is not None else (0o755 if kind == tarfile.DIRTYPE else 0o644)
    info.uid, info.gid, info.mtime, info.linkname = uid, gid, mtime, link
    info.devmajor, info.devminor = device
    info.size = len(data)
    info.pax_headers = dict(pax or {})
    return info, data


def folder(name, **rest):
    return member(name, tarfile.DIRTYPE, **rest)


def symlink(name, target, **rest):
    return member(name, tarfile.SYMTYPE, link=target, mode=0o777, **rest)


def hard_link(name, target, **rest):
    return member(name, tarfile.LNKTYPE, link=target, **rest)


def whiteout(name):
    where, _, last = name.rpartition("/")
    return member((where + "/" if where else "") + ".wh." + last)


def opaque(name):
    return member((name + "/" if name else "") + ".wh..wh..opq")


def layer(*members, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def gnu_sparse(name, pieces, size):
    """A member of GNU's type S: (offset, bytes) pieces of a content of `size` bytes."""
    stored = b"".join(data for _, data in pieces)
    header = bytearray(512)

    def put(at, text):
        header[at:at + len(text)] = text

    put(0, name.encode())
    put(100, b"0000644\0")
    put(108, b"0000000\0")
    put(116, b"0000000\0")
    put(124, b"%011o\0" % len(stored))
    put(136, b"%011o\0" % 1_600_000_000)
    put(148, b" " * 8)
    put(156, b"S")
    put(257, b"ustar  \0")
    for index, (offset, data) in enumerate(pieces):
        put(386 + 24 * index, b"%011o\0" % offset)
        put(386 + 24 * index + 12, b"%011o\0" % len(data))
    put(483, b"\x80" + size.to_bytes(11, "big"))
    put(148, b"%06o\0 " % sum(header))
    return bytes(header) + stored + bytes(-len(stored) % 512)


def pax_sparse(name, pieces, size):
    """The same in the form POSIX 1.0 of GNU tar's manual."""
    table = f"{len(pieces)}\n" + "".join(f"{offset}\n{len(data)}\n" for offset, data in pieces)
    content = table.encode().ljust(-(-len(table) // 512) * 512, b"\0") + b"".join(data for _, data in pieces)
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": name, "GNU.sparse.realsize": str(size)}
    return member("GNUSparseFile.0/" + name, data=content, pax=pax)


def capability():
    return struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0).decode("latin-1")


def images():
    base = layer(folder("./", mode=0o755, mtime=5), folder("etc"), member("etc/passwd", data=b"root:x:0:0::/root:/bin/sh\n"),
                 folder("bin"), member("bin/tool", data=b"tool" * 2000, mode=0o755), folder("var"), folder("var/a"),
                 member("var/a/one", data=b"1"), member("var/a/two", data=b"2"), folder("var/a/deep"),
                 member("var/a/deep/three", data=b"3"))
    yield "plain", [base], []
    yield "root-changes", [base, layer(folder(".", mode=0o711, uid=3, gid=4, mtime=77))], []
    yield "whiteout", [base, layer(folder("var"), folder("var/a"), whiteout("var/a/one"))], []
    yield "whiteout-of-folder", [base, layer(whiteout("var/a"))], ["var/a", "var/a/deep"]
    yield "whiteout-of-nothing", [base, layer(whiteout("var/nothing"), whiteout("no/where"), opaque("not/there"))], []
    yield "whiteout-behind-new", [base, layer(member("var/a/one", data=b"new"), whiteout("var/a/one"))], []
    yield "whiteout-before-new", [base, layer(whiteout("var/a/one"), member("var/a/one", data=b"new"))], []
    yield "folder-again-below-whiteout", [base, layer(whiteout("var/a"), folder("var/a", mtime=9),
                                                      member("var/a/four", data=b"4"))], []
    yield "whiteout-behind-child", [base, layer(folder("var/a/deep"), member("var/a/deep/new", data=b"n"),
                                                whiteout("var/a"))], ["var/a", "var/a/deep"]
    yield "opaque-first", [base, layer(opaque("var/a"), member("var/a/new", data=b"n"))], []
    yield "opaque-last", [base, layer(member("var/a/new", data=b"n"), folder("var/a/deep", mode=0o700),
                                      member("var/a/deep/x", data=b"x"), opaque("var/a"))], ["var/a/deep"]
    yield "opaque-root", [base, layer(opaque(""), folder("only"), member("only/this", data=b"t"))], []
    yield "opaque-twice", [base, layer(opaque("var"), folder("var/b"), member("var/b/x"), opaque("var")),
                           layer(opaque("var"), member("var/c"))], []
    yield "link-over-layers", [base, layer(hard_link("bin/second", "bin/tool")),
                               layer(hard_link("var/third", "./bin/second"))], []
    yield "link-outlives-name", [base, layer(hard_link("bin/second", "/bin/tool")), layer(whiteout("bin/tool")),
                                 layer(member("bin/tool", data=b"another", mode=0o700))], []
    yield "link-and-its-file-change", [base, layer(hard_link("bin/second", "bin/tool"),
                                                   member("bin/tool", data=b"changed", mode=0o711))], []
    yield "link-of-symlink", [base, layer(symlink("bin/sym", "tool"), hard_link("bin/sym2", "bin/sym"))], []
    yield "file-becomes-folder", [base, layer(folder("bin/tool"), member("bin/tool/inside", data=b"i"))], []
    yield "folder-becomes-file", [base, layer(member("var/a", data=b"file now"))], []
    yield "folder-becomes-link", [base, layer(folder("real"), symlink("var/a", "/real"), member("var/a/through", data=b"t"))], []
    yield "through-links", [layer(folder("usr"), folder("usr/bin"), symlink("bin", "usr/bin"), symlink("abs", "/usr/../usr"),
                                  symlink("up", "../../../usr/bin")),
                            layer(member("bin/a", data=b"a"), member("abs/bin/b", data=b"b"), member("up/c", data=b"c"),
                                  hard_link("up/d", "abs/bin/a"))], []
    yield "through-dangling", [layer(symlink("data", "srv/data"), member("data/x", data=b"x"))], [".", "srv", "srv/data"]
    yield "no-folders", [layer(member("a/b/c/d", data=b"d")), layer(folder("a/b", mode=0o750, mtime=3))], [".", "a", "a/b/c"]
    yield "duplicates", [layer(folder("d"), member("d/x", data=b"first"), member("d/x", data=b"second, longer"),
                               symlink("d/y", "x"), member("d/y", data=b"no link"), folder("d/z"), symlink("d/z", "x"),
                               folder("d/z"))], []
    yield "attributes", [layer(folder("d", pax={"SCHILY.xattr.user.of-folder": "1"}),
                               member("d/ping", data=b"p", mode=0o755, pax={"SCHILY.xattr.security.capability": capability(),
                                                                          "SCHILY.xattr.user.text": "grüße"})),
                         layer(folder("d", pax={"SCHILY.xattr.user.other": "2"}))], []
    yield "devices", [layer(folder("dev"), member("dev/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3)),
                            member("dev/big", tarfile.CHRTYPE, mode=0o600, uid=7, device=(300, 70000)),
                            member("dev/disk", tarfile.BLKTYPE, mode=0o660, gid=6, device=(8, 17)),
                            member("dev/pipe", tarfile.FIFOTYPE, mode=0o620))], []
    yield "modes-and-owners", [layer(member("suid", mode=0o4755, uid=1000), member("sgid", mode=0o2711, gid=5),
                                     folder("sticky", mode=0o1777), folder("shared", mode=0o2775, gid=100),
                                     member("none", mode=0), member("large", uid=2_000_000_000, gid=3_000_000))], []
    yield "times", [layer(member("before", mtime=-1, pax={"mtime": "-1.5"}), member("fine", pax={"mtime": "1234567890.123456789"}),
                          member("late", mtime=5_000_000_000), folder("old", mtime=0), symlink("link", "x", mtime=12345),
                          member("old/new", mtime=99))], []
    long_name = "n" * 200 + "/" + "m" * 250
    yield "long-names", [layer(folder("n" * 200), member(long_name, data=b"l"), symlink("to", "t" * 900))], []
    yield "gnu-dialect", [layer(folder("n" * 200), member(long_name, data=b"l"), symlink("to", "t" * 900),
                                member("large", uid=2_000_000_000), form=tarfile.GNU_FORMAT)], []
    yield "ustar-dialect", [layer(folder("p" * 90), member("p" * 90 + "/" + "q" * 90, data=b"u"), form=tarfile.USTAR_FORMAT)], []
    yield "huge-pax-header", [layer(member("x", data=b"x", pax={"comment": "c" * 1_000_000}))], []
    yield "odd-names", [layer(member("new\nline"), member("back\\slash"), member("sp ace\t"), member("bytes\udcff\udcfe", data=b"b",
                              pax={}), member("grüße"), member("..."), member("...dots/..file"), member(".hidden"))], [".", "...dots"]
    yield "posix-sparse", [layer(pax_sparse("holes", [(4096, b"a" * 4096), (1 << 20, b"b" * 100)], (1 << 21) + 5),
                                 pax_sparse("empty-holes", [(3 << 20, b"")], 3 << 20))], []
    yield "empty-layers", [base, layer(), layer()], []
    yield "many-layers", [base] + [layer(member("var/a/one", data=str(i).encode(), mtime=i)) for i in range(1, 40)], []


def hostile():
    ok = layer(folder("d"), member("d/x", data=b"x"))
    yield "out-by-dots", [layer(member("../escape", data=b"e"))]
    yield "link-out", [layer(hard_link("x", "../../etc/passwd"))]
    yield "link-to-nothing", [layer(hard_link("x", "nothing"))]
    yield "link-to-folder", [ok, layer(hard_link("x", "d"))]
    yield "link-to-itself", [ok, layer(hard_link("d/x", "d/x"))]
    yield "circle", [layer(symlink("a", "b"), symlink("b", "a"), member("a/x", data=b"x"))]
    yield "below-file", [ok, layer(member("d/x/y", data=b"y"))]
    yield "root-is-link", [layer(symlink("./", "/etc"))]
    yield "cut", [layer(member("x", data=b"x" * 4000))[:2000]]
    yield "whiteout-of-dots", [ok, layer(member("d/.wh..."))]
    yield "absurd-size", [gnu_sparse("huge", [(0, b"x")], 1 << 60)]
    yield "unknown-type", [layer(member("x", b"V"))]
    yield "name-too-long", [layer(member("x" * 256, data=b"x"))]
    yield "too-deep", [layer(member("d/" * 2100 + "x", data=b"x"))]


def write_blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(layout, "blobs/sha256", digest), "wb") as file:
        file.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def write_layout(layout, tagged):
    os.makedirs(os.path.join(layout, "blobs/sha256"))
    with open(os.path.join(layout, "oci-layout"), "w", encoding="utf-8") as file:
        json.dump({"imageLayoutVersion": "1.0.0"}, file)
    manifests = []
    for tag, layers in tagged:
        blobs, ids = [], []
        for text in layers:
            packed = gzip.compress(text, mtime=0)
            blobs.append({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", **write_blob(layout, packed)})
            ids.append("sha256:" + hashlib.sha256(text).hexdigest())
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/bin/tool"]},
                  "rootfs": {"type": "layers", "diff_ids": ids}}
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                               **write_blob(layout, json.dumps(config).encode())}, "layers": blobs}
        manifests.append({"mediaType": manifest["mediaType"], **write_blob(layout, json.dumps(manifest).encode()),
                          "annotations": {"org.opencontainers.image.ref.name": tag}})
    with open(os.path.join(layout, "index.json"), "w", encoding="utf-8") as file:
        json.dump({"schemaVersion": 2, "manifests": manifests}, file)


def main():
    layout, which = sys.argv[1], sys.argv[2]
    if which == "odd":
        made = list(images())
        write_layout(layout, [(tag, layers) for tag, layers, _ in made])
        for tag, _, unsaid in made:
            print(tag, ",".join(unsaid))
    else:
        made = list(hostile())
        write_layout(layout, made)
        for tag, _ in made:
            print(tag)


main()
