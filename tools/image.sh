#!/usr/bin/env bash
# Makes vm2oci's own container image, without a container engine: Debian's packages unpacked, one layer written by vm2oci's
# own writer, a list of what is inside beside it.
#
#   tools/image.sh [OPTION…] LAYOUT[:TAG]
#
#   --with-qemu        adds QEMU, firmware and the guest kernel, for boots: the tag gets -qemu behind it
#   --build FOLDER     takes what is built there (default: build/package, which tools/package.sh makes)
#   --packages FOLDER  where downloaded packages are kept (default: ${XDG_CACHE_HOME:-~/.cache}/vm2oci/image-packages)
#
# Prints the image's digest. Inside are the program, what it loads, certificates of authorities and busybox for scripts of
# CI systems; the user is 65532 and nothing needs root, a writable root or a capability: mount a tmpfs at /tmp. The same
# packages and the same build give the same digest. Needs the package lists of Debian (apt-get update) and
# tools/setup.sh --package.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
# shellcheck source=tools/package/parts.sh
source tools/package/parts.sh

build=$PWD/build/package with_qemu=no destination=
cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}/vm2oci/image-packages
while [[ $# -gt 0 ]]; do
    case $1 in
        --with-qemu) with_qemu=yes ;;
        --build | --packages)
            [[ $# -ge 2 ]] || wrong_usage "$1 needs a folder"
            if [[ $1 == --build ]]; then build=$(cd "$here" && realpath "$2"); else cache=$2; fi
            shift
            ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' tools/image.sh
            exit 0
            ;;
        -*) wrong_usage "unknown option $1" ;;
        *) destination=$1 ;;
    esac
    shift
done
[[ -n $destination ]] || wrong_usage 'LAYOUT is needed'
[[ -e $build/CMakeCache.txt ]] || fail "there is no build in $build: tools/package.sh makes one"
need cmake dpkg-deb dpkg-shlibdeps apt-get mke2fs tar strip
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
SOURCE_DATE_EPOCH=$(source_date)
umask 022
layout=${destination%%:*} tag=latest
[[ $destination != *:* ]] || tag=${destination#*:}
[[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || wrong_usage "$tag is no tag; LAYOUT is a folder, without oci:"
[[ $with_qemu == no ]] || tag+=-qemu
[[ $layout == /* ]] || layout=$here/$layout
scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT

cmake --build "$build" --target pack_image > /dev/null
version=$(package_version)
stage_component vm2oci program
if [[ $with_qemu == yes ]]; then
    stage_component vm2oci guest-kernel
    [[ -d $scratch/vm2oci/usr/share/vm2oci/guest-kernel ]] ||
        say "there is no guest kernel in $build: this image has no --kernel minimal (cmake --build $build --target guest-kernel)"
fi

# Packages, as apt would install them on an empty machine; those that only serve maintainers' scripts stay out.
wanted=(libc6 libcurl4 libnbd0 busybox-static ca-certificates)
[[ $with_qemu == no ]] || wanted+=(qemu-system-x86 seabios ovmf)
IFS=, read -ra needed <<< "$(needed_packages "$scratch/vm2oci")"
for package in "${needed[@]}"; do
    package=${package%%|*}
    package=${package%%(*}
    wanted+=("${package// /}")
done
for_scripts=(debconf perl-base dpkg tar openssl adduser passwd sed init-system-helpers lsb-base coreutils mawk base-files
    bash dash gawk libpam0g libpam-modules libpam-modules-bin libpam-runtime libsemanage2 libsemanage-common)
mkdir -p "$cache/partial" "$scratch/state"
touch "$scratch/status"
apt_get=(apt-get -q -o "Dir::State::status=$scratch/status" -o "Dir::Cache::archives=$cache" -o Debug::NoLocking=1
    -o APT::Install-Recommends=0 -o APT::Sandbox::User=root -o APT::Get::List-Cleanup=0)
mapfile -t files < <("${apt_get[@]}" --print-uris --yes install "${wanted[@]}" -o Dir::Cache::archives="$scratch/none" |
    sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p" | sort)
[[ ${#files[@]} -gt 10 ]] || fail 'apt knows no packages; apt-get update brings its lists'
if ! (cd "$cache" && ls -- "${files[@]}") > /dev/null 2>&1; then
    "${apt_get[@]}" --yes --download-only install "${wanted[@]}" > "$scratch/log" 2>&1 || fail "$(tail -n 3 "$scratch/log")"
fi

root=$scratch/root
mkdir -p "$root"/{usr/{bin,sbin,lib,lib64},etc/ssl/certs,tmp,var/{tmp,lib/dpkg},proc,sys,dev,run,work,home/vm2oci}
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
left_out=(--exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' --exclude='./usr/share/info/*'
    --exclude='./usr/share/lintian/*' --exclude='./usr/share/doc/*/changelog*' --exclude='./usr/share/doc/*/NEWS*'
    --exclude='./usr/share/doc/*/README*' --exclude='./usr/share/doc/*/examples/*' --exclude='./usr/share/bug/*'
    --exclude='./usr/share/bash-completion/*' --exclude='./usr/share/zsh/*' --exclude='./usr/share/fish/*'
    --exclude='./usr/lib/*/gconv/*' --exclude='./usr/lib/systemd/*' --exclude='./lib/systemd/*')
for file in "${files[@]}"; do
    package=${file%%_*}
    [[ " ${for_scripts[*]} " != *" $package "* ]] || continue
    dpkg-deb --fsys-tarfile "$cache/$file" | tar -C "$root" -x --keep-directory-symlink --no-same-owner "${left_out[@]}"
    { # scanners look here
        dpkg-deb --field "$cache/$file" Package Version Architecture Source Maintainer Description | sed '/^ /d'
        printf 'Status: install ok installed\n\n'
    } >> "$root/var/lib/dpkg/status"
done
printf 'Package: vm2oci\nStatus: install ok installed\nVersion: %s\nArchitecture: %s\nMaintainer: %s\nDescription: vm2oci\n\n' \
    "$version" "$(dpkg --print-architecture)" "$maintainer" >> "$root/var/lib/dpkg/status"
cp -a "$scratch/vm2oci/." "$root/" 2> /dev/null || (cd "$scratch/vm2oci" && tar -c .) | tar -C "$root" -x --keep-directory-symlink
rm -rf "$root"/usr/share/{man,bash-completion,zsh,fish} "$root"/usr/lib/*/perl* "$root"/usr/share/{initramfs-tools,lintian}
find "$root/usr/share/ca-certificates" -name '*.crt' -print0 | sort -z | xargs -0 cat > "$root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root/usr/share/ca-certificates"
while read -r name; do
    [[ -e $root/usr/bin/$name ]] || ln -s busybox "$root/usr/bin/$name"
done < <("$root/usr/bin/busybox" --list)
cat > "$root/etc/passwd" << 'END'
root:x:0:0:root:/root:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
vm2oci:x:65532:65532:vm2oci:/tmp:/bin/sh
END
printf 'root:x:0:\nnogroup:x:65534:\nvm2oci:x:65532:\n' > "$root/etc/group"
printf 'NAME="vm2oci"\nID=debian\nVERSION_ID="%s"\nPRETTY_NAME="vm2oci %s on Debian %s"\n' \
    "$(. /etc/os-release && printf '%s' "$VERSION_ID")" "$version" "$(. /etc/os-release && printf '%s' "$VERSION_ID")" \
    > "$root/usr/lib/os-release"
ln -sf ../usr/lib/os-release "$root/etc/os-release"
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp" "$root/var/tmp"
# No file of the image runs with another one's rights.
find "$root" -type f -perm /6000 -exec chmod ug-s {} +

# The list of what is inside, by vm2oci itself, from a file system with the same files.
mkdir "$scratch/for-sbom"
cp -r "$root/etc" "$root/var" "$scratch/for-sbom/"
mkdir -p "$scratch/for-sbom/usr/lib" "$scratch/for-sbom"/{bin,sbin}
cp "$root/usr/lib/os-release" "$scratch/for-sbom/usr/lib/"
E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH mke2fs -q -t ext4 -d "$scratch/for-sbom" -E hash_seed=00000000-0000-0000-0000-000000000001 \
    -U 00000000-0000-0000-0000-000000000001 "$scratch/sbom.img" 64M > "$scratch/log"
"$build/tools/vm2oci/vm2oci" --quiet inspect --guest-backend native --sbom "$scratch/sbom.spdx.json" "raw:$scratch/sbom.img" > "$scratch/inspected" ||
    fail 'the list of packages could not be made'

cat > "$scratch/description" << END
architecture $(dpkg --print-architecture)
created $SOURCE_DATE_EPOCH
created-by tools/image.sh
user 65532:65532
directory /work
env PATH=/usr/bin:/usr/sbin:/bin:/sbin
env TMPDIR=/tmp
env HOME=/tmp
env XDG_CACHE_HOME=/tmp/cache
entrypoint vm2oci
command --help
label org.opencontainers.image.title=vm2oci
label org.opencontainers.image.version=$version
label org.opencontainers.image.licenses=Apache-2.0
label org.opencontainers.image.description=Virtual machine disks as OCI artifacts that are proven to boot
sbom $scratch/sbom.spdx.json
END
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime "@$SOURCE_DATE_EPOCH" --format=gnu -C "$root" . |
    "$build/tools/package/pack_image" "$scratch/description" "$layout" "$tag"
