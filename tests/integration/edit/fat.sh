#!/usr/bin/env bash
# Edits that must write to FAT: an EFI system partition beside a root on ext4, and one that is /boot as well. vm2oci's
# appliance makes them, the root's among them; fsck.fat and mtools judge: the plan and nothing else.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool mke2fs e2fsck debugfs sfdisk mkfs.fat fsck.fat mcopy mmd mdir jq strace qemu-system-x86_64
install_without_kernel prefix
install_kernel prefix

# What the guest's root is; the places of the other file systems are added.
mkdir -p root/{etc/default,etc/systemd,bin,sbin,usr/bin,usr/lib/systemd/system,var/{lib,log},home,root,boot,lib/modules}
printf 'ID=debian\nVERSION_ID="12"\n' > root/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
# The machine: a program of this architecture.
cp "$(type -P true)" root/usr/lib/systemd/systemd
ln -s ../lib/systemd/systemd root/usr/bin/init

head -c 900000 /dev/urandom > shim
head -c 2500000 /dev/urandom > grub
head -c 3000000 /dev/urandom > large
printf 'older' > older
# make POINT: disk.raw, its root in MiB 65 to 105, and FAT, from the folder "fat", in MiB 1 to 65, mounted at POINT.
make() {
    printf 'UUID=55555555-0000-4000-8000-000000000001 / ext4 defaults 0 1\nUUID=E5D1-B007 %s vfat umask=0077 0 2\n' "$1" > root/etc/fstab
    mkdir -p "root$1"
    rm -f fs.raw fat.raw disk.raw
    E2FSPROGS_FAKE_TIME=1767225600 mke2fs -q -F -t ext4 -b 4096 -U 55555555-0000-4000-8000-000000000001 -d root fs.raw 40M > /dev/null
    truncate -s 64M fat.raw
    mkfs.fat -F 32 -n EFI -i E5D1B007 fat.raw > /dev/null
    (cd fat && mcopy -s -m -i ../fat.raw ./* ::)
    truncate -s 110M disk.raw
    printf 'label: gpt\nstart=1MiB,size=64MiB,type=U\nstart=65MiB,size=40MiB,type=L\n' | sfdisk -q disk.raw
    dd if=fat.raw of=disk.raw bs=1M seek=1 conv=notrunc status=none
    dd if=fs.raw of=disk.raw bs=1M seek=65 conv=notrunc status=none
}
# take DISK FOLDER: what lies on FAT, which must be sound, as a tree; the root's file system must be, too.
take() {
    dd if="$1" of=part bs=1M skip=1 count=64 status=none
    fsck.fat -n part > check.log 2>&1 || fail "FAT of $1: $(tail -5 check.log)"
    rm -rf "$2" && mkdir "$2"
    mcopy -s -m -n -i part '::*' "$2/"
    dd if="$1" of=part.ext4 bs=1M skip=65 count=40 status=none
    e2fsck -fn part.ext4 > check.log 2>&1 || fail "the root of $1: $(tail -5 check.log)"
}
# edit OPTION…: disk.raw into out.raw, by one appliance and nothing else.
edit() {
    local sum
    sum=$(sha256sum < disk.raw)
    strace -f -q -e trace=execve,openat -o trace.log prefix/bin/vm2oci inject -q --json --created 2026-01-02T03:04:05Z "$@" \
        raw:disk.raw raw:out.raw > report.json 2> said.log || fail "$(tail -5 said.log)"
    ! grep -q libguestfs trace.log || fail "libguestfs was looked at"
    expect_equal "appliance 2" "$(jq -r .edits.backend report.json) $(grep -cE 'execve(\(| resumed).*= 0$' trace.log)" \
        "what wrote it, and programs that ran"
    expect_equal "$sum" "$(sha256sum < disk.raw)" "the source"
}

step "a boot loader for firmware that knows no entry, files with long names, one in place of another"
mkdir -p fat/EFI/debian "fat/Größe und Zweck"
cp shim fat/EFI/debian/shimx64.efi
cp grub fat/EFI/debian/grubx64.efi
printf 'configfile /boot/grub/grub.cfg\n' > fat/EFI/debian/grub.cfg
cp older fat/EFI/debian/fwupdx64.efi
cp older "fat/Größe und Zweck/ein langer Name.txt"
make /boot/efi
edit --fix --hostname new --copy-in large:/boot/efi/EFI/debian/fwupdx64.efi --copy-in older:/boot/efi/loader/random-seed \
    --copy-in "older:/boot/efi/Größe und Zweck/noch ein sehr langer Name.conf"
take out.raw after
cp -r fat wanted
mkdir -p wanted/EFI/BOOT wanted/loader
cp shim wanted/EFI/BOOT/BOOTX64.EFI
cp grub wanted/EFI/BOOT/grubx64.efi
cp fat/EFI/debian/grub.cfg wanted/EFI/BOOT/grub.cfg
cp large wanted/EFI/debian/fwupdx64.efi
cp older wanted/loader/random-seed
cp older "wanted/Größe und Zweck/noch ein sehr langer Name.conf"
expect_same_tree wanted after
expect_match '2026-01-02 +3:04' "$(mdir -i part ::EFI/debian | grep -i fwupd)" "its time"
expect_equal new "$(debugfs -R 'cat /etc/hostname' part.ext4 2> /dev/null)" "the name, on the root"
rm -rf wanted after out.raw

step "FAT that is /boot: the kernel's command line in the loader's entries"
rm -rf fat
mkdir -p fat/EFI/{BOOT,systemd} fat/loader/entries
cp grub fat/EFI/BOOT/BOOTX64.EFI
cp grub fat/EFI/systemd/systemd-bootx64.efi
printf 'title Debian\nlinux /vmlinuz\ninitrd /initrd\noptions root=UUID=55555555-0000-4000-8000-000000000001 quiet\n' > fat/loader/entries/debian.conf
head -c 2000000 /dev/urandom > fat/vmlinuz
head -c 2000000 /dev/urandom > fat/initrd
make /boot
edit --fix=console --copy-in older:/boot/extra.conf
take out.raw after
cp -r fat wanted
cp older wanted/extra.conf
expect_match 'console=ttyS0' "$(cat after/loader/entries/debian.conf)" "the kernel's console"
cp after/loader/entries/debian.conf wanted/loader/entries/debian.conf
expect_same_tree wanted after
diff <(sed '/^options/d' fat/loader/entries/debian.conf) <(sed '/^options/d' after/loader/entries/debian.conf) || fail "more than the command line was changed"
rm -rf wanted after out.raw

step "what FAT cannot keep, and what it has no room for: a reason, and no result"
expect_exit 1 prefix/bin/vm2oci inject -q --copy-in older:/boot/extra.conf:0600:7:8 raw:disk.raw raw:out.raw
expect_match "/boot/extra.conf.* cannot set an owner" "$(cat stderr)" "what is said of it"
[[ ! -e out.raw ]] || fail "a failed edit left a disk"
head -c 70000000 /dev/zero | tr '\0' x > larger
expect_exit 3 prefix/bin/vm2oci inject -q --copy-in larger:/boot/larger raw:disk.raw raw:out.raw
expect_match "'/boot' is too full" "$(cat stderr)" "what is said of it"
[[ ! -e out.raw ]] || fail "a failed edit left a disk"
