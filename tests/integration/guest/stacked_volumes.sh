#!/usr/bin/env bash
# Arrays of mdadm, groups of LVM and volumes of cryptsetup, in each other, made and filled by the kernel of libguestfs'
# appliance: what this process reads of each is, byte for byte, what that kernel read. Then one of the disks alone.
#
# VOLUME_SUMS: the tool that hashes every volume through the code under test.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool guestfish sfdisk

step 'disks that the appliance divides'
for disk in a b; do
    truncate -s 600M "$disk.raw"
    # 1 LVM on md, 2 a table in md 0.90, 3 one member is behind, 4 linear, 5 RAID 5, 6 LVM, 7 still being filled, 8 RAID 0, 9 RAID 10
    printf "label: gpt\nlabel-id: 0000000$disk-0000-4000-8000-000000000000\nstart=2048, size=65536\nsize=65536\nsize=65536\nsize=65536\nsize=65536\nsize=524288\nsize=65536\nsize=65536\nsize=65536\nsize=65536\n" |
        sfdisk -q "$disk.raw"
done
truncate -s 64M c.raw d.raw
printf 'a passphrase' > secret
cat > make.sh << 'MAKE'
set -e
# The kernel finds disks in any order.
plain=()
for disk in /sys/block/sd*; do
    device=/dev/${disk##*/}
    case $(sfdisk --disk-id "$device" 2> /dev/null) in
        0000000A-*) a=$device ;;
        0000000B-*) b=$device ;;
        *) [[ $(< "$disk/size") -ne 131072 ]] || plain+=("$device") ;;
    esac
done
c=${plain[0]} d=${plain[1]}
for module in raid0 raid1 raid10 linear md_linear raid456 dm-mod dm-thin-pool dm-raid dm-mirror dm-snapshot dm-crypt dm-zero; do
    modprobe "$module" 2> /dev/null || :
done
export LVM_SUPPRESS_FD_WARNINGS=1
options="--yes --quiet --config global{thin_check_executable=\"\"}devices{global_filter=[\"a|.*|\"]}"
create() { yes | mdadm --create "$@" --run > /dev/null 2>&1; }
fill() { head -c "$2" /dev/urandom | dd of="$1" bs=64k seek="${3:-0}" conv=notrunc status=none; }
tell() { echo "$1 $(blockdev --getsize64 "$2") $(sha256sum < "$2" | cut -d ' ' -f 1)"; }
create /dev/md11 --metadata=1.2 --homehost=web --name=pv --level=1 --raid-devices=2 "$a"1 "$b"1
lvm vgcreate --yes --quiet mirrored /dev/md11 > /dev/null
lvm lvcreate $options -Wn -n root -L 12M mirrored > /dev/null
fill /dev/mirrored/root 9000000
create /dev/md12 --metadata=0.90 --level=1 --raid-devices=2 "$a"2 "$b"2
printf 'label: dos\nstart=2048, size=20000, type=83\nsize=20000, type=83\n' | sfdisk -q /dev/md12
udevadm settle; sleep 1
fill /dev/md12p1 5000000
fill /dev/md12p2 5000000
create /dev/md13 --metadata=1.0 --homehost=web --name=boot --level=1 --bitmap=internal --raid-devices=2 "$a"3 "$b"3
mdadm --wait /dev/md13 2> /dev/null || :
fill /dev/md13 20000000
mdadm --quiet /dev/md13 --fail "$a"3
fill /dev/md13 20000000
fill /dev/md13 1000000 200
create /dev/md14 --metadata=1.1 --homehost=web --name=row --level=linear --raid-devices=2 "$a"4 "$b"4
fill /dev/md14 40000000
create /dev/md15 --metadata=1.2 --homehost=web --name=five --level=5 --raid-devices=3 "$a"5 "$b"5 missing
create /dev/md20 --metadata=1.2 --homehost=web --name=stripes --level=0 --chunk=64 --raid-devices=2 "$a"8 "$b"8
fill /dev/md20 50000000
create /dev/md21 --metadata=1.2 --homehost=web --name=ten --level=10 --chunk=64 --raid-devices=4 "$a"9 "$b"9 "$a"10 "$b"10
fill /dev/md21 50000000
create /dev/md17 --metadata=1.2 --homehost=web --name=half --level=1 --raid-devices=2 "$a"7 missing
fill /dev/md17 20000000
echo 10 > /proc/sys/dev/raid/speed_limit_max; echo 10 > /proc/sys/dev/raid/speed_limit_min
mdadm --quiet /dev/md17 --add "$b"7
create /dev/md18 --metadata=1.0 --homehost=web --name=disk --level=1 --raid-devices=2 "$c" "$d"
printf 'label: gpt\nstart=2048, size=40000\nsize=40000\n' | sfdisk -q /dev/md18
udevadm settle; sleep 1
fill /dev/md18p2 9000000

lvm vgcreate --yes --quiet vg0 "$a"6 "$b"6 > /dev/null
lvm lvcreate $options -Wn -n plain -L 16M vg0 > /dev/null
fill /dev/vg0/plain 16000000
lvm lvcreate $options -Wn --type striped -i 2 -I 16 -n striped -L 24M vg0 > /dev/null
fill /dev/vg0/striped 20000000
lvm lvcreate $options -Wn --type raid1 -m 1 -n twice -L 16M vg0 > /dev/null
fill /dev/vg0/twice 15000000
lvm lvcreate $options -Wn --type mirror --mirrorlog core -m 1 -n old -L 16M vg0 > /dev/null
fill /dev/vg0/old 15000000
lvm lvcreate $options -Wn --type raid1 -m 1 -n meta -L 8M vg0 > /dev/null
lvm lvcreate $options -Wn -n blocks -L 64M vg0 > /dev/null
lvm lvconvert $options --type thin-pool --poolmetadata vg0/meta -c 64k vg0/blocks > /dev/null
lvm lvcreate $options -Wn -n thin -V 1G --thinpool vg0/blocks > /dev/null
fill /dev/vg0/thin 8000000
fill /dev/vg0/thin 3000001 9000
lvm lvcreate $options -n thinsnap -s vg0/thin -kn > /dev/null
fill /dev/vg0/thin 2000000 30
fill /dev/vg0/thinsnap 1000000 10000
lvm lvcreate $options -Wn -n base -L 8M vg0 > /dev/null
fill /dev/vg0/base 8000000
lvm lvchange $options -an -pr vg0/base > /dev/null
lvm lvcreate $options -n over -s vg0/base --thinpool vg0/blocks -kn > /dev/null
fill /dev/vg0/over 300000 20
lvm lvcreate $options -Wn -n crypt -L 24M vg0 > /dev/null
printf 'a passphrase' | cryptsetup -q luksFormat --type luks1 --iter-time 10 --key-file - /dev/vg0/crypt
printf 'a passphrase' | cryptsetup -q open --key-file - /dev/vg0/crypt inner
lvm vgcreate --yes --quiet deep /dev/mapper/inner > /dev/null
lvm lvcreate $options -Wn -n data -L 12M deep > /dev/null
fill /dev/deep/data 12000000
lvm lvcreate $options -Wn -n leg0 -L 8M vg0 > /dev/null
lvm lvcreate $options -Wn -n leg1 -L 8M vg0 > /dev/null
create /dev/md19 --metadata=1.2 --homehost=web --name=upon --level=1 --raid-devices=2 /dev/vg0/leg0 /dev/vg0/leg1
fill /dev/md19 5000000
lvm lvcreate $options -Wn -n origin -L 8M vg0 > /dev/null
fill /dev/vg0/origin 8000000
lvm lvcreate $options -s -n cow -L 4M vg0/origin > /dev/null
fill /dev/vg0/origin 900000 3
lvm lvchange $options -ay -K vg0/base > /dev/null
sync
tell 'logical volume mirrored/root' /dev/mirrored/root
tell 'array md12, partition 1' /dev/md12p1
tell 'array md12, partition 2' /dev/md12p2
tell 'array boot' /dev/md13
tell 'array row' /dev/md14
tell 'array half' /dev/md17
tell 'array stripes' /dev/md20
tell 'array ten' /dev/md21
tell 'array upon' /dev/md19
tell 'array disk, partition 2' /dev/md18p2
for volume in plain striped twice old thin thinsnap base over crypt origin; do
    tell "logical volume vg0/$volume" "/dev/vg0/$volume"
done
tell 'LUKS in logical volume vg0/crypt' /dev/mapper/inner
tell 'logical volume deep/data' /dev/deep/data
mdadm --detail /dev/md17 | sed -n 's/^ *State : /half is /p'
mdadm --quiet --stop /dev/md19
lvm vgchange --quiet -an deep > /dev/null; cryptsetup close inner
lvm vgchange --quiet -an vg0 mirrored > /dev/null
for array in 11 12 13 14 15 17 18 20 21; do mdadm --quiet --stop "/dev/md$array"; done
echo done
MAKE
LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg timeout 600 guestfish --format=raw -a a.raw -a b.raw \
    -a c.raw -a d.raw > made 2> guestfish.log << FISH || fail "$(tail -5 guestfish.log)"
run
debug sh "echo $(base64 -w0 make.sh) | base64 -d > /tmp/make.sh; bash /tmp/make.sh 2>&1"
FISH
expect_match '^done' "$(grep '^done' made || cat made)" 'what the appliance says'
expect_match recovering "$(grep 'half is' made)" 'an array that is being filled'

step 'every volume is what the kernel read'
"${VOLUME_SUMS:?}" --key secret a.raw b.raw c.raw d.raw > ours 2> remarks
while read -r line; do
    name=$(sed -E 's/ [0-9]+ [0-9a-f]{64}$//' <<< "$line")
    [[ $name != "$line" ]] || continue
    expect_equal "${line#"$name "}" "$(awk -F '\t' -v name="$name" '$1 == name { print $2, $3 }' ours)" "$name"
done < made
expect_match 'partition 3 (has failed|is out of date)' "$(< remarks)" 'a member that is behind'
expect_match 'five: 2 of its 3 members' "$(< remarks)" 'RAID 5 without a member'
expect_match 'half: disk 2, partition 7 was still being filled' "$(< remarks)" 'a member that is being filled'
expect_match 'vg0/cow: it is a snapshot' "$(< remarks)" 'a snapshot of the old kind'

step 'one disk alone: what is on it is read, and what is behind is not taken for it'
"$VOLUME_SUMS" --key secret b.raw > alone 2> remarks
for name in 'logical volume mirrored/root' 'array boot' 'array ten' 'logical volume vg0/twice' 'array md12, partition 2'; do
    expect_equal "$(awk -F '\t' -v name="$name" '$1 == name { print $3 }' ours)" \
        "$(awk -F '\t' -v name="$name" '$1 == name { print $3 }' alone)" "$name by one member"
done
[[ -z $(grep '^array half' alone) ]] || fail 'an array that was still being filled is read from its new member'
expect_match 'striped: one of its physical volumes is not on this disk' "$(< remarks)" 'a stripe that is not there'
"$VOLUME_SUMS" d.raw > alone
expect_equal "$(awk -F '\t' '$1 == "array disk, partition 2" { print $3 }' ours)" \
    "$(awk -F '\t' '$1 == "array disk, partition 2" { print $3 }' alone)" 'a whole disk by one member'
