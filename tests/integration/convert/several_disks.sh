#!/usr/bin/env bash
# A machine of several disks: one image a disk, together or not at all, and a guest that lies on all of them.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq mke2fs debugfs sfdisk

# A guest whose /var is on the second disk.
make_disk() { # FILE CONTENT LABEL
    mke2fs -q -q -t ext4 -L "$3" -d "$2" "$3.fs" 12M
    truncate --size 16M "$1"
    printf 'label: dos\nstart=2048, type=83\n' | sfdisk --quiet "$1"
    dd if="$3.fs" of="$1" bs=1M seek=1 conv=notrunc status=none
}
mkdir -p root/{etc,var,bin,sbin,usr,lib} data/lib/dpkg
printf 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian of two disks"\n' > root/etc/os-release
printf 'LABEL=system / ext4 defaults 0 1\nLABEL=data /var ext4 defaults 0 2\n' > root/etc/fstab
printf 'Package: split\nStatus: install ok installed\nVersion: 7.5\nArchitecture: amd64\n\n' > data/lib/dpkg/status
echo web01 > root/etc/hostname
make_disk first.raw root system
make_disk second.raw data data
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized first.raw first.vmdk
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized second.raw second.vmdk
cat > web.ovf << 'END'
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r">
 <References><File ovf:id="b" ovf:href="second.vmdk"/><File ovf:id="a" ovf:href="first.vmdk"/></References>
 <DiskSection><Disk ovf:diskId="d2" ovf:fileRef="b"/><Disk ovf:diskId="d1" ovf:fileRef="a"/></DiskSection>
 <VirtualSystem ovf:id="web"><VirtualHardwareSection>
  <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>/disk/d2</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>/disk/d1</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
 </VirtualHardwareSection></VirtualSystem>
</Envelope>
END
write_manifest() { sha256sum web.ovf first.vmdk second.vmdk | sed 's/\([0-9a-f]*\)  \(.*\)/SHA256(\2)= \1/' > web.mf; }
write_manifest
tar --create --format ustar --file web.ova web.ovf web.mf first.vmdk second.vmdk

# disk_of REFERENCE: its raw content in out.raw
disk_of() { rm -f out.raw && "$VM2OCI" convert --quiet "$1" raw:out.raw > /dev/null; }
tags_of() { jq -r '[.manifests[].annotations."org.opencontainers.image.ref.name"] | sort | join(" ")' "$1"; }

step 'one image a disk, in a layout, an archive and nowhere'
"$VM2OCI" convert --json --progress none web.ova oci:layout:web01 > report.json
expect_equal 'web01 web01-disk2' "$(tags_of layout/index.json)" 'tags of the layout'
disk_of oci:layout:web01
cmp first.raw out.raw
disk_of oci:layout:web01-disk2
cmp second.raw out.raw
expect_equal 'web01-disk2' "$(jq -r '.further_images[].tag' report.json)" 'the report'
"$VM2OCI" convert --quiet web.ova oci-archive:web.tar:web01 > /dev/null
disk_of oci-archive:web.tar:web01-disk2
cmp second.raw out.raw
"$VM2OCI" convert --quiet web.ova null: > /dev/null
for tag in web01 web01-disk2; do
    "$VM2OCI" verify --quiet "oci:layout:$tag" > /dev/null
done

step 'each disk with its own backing file'
for disk in first second; do
    qemu-img create -q -f qcow2 -b "$disk.raw" -F raw "$disk-overlay.qcow2"
done
expect_exit 3 "$VM2OCI" convert --backing first.raw:raw --disk second-overlay.qcow2 first-overlay.qcow2 null:
grep -q -- '--backing 2=PATH' "$scratch/stderr" || fail "what the second disk lacks is not said: $(cat "$scratch/stderr")"
"$VM2OCI" convert --quiet --backing first.raw:raw --backing 2=second.raw:raw --disk second-overlay.qcow2 first-overlay.qcow2 \
    oci:overlays:web01 > /dev/null
disk_of oci:overlays:web01-disk2
cmp second.raw out.raw
disk_of oci:overlays:web01
cmp first.raw out.raw
expect_exit 2 "$VM2OCI" inspect --backing 2=second.raw:raw first.raw

step 'annotations say which belong together'
digest=$(jq -r '.manifests[] | select(.annotations."org.opencontainers.image.ref.name" == "web01-disk2").digest' layout/index.json)
expect_equal '2 2 web01-disk2' "$(jq -r '.annotations | "\(."org.vm2oci.machine.disk") \(."org.vm2oci.machine.disk-count") \(."org.vm2oci.machine.further-images")"' "layout/blobs/sha256/${digest#sha256:}")" 'of the second'

step 'together or not at all'
cp second.vmdk good.vmdk
printf x | dd of=second.vmdk bs=1 seek=$(($(stat --format %s second.vmdk) - 1)) conv=notrunc status=none
tar --create --format ustar --file lying.ova web.ovf web.mf first.vmdk second.vmdk
expect_exit 3 "$VM2OCI" convert --quiet lying.ova oci:lying:web01
[[ ! -e lying ]] || fail 'something was published'
cp good.vmdk second.vmdk
"$VM2OCI" convert --quiet first.raw oci:layout:other > /dev/null
expect_equal 'other web01 web01-disk2' "$(tags_of layout/index.json)" 'other tags stay'

step 'one alone, and disks that no package holds'
"$VM2OCI" convert --quiet --disk 2 web.ova oci:alone:web01 > /dev/null
expect_equal 'web01' "$(tags_of alone/index.json)" 'tags of one alone'
disk_of oci:alone:web01
cmp second.raw out.raw
"$VM2OCI" convert --quiet first.vmdk --disk second.vmdk oci:given:web01 > /dev/null
expect_equal "$(jq -r .layer.digest report.json)" "$("$VM2OCI" convert --json --progress none first.raw --disk second.raw null: | jq -r .layer.digest)" 'the first'
disk_of oci:given:web01-disk2
cmp second.raw out.raw

step 'plain disks, one file a disk, together or not at all'
"$VM2OCI" convert --json --progress none web.ova raw:plain.raw > plain.json
cmp first.raw plain.raw
cmp second.raw plain-disk2.raw
expect_equal 'plain-disk2.raw raw' "$(jq -r '.further_disks[] | "\(.destination) \(.disk.format)"' plain.json)" 'the report'
"$VM2OCI" convert --quiet web.ova qcow2:plain.qcow2 > /dev/null
qemu-img compare -q -f qcow2 -F raw plain-disk2.qcow2 second.raw
expect_exit 3 "$VM2OCI" convert --quiet lying.ova raw:lying.raw
[[ ! -e lying.raw && ! -e lying-disk2.raw ]] || fail 'a part of a machine was written'
mkdir taken-disk2.raw
expect_exit 1 "$VM2OCI" convert --quiet web.ova raw:taken.raw
[[ ! -e taken.raw ]] || fail 'the first disk was written alone'
"$VM2OCI" inject --quiet --hostname web03 --copy-in web.mf:/var/lib/note web.ova raw:injected.raw > /dev/null
dd if=injected.raw of=system.out bs=1M skip=1 status=none
expect_equal web03 "$(debugfs -R 'cat /etc/hostname' system.out 2> /dev/null)" 'the name that inject gave'
dd if=injected-disk2.raw of=data.out bs=1M skip=1 status=none
debugfs -R 'cat /lib/note' data.out 2> /dev/null | cmp - web.mf
expect_exit 2 "$VM2OCI" convert --quiet first.raw --disk oci:layout:web01 null:

step 'the guest is read from all of them'
"$VM2OCI" inspect --json web.ova > inspect.json
expect_equal 'vmdk vmdk' "$(jq -r '[.disks[].format] | join(" ")' inspect.json)" 'the disks'
expect_equal 'Debian of two disks' "$(jq -r '.. | objects | .product? // empty' inspect.json | head -1)" 'the guest'
"$VM2OCI" inspect --sbom sbom.json web.ova > /dev/null
jq -e '.packages[] | select(.name == "split")' sbom.json > /dev/null || fail 'packages of the second disk are not listed'
"$VM2OCI" convert --quiet --as rootfs --arch amd64 web.ova oci:rootfs:web01 > /dev/null
layer=$(find rootfs/blobs -size +0 -exec sh -c 'zstd --quiet --decompress --stdout "$1" 2> /dev/null | tar --list 2> /dev/null' sh {} \;)
expect_match 'var/lib/dpkg/status' "$layer" 'the root file system'

step 'a bundle, and files for Kata, of a root on two disks'
printf '\x7fELF\x02\x01\x01' > kernel
head --bytes=4096 /dev/zero >> kernel
printf '\x3e' | dd of=kernel bs=1 seek=18 conv=notrunc status=none # x86-64
"$VM2OCI" convert --quiet --as bundle --kernel kernel --arch amd64 web.ova oci:bundles:web01 > /dev/null
"$VM2OCI" convert --quiet oci:bundles:web01 bundle > /dev/null
image=$(find bundle -name 'rootfs*' | head -1)
debugfs -R 'cat /var/lib/dpkg/status' "$image" 2> /dev/null | cmp - data/lib/dpkg/status
"$VM2OCI" convert --quiet --as kata --agent kata-agent=kernel web.ova kata > /dev/null
[[ -s kata/kata-containers.img ]] || fail 'no image for Kata'
expect_exit 2 "$VM2OCI" convert --quiet --disk second.raw oci:bundles:web01 other

step 'changes go where they belong'
"$VM2OCI" convert --quiet --hostname web02 --copy-in web.mf:/var/lib/note web.ova oci:changed:web01 > /dev/null
disk_of oci:changed:web01
dd if=out.raw of=system.out bs=1M skip=1 status=none
expect_equal web02 "$(debugfs -R 'cat /etc/hostname' system.out 2> /dev/null)" 'the name on the first disk'
disk_of oci:changed:web01-disk2
dd if=out.raw of=data.out bs=1M skip=1 status=none
debugfs -R 'cat /lib/note' data.out 2> /dev/null | cmp - web.mf

step 'a registry gets all of them, the first tag last'
start_registry
"$VM2OCI" convert --quiet --tls-verify=false web.ova "docker://$registry/team/web:v1" > /dev/null
for row in v1:first v1-disk2:second; do
    rm -f out.raw
    "$VM2OCI" convert --quiet --tls-verify=false "docker://$registry/team/web:${row%%:*}" raw:out.raw > /dev/null
    cmp "${row#*:}.raw" out.raw
done
expect_exit 3 "$VM2OCI" convert --quiet --tls-verify=false lying.ova "docker://$registry/team/lying:v1"
expect_equal 404 "$(curl --silent --output /dev/null --write-out '%{http_code}' "http://$registry/v2/team/lying/tags/list")" 'tags of what lies'
"$VM2OCI" convert --quiet --tls-verify=false --as rootfs --arch amd64 web.ova "docker://$registry/team/root:v1" > /dev/null
expect_exit 2 "$VM2OCI" convert --quiet --tls-verify=false web.ova "docker://$registry/team/web@sha256:$(printf '%064d' 0)"
