#!/usr/bin/env python3
"""rpm_to_ndb.py SQLITE NDB: rpm's database of packages in its own form "ndb", as SUSE has it; Debian's rpm does not write
it."""
import sqlite3
import struct
import sys
import zlib

rows = sqlite3.connect(sys.argv[1]).execute("select hnum, blob from Packages").fetchall()
slots, blobs = [b"Slot" + bytes(12)] * (256 - 2), b""
for i, (number, blob) in enumerate(rows):
    content = b"BlbS" + struct.pack("<III", number, 1, len(blob)) + blob
    content += bytes(-(len(content) + 12) % 16)
    content += struct.pack("<II", zlib.adler32(content), len(blob)) + b"BlbE"
    slots[3 * i] = b"Slot" + struct.pack("<III", number, (4096 + len(blobs)) // 16, len(content) // 16)
    blobs += content
header = b"RpmP" + struct.pack("<IIII", 0, 1, 1, len(rows) + 1)
open(sys.argv[2], "wb").write(header.ljust(32, b"\0") + b"".join(slots) + blobs)
