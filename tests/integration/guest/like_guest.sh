# Steps that el_like.sh and btrfs_like.sh take with a guest on disk.raw; sourced after integration.sh.
# shellcheck shell=bash

# layer_of LAYOUT: the layer's file of its only image.
layer_of() {
    local manifest
    manifest=$(jq -r '.manifests[0].digest' "$1/index.json")
    printf '%s/blobs/%s\n' "$1" "$(jq -r '.layers[0].digest' "$1/blobs/${manifest/://}" | tr : /)"
}

# The files of a Debian machine, into the folder "tree".
unpack_debian() { # OPTION OF debian_disk…
    mkdir -p tree
    "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none "$(debian_disk "$@")" oci:made:debian > /dev/null
    tar -x -C tree --xattrs --xattrs-include='*' --numeric-owner -f "$(layer_of made)"
    rm -r made
}

# alone COMMAND…: which starts no program and loads no libguestfs.
alone() {
    strace -f -q -e trace=execve,openat -o trace.log "$@"
    [[ $(grep -cE 'execve(\(| resumed).*= 0$' trace.log) -eq 1 ]] || fail "it started a program: $(grep 'execve(' trace.log | tail -1)"
    ! grep -q libguestfs trace.log || fail "it loaded libguestfs: $*"
}

# package_whole_and_trimmed FILE-SYSTEM: as a bundle, and trimmed without a change to its files. Needs the layout "packed"
# with nothing but the guest's files.
package_whole_and_trimmed() {
    alone "$VM2OCI" -q convert --as bundle --compression none disk.raw oci:packed:bundle > bundle.log 2>&1 ||
        expect_match 'virtio' "$(cat bundle.log)" "why there is no bundle"
    alone "$VM2OCI" -q --json convert --sparsify disk.raw raw:sparse.raw > sparse.json
    expect_equal 0 "$(jq --arg type "$1" '[.remarks[] | select(test("\($type).*whole|whole.*\($type)"))] | length' sparse.json)" \
        "what was left whole"
    "$VM2OCI" -q convert --as rootfs --keep-kernel --compression none sparse.raw oci:packed:sparse > /dev/null
    expect_equal 1 "$(jq '[.manifests[0,-1].digest] | unique | length' packed/index.json)" "images of the two disks"
}

# inspect_from_registry REPOSITORY: reads a part of the layer, and says what inspect.json says of the disk.
inspect_from_registry() {
    local layer received
    "$VM2OCI" -q convert disk.raw "docker://$registry/$1:1" > pushed.log
    strace -f -q -e trace=recvfrom,execve -o trace.log "$VM2OCI" -q --json inspect "docker://$registry/$1:1" > remote.json
    [[ $(grep -cE 'execve(\(| resumed).*= 0$' trace.log) -eq 1 ]] || fail "it started a program"
    layer=$(find registry -name data -path '*blobs*' -printf '%s\n' | sort -n | tail -1)
    received=$(sed -n 's/.*recvfrom.* = \([0-9]*\)$/\1/p' trace.log | awk '{ sum += $1 } END { print sum + 0 }')
    printf '   %d of %d bytes\n' "$received" "$layer"
    ((received > 10000)) || fail "$received bytes were received: this test is void"
    # 1.0 to 2.9 % were seen, by where the kernel put the inodes: each frame with one of them is fetched as a whole. Another
    # kernel puts them elsewhere.
    expect_at_most $((layer * 4 / 100)) "$received" "bytes that were fetched"
    python3 - << 'PYTHON'
import json
local, remote = (json.load(open(name))["inside"] for name in ("inspect.json", "remote.json"))
assert remote["mounts"] == local["mounts"], remote["mounts"]
# From far away the parts of large files are not read.
differing = {key for key in local["guest"] if remote["guest"].get(key) != local["guest"][key]}
assert differing <= {"kernels"}, {key: (local["guest"][key], remote["guest"].get(key)) for key in differing}
PYTHON
}

# The file systems of a disk as its maker lays them out: name, offset and size in MiB, type, options of a mount that
# changes nothing.
like_parts() { # KIND
    case $1 in
        el9) printf '%s\n' 'esp 1 100 vfat ro' 'boot 101 400 xfs ro,norecovery' 'root 630 1960 xfs ro,norecovery' ;;
        el7) printf '%s\n' 'boot 101 400 xfs ro,norecovery' 'root 630 1960 xfs ro,norecovery' ;;
        boot-ext4) printf '%s\n' 'esp 1 100 vfat ro' 'boot 101 400 ext4 ro,noload' 'root 501 2000 btrfs ro,subvolid=5' ;;
        sles15) printf '%s\n' 'root 9 2000 btrfs ro,subvolid=5' ;;
        *) fail "$1 is no kind of disk" ;;
    esac
}

# list_like KIND DISK: what lies on each of them, which must be sound, into DISK.NAME.list.
list_like() {
    local name offset size type options part
    while read -r name offset size type options; do
        part=$(losetup --find --show --offset $((offset * 1048576)) --sizelimit $((size * 1048576)) "$2")
        case $type in
            xfs) xfs_repair -n "$part" > check.log 2>&1 || fail "$name of $2: $(tail -3 check.log)" ;;
            btrfs) btrfs check "$part" > check.log 2>&1 || fail "$name of $2: $(tail -3 check.log)" ;;
            ext4) e2fsck -fn "$part" > check.log 2>&1 || fail "$name of $2: $(tail -3 check.log)" ;;
            vfat) fsck.fat -n "$part" > check.log 2>&1 || fail "$name of $2: $(tail -3 check.log)" ;;
        esac
        if [[ $type == vfat ]]; then
            # Not every kernel mounts it.
            mkdir copied
            mcopy -s -m -n -i "$2@@$((offset * 1048576))" '::*' copied/
            touch --date @0 copied # FAT has no time for its top
            "$VM2OCI_SOURCE_DIR/tests/support/list_tree.py" copied > "$2.$name.list"
            rm -r copied
        else
            mount -o "$options" "$part" mnt
            "$VM2OCI_SOURCE_DIR/tests/support/list_tree.py" mnt > "$2.$name.list"
            umount mnt
        fi
        losetup -d "$part"
    done < <(like_parts "$1")
}
