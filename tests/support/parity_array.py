#!/usr/bin/env python3
"""parity_array.py make LEVEL CONTENT MEMBER…: an array of RAID 5 or 6 (left-symmetric, chunks of 64 KiB, superblocks of
version 1.2) that holds the content. parity_array.py check LEVEL CONTENT MEMBER…: that every row's parity fits its data,
and the content that the members hold, written to a file. Shares nothing with the code under test."""

import struct
import sys

CHUNK, DATA = 65536, 1 << 20


def double(value):
    return value << 1 ^ (0x11D if value & 0x80 else 0)


DOUBLE = bytes(map(double, range(256)))


def exclusive_or(a, b):
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


def places(level, count, row):
    """The members with data in their order, and those with parity."""
    p = count - 1 - row % count
    parity = [p] if level == 5 else [p, (p + 1) % count]
    first = parity[-1] + 1
    return [(first + i) % count for i in range(count - len(parity))], parity


def parities(level, blocks):
    p = q = bytes(CHUNK)
    for block in reversed(blocks):  # by Horner's rule: the first has the power 0
        p = exclusive_or(p, block)
        q = exclusive_or(q.translate(DOUBLE), block)
    return [p] if level == 5 else [p, q]


def superblock(level, count, number, sectors):
    block = bytearray(4096)
    # Linux, include/uapi/linux/raid/md_p.h: clean, its data from the first MiB on.
    struct.pack_into("<IIII16s32sQiIQII", block, 0, 0xA92B4EFC, 1, 0, 0, b"%d" % level * 16, b"host:root", 0, level, 2, sectors, CHUNK // 512, count)
    struct.pack_into("<QQQ", block, 128, DATA // 512, sectors, 8)
    struct.pack_into("<I", block, 160, number)
    struct.pack_into("<QQII", block, 200, 10, 0xFFFFFFFFFFFFFFFF, 0, count)
    struct.pack_into(f"<{count}H", block, 256, *range(count))
    words = struct.unpack_from(f"<{64 + count // 2}I", block)
    total = sum(words) + (struct.unpack_from("<H", block, 256 + 2 * (count - 1))[0] if count % 2 else 0)
    struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)
    return block


def main():
    verb, level, content, names = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
    count = len(names)
    data_count = count - (level - 4)
    if verb == "make":
        with open(content, "rb") as file:
            bytes_ = file.read()
        rows = -(-len(bytes_) // (CHUNK * data_count))
        bytes_ = bytes_.ljust(rows * CHUNK * data_count, b"\0")
        disks = [open(name, "wb") for name in names]
        for number, disk in enumerate(disks):
            disk.truncate(DATA + rows * CHUNK)
            disk.seek(4096)
            disk.write(superblock(level, count, number, rows * CHUNK // 512))
    else:
        disks = [open(name, "rb") for name in names]
        disks[0].seek(0, 2)
        rows = (disks[0].tell() - DATA) // CHUNK
        out = open(content, "wb")
    for row in range(rows):
        data, parity = places(level, count, row)
        if verb == "make":
            begin = row * CHUNK * data_count
            blocks = [bytes_[begin + i * CHUNK : begin + (i + 1) * CHUNK] for i in range(data_count)]
            for member, block in zip(data + parity, blocks + parities(level, blocks)):
                disks[member].seek(DATA + row * CHUNK)
                disks[member].write(block)
        else:
            for disk in disks:
                disk.seek(DATA + row * CHUNK)
            stored = [disk.read(CHUNK) for disk in disks]
            blocks = [stored[member] for member in data]
            assert [stored[member] for member in parity] == parities(level, blocks), f"the parity of row {row}"
            out.writelines(blocks)


main()
