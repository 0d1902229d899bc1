#!/usr/bin/env python3
"""make-volume-group.py IMAGE OUTPUT: a disk that is one LVM2 physical volume with the group `machines-1` and in it the
logical volume `root`, whose content is IMAGE, in two segments in the wrong order. No device mapper is needed.

The format: LVM2, lib/format_text/layout.h and lib/label/label.h.
"""
import struct
import sys
import zlib

SECTOR = 512
EXTENT = 1024 * 1024
DATA = EXTENT  # where the first extent begins
AREA = 4096  # the metadata area, up to DATA
PV = "aaaaaa-aaaa-aaaa-aaaa-aaaa-aaaa-aaaaaa"


def checksum(data):
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


def main(image, output):
    content = open(image, "rb").read()
    extents = -(-len(content) // EXTENT)
    content = content.ljust(extents * EXTENT, b"\0")
    first = extents // 2  # extents of the first segment, which lies behind the second one
    size = DATA + extents * EXTENT
    text = f"""machines-1 {{
id = "bbbbbb-bbbb-bbbb-bbbb-bbbb-bbbb-bbbbbb"
seqno = 2
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = {EXTENT // SECTOR}
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{PV}"
device = "/dev/vda"
status = ["ALLOCATABLE"]
flags = []
dev_size = {size // SECTOR}
pe_start = {DATA // SECTOR}
pe_count = {extents}
}}
}}
logical_volumes {{
root {{
id = "cccccc-cccc-cccc-cccc-cccc-cccc-cccccc"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 2
segment1 {{
start_extent = 0
extent_count = {first}
type = "striped"
stripe_count = 1
stripes = ["pv0", {extents - first}]
}}
segment2 {{
start_extent = {first}
extent_count = {extents - first}
type = "striped"
stripe_count = 1
stripes = ["pv0", 0]
}}
}}
}}
}}
""".encode() + b"\0"
    header = struct.pack("<32sQQQQQQ", PV.replace("-", "").encode(), size, DATA, 0, 0, 0, AREA)
    header = header[:56] + struct.pack("<QQQQQQ", 0, 0, AREA, DATA - AREA, 0, 0)
    body = struct.pack("<I8s", 32, b"LVM2 001") + header
    label = b"LABELONE" + struct.pack("<Q", 1)
    body = body.ljust(SECTOR - 20, b"\0")
    sector = label + struct.pack("<I", checksum(body)) + body
    area = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, AREA, DATA - AREA)
    area += struct.pack("<QQII", SECTOR, len(text), checksum(text), 0) + bytes(24)
    area = area.ljust(SECTOR - 4, b"\0")
    area = struct.pack("<I", checksum(area)) + area
    with open(output, "wb") as disk:
        disk.truncate(size)
        disk.seek(SECTOR)
        disk.write(sector)
        disk.seek(AREA)
        disk.write(area + text)
        disk.seek(DATA)
        disk.write(content[first * EXTENT:] + content[:first * EXTENT])


main(*sys.argv[1:])
