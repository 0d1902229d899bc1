#!/usr/bin/env python3
"""compare_tree.py TAR FOLDER: is the archive, read by Python's tarfile, the same tree as a mounted file system?

Names, types, modes, owners, times, sizes, contents, link targets, hard links, device numbers and every extended
attribute as the kernel's own calls show them. Prints each difference; exit status 1 if there is one."""
import hashlib
import os
import stat
import sys
import tarfile

differences = []
# Under which root sees the access control lists of xfs once more.
SECOND_NAMES = {"trusted.SGI_ACL_FILE", "trusted.SGI_ACL_DEFAULT"}


def differ(path, what, expected, actual):
    differences.append(f"{path!r}: {what}: kernel {expected!r}, archive {actual!r}")


def digest(stream):
    sum = hashlib.sha256()
    for part in iter(lambda: stream.read(1 << 20), b""):
        sum.update(part)
    return sum.hexdigest()


def data_ranges(descriptor, size):
    """Where the kernel says that a file has data."""
    at = 0
    while at < size:
        try:
            begin = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:
            return
        at = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield begin, at - begin


def same_content(full, archive, member):
    """Of very sparse files what either side calls data is compared: the rest is holes on both."""
    if member.size < 1 << 30:
        return digest(open(full, "rb")) == digest(archive.extractfile(member))
    with open(full, "rb") as ours, archive.extractfile(member) as theirs:
        for at, length in list(data_ranges(ours.fileno(), member.size)) + list(member.sparse or [(0, member.size)]):
            for part in range(at, min(at + length, member.size), 1 << 20):
                size = min(1 << 20, at + length - part, member.size - part)
                ours.seek(part)
                theirs.seek(part)
                if ours.read(size) != theirs.read(size):
                    return False
    return True


def kernel_tree(root):
    """Every path below the root, as bytes, with its lstat; in the order that the archive must have."""
    def visit(path):
        yield path, os.lstat(os.path.join(root, path))
        if stat.S_ISDIR(os.lstat(os.path.join(root, path)).st_mode):
            for name in sorted(os.listdir(os.path.join(root, path))):
                yield from visit(os.path.join(path, name))
    yield from visit(b"")


def type_of(member):
    for test, name in ((member.isreg, "file"), (member.isdir, "folder"), (member.issym, "symlink"),
                       (member.ischr, "character device"), (member.isblk, "block device"), (member.isfifo, "fifo")):
        if test():
            return name
    return "unknown"


def type_of_mode(mode):
    for test, name in ((stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISLNK, "symlink"),
                       (stat.S_ISCHR, "character device"), (stat.S_ISBLK, "block device"), (stat.S_ISFIFO, "fifo"),
                       (stat.S_ISSOCK, "socket")):
        if test(mode):
            return name


def nanoseconds(member):
    text = member.pax_headers.get("mtime")
    if text is None:
        return int(member.mtime) * 10**9
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.lstrip("-").partition(".")
    return sign * (int(whole) * 10**9 + int((fraction + "0" * 9)[:9]))


def main():
    archive = tarfile.open(sys.argv[1], encoding="utf-8", errors="surrogateescape")
    root = os.fsencode(sys.argv[2])
    members = {}
    order = []
    for member in archive:
        path = os.fsencode(member.name)
        path = b"" if path == b"." else path
        if path in members:
            differences.append(f"{path!r} is twice in the archive")
        members[path] = member
        order.append(path)
    expected = [(path, status) for path, status in kernel_tree(root) if not stat.S_ISSOCK(status.st_mode)]
    if order != [path for path, _ in expected]:
        kernel_paths = [path for path, _ in expected]
        differences.append(f"paths or their order differ: only kernel {sorted(set(kernel_paths) - set(order))[:5]}, "
                           f"only archive {sorted(set(order) - set(kernel_paths))[:5]}")
    first_of_inode = {}
    for path, status in expected:
        if path not in members:
            continue
        member = members[path]
        full = os.path.join(root, path)
        target = None
        if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
            target = first_of_inode.setdefault((status.st_dev, status.st_ino), path)
        if target is not None and target != path:
            if not member.islnk() or os.fsencode(member.linkname) != target:
                differ(path, "hard link", target, (member.type, member.linkname))
            continue
        if type_of_mode(status.st_mode) != type_of(member):
            differ(path, "type", type_of_mode(status.st_mode), type_of(member))
            continue
        for what, ours, theirs in (("mode", stat.S_IMODE(status.st_mode), member.mode), ("uid", status.st_uid, member.uid),
                                   ("gid", status.st_gid, member.gid), ("mtime", status.st_mtime_ns, nanoseconds(member))):
            # Where a subvolume lay that a snapshot does not have, btrfs makes up a folder at each mount.
            made_up = what == "mtime" and path and status.st_ino == 2 and stat.S_ISDIR(status.st_mode)
            if ours != theirs and not made_up:
                differ(path, what, ours, theirs)
        if member.isreg():
            if status.st_size != member.size:
                differ(path, "size", status.st_size, member.size)
            elif not same_content(full, archive, member):
                differ(path, "content", "", "")
        if member.issym() and os.readlink(full) != os.fsencode(member.linkname):
            differ(path, "target", os.readlink(full), member.linkname)
        if (member.ischr() or member.isblk()) and (os.major(status.st_rdev), os.minor(status.st_rdev)) != (
                member.devmajor, member.devminor):
            differ(path, "device", status.st_rdev, (member.devmajor, member.devminor))
        attributes = {os.fsencode(name): os.getxattr(full, name, follow_symlinks=False)
                      for name in os.listxattr(full, follow_symlinks=False)
                      if name not in SECOND_NAMES}
        prefix = "SCHILY.xattr."
        archived = {os.fsencode(key[len(prefix):]): value.encode("utf-8", "surrogateescape")
                    for key, value in member.pax_headers.items() if key.startswith(prefix)}
        if attributes != archived:
            differ(path, "attributes", attributes, archived)
    for line in differences[:40]:
        print(line)
    print(f"{len(expected)} entries, {len(differences)} differences")
    return 1 if differences else 0


sys.exit(main())
