#!/usr/bin/env bash
# What is installed, by the databases of rpm in its three forms and of dpkg: counted, listed as SPDX, and split into
# layers, beside what rpm and dpkg-query say themselves.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool rpm rpmbuild db5.3_load mke2fs python3 dpkg-query tar
validate=$VM2OCI_SOURCE_DIR/tests/support/validate_spdx.py

step "packages of our own, installed into rpm's databases"
mkdir specs
for number in $(seq 1 30); do
    license=MIT epoch='' long=''
    ((number % 3)) || license='GPL-2.0-or-later AND (MIT OR Apache-2.0)'
    ((number % 5)) || license='Copyright only'
    ((number % 4)) || epoch='Epoch: 2'
    ((number != 7)) || long=$(seq -f 'touch %%{buildroot}/usr/share/package-7/file-with-a-rather-long-name-%g' 1 3000)
    cat > specs/package-$number.spec << SPEC
Name: package-$number
Version: 1.$number~rc1
Release: 3
$epoch
Summary: a package
License: $license
BuildArch: noarch
%description
Nothing.
%install
mkdir -p %{buildroot}/usr/share/package-$number %{buildroot}/etc
echo $number > %{buildroot}/usr/share/package-$number/file
echo $number > %{buildroot}/etc/package-$number.conf
$long
%files
/usr/share/package-$number
%config /etc/package-$number.conf
SPEC
done
rpmbuild --quiet --define "_topdir $PWD/build" --define '_build_id_links none' -bb specs/*.spec > rpmbuild.log 2>&1 ||
    fail "$(tail -3 rpmbuild.log)"

mkdir -p tree/{etc,usr/bin,var/lib,bin}
printf 'ID=fedora\nVERSION_ID=39\nPRETTY_NAME="Fedora Linux 39"\n' > tree/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > tree/etc/passwd
cp /bin/true tree/bin/sh
# The database alone: nothing of this machine changes.
rpm --dbpath "$PWD/sqlite" -i --justdb --nodeps --noscripts --notriggers --nosignature --nodigest --ignorearch \
    --ignoreos build/RPMS/noarch/*.rpm 2> rpm.log || fail "$(tail -3 rpm.log)"
rpm -qa --dbpath "$PWD/sqlite" --qf '%{NAME}\n' | sort > installed
[[ $(wc -l < installed) -eq 30 ]] || fail "rpm installed $(wc -l < installed) packages: $(cat rpm.log)"
rpm -qa --dbpath "$PWD/sqlite" --qf '%{NAME} %{EPOCH} %{VERSION}-%{RELEASE} %{ARCH} %{SOURCERPM}\n' | python3 -c '
import sys, urllib.parse
for line in sys.stdin:
    name, epoch, version, arch, source = line.split()
    epoch = "" if epoch == "(none)" else f"&epoch={epoch}"
    print(f"pkg:rpm/fedora/{name}@{version}?arch={arch}&distro=fedora-39{epoch}&upstream={source}")' > purls

step "a hash of Berkeley DB, as old systems have it"
mkdir bdb
python3 - << 'PYTHON' | db5.3_load -t hash bdb/Packages
import sqlite3
print("VERSION=3\nformat=bytevalue\ntype=hash\ndb_pagesize=4096\nHEADER=END")
print(" 00000000\n 1e000000")
for number, blob in sqlite3.connect("sqlite/rpmdb.sqlite").execute("select hnum, blob from Packages"):
    print(f" {number.to_bytes(4, 'little').hex()}\n {blob.hex()}")
print("DATA=END")
PYTHON

step "rpm's own ndb, as SUSE has it; Debian's rpm does not write it"
mkdir ndb
"$VM2OCI_SOURCE_DIR/tests/support/rpm_to_ndb.py" sqlite/rpmdb.sqlite ndb/Packages.db

# disk NAME FOLDER: a disk with this database.
disk() {
    rm -rf tree/var/lib/rpm
    cp -r "$2" tree/var/lib/rpm
    rm -f "$1.raw"
    truncate -s 64M "$1.raw"
    mke2fs -q -F -t ext4 -d tree "$1.raw"
}
export SOURCE_DATE_EPOCH=1700000000
for backend in sqlite ndb bdb; do
    step "$backend: count and bill of materials"
    disk $backend $backend
    "$VM2OCI" --json inspect --sbom $backend.spdx.json $backend.raw > inspect.json
    python3 -c 'import json; p = json.load(open("inspect.json"))["inside"]["guest"]["packages"]; assert (p["manager"], p["count"]) == ("rpm", 30), p'
    python3 "$validate" $backend.spdx.json purls || fail "the document is not as it should be"
    cmp $backend.spdx.json sqlite.spdx.json || fail "the same packages give two documents"
done
python3 - << 'PYTHON'
import json
packages = {p["name"]: p for p in json.load(open("sqlite.spdx.json"))["packages"]}
assert packages["package-1"]["licenseDeclared"] == "MIT"
assert packages["package-3"]["licenseDeclared"] == "GPL-2.0-or-later AND (MIT OR Apache-2.0)"
assert packages["package-5"]["licenseDeclared"] == "NOASSERTION"
assert "Copyright only" in packages["package-5"]["licenseComments"]
assert json.load(open("sqlite.spdx.json"))["creationInfo"]["created"] == "2023-11-14T22:13:20Z"
PYTHON

step "what is still in the write-ahead log counts"
cp -r sqlite log
python3 - << 'PYTHON'
import os, shutil, sqlite3
database = sqlite3.connect("log/rpmdb.sqlite", isolation_level=None)
database.execute("pragma journal_mode = wal")
database.execute("pragma wal_autocheckpoint = 0")
database.execute("delete from Packages where hnum in (select hnum from Packages limit 4)")
shutil.copytree("log", "copy")
database.close()
assert os.path.getsize("copy/rpmdb.sqlite-wal") > 0
PYTHON
disk log copy
"$VM2OCI" --json inspect log.raw > inspect.json
python3 -c 'import json; p = json.load(open("inspect.json"))["inside"]["guest"]["packages"]; assert p["count"] == 26, p'

step "a damaged database is told, and hides nothing else"
cp -r sqlite damaged
printf 'garbage' | dd of=damaged/rpmdb.sqlite bs=1 seek=100 conv=notrunc status=none
disk damaged damaged
"$VM2OCI" --json inspect damaged.raw > inspect.json
python3 -c 'import json; g = json.load(open("inspect.json"))["inside"]["guest"]; assert g["packages"]["problem"] and g["packages"]["count"] is None and g["os"]["product"]'

step "--layers split"
for number in 1 2 3; do
    mkdir -p tree/usr/share/package-$number
    echo $number > tree/usr/share/package-$number/file
    echo changed > tree/etc/package-$number.conf
done
disk split sqlite
"$VM2OCI" -q convert --as rootfs --compression none --layers split split.raw oci:layout:split > /dev/null
python3 - << 'PYTHON'
import json, tarfile
blob = lambda d: "layout/blobs/" + d.replace(":", "/")
manifest = json.load(open(blob(json.load(open("layout/index.json"))["manifests"][0]["digest"])))
lower, beside, upper = ({m.name for m in tarfile.open(blob(l["digest"])) if m.isfile()} for l in manifest["layers"])
assert lower == {f"usr/share/package-{n}/file" for n in (1, 2, 3)}, lower
assert {f"etc/package-{n}.conf" for n in (1, 2, 3)} <= upper and "etc/os-release" in upper
assert "var/lib/rpm/rpmdb.sqlite" in beside and not beside & (lower | upper), beside
PYTHON

step "dpkg: as dpkg-query lists this machine's packages"
rm -rf tree/var/lib/rpm tree/usr/share/package-*
mkdir -p tree/var/lib/dpkg tree/usr/share/doc/base
printf 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian 12"\n' > tree/etc/os-release
cp /var/lib/dpkg/status tree/var/lib/dpkg/status
rm -f dpkg.raw
truncate -s 64M dpkg.raw
mke2fs -q -F -t ext4 -d tree dpkg.raw
# shellcheck disable=SC2016
dpkg-query -W -f '${db:Status-Status} ${Package} ${Version} ${Architecture} ${Source}\n' | python3 -c '
import sys, urllib.parse
for line in sys.stdin:
    status, name, version, arch, *source = line.rstrip("\n").split(" ", 4)
    if status == "installed":
        quote = lambda t: urllib.parse.quote(t, safe="-._~:")
        upstream = "&upstream=" + quote(source[0].replace(" (", "@").rstrip(")")) if source and source[0] else ""
        print(f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={arch}&distro=debian-12{upstream}")' > purls
grep -q upstream purls || fail "the test is void"
"$VM2OCI" -q convert --sbom dpkg.spdx.json dpkg.raw null: > /dev/null
python3 "$validate" dpkg.spdx.json purls || fail "the document is not as it should be"
"$VM2OCI" -q inspect --sbom again.spdx.json dpkg.raw > /dev/null
cmp dpkg.spdx.json again.spdx.json || fail "convert and inspect give two documents"
"$VM2OCI" -q inspect --sbom dpkg.cdx.json dpkg.raw > /dev/null
python3 - << 'PYTHON' || fail "CycloneDX tells of other packages than SPDX"
import json
spdx, cyclonedx = json.load(open("dpkg.spdx.json")), json.load(open("dpkg.cdx.json"))
assert (cyclonedx["bomFormat"], cyclonedx["specVersion"]) == ("CycloneDX", "1.5")
purls = [p["externalRefs"][0]["referenceLocator"] for p in spdx["packages"] if "externalRefs" in p]
assert [c["purl"] for c in cyclonedx["components"]] == purls
references = [c["bom-ref"] for c in cyclonedx["components"]]
assert len(set(references)) == len(references)
assert cyclonedx["dependencies"] == [{"ref": "guest", "dependsOn": references}]
assert cyclonedx["metadata"]["component"]["supplier"]["name"] == "debian"
assert {p["name"]: p for p in spdx["packages"]}["Debian 12"]["supplier"] == "Organization: debian"
PYTHON

step "two machines with the same packages share their lower layer"
rm -rf tree/var/lib/dpkg tree/etc/package-*
mkdir -p tree/var/lib/dpkg/info tree/usr/share/base tree/srv
cp /var/lib/dpkg/status tree/var/lib/dpkg/status
printf 'packaged\n' > tree/usr/share/base/file
ln tree/usr/share/base/file tree/usr/share/base/link
printf 'setting=1\n' > tree/etc/base.conf
printf '%s\n' /. /usr /usr/share /usr/share/base /usr/share/base/file /usr/share/base/link /etc /etc/base.conf /bin/sh \
    > tree/var/lib/dpkg/info/base.list
echo /etc/base.conf > tree/var/lib/dpkg/info/base.conffiles
# machine NAME OWN-FILE BLOCK-SIZE: a disk of it.
machine() {
    printf '%s\n' "$1" > tree/etc/hostname
    printf 'setting=%s\n' "$1" > tree/etc/base.conf
    head -c 100000 /dev/urandom > tree/srv/data
    touch "tree/$2"
    truncate -s 64M "$1.raw"
    mke2fs -q -F -t ext4 -b "$3" -d tree "$1.raw"
    "$VM2OCI" -q convert --as rootfs --compression gzip:1 --layers split "$1.raw" "oci:layout:$1" > /dev/null
    rm "tree/$2"
}
machine one srv/one 4096
machine two usr/share/base/two 1024
machine three opt-three 2048
python3 - << 'PYTHON'
import json, tarfile
blob = lambda d: "layout/blobs/" + d.replace(":", "/")
index = {m["annotations"]["org.opencontainers.image.ref.name"]: m for m in json.load(open("layout/index.json"))["manifests"]}
one, two, three = (json.load(open(blob(index[name]["digest"])))["layers"] for name in ("one", "two", "three"))
assert [len(layers) for layers in (one, two, three)] == [3, 3, 3]
assert one[0] == two[0] == three[0], "the lowest layers differ"
assert one[1] == three[1] != two[1], "what lies beside the packages is the same in clones"
assert len({layers[2]["digest"] for layers in (one, two, three)}) == 3
lower = {m.name for m in tarfile.open(blob(one[0]["digest"])) if not m.isdir()}
assert lower == {"bin/sh", "usr/share/base/file", "usr/share/base/link"}, lower
beside, upper = ({m.name for m in tarfile.open(blob(layer["digest"])) if not m.isdir()} for layer in two[1:])
assert {"usr/share/base/two", "var/lib/dpkg/status"} <= beside, beside
assert {"etc/hostname", "etc/base.conf", "srv/data"} <= upper and not upper & (lower | beside) and not lower & beside, upper
PYTHON
