#!/usr/bin/env bash
# Files that are programs stay programs, by the judgement of those who run them: sh reads /etc/default/grub and says the
# same as before plus the change, GRUB's own checker takes grub.cfg, and systemd what is written for it.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool mke2fs debugfs sh dash systemd-analyze grub-script-check

added='console=tty0 console=ttyS0,115200'

# edit TREE OPTION…: the tree as a guest, edited into out.raw
edit() {
    local tree=$1
    shift
    rm -f image.raw out.raw
    truncate -s 24M image.raw
    mke2fs -q -F -t ext4 -d "$tree" image.raw
    "$VM2OCI" inject -q "$@" raw:image.raw raw:out.raw > report
}
cat_out() { debugfs -R "cat $1" out.raw 2> /dev/null; }

# make_tree FOLDER
make_tree() {
    rm -rf "$1"
    mkdir -p "$1"/{etc/default,usr/lib/systemd,usr/bin,sbin,boot/grub,usr/sbin,etc/ssh}
    printf 'ID=debian\nVERSION_ID="12"\n' > "$1/etc/os-release"
    printf 'root:x:0:0:root:/root:/bin/sh\n' > "$1/etc/passwd"
}

# said VARIABLE FILE: what a program that sources the file gets
said() {
    # shellcheck disable=SC2016
    dash -c '. "$1"; eval "printf %s \"\$$2\""' sh "$PWD/$2" "$1"
}

step "/etc/default/grub in many hands"
cat > variants <<'END'
GRUB_CMDLINE_LINUX="nvme_core.default_ps_max_latency_us=0 acpi_osi=\"Windows 2009\" quiet"
--
GRUB_CMDLINE_LINUX='ima_policy="tcb|secure_boot" quiet' # from the site's handbook; do not change
--
GRUB_CMDLINE_LINUX="mitigations=off \
    transparent_hugepage=never \
  "
--
GRUB_CMDLINE_LINUX="first"
GRUB_CMDLINE_LINUX="${GRUB_CMDLINE_LINUX} second"; GRUB_TIMEOUT=3
--
export GRUB_TIMEOUT=1 GRUB_CMDLINE_LINUX='exported words'
--
GRUB_CMDLINE_LINUX=first"  second"'  third'
--
GRUB_CMDLINE_LINUX="$(printf '%s' "nested \"words\"") `echo 'old style'`"
--
GRUB_CMDLINE_LINUX=
if [ ! -e /nowhere ]; then
    GRUB_CMDLINE_LINUX="in the branch"
fi
--
[ -e /nowhere ] || GRUB_CMDLINE_LINUX='behind a test'
--
GRUB_CMDLINE_LINUX="a"
set_it() {
    GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX by a function"
}
set_it
--
GRUB_BADRAM="0x01234567,0xfefefefe"
GRUB_CMDLINE_LINUX=back\ slashes\ \"too\"
--
: <<'NOTE'
GRUB_CMDLINE_LINUX="of a note"
NOTE
GRUB_CMDLINE_LINUX="of the file"
--
case $(uname -s) in
    Linux) GRUB_CMDLINE_LINUX="of the case" ;;
    *) GRUB_CMDLINE_LINUX="of another" ;;
esac
--
# GRUB_CMDLINE_LINUX="of a comment"
GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`
END
csplit -q --suppress-matched -f variant- variants '/^--$/' '{*}'
for variant in variant-*; do
    make_tree tree
    cp "$variant" tree/etc/default/grub
    touch tree/usr/lib/systemd/systemd
    edit tree --fix=console
    cat_out /etc/default/grub > after
    sh -n after || fail "$variant is no shell any more: $(cat after)"
    before=$(said GRUB_CMDLINE_LINUX "$variant")
    now=$(said GRUB_CMDLINE_LINUX after)
    [[ $now == "$before $added" || $now == "$before$added" ]] || fail "$variant said '$before', and says '$now'"
    grep -q "${added%% *}" after || fail "$variant got nothing"
    expect_equal "$(grep -v CMDLINE "$variant" | grep -v '^$')" \
        "$(sed "s/$added//" after | grep -v CMDLINE | grep -v '^$')" "$variant: the rest"
done

step "words that go and words that change, in the other variable"
make_tree tree
cp /bin/true tree/usr/bin/cloud-init
printf '%s\n' "GRUB_CMDLINE_LINUX_DEFAULT='quiet autoinstall'\"  ds=nocloud;s=http://x/ splash \" # why" > tree/etc/default/grub
printf '#cloud-config\nhostname: x\n' > user-data
edit tree --user-data user-data
cat_out /etc/default/grub > after
expect_equal "quiet splash " "$(said GRUB_CMDLINE_LINUX_DEFAULT after)" "what is left"
expect_match '# why$' "$(cat after)" "the comment"

step "GRUB's script"
make_tree tree
cat > tree/boot/grub/grub.cfg <<'END'
set default="0"
if [ x$feature_menuentry_id = xy ]; then menuentry_id_option="--id"; else menuentry_id_option=""; fi
function load_video {
  insmod all_video
}
menuentry 'One {line}; linux' --class os { linux /vmlinuz root=/dev/sda1 ro dyndbg="file drivers/usb/* +p"; initrd /initrd; }
submenu "Others" {
  menuentry "Two" $menuentry_id_option 'x' {
    load_video
    linux16 /vmlinuz \
        root=UUID=$uuid quiet # not this
    initrd /initrd
  }
}
END
grub-script-check tree/boot/grub/grub.cfg || fail "the test's own script is broken"
edit tree --fix=console
cat_out /boot/grub/grub.cfg > after
grub-script-check after || fail "GRUB does not read $(cat after)"
expect_equal 2 "$(grep -c "$added" after)" "entries with a console"
expect_match 'quiet console=tty0 console=ttyS0,115200 # not this' "$(cat after)" "the words before the comment"

step "what is written for systemd and for shells"
make_tree tree
touch tree/usr/lib/systemd/systemd tree/usr/sbin/sshd tree/usr/bin/ssh-keygen tree/etc/ssh/ssh_host_rsa_key
ln -s /usr/lib/systemd/systemd tree/sbin/init
mkdir -p tree/etc/network
printf 'iface ens192 inet manual\niface br0 inet static\n  address 192.0.2.1/24\n  bridge-ports ens192\n' > tree/etc/network/interfaces
edit tree --sysprep=ssh-host-keys --fix=network
cat_out /etc/systemd/system/vm2oci-ssh-host-keys.service > vm2oci-ssh-host-keys.service
[[ -x /usr/bin/ssh-keygen ]] || fail "ssh-keygen is missing"
systemd-analyze verify ./vm2oci-ssh-host-keys.service 2> verify.log || fail "$(cat verify.log)"
[[ $(cat verify.log) != *vm2oci-ssh-host-keys* ]] || fail "$(cat verify.log)"
cat_out /usr/local/lib/vm2oci/interface-name > interface-name
sh -n interface-name || fail "the script for names is no shell"
expect_equal "$(cat tree/etc/network/interfaces)" "$(cat_out /etc/network/interfaces)" "a bridge's file"

make_tree tree
touch tree/usr/sbin/sshd tree/usr/bin/ssh-keygen tree/etc/ssh/ssh_host_rsa_key tree/sbin/init
printf 'id:2:initdefault:\nl2:2:wait:/etc/init.d/rc 2\n' > tree/etc/inittab
edit tree --sysprep=ssh-host-keys
cat_out /usr/local/lib/vm2oci/ssh-host-keys > ssh-host-keys
# Carried out, with the keys in another place: every type that ssh-keygen knows, and no key twice.
sed "s,/etc/ssh/,$PWD/," ssh-host-keys > carried-out
sh carried-out
[[ -s ssh_host_ed25519_key && -s ssh_host_rsa_key ]] || fail "no keys were made"
sum=$(sha256sum ssh_host_ed25519_key)
sh carried-out
expect_equal "$sum" "$(sha256sum ssh_host_ed25519_key)" "a key that is there"
