# An SELinux policy for a small guest, in the forms that lines of real policies have; sourced after integration.sh.
# shellcheck shell=bash
require_tool debugfs

readonly policy_folder=etc/selinux/targeted/contexts/files

# add_policy TREE: SELinux is on in the guest that is made of it.
add_policy() {
    local files=$1/$policy_folder
    mkdir -p "$files"
    printf '# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n' > "$1/etc/selinux/config"
    cat > "$files/file_contexts" << 'CONTEXTS'
/.*	system_u:object_r:default_t:s0
/[^/]+	--	system_u:object_r:etc_runtime_t:s0
/	-d	system_u:object_r:root_t:s0
/bin/.*		system_u:object_r:bin_t:s0
/etc/.*		system_u:object_r:etc_t:s0
/lib/.*		system_u:object_r:lib_t:s0
/opt/.*		system_u:object_r:usr_t:s0
/usr/.*		system_u:object_r:usr_t:s0
/var/.*		system_u:object_r:var_t:s0
/tmp/.*		<<none>>
/usr(/.*)?/bin(/.*)?	system_u:object_r:bin_t:s0
/opt/(.*/)?sbin(/.*)?	system_u:object_r:bin_t:s0
/lib/systemd/system(/.*)?	system_u:object_r:systemd_unit_file_t:s0
/etc/systemd/system(/.*)?	system_u:object_r:systemd_unit_file_t:s0
/etc/systemd/system/.*\.wants	-l	system_u:object_r:never_t:s0
/etc/ssh/ssh_host.*_key	--	system_u:object_r:sshd_key_t:s0
/etc/(x11/)?rc[0-6S]?\.d(/.*)?	system_u:object_r:initrc_t:s0
/var/lib/cloud(/.*)?	system_u:object_r:cloud_var_t:s0
/var/lib/[^/]+/seed/.*-data	--	system_u:object_r:seed_t:s0
/usr/bin/(b)?ash	--	system_u:object_r:shell_exec_t:s0
/usr/bin/tool-?[0-9]{1,3}	--	system_u:object_r:tool_exec_t:s0
/usr/bin/\[	--	system_u:object_r:test_exec_t:s0
/etc/hostname	--	system_u:object_r:hostname_etc_t:s0
/etc/.*name	--	system_u:object_r:net_conf_t:s0
CONTEXTS
    cat > "$files/file_contexts.homedirs" << 'CONTEXTS'
/root(/.*)?	system_u:object_r:admin_home_t:s0
/root/\.ssh(/.*)?	system_u:object_r:ssh_home_t:s0
/home/[^/]+/.+	unconfined_u:object_r:user_home_t:s0
/home/[^/]+/\.ssh(/.*)?	unconfined_u:object_r:ssh_home_t:s0
CONTEXTS
    printf '/srv/www(/.*)?\tsystem_u:object_r:httpd_sys_content_t:s0\n' > "$files/file_contexts.local"
    printf '/export/home /home\n' > "$files/file_contexts.subs"
    printf '/usr/lib /lib\n/usr/local/bin /bin\n/run/systemd/system /lib/systemd/system\n' > "$files/file_contexts.subs_dist"
}

# label_folders IMAGE TREE: as the guest itself would have labelled what is there.
label_folders() {
    (cd "$2" && find . -type d | sed 's,^\./*,/,;s,.*,ea_set "&" security.selinux system_u:object_r:was_there_t:s0,') > labels
    debugfs -w -f labels "$1" > debugfs.log 2>&1
}
