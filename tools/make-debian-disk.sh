#!/usr/bin/env bash
# Makes a real virtual machine's disk: Debian 12 with systemd, cloud-init, openssh-server, Debian's own kernel and
# GRUB, bootable by BIOS and by UEFI (Secure Boot's shim included), console on the first serial port, some 600 MB of
# data on 10 GiB of ext4. It is made like a machine that has lived: it has a machine-id and SSH host keys of its own.
# Nobody can log in until cloud-init, or an edit of the disk, says who may.
#
#   tools/make-debian-disk.sh [OPTION…]      prints the path of the disk, which it makes when the cache has none
#
#   --output FILE       copies the disk to FILE, and prints that path
#   --format FORMAT     qcow2 (default; uncompressed) or raw (sparse)
#   --size SIZE         virtual size, such as 10G (default)
#   --packages A,B,…    Debian packages to add
#   --hostname NAME     (default: debian12)
#   --minimal           no cloud-init and no SSH, and the smaller kernel for clouds: half of the size, half of the time
#   --mirror URL        Debian archive to install from (default: what mmdebstrap takes)
#
# Disks are cached in ${XDG_CACHE_HOME:-~/.cache}/vm2oci/disks by the content of this script and the options; beside
# each stands the list of its packages with their versions. The Debian archive moves on, a cached disk stays. Disks
# that nobody asked for during 30 days are removed when another is made. Neither mounts, loop devices nor a device
# mapper are used; root is not needed where user namespaces with subordinate ids are allowed.
set -euo pipefail

release=bookworm
# Everything that could be random is fixed, so that two disks from one state of the archive differ as little as the
# tools allow (SSH keys stay random).
export SOURCE_DATE_EPOCH=1750000000
root_filesystem_uuid=6d0a2f60-8a3e-4c53-9a57-0c1d5b6f7e01
esp_volume_id=5EED0C12
disk_guid=6D0A2F60-8A3E-4C53-9A57-0C1D5B6F7E10
root_guid=6D0A2F60-8A3E-4C53-9A57-0C1D5B6F7E11
bios_guid=6D0A2F60-8A3E-4C53-9A57-0C1D5B6F7E12
esp_guid=6D0A2F60-8A3E-4C53-9A57-0C1D5B6F7E13
machine_id=5f3c0a6e9b1d4e7f8a2b6c4d0e9f1a35

# Layout in sectors of 512 bytes, numbered like Debian's cloud images: the root is partition 1 and last, so it grows.
bios_start=2048
bios_sectors=6144
esp_start=8192
esp_sectors=253952
root_start=262144

size=10G
format=qcow2
hostname=debian12
extra_packages=
flavour=standard
mirror=
output=

say() { printf 'make-debian-disk: %s\n' "$*" >&2; }
fail() {
    say "$1"
    exit "${2:-1}"
}
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

while [[ $# -gt 0 ]]; do
    case "$1" in
        --output | --format | --size | --packages | --hostname | --mirror)
            [[ $# -ge 2 ]] || fail "$1 needs a value" 2
            case "$1" in
                --output) output=$2 ;;
                --format) format=$2 ;;
                --size) size=$2 ;;
                --packages) extra_packages=$2 ;;
                --hostname) hostname=$2 ;;
                --mirror) mirror=$2 ;;
            esac
            shift
            ;;
        --minimal) flavour=minimal ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1; see --help" 2 ;;
    esac
    shift
done
[[ $format == qcow2 || $format == raw ]] || fail "--format is qcow2 or raw, not '$format'" 2
[[ $hostname =~ ^[a-z0-9][a-z0-9-]{0,62}$ ]] || fail "'$hostname' is not a host name" 2
[[ $extra_packages =~ ^[a-z0-9.+,-]*$ ]] || fail "'$extra_packages' is not a list of packages" 2
size_bytes=$(numfmt --from=iec "${size%iB}" 2> /dev/null) || fail "'$size' is not a size such as 10G" 2
((size_bytes >= 2 << 30)) || fail "the disk needs at least 2G" 2
((size_bytes % 1048576 == 0)) || fail "the size must be a multiple of 1M" 2

packages=systemd-sysv,dbus,udev,libpam-systemd,grub-cloud-amd64,e2fsprogs,iproute2,procps,kmod
case "$flavour" in
    minimal) packages+=,linux-image-cloud-amd64 ;;
    standard)
        packages+=,linux-image-amd64,systemd-resolved,systemd-timesyncd,openssh-server,cloud-init,cloud-guest-utils
        packages+=,sudo,iputils-ping,ca-certificates,curl,less,vim-tiny,bash-completion,dosfstools,fdisk,locales
        ;;
esac
packages+=${extra_packages:+,$extra_packages}

cache=${XDG_CACHE_HOME:-${HOME:?neither XDG_CACHE_HOME nor HOME is set}/.cache}/vm2oci/disks
key=$({
    cat "$0"
    printf '%s\n' "$release" "$packages" "$size_bytes" "$hostname"
} | sha256sum | cut -c1-16)
name=debian-12-$flavour-$key
cached=$cache/$name.$format

# What runs inside the new system's tree, as mmdebstrap's hook: $1 is the tree.
write_guest_hook() {
    cat << HOOK
#!/bin/bash
set -euo pipefail
root=\$1
hostname=$hostname
uuid=$root_filesystem_uuid
esp_volume_id=$esp_volume_id
HOOK
    cat << 'HOOK'
printf '%s\n' "$hostname" > "$root/etc/hostname"
printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n\n::1\tlocalhost ip6-localhost ip6-loopback\n' "$hostname" > "$root/etc/hosts"
printf 'UUID=%s\t/\text4\terrors=remount-ro\t0 1\nUUID=%s\t/boot/efi\tvfat\tumask=0077,nofail\t0 2\n' \
    "$uuid" "${esp_volume_id:0:4}-${esp_volume_id:4}" > "$root/etc/fstab"
mkdir -p "$root/boot/efi"
printf 'LANG=C.UTF-8\n' > "$root/etc/default/locale"
[ -L "$root/etc/resolv.conf" ] || : > "$root/etc/resolv.conf"
chmod 0644 "$root/etc/hostname"

# Any wired interface asks DHCP; cloud-init's own files sort first. Waiting for a network is bounded: a machine that is
# booted without one must come up all the same.
printf '[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n\n[Link]\nRequiredForOnline=no\n' \
    > "$root/etc/systemd/network/80-dhcp.network"
mkdir -p "$root/etc/systemd/system/systemd-networkd-wait-online.service.d"
printf '[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online --any --timeout=10\n' \
    > "$root/etc/systemd/system/systemd-networkd-wait-online.service.d/bounded.conf"
chroot "$root" systemctl enable systemd-networkd.service serial-getty@ttyS0.service

# GRUB, as grub-install and update-grub leave it. There is no disk yet for grub-probe to look at, so what it would say
# about the finished one is said for it.
mkdir -p "$root/etc/default/grub.d" "$root/boot/grub/i386-pc" "$root/boot/grub/x86_64-efi" "$root/boot/grub/fonts"
# no_timer_check, as other clouds' images have it: on a busy host an emulated timer may come too late for that check.
printf 'GRUB_TIMEOUT=1\nGRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200n8 no_timer_check"\n' \
    > "$root/etc/default/grub.d/10-console.cfg"
cp "$root"/usr/lib/grub/i386-pc/*.{mod,lst} "$root/usr/lib/grub/i386-pc/boot.img" "$root/boot/grub/i386-pc/"
cp "$root"/usr/lib/grub/x86_64-efi/*.{mod,lst} "$root/boot/grub/x86_64-efi/"
cp "$root/usr/share/grub/unicode.pf2" "$root/boot/grub/fonts/"
chroot "$root" grub-editenv /boot/grub/grubenv create
printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\n' "$uuid" > "$root/tmp/early.cfg"
chroot "$root" grub-mkimage --format i386-pc --output /boot/grub/i386-pc/core.img --config /tmp/early.cfg \
    --prefix /boot/grub biosdisk part_gpt ext2 search_fs_uuid
mv "$root/usr/sbin/grub-probe" "$root/usr/sbin/grub-probe.real"
cat > "$root/usr/sbin/grub-probe" << PROBE
#!/bin/sh
case "\$*" in
    *fs_uuid*) echo $uuid ;;
    *partmap*) echo gpt ;;
    *hints_string*) echo --hint-bios=hd0,gpt1 --hint-efi=hd0,gpt1 --hint-baremetal=ahci0,gpt1 ;;
    *compatibility_hint*) echo hd0,gpt1 ;;
    *target=device*) echo /dev/vda1 ;;
    *target=fs*) echo ext2 ;;
    *abstraction* | *cryptodisk_uuid*) ;;
    *) exit 1 ;;
esac
PROBE
chmod 0755 "$root/usr/sbin/grub-probe"
mkdir -p "$root/dev/disk/by-uuid"
: > "$root/dev/disk/by-uuid/$uuid"
chroot "$root" grub-mkconfig --output /boot/grub/grub.cfg
rm -r "$root/dev/disk" "$root/tmp/early.cfg"
mv "$root/usr/sbin/grub-probe.real" "$root/usr/sbin/grub-probe"
grep -q "root=UUID=$uuid.*console=ttyS0" "$root/boot/grub/grub.cfg"

chroot "$root" dpkg-query --show > "$root/package-versions"
HOOK
}

# The EFI system partition: shim and GRUB as signed by Debian, under the removable path and under Debian's own name.
make_esp() {
    local tree=$1 image=$2 signed=$1/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed directory
    truncate --size $((esp_sectors * 512)) "$image"
    mkfs.vfat -F 32 -s 1 -n ESP -i "$esp_volume_id" "$image" > /dev/null
    printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n' \
        "$root_filesystem_uuid" > "$work/grub.cfg"
    mmd -i "$image" ::EFI ::EFI/BOOT ::EFI/debian
    mcopy -i "$image" "$tree/usr/lib/shim/shimx64.efi.signed" ::EFI/BOOT/BOOTX64.EFI
    mcopy -i "$image" "$tree/usr/lib/shim/shimx64.efi.signed" ::EFI/debian/shimx64.efi
    mcopy -i "$image" "$tree/usr/lib/shim/BOOTX64.CSV" ::EFI/debian/BOOTX64.CSV
    for directory in BOOT debian; do
        mcopy -i "$image" "$tree/usr/lib/shim/mmx64.efi.signed" "::EFI/$directory/mmx64.efi"
        mcopy -i "$image" "$signed" "::EFI/$directory/grubx64.efi"
    done
    mcopy -i "$image" "$work/grub.cfg" ::EFI/debian/grub.cfg
}

# Number as COUNT little-endian bytes, in printf's escapes.
little_endian() {
    local value=$1 count=$2 bytes=
    for ((; count > 0; count--, value >>= 8)); do
        bytes+=$(printf '\\x%02x' $((value & 255)))
    done
    printf '%s' "$bytes"
}

# Writes escaped bytes at an offset of a file.
poke() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# What grub-bios-setup does on a GPT disk with a BIOS boot partition: boot.img's code into the first sector with the
# place of core.img (0x5c), core.img into the partition with the place of its own rest (last 12 bytes of its first
# sector: start, length, segment). 0x66: trust the BIOS's drive number no more than grub-bios-setup does for hard disks.
install_bios_grub() {
    local disk=$1 grub=$2/boot/grub/i386-pc core_sectors
    core_sectors=$((($(stat --format %s "$grub/core.img") + 511) / 512))
    ((core_sectors <= bios_sectors)) || fail 'core.img does not fit into the BIOS boot partition'
    cp "$grub/core.img" "$work/core.img"
    poke "$work/core.img" 500 "$(little_endian $((bios_start + 1)) 8)$(little_endian $((core_sectors - 1)) 2)"
    cp "$grub/boot.img" "$work/boot.img"
    poke "$work/boot.img" $((0x5c)) "$(little_endian $bios_start 8)"
    poke "$work/boot.img" $((0x66)) '\x90\x90'
    dd if="$work/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if="$work/core.img" of="$disk" bs=512 seek=$bios_start conv=notrunc status=none
}

# From the archive of the root tree to the disk; runs as root, or as root of a user namespace of its own.
assemble() {
    local archive=$1 disk=$2 tree=$work/tree root_sectors
    mkdir "$tree"
    tar --extract --file "$archive" --directory "$tree" --numeric-owner --xattrs --xattrs-include='*'
    mv "$tree/package-versions" "$work/packages"
    # mmdebstrap leaves templates: this is a machine.
    printf '%s\n' $machine_id > "$tree/etc/machine-id"
    mkdir -p "$tree/var/lib/dbus"
    ln -sf /etc/machine-id "$tree/var/lib/dbus/machine-id"

    # The backup table takes the last 33 sectors; the root ends on a boundary of 1 MiB before it.
    root_sectors=$(((size_bytes - 1048576) / 512 - root_start))
    truncate --size "$size_bytes" "$disk"
    sfdisk --quiet --no-reread --no-tell-kernel "$disk" << TABLE
label: gpt
label-id: $disk_guid
first-lba: 2048
1: start=$root_start, size=$root_sectors, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid=$root_guid
14: start=$bios_start, size=$bios_sectors, type=21686148-6449-6E6F-744E-656564454649, uuid=$bios_guid
15: start=$esp_start, size=$esp_sectors, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid=$esp_guid
TABLE
    # GRUB 2.06 reads neither of the two features that newer defaults turn on.
    E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -L root -U "$root_filesystem_uuid" -O ^metadata_csum_seed,^orphan_file \
        -E offset=$((root_start * 512)),hash_seed="$root_filesystem_uuid" -d "$tree" "$disk" $((root_sectors / 2))k
    make_esp "$tree" "$work/esp.img"
    dd if="$work/esp.img" of="$disk" bs=1M seek=$((esp_start / 2048)) conv=notrunc,sparse status=none
    install_bios_grub "$disk" "$tree"
    rm -rf "$tree"
}

build() {
    work=$(mktemp --directory "$cache/building.XXXXXX")
    # shellcheck disable=SC2064 # $work is this build's
    trap "rm -rf '$work'" EXIT
    say "making a $flavour Debian 12 disk of $size (some minutes; kept in $cache)"

    local started=$SECONDS
    write_guest_hook > "$work/guest-hook"
    chmod 0755 "$work/guest-hook"
    # A virtual machine has no use for drivers of what it cannot have, nor for texts in other languages.
    local excludes=('/usr/share/locale/*' '/usr/share/doc/*' '/usr/share/man/*') driver
    for driver in drivers/gpu/drm/{amd,i915,nouveau,radeon} drivers/{media,infiniband,iio,staging,comedi} \
        drivers/net/wireless sound; do
        excludes+=("/lib/modules/*/kernel/$driver/*")
    done
    excludes=("${excludes[@]/#/--dpkgopt=path-exclude=}" '--dpkgopt=path-include=/usr/share/doc/*/copyright')
    if ! mmdebstrap --variant=minbase --include="$packages" --aptopt='APT::Install-Recommends "false"' \
        "${excludes[@]}" --customize-hook="$work/guest-hook" "$release" "$work/root.tar" ${mirror:+"$mirror"} \
        > "$work/log" 2>&1; then
        tail -n 40 "$work/log" >&2
        fail 'mmdebstrap failed: is the Debian archive in reach?'
    fi
    say "packages installed after $((SECONDS - started)) s"

    # The tree's owners are real only for root: everybody else assembles inside a user namespace.
    if [[ $(id -u) -eq 0 ]]; then
        assemble "$work/root.tar" "$work/disk.raw"
    else
        export -f assemble make_esp install_bios_grub poke little_endian say fail
        export work machine_id disk_guid root_guid bios_guid esp_guid size_bytes root_filesystem_uuid esp_volume_id
        export bios_start bios_sectors esp_start esp_sectors root_start
        unshare --user --map-root-user --map-auto -- \
            bash -euo pipefail -c "assemble '$work/root.tar' '$work/disk.raw'"
    fi
    rm "$work/root.tar"
    qemu-img convert -f raw -O qcow2 "$work/disk.raw" "$work/disk.qcow2"
    find "$cache" -maxdepth 1 -name 'debian-12-*' -mtime +30 -delete
    mv "$work/packages" "$cache/$name.packages"
    mv "$work/disk.qcow2" "$cache/$name.qcow2"
    say "made $cache/$name.qcow2 after $((SECONDS - started)) s"
}

for tool in mmdebstrap sfdisk mkfs.vfat mmd mcopy mke2fs qemu-img flock; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$tool" > /dev/null || fail "$tool is missing; run tools/setup.sh --quickstart"
done
PATH=$PATH:/usr/sbin:/sbin
mkdir -p "$cache"
(
    flock 9
    [[ -e $cache/$name.qcow2 ]] || build
    if [[ ! -e $cached ]]; then
        qemu-img convert -f qcow2 -O raw "$cache/$name.qcow2" "$cached.partial"
        mv "$cached.partial" "$cached"
    fi
    touch "$cache/$name".*
) 9> "$cache/.lock-$key"

if [[ -n $output ]]; then
    cp --sparse=always --reflink=auto "$cached" "$output"
    cached=$output
fi
printf '%s\n' "$cached"
