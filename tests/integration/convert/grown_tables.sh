#!/usr/bin/env bash
# `convert --size` on disks as installers and clouds divide them: sfdisk finds no fault in the table, every partition that is not named
# starts and ends where it did, the one with the root has the room, and swap is where the table says it is.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool sfdisk mke2fs e2fsck mkswap blkid jq

swap_uuid=22222222-2222-2222-2222-222222222222
mkdir root
mkdir -p root/etc root/usr/lib
printf 'ID=debian\nVERSION_ID=12\n' > root/usr/lib/os-release
printf '/dev/sda1 / ext4 defaults 0 1\n' > root/etc/fstab

# partitions DISK: "number start size" each.
partitions() { sfdisk --json "$1" 2> /dev/null | jq -r '.partitiontable.partitions[] | "\(.node | capture("(?<n>[0-9]+)$").n) \(.start) \(.size)"'; }
start_of() { partitions "$1" | awk -v number="$2" '$1 == number { print $2 }'; }
size_of() { partitions "$1" | awk -v number="$2" '$1 == number { print $3 }'; }

# place DISK NUMBER FILE: a file's content into a partition.
place() { dd if="$3" of="$1" bs=512 seek="$(start_of "$1" "$2")" conv=notrunc,sparse status=none; }

# check NAME ROOT SWAPS SAME TABLE: partition ROOT grows; SWAPS hold swap; SAME stay; none of the rest is looked at.
check() {
    local name=$1 root=$2 swaps=$3 same=$4 table=$5 number
    step "$name"
    rm -f disk.raw grown.raw
    truncate -s 600M disk.raw
    sfdisk --quiet disk.raw <<< "$table"
    rm -f part
    truncate -s $(($(size_of disk.raw "$root") * 512)) part
    mke2fs -q -t ext4 -d root part
    place disk.raw "$root" part
    for number in $swaps; do
        rm -f part
        truncate -s $(($(size_of disk.raw "$number") * 512)) part
        mkswap --quiet --uuid $swap_uuid --label "swap-$number" part
        place disk.raw "$number" part
    done
    "$VM2OCI" convert --quiet --json --size 3G raw:disk.raw raw:grown.raw > report.json
    sfdisk --verify grown.raw > verify.txt 2>&1 || fail "$name: $(cat verify.txt)"
    grep -q 'No errors detected' verify.txt || fail "$name: $(cat verify.txt)"
    for number in $same; do
        expect_equal "$(start_of disk.raw "$number") $(size_of disk.raw "$number")" \
            "$(start_of grown.raw "$number") $(size_of grown.raw "$number")" "$name: partition $number"
    done
    expect_equal "$(start_of disk.raw "$root")" "$(start_of grown.raw "$root")" "$name: where the root begins"
    [[ $(size_of grown.raw "$root") -gt $((2200 * 2048)) ]] || fail "$name: the root has $(size_of grown.raw "$root") sectors"
    jq -e --arg text "partition $root has " '.remarks | any(startswith($text))' report.json > /dev/null ||
        fail "$name: $(cat report.json)"
    for number in $swaps; do
        expect_equal "$(size_of disk.raw "$number")" "$(size_of grown.raw "$number")" "$name: swap $number"
        [[ $(start_of grown.raw "$number") -gt $((2200 * 2048)) ]] || fail "$name: swap $number stays"
        expect_equal "$swap_uuid swap swap-$number " "$(blkid --probe --output value --match-tag TYPE --match-tag LABEL \
            --match-tag UUID --offset $(($(start_of grown.raw "$number") * 512)) grown.raw | sort | tr '\n' ' ')" \
            "$name: the swap area"
    done
    dd if=grown.raw of=part bs=512 skip="$(start_of grown.raw "$root")" count="$(size_of grown.raw "$root")" conv=sparse status=none
    e2fsck -fn part > fsck.txt 2>&1 || fail "$name: $(cat fsck.txt)"
}

check 'Debian and Ubuntu by BIOS: the root, and swap in an extended partition' 1 5 '' 'label: dos
start=2048, size=1024000, type=83, bootable
start=1028094, size=200706, type=5
start=1028096, size=200704, type=82'
check 'the same by fdisk, with two areas' 1 '5 6' '' 'label: dos
start=2048, size=1024000, type=83, bootable
start=1028096, size=200704, type=f
start=1030144, size=80000, type=82
start=1120256, size=100000, type=82'
check 'Debian with /home: swap is the last of the logical ones' 6 7 '1 5' 'label: dos
start=2048, size=200704, type=83, bootable
start=204800, size=1024000, type=5
start=206848, size=100352, type=83
start=309248, size=716800, type=83
start=1028096, size=200704, type=82'
check 'Debian and SUSE by UEFI: ESP, root, swap' 2 3 1 'label: gpt
start=2048, size=102400, type=U
start=104448, size=921600, type=L
start=1026048, size=200704, type=S'
check 'Enterprise Linux 6 without LVM: swap before the root' 3 '' '1 2' 'label: dos
start=2048, size=102400, type=83, bootable
start=104448, size=200704, type=82
start=305152, size=921600, type=83'
check 'a logical root at the end' 6 '' '1 5' 'label: dos
start=2048, size=102400, type=83, bootable
start=104448, size=1122304, type=5
start=106496, size=200704, type=83
start=309248, size=917504, type=83'
check 'cloud images: the root is the first and lies last' 1 '' '14 15' 'label: gpt
1: start=227328, size=999424, type=L
14: start=2048, size=8192, type=21686148-6449-6E6F-744E-656564454649
15: start=10240, size=217088, type=U'

step 'what a sleeping machine wrote stays where it is'
rm -f part disk.raw
truncate -s 600M disk.raw
printf 'label: gpt\nstart=2048, size=921600, type=L\nstart=923648, size=200704, type=S\n' | sfdisk --quiet disk.raw
truncate -s 98M part
mkswap --quiet part
printf 'S1SUSPEND' | dd of=part bs=1 seek=4086 conv=notrunc status=none
place disk.raw 2 part
"$VM2OCI" convert --quiet --json --size 3G raw:disk.raw raw:asleep.raw > report.json
jq -e '.remarks | any(contains("partition 2 lies last on the disk and is not grown: it holds swsuspend"))' report.json > /dev/null ||
    fail "$(cat report.json)"
expect_equal "$(partitions disk.raw)" "$(partitions asleep.raw)" 'the partitions'

step 'of several disks the first one grows, however large the others are'
rm -f part disk.raw
truncate -s 600M disk.raw
printf 'label: gpt\nstart=2048, size=1024000, type=L\n' | sfdisk --quiet disk.raw
truncate -s 500M part
mke2fs -q -t ext4 -d root part
place disk.raw 1 part
for size in 100M 8G; do
    rm -f data.raw
    truncate -s $size data.raw
    mke2fs -q -t ext4 -L data data.raw
    "$VM2OCI" convert --quiet --json --size 3G raw:disk.raw --disk raw:data.raw "raw:web-$size.raw" > report.json
    jq -e '.remarks | any(startswith("partition 1 has 3.0 GiB now") or startswith("partition 1 has 3 GiB now"))' report.json > /dev/null ||
        fail "$(cat report.json)"
    [[ $(size_of "web-$size.raw" 1) -gt $((2900 * 2048)) ]] || fail "partition 1 has $(size_of "web-$size.raw" 1) sectors"
    cmp data.raw "web-$size-disk2.raw"
done

# root_disk PARTITION TABLE: disk.raw with the root in that partition.
root_disk() {
    rm -f disk.raw grown.raw part
    truncate -s 600M disk.raw
    sfdisk --quiet disk.raw <<< "$2"
    truncate -s $(($(size_of disk.raw "$1") * 512)) part
    mke2fs -q -t ext4 -b 4096 -d root part
    place disk.raw "$1" part
}
says() { jq -e --arg text "$1" '.remarks | any(contains($text))' report.json > /dev/null || fail "$(cat report.json)"; }
is_sound() { sfdisk --verify "$1" 2>&1 | grep -q 'No errors detected' || fail "$(sfdisk --verify "$1" 2>&1)"; }

step 'an image that qemu-img resize has made larger: by --size with the size that it has, and with more'
root_disk 1 'label: gpt
start=2048, size=1024000, type=L'
truncate -s 2G disk.raw
for size in 2G 3G; do
    "$VM2OCI" convert --quiet --json --size $size raw:disk.raw raw:grown.raw > report.json
    says "partition 1 has ${size%G}"
    is_sound grown.raw
    expect_equal '' "$(dd if=grown.raw bs=512 skip=$((600 * 2048 - 1)) count=1 status=none | tr -d '\0')" "the old backup, $size"
done

step 'an MBR counts 2 TiB, a GPT goes on; a first partition that nothing is aligned to'
root_disk 1 'label: dos
start=63, size=1024000, type=83, bootable'
"$VM2OCI" convert --quiet --json --size 2500G --no-grow raw:disk.raw raw:grown.raw > report.json
expect_equal 1024000 "$(size_of grown.raw 1)" 'with --no-grow'
"$VM2OCI" convert --quiet --json --guest-backend native --size 2500G raw:disk.raw raw:grown.raw > report.json
says '452.0 GiB at the end of the disk stay unused'
expect_equal 4294967295 "$(($(start_of grown.raw 1) + $(size_of grown.raw 1)))" 'where it ends'
root_disk 2 'label: gpt
first-lba: 34
start=34, size=2015, type=21686148-6449-6E6F-744E-656564454649
start=2049, size=1024000, type=L'
"$VM2OCI" convert --quiet --json --guest-backend native --size 2500G raw:disk.raw raw:grown.raw > report.json
says 'partition 2 has 2.4 TiB now'
! grep -q unused report.json || fail "$(cat report.json)"
expect_equal 2049 "$(start_of grown.raw 2)" 'where it begins'
is_sound grown.raw

step 'numbers that are not in the order of the disk: who lies last grows, /var as well as /'
root_disk 2 'label: gpt
1: start=1126400, size=100352, type=L
2: start=2048, size=921600, type=L
3: start=923648, size=200704, type=S'
truncate -s $((100352 * 512)) var
mke2fs -q -t ext4 var
place disk.raw 1 var
"$VM2OCI" convert --quiet --json --size 3G raw:disk.raw raw:grown.raw > report.json
says 'partition 1 has 2.5 GiB now'
is_sound grown.raw
expect_equal "$(partitions disk.raw | tail -2)" "$(partitions grown.raw | tail -2)" 'what lies before'

step "Windows' recovery behind C: is told, and nothing moves but the backup of the table"
root_disk 3 'label: gpt
start=2048, size=102400, type=U
size=32768, type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE
size=819200, type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
size=200704, type=DE94BBA4-06D1-4D40-A16A-BFD50179D6AC'
printf '\353\122\220NTFS    \000\002\010' | dd of=disk.raw bs=512 seek="$(start_of disk.raw 4)" conv=notrunc status=none
printf '\125\252' | dd of=disk.raw bs=1 seek=$(($(start_of disk.raw 4) * 512 + 510)) conv=notrunc status=none
"$VM2OCI" convert --quiet --json --size 3G raw:disk.raw raw:grown.raw > report.json
says 'partition 4 lies last on the disk and is not grown: it holds'
expect_equal "$(partitions disk.raw)" "$(partitions grown.raw)" 'the partitions'
is_sound grown.raw
