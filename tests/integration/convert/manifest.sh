#!/usr/bin/env bash
# What runs a machine: from images in every store, plain disks and packages; and beside an image, with it or not at all.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq mke2fs sfdisk python3

mkdir -p root/{etc/cloud,var,bin,sbin,usr,lib}
printf 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian of the test"\n' > root/etc/os-release
printf 'LABEL=system / ext4 defaults 0 1\n' > root/etc/fstab
mke2fs -q -q -t ext4 -L system -d root fs.img 12M
truncate --size 16M disk.raw
printf 'label: dos\nstart=2048, type=83\n' | sfdisk --quiet disk.raw
dd if=fs.img of=disk.raw bs=1M seek=1 conv=notrunc status=none
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized disk.raw one.vmdk
cp one.vmdk two.vmdk
cat > web.ovf << 'END'
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r" xmlns:vmw="http://www.vmware.com/schema/ovf">
 <References><File ovf:id="a" ovf:href="one.vmdk"/><File ovf:id="b" ovf:href="two.vmdk"/></References>
 <DiskSection><Disk ovf:diskId="d1" ovf:fileRef="a"/><Disk ovf:diskId="d2" ovf:fileRef="b"/></DiskSection>
 <VirtualSystem ovf:id="web"><Name>Web Server</Name><VirtualHardwareSection>
  <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>6</rasd:VirtualQuantity><vmw:CoresPerSocket>3</vmw:CoresPerSocket></Item>
  <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>3072</rasd:VirtualQuantity></Item>
  <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>/disk/d1</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>/disk/d2</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
  <Item><rasd:Address>00:50:56:01:02:03</rasd:Address><rasd:Connection>DMZ</rasd:Connection><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceType>10</rasd:ResourceType></Item>
  <Item><rasd:Address>00:50:56:01:02:04</rasd:Address><rasd:Connection>Backup</rasd:Connection><rasd:InstanceID>6</rasd:InstanceID><rasd:ResourceType>10</rasd:ResourceType></Item>
 </VirtualHardwareSection></VirtualSystem>
</Envelope>
END
tar --create --format ustar --file web.ova web.ovf one.vmdk two.vmdk

# field FILE KIND EXPRESSION: of the document of that kind, read by PyYAML
field() {
    python3 -c 'import sys, yaml
document = next(d for d in yaml.safe_load_all(open(sys.argv[1])) if d["kind"] == sys.argv[2])
print(eval(sys.argv[3], {"d": document, "s": document.get("spec", {}).get("template", {}).get("spec", {})}))' "$@"
}

step 'beside an image: pinned by the digest that was published'
"$VM2OCI" convert --json --progress none --manifest vm.yaml disk.raw oci:layout:db > report.json
digest=$(jq -r .image.digest report.json)
[[ $digest == sha256:* ]] || digest=$(jq -r '.manifests[0].digest' layout/index.json)
expect_equal "registry.example/db@$digest" \
    "$(field vm.yaml VirtualMachine 's["volumes"][0]["containerDisk"]["image"]')" 'the image'
"$VM2OCI" manifest --quiet oci:layout:db > again.yaml
expect_equal "$(field vm.yaml VirtualMachine d)" "$(field again.yaml VirtualMachine d)" 'the same from the layout'

step 'where the image does not appear, neither does the manifest'
cp layout/index.json before.json
expect_exit 1 "$VM2OCI" convert --quiet --manifest no/such/folder/vm.yaml disk.raw oci:layout:other
cmp before.json layout/index.json
expect_exit 3 "$VM2OCI" convert --quiet --manifest-for kata --manifest kata.yaml disk.raw oci:layout:other
cmp before.json layout/index.json
[[ ! -e kata.yaml ]]
expect_exit 2 "$VM2OCI" convert --quiet --manifest vm2.yaml disk.raw qcow2:x.qcow2
expect_exit 2 "$VM2OCI" convert --quiet --manifest-for nobody --manifest vm2.yaml disk.raw oci:layout:other
expect_exit 2 "$VM2OCI" convert --quiet --manifest-for kata disk.raw oci:layout:other
[[ ! -e vm2.yaml && ! -e x.qcow2 ]]

step 'the hardware of a package, from the package and from the images that came of it'
"$VM2OCI" convert --quiet --manifest ova.yaml web.ova oci:layout:web01 > /dev/null
"$VM2OCI" manifest --quiet --image registry.example:5000/vm/web oci:layout:web01 > layout.yaml
for file in ova.yaml layout.yaml; do
    expect_equal '2 3' "$(field "$file" VirtualMachine '"%d %d" % (s["domain"]["cpu"]["sockets"], s["domain"]["cpu"]["cores"])')" 'processors'
    expect_equal 3Gi "$(field "$file" VirtualMachine 's["domain"]["memory"]["guest"]')" 'memory'
    expect_equal '00:50:56:01:02:03' \
        "$(field "$file" VirtualMachine '" ".join(i["macAddress"] for i in s["domain"]["devices"]["interfaces"])')" 'interfaces'
    expect_equal 2 "$(field "$file" VirtualMachine 'len(s["volumes"])')" 'disks'
    grep --quiet "'Backup' with MAC 00:50:56:01:02:04 is left out" "$file"
done
second=$(jq -r '.manifests[] | select(.annotations."org.opencontainers.image.ref.name" == "web01-disk2").digest' layout/index.json)
expect_equal "registry.example:5000/vm/web@$second" \
    "$(field layout.yaml VirtualMachine 's["volumes"][1]["containerDisk"]["image"]')" 'the second disk'
"$VM2OCI" manifest --quiet --network pod --network lab/vlan7 web.ova > nets.yaml
expect_equal lab/vlan7 "$(field nets.yaml VirtualMachine 's["networks"][1]["multus"]["networkName"]')" 'the second network'
expect_equal web-server "$(field nets.yaml VirtualMachine 'd["metadata"]["name"]')" 'the name'

step 'cloud-init in a Secret'
{ echo '#cloud-config' && echo 'bootcmd:' && for i in $(seq 400); do echo "  - [echo, \"line $i: ä\"]"; done; } > ud.yaml
"$VM2OCI" manifest --quiet --user-data ud.yaml oci:layout:db > seeded.yaml
python3 -c 'import sys, yaml
secret = next(d for d in yaml.safe_load_all(open("seeded.yaml")) if d["kind"] == "Secret")
assert secret["stringData"]["userdata"] == open("ud.yaml").read()'
expect_equal "$(field seeded.yaml Secret 'd["metadata"]["name"]')" \
    "$(field seeded.yaml VirtualMachine 's["volumes"][1]["cloudInitNoCloud"]["secretRef"]["name"]')" 'the Secret'
printf 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@example\n' > key.pub
"$VM2OCI" manifest --quiet --ssh-key key.pub oci:layout:db | grep --quiet 'ssh-ed25519 AAAA'
expect_exit 2 "$VM2OCI" manifest --quiet --ssh-key key.pub --user-data ud.yaml oci:layout:db

step 'options that contradict each other'
expect_exit 2 "$VM2OCI" manifest --quiet --instancetype u1.small --memory 2G oci:layout:db
expect_exit 2 "$VM2OCI" manifest --quiet --memory 1000000 oci:layout:db
expect_exit 2 "$VM2OCI" manifest --quiet --for nobody oci:layout:db
expect_exit 2 "$VM2OCI" manifest --quiet --for kubevirt-dataimportcron --image registry.example/x@sha256:00 oci:layout:db

step 'local hypervisors take the disk where it lies'
"$VM2OCI" manifest --quiet --for libvirt web.ova > domain.xml
python3 -c 'import xml.etree.ElementTree as tree
domain = tree.parse("domain.xml").getroot()
assert domain.find("vcpu").text == "6"
assert domain.find("devices/interface/mac").get("address") == "00:50:56:01:02:03"'
"$VM2OCI" manifest --quiet --for libvirt disk.raw | grep --quiet "file=\"$PWD/disk.raw\""

step 'for programs, and into a file'
"$VM2OCI" manifest --quiet --json oci:layout:db | jq -e '.for == "kubevirt" and .name == "db" and (.remarks | length) == 2 and (.remarks | any(contains("not verified")))' > /dev/null
"$VM2OCI" manifest --quiet --output out.yaml oci:layout:db
"$VM2OCI" manifest --quiet oci:layout:db | cmp - out.yaml
