# What disks that are laid out as a distribution's installer does it have in common; sourced by el_like_disk.sh,
# fedora_like_disk.sh and suse_like_disk.sh, which set `disk` and `point` (where the root is mounted).
# shellcheck shell=bash disable=SC2034,SC2154
readonly MiB=1048576

loop_at() { loop=$(losetup --find --show --offset $(($1 * MiB)) --sizelimit $(($2 * MiB)) "$disk"); }

# In the current folder, the guest's root: what tells of Debian goes.
become() { # NAME VERSION ID ID_LIKE PRETTY_NAME
    rm -rf var/lib/dpkg etc/apt etc/debian_version etc/dpkg boot/grub
    printf 'NAME="%s"\nVERSION="%s"\nID="%s"\nID_LIKE="%s"\nVERSION_ID="%s"\nPRETTY_NAME="%s"\n' "$1" "$2" "$3" "$4" "$2" "$5" \
        > usr/lib/os-release
    ln -sf ../usr/lib/os-release etc/os-release
}

# An initrd that drives nothing but the disk of the machine that it was made on.
make_host_only_initrd() { # KERNEL OUTPUT
    local made
    made=$(mktemp --directory initrd.XXXXXX)
    mkdir -p "$made/usr/lib/modules/$1/kernel/drivers/message/fusion"
    : > "$made/usr/lib/modules/$1/kernel/drivers/message/fusion/mptspi.ko"
    (cd "$made" && find . -print | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -n) > "$2"
    rm -r "$made"
}

# Packages in the form that such a system keeps them in; the names are ours.
make_rpm_database() { # FOLDER RELEASE
    local number
    mkdir like-specs
    for number in $(seq 1 20); do
        printf 'Name: base-%d\nVersion: 1.%d\nRelease: 1.%s\nSummary: a package\nLicense: MIT\nBuildArch: noarch\n%%description\nNothing.\n%%files\n' \
            "$number" "$number" "$2" > "like-specs/$number.spec"
    done
    rpmbuild --quiet --define "_topdir $PWD/like-rpm" -bb like-specs/*.spec > rpmbuild.log 2>&1 || { cat rpmbuild.log >&2 && exit 1; }
    mkdir -p "$1"
    rpm --dbpath "$(realpath "$1")" -i --justdb --nodeps --noscripts --notriggers \
        --nosignature --nodigest --ignorearch --ignoreos like-rpm/RPMS/noarch/*.rpm 2> rpm.log || { cat rpm.log >&2 && exit 1; }
    rm -rf like-specs like-rpm
}

# As restorecon would, by place.
label() { # FOLDER
    python3 - "$1" << 'PYTHON'
import os, sys
root = sys.argv[1]
TYPES = (("etc", "etc_t"), ("usr/bin", "bin_t"), ("usr/lib", "lib_t"), ("usr", "usr_t"), ("boot", "boot_t"), ("var", "var_t"))
for folder, folders, files in os.walk(root):
    for name in [""] + files + [n for n in folders if os.path.islink(os.path.join(folder, n))]:
        path = os.path.join(folder, name) if name else folder
        place = os.path.relpath(path, root)
        kind = next((kind for prefix, kind in TYPES if place == prefix or place.startswith(prefix + "/")), "default_t")
        os.setxattr(path, "security.selinux", f"system_u:object_r:{kind}:s0\0".encode(), follow_symlinks=False)
PYTHON
}
