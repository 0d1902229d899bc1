#!/usr/bin/env bash
# xfs of version 4, which kernels no longer mount: made by mkfs.xfs out of a list of files, given attributes by xfs_db, and
# read as what it was made from. With --appliance, by the kernel of libguestfs' appliance, which still mounts it: an odd
# tree, and a log that was not finished; some minutes without KVM:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD EXPORT_TAR=build/release/tests/integration/guest/export_tar
#       tests/integration/guest/xfs_version_4.sh --appliance
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mkfs.xfs xfs_db python3

# What the images are made from, as expected.json and as mkfs.xfs wants it.
python3 - << 'PYTHON'
import json, os, random
generator = random.Random(4)
os.mkdir("files")
expected, lines = {}, ["/boot-image", "0 0", "d--755 3 4"]
def entry(depth, path, kind, mode, uid, gid, rest=""):
    name = path.rsplit("/", 1)[-1]
    set_bits = ("u" if mode & 0o4000 else "-") + ("g" if mode & 0o2000 else "-")
    lines.append(f"{' ' * depth}{name} {kind}{set_bits}{mode & 0o777:03o} {uid} {gid} {rest}".rstrip())
def file(depth, path, content, mode=0o644, uid=0, gid=0):
    source = f"files/{len(expected)}"
    open(source, "wb").write(content)
    entry(depth, path, "-", mode, uid, gid, source)
    expected[path] = ["file", mode, uid, gid, content.hex()]
file(1, "hello", b"hello", 0o4755, 70000, 4294967294)
file(1, "empty", b"")
file(1, "large", generator.randbytes(3000001), 0o600)
for length in (1, 100, 155, 156, 157, 300, 512, 1000, 1023):
    entry(1, f"link-{length}", "l", 0o777, 0, 0, "t" * length)
    expected[f"link-{length}"] = ["symlink", 0o777, 0, 0, "t" * length]
entry(1, "null", "c", 0o666, 0, 0, "1 3")
expected["null"] = ["device", 0o666, 0, 0, [1, 3]]
entry(1, "disk", "b", 0o660, 0, 6, "259 100000")
expected["disk"] = ["device", 0o660, 0, 6, [259, 100000]]
entry(1, "fifo", "p", 0o600, 0, 0)
expected["fifo"] = ["fifo", 0o600, 0, 0, None]
for count in (0, 1, 4, 30, 200, 1500):
    entry(1, f"of-{count}", "d", 0o750, 1, 2)
    expected[f"of-{count}"] = ["folder", 0o750, 1, 2, None]
    for i in range(count):
        name = f"of-{count}/{'n' * generator.randrange(1, 200)}-{i}"
        file(2, name, b"%d" % i)
    lines.append(" $")
lines.append("$")
open("proto", "w").write("\n".join(lines) + "\n")
json.dump(expected, open("expected.json", "w"))
PYTHON

compare_version_4() { # MKFS-OPTION…
    step "version 4: mkfs.xfs $*"
    rm -f image.raw
    truncate -s 400M image.raw
    mkfs.xfs -q -f -m crc=0 -p proto "$@" image.raw > mkfs.log 2>&1 || fail "mkfs.xfs $*: $(cat mkfs.log)"
    local number
    number=$(xfs_db -r -c 'path /hello' -c 'print' image.raw 2> /dev/null | grep -c core.magic) || true
    [[ $number -ge 1 ]] || fail "xfs_db does not find a file by its path: this test is void"
    xfs_db -x -c 'path /hello' -c 'attr_set -u -v 20 short' -c 'attr_set -s -v 30 selinux' image.raw > db.log 2>&1
    xfs_db -x -c 'path /of-30' -c 'attr_set -r -v 5 hidden' -c 'attr_set -u -v 60000 huge' image.raw >> db.log 2>&1
    for i in $(seq 80); do printf -- '-c "attr_set -u -v %d number-%d" ' $((i * 7 % 250)) "$i"; done > commands
    eval "xfs_db -x -c 'path /large' $(cat commands) image.raw" >> db.log 2>&1
    "$EXPORT_TAR" image.raw > image.tar || fail "it was not read"
    python3 - << 'PYTHON' || fail "the trees differ"
import json, tarfile
expected = json.load(open("expected.json"))
values = {"hello": {"user.short": 20, "security.selinux": 30}, "of-30": {"trusted.hidden": 5, "user.huge": 60000},
          "large": {f"user.number-{i}": i * 7 % 250 for i in range(1, 81)}}
kinds = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "symlink", tarfile.CHRTYPE: "device",
         tarfile.BLKTYPE: "device", tarfile.FIFOTYPE: "fifo"}
found = {}
archive = tarfile.open("image.tar")
for member in archive:
    if member.name in ("", "."):
        assert (member.mode, member.uid, member.gid) == (0o755, 3, 4), member
        continue
    kind = kinds[member.type]
    content = {"file": lambda: archive.extractfile(member).read().hex(), "symlink": lambda: member.linkname,
               "device": lambda: [member.devmajor, member.devminor]}.get(kind, lambda: None)()
    found[member.name] = [kind, member.mode, member.uid, member.gid, content]
    attributes = {key[len("SCHILY.xattr."):]: value for key, value in member.pax_headers.items() if "xattr" in key}
    wanted = {name: "v" * length for name, length in values.get(member.name, {}).items()}
    assert attributes == wanted, (member.name, sorted(attributes)[:9])
assert found.keys() == expected.keys(), sorted(found.keys() ^ expected.keys())[:5]
for name, entry in expected.items():
    assert found[name] == entry, (name, [str(part)[:60] for part in found[name]], [str(part)[:60] for part in entry])
print(f"{len(found)} entries, no differences")
PYTHON
    "$VM2OCI" -q convert --sparsify raw:image.raw raw:sparse.raw > /dev/null
    "$EXPORT_TAR" sparse.raw | cmp - image.tar || fail "--sparsify changed a file"
}

compare_version_4 -b size=4096
compare_version_4 -b size=512 -i size=256 -n ftype=1
compare_version_4 -b size=1024 -n size=16384 -l version=1
compare_version_4 -b size=4096 -s size=4096 -n ftype=1 -i size=2048,projid32bit=0 -l lazy-count=0
[[ ${1:-} == --appliance ]] || exit 0

require_tool guestfish setfattr setfacl setcap
[[ $(id -u) -eq 0 ]] || fail "devices and owners need root"
here=$VM2OCI_SOURCE_DIR/tests/integration/guest
export LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg
step "an odd tree, put into version 4 by another kernel, and read back by it"
mkdir tree
bash "$here/odd_tree.sh" tree > odd.log 2>&1 || true
tar --create --xattrs --xattrs-include='*' --acls --numeric-owner --exclude=sparse --file tree.tar -C tree .
for image in clean dirty; do
    rm -f $image.raw
    truncate -s 400M $image.raw
    mkfs.xfs -q -f -m crc=0 -n ftype=1 $image.raw
done
# The last lines end the machine without unmounting what it wrote.
guestfish --format=raw -a clean.raw -a dirty.raw > guestfish.log 2>&1 << 'FISH' || true
run
mount /dev/sda /
tar-in tree.tar / xattrs:true acls:true selinux:true
umount-all
mount /dev/sda /
tar-out / clean.tar xattrs:true acls:true selinux:true numericowner:true
umount-all
mount /dev/sdb /
tar-in tree.tar / xattrs:true acls:true selinux:true
sync
rm-rf /indexed
mkdir /after
write /after/file "written last"
mv /links /after/links
chmod 0700 /plain
sync
kill-subprocess
FISH
[[ -s clean.tar ]] || fail "the appliance does not write version 4: $(tail -3 guestfish.log)"
"$EXPORT_TAR" clean.raw > ours.tar || fail "it was not read"
"$EXPORT_TAR" dirty.raw > replayed.tar || fail "a log that was not finished was not read"
cp --sparse=always dirty.raw recovered.raw
guestfish --format=raw -a recovered.raw run : mount /dev/sda / : \
    tar-out / recovered.tar xattrs:true acls:true selinux:true numericowner:true
cat > same.py << 'PYTHON'
import sys, tarfile
def tree(path):
    found = {}
    archive = tarfile.open(path)
    for member in archive:
        name = member.name.removeprefix("./").rstrip("/") or "."
        if member.islnk(): # which of the names comes first is the packer's choice
            found[name] = found[member.linkname.removeprefix("./")]
            continue
        content = archive.extractfile(member).read() if member.isreg() else member.linkname
        attributes = {key: value for key, value in member.pax_headers.items()
                      if key.startswith("SCHILY.xattr.") and "posix_acl" not in key and "SGI_ACL" not in key}
        found[name] = (member.type, member.mode, member.uid, member.gid,
            int(member.mtime), content, member.devmajor, member.devminor, attributes)
    return found
ours, theirs = tree(sys.argv[1]), tree(sys.argv[2])
for name in ours.keys() | theirs.keys():
    assert ours.get(name) == theirs.get(name), (name, str(ours.get(name))[:300], str(theirs.get(name))[:300])
print(len(ours), "entries, no differences")
PYTHON
python3 same.py ours.tar clean.tar || fail "the trees differ"
python3 same.py replayed.tar recovered.tar || fail "the replayed tree differs from the kernel's"
[[ $(tar -tf replayed.tar | grep -c '^after/') -ge 2 ]] || fail "what the log holds is missing: this test is void"
