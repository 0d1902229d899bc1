#!/usr/bin/env bash
# Builds the guest kernel from the distribution's kernel source package and the fragments and patches beside this script,
# or takes it from the cache.
#
#   guest-kernel/build.sh [OPTION…]       prints the folder that holds the kernel
#
#   --output FOLDER     copies that folder's files to FOLDER, and prints FOLDER
#   --source TARBALL    the kernel's source (default: /usr/src/linux-source-6.1.tar.xz, of Debian's linux-source-6.1)
#   --sha256 SUM        what the source's SHA-256 must be (default: whatever it is; it is recorded)
#   --arch ARCH         x86_64 or arm64 (default: this machine's); another one needs its cross compiler
#   --jobs N            compilers at a time (default: one for each processor)
#   --config-only       prints the configuration, checked, instead; nothing is built or cached
#   --no-cache          builds even if the cache has it, and leaves the cache alone; needs --output
#
# The folder holds vmlinuz (bzImage, or arm64's Image), vmlinux (x86_64: ELF with a PVH entry, stripped), System.map
# (names for the addresses in its traces, less the "Kernel Offset" that a panic prints), config, release (as `uname -r`
# says), source (the tarball's name and SHA-256), and lib/modules/RELEASE, which tells a guest's modprobe what is built
# in. The same source, fragments, patches and compiler give the same bytes, whoever builds where and when.
#
# Kernels are cached in ${XDG_CACHE_HOME:-~/.cache}/vm2oci/guest-kernels by the content of the source, of the fragments,
# of the patches and of this script, and by the compiler. Kernels that nobody asked for during 30 days are removed when
# another is made.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source=/usr/src/linux-source-6.1.tar.xz
sha256=
arch=$(uname -m)
jobs=$(nproc)
output=
mode=build
cached=yes

say() { printf 'guest-kernel: %s\n' "$*" >&2; }
fail() {
    say "$1"
    exit "${2:-1}"
}
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

while [[ $# -gt 0 ]]; do
    case "$1" in
        --output | --source | --sha256 | --arch | --jobs)
            [[ $# -ge 2 ]] || fail "$1 needs a value" 2
            printf -v "${1#--}" '%s' "$2"
            shift
            ;;
        --config-only) mode=config ;;
        --no-cache) cached=no ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) fail "unknown option $1; see --help" 2 ;;
    esac
    shift
done
[[ $arch != aarch64 ]] || arch=arm64
[[ $arch == x86_64 || $arch == arm64 ]] || fail "--arch is x86_64 or arm64, not '$arch'" 2
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs is a number, not '$jobs'" 2
[[ $cached == yes || -n $output ]] || fail "--no-cache needs --output" 2
[[ -r $source ]] || fail "there is no $source; 'apt-get install linux-source-6.1' brings it, --source names another"
actual=$(sha256sum "$source" | cut -d' ' -f1)
[[ -z $sha256 || $sha256 == "$actual" ]] || fail "$source has the SHA-256 $actual, not $sha256" 3

cross=
if [[ $arch == arm64 && $(uname -m) != aarch64 ]]; then
    cross=aarch64-linux-gnu-
elif [[ $arch == x86_64 && $(uname -m) != x86_64 ]]; then
    cross=x86_64-linux-gnu-
fi
compiler=${cross}gcc
command -v "$compiler" > /dev/null || fail "there is no $compiler"
for tool in flex bison bc make patch; do
    command -v "$tool" > /dev/null || fail "there is no $tool; tools/setup.sh --tests installs what the build needs"
done

key=$({
    printf '%s\n' "$actual" "$arch"
    "$compiler" --version | head -1
    "${cross}ld" --version | head -1
    cat "$here/build.sh" "$here"/config/{common,"$arch"}/*.config "$here"/patches/*.patch
} | sha256sum | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?neither XDG_CACHE_HOME nor HOME is set}/.cache}/vm2oci/guest-kernels
result=$cache/$arch-$key

copy_out() {
    mkdir -p "$output"
    # Whole or not at all: a kernel of one build never stands beside modules of another.
    local new
    new=$(mktemp -d "$output.XXXXXX")
    cp -r "$1/." "$new/"
    chmod 0755 "$new"
    rm -rf "$output"
    mv "$new" "$output"
    printf '%s\n' "$output"
}

finish() {
    touch "$result"
    if [[ -n $output ]]; then copy_out "$result"; else printf '%s\n' "$result"; fi
    exit 0
}

if [[ $mode == build && $cached == yes ]]; then
    mkdir -p "$cache"
    # One builds, the others wait and find it.
    exec 9> "$cache/lock"
    flock 9
    [[ ! -e $result ]] || finish
fi

scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/vm2oci-kernel.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
tree=$scratch/linux
mkdir "$tree"
say "unpacking $(basename "$source")"
# What no configuration of ours compiles is most of the source; Kconfig files are read everywhere.
tar -xf "$source" -C "$tree" --strip-components=1 --exclude='*/Documentation/*/*' --exclude='*/tools/testing/*' \
    --exclude='*/drivers/gpu/drm/*/*/*.[ch]' --exclude='*/drivers/net/wireless/*.[ch]' --exclude='*/sound/*.[ch]'
for patch in "$here"/patches/*.patch; do
    # Patches make a start faster and change nothing else, so a source that they do not fit is built without them.
    if patch -d "$tree" -p1 --dry-run < "$patch" > "$scratch/log" 2>&1; then
        patch -d "$tree" -p1 -s < "$patch"
    else
        say "$(basename "$patch") does not fit this source, and is left out: $(tail -1 "$scratch/log")"
    fi
done

# Nothing of the machine, the user and the day gets into the kernel.
export KBUILD_BUILD_USER=vm2oci KBUILD_BUILD_HOST=vm2oci KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970' SOURCE_DATE_EPOCH=0 LC_ALL=C TZ=UTC
unset MAKEFLAGS MFLAGS LOCALVERSION KCFLAGS KBUILD_OUTPUT
build=(make -s -C "$tree" "ARCH=$arch" "CROSS_COMPILE=$cross")
# Trace points are off, by the switch that include/linux/tracepoint.h has for it, but in the objects whose trace points
# others ask for by name.
build+=(KCPPFLAGS=-DNOTRACE)
for object in core client mmap_lock msr trace_events trace_sched_switch; do
    build+=("CFLAGS_REMOVE_$object.o=-DNOTRACE")
done
if command -v ccache > /dev/null; then
    # Paths inside of the scratch folder are all relative, so that the next build finds what this one compiled.
    build+=("CC=ccache $compiler")
fi

"$here/fragments.py" join "$arch" > "$scratch/fragments"
"${build[@]}" "KCONFIG_ALLCONFIG=$scratch/fragments" allnoconfig > "$scratch/log" 2>&1 ||
    fail "the configuration failed: $(tail -5 "$scratch/log")"
"${build[@]}" olddefconfig > "$scratch/log" 2>&1 || fail "the configuration failed: $(tail -5 "$scratch/log")"
"$here/fragments.py" check "$arch" "$tree/.config" || exit 1
if [[ $mode == config ]]; then
    cat "$tree/.config"
    exit 0
fi

release=$("${build[@]}" kernelrelease)
case "$arch" in
    x86_64) target=bzImage image=arch/x86/boot/bzImage ;;
    arm64) target=Image image=arch/arm64/boot/Image ;;
esac
say "building Linux $release for $arch; on two processors this takes ten minutes"
"${build[@]}" -j "$jobs" "$target" > "$scratch/log" 2>&1 || {
    tail -30 "$scratch/log" >&2
    fail "the build failed"
}

made=$scratch/made
modules=$made/lib/modules/$release
mkdir -p "$modules"
cp "$tree/$image" "$made/vmlinuz"
[[ $arch != x86_64 ]] || "${cross}strip" -o "$made/vmlinux" "$tree/vmlinux"
cp "$tree/.config" "$made/config"
cp "$tree/System.map" "$made/System.map"
printf '%s\n' "$release" > "$made/release"
printf '%s %s\n' "$(basename "$source")" "$actual" > "$made/source"
cp "$tree/modules.builtin" "$tree/modules.builtin.modinfo" "$modules/"
: > "$modules/modules.order"
/sbin/depmod -b "$made" "$release"
# No module waits behind a device node. depmod writes this line where one does, and systemd's kmod-static-nodes.service
# runs where the list is not empty.
printf '# Device nodes to trigger on-demand module loading.\n' > "$modules/modules.devname"
find "$made" -type f -exec chmod 0644 {} + -o -type d -exec chmod 0755 {} +
say "$(stat -c %s "$made/vmlinuz") bytes of vmlinuz"

if [[ $cached == no ]]; then
    copy_out "$made"
    exit 0
fi
find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf {} +
rm -rf "$result.new"
mv "$made" "$result.new"
mv "$result.new" "$result"
finish
