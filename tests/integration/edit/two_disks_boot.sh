#!/usr/bin/env bash
# A Debian whose root is a logical volume over two disks of an OVA, with an initrd that drives VMware's controller alone:
# inspected; before, it does not come up on virtio; after one `convert --fix` of the OVA into two images it does. By hand,
# for each boot takes a minute or two without KVM; root and loop devices:
#
#   VM2OCI=build/release/tools/vm2oci/vm2oci VM2OCI_SOURCE_DIR=$PWD tests/integration/edit/two_disks_boot.sh
#
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=../guest/like_guest.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/guest/like_guest.sh"
require_tool mke2fs e2fsck pvcreate vgcreate lvcreate lvextend pvs sfdisk grub-mkimage unmkinitramfs qemu-img qemu-system-x86_64 jq
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"

step "the files of a Debian machine, with LVM in its initrd"
unpack_debian --packages lvm2,xfsprogs,btrfs-progs
export TMPDIR=$PWD
# shellcheck disable=SC2034  # for like_disk_parts.sh
disk=first.raw tree=$PWD/tree boots=boots
boot_at=1 boot_size=300 group_at=301 group_size=500 volume_size=1700
truncate -s $((group_at + group_size + 2))M first.raw
truncate -s 1300M second.raw # a physical volume without a partition around it
printf 'label: dos\nstart=%dMiB,size=%dMiB,type=83,bootable\nstart=%dMiB,size=%dMiB,type=8e\n' \
    $boot_at $boot_size $group_at $group_size | sfdisk -q first.raw
# shellcheck source=../../support/like_disk_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/support/like_disk_parts.sh"
trap 'status=$?; set +e; clean_up; [[ ${#loops[@]} -eq 0 ]] || losetup -d "${loops[@]}"; (exit "$status"); _clean_up' EXIT
loops=()
uuid_boot=$(new_uuid)
install_bios_grub "$uuid_boot" /grub

step "a volume group over both"
loops=("$(losetup --find --show --offset $((group_at * MiB)) --sizelimit $((group_size * MiB)) first.raw)"
    "$(losetup --find --show second.raw)")
options=(--config "devices{filter=[\"a|^${loops[0]}\$|\",\"a|^${loops[1]}\$|\",\"r|.*|\"] use_devicesfile=0 scan=[\"/dev\"]} global{locking_type=0} activation{udev_sync=0 udev_rules=0 monitoring=0}")
{
    pvcreate -q "${options[@]}" "${loops[@]}"
    vgcreate -q "${options[@]}" vg "${loops[@]}"
    lvcreate -q --driverloaded n -an -Zn -Wn "${options[@]}" -n root -L 480M vg "${loops[0]}"
    lvextend -q --driverloaded n "${options[@]}" -L ${volume_size}M vg/root "${loops[1]}"
} > lvm.log 2>&1 || fail "$(cat lvm.log)"
pvs --noheadings --units s --nosuffix "${options[@]}" --segments \
    -o pv_name,lv_name,seg_start,pvseg_start,pvseg_size,pe_start,vg_extent_size "${loops[@]}" 2> pvs.log > segments

kernel=$(basename "$(ls -d tree/usr/lib/modules/*)")
line="root=/dev/mapper/vg-root ro console=ttyS0,115200 quiet"
mkdir -p boot/grub
cp "tree/boot/vmlinuz-$kernel" boot/
make_host_only_initrd "$kernel" "boot/initrd.img-$kernel"
printf "set default=0\nset timeout=0\nmenuentry 'Debian' {\n  linux /vmlinuz-%s %s\n  initrd /initrd.img-%s\n}\n" \
    "$kernel" "$line" "$kernel" > boot/grub/grub.cfg
at $boot_at $boot_size mke2fs -q -t ext4 -O ^metadata_csum_seed,^orphan_file -U "$uuid_boot" -d boot
rm -rf tree/boot/*
printf '/dev/mapper/vg-root / ext4 errors=remount-ro 0 1\nUUID=%s /boot ext4 defaults 0 2\n' "$uuid_boot" > tree/etc/fstab
printf 'two-disks\n' > tree/etc/hostname
mke2fs -q -F -t ext4 -d tree root.img ${volume_size}M
while read -r device name start first count pe_start extent; do
    [[ $name == root ]] || continue
    dd if=root.img of="$device" bs=64K iflag=skip_bytes,count_bytes,fullblock oflag=seek_bytes \
        skip=$((start * 512)) seek=$(((pe_start + first * extent) * 512)) count=$((count * extent * 512)) conv=notrunc status=none
done < segments
expect_equal 2 "$(grep -c ' root ' segments)" "segments of the root"
losetup -d "${loops[@]}"
loops=()
rm -rf root.img tree boot

step "as VMware exports it"
for name in first second; do
    qemu-img convert -f raw -O vmdk -o subformat=streamOptimized "$name.raw" "$name.vmdk"
    rm "$name.raw"
done
cat > two.ovf << 'END'
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r">
 <References><File ovf:id="a" ovf:href="first.vmdk"/><File ovf:id="b" ovf:href="second.vmdk"/></References>
 <DiskSection><Disk ovf:diskId="d1" ovf:fileRef="a"/><Disk ovf:diskId="d2" ovf:fileRef="b"/></DiskSection>
 <VirtualSystem ovf:id="two"><Name>two</Name><VirtualHardwareSection>
  <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>1</rasd:VirtualQuantity></Item>
  <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
  <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>0</rasd:AddressOnParent><rasd:HostResource>/disk/d1</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
  <Item><rasd:AddressOnParent>1</rasd:AddressOnParent><rasd:HostResource>/disk/d2</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>
 </VirtualHardwareSection></VirtualSystem>
</Envelope>
END
sha256sum two.ovf first.vmdk second.vmdk | sed 's/\([0-9a-f]*\)  \(.*\)/SHA256(\2)= \1/' > two.mf
tar --create --format ustar --file two.ova two.ovf two.mf first.vmdk second.vmdk
rm first.vmdk second.vmdk

step "inspected"
"$VM2OCI" inspect -q --json two.ova > inspect.json
expect_equal "two-disks false" "$(jq -r '.inside.guest | "\(.os.hostname) \(.kernels[0].boots_on_virtio)"' inspect.json)" "the guest"

boots() { nice "$VM2OCI" boot "$1" --json --accel tcg --disk-bus virtio --nic virtio --timeout 6m "${@:2}" > stdout 2> stderr; }
step "before, it has no root on virtio"
status=0
boots two.ova --ready login || status=$?
jq -r '"   " + .summary' stdout
expect_equal 4 "$status" "the verdict"

step "one convert"
"$VM2OCI" convert -q --json --fix --hostname mended two.ova oci:images:two > report.json
jq -r '"   by " + .edits.backend' report.json
expect_equal two-disk2 "$(jq -r '.further_images[].tag' report.json)" "the second image"

step "after, on both images"
status=0
boots oci:images:two --ready 'mended login:' || status=$?
jq -r '"   " + .summary' stdout
[[ $status -eq 0 ]] || fail "exit status $status: $(jq .verdict stdout) $(tail -n 12 stderr)"
