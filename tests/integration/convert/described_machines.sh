#!/usr/bin/env bash
# Machines that VMware, libvirt and Hyper-V describe in a file beside their disks, or away from them.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq strace

small_disk first.raw 16
small_disk second.raw 12
printf 'of the second' | dd of=second.raw conv=notrunc status=none

# disk_of REFERENCE EXPECTED
expect_disk() {
    rm -f out.raw
    "$VM2OCI" convert --quiet "$1" raw:out.raw > /dev/null
    cmp "$2" out.raw
}
label_of() { # REFERENCE NAME
    "$VM2OCI" inspect --json "$1" | jq -r --arg name "org.vm2oci.machine.$2" '.. | objects | select(has($name)) | .[$name]' | head -1
}

step 'a .vmx, its disks beside it, one of them in two files'
mkdir vmware
qemu-img convert -f raw -O vmdk -o subformat=monolithicFlat first.raw vmware/web01.vmdk
qemu-img convert -f raw -O vmdk second.raw vmware/web01_1.vmdk
cat > vmware/web01.vmx << 'END'
.encoding = "UTF-8"
config.version = "8"
virtualHW.version = "19"
displayName = "web 01"
guestOS = "debian11-64"
memsize = "1024"
numvcpus = "2"
firmware = "efi"
scsi0.present = "TRUE"
scsi0.virtualDev = "pvscsi"
scsi0:0.present = "TRUE"
scsi0:0.fileName = "web01.vmdk"
scsi0:1.present = "TRUE"
scsi0:1.fileName = "/vmfs/volumes/5f-1/web01/web01_1.vmdk"
ethernet0.present = "TRUE"
ethernet0.virtualDev = "vmxnet3"
ethernet0.generatedAddress = "00:0c:29:11:22:33"
END
"$VM2OCI" inspect --json vmware/web01.vmx > inspect.json
expect_equal 'VMX web 01 2 1073741824 uefi 2' "$(jq -r '.machine | "\(.source) \(.name) \(.cpus) \(.memory) \(.firmware) \(.disks | length)"' inspect.json)" 'the machine'
"$VM2OCI" convert --quiet vmware/web01.vmx oci:images:web01 > /dev/null
expect_disk oci:images:web01 first.raw
expect_disk oci:images:web01-disk2 second.raw
expect_equal 'uefi' "$(label_of oci:images:web01 firmware)" 'a label'
"$VM2OCI" convert --quiet --disk 2 vmware/web01.vmx oci:images:alone > /dev/null
expect_disk oci:images:alone second.raw
expect_disk vmx:vmware/web01.vmx:scsi0:0 first.raw
(cd vmware && expect_disk vmx:web01.vmx:2 ../second.raw)

step 'a domain of libvirt, whose disks are given, or beside it'
cat > dom.xml << 'END'
<domain type='kvm'>
  <name>db</name><memory unit='MiB'>768</memory><vcpu>3</vcpu>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/etc/passwd'/><target dev='vda' bus='virtio'/></disk>
    <disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='/dev/sda'/><target dev='vdb' bus='virtio'/></disk>
  </devices>
</domain>
END
qemu-img convert -f raw -O qcow2 first.raw first.qcow2
expect_exit 3 strace -f -o trace -e trace=%file "$VM2OCI" convert --quiet dom.xml oci:images:db
expect_match "'passwd'.*--disk" "$(cat stderr)" 'the message'
! grep -E '"/etc/passwd"|"/dev/sda"' trace || fail 'a path of the description was looked at'
[[ -z "$(jq -r '.manifests[] | select(.annotations."org.opencontainers.image.ref.name" == "db") | .digest' images/index.json)" ]] || fail 'published'
"$VM2OCI" convert --quiet dom.xml --disk first.qcow2 --disk second.raw oci:images:db > /dev/null
expect_disk oci:images:db first.raw
expect_disk oci:images:db-disk2 second.raw
expect_equal '805306368' "$(label_of oci:images:db memory)" 'a label'
sed 's|/etc/passwd|/srv/app-1.qcow2|; s|block|file|; s|dev=./dev/sda.|file="/srv/app-2.img"|' dom.xml > app.xml
cp first.qcow2 app-1.qcow2
cp second.raw app-2.img
expect_disk libvirt:app.xml:vda first.raw
expect_disk libvirt:app.xml:vdb second.raw
cp first.qcow2 app-2.img
expect_exit 3 "$VM2OCI" convert --quiet libvirt:app.xml:vdb null:
expect_match 'stated to be raw' "$(cat stderr)" 'a raw disk that looks like qcow2'
rm app-2.img && ln -s /etc/passwd app-2.img
expect_exit 3 "$VM2OCI" inspect app.xml
expect_match 'is a link' "$(cat stderr)" 'a link beside it'

step 'a configuration of Hyper-V'
qemu-img convert -f raw -O vhdx first.raw hv.vhdx
printf '<?xml version="1.0" encoding="UTF-16" standalone="yes"?><configuration><_83f8638b-8dca-4152-9eda-2ca8b33039b4_><controller0><drive0><pathname type="string">D:\\VMs\\hv.vhdx</pathname><type type="string">VHD</type></drive0></controller0></_83f8638b-8dca-4152-9eda-2ca8b33039b4_><properties><name type="string">hv</name><subtype type="integer">1</subtype></properties><settings><processors><count type="integer">2</count></processors></settings></configuration>' |
    iconv --from-code UTF-8 --to-code UTF-16 > hv.xml
expect_disk hv.xml first.raw
expect_equal 'Hyper-V hv uefi' "$("$VM2OCI" inspect --json hyperv:hv.xml | jq -r '.machine | "\(.source) \(.name) \(.firmware)"')" 'the machine'
printf '\x14\x20\x28\x01rest of it' > 0AA394FA.vmcx
truncate --size 64K 0AA394FA.vmcx
expect_exit 3 "$VM2OCI" inspect 0AA394FA.vmcx
expect_exit 3 "$VM2OCI" convert --quiet 0AA394FA.vmcx null:
expect_match 'VMCX.*further disks' "$(cat stderr)" 'a binary configuration'

step 'what is refused by name'
printf '<?xml version="1.0"?>\n<!--\n** DO NOT EDIT\n-->\n<VirtualBox version="1.19"/>\n' > web.vbox
expect_exit 3 "$VM2OCI" convert --quiet web.vbox null:
expect_match 'VirtualBox' "$(cat stderr)" 'settings of VirtualBox'
printf '<?xml version="1.0"?><note/>' > note.xml
expect_exit 3 "$VM2OCI" convert --quiet note.xml null:
expect_match 'XML document' "$(cat stderr)" 'any other XML'
{ cat vmware/web01.vmx && printf '#%0600d' 0; } | head -c 510 > both.raw
printf '\x55\xaa' >> both.raw
expect_exit 3 "$VM2OCI" convert --quiet both.raw null:
expect_match 'at once' "$(cat stderr)" 'a description with a boot sector'
expect_exit 0 "$VM2OCI" convert --quiet raw:both.raw null:
expect_exit 2 "$VM2OCI" convert --quiet --ca note.xml vmware/web01.vmx null:
expect_exit 2 "$VM2OCI" convert --quiet first.raw vmx:out.vmx
