#!/usr/bin/env bash
# Packages in bare Debians: what tools/package.sh made is asked by lintian, installed with apt in roots that have nothing
# else, converts and boots there, and follows the tutorials of the four journeys. By hand: it needs root, the network,
# mmdebstrap, docker-registry, and half an hour.
#
#   tests/package/in_chroots.sh [OPTION…] [SUITE…]     suites of Debian (default: bookworm trixie)
#
#   --packages FOLDER   what tools/package.sh wrote (default: build/packages)
#   --twice             first builds the packages a second time, in another folder and without ccache, and compares bytes
#   --no-boot           converts only, without QEMU
#
# Prints sizes, and seconds from a bare root to a converted disk, for each suite and for the tarball.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
packages=$here/build/packages twice=no boot=yes suites=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --packages) packages=$(realpath "${2:?a folder}") && shift ;;
        --twice) twice=yes ;;
        --no-boot) boot=no ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
            exit 0
            ;;
        *) suites+=("$1") ;;
    esac
    shift
done
[[ ${#suites[@]} -gt 0 ]] || suites=(bookworm trixie)
step() { printf '== %s (after %d s)\n' "$*" "$SECONDS"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
scratch=$(mktemp --directory /var/tmp/vm2oci-packages.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
compgen -G "$packages/vm2oci_*.deb" > "$scratch/found" || fail "there are no packages in $packages: tools/package.sh makes them"
(cd "$packages" && ls -l --size .)

if [[ $twice == yes ]]; then
    step 'the same bytes from another folder, another umask and another hour'
    git clone --quiet "$here" "$scratch/elsewhere/source"
    (cd "$scratch/elsewhere/source" && git checkout --quiet "$(git -C "$here" rev-parse HEAD)" && umask 077 &&
        CCACHE_DISABLE=1 TZ=Pacific/Auckland tools/package.sh --kernel auto "$scratch/again" > "$scratch/again.log" 2>&1) ||
        fail "$(tail -n 20 "$scratch/again.log")"
    for file in "$packages"/vm2oci* "$packages"/libvm2oci* "$packages"/nbdkit*; do
        cmp "$file" "$scratch/again/${file##*/}" || fail "${file##*/} differs"
    done
fi

if command -v lintian > "$scratch/found"; then
    step 'lintian'
    lintian --fail-on error,warning --suppress-tags bad-distribution-in-changes-file "$packages"/*.deb || fail 'lintian complains'
else
    printf 'lintian is not installed: not asked\n'
fi

# A disk that boots in seconds, of this machine's kernel.
export VM2OCI_SOURCE_DIR=$here
mkdir "$scratch/disk"
(
    scratch=$scratch/disk
    cd "$scratch"
    require_tool() { :; }
    # shellcheck source=tests/boot/lib.sh
    source "$here/tests/boot/lib.sh"
    # shellcheck source=tests/integration/ci/tutorial_disk.sh
    source "$here/tests/integration/ci/tutorial_disk.sh"
    make_tutorial_disk
)

# A registry on this machine, which the roots see, too.
registry=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\n' \
    "$scratch/registry" "$registry" > "$scratch/registry.yml"
docker-registry serve "$scratch/registry.yml" > "$scratch/registry.log" 2>&1 &
registry_pid=$!
clean_up() {
    umount "$scratch"/*/proc 2> /dev/null || true
    kill "$registry_pid"
    rm -rf "$scratch"
}
trap clean_up EXIT

# follow_tutorials ROOT: the four journeys, word for word, with what is installed there.
follow_tutorials() {
    local root=$1 page
    chroot "$root" /bin/sh -c 'apt-get -q install --yes --no-install-recommends python3 skopeo jq curl qemu-utils' \
        > "$scratch/apt.log" 2>&1 || fail "$(tail -n 20 "$scratch/apt.log")"
    cp "$here"/tools/tutorials/*-*.md "$here/tests/integration/ci/tutorial.py" "$root/tmp/"
    chmod 0644 "$root"/tmp/*.md "$root/tmp/tutorial.py"
    for page in "$here"/tools/tutorials/*-*.md; do
        rm -rf "$root/tmp/work" && mkdir -m 0777 "$root/tmp/work"
        for name in web01 legacy-erp; do
            cp --sparse=always "$scratch/disk/small.qcow2" "$root/tmp/work/$name.qcow2"
        done
        chmod 0666 "$root"/tmp/work/*
        chroot --userspec=65534:65534 "$root" /bin/sh -ec "cd /tmp/work
            export HOME=/tmp/work TMPDIR=/tmp/work USER=tester REGISTRY=$registry PUSH=/usr/share/vm2oci/push VM2OCI_DELAY=0
            python3 /tmp/tutorial.py /tmp/${page##*/}" || fail "${page##*/}"
    done
}

# try ROOT COMMAND: what a user would do first, in that root; as an ordinary user.
try() {
    local root=$1 program=$2
    cp --sparse=always "$scratch/disk/small.raw" "$root/tmp/small.raw"
    chmod 0644 "$root/tmp/small.raw"
    rm -rf "$root/tmp/work" && mkdir -m 0777 "$root/tmp/work"
    chroot --userspec=65534:65534 "$root" /bin/sh -ec "
        cd /tmp/work
        export HOME=/tmp/work TMPDIR=/tmp/work
        $program --version
        $program inspect raw:/tmp/small.raw > inspected
        $program convert --quiet raw:/tmp/small.raw oci:images:v1
        $program verify --quiet oci:images:v1
        $program convert --quiet oci:images:v1 raw:back.raw
        cmp back.raw /tmp/small.raw
        $program check --for kubevirt oci:images:v1
        $program help disk-in-use > page"
}

for suite in "${suites[@]}"; do
    step "Debian $suite: a bare root"
    root=$scratch/$suite
    mmdebstrap --quiet --variant=minbase --include=ca-certificates "$suite" "$root"
    cp "$packages"/*.deb "$root/tmp/"
    mount --bind /proc "$root/proc"
    cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
    [[ ! -d /etc/apt/apt.conf.d ]] || find /etc/apt/apt.conf.d -name '*proxy*' -exec cp {} "$root/etc/apt/apt.conf.d/" \;
    chroot "$root" apt-get -q update > "$scratch/apt.log" 2>&1 || fail "$(tail -n 20 "$scratch/apt.log")"
    step "apt install ./vm2oci_*.deb"
    from=$SECONDS
    chroot "$root" /bin/sh -c 'apt-get -q install --yes --no-install-recommends /tmp/vm2oci_*.deb' > "$scratch/apt.log" 2>&1 ||
        fail "$(tail -n 20 "$scratch/apt.log")"
    grep -E '^(Need to get|After this)' "$scratch/apt.log" || true
    try "$root" vm2oci
    printf 'from a bare %s to a converted disk: %d s\n' "$suite" $((SECONDS - from))
    # The library and the plugin link what has another name in each release.
    others=("$packages"/vm2oci-guest-kernel_*.deb)
    [[ $suite != "$(. /etc/os-release && printf '%s' "$VERSION_CODENAME")" ]] || others=("$packages"/*.deb)
    step "the other packages: ${others[*]##*/}"
    if [[ -e ${others[0]} ]]; then
        chroot "$root" apt-get -q install --yes --no-install-recommends "${others[@]/#$packages//tmp}" > "$scratch/apt.log" 2>&1 ||
            fail "$(tail -n 20 "$scratch/apt.log")"
    fi
    [[ ${#others[@]} -eq 1 ]] || chroot "$root" /bin/sh -ec 'ldconfig -p | grep -q libvm2oci.so.0; test -e /usr/share/man/man7/vm2oci-registries.7.gz ||
        grep -q path-exclude /etc/dpkg/dpkg.cfg.d/*; nbdkit --dump-plugin vm2oci | grep -q ^name=vm2oci'
    if [[ $boot == yes ]]; then
        step "QEMU, and a boot"
        chroot "$root" /bin/sh -c 'apt-get -q install --yes --no-install-recommends qemu-system-x86 seabios' > "$scratch/apt.log" 2>&1 ||
            fail "$(tail -n 20 "$scratch/apt.log")"
        chroot --userspec=65534:65534 "$root" /bin/sh -ec 'cd /tmp/work; export HOME=/tmp/work TMPDIR=/tmp/work
            vm2oci boot --accel tcg --memory 256M oci:images:v1
            VM2OCI_SOURCE=raw:/tmp/small.raw VM2OCI_DESTINATION=oci:images:v2 VM2OCI_OPTIONS="--accel
tcg" vm2oci-ci; cat vm2oci-results/image'
        step "the four journeys, page by page"
        follow_tutorials "$root"
    fi
    step "removed again"
    chroot "$root" /bin/sh -c 'apt-get -q purge --yes vm2oci' > "$scratch/apt.log" 2>&1 || fail "$(tail -n 20 "$scratch/apt.log")"
    [[ ! -e $root/usr/share/vm2oci/schema ]] || fail 'something stays behind'
    if compgen -G "$packages/vm2oci-*-linux-*.tar.xz" > "$scratch/found"; then
        step "the tarball"
        from=$SECONDS
        tar -C "$root/opt" -xf "$packages"/vm2oci-*-linux-*.tar.xz
        try "$root" "$(cd "$root" && printf '/%s' opt/vm2oci-*/bin/vm2oci)"
        printf 'from the tarball to a converted disk: %d s\n' $((SECONDS - from))
    fi
    umount "$root/proc"
    rm -rf "$root"
done
step 'all of it went well'
