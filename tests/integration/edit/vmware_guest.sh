# Makes of a Debian disk what a migrated VMware guest is like, and mends it; sourced after integration.sh.
# shellcheck shell=bash
# shellcheck source=../../support/broken_initrd.sh
source "$VM2OCI_SOURCE_DIR/tests/support/broken_initrd.sh"
require_tool debugfs unmkinitramfs cpio depmod zstd ssh-keygen

readonly root_offset=134217728 # where tools/make-debian-disk.sh puts the root file system

# On a busy machine the guest's processor is slow and its clock is not: no service is given up for that.
readonly patient='systemd.default_timeout_start_sec=1h systemd.service_watchdogs=0'

# guest_file RAW-DISK PATH: its content.
guest_file() { debugfs -R "cat $2" "$1?offset=$root_offset" 2> /dev/null; }

# break_guest DISK BROKEN-RAW-DISK: an initrd without virtio, a static address on ens192 for networkd, netplan and
# ifupdown, /dev/sda1 in fstab and GRUB, no serial console, a data source pinned to VMware, and the tools of the old
# hypervisor; a machine-id and host keys it has already.
break_guest() {
    local disk=$1 broken=$2 version tools=()
    "$VM2OCI" convert -q "$disk" raw:whole.raw > /dev/null
    version=$(debugfs -R 'ls /boot' "whole.raw?offset=$root_offset" 2> /dev/null | grep -oE 'initrd\.img-[^ ]+' | head -1)
    version=${version#initrd.img-}
    guest_file whole.raw "/boot/initrd.img-$version" > initrd
    break_initrd initrd initrd.broken "$version"

    guest_file whole.raw /etc/fstab | sed 's,^UUID=[0-9a-f-]*\(.*\text4\),/dev/sda1\1,' > fstab
    guest_file whole.raw /boot/grub/grub.cfg |
        sed -E '/^\s*linux\s/{s,root=UUID=\S+,root=/dev/sda1,;s, console=\S+,,g;s,$, '"$patient"',}' > grub.cfg
    grep -q root=/dev/sda1 grub.cfg || fail "the kernel's command line was not broken"
    grep -q '^/dev/sda1' fstab || fail "fstab was not broken"
    printf 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n' > grub
    printf '[Match]\nName=ens192\n\n[Network]\nAddress=192.0.2.7/24\nGateway=192.0.2.1\n' > 80-dhcp.network
    printf 'network:\n  version: 2\n  ethernets:\n    ens192:\n      addresses: [192.0.2.7/24]\n' > netplan
    printf 'auto lo ens192\niface lo inet loopback\niface ens192 inet static\n  address 192.0.2.7/24\n' > interfaces
    printf 'datasource_list: [ VMware ]\n' > 99-vmware.cfg
    printf '00000000000000000000000000000bad\n' > machine-id
    if [[ -z $(guest_file whole.raw /usr/lib/systemd/system/open-vm-tools.service) ]]; then
        printf '[Unit]\nDescription=VMware\n[Service]\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n' > tools
        tools=(--copy-in tools:/usr/lib/systemd/system/open-vm-tools.service:0644)
    fi
    "$VM2OCI" inject -q --copy-in "initrd.broken:/boot/initrd.img-$version" --copy-in fstab:/etc/fstab \
        --copy-in grub.cfg:/boot/grub/grub.cfg --copy-in grub:/etc/default/grub \
        --copy-in 80-dhcp.network:/etc/systemd/network/80-dhcp.network --copy-in netplan:/etc/netplan/01-netcfg.yaml \
        --copy-in interfaces:/etc/network/interfaces --copy-in 99-vmware.cfg:/etc/cloud/cloud.cfg.d/99-vmware.cfg \
        "${tools[@]}" --copy-in machine-id:/etc/machine-id raw:whole.raw "raw:$broken" > broken.report
    rm whole.raw
}

# Everything that inspect has to say of a guest that was broken so.
expect_diagnosis() {
    local page word
    page=$("$VM2OCI" inspect "$1")
    for word in '--fix=virtio.*virtio_blk' '--fix=network.*ens192' '--fix=devices.*/dev/sda1' '--fix=console' \
        '--fix=tools.*VMware'; do
        [[ $page =~ $word ]] || fail "inspect says nothing of $word: $page"
    done
}

# expect_no_boot DISK OPTION…: on virtio it has no root. Left to itself, boot would take a SATA disk, for which it has a driver.
expect_no_boot() {
    expect_exit 4 nice "$VM2OCI" boot --json --accel tcg --disk-bus virtio --nic virtio --timeout 2m --ready login "$@"
    jq -r '"   " + .summary' stdout
}

# The report names $expected_device, where it is set, instead of /dev/sda1.
# mend_guest BROKEN-DISK DESTINATION OPTION…: --fix, --sysprep, cloud-init with a key, and QEMU's guest agent.
mend_guest() {
    local from=$1 to=$2 word
    shift 2
    [[ -e key ]] || ssh-keygen -q -t ed25519 -N '' -C test -f key
    # One of root's own: a key that cloud-init has for its user it takes away from root.
    [[ -e root-key ]] || ssh-keygen -q -t ed25519 -N '' -C root-test -f root-key
    printf '#cloud-config\nssh_pwauth: false\nruncmd:\n  - [sh, -c, "echo it-was-run > /run/vm2oci-test"]\n' > user-data
    "$VM2OCI" convert --fix --sysprep --user-data user-data --ssh-key root-key.pub:root --ssh-key key.pub --hostname mended \
        --agent qemu-ga "$@" "$from" "$to" > changes
    for word in virtio_blk ens192 "${expected_device:-/dev/sda1}" VMware open-vm-tools machine-id ttyS0 ssh_host qemu-ga; do
        grep -q -e "$word" changes || fail "the report says nothing of $word: $(cat changes)"
    done
}

# boot_mended DISK OPTION…: to a login on the serial console with an agent that answers, cloud-init done from NoCloud, an
# address from QEMU's user network, the keys in place, an identity of its own.
boot_mended() {
    local disk=$1 status=0
    shift
    nice "$VM2OCI" boot "$disk" --json --report report --accel tcg --timeout 5m --network user \
        --ready 'mended login:' --ready agent "$@" \
        --exec 'cloud-init status --wait' \
        --exec 'grep -q DataSourceNoCloud /run/cloud-init/result.json' \
        --exec 'test "$(cat /run/vm2oci-test)" = it-was-run' \
        --exec 'hostname -I | grep -q "^10\."' \
        --exec 'test "$(hostname)" = mended' \
        --exec 'grep -q " root-test$" /root/.ssh/authorized_keys' \
        --exec 'grep -q " test$" /home/debian/.ssh/authorized_keys' \
        --exec 'systemctl is-active qemu-guest-agent serial-getty@ttyS0' \
        --exec 'test -s /etc/machine-id && ! grep -q bad /etc/machine-id' \
        --exec 'test -s /etc/ssh/ssh_host_ed25519_key' \
        --exec 'test "$(systemctl is-enabled open-vm-tools 2>&1)" = masked' > stdout 2> stderr || status=$?
    jq -r '"   " + .summary' stdout
    [[ $status -eq 0 ]] || fail "exit status $status from the boot of $disk: $(jq .verdict stdout) $(tail -n 12 stderr)"
}
