#!/usr/bin/env bash
# The real Debian with its root on a logical volume that lies on both disks of a VMware machine, broken as a migrated
# guest is: inspected as an OVA, mended by one convert, and booted from the two images that came of it. Needs root, for
# loop devices, and a quarter of an hour of emulation, so it has no CTest entry:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/edit/lvm_over_two_disks.sh
#
# The guest gets LVM from this machine, which must be a Debian 12, too.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=vmware_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/vmware_guest.sh"
require_tool jq qemu-ga qemu-system-x86_64 qemu-img pvcreate lvextend losetup sfdisk mke2fs e2fsck ldd sha256sum
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"

loops=()
release() {
    local device
    sync
    umount "$scratch/from" 2> /dev/null || true
    for device in "${loops[@]}"; do losetup -d "$device" 2> /dev/null || true; done
    loops=()
}
trap 'status=$?; set +e; release; (exit "$status"); _clean_up' EXIT
# loop FILE [OFFSET SIZE]: its name in $loop.
loop() {
    loop=$(losetup --find --show ${2:+--offset "$2" --sizelimit "$3"} "$1")
    loops+=("$loop")
}

# add_lvm INITRD OUT VERSION: the same with lvm, its libraries, dm-mod, and a script that activates the volumes.
add_lvm() {
    local file main=main
    mkdir main
    head --bytes=-1 "$1" | zstd --decompress --stdout --quiet | (cd main && cpio --quiet -idm) # as break_initrd() packs it
    for file in /sbin/lvm $(ldd /sbin/lvm | grep -o '/[^ ]*'); do
        mkdir -p "$main$(dirname "$(realpath --no-symlinks "$file")")"
        cp --dereference "$file" "$main$file"
    done
    mkdir -p "$main/lib/modules/$3/kernel/drivers/md" "$main/scripts/local-top"
    guest_file broken.raw "/lib/modules/$3/kernel/drivers/md/dm-mod.ko" > "$main/lib/modules/$3/kernel/drivers/md/dm-mod.ko"
    cat > "$main/scripts/local-top/lvm2" << SCRIPT
#!/bin/sh
[ "\$1" != prereqs ] || exit 0
modprobe -q dm-mod 2> /dev/null || insmod /lib/modules/$3/kernel/drivers/md/dm-mod.ko
for second in 1 2 3 4 5 6 7 8 9 10; do
    lvm vgchange -ay --sysinit --config 'devices{use_devicesfile=0} activation{udev_sync=0 udev_rules=0 monitoring=0}' > /dev/null 2>&1
    [ ! -e /dev/mapper/vg0-root ] || exit 0
    sleep 1
done
SCRIPT
    chmod +x "$main/scripts/local-top/lvm2"
    # shellcheck disable=SC2016
    printf '/scripts/local-top/lvm2 "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n' >> "$main/scripts/local-top/ORDER"
    depmod -b "$main" "$3"
    (cd "$main" && find . | LC_ALL=C sort | cpio --quiet -o -H newc | zstd -q -3) > "$2"
    rm -rf main
}

step 'a Debian of VMware, with LVM in its initrd and its root on vg0-root'
# shellcheck disable=SC2119
break_guest "$(debian_disk)" broken.raw
version=$(debugfs -R 'ls /boot' "broken.raw?offset=$root_offset" 2> /dev/null | grep -oE 'initrd\.img-[^ ]+' | head -1)
version=${version#initrd.img-}
guest_file broken.raw "/boot/initrd.img-$version" > initrd.without
add_lvm initrd.without initrd.lvm "$version"
guest_file broken.raw /etc/fstab | sed 's,^/dev/sda1,/dev/mapper/vg0-root,' > fstab
guest_file broken.raw /boot/grub/grub.cfg | sed 's,root=/dev/sda1,root=/dev/mapper/vg0-root,' > grub.cfg
"$VM2OCI" inject -q --copy-in "initrd.lvm:/boot/initrd.img-$version" --copy-in fstab:/etc/fstab \
    --copy-in grub.cfg:/boot/grub/grub.cfg raw:broken.raw raw:first.raw > /dev/null
rm broken.raw

step 'the volume begins on the first disk, and goes on on the second'
size=$(sfdisk --json first.raw | jq '.partitiontable.partitions[] | select(.start * 512 == '"$root_offset"') | .size * 512')
uuid=$(blkid -p -O "$root_offset" -s UUID -o value first.raw)
mkdir from
loop first.raw "$root_offset" "$size"
mount -o ro,noload "$loop" from
truncate -s 2600M root.img
mke2fs -q -F -t ext4 -U "$uuid" -d from root.img
umount from
release
fallocate --punch-hole --offset "$root_offset" --length "$size" first.raw
truncate -s 2G second.raw
loop first.raw "$root_offset" "$size"
first=$loop
loop second.raw
second=$loop
options=(--config "devices{filter=[\"a|^$first\$|\",\"a|^$second\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]}
    global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
run_lvm() { "$@" >> lvm.log 2>&1 || fail "$(cat lvm.log)"; }
run_lvm pvcreate -q -ff -y "${options[@]}" "$first" "$second"
run_lvm vgcreate -q "${options[@]}" vg0 "$first" "$second"
run_lvm lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n root -L 1200M vg0 "$first"
run_lvm lvextend -q --driverloaded n "${options[@]}" -L 2600M vg0/root "$second"
pvs --noheadings --units s --nosuffix "${options[@]}" --segments \
    -o pv_name,lv_name,seg_start,pvseg_start,pvseg_size,pe_start,vg_extent_size "$first" "$second" 2> /dev/null > segments
release
expect_equal 2 "$(grep -c ' root ' segments)" 'segments of the root'
while read -r device name start begin count pe_start extent; do
    [[ $name == root ]] || continue
    file=second.raw at=0
    [[ $device != "$first" ]] || file=first.raw at=$((root_offset / 512))
    dd if=root.img of="$file" bs=1M skip=$((start / 2048)) seek=$(((at + pe_start + begin * extent) / 2048)) \
        count=$((count * extent / 2048)) conv=notrunc,sparse status=none
done < segments
rm root.img

step 'an OVA of both'
for disk in first second; do
    qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$disk.raw" "$disk.vmdk"
    rm "$disk.raw"
done
cat > web.ovf << 'END'
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r" xmlns:vmw="v">
 <References><File ovf:id="b" ovf:href="second.vmdk"/><File ovf:id="a" ovf:href="first.vmdk"/></References>
 <DiskSection><Disk ovf:diskId="d2" ovf:fileRef="b"/><Disk ovf:diskId="d1" ovf:fileRef="a"/></DiskSection>
 <VirtualSystem ovf:id="web"><VirtualHardwareSection>
  <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
  <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
  <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>/disk/d2</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>/disk/d1</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
  <vmw:Config vmw:key="firmware" vmw:value="efi"/>
 </VirtualHardwareSection></VirtualSystem>
</Envelope>
END
sha256sum web.ovf first.vmdk second.vmdk | sed 's/\([0-9a-f]*\)  \(.*\)/SHA256(\2)= \1/' > web.mf
tar --create --format ustar --file web.ova web.ovf web.mf first.vmdk second.vmdk
rm first.vmdk second.vmdk

step 'inspected'
"$VM2OCI" inspect --json web.ova > inspect.json
expect_match 'Debian' "$(jq -r '.. | objects | .product? // empty' inspect.json | head -1)" 'the guest'
page=$("$VM2OCI" inspect web.ova)
for word in '--fix=virtio.*virtio_blk' '--fix=network.*ens192' '--fix=console'; do
    [[ $page =~ $word ]] || fail "inspect says nothing of $word: $page"
done

step 'mended, into two images'
expected_device=ttyS0 mend_guest web.ova oci:images:web
expect_equal 'web web-disk2' "$(jq -r '[.manifests[].annotations."org.opencontainers.image.ref.name"] | sort | join(" ")' images/index.json)" 'the images'
for tag in web web-disk2; do "$VM2OCI" verify --quiet "oci:images:$tag" > /dev/null; done

step 'before, it does not come up on virtio'
expect_no_boot web.ova
step 'after, it does'
boot_mended oci:images:web
