# Makes of the real Debian disk what a migrated VMware guest is like; sourced after integration.sh.
# shellcheck shell=bash
require_tool debugfs unmkinitramfs cpio depmod zstd

readonly root_offset=134217728 # where tools/make-debian-disk.sh puts the root file system

# guest_file RAW-DISK PATH: its content.
guest_file() { debugfs -R "cat $2" "$1?offset=$root_offset" 2> /dev/null; }

# break_guest DISK BROKEN-RAW-DISK: an initrd without virtio, a static address on ens192 for networkd, netplan and
# ifupdown, /dev/sda1 in fstab and GRUB, no serial console, a data source pinned to VMware, the identity and the tools of
# the old machine.
break_guest() {
    local disk=$1 broken=$2 version
    "$VM2OCI" convert -q "$disk" raw:whole.raw
    version=$(debugfs -R 'ls /boot' "whole.raw?offset=$root_offset" 2> /dev/null | grep -oE 'initrd\.img-[^ ]+' | head -1)
    version=${version#initrd.img-}
    guest_file whole.raw "/boot/initrd.img-$version" > initrd
    unmkinitramfs initrd tree
    [[ ! -d tree/main ]] || mv tree/main main && [[ -d main ]] || mv tree main
    find main -name 'virtio*.ko*' -delete
    depmod -b main "$version"
    (cd main && find . | LC_ALL=C sort | cpio --quiet -o -H newc | zstd -q -3) > initrd.broken

    guest_file whole.raw /etc/fstab | sed 's,^UUID=[0-9a-f-]*\(.*\text4\),/dev/sda1\1,' > fstab
    guest_file whole.raw /boot/grub/grub.cfg |
        sed -E '/^\s*linux\s/{s,root=UUID=\S+,root=/dev/sda1,;s, console=\S+,,g}' > grub.cfg
    printf 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n' > grub
    printf '[Match]\nName=ens192\n\n[Network]\nAddress=192.0.2.7/24\nGateway=192.0.2.1\n' > 80-dhcp.network
    printf 'network:\n  version: 2\n  ethernets:\n    ens192:\n      addresses: [192.0.2.7/24]\n' > netplan
    printf 'auto lo ens192\niface lo inet loopback\niface ens192 inet static\n  address 192.0.2.7/24\n' > interfaces
    printf 'datasource_list: [ VMware ]\n' > 99-vmware.cfg
    printf '[Unit]\nDescription=VMware\n[Service]\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n' > tools
    printf '00000000000000000000000000000bad\n' > machine-id
    # One byte more in the initrd keeps it from ending on a boundary of 4.
    printf '\0' >> initrd.broken
    "$VM2OCI" inject -q --copy-in "initrd.broken:/boot/initrd.img-$version" --copy-in fstab:/etc/fstab \
        --copy-in grub.cfg:/boot/grub/grub.cfg --copy-in grub:/etc/default/grub \
        --copy-in 80-dhcp.network:/etc/systemd/network/80-dhcp.network --copy-in netplan:/etc/netplan/01-netcfg.yaml \
        --copy-in interfaces:/etc/network/interfaces --copy-in 99-vmware.cfg:/etc/cloud/cloud.cfg.d/99-vmware.cfg \
        --copy-in tools:/usr/lib/systemd/system/open-vm-tools.service:0644 --copy-in machine-id:/etc/machine-id \
        raw:whole.raw "raw:$broken" > broken.report
    rm -rf whole.raw main tree
}
