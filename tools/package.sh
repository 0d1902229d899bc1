#!/usr/bin/env bash
# Makes packages of this tree: .deb files for Debian 12 and 13, and a tarball for other distributions.
#
#   tools/package.sh [OPTION…] [FOLDER]     into FOLDER, or build/packages
#
#   --kernel auto|yes|no   vm2oci-guest-kernel: from the cache of guest-kernel/build.sh, or built (ten minutes); auto, the
#                          default, makes the other packages where it cannot be had, and says so
#   --no-tarball           only the .deb files
#
# vm2oci                  the program, its manual, completions of bash, zsh and fish, schemas, scripts for CI and pushes
# vm2oci-guest-kernel     the kernel and the static program that --kernel minimal and vm2oci's appliance take
# libvm2oci0              the library; libvm2oci-dev: its headers, for CMake and pkg-config
# nbdkit-plugin-vm2oci    images as disks for nbdkit, where its header was there for the build
#
# The version is that of CMakeLists.txt, with the commit behind it unless a tag v<VERSION> is what is built. The same
# commit gives the same bytes, in any folder, by any user: times are the commit's ($SOURCE_DATE_EPOCH wins), names of
# folders are taken out of what is compiled. What it needs: tools/setup.sh --package.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/package/parts.sh
source tools/package/parts.sh

kernel=auto tarball=yes output=
while [[ $# -gt 0 ]]; do
    case $1 in
        --kernel)
            kernel=${2:-}
            [[ $kernel =~ ^(auto|yes|no)$ ]] || wrong_usage '--kernel is auto, yes or no'
            shift
            ;;
        --no-tarball) tarball=no ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' tools/package.sh
            exit 0
            ;;
        -*) wrong_usage "unknown option $1" ;;
        *)
            [[ -z $output ]] || wrong_usage 'one folder is enough'
            output=$1
            ;;
    esac
    shift
done
output=$(realpath -m "${output:-build/packages}")
need cmake dpkg-deb dpkg-shlibdeps strip gzip awk
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
SOURCE_DATE_EPOCH=$(source_date)
version=$(package_version)
architecture=$(dpkg --print-architecture)
build=$PWD/build/package
umask 022

say "version $version, $architecture, as of $(date --utc --date "@$SOURCE_DATE_EPOCH" +%F)"
hardening='-fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2'
[[ $architecture != amd64 ]] || hardening+=' -fcf-protection'
# Made of all that is linked, of debug information too, which is not packaged and has folders in it.
linking=-Wl,-z,relro,-z,now,--as-needed,--build-id=none
# ccache hands the compiler names that are relative to the build folder; without it they are whole, and the project's own
# flags make "." of the source folder.
hardening+=' -ffile-prefix-map=../..=.'
configure() {
    cmake --preset release -B "$build" -DCMAKE_INSTALL_PREFIX=/usr -DVM2OCI_BUILD_TESTS=OFF \
        -DCMAKE_C_FLAGS="$hardening" -DCMAKE_CXX_FLAGS="$hardening" \
        -DCMAKE_EXE_LINKER_FLAGS="$linking" -DCMAKE_SHARED_LINKER_FLAGS="$linking" -DCMAKE_MODULE_LINKER_FLAGS="$linking" \
        -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON "$@" > /dev/null
}
compile() { cmake --build "$build" --parallel "${JOBS:-$(nproc)}" "$@"; }

# RE2's shared object has another name in each release, and fmt's has, too: without those the same program fits Debian 12
# and 13. The library and the plugin are for the release that they are built on.
configure "-DVM2OCI_FEW_LIBRARIES=PkgConfig::re2" -DCMAKE_INSTALL_RPATH= -DVM2OCI_STATIC_RUNTIME=OFF
compile
with_kernel=no
if [[ $kernel != no ]]; then
    if guest-kernel/build.sh --output "$build/share/vm2oci/guest-kernel/$(uname -m)" > /dev/null; then
        with_kernel=yes
    elif [[ $kernel == yes ]]; then
        fail 'there is no guest kernel'
    else
        say 'there is no guest kernel (see above): no vm2oci-guest-kernel, and no kernel in the tarball'
    fi
fi

scratch=$(mktemp --directory)
trap 'rm -rf "$scratch"' EXIT
mkdir -p "$output"
staged() { printf '%s/%s' "$scratch" "$1"; }

stage_component vm2oci program
arrange_for_debian "$(staged vm2oci)"
make_deb vm2oci
stage_component libvm2oci0 library
make_deb libvm2oci0
stage_component libvm2oci-dev development
make_deb libvm2oci-dev
if [[ -e $build/tools/nbdkit/nbdkit-vm2oci-plugin.so ]]; then
    stage_component nbdkit-plugin-vm2oci nbdkit
    make_deb nbdkit-plugin-vm2oci
else
    say "nbdkit's header (nbdkit-plugin-dev) is not there: no nbdkit-plugin-vm2oci"
fi
if [[ $with_kernel == yes ]]; then
    stage_component vm2oci-guest-kernel guest-kernel
    make_deb vm2oci-guest-kernel
fi

if [[ $tarball == yes ]]; then
    # Nearly all of what it needs is inside: a distribution's own libcurl must not meet another OpenSSL or zlib.
    configure "-DVM2OCI_FEW_LIBRARIES=$(IFS=';'; printf '%s' "${archives[*]}")" -DVM2OCI_STATIC_RUNTIME=ON \
        "-DCMAKE_INSTALL_RPATH=\$ORIGIN/../lib/vm2oci"
    compile --target vm2oci vm2oci-agent completions manual_pages
    make_tarball
fi
(cd "$output" && sha256sum -- *_"$version"_*.deb vm2oci-"$version"-*.tar.xz 2> /dev/null > SHA256SUMS || true)
say "in $output:"
(cd "$output" && ls -l --size --human-readable)
