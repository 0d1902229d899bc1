#!/usr/bin/env python3
"""Why layers are read by our own reader of tars and not by libarchive's: what each of them takes out of layers in forms that
writers leave, beside `umoci unpack`, which reads as container runtimes do; and the CPU seconds that a large layer takes.

Usage: layer_readers.py VM2OCI     Needs root, umoci and bsdtar (libarchive-tools). Works in a temporary folder.

Debian 12, libarchive 3.6.2, umoci 0.4.7 [2 cores]: of 23 cases libarchive takes something else than runtimes in 5, vm2oci in
one (contiguous files, which it reads and `check` refuses); 200,000 files: bsdtar -t 0.78 CPU s, vm2oci convert 1.96.
"""
import hashlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

BLOCK = 512
DISK = b"the disk that runtimes see".ljust(BLOCK, b"!") * 4
OTHER = b"another disk".ljust(BLOCK, b"?") * 4


def header(name, size=0, kind=b"0", magic=b"ustar\x0000", prefix=b"", link=b"", mode=0o644, size_field=None):
    field = size_field if size_field is not None else b"%011o\0" % size
    block = bytearray(BLOCK)
    block[0:100] = name[:100].ljust(100, b"\0")
    block[100:108] = b"%07o\0" % mode
    block[108:124] = b"0000000\0" * 2
    block[124:136] = field
    block[136:148] = b"%011o\0" % 1600000000
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = magic
    block[345:500] = prefix[:155].ljust(155, b"\0")
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content):
    return content + bytes(-len(content) % BLOCK)


def member(name, content=b"", **more):
    return header(name, len(content), **more) + padded(content)


def pax(records, kind=b"x"):
    body = b""
    for key, value in records:
        size = len(key) + len(value) + 3
        size += len(str(size + len(str(size))))
        body += b"%d %s=%s\n" % (size, key, value)
    return member(b"PaxHeaders/x", body, kind=kind)


def gnu_name(name):
    return member(b"././@LongLink", name + b"\0", kind=b"L", magic=b"ustar  \0")


def ended(*parts):
    return b"".join(parts) + bytes(2 * BLOCK)


def folder(name):
    return member(name, kind=b"5", mode=0o755)


FOLDER = folder(b"disk/")
LONG = b"disk/" + b"n" * 120 + b".img"
SLASH_AT_100 = b"disk/" + b"d" * 94 + b"/"  # what an old header keeps of a long name

# name: the layers of an image, lowest first; each holds one disk below /disk.
CASES = {
    "plain": [ended(FOLDER, member(b"disk/d.img", DISK))],
    "names of /./ and //": [ended(FOLDER, member(b"./disk//./d.img", DISK))],
    "GNU name before a pax path": [ended(FOLDER, gnu_name(b"disk/gnu.img"), pax([(b"path", b"disk/pax.img")]),
                                         member(b"disk/old.img", DISK))],
    "pax path before a GNU name": [ended(FOLDER, pax([(b"path", b"disk/pax.img")]), gnu_name(b"disk/gnu.img"),
                                         member(b"disk/old.img", DISK))],
    "two pax headers, the last counts": [ended(FOLDER, pax([(b"path", b"disk/one.img")]), pax([(b"path", b"disk/two.img")]),
                                               member(b"disk/old.img", DISK))],
    "a path said twice in one header": [ended(FOLDER, pax([(b"path", b"disk/one.img"), (b"path", b"disk/two.img")]),
                                              member(b"disk/old.img", DISK))],
    "an empty path": [ended(FOLDER, pax([(b"path", b"")]), member(b"disk/old.img", DISK))],
    "a global header with a path": [ended(pax([(b"path", b"disk/all.img")], kind=b"g"), FOLDER,
                                          member(b"disk/d.img", DISK))],
    "the old name ends in a slash, the pax path does not": [ended(FOLDER, pax([(b"path", LONG)]), member(SLASH_AT_100, DISK))],
    "the old name ends in a slash, the GNU name does not": [ended(FOLDER, gnu_name(LONG),
                                                                  member(SLASH_AT_100, DISK, magic=b"ustar  \0"))],
    "a size in base 256": [ended(FOLDER, header(b"disk/d.img", size_field=b"\x80" + len(DISK).to_bytes(11, "big"),
                                                magic=b"ustar  \0") + padded(DISK))],
    "a pax size over the header's": [ended(FOLDER, pax([(b"size", b"%d" % len(DISK))]), header(b"disk/d.img", 0) + DISK)],
    "a prefix in ustar": [ended(FOLDER, member(b"d.img", DISK, prefix=b"disk"))],
    "bytes where GNU has times, not a prefix": [ended(FOLDER, member(b"disk/d.img", DISK, magic=b"ustar  \0",
                                                                     prefix=b"12345670123\x0012345670123"))],
    "the same name twice": [ended(FOLDER, member(b"disk/d.img", OTHER), member(b"disk/d.img", DISK))],
    "a file where a folder was": [ended(FOLDER, folder(b"disk/x")), ended(member(b"disk/x", DISK))],
    "a hard link to the disk": [ended(member(b"original", DISK), FOLDER,
                                      header(b"disk/d.img", 0, kind=b"1", link=b"original"))],
    "contiguous files (type 7)": [ended(FOLDER, member(b"disk/d.img", DISK, kind=b"7"))],
    "a type of the year 1979": [ended(FOLDER, member(b"disk/d.img", DISK, kind=b"\0", magic=bytes(8)))],
    "a name in another character set": [ended(FOLDER, pax([(b"hdrcharset", b"BINARY"), (b"path", b"disk/\xff.img")]),
                                              member(b"disk/d.img", DISK))],
    "sparse, as GNU 1.0 writes it": [ended(FOLDER, pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                                                        (b"GNU.sparse.name", b"disk/d.img"),
                                                        (b"GNU.sparse.realsize", b"%d" % (8 * BLOCK))]),
                                           member(b"disk/GNUSparseFile.1/d.img", padded(b"1\n2048\n2048\n") + DISK))],
    "behind a block of zeros": [ended(FOLDER, bytes(BLOCK), member(b"disk/d.img", DISK))],
    "something behind the end": [ended(FOLDER, member(b"disk/d.img", DISK)) + member(b"disk/d.img", OTHER) + bytes(1024)],
}


def digest(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:12]


def disk_below(root):
    """Digest of the only regular file below disk/, or what there is instead."""
    found = []
    for place, _, names in os.walk(os.path.join(root, "disk")):
        found += [os.path.join(place, name) for name in names if os.path.isfile(os.path.join(place, name))]
    return digest(found[0]) + " " + os.path.relpath(found[0], root)[-12:] if len(found) == 1 else f"{len(found)} files"


def quiet(*words, **more):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more).returncode


def image_of(layers, name):
    quiet("umoci", "init", "--layout", "images")
    quiet("umoci", "new", "--image", f"images:{name}")
    for layer in layers:
        pathlib.Path("layer.tar").write_bytes(layer)
        if quiet("umoci", "raw", "add-layer", "--image", f"images:{name}", "layer.tar") != 0:
            return False
    return True


def takes(case, layers, name, vm2oci):
    """What each of the three takes out of the layers: runtimes, libarchive, vm2oci."""
    for place in ("bundle", "theirs"):
        shutil.rmtree(place, ignore_errors=True)
    pathlib.Path("ours.raw").unlink(missing_ok=True)
    made = image_of(layers, name)
    runtimes = "refused"
    if made and quiet("umoci", "unpack", "--image", f"images:{name}", "bundle") == 0:
        runtimes = disk_below("bundle/rootfs")
    os.mkdir("theirs")
    libarchive = disk_below("theirs") if all(quiet("bsdtar", "-x", "-f", "-", "-C", "theirs", input=layer) == 0
                                              for layer in layers) else "refused"
    ours = "refused"
    if made and quiet(vm2oci, "-q", "convert", f"oci:images:{name}", "raw:ours.raw") == 0:
        ours = digest("ours.raw")
    return runtimes, libarchive, ours


def cpu_of(*words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = quiet(*words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return code, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def large_layer(entries):
    with open("large.tar", "wb") as tar:
        for number in range(entries):
            if number % 1000 == 0:
                tar.write(folder(b"usr/share/%06d/" % number))
            tar.write(pax([(b"mtime", b"1600000000.123456789")]))
            tar.write(member(b"usr/share/%06d/file-%d" % (number // 1000 * 1000, number), b"x" * (number % 700)))
        tar.write(FOLDER + member(b"disk/d.img", DISK) + bytes(2 * BLOCK))


def main():
    vm2oci = os.path.realpath(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        counts = {"libarchive": 0, "vm2oci": 0}
        for number, (case, layers) in enumerate(CASES.items()):
            runtimes, libarchive, ours = takes(case, layers, f"c{number}", vm2oci)
            wrong = []
            if libarchive != runtimes:
                counts["libarchive"] += 1
                wrong.append("libarchive: " + libarchive)
            # A refusal is no other disk; another disk, or one that no runtime unpacks, is.
            if ours not in ("refused", runtimes.split(" ")[0]):
                counts["vm2oci"] += 1
                wrong.append("vm2oci: " + ours)
            remark = "" if ours != "refused" or runtimes == "refused" else "(vm2oci refuses it)"
            print(f"{case:52} runtimes: {runtimes:28} {'; '.join(wrong) or 'same'} {remark}")
        print(json.dumps({"cases": len(CASES), "another disk than runtimes'": counts}))
        large_layer(200_000)
        quiet("umoci", "init", "--layout", "large")
        quiet("umoci", "new", "--image", "large:l")
        quiet("umoci", "raw", "add-layer", "--image", "large:l", "large.tar")
        blobs = sorted(pathlib.Path("large/blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
        for what, words in {"bsdtar -t": ("bsdtar", "-t", "-f", str(blobs[-1])),
                            "vm2oci convert, digests and all": (vm2oci, "-q", "convert", "oci:large:l", "raw:large.raw")}.items():
            code, seconds = cpu_of(*words)
            print(f"200,000 files in {blobs[-1].stat().st_size / 1e6:.0f} MB of gzip, {what}: {seconds:.2f} CPU s, exit {code}")


if __name__ == "__main__":
    main()
