#!/usr/bin/env bash
# Guests whose /etc, /etc/cloud, /var and other places that edits write to lead out of the guest, in circles, or to what
# is no file: an edit lands inside the guest or is refused with one clear line, and nothing of this machine is touched.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs e2fsck debugfs ssh-keygen strace

tar -xf "$VM2OCI_SOURCE_DIR/tests/corpus/guest-corpus.tar.xz"
printf 'content\n' > payload
seen=0
for image in ext4/sym_*.img ext4/hostname_*.img; do
    seen=$((seen + 1))
    rm -f out.raw
    status=0
    timeout 60 strace -f -qq -e trace=openat,open,creat,mkdirat,mkdir,symlinkat,symlink,unlinkat,unlink,renameat2,rename \
        -o trace "$VM2OCI" inject -q --guest-backend native --copy-in payload:/etc/hostname --copy-in payload:/etc/cloud/x \
        "raw:$image" raw:out.raw > stdout 2> stderr || status=$?
    case $status in
        0)
            e2fsck -fn "$image" > /dev/null 2>&1 && { e2fsck -fn out.raw > fsck.log 2>&1 || fail "$image: $(cat fsck.log)"; }
            ;;
        3)
            expect_equal 1 "$(wc -l < stderr)" "$image: lines of the refusal"
            [[ ! -e out.raw ]] || fail "$image: a refused edit left a disk"
            ;;
        *) fail "$image: exit status $status: $(cat stderr)" ;;
    esac
    step "$image: $status $(cat stderr)"
    # Nothing but our own files is opened for writing, made or removed.
    if grep -E 'O_WRONLY|O_RDWR|O_CREAT|mkdir|symlink|unlink|rename' trace |
        grep -vE "\"($PWD|out\.raw|\.)|/dev/null|/tmp|/proc/|\"\"" |
        grep -E '"/(etc|root|home|var/lib|usr|host)'; then
        fail "$image: something outside was touched"
    fi
done
[[ $seen -ge 8 ]] || fail "only $seen guests were found"

step "every place that edits write to, as everything that it may not be"
ssh-keygen -q -t ed25519 -N '' -C test -f key
printf '#cloud-config\nusers: [default]\n' > user-data
mkdir -p host/{etc,cloud,log} agent/usr/bin
printf 'untouched\n' | tee host/file host/etc/hostname host/etc/machine-id host/cloud/cloud.cfg > host/log/syslog
printf '#!/bin/sh\n' > agent/usr/bin/collector
host_state() { (cd host && find . -printf '%p %y %m %s %T@\n' | sort && find . -type f -exec sha256sum {} + | sort); }
host_state > host.before

make_tree() {
    rm -rf tree
    mkdir -p tree/{etc/ssh,etc/cloud/cloud.cfg.d,etc/netplan,etc/default,usr/lib/systemd/system,usr/bin,usr/sbin,bin,sbin,root,var/log,var/lib/cloud/instances,tmp,boot/grub}
    printf 'ID=debian\nVERSION_ID="12"\n' > tree/etc/os-release
    printf 'root:x:0:0:root:/root:/bin/sh\n' > tree/etc/passwd
    printf 'root:x:0:\n' > tree/etc/group
    printf '/dev/sda / ext4 defaults 0 1\n' > tree/etc/fstab
    printf 'old\n' > tree/etc/hostname
    printf '127.0.1.1 old\n' > tree/etc/hosts
    printf '%032d\n' 7 > tree/etc/machine-id
    printf 'network: {version: 2, ethernets: {ens192: {addresses: [192.0.2.7/24]}}}\n' > tree/etc/netplan/01.yaml
    printf 'linux /vmlinuz root=/dev/sda ro quiet\n' > tree/boot/grub/grub.cfg
    printf 'l\n' > tree/var/log/syslog
    printf '[Unit]\n' > tree/usr/lib/systemd/system/open-vm-tools.service
    touch tree/usr/bin/cloud-init tree/usr/lib/systemd/systemd tree/etc/ssh/ssh_host_rsa_key
}
# replace PLACE KIND
replace() {
    local target=tree$1 up=../../../../../../../..
    rm -rf "$target"
    case $2 in
        absolute) ln -s "$PWD/host" "$target" ;;
        upwards) ln -s "$up$PWD/host" "$target" ;;
        file-of-host) ln -s "$PWD/host/file" "$target" ;;
        loop) ln -s "$(basename "$1")" "$target" ;;
        fifo) mkfifo "$target" ;;
        file) printf 'a file\n' > "$target" ;;
        device) ln -s /dev/zero "$target" && mkdir -p tree/dev ;;
    esac
}
accepted=0
refused=0
for place in /etc/cloud /etc/cloud/cloud.cfg.d /etc/hostname /etc/hosts /etc/machine-id /etc/ssh /etc/fstab /etc/netplan \
    /etc/systemd /var /var/lib /var/lib/cloud /var/lib/cloud/seed /var/log /root /root/.ssh /tmp /boot /boot/grub; do
    for kind in absolute upwards file-of-host loop fifo file device; do
        make_tree
        replace "$place" "$kind"
        rm -f guest.raw out.raw
        truncate -s 24M guest.raw
        mke2fs -q -F -t ext4 -d tree guest.raw
        [[ $kind != device ]] || printf 'cd /dev\nmknod zero c 1 5\n' | debugfs -w -f - guest.raw > mknod.log 2>&1
        status=0
        timeout 60 "$VM2OCI" inject -q --guest-backend native --user-data user-data --ssh-key key.pub:root --hostname new \
            --sysprep=all --fix --agent agent --copy-in payload:/var/lib/app/payload raw:guest.raw raw:out.raw \
            > stdout 2> stderr || status=$?
        case $status in
            0)
                accepted=$((accepted + 1))
                e2fsck -fn out.raw > fsck.log 2>&1 || fail "$place as $kind: $(cat fsck.log)"
                ;;
            3)
                refused=$((refused + 1))
                expect_equal 1 "$(wc -l < stderr)" "$place as $kind: lines of the refusal"
                [[ ! -e out.raw ]] || fail "$place as $kind: a refused edit left a disk"
                ;;
            *) fail "$place as $kind: exit status $status: $(cat stderr)" ;;
        esac
        host_state | cmp -s - host.before || fail "$place as $kind: this machine was written to"
    done
done
printf '   %d were changed inside, %d refused\n' "$accepted" "$refused"
[[ $accepted -ge 10 && $refused -ge 10 ]] || fail "one of the two hardly happened: this test is void"
