#!/usr/bin/env python3
"""list_folder.py FOLDER: every file in it, one a line, in the order of paths: the path in hexadecimal, type, mode,
owner, time, and what the type has; names of one file refer to the first."""

import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFCHR: "character device",
         stat.S_IFBLK: "block device", stat.S_IFIFO: "fifo"}


def attributes(path):
    names = sorted(name for name in os.listxattr(path, follow_symlinks=False) if name != "security.selinux")
    return "".join(f" {name}={os.getxattr(path, name, follow_symlinks=False).hex()}" for name in names)


def line(path, shown, first):
    status = os.lstat(path)
    kind = KINDS[stat.S_IFMT(status.st_mode)]
    seconds, nanoseconds = divmod(status.st_mtime_ns, 10**9)
    text = f"{kind} {stat.S_IMODE(status.st_mode):o} {status.st_uid}:{status.st_gid} {seconds}.{nanoseconds:09}"
    if kind == "file":
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
        text += f" {status.st_size} {digest.hexdigest()}"
    if kind == "symlink":
        text += " -> " + os.readlink(path).hex()
    if kind.endswith("device"):
        text += f" {os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if kind != "directory" and status.st_nlink > 1:
        key = (status.st_dev, status.st_ino)
        if key in first:
            text += " = " + first[key].hex()
        else:
            first[key] = shown[1:]
    return f"{shown.hex()} {text}{attributes(path)}"


def walk(path, shown, first):
    print(line(path, shown or b"/", first))
    if os.path.islink(path) or not os.path.isdir(path):
        return
    for name in sorted(os.listdir(path)):
        walk(os.path.join(path, name), shown + b"/" + name, first)


sys.setrecursionlimit(10000)
walk(os.fsencode(sys.argv[1]), b"", {})
