#!/usr/bin/env bash
# Agents in every form that --agent takes, made by the tools that make real packages: their files and their start by
# systemd or OpenRC are in the guest, and what would not run there is refused in one line that says why.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs e2fsck debugfs dpkg-deb rpmbuild tar qemu-ga jq

program=/usr/bin/true
interpreter=$(readlink -f /lib64/ld-linux-x86-64.so.2)
libc=$(ldd "$program" | awk '$1 == "libc.so.6" { print $3 }')

# guest NAME: one with systemd, or with OpenRC.
guest() {
    rm -rf tree
    mkdir -p tree/{etc,lib64,usr/lib/x86_64-linux-gnu,usr/bin,sbin}
    cp "$libc" tree/usr/lib/x86_64-linux-gnu/libc.so.6
    cp "$interpreter" tree/lib64/ld-linux-x86-64.so.2
    cp "$program" tree/usr/bin/sh
    ln -s usr/lib tree/lib
    cp /etc/os-release tree/etc/os-release
    case $1 in
        systemd) mkdir -p tree/usr/lib/systemd/system && cp "$program" tree/usr/lib/systemd/systemd ;;
        openrc) mkdir -p tree/etc/{init.d,runlevels/default} && cp "$program" tree/sbin/openrc ;;
    esac
    image "$1.raw"
}
# image FILE: of what lies in tree.
image() {
    rm -f "$1"
    truncate -s 64M "$1"
    mke2fs -q -F -t ext4 -d tree "$1"
}

# in_guest IMAGE PATH: how debugfs shows it.
in_guest() { debugfs -R "stat $2" "$1" 2> /dev/null; }
# put_in GUEST AGENT
put_in() {
    rm -f out.raw
    "$VM2OCI" inject -q --agent "$2" "raw:$1.raw" raw:out.raw > report
    e2fsck -fn out.raw > fsck.log 2>&1 || fail "$2: $(cat fsck.log)"
}
# expect_started: the collector's unit and program, as systemd wants them.
expect_started() {
    expect_match 'Mode: +0755' "$(in_guest out.raw "$1")" "the program"
    expect_match collector.service \
        "$(in_guest out.raw /etc/systemd/system/multi-user.target.wants/collector.service)" "the link that starts it"
}
# refuse GUEST AGENT PATTERN
refuse() {
    rm -f out.raw
    expect_exit 3 "$VM2OCI" inject -q --agent "$2" "raw:$1.raw" raw:out.raw
    expect_equal 1 "$(wc -l < stderr)" "lines of the refusal of $2"
    expect_match "$3" "$(cat stderr)" "the refusal of $2"
    [[ ! -e out.raw ]] || fail "a refused agent left a disk"
}

printf '[Service]\nExecStart=/usr/bin/collector\n[Install]\nWantedBy=multi-user.target\n' > collector.service
printf '#!/sbin/openrc-run\ncommand=/usr/local/bin/collector\n' > collector
mkdir -p package/usr/bin package/usr/lib/systemd/system
install -m 755 "$program" package/usr/bin/collector
cp collector.service package/usr/lib/systemd/system/
guest systemd
guest openrc

step "a .deb, whose scripts are told and not run"
cp -r package deb
mkdir deb/DEBIAN
printf 'Package: collector\nVersion: 1\nArchitecture: amd64\nMaintainer: x <x@x.test>\nDescription: x\n' > deb/DEBIAN/control
printf '#!/bin/sh\ntouch /ran\n' > deb/DEBIAN/postinst
chmod 755 deb/DEBIAN/postinst
dpkg-deb --root-owner-group --build deb collector.deb > /dev/null
put_in systemd collector.deb
expect_started /usr/bin/collector
expect_match 'postinst was not run' "$(cat report)" "the report on a .deb"

step "a .rpm, the same"
cat > collector.spec << 'END'
Name: collector
Version: 1
Release: 1
Summary: x
License: MIT
AutoReqProv: no
%description
x
%install
cp -r %{package}/. %{buildroot}/
%post
touch /ran
%files
/usr/bin/collector
/usr/lib/systemd/system/collector.service
END
rpmbuild -bb --quiet --define "_topdir $PWD/rpm" --define "package $PWD/package" --define '__strip /bin/true' \
    --define 'debug_package %{nil}' collector.spec > rpm.log 2>&1 || fail "$(cat rpm.log)"
mv rpm/RPMS/*/collector-*.rpm collector.rpm
put_in systemd collector.rpm
expect_started /usr/bin/collector
expect_match 'postinst was not run' "$(cat report)" "the report on a .rpm"

step "a tar in several compressions, and a folder"
for suffix in tar tar.gz tar.xz tar.zst; do
    tar -C package --owner 0 --group 0 --auto-compress -cf "collector.$suffix" .
    put_in systemd "collector.$suffix"
    expect_started /usr/bin/collector
done
put_in systemd package
expect_started /usr/bin/collector

step "a program and its unit, for systemd and for OpenRC"
install -m 755 "$program" collector-program
put_in systemd collector-program:collector.service
expect_started /usr/local/bin/collector-program
put_in openrc collector-program:collector
expect_match /etc/init.d/collector "$(in_guest out.raw /etc/runlevels/default/collector)" "the link of OpenRC"

step "QEMU's guest agent of this machine, with what the guest lacks"
put_in systemd qemu-ga
expect_match 'Mode: +0755' "$(in_guest out.raw /usr/sbin/qemu-ga)" "the guest agent"
expect_match 'libglib-2.0.*the guest lacks' "$(tr '\n' ' ' < report)" "the report on a library"
put_in systemd vm2oci
expect_match 'Mode: +0755' "$(in_guest out.raw /usr/local/sbin/vm2oci-agent)" "vm2oci's own agent"
expect_match 60-vm2oci-agent "$(debugfs -R 'ls /etc/udev/rules.d' out.raw 2> /dev/null)" "the rule that starts it"

step "what would not run is refused"
sed -i 's/^VERSION_ID=.*/VERSION_ID="7"/' tree/etc/os-release
image other.raw
refuse other qemu-ga 'name a package file of the guest'
rm tree/usr/lib/x86_64-linux-gnu/libc.so.6
image bare.raw
refuse bare collector.deb 'libc\.so\.6'
refuse bare collector.rpm 'libc\.so\.6'
cp "$libc" tree/usr/lib/x86_64-linux-gnu/libc.so.6
# e_machine of every program of the guest: aarch64.
find tree -type f -size +4k -exec sh -c 'printf "\267" | dd of="$1" bs=1 seek=18 conv=notrunc status=none' _ {} \;
image foreign.raw
refuse foreign collector.deb 'is for x86-64, and the guest is arm64'

step "packages that are none, or lead out of the guest"
printf 'text\n' > none.deb
refuse systemd none.deb 'no package that can be read|cannot be unpacked'
head -c 2000 collector.deb > cut.deb
refuse systemd cut.deb 'cut.deb'
tar --owner 0 --group 0 -P --transform 's,^,../../,' -cf leading.tar collector.service
refuse systemd leading.tar "'\.\.'"
mkdir -p with-fifo/usr && mkfifo with-fifo/usr/fifo
tar -C with-fifo -cf device.tar .
refuse systemd device.tar 'device'
expect_exit 1 "$VM2OCI" inject -q --agent nowhere.deb raw:systemd.raw raw:out.raw
expect_match 'no such file; it takes' "$(cat stderr)" "a file that is not there"
