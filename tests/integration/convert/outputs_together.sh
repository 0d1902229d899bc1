#!/usr/bin/env bash
# What a command writes beside its destination appears with it, or neither does: a tag never without its bill of
# materials, a disk never without its seed, files of a folder never half of them.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs

mkdir -p tree/{etc,bin,sbin,var/lib/dpkg,usr/lib/systemd/system,etc/cloud}
printf 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian 12"\n' > tree/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > tree/etc/passwd
printf 'Package: cloud-init\nStatus: install ok installed\nVersion: 22.4\nArchitecture: all\n\n' > tree/var/lib/dpkg/status
printf '[Unit]\n' > tree/usr/lib/systemd/system/cloud-init.service
printf 'datasource_list: [NoCloud]\n' > tree/etc/cloud/cloud.cfg
cp /bin/true tree/bin/cloud-init
printf 'Package: base\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n' >> tree/var/lib/dpkg/status
cp /bin/true tree/bin/sh
cp /bin/true tree/sbin/init
truncate -s 64M disk.raw
mke2fs -q -F -t ext4 -d tree disk.raw
printf '#cloud-config\n' > ud
mkdir folder

# nothing_appears COMMAND…: it fails, and no destination `out*` is there.
nothing_appears() {
    expect_exit 1 "$VM2OCI" -q "$@"
    expect_equal '' "$(find . -name 'out*')" "what was left by: $*"
}
step "a bill of materials that cannot be written"
for destination in oci:out:web oci-archive:out.tar:web raw:out.raw qcow2:out.qcow2; do
    nothing_appears convert --sbom missing/s.json raw:disk.raw "$destination"
    nothing_appears convert --sbom folder raw:disk.raw "$destination"
done
nothing_appears convert --as rootfs --arch amd64 --sbom missing/s.json raw:disk.raw oci:out:web
"$VM2OCI" -q convert --sbom s.json raw:disk.raw oci:layout:web > report.txt
before=$(cat layout/index.json)
for options in "" "--as rootfs --arch amd64" "--compression gzip"; do
    # shellcheck disable=SC2086
    expect_exit 1 "$VM2OCI" -q convert $options --sbom folder raw:disk.raw oci:layout:web
    expect_equal "$before" "$(cat layout/index.json)" "the index after a failure with $options"
done

step "a seed whose place is taken"
mkdir out.raw.cidata.iso
expect_exit 1 "$VM2OCI" -q inject --user-data ud --cloud-init-as disk raw:disk.raw raw:out.raw
expect_exit 1 "$VM2OCI" -q convert --user-data ud --cloud-init-as disk raw:disk.raw raw:out.raw
[[ ! -e out.raw ]] || fail "a disk appeared without its seed"
rmdir out.raw.cidata.iso
"$VM2OCI" -q inject --user-data ud --cloud-init-as disk raw:disk.raw raw:out.raw > report.txt
expect_equal 600 "$(stat -c %a out.raw.cidata.iso)" "the mode of a seed"
rm out.raw out.raw.cidata.iso

step "a folder of files of which one cannot be written"
printf agent > kata-agent
"$VM2OCI" -q convert --as kata --agent kata-agent=kata-agent raw:disk.raw kata > report.txt
for name in kata-containers.img kata-containers-initrd.img 50-vm2oci.toml; do
    rm -rf old
    cp -r kata old
    rm "old/$name"
    mkdir "old/$name"
    find old -type f -exec sha256sum {} + | sort > sums
    expect_exit 1 "$VM2OCI" -q convert --as kata --agent kata-agent=kata-agent --hostname "not-$RANDOM" raw:disk.raw old
    find old -type f -exec sha256sum {} + | sort | cmp - sums || fail "files changed beside $name, which could not"
done
