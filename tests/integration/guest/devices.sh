#!/usr/bin/env bash
# Guests whose disks have other names than ours, or none: by links, as Xen calls them, by the types of partitions, two
# roots on one disk, and file systems that stayed behind.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs sfdisk mkswap jq

# A guest's tree: FOLDER HOSTNAME
make_tree() {
    mkdir -p "$1"/{etc,bin,sbin,usr,var,srv,home,proc,dev,boot}
    printf 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian 12"\n' > "$1/etc/os-release"
    printf 'root:x:0:0::/root:/bin/sh\n' > "$1/etc/passwd"
    printf 'root:x:0:\n' > "$1/etc/group"
    printf '%s\n' "$2" > "$1/etc/hostname"
    cp /bin/true "$1/bin/sh"
}
# FILE FOLDER UUID: 16 MiB of ext4
make_ext4() { mke2fs -q -t ext4 -U "$3" -d "$2" "$1" 16M; }
# DISK FILE SECTOR
put() { dd if="$2" of="$1" bs=512 seek="$3" conv=notrunc,sparse status=none; }
inspect() { "$VM2OCI" inspect --json "$@" 2> /dev/null; }
uuid() { printf '11111111-2222-4333-8444-5555555555%02d' "$1"; }

step "a guest that names its disk by its serial number, in fstab and crypttab"
make_tree named named
link=/dev/disk/by-id/ata-MAKER_SERIAL
printf '%s-part1 / ext4 defaults 0 1\n%s-part2 /srv ext4 defaults 0 2\n%s-part3 none swap sw 0 0\n' \
    "$link" "$link" "$link" > named/etc/fstab
printf '/dev/disk/by-id/ata-OTHER-part1 /home ext4 nofail 0 2\n' >> named/etc/fstab
mkdir -p srv && printf 'served' > srv/file
make_ext4 named.root named "$(uuid 1)"
make_ext4 named.srv srv "$(uuid 2)"
truncate -s 8M named.swap && mkswap -q -U "$(uuid 3)" named.swap
truncate -s 60M named.raw
printf 'label: gpt\nstart=2048,size=32768,type=L\nstart=34816,size=32768,type=L\nstart=67584,size=16384,type=S\n' |
    sfdisk -q named.raw
put named.raw named.root 2048 && put named.raw named.srv 34816 && put named.raw named.swap 67584
inspect raw:named.raw > named.json
expect_equal '["partition 1","partition 2","partition 3",null]' \
    "$(jq -c '[.. | .fstab? // empty] | .[0] | map(.volume)' named.json)" \
    "what the links mean"
expect_equal "/home optional" \
    "$(jq -r '[.. | .missing? // empty] | .[0][] | "\(.mount_point) \(.need)"' named.json)" \
    "what is missing, and how badly"
"$VM2OCI" inject raw:named.raw raw:named-fixed.raw --fix=devices > fix.log 2>&1 || fail "$(cat fix.log)"
expect_equal "UUID=$(uuid 1)"$'\n'"UUID=$(uuid 2)"$'\n'"UUID=$(uuid 3)"$'\n/dev/disk/by-id/ata-OTHER-part1' \
    "$(inspect raw:named-fixed.raw | jq -r '[.. | .fstab? // empty] | .[0][].device')" \
    "what --fix makes of them"

step "Xen's partitions without a disk"
make_tree xen xen
printf '/dev/xvda2 / ext4 noatime 0 1\n/dev/xvda1 none swap sw 0 0\n' > xen/etc/fstab
make_ext4 xen.raw xen "$(uuid 4)"
inspect raw:xen.raw > xen.json
expect_equal '["whole disk",null]' "$(jq -c '[.. | .fstab? // empty] | .[0] | map(.volume)' xen.json)" "xvda2 and xvda1"
jq -e '[.. | .problems? // empty | select(type == "array")[].text] | any(contains("/dev/xvda1"))' xen.json > /dev/null ||
    fail "swap on /dev/xvda1, which is gone, is not told"

step "partitions that are mounted by their types, without an fstab"
make_tree typed typed
rmdir typed/usr typed/srv && mkdir typed/usr typed/srv
printf '0123456789abcdef0123456789abcdef\n' > typed/etc/machine-id
mkdir -p usr/bin var/lib && cp /bin/true usr/bin/env && printf 'kept' > var/lib/state
make_ext4 typed.root typed "$(uuid 5)"
make_ext4 typed.usr usr "$(uuid 6)"
make_ext4 typed.var var "$(uuid 7)"
truncate -s 80M typed.raw
{
    printf 'label: gpt\n'
    printf 'start=2048,size=32768,type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709\n'
    printf 'start=34816,size=32768,type=8484680C-9521-48C6-9C11-B0720656F69E\n'
    printf 'start=67584,size=32768,type=4D21B016-B534-45C2-A9FB-5C16E091FD2D,uuid=c0c46eff-e386-4746-a2bd-0962cd326ea2\n'
} | sfdisk -q typed.raw
put typed.raw typed.root 2048 && put typed.raw typed.usr 34816 && put typed.raw typed.var 67584
mounts() { inspect raw:typed.raw | jq -r '[.. | .mounts? // empty] | .[0][] | "\(.mount_point) \(.volume)"'; }
expect_equal $'/ partition 1\n/usr partition 2\n/var partition 3' "$(mounts)" "mounts by type"
sfdisk -q --part-uuid typed.raw 3 c0c46eff-e386-4746-a2bd-0962cd326ea3
expect_equal $'/ partition 1\n/usr partition 2' "$(mounts)" "a /var of another machine"

step "two roots: the boot loader's, and --root-partition"
for which in 1 2; do
    make_tree "root$which" "system$which"
    printf 'UUID=%s / ext4 defaults 0 1\n' "$(uuid "1$which")" > "root$which/etc/fstab"
    make_ext4 "two.$which" "root$which" "$(uuid "1$which")"
done
mkdir -p boot/grub2 boot/loader/entries
printf 'blscfg\n' > boot/grub2/grub.cfg
printf '# GRUB Environment Block\nsaved_entry=b\n' > boot/grub2/grubenv
printf 'title A\noptions root=UUID=%s ro\n' "$(uuid 11)" > boot/loader/entries/z.conf
printf 'title B\noptions root=UUID=%s ro\n' "$(uuid 12)" > boot/loader/entries/b.conf
make_ext4 two.boot boot "$(uuid 10)"
truncate -s 80M two.raw
printf 'label: gpt\nstart=2048,size=32768\nstart=34816,size=32768\nstart=67584,size=32768\n' | sfdisk -q two.raw
put two.raw two.boot 2048 && put two.raw two.1 34816 && put two.raw two.2 67584
host() { inspect raw:two.raw "$@" | jq -r '.. | .hostname? // empty'; }
expect_equal system2 "$(host)" "the root that the boot loader starts"
expect_equal system1 "$(host --root-partition 2)" "the root that was asked for"
expect_equal system2 "$(host --root-partition "UUID=$(uuid 12)")" "the root by its UUID"
for number in 2 3; do
    "$VM2OCI" -q convert --root-partition $number raw:two.raw "oci:titled:$number" > convert.txt
    expect_equal "system$((number - 1))" \
        "$("$VM2OCI" inspect --json "oci:titled:$number" | jq -r '.image.annotations["org.opencontainers.image.title"]')" \
        "the machine that an image is named after"
done
status=0
"$VM2OCI" inspect raw:two.raw --root-partition 7 > /dev/null 2> two.log || status=$?
[[ $status -ne 0 ]] || fail "a root that is not there is not refused"
grep -q 'no such partition' two.log || fail "$(cat two.log)"

step "what cannot be reached is not prepared"
make_tree lost lost
printf 'UUID=%s / ext4 defaults 0 1\nUUID=%s /var ext4 defaults 0 2\n' "$(uuid 20)" "$(uuid 21)" > lost/etc/fstab
make_ext4 lost.raw lost "$(uuid 20)"
for edits in --sysprep=logs "--sysprep=all"; do
    status=0
    "$VM2OCI" inject raw:lost.raw raw:none.raw "$edits" > /dev/null 2> lost.log || status=$?
    expect_equal 3 "$status" "the exit code of $edits without /var"
    ! grep -q 'guest-backend' lost.log || fail "libguestfs is advised for a disk that is not there"
done
status=0
"$VM2OCI" convert --as rootfs raw:lost.raw oci:none:1 > /dev/null 2> lost.log || status=$?
expect_equal 3 "$status" "the exit code of a root file system without /var"
! grep -q 'guest-backend' lost.log || fail "libguestfs is advised for a disk that is not there"
