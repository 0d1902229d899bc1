#!/usr/bin/env bash
# Edits on the many forms of ext4: e2fsck finds nothing afterwards, what was asked for is there, all else is as it was,
# and the same edits give the same bytes.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs e2fsck debugfs ssh-keygen

ssh-keygen -q -t ed25519 -N '' -C test -f key
printf '#cloud-config\nusers: [default]\n' > user-data
head -c 3000000 /dev/urandom > large

mkdir -p tree/{etc/ssh,etc/cloud/cloud.cfg.d,usr/lib/systemd,usr/bin,root,var/log,var/lib/cloud/instances/old,many,tmp/deep/er}
printf 'ID=debian\nVERSION_ID="12"\n' | tee tree/etc/os-release > tree/usr/lib/os-release
ln tree/usr/lib/os-release tree/usr/lib/os-release-other
printf 'root:x:0:0:root:/root:/bin/sh\n' > tree/etc/passwd
printf 'old\n' > tree/etc/hostname
chmod 640 tree/etc/hostname
printf '%032d\n' 7 > tree/etc/machine-id
touch tree/usr/bin/cloud-init tree/usr/lib/systemd/systemd
for name in rsa ed25519; do echo secret-$name > "tree/etc/ssh/ssh_host_${name}_key"; done
head -c 300000 /dev/urandom > tree/var/log/syslog
head -c 300000 /dev/urandom > tree/tmp/deep/er/file
for ((i = 0; i < 500; i++)); do : > "tree/many/file-with-a-name-of-some-length-$i"; done

# dump IMAGE FOLDER
dump() {
    mkdir "$2"
    debugfs -R "rdump / $2" "$1" > dump.log 2>&1
    rm -rf "$2/lost+found"
}

edit() {
    "$VM2OCI" inject -q --user-data user-data --ssh-key key.pub:root --hostname new --sysprep \
        --copy-in large:/opt/a/large:0755:1000:1001 --copy-in user-data:/many/added --copy-in user-data:/usr/lib/os-release \
        "$@"
}

# check NAME MKE2FS-OPTION…
check() {
    local name=$1
    shift
    step "$name: mke2fs $*"
    rm -rf image.raw out.raw again.raw before after
    truncate -s 96M image.raw
    mke2fs -q -F -d tree -N 8192 "$@" image.raw
    debugfs -w -R 'ea_set /etc/hostname user.kept "a value"' image.raw 2> /dev/null
    debugfs -w -R 'ea_set /root security.selinux system_u:object_r:admin_home_t:s0' image.raw 2> /dev/null
    edit raw:image.raw raw:out.raw > report
    e2fsck -fn out.raw > fsck.log 2>&1 || fail "$name: $(cat fsck.log)"
    edit raw:image.raw raw:again.raw > report
    cmp out.raw again.raw || fail "$name: two equal edits differ"

    dump image.raw before
    dump out.raw after
    expect_equal new "$(cat after/etc/hostname)" "$name: host name"
    expect_match 'Mode: +0640' "$(debugfs -R 'stat /etc/hostname' out.raw 2> /dev/null)" "$name: its mode"
    expect_match 'a value' "$(debugfs -R 'ea_get /etc/hostname user.kept' out.raw 2> /dev/null)" "$name: its attribute"
    expect_match admin_home_t "$(debugfs -R 'ea_get /root/.ssh/authorized_keys security.selinux' out.raw 2> /dev/null)" \
        "$name: the label of a new file, its folder's"
    expect_match 'Mode: +0755.*User: +1000 +Group: +1001' \
        "$(debugfs -R 'stat /opt/a/large' out.raw 2> /dev/null | tr '\n' ' ')" "$name: a copied file"
    expect_match 'Mode: +0600' "$(debugfs -R 'stat /var/lib/cloud/seed/nocloud/user-data' out.raw 2> /dev/null)" \
        "$name: the seed's mode"
    cmp large after/opt/a/large
    cmp user-data after/many/added
    cmp user-data after/usr/lib/os-release
    cmp before/usr/lib/os-release after/usr/lib/os-release-other
    cmp key.pub after/root/.ssh/authorized_keys
    [[ -e after/etc/machine-id && ! -s after/etc/machine-id ]] || fail "$name: machine-id is not empty"
    [[ ! -e after/tmp/deep && ! -e after/etc/ssh/ssh_host_rsa_key ]] || fail "$name: something was not removed"
    if grep -q secret-rsa out.raw; then fail "$name: a removed key can still be found on the disk"; fi
    rm -rf after/opt after/root/.ssh after/var/lib/cloud before/var/lib/cloud {before,after}/etc/cloud/cloud.cfg.d {before,after}/tmp
    rm -f {before,after}/{etc/hostname,etc/machine-id,var/log/syslog,usr/lib/os-release} before/etc/ssh/ssh_host_* \
        after/many/added
    expect_same_tree before after
}

check default -t ext4
check 1k -t ext4 -b 1024
check ext2 -t ext2
check ext3 -t ext3 -b 1024
check inode-128 -t ext4 -I 128
check no-checksums -t ext4 -O '^metadata_csum,uninit_bg'
check bigalloc -t ext4 -O bigalloc -C 16384
check no-index -t ext4 -O '^dir_index'
check no-extents -t ext4 -O '^extents,^64bit'
check meta-bg -t ext4 -O 'meta_bg,^resize_inode'
check csum-seed -t ext4 -O metadata_csum_seed
step "ext2 and ext3 without extended attributes"
for type in ext2 ext3; do
    rm -rf image.raw out.raw after
    truncate -s 96M image.raw
    mke2fs -q -F -d tree -N 8192 -t "$type" -O '^ext_attr' image.raw
    edit raw:image.raw raw:out.raw > report
    e2fsck -fn out.raw > fsck.log 2>&1 || fail "$type: $(cat fsck.log)"
    dump out.raw after
    expect_equal new "$(cat after/etc/hostname)" "$type: host name"
    cmp user-data after/many/added
    cmp key.pub after/root/.ssh/authorized_keys
    rm -rf after
done

check large-dir -t ext4 -b 1024 -O large_dir

step "inspect and convert name what would keep a guest from its network, and what mends it"
mkdir -p tree/etc/netplan
printf 'network: {version: 2, ethernets: {ens192: {addresses: [192.0.2.7/24]}}}\n' > tree/etc/netplan/01-netcfg.yaml
rm -f image.raw
truncate -s 96M image.raw
mke2fs -q -F -d tree -N 8192 -t ext4 image.raw
expect_match '--fix=network.*ens192' "$("$VM2OCI" inspect raw:image.raw | tr '\n' ' ')" "inspect"
expect_match '"fix": "network"' "$("$VM2OCI" inspect --json raw:image.raw)" "inspect --json"
expect_match 'ens192.*--fix=network mends it' "$("$VM2OCI" convert -q raw:image.raw null:)" "convert"
expect_match '"fix": "network"' "$("$VM2OCI" convert -q --json raw:image.raw null:)" "convert --json"
expect_match 'ens192.*--fix=network mends it' "$("$VM2OCI" inject --hostname x --dry-run raw:image.raw null)" "inject"
[[ $("$VM2OCI" convert -q --fix raw:image.raw null:) != *'mends it'* ]] || fail "what was mended is called left"
rm -r tree/etc/netplan

step "what cannot be written is refused, and nothing is left behind"
rm -f image.raw out.raw
truncate -s 96M image.raw
mke2fs -q -F -d tree -N 8192 -t ext4 -O quota image.raw
sha256sum image.raw > before.sum
expect_exit 3 "$VM2OCI" inject -q --guest-backend native --hostname x raw:image.raw raw:out.raw
expect_match quota "$(cat stderr)" "a refused feature"
mke2fs -q -F -d tree -N 4000 -t ext4 image.raw
sha256sum image.raw > before.sum
truncate -s 90M huge
expect_exit 3 "$VM2OCI" inject -q --guest-backend native --copy-in huge:/huge raw:image.raw raw:out.raw
expect_match full "$(cat stderr)" "a full file system"
[[ ! -e out.raw ]] || fail "a failed edit left a disk"
sha256sum --quiet --check before.sum || fail "the source was written"
