#!/usr/bin/env bash
# Makes a release of what is checked out: packages, tarball, source archive, image, checksums and notes.
#
#   tools/release.sh [OPTION…] [FOLDER]     into FOLDER, or build/release-VERSION
#
#   --rehearse     all the same without a tag v<VERSION>, with a version that says so
#   --kernel, --no-image   as tools/package.sh has --kernel; without vm2oci's own images
#
# Before: set the version in CMakeLists.txt, give CHANGELOG.md a section "## VERSION (YYYY-MM-DD)", commit, and tag the
# commit v<VERSION>. It refuses a tree with changes, a tag that is not the version's and a version without a section.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/package/parts.sh
source tools/package/parts.sh

rehearse=no images=yes kernel=auto output=
while [[ $# -gt 0 ]]; do
    case $1 in
        --rehearse) rehearse=yes ;;
        --no-image) images=no ;;
        --kernel) kernel=${2:-} && shift ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' tools/release.sh
            exit 0
            ;;
        -*) wrong_usage "unknown option $1" ;;
        *) output=$1 ;;
    esac
    shift
done
in_git || fail 'this is no clone of its own'
number=$(project_version)
if [[ $rehearse == no ]]; then
    [[ -z $(git status --porcelain) ]] || fail 'there are changes that are not committed'
    [[ $(git describe --tags --exact-match 2> /dev/null || true) == "v$number" ]] || fail "the tag v$number is not what is checked out"
    grep -qE "^## ${number//./\\.} \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$" CHANGELOG.md || fail "CHANGELOG.md has no section '## $number (YYYY-MM-DD)'"
fi
version=$(package_version)
output=$(realpath -m "${output:-build/release-$version}")
mkdir -p "$output"
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(source_date)

# git archive takes times from the commit; gzip would add one of its own.
git archive --format=tar --prefix="vm2oci-$version/" HEAD | gzip --best --no-name > "$output/vm2oci-$version.tar.gz"
awk '/^## / { if (seen++) exit; next } seen' CHANGELOG.md | sed '1{/^$/d}' > "$output/NOTES.md"
tools/package.sh --kernel "$kernel" "$output"
if [[ $images == yes ]]; then
    tools/image.sh "$output/images:$version"
    tools/image.sh --with-qemu "$output/images:$version"
fi
(cd "$output" && find . -maxdepth 1 -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum > SHA256SUMS)
say "in $output:"
cat "$output/SHA256SUMS"
