#!/usr/bin/env python3
"""write_btrfs_log.py FOLDER: changes of every kind in a mounted btrfs, each synchronised by fsync(2) alone, so that they
are in the log of their subvolume and in no transaction. Files as btrfs_tree.sh leaves them."""
import os
import sys

root = sys.argv[1]


def at(path):
    return os.path.join(root, path)


def sync(path):
    descriptor = os.open(at(path), os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def write(path, content, offset=None):
    with open(at(path), "wb" if offset is None else "r+b") as file:
        if offset is not None:
            file.seek(offset)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


for i in range(1, 200):
    write(f"before/{i}", b"new %d" % i)
# New files and folders, content in items, in extents and compressed.
os.mkdir(at("after"))
for i in range(300):
    write(f"after/file {i}", b"content %d\n" % i * (i % 40))
write("after/large", os.urandom(2_000_000))
write("after/words", b"".join(b"%d " % i for i in range(200_000)))
os.mkdir(at("after/deep"))
os.mkdir(at("after/deep/deeper"))
write("after/deep/deeper/file", b"deep")
# Parts replaced, cut, grown, punched.
for offset in range(0, 2_900_000, 200_000):
    write("before/large", b"part" * 2000, offset)
os.truncate(at("before/cut"), 1_234_567)
sync("before/cut")
with open(at("before/cut"), "r+b") as file:
    file.truncate(5_000_000)
    os.fsync(file.fileno())
os.system(f"fallocate -p -o 8192 -l 100000 '{at('before/cut')}'")
sync("before/cut")
with open(at("after/prepared"), "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 300_000)
    os.pwrite(file.fileno(), b"written", 50_000)
    os.fsync(file.fileno())
# Names that go, change and come.
for i in range(200, 240):
    os.unlink(at(f"before/{i}"))
sync("before")
os.rename(at("before/250"), at("before/renamed"))
sync("before/renamed")
os.rename(at("before/251"), at("after/moved"))
sync("after/moved")
os.rename(at("before/252"), at("before/253"))
sync("before/253")
for i in range(5):
    os.unlink(at(f"before/link-{i + 1}"))
sync("before/1")
for i in range(30):
    os.link(at("before/260"), at(f"before/second name {i}"))
sync("before/260")
os.symlink("t" * 900, at("after/link"))
sync("after")
# Modes, owners, attributes.
os.chmod(at("before/270"), 0o123)
os.chown(at("before/270"), 77, 88)
sync("before/270")
os.setxattr(at("after/file 1"), "user.late", b"value")
os.setxattr(at("after/file 1"), "user.large", b"l" * 2000)
sync("after/file 1")
os.removexattr(at("before/2"), "user.gone")
os.setxattr(at("before/2"), "user.new", b"new")
sync("before/2")
# Another subvolume has a log of its own.
for i in range(1, 20):
    write(f"second/before/{i}", b"second %d" % i)
os.unlink(at("second/before/30"))
sync("second/before")
# Not synchronised: nobody has to see it.
with open(at("before/lost"), "wb") as file:
    file.write(b"lost")
