#!/usr/bin/env python3
"""empty_hive.py FILE: a registry hive with nothing but its root key, which hivexregedit can fill.

The format: a header of 4 KiB, then a bin with the root key ("nk") and its security descriptor ("sk")."""
import struct
import sys

NONE = 0xffffffff
ROOT_AT = 0x20  # behind the bin's header; cells are named by their distance from the first bin


def cell(content):
    padding = -(len(content) + 4) % 8
    return struct.pack("<i", -(len(content) + 4 + padding)) + content + bytes(padding)


name = b"CMI-CreateHive"


def root(security_at):
    return cell(struct.pack("<2sHQIIIIIIIIIIIIIIIHH", b"nk", 0x2c, 0, 0, 0, 0, 0, NONE, NONE, 0, NONE, security_at, NONE,
                            0, 0, 0, 0, 0, len(name), 0) + name)


security_at = ROOT_AT + len(root(0))
security = cell(struct.pack("<2sHIIII", b"sk", 0, security_at, security_at, 1, 0))
used = struct.pack("<4sIIQQI", b"hbin", 0, 4096, 0, 0, 0) + root(security_at) + security
hive_bin = (used + struct.pack("<i", 4096 - len(used))).ljust(4096, b"\0")
header = struct.pack("<4sIIQIIIIIII", b"regf", 1, 1, 0, 1, 3, 0, 1, ROOT_AT, len(hive_bin), 1).ljust(508, b"\0")
checksum = 0
for (word,) in struct.iter_unpack("<I", header):
    checksum ^= word
header = (header + struct.pack("<I", checksum)).ljust(4096, b"\0")
with open(sys.argv[1], "wb") as file:
    file.write(header + hive_bin)
