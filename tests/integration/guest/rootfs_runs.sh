#!/usr/bin/env bash
# The root file system of the real Debian as an image: umoci unpacks it whole, crun runs a process of the guest in it,
# and its systemd comes up in it and halts by the image's stop signal. Needs root, for namespaces and cgroups.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool umoci crun jq unshare script capsh zcat python3
[[ $(id -u) -eq 0 ]] || fail "namespaces and cgroups need root"

step "umoci unpacks it whole"
"$VM2OCI" -q convert --as rootfs --compression gzip:1 "$(debian_disk)" oci:layout:debian > /dev/null
umoci unpack --image layout:debian bundle > umoci.log 2>&1 || fail "$(tail -2 umoci.log)"
manifest=$(jq -r '.manifests[0].digest' layout/index.json)
layer=$(jq -r '.layers[0].digest' "layout/blobs/${manifest/://}")
zcat "layout/blobs/${layer/://}" > layer.tar
python3 "$VM2OCI_SOURCE_DIR/tests/integration/guest/compare_tree.py" layer.tar bundle/rootfs || fail "it is not whole"
rm layer.tar
[[ -z $(ls bundle/rootfs/boot) ]] || fail "the kernel is in it"

# The rights that this test has, for the container; a container for systemd may do what a machine may.
rights=$(capsh --decode="$(awk '/^CapBnd/ { print $2 }' /proc/self/status)" | cut -d= -f2 | tr 'a-z,' 'A-Z\n' |
    jq -R . | jq -cs .)
cp bundle/config.json unpacked.json
# configure FILTER: unpacked.json with its terminal and limits off, for a machine whose own are lower.
configure() {
    jq --argjson rights "$rights" ".process.terminal = false | .process.rlimits = [] | $1" unpacked.json > bundle/config.json
}

# crun in a mount namespace of its own, where cgroups are of version 2 alone, whatever this machine has, and in a cgroup
# of its own.
cgroup=vm2oci-test-$$
cat > in_container.sh << SCRIPT
set -e
while mountpoint -q /sys/fs/cgroup; do umount -R /sys/fs/cgroup; done
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p /sys/fs/cgroup/$cgroup
[[ \$1 != run ]] || echo \$\$ > /sys/fs/cgroup/$cgroup/cgroup.procs
if [[ \$1 == remove ]]; then
    find /sys/fs/cgroup/$cgroup -depth -type d -exec rmdir {} +
else
    exec crun --root "$scratch/state" --cgroup-manager=disabled "\$@"
fi
SCRIPT
in_container() { unshare --mount --propagation private bash in_container.sh "$@"; }
trap 'status=$?; set +e; in_container delete -f systemd > /dev/null 2>&1; sleep 1
    in_container remove 2> /dev/null; (exit "$status"); _clean_up' EXIT

step "a process of the guest runs in it"
configure '.process.args = ["/bin/sh", "-c", ". /etc/os-release; echo $ID $VERSION_ID; dpkg-query --show | wc -l; id -un"]'
in_container run --bundle bundle process > output 2> crun.log || fail "$(cat crun.log)"
expect_match $'^debian 12\n[0-9]{3}\nroot$' "$(cat output)" "what the process says"

step "its systemd comes up"
configure '.process.terminal = true
    | .process.capabilities = {bounding: $rights, effective: $rights, permitted: $rights}
    | .linux.namespaces += [{type: "cgroup"}]
    | del(.linux.maskedPaths, .linux.readonlyPaths, .linux.resources, .linux.seccomp)
    | .mounts = (.mounts | map(select(.destination != "/sys/fs/cgroup"))) + [
        {destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=755"]},
        {destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev"]},
        {destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "nodev", "rw"]}]'
expect_equal '["/sbin/init"]' "$(jq -c .process.args bundle/config.json)" "what the image starts"
# script(1) gives it the console, on which the login comes.
in_background script -qefc "unshare --mount --propagation private bash in_container.sh run --bundle bundle systemd" console
wait_until 120 grep -aq 'login:' console
state=$(in_container exec systemd systemctl is-active multi-user.target) || fail "systemd: $(tail -20 console)"
expect_equal active "$state" "multi-user.target"

step "and halts by the image's stop signal"
signal=$(jq -r '.annotations["org.opencontainers.image.stopSignal"]' unpacked.json)
expect_equal SIGRTMIN+3 "$signal" "the stop signal"
in_container kill systemd "$(kill -l RTMIN+3)"
wait_until 120 bash -c "! kill -0 $started_pid"
