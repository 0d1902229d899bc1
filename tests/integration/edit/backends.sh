#!/usr/bin/env bash
# The same edits natively, through vm2oci's appliance and through libguestfs' give the same tree: names, types, modes, owners, times,
# extended attributes and bytes, by the digest of its tar. The second guest differs from the first by a feature that is
# not written natively, so that an appliance is taken by itself. Slow without KVM.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
# shellcheck source=selinux_policy.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/selinux_policy.sh"
require_tool mke2fs e2fsck debugfs jq ssh-keygen

ssh-keygen -q -t ed25519 -N '' -C test -f key
printf '#cloud-config\nusers: [default]\n' > user-data
head -c 3000000 /dev/urandom > large
mkdir -p tree/{etc/ssh,etc/cloud/cloud.cfg.d,etc/netplan,usr/lib/systemd/system,usr/bin,root,home/user,var/log,var/lib/cloud/instances/old,tmp/deep/er,boot/grub,opt}
mkdir -p collector/usr/{local/bin,lib/systemd/system}
printf 'ID=debian\nVERSION_ID="12"\n' | tee tree/etc/os-release > tree/usr/lib/os-release
ln tree/usr/lib/os-release tree/usr/lib/os-release-other
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' > tree/etc/passwd
printf 'old\n' > tree/etc/hostname
chmod 640 tree/etc/hostname
printf '127.0.1.1 old\n' > tree/etc/hosts
printf '%032d\n' 7 > tree/etc/machine-id
touch tree/usr/bin/cloud-init tree/usr/lib/systemd/systemd
printf 'network: {version: 2, ethernets: {ens192: {addresses: [192.0.2.7/24]}}}\n' > tree/etc/netplan/01-netcfg.yaml
printf 'linux /vmlinuz root=/dev/sda ro quiet\n' > tree/boot/grub/grub.cfg
printf '[Unit]\n' > tree/usr/lib/systemd/system/open-vm-tools.service
printf '/dev/sda / ext4 defaults 0 1\n' > tree/etc/fstab
ln -s ../etc/hostname tree/opt/link
for name in rsa ed25519; do echo secret-$name > "tree/etc/ssh/ssh_host_${name}_key"; done
head -c 300000 /dev/urandom > tree/var/log/syslog
head -c 300000 /dev/urandom > tree/tmp/deep/er/file
printf '#!/bin/sh\n' > collector/usr/local/bin/collector
chmod 755 collector/usr/local/bin/collector
printf '[Service]\nExecStart=/usr/local/bin/collector\n[Install]\nWantedBy=multi-user.target\n' \
    > collector/usr/lib/systemd/system/collector.service
add_policy tree
chown -R 0:0 tree collector 2> /dev/null || true

# make IMAGE MKE2FS-OPTION…
make() {
    local image=$1
    shift
    truncate -s 96M "$image"
    # The root folder's time is that of mke2fs.
    E2FSPROGS_FAKE_TIME=1767225600 mke2fs -q -F -t ext4 -d tree -N 8192 -U 6d0a2f60-8a3e-4c53-9a57-0c1d5b6f7e01 "$@" "$image"
    debugfs -w -R 'ea_set /etc/hostname user.kept "a value"' "$image" 2> /dev/null
    label_folders "$image" tree
    # mke2fs counts no quotas for what it is given.
    e2fsck -fy "$image" > fsck.log 2>&1 || [[ $? -eq 1 ]] || fail "$(cat fsck.log)"
}

step "vm2oci with its appliance, as installed"
install_without_kernel prefix
install_kernel prefix

install -D "$VM2OCI" bare/bin/vm2oci # without

# edit PREFIX SOURCE DESTINATION: the backend that did it is $backend.
edit() {
    local source=$2 destination=$3
    "$1/bin/vm2oci" inject -q --json --created 2026-01-02T03:04:05Z --user-data user-data --ssh-key key.pub:root \
        --ssh-key key.pub:user --hostname new --sysprep --fix --agent collector --copy-in large:/opt/a/large:0755:1000:1001 \
        --copy-in user-data:/usr/lib/os-release "$source" "$destination" > report
    backend=$(jq -r .edits.backend report)
    e2fsck -fn "${destination#raw:}" > fsck.log 2>&1 || fail "$destination: $(cat fsck.log)"
}

step "the same guest three times, with and without quotas"
make native.raw
make other.raw -O quota
edit prefix raw:native.raw raw:native-out.raw
expect_equal native "$backend" "what wrote plain ext4"
edit prefix raw:other.raw raw:own-out.raw
expect_equal appliance "$backend" "what wrote ext4 with quotas"
edit bare raw:other.raw raw:other-out.raw
expect_equal libguestfs "$backend" "what wrote it where the appliance is not installed"

step "all are one tree"
for name in native own other; do
    "$VM2OCI" convert -q --json --as rootfs --arch amd64 --keep-kernel --compression none "raw:$name-out.raw" "oci:images:$name" > "$name.json"
done
if [[ $(cat native.json own.json other.json | jq -r .layers[0].diff_id | sort -u | wc -l) -ne 1 ]]; then
    for name in native own other; do
        tar -tvf "images/blobs/sha256/$(jq -r '.layers[0].digest | ltrimstr("sha256:")' $name.json)" --full-time > $name.list
    done
    diff native.list other.list >&2 || true
    diff native.list own.list >&2 || true
    fail "the backends make different trees"
fi
grep -q collector native.list 2> /dev/null || tar -tf \
    "images/blobs/sha256/$(jq -r '.layers[0].digest | ltrimstr("sha256:")' native.json)" > native.list
for path in etc/systemd/system/multi-user.target.wants/collector.service opt/a/large etc/netplan/50-vm2oci.yaml \
    home/user/.ssh/authorized_keys var/lib/cloud/seed/nocloud/user-data; do
    grep -q "$path" native.list || fail "$path is missing: this test is void"
done

step "a full file system is refused before anything is written, by both"
truncate -s 90M huge
expect_exit 3 "$VM2OCI" inject -q --copy-in huge:/huge raw:native.raw raw:out.raw
expect_match 'too full.*free' "$(cat stderr)" "natively"
expect_exit 3 prefix/bin/vm2oci inject -q --copy-in huge:/huge raw:other.raw raw:out.raw
expect_match 'too full.*free' "$(cat stderr)" "by the appliance"
[[ ! -e out.raw ]] || fail "a refused edit left a disk"
