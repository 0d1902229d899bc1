# What disks that are laid out as a distribution's installer does it have in common; sourced by el_like_disk.sh,
# fedora_like_disk.sh and suse_like_disk.sh, which set `disk`, `tree` and `boots`: "boots" for a disk that starts by
# GRUB, with the tree's own initrd without virtio, else "" for one with an initrd that starts nothing.
# shellcheck shell=bash disable=SC2034,SC2154
readonly MiB=1048576
parts=$(dirname "${BASH_SOURCE[0]}")
work=$PWD
# shellcheck source=broken_initrd.sh
source "$parts/broken_initrd.sh"

# Where the root is mounted, and the device that it is mounted from.
point=$(mktemp --directory like.XXXXXX)
loop=
clean_up() {
    ! mountpoint -q "$point" || umount -R "$point"
    release_loop
    rmdir "$point"
}
trap clean_up EXIT

# Each disk has its own: mkfs.btrfs and the kernel refuse a UUID that another device of the machine has, also one that
# is being detached.
new_uuid() { cat /proc/sys/kernel/random/uuid; }

# Offsets and sizes are MiB of the disk. The device is $loop until release_loop.
loop_at() { loop=$(losetup --find --show --offset $(($1 * MiB)) --sizelimit $(($2 * MiB)) "$disk"); }
release_loop() {
    [[ -z $loop ]] || losetup -d "$loop"
    loop=
}
# at OFFSET SIZE COMMAND…: with the device behind its words.
at() {
    loop_at "$1" "$2"
    "${@:3}" "$loop"
    release_loop
}
# mount_part OFFSET SIZE FOLDER: its device goes when it is unmounted.
mount_part() {
    local part
    part=$(losetup --find --show --offset $(($1 * MiB)) --sizelimit $(($2 * MiB)) "$disk")
    mount "$part" "$3"
    losetup -d "$part"
}

# make_esp OFFSET SIZE VENDOR VOLUME-ID UUID-OF-BOOT PREFIX: as an installer leaves it where firmware has an entry for the
# vendor's folder: nothing lies where firmware looks by itself.
make_esp() {
    local image=like-esp.img
    truncate -s "$2M" "$image"
    mkfs.fat -F 16 -n EFI -i "$4" "$image" > /dev/null
    mmd -i "$image" ::EFI "::EFI/$3"
    # shellcheck disable=SC2016  # GRUB's variables
    printf 'search --fs-uuid %s --set=dev\nset prefix=($dev)%s\nconfigfile $prefix/grub.cfg\n' "$5" "$6" |
        mcopy -i "$image" - "::EFI/$3/grub.cfg"
    if [[ -n $boots ]]; then
        grub-mkimage --format x86_64-efi --directory "$tree/usr/lib/grub/x86_64-efi" --prefix "/EFI/$3" --output like-grub.efi \
            part_gpt part_msdos fat ext2 xfs btrfs search search_fs_uuid configfile normal linux echo test all_video
        mcopy -i "$image" like-grub.efi "::EFI/$3/grubx64.efi"
        rm like-grub.efi
    fi
    dd if="$image" of="$disk" bs=1M seek="$1" conv=notrunc,sparse status=none
    rm "$image"
}

# install_bios_grub UUID-OF-BOOT PREFIX: as grub-bios-setup does, with the core behind the partition table, where the
# first MiB is nobody's.
install_bios_grub() {
    [[ -n $boots ]] || return 0
    # shellcheck disable=SC2016  # GRUB's variables
    printf 'search.fs_uuid %s root\nset prefix=($root)%s\n' "$1" "$2" > like-early.cfg
    grub-mkimage --format i386-pc --directory "$tree/usr/lib/grub/i386-pc" --prefix "$2" --config like-early.cfg --output like-core.img \
        biosdisk part_gpt part_msdos ext2 xfs btrfs search_fs_uuid configfile normal linux linux16 echo test
    python3 - "$disk" "$tree/usr/lib/grub/i386-pc/boot.img" like-core.img << 'PYTHON'
import struct, sys
name, boot_name, core_name = sys.argv[1:]
first = 34  # behind GPT's entries
boot, core = bytearray(open(boot_name, "rb").read(440)), bytearray(open(core_name, "rb").read())
sectors = -(-len(core) // 512)
assert first + sectors <= 2048, sectors
struct.pack_into("<QH", core, 500, first + 1, sectors - 1)
struct.pack_into("<Q", boot, 0x5c, first)
boot[0x66:0x68] = b"\x90\x90"
with open(name, "r+b") as disk:
    disk.write(boot)
    disk.seek(first * 512)
    disk.write(core)
PYTHON
    rm like-early.cfg like-core.img
}

# In the current folder, the guest's root: what tells of Debian goes.
become() { # NAME VERSION ID ID_LIKE PRETTY_NAME
    rm -rf var/lib/dpkg etc/apt etc/debian_version etc/dpkg boot/grub
    printf 'NAME="%s"\nVERSION="%s"\nID="%s"\nID_LIKE="%s"\nVERSION_ID="%s"\nPRETTY_NAME="%s"\n' "$1" "$2" "$3" "$4" "$2" "$5" \
        > usr/lib/os-release
    ln -sf ../usr/lib/os-release etc/os-release
}

# An initrd that drives nothing but the disk of the machine that it was made on.
make_host_only_initrd() { # KERNEL OUTPUT
    local made
    made=$(mktemp --directory "$work/initrd.XXXXXX")
    if [[ -n $boots ]]; then
        (cd "$made" && break_initrd "$tree/boot/initrd.img-$1" broken "$1")
        mv "$made/broken" "$2"
    else
        mkdir -p "$made/usr/lib/modules/$1/kernel/drivers/message/fusion"
        : > "$made/usr/lib/modules/$1/kernel/drivers/message/fusion/mptspi.ko"
        (cd "$made" && find . -print | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -n) > "$2"
    fi
    rm -r "$made"
}

# One unit says on the console what room the root has, for those who boot a disk that has grown.
add_room_unit() { # in the guest's root
    [[ -n $boots ]] || return 0
    printf '[Service]\nType=oneshot\nExecStart=/bin/sh -c "echo room $$(df -BM --output=size / | tail -1) > /dev/console"\n' \
        > etc/systemd/system/room.service
    mkdir -p etc/systemd/system/multi-user.target.wants
    ln -s ../room.service etc/systemd/system/multi-user.target.wants/room.service
}

# Packages in the form that such a system keeps them in; the names are ours.
make_rpm_database() { # FOLDER RELEASE
    local number
    mkdir like-specs
    for number in $(seq 1 20); do
        printf 'Name: base-%d\nVersion: 1.%d\nRelease: 1.%s\nSummary: a package\nLicense: MIT\nBuildArch: noarch\n%%description\nNothing.\n%%files\n' \
            "$number" "$number" "$2" > "like-specs/$number.spec"
    done
    rpmbuild --quiet --define "_topdir $PWD/like-rpm" -bb like-specs/*.spec > rpmbuild.log 2>&1 || { cat rpmbuild.log >&2 && exit 1; }
    mkdir -p "$1"
    rpm --dbpath "$(realpath "$1")" -i --justdb --nodeps --noscripts --notriggers \
        --nosignature --nodigest --ignorearch --ignoreos like-rpm/RPMS/noarch/*.rpm 2> rpm.log || { cat rpm.log >&2 && exit 1; }
    rm -rf like-specs like-rpm
}

# As restorecon would, by place.
label() { # FOLDER
    python3 - "$1" << 'PYTHON'
import os, sys
root = sys.argv[1]
TYPES = (("etc", "etc_t"), ("usr/bin", "bin_t"), ("usr/lib", "lib_t"), ("usr", "usr_t"), ("boot", "boot_t"), ("var", "var_t"))
for folder, folders, files in os.walk(root):
    for name in [""] + files + [n for n in folders if os.path.islink(os.path.join(folder, n))]:
        path = os.path.join(folder, name) if name else folder
        place = os.path.relpath(path, root)
        kind = next((kind for prefix, kind in TYPES if place == prefix or place.startswith(prefix + "/")), "default_t")
        os.setxattr(path, "security.selinux", f"system_u:object_r:{kind}:s0\0".encode(), follow_symlinks=False)
PYTHON
}
