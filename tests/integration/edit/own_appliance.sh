#!/usr/bin/env bash
# Guests as Enterprise Linux 9 and 7 lay them out, on xfs and LVM, changed by vm2oci's own appliance: the plan and nothing
# else, labels and times kept, logs clean, libguestfs not looked at; what is killed or broken leaves nothing behind.
# Needs root, for loop devices, and a kernel that mounts xfs.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=../guest/like_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/guest/like_guest.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool mkfs.xfs mkfs.btrfs btrfs blkid ssh-keygen xfs_repair xfs_db sfdisk mkfs.fat mcopy mmd pvcreate lvcreate losetup cpio rpm rpmbuild db5.3_load setcap getcap \
    jq strace python3 qemu-system-x86_64
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
modprobe xfs 2> /dev/null || true
grep -qw xfs /proc/filesystems || fail "this kernel does not mount xfs, and the disks are made by it"
list_tree=$VM2OCI_SOURCE_DIR/tests/support/list_tree.py

mkdir mnt
trap 'status=$?; set +e; ! mountpoint -q mnt || umount -R mnt; for disk in ./*.raw; do losetup -n -O NAME -j "$disk" | xargs -r losetup -d; done; (exit "$status"); _clean_up' EXIT

step "vm2oci without its kernel says what brings it"
install_without_kernel prefix
vm2oci=$PWD/prefix/bin/vm2oci
truncate -s 80M xfs.raw
mkfs.xfs -q -f xfs.raw 2> /dev/null || { truncate -s 400M xfs.raw && mkfs.xfs -q -f xfs.raw; }
mount -o loop xfs.raw mnt
mkdir -p mnt/{etc,usr,bin,var/lib}
printf 'ID=debian\nVERSION_ID="12"\n' > mnt/etc/os-release
printf 'root:x:0:0:root:/root:/bin/sh\n' > mnt/etc/passwd
printf '/dev/vda / xfs defaults 0 0\n' > mnt/etc/fstab
umount mnt
expect_exit 3 "$vm2oci" inject -q --guest-backend appliance --hostname new raw:xfs.raw raw:out.raw
expect_match "cmake --build --preset release --target guest-kernel" "$(cat stderr)" "what to do"
[[ ! -e out.raw ]] || fail "a refused edit left a disk"

step "with it"
install_kernel prefix
"$vm2oci" inject -q --json --hostname new raw:xfs.raw raw:out.raw > report.json
expect_equal appliance "$(jq -r .edits.backend report.json)" "what wrote a whole disk of xfs"
xfs_repair -n -f out.raw > repair.log 2>&1 || fail "$(tail -3 repair.log)"
rm out.raw

step "btrfs, whose trees lie where fstab says: changed and grown"
truncate -s 602M btrfs.raw
printf 'label: gpt\nstart=1MiB,size=600MiB,type=L\n' | sfdisk -q btrfs.raw
part=$(losetup --find --show --offset 1048576 --sizelimit $((600 * 1048576)) btrfs.raw)
mkfs.btrfs -q -f "$part" > /dev/null
mount "$part" mnt
for tree in @ @home @var; do btrfs -q subvolume create "mnt/$tree" > /dev/null; done
mkdir -p mnt/@/{etc/ssh,var,home,usr/bin,usr/lib/systemd,root,bin,sbin} mnt/@var/{log,lib} mnt/@home/user
printf 'ID=opensuse-leap\nVERSION_ID="15.6"\n' > mnt/@/etc/os-release
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' > mnt/@/etc/passwd
printf 'root:x:0:\n' > mnt/@/etc/group
uuid=$(blkid -o value -s UUID "$part")
for place in /:@ /home:/@home /var:@var; do
    printf 'UUID=%s %s btrfs subvol=%s 0 0\n' "$uuid" "${place%:*}" "${place#*:}"
done > mnt/@/etc/fstab
echo secret > mnt/@/etc/ssh/ssh_host_rsa_key
# A tree that nobody mounts has the same names.
mkdir mnt/etc
cp -r mnt/@/etc/ssh mnt/etc/
umount mnt
losetup -d "$part"
ssh-keygen -q -t ed25519 -N '' -C test -f key
"$vm2oci" convert -q --json --size 2G --hostname new --sysprep --ssh-key key.pub:user btrfs.raw raw:out.raw > report.json
expect_equal appliance "$(jq -r .edits.backend report.json)" "what wrote btrfs"
part=$(losetup --find --show --offset 1048576 --sizelimit $((2046 * 1048576)) out.raw)
btrfs check "$part" > check.log 2>&1 || fail "$(tail -3 check.log)"
mount -o ro "$part" mnt
expect_equal new "$(cat mnt/@/etc/hostname)" "the name"
[[ ! -e mnt/@/etc/ssh/ssh_host_rsa_key && -e mnt/etc/ssh/ssh_host_rsa_key && ! -e mnt/etc/hostname ]] || fail "another tree was changed"
expect_equal "$(cat key.pub)" "$(cat mnt/@home/user/.ssh/authorized_keys)" "the key"
(($(stat -f -c '%b * %S' mnt) > 2000 * 1048576)) || fail "the file system has only $(stat -f -c '%b blocks of %S' mnt)"
umount mnt
losetup -d "$part"
rm out.raw btrfs.raw

step "the files of a Debian machine"
unpack_debian
printf '#cloud-config\nusers: [default]\n' > user-data
head -c 3000000 /dev/urandom > large

# list DISK: its root and its /boot, both of which must be sound, into DISK.list
list() {
    local root boot
    # As el_like_disk.sh lays them out: the group's first extent is a MiB behind its begin, and swap has 128.
    root=$(losetup --find --show --offset $((630 * 1048576)) --sizelimit $((1960 * 1048576)) "$1")
    boot=$(losetup --find --show --offset $((101 * 1048576)) --sizelimit $((400 * 1048576)) "$1")
    xfs_repair -n "$root" > repair.log 2>&1 || fail "the root of $1: $(tail -3 repair.log)"
    xfs_repair -n "$boot" > repair.log 2>&1 || fail "/boot of $1: $(tail -3 repair.log)"
    # A log that is not finished would be carried out.
    mount -o ro,norecovery "$root" mnt
    mount -o ro,norecovery "$boot" mnt/boot
    "$list_tree" mnt > "$1.list"
    getcap mnt/usr/bin/env > "$1.capabilities"
    umount -R mnt
    losetup -d "$root" "$boot"
}

for kind in el9 el7; do
    step "$kind: make"
    rm -f disk.raw
    "$VM2OCI_SOURCE_DIR/tests/support/el_like_disk.sh" $kind tree disk.raw > make.log 2>&1 || fail "$(tail -5 make.log)"
    list disk.raw
    grep -q security.selinux disk.raw.list || fail "the guest has no labels that could be lost"
    checksum=$(sha256sum < disk.raw)

    step "$kind: --fix --sysprep --user-data"
    strace -f -q -e trace=execve,openat -o trace.log "$vm2oci" inject -q --json --fix --sysprep --user-data user-data --hostname new \
        --copy-in large:/usr/bin/env --copy-in large:/boot/large:0600:7:8 raw:disk.raw raw:out.raw > report.json
    expect_equal appliance "$(jq -r .edits.backend report.json)" "what wrote it"
    ! grep -q guestfs trace.log || fail "libguestfs was looked at"
    expect_equal 2 "$(grep -cE 'execve(\(| resumed).*= 0$' trace.log)" "programs: vm2oci and QEMU"
    list out.raw
    "$list_tree" --compare disk.raw.list out.raw.list report.json
    expect_match cap_net_raw "$(cat out.raw.capabilities)" "what a replaced program may still do"
    expect_equal "$(sha256sum < large)" "$("$vm2oci" -q convert --as rootfs --keep-kernel --compression none out.raw oci:packed:out > /dev/null &&
        for blob in packed/blobs/sha256/*; do tar -xOf "$blob" boot/large 2> /dev/null || true; done | sha256sum)" "a large file, read back"
    rm -rf packed
    expect_equal "$checksum" "$(sha256sum < disk.raw)" "the source"

    step "$kind: again, and what is there now stays"
    "$vm2oci" inject -q --json --hostname newer raw:out.raw raw:again.raw > report.json
    expect_equal appliance "$(jq -r .edits.backend report.json)" "what wrote it"
    list again.raw
    "$list_tree" --compare out.raw.list again.raw.list report.json
    rm again.raw out.raw

    step "$kind: --size, and the guest has the room: as LVM's own tools, sfdisk and the kernel see it"
    "$vm2oci" convert -q --json --size 4G --hostname large raw:disk.raw raw:grown.raw > report.json
    expect_equal appliance "$(jq -r .edits.backend report.json)" "what wrote the name"
    sfdisk --verify -q grown.raw > verify.log 2>&1 || fail "$(cat verify.log)"
    ! grep -qi 'backup' verify.log || fail "$(cat verify.log)"
    group=$(losetup --find --show --offset $((501 * 1048576)) --sizelimit $((3594 * 1048576)) grown.raw)
    options=(--config "devices{filter=[\"a|^$group\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]} global{locking_type=0}")
    vgck "${options[@]}" > lvm.log 2>&1 || fail "$(cat lvm.log)"
    expect_equal '898 0' "$(pvs --noheadings -o pv_pe_count,pv_pe_count,pv_free --units m --nosuffix "${options[@]}" "$group" 2> /dev/null |
        awk '{ print $1, int($3) }')" "extents of the physical volume, and what is free"
    losetup -d "$group"
    root=$(losetup --find --show --offset $((630 * 1048576)) --sizelimit $((3464 * 1048576)) grown.raw)
    xfs_repair -n "$root" > repair.log 2>&1 || fail "$(tail -3 repair.log)"
    mount -o ro,norecovery "$root" mnt
    expect_equal large "$(cat mnt/etc/hostname)" "the name"
    (($(stat -f -c '%b * %S' mnt) > 3300 * 1048576)) || fail "the root has only $(stat -f -c '%b blocks of %S' mnt)"
    umount mnt
    losetup -d "$root"
    "$vm2oci" convert -q --json --size 4G --no-grow raw:disk.raw raw:grown.raw > report.json
    cmp -n "$(stat -c %s disk.raw)" disk.raw grown.raw || fail "--no-grow changed the guest"
    rm grown.raw
done

step "killed at any moment: no result, the source as it was, no machine left"
# Moments by what the machine has worked: not at all, and so many hundredths of a second of processor time.
machines=0
for moment in 0 10 40 80 120 160 200 240; do
    "$vm2oci" inject -q --sysprep --copy-in large:/large raw:disk.raw raw:killed.raw > /dev/null 2>&1 &
    pid=$!
    machine=
    while kill -0 "$pid" 2> /dev/null; do
        machine=$(pgrep -P "$pid" -f qemu-system || true)
        [[ $moment != 0 && (-z $machine || $(worked "$machine") -lt $moment) ]] || break
        sleep 0.02
    done
    kill -KILL "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null && { rm -f killed.raw && continue; } # it was done before
    [[ ! -e killed.raw ]] || fail "killed when its machine had worked $moment, it left a disk"
    [[ -z $machine ]] || { machines=$((machines + 1)) && wait_until 60 has_gone "$machine"; }
done
((machines >= 3)) || fail "only $machines machines ran when vm2oci was killed: this test is void"
rm -f killed.raw
expect_equal "$checksum" "$(sha256sum < disk.raw)" "the source"
expect_equal '' "$(find . -maxdepth 1 -name '.*killed*')" "what is left behind"

step "a file system that its kernel finds broken: its words, and no result"
root=$(losetup --find --show --offset $((630 * 1048576)) --sizelimit $((1960 * 1048576)) disk.raw)
for group in 0 1 2 3; do
    xfs_db -x -c "agf $group" -c "write -d magicnum 0" "$root" > /dev/null 2>&1
done
losetup -d "$root"
expect_exit 3 "$vm2oci" inject -q --hostname new raw:disk.raw raw:out.raw
expect_match "XFS \(vd[a-z]\): .*orrupt" "$(cat stderr)" "what the kernel said"
[[ ! -e out.raw ]] || fail "a failed edit left a disk"
