#!/usr/bin/env bash
# From a fresh clone to a virtual machine that is proven to boot: installs what is missing, builds, makes a real Debian
# 12 disk (or takes yours, which is only read), turns it into an OCI image, recomputes every digest of the result and
# boots it.
#
#   tools/quickstart.sh [--kernel] [DISK]
#
#   DISK       a qcow2 or raw file, or a reference such as raw:PATH
#   --kernel   also builds vm2oci's guest kernel, or takes it from its cache: what its appliance needs that changes guests
#              on xfs and btrfs (ten minutes, once; 'tools/setup.sh --tests' installs what that build needs)
set -euo pipefail
started_in=$PWD
cd "$(dirname "$0")/.."

kernel=no
if [[ ${1-} == --kernel ]]; then
    kernel=yes
    shift
fi
case "${1-}" in
    -h | --help)
        sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' tools/quickstart.sh
        exit 0
        ;;
    -*)
        printf 'quickstart.sh: unknown option %s; see --help\n' "$1" >&2
        exit 2
        ;;
esac
disk=${1-}
# A relative path means what it meant where the command was given.
if [[ -n $disk ]]; then
    prefix=''
    if [[ $disk =~ ^(qcow2|raw):(.*)$ ]]; then
        prefix=${BASH_REMATCH[1]}:
        disk=${BASH_REMATCH[2]}
    fi
    [[ $disk == /* ]] || disk=$started_in/$disk
    [[ -e $disk ]] || {
        printf 'quickstart.sh: there is no disk %s\n' "$disk" >&2
        exit 1
    }
    disk=$prefix$disk
fi

bold='' plain=''
if [[ -t 1 ]]; then
    bold=$'\e[1m' plain=$'\e[0m'
fi
steps=5
step=0
narrate() {
    step=$((step + 1))
    printf '\n%s[%d/%d] %s%s\n' "$bold" "$step" "$steps" "$1" "$plain"
}
# Runs a command after showing it as one would type it.
run() {
    printf '      $ %s\n' "$*"
    "$@"
}
# For the long and talkative ones: shows the log only when they fail.
quietly() {
    local log
    log=$(mktemp)
    printf '      $ %s\n' "$*"
    if ! "$@" > "$log" 2>&1; then
        tail -n 60 "$log" >&2
        printf 'quickstart.sh: failed: %s\n' "$*" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
}
took() { printf '      (%d s)\n' $((SECONDS - since)); }

narrate 'What the build needs'
since=$SECONDS
quietly tools/setup.sh --quickstart
took

narrate 'Build'
since=$SECONDS
quietly cmake --preset release
quietly cmake --build --preset release --parallel "$(nproc)" --target vm2oci vm2oci-agent
[[ $kernel == no ]] || quietly cmake --build --preset release --target guest-kernel
vm2oci=build/release/tools/vm2oci/vm2oci
took

if [[ -z $disk ]]; then
    narrate 'A virtual machine: Debian 12 with systemd, cloud-init, openssh and GRUB for BIOS and UEFI'
    since=$SECONDS
    run tools/make-debian-disk.sh | tee build/quickstart-disk
    disk=$(tail -n 1 build/quickstart-disk)
    rm build/quickstart-disk
    took
else
    narrate "Your virtual machine: $disk"
fi

image=oci:build/quickstart:quickstart
narrate "Convert: one pass over the disk, into an OCI layout"
since=$SECONDS
run $vm2oci convert "$disk" $image
run $vm2oci verify $image
took

narrate 'Boot the image until its login prompt (a minute or two where there is no KVM)'
since=$SECONDS
run $vm2oci boot $image --report build/quickstart-report
took

cat << END

${bold}Done after $SECONDS s.${plain} The image is in $PWD/build/quickstart, tag quickstart;
the report of its boot is build/quickstart-report/report.html.
What to do with it:
      $vm2oci inspect $image
      $vm2oci push $image docker://HOST/REPOSITORY:TAG
      $vm2oci convert $image raw:disk.img        (the way back)
In KubeVirt the pushed image is a containerDisk:
      volumes: [{name: root, containerDisk: {image: HOST/REPOSITORY:TAG}}]
END
