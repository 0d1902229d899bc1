# What tools/package.sh is made of, and what tools/release.sh and tools/image.sh share with it; sourced at the top of the
# tree.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() {
    say "$1"
    exit "${2:-1}"
}
wrong_usage() { fail "$1; see --help" 2; }
need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" > /dev/null || fail "there is no $tool; tools/setup.sh --package installs it"
    done
}

project_version() { sed -n 's/^project(vm2oci VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt; }

# Whether this is a clone of its own, and not a folder of somebody else's.
in_git() { [[ $(git rev-parse --show-toplevel 2> /dev/null || true) == "$PWD" ]]; }

# Seconds since 1970: $SOURCE_DATE_EPOCH, else the commit's, else the newest date in CHANGELOG.md, as a source archive has it.
source_date() {
    if [[ -n ${SOURCE_DATE_EPOCH:-} ]]; then
        printf '%s\n' "$SOURCE_DATE_EPOCH"
    elif in_git; then
        git log -1 --format=%ct
    else
        local day
        day=$(sed -n 's/^## .*(\([0-9-]*\))$/\1/p' CHANGELOG.md | head -n 1)
        date --utc --date "${day:-1970-01-01}" +%s
    fi
}

# 0.1.0 where the tag v0.1.0 is checked out or there is no git; else 0.1.0~git20261129.78a9b92, which comes before it.
package_version() {
    local version
    version=$(project_version)
    if in_git && [[ $(git describe --tags --exact-match 2> /dev/null || true) != "v$version" ]]; then
        version+="~git$(date --utc --date "@$(git log -1 --format=%ct)" +%Y%m%d).$(git rev-parse --short=8 HEAD)"
    fi
    printf '%s\n' "$version"
}

# stage_component PACKAGE COMPONENT: what CMake installs of it, stripped.
stage_component() {
    local root=$scratch/$1 file
    DESTDIR=$root cmake --install "$build" --component "$2" --prefix /usr > /dev/null
    while IFS= read -r -d '' file; do
        ! is_elf "$file" || is_for_guests "$file" || strip --strip-unneeded --remove-section=.comment --remove-section=.note "$file"
    done < <(find "$root" -type f -size +63c -print0)
}

is_elf() { [[ $(head -c 4 "$1" | tail -c 3 | tr -d '\0') == ELF ]]; }

# Kernels for guests stay as they were built; the static program is stripped by its own build.
is_for_guests() { [[ $1 == */share/vm2oci/guest-kernel/* || $1 == */share/vm2oci/vm2oci-agent ]]; }

# Debian's places for what others have elsewhere, and its compressed manual.
arrange_for_debian() {
    local root=$1
    mkdir -p "$root/usr/share/zsh/vendor-completions"
    mv "$root/usr/share/zsh/site-functions/_vm2oci" "$root/usr/share/zsh/vendor-completions/"
    rmdir "$root/usr/share/zsh/site-functions"
    find "$root/usr/share/man" -type f -exec gzip --best --no-name {} +
}

# What shared objects a package needs, as dpkg knows them: "libc6 (>= 2.34), …".
needed_packages() {
    local root=$1 file files=()
    while IFS= read -r -d '' file; do
        ! is_elf "$file" || is_for_guests "$file" || files+=("$file")
    done < <(find "$root" -type f -print0 | sort -z)
    [[ ${#files[@]} -gt 0 ]] || return 0
    mkdir -p "$scratch/shlibs/debian"
    printf 'Source: vm2oci\n\nPackage: vm2oci\nArchitecture: any\n' > "$scratch/shlibs/debian/control"
    # nbdkit's own functions are in the program that loads the plugin.
    (cd "$scratch/shlibs" && dpkg-shlibdeps --warnings=0 -O "${files[@]}" 2> /dev/null) | sed -n 's/^shlibs:Depends=//p'
}

# CHANGELOG.md's newest section in the form of Debian's changelogs.
debian_changelog() {
    printf 'vm2oci (%s) unstable; urgency=medium\n\n' "$version"
    awk '
        function flush_item(    n, words, i, line) {
            if (item == "") return
            n = split(item, words, " ")
            line = "  *"
            for (i = 1; i <= n; i++) {
                if (length(line) + 1 + length(words[i]) > 76) { print line; line = "   " }
                line = line " " words[i]
            }
            print line
            item = ""
        }
        /^## / { if (seen++) exit; next }
        !seen { next }
        /^- / { flush_item(); item = substr($0, 3); next }
        /^  / { item = item " " substr($0, 3); next }
        /^[^ ].*:$/ { flush_item(); if (any++) print ""; print "  [ " substr($0, 1, length($0) - 1) " ]" }
        END { flush_item() }' CHANGELOG.md
    printf '\n -- %s  %s\n' "$maintainer" "$(date --utc --date "@$SOURCE_DATE_EPOCH" +'%a, %d %b %Y %H:%M:%S +0000')"
}

# As $DEBFULLNAME and $DEBEMAIL say, for those who hand packages on.
maintainer="${DEBFULLNAME:-The vm2oci developers} <${DEBEMAIL:-vm2oci@noreply.vm2oci.dev}>"

# make_deb PACKAGE: from $scratch/PACKAGE and tools/package/debian/PACKAGE.control (and .copyright, .overrides, .triggers,
# .shlibs where there are such).
make_deb() {
    local package=$1 root=$scratch/$1 parts=tools/package/debian/$1 documents needed file
    documents=$root/usr/share/doc/$package
    mkdir -p "$root/DEBIAN" "$documents"
    file=$parts.copyright
    [[ -e $file ]] || file=tools/package/debian/copyright
    cp "$file" "$documents/copyright"
    debian_changelog | gzip --best --no-name > "$documents/changelog.gz"
    if [[ -e $parts.overrides ]]; then
        mkdir -p "$root/usr/share/lintian/overrides"
        cp "$parts.overrides" "$root/usr/share/lintian/overrides/$package"
    fi
    needed=$(needed_packages "$root")
    fill_in() {
        sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@MAINTAINER@/$maintainer/" \
            -e "s/@SHLIBS@/$needed/" -e "s/@SIZE@/$(du --apparent-size -sk "$root" | cut -f 1)/" \
            -e "s/@KERNEL_SOURCE@/$(kernel_source "$root")/" "$1" | sed -e '/: *$/d' -e 's/: , /: /'
    }
    fill_in "$parts.control" > "$root/DEBIAN/control"
    for file in triggers shlibs; do
        [[ ! -e $parts.$file ]] || fill_in "$parts.$file" > "$root/DEBIAN/$file"
    done
    chmod -R u=rwX,go=rX "$root"
    (cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) > "$root/DEBIAN/md5sums"
    chmod 0644 "$root/DEBIAN/md5sums"
    # dpkg-deb lowers times that are later; those of a checkout may be anything.
    find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
    # One thread: how liblzma cuts its input must not depend on the machine.
    dpkg-deb --root-owner-group --threads-max=1 -Zxz --build "$root" "$output/${package}_${version}_$architecture.deb" > /dev/null
}

# Debian's source package that the guest kernel was built from, for Built-Using: "linux (= 6.1.158-1)". Nothing where the
# source came from elsewhere.
kernel_source() {
    [[ -d $1/usr/share/vm2oci/guest-kernel ]] || return 0
    dpkg-query --show --showformat '${source:Package} (= ${source:Version})' linux-source-6.1 2> /dev/null || true
}

# Targets whose archives go into the tarball's program. Bundled instead: ISA-L, of which Debian has no archive, and libb2
# and libargon2, whose archives have functions of the same names.
archives=(PkgConfig::re2 PkgConfig::zstd PkgConfig::zlib PkgConfig::libdeflate PkgConfig::xxhash
    PkgConfig::ext2fs PkgConfig::pugixml PkgConfig::lz4 PkgConfig::lzma BZip2::BZip2 PkgConfig::yaml
    PkgConfig::sqlite3 PkgConfig::png OpenSSL::Crypto LibArchive::LibArchive)

# bin, lib/vm2oci (bundled shared objects) and share, below one folder.
make_tarball() {
    local name root file
    name=vm2oci-$version-linux-$(uname -m)
    root=$scratch/tarball/$name
    mkdir -p "$root/lib/vm2oci"
    cmake --install "$build" --component program --prefix "$root" > /dev/null
    cmake --install "$build" --component guest-kernel --prefix "$root" > /dev/null
    strip --strip-unneeded --remove-section=.comment --remove-section=.note "$root/bin/vm2oci"
    # All but what the C library is made of.
    while read -r file; do
        cp --dereference "$file" "$root/lib/vm2oci/"
    done < <(ldd "$root/bin/vm2oci" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' |
        grep -vE '/(libc|libm|libdl|libpthread|librt|libresolv|ld-linux[^/]*)\.so')
    cp LICENSE CHANGELOG.md README.md tools/package/TARBALL.md "$root/"
    chmod -R u=rwX,go=rX "$root"
    tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime "@$SOURCE_DATE_EPOCH" --format=gnu \
        -C "$scratch/tarball" "$name" | xz --threads=1 > "$output/$name.tar.xz"
}
