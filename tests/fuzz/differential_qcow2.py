#!/usr/bin/env python3
"""Breaks sound qcow2 images in seeded ways and holds our reading against qemu-img's.

For every seed: no crash, no hang; what both read is the same; what qemu-img refuses we refuse too, but for damage that
does not touch the disk's content (ACCEPTED_ALONE). What only we refuse is counted and allowed.

Usage: differential_qcow2.py VM2OCI FIRST-SEED COUNT [--keep FOLDER]    (--keep: images that fail go there)
"""
import argparse
import collections
import filecmp
import pathlib
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile

SECONDS = 10
MAX_OUTPUT = 1 << 28
# Persistent bitmaps tell a backup what changed; qemu-img loads them, and we do not read them.
ACCEPTED_ALONE = re.compile(r"[Bb]itmap")

BASES = {
    "plain": ["-o", "cluster_size=4k"],
    "tiny-v2": ["-o", "compat=0.10,cluster_size=512"],
    "zlib": ["-c", "-o", "cluster_size=4k"],
    "zstd": ["-c", "-o", "cluster_size=8k,compression_type=zstd"],
    "extended": ["-o", "extended_l2=on,cluster_size=16k"],
    "extended-zlib": ["-c", "-o", "extended_l2=on,cluster_size=16k"],
    "narrow-refcounts": ["-o", "refcount_bits=1,cluster_size=2k"],
    "large": ["-o", "cluster_size=64k"],
}
# Offset and width in bytes of every header field.
HEADER_FIELDS = [(0, 4), (4, 4), (8, 8), (16, 4), (20, 4), (24, 8), (32, 4), (36, 4), (40, 8), (48, 8), (56, 4), (60, 4),
                 (64, 8), (72, 8), (80, 8), (88, 8), (96, 4), (100, 4), (104, 1)]
EDGES = sorted({(1 << bit) + delta for bit in range(0, 65, 4) for delta in (-1, 0, 1)} - {-1})
OFFSET_MASK = 0x00FFFFFFFFFFFE00


def make_bases(folder):
    source = random.Random("bases")
    raw = folder / "source.raw"
    with open(raw, "wb") as disk:
        disk.truncate(600 * 1024)
        for offset, data in ((0, source.randbytes(9000)), (40960, b"text that compresses " * 3000),
                             (300000, source.randbytes(20000)), (500224, b"\1" * 70000)):
            disk.seek(offset)
            disk.write(data)
    bases = {}
    for name, options in BASES.items():
        image = folder / f"{name}.qcow2"
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *options, raw, image], check=True)
        if name == "plain":
            subprocess.run(["qemu-img", "snapshot", "-c", "kept", image], check=True)
            subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 3 8192 30000", "-c", "write -q -z 0 8192", image],
                           check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["qemu-img", "bitmap", "--add", image, "changes"], check=True)
        bases[name] = image.read_bytes()
    return bases


class Image:
    """An image under mutation, with the places where damage is most telling."""

    def __init__(self, content, generator):
        self.bytes = bytearray(content)
        self.random = generator
        self.cluster = 1 << struct.unpack_from(">I", content, 20)[0]
        self.l1, self.refcounts = struct.unpack_from(">QQ", content, 40)
        entries = struct.unpack_from(f">{struct.unpack_from('>I', content, 36)[0]}Q", content, self.l1)
        self.l2_tables = [entry & OFFSET_MASK for entry in entries if entry & OFFSET_MASK]

    def put(self, offset, width, value):
        if offset + width <= len(self.bytes):
            self.bytes[offset:offset + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "big")

    def get64(self, offset):
        return int.from_bytes(self.bytes[offset:offset + 8].ljust(8, b"\0"), "big")

    def some_place(self):
        """A host offset that is mostly sound, sometimes off a cluster, sometimes beyond the end."""
        place = self.random.randrange(0, len(self.bytes) // self.cluster + 2) * self.cluster
        return place + self.random.choice([0, 0, 0, 0, 0, 512, self.cluster // 2, 1 << 30, 1 << 50])

    def break_header(self):
        self.put(*self.random.choice(HEADER_FIELDS), self.random.choice(EDGES))

    def nudge_header(self):
        offset, width = self.random.choice(HEADER_FIELDS)
        value = int.from_bytes(self.bytes[offset:offset + width], "big")
        self.put(offset, width, value + self.random.choice([-1, 1, self.cluster, -self.cluster, value]))

    def break_extensions(self):
        offset = self.random.randrange(72, min(self.cluster, 400)) & ~3
        self.put(offset, 4, self.random.choice(EDGES + [0x6803F857, 0xE2792ACA, 0x44415441, 0x23852875, 0x0537BE77]))

    def break_l1(self):
        self.put(self.l1, 8, self.some_place() | self.random.choice([0, 1 << 63, 1 << 62, 1 << 56, 1]))

    def break_l2(self):
        table = self.random.choice(self.l2_tables or [self.l1])
        at = table + 8 * self.random.randrange(0, min(self.cluster // 8, 160))
        entry = self.get64(at)
        self.put(at, 8, self.random.choice([
            self.some_place(), self.some_place() | 1 << 63, self.some_place() | 1, 1, 1 << 63, 1 << 62 | self.some_place(),
            entry ^ 1 << self.random.randrange(64), entry + 512, entry + (1 << 57), self.random.getrandbits(64)]))

    def break_refcounts(self):
        self.put(self.refcounts + 8 * self.random.randrange(4), 8, self.random.choice(EDGES + [self.some_place()]))

    def flip(self):
        limit = self.random.choice([112, 512, self.l1 + 64, len(self.bytes)])
        self.bytes[self.random.randrange(min(limit, len(self.bytes)))] ^= 1 << self.random.randrange(8)

    def cut(self):
        del self.bytes[self.random.randrange(1, len(self.bytes)):]

    def move(self):
        size = self.random.choice([512, self.cluster])
        source, target = (self.random.randrange(0, len(self.bytes)) // size * size for _ in range(2))
        piece = self.bytes[source:source + size]
        self.bytes[target:target + len(piece)] = piece

    def mutate(self):
        ways = [self.break_header] * 3 + [self.break_l2] * 5 + [
            self.nudge_header, self.break_extensions, self.break_l1, self.break_refcounts, self.flip, self.move]
        for _ in range(self.random.randint(1, 3)):
            if len(self.bytes) > 128:
                self.random.choice(ways)()
        if self.random.random() < 0.05:
            self.cut()


def limits():
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_OUTPUT, MAX_OUTPUT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(command, output):
    """Exit code (None: it hung) and what it said."""
    output.unlink(missing_ok=True)
    try:
        process = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 timeout=SECONDS, preexec_fn=limits)
    except subprocess.TimeoutExpired:
        return None, ""
    return process.returncode, process.stderr.decode(errors="replace").strip()


def judge(ours, theirs, our_output, their_output):
    code, message = ours
    if code not in (0, 3):
        # A disk over the size that we let files have here: the machine fails, not the reader.
        return "same" if code == 1 and "File too large" in message else "CRASH"
    if code == 3:
        return "only qemu reads" if theirs[0] == 0 else "same"
    if theirs[0] == 0:
        return "same" if filecmp.cmp(our_output, their_output, shallow=False) else "WRONG CONTENT"
    if theirs[0] is None or theirs[0] < 0 or ACCEPTED_ALONE.search(theirs[1]):
        return "only we read, as we may"
    return "ONLY WE READ"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    counts = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="vm2oci-differential.") as name:
        folder = pathlib.Path(name)
        bases = make_bases(folder)
        image, our_output, their_output = folder / "image.qcow2", folder / "ours.raw", folder / "theirs.raw"
        for seed in range(arguments.first, arguments.first + arguments.count):
            generator = random.Random(seed)
            base = generator.choice(sorted(bases))
            broken = Image(bases[base], generator)
            broken.mutate()
            image.write_bytes(broken.bytes)
            theirs = run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, their_output], their_output)
            ours = run([arguments.program, "--progress", "none", "convert", f"qcow2:{image}", f"raw:{our_output}"],
                       our_output)
            verdict = judge(ours, theirs, our_output, their_output)
            counts[verdict] += 1
            if verdict.isupper():
                print(f"seed {seed} ({base}): {verdict}: ours {ours}, qemu-img {theirs}", flush=True)
                if arguments.keep:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(image, arguments.keep / f"{verdict.lower().replace(' ', '-')}-{seed}.qcow2")
    print(", ".join(f"{verdict}: {count}" for verdict, count in sorted(counts.items())))
    sys.exit(1 if any(verdict.isupper() for verdict in counts) else 0)


if __name__ == "__main__":
    main()
