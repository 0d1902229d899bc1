#!/usr/bin/env bash
# Container images that no micro-VM can be made of, or not here: each is refused with one line that says why and what to
# do, before anything is written or started.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/support/container_images.sh"
require_tool umoci busybox gcc
mkdir -p root/bin
cp "$(command -v busybox)" root/bin/busybox
printf 'int main(void) { return 0; }\n' > agent.c
gcc -O1 -static -o agent agent.c
kernel=(/boot/vmlinuz-*)

# image TAG OPTION…: of umoci's configuration
image() {
    local tag=$1
    shift
    new_image images "$tag" root "$@" > umoci.log 2>&1 || fail "$(cat umoci.log)"
}
# refused CODE WHY COMMAND…: the destination is not there afterwards
refused() {
    local code=$1 why=$2
    shift 2
    expect_exit "$code" "$VM2OCI" "$@"
    expect_match "$why" "$(grep '^vm2oci: ' stderr)" "the reason of $1 ${*: -1}"
    [[ ! -e made ]] || fail "$1 left something"
}

step 'for another system'
image other --config.cmd busybox
umoci config --image images:other --os windows
refused 3 "is for 'windows'" convert --quiet --as bundle --kernel "${kernel[0]}" oci:images:other oci:made:x
refused 3 "is for 'windows'" convert --quiet --as kata --agent kata-agent=agent oci:images:other made
refused 3 "is for 'windows'" run --quiet oci:images:other

step 'for another processor: what runs is said, and not that a kernel of ours is missing'
image other-processor --config.cmd busybox
umoci config --image images:other-processor --architecture s390x
refused 3 "is for 's390x', and only machines with the processor amd64" run --quiet oci:images:other-processor
refused 3 "made for amd64 and arm64, and this is for 's390x'" convert --quiet --as bundle oci:images:other-processor oci:made:x

step 'a bundle for another processor'
image bundled --config.cmd busybox
"$VM2OCI" convert --quiet --as bundle --kernel "${kernel[0]}" oci:images:bundled oci:bundles:x > /dev/null
umoci config --image bundles:x --architecture arm64
refused 3 "is for 'arm64'" boot --quiet --accel tcg oci:bundles:x
refused 3 "is for 'arm64'" run --quiet oci:bundles:x

step 'nothing to start, and a signal that there is not'
image nothing --config.user root
refused 3 'neither an entrypoint nor a command' convert --quiet --as bundle --kernel "${kernel[0]}" oci:images:nothing oci:made:x
image stop --config.cmd busybox --config.stopsignal SIGNOTHING
refused 3 "the image's stop signal: there is no signal 'SIGNOTHING'" \
    convert --quiet --as bundle --kernel "${kernel[0]}" oci:images:stop oci:made:x

step 'booted as if it were a machine'
image program --config.cmd busybox
refused 3 "'vm2oci run' starts its program" boot --quiet --accel tcg oci:images:program

step 'a name that no machine has'
refused 2 'no host name' run --quiet --hostname 'a b' oci:images:program
refused 2 'no host name' run --quiet --hostname "$(printf 'x%.0s' {1..65})" oci:images:program

step 'an address that is none, or that no card would have'
for words in 10.0.2.300::10.0.2.2 10.0.2.15::gateway 10.0.2.15:::255.255.0 eth0 10.0.2.15:::::::::::x ::::::: 0.0.0.0; do
    refused 2 'kernel.s words for an address' run --quiet --network user --ip "$words" oci:images:program
done
refused 2 '--ip needs --network user' run --quiet --ip 10.0.2.15::10.0.2.2:255.255.255.0 oci:images:program
