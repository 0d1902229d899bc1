#!/usr/bin/env bash
# What edits write into a population of phony guests is valid by the programs that read it there: shells, GRUB, systemd,
# netplan, ifupdown, cloud-init's schema, OpenSSH, util-linux.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool dash grub-script-check grub-editenv systemd-analyze findmnt ssh-keygen python3 apt-get dpkg-deb

XDG_CACHE_HOME=$user_cache "$VM2OCI_SOURCE_DIR/tests/support/unpack_packages.sh" judges netplan.io libnetplan0 ifupdown cloud-init
"${WRITE_PHONY_EDITS:?}" edited
total=0
# judge NAME AT_LEAST PATTERN COMMAND…: runs the command with each file whose path in the guest matches; it must end well.
# Of files with the same content one is enough.
judge() {
    local name=$1 least=$2 pattern=$3 file count=0
    shift 3
    find edited -type f -regextype posix-extended -regex "edited/[^/]*/[^/]*$pattern" -print0 |
        xargs -0 -r md5sum -z | LC_ALL=C sort -z -u -k 1,1 > files
    while IFS= read -r -d '' file; do
        file=${file:34}
        "$@" "$file" > judge.log 2>&1 ||
            fail "$name refuses ${file#edited/}: $(tail -5 judge.log)"$'\n'"$(head -c 2000 "$file")"
        count=$((count + 1))
    done < files
    printf '   %-20s %4d files\n' "$name" "$count"
    ((count >= least)) || fail "$name has seen $count files: this test is void"
    total=$((total + count))
}

step "shells, boot loaders, mounts, keys"
judge dash 20 '/(etc/(default|sysconfig|conf\.d)/.*|etc/(rc|update-extlinux)\.conf|etc/kernel/cmdline\.d/.*|usr/local/lib/vm2oci/.*)' dash -n
judge grub-script-check 8 '/boot/grub2?/grub\.cfg' grub-script-check
editenv() { grub-editenv "$1" list && [[ $(stat -c %s "$1") -eq 1024 ]]; }
judge grub-editenv 1 '/boot/grub2?/grubenv' editenv
# What is mounted is not here; what cannot be parsed is told.
mounts() { { findmnt --verify --tab-file "$1" 2>&1 || true; } | grep "^0 parse errors"; }
judge findmnt 3 /etc/fstab mounts
judge ssh-keygen 1 '/(root|home/[a-z]*)/\.ssh/authorized_keys' ssh-keygen -l -f

step "systemd"
judge systemd-analyze 1 '/etc/systemd/system/[^/]*\.service' systemd-analyze verify

step "networks"
netplan() {
    local tree=${1%/etc/netplan/*}
    rm -rf generated
    mkdir -p generated/etc
    cp -r "$tree/etc/netplan" generated/etc/
    LD_LIBRARY_PATH=$(dirname "$(find judges -name 'libnetplan.so.0*' | head -1)") \
        judges/usr/libexec/netplan/generate --root-dir "$PWD/generated" &&
        [[ -n $(find generated/run -name '*.network' -print -quit) ]]
}
judge netplan 5 '/etc/netplan/[^/]*\.yaml' netplan
stanzas() { # absolute names of further files are the guest's
    rm -rf network
    cp -r "${1%/*}" network
    sed -i "s|/etc/network/|$PWD/network/|g" network/interfaces
    judges/sbin/ifup --no-act --all --force --state-dir "$PWD" --interfaces network/interfaces
}
mkdir -p run
judge ifup 8 /etc/network/interfaces stanzas
keyfile() {
    python3 -c 'import configparser, sys
found = configparser.ConfigParser(delimiters=("=",), strict=True, interpolation=None)
found.read_file(open(sys.argv[1]))
assert found.sections(), "it is empty"' "$1"
}
judge key-files 2 '/etc/(NetworkManager/system-connections/.*|systemd/network/.*)' keyfile

step "cloud-init"
schema=$(find judges -name schema-cloud-config-v1.json)
cloud_config() {
    python3 -c 'import json, sys, warnings, yaml
warnings.simplefilter("ignore")
import jsonschema
text = open(sys.argv[2]).read()
assert text.startswith("#cloud-config\n"), "its first line is another"
jsonschema.Draft4Validator(json.load(open(sys.argv[1]))).validate(yaml.safe_load(text))' "$schema" "$1"
}
judge cloud-config 1 '/var/lib/cloud/seed/nocloud/user-data' cloud_config
judge yaml 10 '/(etc/cloud/.*|var/lib/cloud/seed/nocloud/(meta-data|network-config))' python3 -c 'import sys, yaml
assert isinstance(yaml.safe_load(open(sys.argv[1])), dict)'

step "a judge that says yes to everything is none"
printf 'GRUB_CMDLINE_LINUX="quiet\n' > broken
! dash -n broken 2> judge.log || fail "dash takes a quote that does not end"
mkdir -p broken.d/etc/netplan
printf 'network:\n  version: 2\n  ethernets:\n    a:\n      dhcp4: perhaps\n' > broken.d/etc/netplan/1.yaml
! netplan broken.d/etc/netplan/1.yaml > judge.log 2>&1 || fail "netplan takes dhcp4: perhaps"
mkdir -p broken.d/etc/network
printf 'auto a\niface a inet perhaps\n' > broken.d/etc/network/interfaces
! stanzas broken.d/etc/network/interfaces > judge.log 2>&1 || fail "ifup takes a method that is none"
printf '#cloud-config\nusers: 5\n' > broken
! cloud_config broken > judge.log 2>&1 || fail "the schema takes users: 5"
printf '[Service]\nExecStart=no-path\n' > broken.service
! systemd-analyze verify broken.service > judge.log 2>&1 || fail "systemd-analyze takes a service that is none"
printf '   %d files were judged\n' "$total"
