#!/usr/bin/env python3
"""Breaks sound VMDK, VHD, VHDX and VDI images in seeded ways and holds our reading against qemu-img's.

For every seed: no crash, no hang; what both read is the same; what qemu-img refuses we refuse too, but for damage that
does not touch the disk's content (ACCEPTED_ALONE). What only we refuse is counted and allowed: checksums, copies that
differ, blocks that lie over others.

Usage: differential_disks.py VM2OCI FORMAT FIRST-SEED COUNT [--keep FOLDER]     FORMAT: vmdk, vhd, vhdx, vdi
"""
import argparse
import collections
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

import differential_qcow2
from differential_qcow2 import EDGES, judge, run

QEMU_NAMES = {"vmdk": "vmdk", "vhd": "vpc", "vhdx": "vhdx", "vdi": "vdi"}
BASES = {
    "vmdk": {"sparse": ["-o", "subformat=monolithicSparse"], "zeroed": ["-o", "subformat=monolithicSparse,zeroed_grain=on"],
             "stream": ["-o", "subformat=streamOptimized"]},
    "vhd": {"dynamic": ["-o", "subformat=dynamic"], "sized": ["-o", "subformat=dynamic,force_size=on"],
            "fixed": ["-o", "subformat=fixed,force_size=on"]},
    "vhdx": {"dynamic": ["-o", "subformat=dynamic,block_size=1M"], "fixed": ["-o", "subformat=fixed,block_size=1M"]},
    "vdi": {"dynamic": [], "static": ["-o", "static=on"]},
}
# Where numbers stand that matter: offset, bytes, width of a number.
PLACES = {
    "vmdk": [(4, 76, 4), (12, 60, 8), (512, 1024, 1), (10752, 64, 4), (11264, 200, 4), (0, 12288, 4)],
    "vhd": [(0, 88, 4), (512, 64, 4), (528, 16, 8), (1536, 64, 4), (2048, 512, 1)],
    "vhdx": [(65536, 80, 4), (131072, 80, 4), (196608, 96, 4), (262144, 96, 4), (1 << 20, 128, 4), (2 << 20, 200, 8),
             (3 << 20, 200, 4), ((2 << 20) + 65536, 64, 4), ((3 << 20) + 65536, 64, 4), (4 << 20, 64, 8)],
    "vdi": [(64, 448, 4), (340, 60, 4), (512, 64, 4)],
}
BIG_ENDIAN = {"vhd"}
# Text of a VMDK descriptor that qemu-img judges, and that says nothing of the content; extents of VHDX that it refuses
# to open while it could be written.
ACCEPTED_ALONE = {
    "vmdk": re.compile(r"adapter|toolsVersion|hwversion", re.IGNORECASE),
    "vhd": re.compile(r"^$"), "vhdx": re.compile(r"^$"), "vdi": re.compile(r"^$"),
}
CASTAGNOLI = [0] * 256
for index in range(256):
    value = index
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    CASTAGNOLI[index] = value


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CASTAGNOLI[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def make_bases(disk_format, folder):
    source = random.Random("bases")
    raw = folder / "source.raw"
    with open(raw, "wb") as disk:
        disk.truncate(5 * 1024 * 1024 + 512 * 13)
        for offset, data in ((0, source.randbytes(90000)), (1 << 20, b"text that compresses " * 9000),
                             (3000000, source.randbytes(200000)), (5000000, b"\1" * 70000)):
            disk.seek(offset)
            disk.write(data)
    bases = {}
    for name, options in BASES[disk_format].items():
        image = folder / f"{name}.{disk_format}"
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", QEMU_NAMES[disk_format], *options, raw, image],
                       check=True)
        bases[name] = image.read_bytes()
    return bases


class Image:
    """An image under mutation, with the places where damage is most telling."""

    def __init__(self, content, disk_format, generator):
        self.bytes = bytearray(content)
        self.format = disk_format
        self.random = generator
        self.order = "big" if disk_format in BIG_ENDIAN else "little"

    def number(self):
        """Where a number that matters stands."""
        offset, length, width = self.random.choice(PLACES[self.format])
        at = offset + self.random.randrange(0, length // width) * width
        if self.format == "vhd" and 28 <= at < 32:
            at = 48  # whose tool it was decides on the size, on which QEMUs differ
        return at, width

    def get(self, at, width):
        return int.from_bytes(self.bytes[at:at + width].ljust(width, b"\0"), self.order)

    def put(self, at, width, value):
        if at + width <= len(self.bytes):
            self.bytes[at:at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, self.order)

    def break_number(self):
        at, width = self.number()
        self.put(at, width, self.random.choice(EDGES))

    def nudge_number(self):
        at, width = self.number()
        value = self.get(at, width)
        self.put(at, width, value + self.random.choice([-1, 1, 2, 8, 128, -128, value, 1 << 20, -value]))

    def copy_number(self):
        (source, width), (target, _) = self.number(), self.number()
        self.put(target, width, self.get(source, width))

    def flip(self):
        at, _ = self.number()
        if at < len(self.bytes):
            self.bytes[at] ^= 1 << self.random.randrange(8)

    def move(self):
        source, target = (self.random.randrange(0, len(self.bytes)) // 512 * 512 for _ in range(2))
        piece = self.bytes[source:source + 512]
        self.bytes[target:target + len(piece)] = piece

    def seal(self):
        """The checksums, which qemu-img does not look at everywhere."""
        if self.format == "vhd" and len(self.bytes) > 2048:
            places = [(0, 512, 64), (512, 1024, 36)] if self.bytes[:8] == b"conectix" else []
            for begin, length, place in places:
                self.put(begin + place, 4, 0)
                self.put(begin + place, 4, ~sum(self.bytes[begin:begin + length]))
            if places and self.bytes[-512:-504] == b"conectix":
                self.bytes[-512:] = self.bytes[:512]
        if self.format == "vhdx" and len(self.bytes) > 1 << 20:
            for begin, length in ((65536, 4096), (131072, 4096), (196608, 65536), (262144, 65536)):
                self.put(begin + 4, 4, 0)
                self.put(begin + 4, 4, crc32c(self.bytes[begin:begin + length]))

    def only_we_may_read(self):
        """A VHDX whose first region table is broken has a second one, which qemu-img does not look at."""
        table = bytearray(self.bytes[196608:262144])
        checksum, table[4:8] = int.from_bytes(table[4:8], "little"), bytes(4)
        return self.format == "vhdx" and (table[:4] != b"regi" or crc32c(table) != checksum)

    def mutate(self):
        ways = [self.break_number] * 3 + [self.nudge_number] * 3 + [self.copy_number, self.flip, self.flip, self.move]
        for _ in range(self.random.randint(1, 3)):
            self.random.choice(ways)()
        if self.random.random() < 0.9:
            self.seal()
        if self.random.random() < 0.05:
            del self.bytes[self.random.randrange(1, len(self.bytes)):]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("format", choices=sorted(BASES))
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--keep", type=pathlib.Path)
    arguments = parser.parse_args()
    differential_qcow2.ACCEPTED_ALONE = ACCEPTED_ALONE[arguments.format]
    counts = collections.Counter()
    with tempfile.TemporaryDirectory(prefix="vm2oci-differential.") as name:
        folder = pathlib.Path(name)
        bases = make_bases(arguments.format, folder)
        image, our_output, their_output = folder / "image", folder / "ours.raw", folder / "theirs.raw"
        for seed in range(arguments.first, arguments.first + arguments.count):
            generator = random.Random(seed)
            base = generator.choice(sorted(bases))
            broken = Image(bases[base], arguments.format, generator)
            broken.mutate()
            image.write_bytes(broken.bytes)
            theirs = run(["qemu-img", "convert", "-f", QEMU_NAMES[arguments.format], "-O", "raw", image, their_output],
                         their_output)
            ours = run([arguments.program, "--progress", "none", "convert", f"{arguments.format}:{image}",
                        f"raw:{our_output}"], our_output)
            verdict = judge(ours, theirs, our_output, their_output)
            if verdict == "ONLY WE READ" and broken.only_we_may_read():
                verdict = "only we read, as we may"
            counts[verdict] += 1
            if verdict.isupper():
                print(f"seed {seed} ({base}): {verdict}: ours {ours}, qemu-img {theirs}", flush=True)
                if arguments.keep:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(image, arguments.keep / f"{verdict.lower().replace(' ', '-')}-{seed}.{arguments.format}")
    print(", ".join(f"{verdict}: {count}" for verdict, count in sorted(counts.items())))
    sys.exit(1 if any(verdict.isupper() for verdict in counts) else 0)


if __name__ == "__main__":
    main()
