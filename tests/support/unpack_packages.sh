#!/usr/bin/env bash
# unpack_packages.sh FOLDER PACKAGE…: puts what Debian's packages hold into FOLDER, without installing them: judges that
# must not run on the machine that tests (cloud-init, netplan). Downloads are kept in the user's cache.
set -euo pipefail
folder=$1
shift
cache=${VM2OCI_PACKAGE_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/vm2oci/packages}
mkdir -p "$cache" "$folder"
for package in "$@"; do
    version=$(apt-cache show --no-all-versions "$package" | sed -n 's/^Version: //p' | head -1)
    file=$cache/${package}_${version//:/%3a}.deb
    if [[ ! -s $file ]]; then
        download=$(mktemp --directory "$cache/.XXXXXX")
        (cd "$download" && apt-get -qq -o Acquire::Retries=3 download "$package=$version" 2> apt.log) ||
            { cat "$download/apt.log" >&2 && rm -r "$download" && exit 1; }
        mv "$download"/*.deb "$file"
        rm -r "$download"
    fi
    dpkg-deb -x "$file" "$folder"
done
