#!/usr/bin/env python3
"""list_tree.py FOLDER: one line for each file below a folder that the kernel shows: path, mode, owner, size, names, time
of change, content and extended attributes, in byte order of the paths. list_tree.py --compare BEFORE AFTER REPORT: that
two such lists differ in what the edits of a vm2oci report changed, and in the times of the folders around it, and in
nothing else."""

import hashlib
import json
import os
import stat
import sys

EMPTY_SUBVOLUME_INODE = 2


def lines(root):
    for folder, folders, files in os.walk(root):
        for name in [""] + files + [n for n in folders if os.path.islink(os.path.join(folder, n))]:
            path = os.path.join(folder, name) if name else folder
            status = os.lstat(path)
            content = ""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            is_folder = stat.S_ISDIR(status.st_mode)
            # What stands in a snapshot of btrfs where a subvolume was has this inode (btrfs_tree.h), and the time of
            # its first look-up.
            is_stand_in = is_folder and path != root and status.st_ino == EMPTY_SUBVOLUME_INODE
            yield {
                "path": os.path.relpath(path, root),
                "mode": oct(status.st_mode),
                "owner": [status.st_uid, status.st_gid],
                "size": None if is_folder else status.st_size,
                "names": None if is_folder else status.st_nlink,
                "modified": 0 if is_stand_in else status.st_mtime_ns,
                "content": content,
                "attributes": {
                    name: os.getxattr(path, name, follow_symlinks=False).hex()
                    for name in sorted(os.listxattr(path, follow_symlinks=False))
                },
            }


def read(name):
    with open(name, encoding="utf-8") as file:
        return {entry["path"]: entry for entry in map(json.loads, file)}


def compare(before_name, after_name, report_name):
    before, after = read(before_name), read(after_name)
    with open(report_name, encoding="utf-8") as file:
        changed = json.load(file)["edits"]["changed"]
    planned = {edit["path"].lstrip("/") or "." for edit in changed}
    removed = {edit["path"].lstrip("/") for edit in changed if edit["action"] == "remove"}
    unseen = set(planned)
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        within = next((p for p in removed if path == p or path.startswith(p + "/")), None)
        if path in planned or within is not None:
            unseen.discard(path)
            # What a file had and nobody spoke of is still there.
            if old and new and stat.S_ISREG(int(old["mode"], 8)):
                assert old["attributes"].items() <= new["attributes"].items(), (old, new)
                assert old["owner"] == new["owner"], (old, new)
            continue
        assert old and new, (old, new)
        assert stat.S_ISDIR(int(new["mode"], 8)), (old, new)
        assert {**old, "modified": 0} == {**new, "modified": 0}, (old, new)
    assert not unseen, unseen
    if any("security.selinux" in entry["attributes"] for entry in before.values()):
        bare = {path for path in after if "security.selinux" not in after[path]["attributes"]}
        # What another file system is mounted on has been hidden when labels were given.
        bare -= {path for path in before if "security.selinux" not in before[path]["attributes"]}
        assert not bare, bare


if sys.argv[1] == "--compare":
    compare(*sys.argv[2:5])
else:
    for entry in sorted(lines(sys.argv[1]), key=lambda e: os.fsencode(e["path"])):
        print(json.dumps(entry))
