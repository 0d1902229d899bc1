#!/usr/bin/env bash
# Guests inside of LUKS, of mirrors and of stripes with parity: ext4 there is changed in this process, and guests as Enterprise Linux, SUSE and
# Fedora lay them out by vm2oci's own appliance, which never sees a key; grown as well. What was encrypted again is
# decrypted by cryptsetup, and held against the same edit of what was never encrypted. Needs root, for loop devices, and a
# kernel that mounts xfs and btrfs.
#
#   stacked.sh [--all | KIND…]      el9, boot-ext4 (Fedora), sles15, which take a quarter of an hour; none unless given
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=../guest/like_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/guest/like_guest.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool cryptsetup mke2fs e2fsck mkfs.xfs mkfs.btrfs btrfs xfs_repair sfdisk losetup pvs vgck jq strace python3 qemu-system-x86_64
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
kinds=("$@")
[[ ${1-} != --all ]] || kinds=(el9 boot-ext4 sles15)
for type in xfs btrfs; do
    modprobe $type 2> /dev/null || true
    grep -qw $type /proc/filesystems || fail "this kernel does not mount $type, and the disks are made by it"
done
list_tree=$VM2OCI_SOURCE_DIR/tests/support/list_tree.py
mkdir mnt
trap 'status=$?; set +e; ! mountpoint -q mnt || umount -R mnt; for disk in ./*.raw; do losetup -n -O NAME -j "$disk" | xargs -r losetup -d; done; (exit "$status"); _clean_up' EXIT

secret='a secret passphrase'
printf '%s' "$secret" > secret
printf '#cloud-config\nusers: [default]\n' > user-data
edits=(--created 2026-01-02T03:04:05Z --fix --sysprep --user-data user-data --hostname new)

# encrypt FILE [OPTION…]: where it lies, with 32 MiB more for the header.
encrypt() {
    truncate -s +32M "$1"
    cryptsetup -q reencrypt --encrypt --type luks2 --reduce-device-size 32M --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
        --key-file secret "${@:2}" "$1" > luks.log 2>&1 || fail "$(cat luks.log)"
}
decrypt() {
    rm -f header
    cryptsetup -q reencrypt --decrypt --force-offline-reencrypt --header header --key-file secret "$1" > luks.log 2>&1 ||
        fail "$(cat luks.log)"
}
# unseen COMMAND…: of vm2oci, which starts nothing but its appliance; no program is told the passphrase, and nothing
# says it. The report is in report.json.
unseen() {
    strace -f -q -s 100000 -e trace=execve,openat -o trace.log "$@" > report.json 2> said.log || fail "$(tail -3 said.log)"
    ! grep -q libguestfs trace.log || fail "libguestfs was looked at"
    ! grep -qF "$secret" trace.log report.json said.log || fail "the passphrase was said"
}
programs() { grep -cE 'execve(\(| resumed).*= 0$' trace.log; }
rootfs() { # DISK OPTION…: the digest of its tree
    "$VM2OCI" convert -q --json --as rootfs --arch amd64 --keep-kernel --compression none "${@:2}" "raw:$1" null: |
        jq -r '.layers[0].diff_id'
}

step "a small guest on ext4, in each form: the same tree as without, and sound; no program runs"
mkdir -p root/{etc/ssh,bin,sbin,usr/lib/systemd/system,usr/bin,home,var/lib/cloud,var/log,root,boot/grub}
printf 'ID=debian\nVERSION_ID="12"\n' > root/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
printf 'UUID=55555555-0000-4000-8000-000000000001 / ext4 defaults 0 1\n' > root/etc/fstab
printf '%032d\n' 7 > root/etc/machine-id
touch root/usr/bin/cloud-init root/usr/lib/systemd/systemd
echo secret > root/etc/ssh/ssh_host_rsa_key
head -c 300000 /dev/urandom > root/var/log/syslog
E2FSPROGS_FAKE_TIME=1767225600 mke2fs -q -F -t ext4 -b 4096 -U 55555555-0000-4000-8000-000000000001 -d root fs.raw 60M > /dev/null
"$VM2OCI" inject -q --json "${edits[@]}" raw:fs.raw raw:plain.raw > report.json
expect_equal native "$(jq -r .edits.backend report.json)" "what wrote it as it is"
wanted=$(rootfs plain.raw)
for options in "--sector-size 512" "--sector-size 4096" "--sector-size 512 --cipher aes-cbc-essiv:sha256 --key-size 256"; do
    cp fs.raw luks.raw
    # shellcheck disable=SC2086
    encrypt luks.raw $options
    sum=$(sha256sum < luks.raw)
    unseen "$VM2OCI" inject -q --json --key all:file:secret "${edits[@]}" raw:luks.raw raw:out.raw
    expect_equal "native 1" "$(jq -r .edits.backend report.json) $(programs)" "what wrote it, and programs that ran: $options"
    expect_equal "$sum" "$(sha256sum < luks.raw)" "the source"
    expect_equal "$wanted" "$(rootfs out.raw --key all:file:secret)" "the tree: $options"
    decrypt out.raw
    truncate -s 60M out.raw
    e2fsck -fn out.raw > fsck.log 2>&1 || fail "$options: $(tail -3 fsck.log)"
    expect_equal "$wanted" "$(rootfs out.raw)" "the tree, decrypted by cryptsetup: $options"
    rm out.raw luks.raw
done

step "the same on a mirror of two disks: both have every change; one alone is left to libguestfs"
cat > mirror.py << 'PYTHON'
import struct, sys
content, legs = open(sys.argv[1], "rb").read(), sys.argv[2:]
for number, name in enumerate(legs):
    block = bytearray(4096)
    sectors = len(content) // 512
    # Version 1.2 (Linux, include/uapi/linux/raid/md_p.h): clean, two members, data from the first MiB on.
    struct.pack_into("<IIII16s32sQiIQII", block, 0, 0xa92b4efc, 1, 0, 0, b"S" * 16, b"host:root", 0, 1, 0, sectors, 0, 2)
    struct.pack_into("<QQQ", block, 128, 2048, sectors, 8)
    struct.pack_into("<I", block, 160, number)
    struct.pack_into("<QQII", block, 200, 10, 0xffffffffffffffff, 0, 2)
    struct.pack_into("<HH", block, 256, 0, 1)
    total = sum(struct.unpack_from("<65I", block))
    struct.pack_into("<I", block, 216, (total & 0xffffffff) + (total >> 32) & 0xffffffff)
    with open(name, "wb") as disk:
        disk.truncate((2048 + sectors) * 512)
        disk.seek(4096)
        disk.write(block)
        disk.seek(2048 * 512)
        disk.write(content)
PYTHON
python3 mirror.py fs.raw leg-a.raw leg-b.raw
unseen "$VM2OCI" convert -q --json "${edits[@]}" --disk raw:leg-b.raw raw:leg-a.raw oci:images:both
expect_equal "native 1" "$(jq -r .edits.backend report.json) $(programs)" "what wrote it, and programs that ran"
for leg in both both-disk2; do
    "$VM2OCI" convert -q oci:images:$leg raw:$leg.raw > /dev/null
    dd if=$leg.raw of=$leg-content.raw bs=1M skip=1 status=none
    e2fsck -fn $leg-content.raw > fsck.log 2>&1 || fail "$leg: $(tail -3 fsck.log)"
    expect_equal "$wanted" "$(rootfs $leg-content.raw)" "the tree of $leg"
done
cmp both-content.raw both-disk2-content.raw || fail "the mirror's halves differ"
expect_exit 3 "$VM2OCI" inject -q --guest-backend appliance "${edits[@]}" raw:leg-a.raw raw:alone.raw
[[ ! -e alone.raw ]] || fail "a refused edit left a disk"
rm -r ./both* leg-*.raw images

for level in 5 6; do
    step "the same on RAID $level: parity that fits; read without a member, and then left to libguestfs"
    legs=(leg-a.raw leg-b.raw leg-c.raw leg-d.raw leg-e.raw)
    "$VM2OCI_SOURCE_DIR/tests/support/parity_array.py" make $level fs.raw "${legs[@]}"
    more=()
    for leg in "${legs[@]:1}"; do more+=(--disk "raw:$leg"); done
    unseen "$VM2OCI" convert -q --json "${edits[@]}" "${more[@]}" raw:leg-a.raw oci:images:array
    expect_equal "native 1" "$(jq -r .edits.backend report.json) $(programs)" "what wrote it, and programs that ran"
    outs=()
    for disk in array array-disk{2,3,4,5}; do
        "$VM2OCI" convert -q "oci:images:$disk" "raw:$disk.raw" > /dev/null
        outs+=("$disk.raw")
    done
    "$VM2OCI_SOURCE_DIR/tests/support/parity_array.py" check $level content "${outs[@]}"
    truncate -s 60M content
    e2fsck -fn content > fsck.log 2>&1 || fail "RAID $level: $(tail -3 fsck.log)"
    expect_equal "$wanted" "$(rootfs content)" "the tree on RAID $level"
    # Without the second disk: what it held is calculated.
    more=()
    for leg in array-disk{3,4,5}; do more+=(--disk "raw:$leg.raw"); done
    expect_equal "$wanted" "$(rootfs array.raw "${more[@]}")" "the tree without one of the disks"
    expect_exit 3 "$VM2OCI" convert -q --guest-backend appliance --hostname newer "${more[@]}" raw:array.raw oci:images:alone
    rm -r array*.raw leg-*.raw images content
done
rm fs.raw plain.raw
[[ ${#kinds[@]} -gt 0 ]] || exit 0

# place NUMBER DISK: where a partition lies, in bytes.
place() { sfdisk -J "$2" | jq -r --argjson n "$1" '.partitiontable.partitions[$n - 1] | "\(.start * 512) \(.size * 512)"'; }
# encrypt_partition NUMBER DISK: it moves to the end of the disk, which has room for it.
encrypt_partition() {
    local begin size
    read -r begin size <<< "$(place "$1" "$2")"
    dd if="$2" of=part bs=1M iflag=skip_bytes,count_bytes skip="$begin" count="$size" conv=sparse status=none
    encrypt part
    local end=$(($(stat -c %s "$2") / 1048576))
    truncate -s $((end + $(stat -c %s part) / 1048576 + 1))M "$2"
    sfdisk -q --no-reread -N "$1" "$2" <<< "start=${end}MiB, size=$(($(stat -c %s part) / 1048576))MiB" > sfdisk.log 2>&1 || fail "$(cat sfdisk.log)"
    dd if=part of="$2" bs=1M seek="$end" conv=notrunc,sparse status=none
    rm part
}
# decrypt_partition NUMBER DISK: into the file "part".
decrypt_partition() {
    local begin size
    read -r begin size <<< "$(place "$1" "$2")"
    dd if="$2" of=part bs=1M iflag=skip_bytes,count_bytes skip="$begin" count="$size" conv=sparse status=none
    decrypt part
    truncate -s "$((size - 16 * 1048576))" part # without the header
}
# list NAME OFFSET TYPE OPTIONS [SIZE]: the root in the file "part", which must be sound, into NAME.list
list() {
    local root
    root=$(losetup --find --show --offset "$2" ${5:+--sizelimit "$5"} part)
    case $3 in
        xfs) xfs_repair -n "$root" > repair.log 2>&1 || fail "$1: $(tail -3 repair.log)" ;;
        btrfs) btrfs check "$root" > repair.log 2>&1 || fail "$1: $(tail -3 repair.log)" ;;
    esac
    mount -o "ro${4:+,$4}" "$root" mnt
    "$list_tree" mnt > "$1.list"
    umount mnt
    losetup -d "$root"
}

install_without_kernel prefix
install_kernel prefix
unpack_debian
for kind in "${kinds[@]}"; do
    step "$kind, encrypted: --fix --sysprep --user-data by the appliance"
    rm -f disk.raw
    # Where the root lies inside of what is encrypted; as the makers of the disks lay it out.
    case $kind in
        el9) maker=el number=3 offset=$((129 * 1048576)) type=xfs options=norecovery size=$((1960 * 1048576)) elsewhere=boot ;;
        boot-ext4) maker=fedora number=3 offset=0 type=btrfs options=subvol=root size='' elsewhere='boot|home|var' ;;
        sles15) maker=suse number=2 offset=0 type=btrfs options='' size='' elsewhere='boot/grub2/(i386-pc|x86_64-efi)|var|home|root|tmp|srv|opt|usr/local' ;;
    esac
    "$VM2OCI_SOURCE_DIR/tests/support/${maker}_like_disk.sh" $kind tree disk.raw > make.log 2>&1 || fail "$(tail -5 make.log)"
    encrypt_partition $number disk.raw
    sum=$(sha256sum < disk.raw)
    unseen "$PWD/prefix/bin/vm2oci" inject -q --json --key all:file:secret "${edits[@]}" raw:disk.raw raw:out.raw
    expect_equal "appliance 2" "$(jq -r .edits.backend report.json) $(programs)" "what wrote it, and programs that ran"
    expect_equal "$sum" "$(sha256sum < disk.raw)" "the source"
    decrypt_partition $number disk.raw
    list before $offset $type "$options" "$size"
    [[ $maker == suse ]] || grep -q security.selinux before.list || fail "the guest has no labels that could be lost"
    decrypt_partition $number out.raw
    list after $offset $type "$options" "$size"
    # What lies on other file systems is not in these lists.
    jq --arg elsewhere "^/($elsewhere)(/|\$)" '.edits.changed |= map(select(.path | test($elsewhere) | not))' report.json > root.json
    "$list_tree" --compare before.list after.list root.json
    rm out.raw

    [[ $maker != suse ]] || continue
    step "$kind, encrypted: --size"
    "$PWD/prefix/bin/vm2oci" convert -q --json --key all:file:secret --size 5G raw:disk.raw raw:out.raw > report.json
    sfdisk --verify -q out.raw > verify.log 2>&1 || fail "$(cat verify.log)"
    decrypt_partition $number out.raw
    if [[ $kind == el9 ]]; then
        group=$(losetup --find --show part)
        devices=(--config "devices{filter=[\"a|^$group\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]} global{locking_type=0}")
        vgck "${devices[@]}" > lvm.log 2>&1 || fail "$(cat lvm.log)"
        size=$(lvs --noheadings --units b --nosuffix -o lv_size "${devices[@]}" almalinux/root 2> /dev/null | tr -d ' ')
        losetup -d "$group"
    fi
    list grown $offset $type "$options" "$size"
    root=$(losetup --find --show --offset $offset ${size:+--sizelimit "$size"} part)
    mount -o "ro,$options" "$root" mnt
    room=$(($(stat -f -c '%b * %S / 1048576' mnt)))
    umount mnt
    losetup -d "$root"
    ((room > 2300)) || fail "the root has $room MiB"
    rm out.raw

    step "$kind: where its key is not given it stays closed, and grows around what is in it"
    "$PWD/prefix/bin/vm2oci" convert -q --json --size 5G raw:disk.raw raw:out.raw > report.json
    expect_match 'keeps its size' "$(jq -r '.remarks[]' report.json)" "what is said of it"
    rm out.raw
done
