#!/usr/bin/env bash
# Files that are mostly holes cost a rootfs image and a Kata image little, and come out as they are: by umoci's unpacking
# and by GNU tar's. Needs root, for umoci.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs umoci tar python3
[[ $(id -u) -eq 0 ]] || fail "umoci unpack needs root"

mkdir -p tree/{etc,bin,sbin,var/log,srv}
printf 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian 12"\n' > tree/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > tree/etc/passwd
cp /bin/true tree/bin/sh
cp /bin/true tree/sbin/init
# An id of a directory service makes such files; a database has a piece in the middle; a small hole is no matter.
truncate -s 1200G tree/var/log/lastlog
printf 'somebody' | dd of=tree/var/log/lastlog bs=1 seek=292000 conv=notrunc status=none
truncate -s 200M tree/srv/database
head -c 300000 /dev/urandom | dd of=tree/srv/database bs=1000 seek=70001 conv=notrunc status=none
printf 'end' | dd of=tree/srv/database bs=1 seek=209715197 conv=notrunc status=none
truncate -s 100M tree/srv/empty
truncate -s 3M tree/srv/small
ln tree/srv/database tree/srv/linked
truncate -s 96M disk.raw
mke2fs -q -F -t ext4 -b 1024 -d tree disk.raw

step "a rootfs image"
"$VM2OCI" -q --json convert --as rootfs --compression none --arch amd64 raw:disk.raw oci:images:web > report.json
expect_match 'sparse members' "$(cat report.json)" 'the remark'
layer=$(find images/blobs -type f -size +100k)
expect_at_most 12000000 "$(stat -c %s "$layer")" 'bytes of the layer'
mkdir unpacked
tar --warning=no-timestamp -xf "$layer" -C unpacked
rm tree/var/log/lastlog # compared by its size and its one block
same_trees() {
    expect_equal 1288490188800 "$(stat -c %s "$1/var/log/lastlog")" "the size of lastlog, $2"
    expect_equal somebody "$(dd if="$1/var/log/lastlog" bs=1 skip=292000 count=8 status=none)" "what is in it, $2"
    for file in srv/database srv/empty srv/small srv/linked; do
        cmp "tree/$file" "$1/$file" || fail "$file differs, $2"
    done
}
same_trees unpacked 'unpacked by GNU tar'
# umoci writes zeros out: a smaller file for it.
debugfs -w -R 'rm /var/log/lastlog' disk.raw 2> debugfs.log
"$VM2OCI" -q convert --as rootfs --compression gzip --arch amd64 raw:disk.raw oci:images:less > report.txt
umoci unpack --image images:less bundle > umoci.log 2>&1 || fail "umoci: $(cat umoci.log)"
for file in srv/database srv/empty srv/small srv/linked; do
    cmp "tree/$file" "bundle/rootfs/$file" || fail "$file differs, unpacked by umoci"
done

step "where members have to be whole, a hole of a terabyte is refused"
truncate -s 1200G tree/var/log/lastlog
rm disk.raw
truncate -s 96M disk.raw
mke2fs -q -F -t ext4 -d tree disk.raw
expect_exit 3 "$VM2OCI" -q convert --as rootfs --chunked --arch amd64 raw:disk.raw oci:images:chunked
expect_match 'lastlog.*holes' "$(cat stderr)" 'the cause'
