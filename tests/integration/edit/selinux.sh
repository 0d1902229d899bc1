#!/usr/bin/env bash
# New files get the labels that libselinux finds for them in the guest's policy; what was there keeps its own.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=selinux_policy.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/selinux_policy.sh"
require_tool mke2fs e2fsck debugfs jq selabel_lookup ssh-keygen

ssh-keygen -q -t ed25519 -N '' -C test -f key
printf '#cloud-config\nusers: [default]\n' > user-data
mkdir -p tree/{etc/ssh,usr/lib/systemd/system,usr/bin,root,home/user,var/lib,tmp} agent/usr/{bin,lib/systemd/system}
printf 'ID=fedora\n' > tree/etc/os-release
printf 'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n' > tree/etc/passwd
printf 'old\n' > tree/etc/hostname
printf '/dev/sda / ext4 defaults 0 1\n' > tree/etc/fstab
touch tree/usr/bin/cloud-init tree/usr/lib/systemd/systemd
printf '#!/bin/sh\n' > agent/usr/bin/tool-7
printf '[Service]\nExecStart=/usr/bin/tool-7\n[Install]\nWantedBy=multi-user.target\n' > agent/usr/lib/systemd/system/tool.service
chown -R 0:0 tree agent 2> /dev/null || true
add_policy tree

# label PATH: as it is in out.raw.
label() { debugfs -R "ea_get -V \"$1\" security.selinux" out.raw 2> /dev/null | tr -d '\0'; }
# wanted PATH ST_MODE: as libselinux has it.
wanted() {
    selabel_lookup -b file -f "tree/$policy_folder/file_contexts" -k "$1" -t "$2" 2> /dev/null |
        sed -n 's/^Default context: *//p'
}

make() {
    rm -f image.raw out.raw
    truncate -s 96M image.raw
    mke2fs -q -F -t ext4 -d tree -N 4096 image.raw
}

step "labels of the policy on all that is made"
make
label_folders image.raw tree
paths=(/etc/rc3.d/S01x /etc/x11/rc.d/x /opt/a/sbin/x /opt/sbinx /srv/www/index.html /srv/other '/usr/bin/[' /usr/bin/bash /usr/bin/ash
    /usr/bin/tool1234 /usr/local/bin/x /usr/lib/x /usr/library /export/home/me/.ssh/config /home/user/notes /etc/nickname
    /etc/ssh/ssh_host_rsa_key /run/systemd/system/x.service /top /a/b/bin/c)
copies=()
for path in "${paths[@]}"; do copies+=(--copy-in "user-data:$path"); done
"$VM2OCI" inject -q --json --guest-backend native --user-data user-data --ssh-key key.pub:root --ssh-key key.pub:user \
    --agent agent --fix=selinux,console "${copies[@]}" --copy-in user-data:/tmp/none --copy-in user-data:/etc/hostname \
    raw:image.raw raw:out.raw > report
e2fsck -fn out.raw > fsck.log 2>&1 || fail "$(cat fsck.log)"
checked=0
while read -r action path; do
    case $action in
        write) mode=$((0100000)) ;;
        mkdir) mode=$((0040000)) ;;
        symlink) mode=$((0120000)) ;;
        *) continue ;;
    esac
    [[ ! -e tree$path && $path != /tmp/none ]] || continue
    expect_equal "$(wanted "$path" $mode)" "$(label "$path")" "the label of $path"
    checked=$((checked + 1))
done < <(jq -r '.edits.changed[] | "\(.action) \(.path)"' report)
((checked >= 35)) || fail "only $checked files were compared"
for word in seed_t ssh_home_t tool_exec_t test_exec_t systemd_unit_file_t httpd_sys_content_t net_conf_t; do
    grep -q "$word" report || fail "nothing has the type $word: this test is void"
done
expect_equal system_u:object_r:was_there_t:s0 "$(label /tmp/none)" "a file for which the policy wants no label"
expect_equal '' "$(label /etc/hostname)" "a file that was there and had none"
[[ $(jq -r '.edits.changed[].path' report) != *autorelabel* ]] || fail "everything is labelled anew for nothing"

step "a guest without labels is asked to set them, and gets none from outside"
make
expect_match '--fix=selinux.*no labels' "$("$VM2OCI" inspect raw:image.raw | tr '\n' ' ')" "inspect"
"$VM2OCI" inject -q --fix=selinux --copy-in user-data:/etc/new raw:image.raw raw:out.raw > report
expect_match 'write +/\.autorelabel' "$(cat report)" "the report"
expect_equal '' "$(label /etc/new)" "a new file's label"
