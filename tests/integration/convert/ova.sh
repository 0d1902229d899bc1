#!/usr/bin/env bash
# OVA and OVF: read where they lie, held against their manifest and signature, and never a file that they name elsewhere.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq tar openssl strace sha256sum

small_disk disk.raw
qemu-img convert -f raw -O vmdk -o subformat=streamOptimized disk.raw web-disk1.vmdk
mkdir export scratch-files

# write_descriptor SIZE [ATTRIBUTES OF THE FILE] [HREF]
write_descriptor() {
    cat > export/web.ovf << END
<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
  xmlns:vmw="http://www.vmware.com/schema/ovf">
 <References><File ovf:id="file1" ovf:href="${3:-web-disk1.vmdk}" ovf:size="$1" ${2:-}/></References>
 <DiskSection><Info/><Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="24" ovf:capacityAllocationUnits="byte * 2^20"/></DiskSection>
 <VirtualSystem ovf:id="web"><Info/><Name>web of Erik</Name>
  <OperatingSystemSection ovf:id="96" vmw:osType="debian11_64Guest"><Info/></OperatingSystemSection>
  <VirtualHardwareSection><Info/>
   <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>6</rasd:VirtualQuantity><vmw:CoresPerSocket>3</vmw:CoresPerSocket></Item>
   <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>768</rasd:VirtualQuantity></Item>
   <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceSubType>lsilogic</rasd:ResourceSubType><rasd:ResourceType>6</rasd:ResourceType></Item>
   <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>4</rasd:InstanceID><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
   <Item><rasd:Address>00:50:56:01:02:03</rasd:Address><rasd:Connection>DMZ</rasd:Connection><rasd:InstanceID>5</rasd:InstanceID><rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
   <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="efi"/>
  </VirtualHardwareSection>
 </VirtualSystem>
</Envelope>
END
}
# write_manifest ALGORITHM FILE…
write_manifest() {
    local algorithm=$1
    shift
    (cd export && openssl dgst "-$algorithm" "$@" | sed 's/^SHA2-/SHA/') > export/web.mf
}
pack() {
    local format=$1 archive=$2
    shift 2
    tar --create --format "$format" --owner 0 --group 0 --file "$archive" --directory export "$@"
}
digest_of() { "$VM2OCI" convert --json --progress none --tmpdir scratch-files "$@" null: | jq -r .disk.allocated_size,.layer.digest; }

cp web-disk1.vmdk export
write_descriptor "$(stat --format %s web-disk1.vmdk)"
plain=$(digest_of web-disk1.vmdk)

step 'tars of every dialect, digests of every kind, as bare path and as ova:'
for algorithm in sha1 sha256 sha512; do
    write_manifest "$algorithm" web.ovf web-disk1.vmdk
    for format in ustar gnu pax; do
        pack "$format" web.ova web.ovf web.mf web-disk1.vmdk
        expect_equal "$plain" "$(digest_of web.ova)" "what comes of $format with $algorithm"
    done
done
expect_equal "$plain" "$(digest_of ova:web.ova)" 'the reference ova:'
expect_equal "$plain" "$(digest_of ova:web.ova:1)" 'the reference with a number'
expect_equal "$plain" "$(digest_of ova:web.ova:web-disk1.vmdk)" 'the reference with a file'
expect_equal "$plain" "$(digest_of --disk vmdisk1 web.ova)" 'the option with an id'
expect_exit 2 "$VM2OCI" convert --quiet ova:web.ova:2 null:
expect_exit 2 "$VM2OCI" convert --quiet ova:web.ova: null:
cp web.ova web:1.ova
expect_equal "$plain" "$(digest_of ova:web:1.ova)" 'a path with a colon'
"$VM2OCI" convert --quiet web.ova raw:out.raw > /dev/null
cmp disk.raw out.raw
rm out.raw
expect_equal '' "$(ls scratch-files)" 'scratch files'

step 'a descriptor beside its files, and no other file opened'
strace --follow-forks --trace=open,openat,openat2,stat,lstat,newfstatat,statx,access,readlink --output trace \
    "$VM2OCI" convert --quiet export/web.ovf raw:out.raw > /dev/null
cmp disk.raw out.raw
opened=$(grep --only-matching '"[^"]*web[^"]*"' trace | sort --unique | tr '\n' ' ')
expect_equal '"export/web.ovf" "web-disk1.vmdk" "web.cert" "web.mf" ' "$opened" 'files of the package that were touched'
for href in ../disk.raw "$scratch/disk.raw" 'file:///etc/hostname' '%2e%2e/disk.raw' link.vmdk; do
    ln --symbolic --force ../disk.raw export/link.vmdk
    write_descriptor 1 '' "$href"
    rm export/web.mf
    expect_exit 3 strace --follow-forks --trace=open,openat,openat2 --output trace "$VM2OCI" convert --quiet export/web.ovf null:
    ! grep --quiet 'disk.raw\|hostname' trace || fail "$href was opened"
    write_manifest sha256 web.ovf
done
rm export/link.vmdk

step 'inspect, labels and annotations tell the hardware'
write_descriptor "$(stat --format %s web-disk1.vmdk)"
write_manifest sha256 web.ovf web-disk1.vmdk
pack ustar web.ova web.ovf web.mf web-disk1.vmdk
"$VM2OCI" inspect --json web.ova > inspect.json
expect_equal 'web of Erik debian11_64Guest 6 3 805306368 uefi scsi web-disk1.vmdk 25165824 VmxNet3 DMZ 00:50:56:01:02:03' \
    "$(jq -r '.machine | "\(.name) \(.os_type) \(.cpus) \(.cores_per_socket) \(.memory) \(.firmware) \(.controllers[0].kind) \(.disks[0].file) \(.disks[0].capacity) \(.nics[0].model) \(.nics[0].network) \(.nics[0].mac)"' inspect.json)" 'the machine'
expect_equal 'not-verified vmdk' "$(jq -r '"\(.content) \(.disk.format)"' inspect.json)" 'the content'
expect_equal 'verified' "$("$VM2OCI" inspect --json --verify web.ova | jq -r .content)" 'the content with --verify'
expect_match 'web of Erik' "$("$VM2OCI" inspect web.ova)" 'the page'
"$VM2OCI" convert --quiet web.ova oci:layout:web > /dev/null
manifest=layout/blobs/sha256/$(jq -r '.manifests[0].digest' layout/index.json | cut --delimiter : --fields 2)
expect_equal '6 805306368 uefi' "$(jq -r '.annotations | "\(."org.vm2oci.machine.cpus") \(."org.vm2oci.machine.memory") \(."org.vm2oci.machine.firmware")"' "$manifest")" 'annotations'
expect_equal '00:50:56:01:02:03' "$(jq -r '.annotations."org.vm2oci.machine.nics" | fromjson[0].mac' "$manifest")" 'the address'

step 'a member that is not what its digest says makes nothing'
printf x | dd of=export/web-disk1.vmdk bs=1 seek=70000 conv=notrunc status=none
pack ustar lying.ova web.ovf web.mf web-disk1.vmdk
expect_exit 3 "$VM2OCI" convert --quiet lying.ova oci:lying:web
[[ ! -e lying ]] || fail 'something was published'
expect_exit 3 "$VM2OCI" convert --quiet lying.ova raw:lying.raw
[[ ! -e lying.raw ]] || fail 'a disk appeared'
expect_exit 3 "$VM2OCI" inspect --verify lying.ova
expect_match 'not what the package' "$(cat stderr)" 'the message'
cp web-disk1.vmdk export

step 'signed packages'
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2 2> /dev/null
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=signer 2> /dev/null
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out signer.pem -days 2 2> /dev/null
openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -subj /CN=other -days 2 2> /dev/null
sign() {
    { printf 'SHA256(web.mf)= %s\n' "$(openssl dgst -sha256 -sign key.pem export/web.mf | xxd -plain -cols 0)"; cat signer.pem; } > export/web.cert
}
sign
pack ustar signed.ova web.ovf web.mf web.cert web-disk1.vmdk
expect_equal "$plain" "$(digest_of --ca ca.pem signed.ova)" 'a signed package'
expect_match 'not verified' "$("$VM2OCI" inspect --json signed.ova | jq -r '.remarks[]')" 'the remark without --ca'
expect_equal null "$("$VM2OCI" inspect --json --ca ca.pem signed.ova | jq .remarks)" 'no remark with --ca'
expect_exit 3 "$VM2OCI" convert --quiet --ca other.pem signed.ova null:
expect_match 'does not vouch' "$(cat stderr)" 'the message'
expect_exit 3 "$VM2OCI" convert --quiet --ca ca.pem web.ova null:
expect_match 'not signed' "$(cat stderr)" 'the message'
expect_exit 1 "$VM2OCI" convert --quiet --ca missing.pem signed.ova null:
printf '\n' >> export/web.mf
pack ustar forged.ova web.ovf web.mf web.cert web-disk1.vmdk
expect_exit 3 "$VM2OCI" convert --quiet forged.ova null:
expect_match 'signature' "$(cat stderr)" 'the message'
rm export/web.cert

step 'compressed members, and archives that are compressed'
gzip --stdout web-disk1.vmdk > export/web-disk1.vmdk
write_descriptor "$(stat --format %s export/web-disk1.vmdk)" 'ovf:compression="gzip"'
write_manifest sha256 web.ovf web-disk1.vmdk
pack ustar packed.ova web.ovf web.mf web-disk1.vmdk
expect_equal "$plain" "$(digest_of packed.ova)" 'a compressed member'
cp web-disk1.vmdk export
write_descriptor "$(stat --format %s export/web-disk1.vmdk)" 'ovf:compression="gzip"'
rm export/web.mf
pack ustar lying.ova web.ovf web-disk1.vmdk
expect_exit 3 "$VM2OCI" convert --quiet lying.ova null:
gzip --keep web.ova
expect_exit 3 "$VM2OCI" convert --quiet web.ova.gz null:
expect_match 'gzip' "$(cat stderr)" 'the message of a tar.gz'
expect_equal '' "$(ls scratch-files)" 'nothing was unpacked'

step 'the same from standard input'
expect_equal "$plain" "$("$VM2OCI" convert --json --progress none - null: < web.ova | jq -r .disk.allocated_size,.layer.digest)" 'from a file'
# shellcheck disable=SC2002
expect_equal "$plain" "$(cat web.ova | "$VM2OCI" convert --json --progress none --tmpdir scratch-files - null: | jq -r .disk.allocated_size,.layer.digest)" 'from a pipe'

step 'a VMDK in several files, in the archive and beside the descriptor'
mkdir parts
for form in twoGbMaxExtentFlat twoGbMaxExtentSparse monolithicFlat; do
    rm -rf parts/* export/*
    qemu-img convert -f raw -O vmdk -o "subformat=$form" disk.raw parts/web.vmdk
    cp parts/* export
    write_descriptor "$(stat --format %s parts/web.vmdk)" '' web.vmdk
    mapfile -t files < <(cd export && printf '%s\n' *.vmdk)
    write_manifest sha256 web.ovf "${files[@]}"
    pack ustar parts.ova web.ovf web.mf "${files[@]}"
    for source in parts.ova export/web.ovf; do
        "$VM2OCI" convert --quiet "$source" raw:out.raw > /dev/null
        cmp disk.raw out.raw
        rm out.raw
    done
    part=${files[0]}
    printf x | dd of="export/$part" bs=1 seek=70000 conv=notrunc status=none
    pack ustar parts.ova web.ovf web.mf "${files[@]}"
    expect_exit 3 "$VM2OCI" convert --quiet parts.ova oci:parts-layout:web
    [[ ! -e parts-layout ]] || fail "a part that lies was published ($form, $part)"
done

step 'what has an OVA in it is named, and what to do'
pack ustar whole.ova web.ovf web.mf "${files[@]}"
tar --create --gzip --file web.tar.gz --directory export web.ovf web.vmdk
python3 -c 'import sys, zipfile; zipfile.ZipFile("web.zip", "w").write("whole.ova")'
printf 'Rar!\x1a\x07\x01\x00rest' > web.rar
printf '7z\xbc\xaf\x27\x1crest' > web.7z
mkdir box && cp disk.raw box/box.img && printf '{"provider":"libvirt"}' > box/metadata.json && touch box/Vagrantfile
tar --create --gzip --file web.box --directory box ./metadata.json ./Vagrantfile ./box.img
tar --create --file plain.box --directory box metadata.json Vagrantfile box.img
for row in 'web.tar.gz:an OVA.*gzip' 'web.zip:ZIP archive.*unpack' 'web.rar:RAR archive.*unpack' 'web.7z:7z archive.*unpack' "web.box:Vagrant box.*'box.img'" "plain.box:Vagrant box.*'box.img'"; do
    expect_exit 3 "$VM2OCI" convert --quiet "${row%%:*}" null:
    expect_match "${row#*:}" "$(cat stderr)" "what ${row%%:*} is"
    expect_exit 3 "$VM2OCI" inspect "${row%%:*}"
done
