#!/usr/bin/env bash
# podman and buildah pull the image from the layout and mount it: owner, modes and content are right where a virtual
# machine's launcher will look for them. Their storage is a folder of this test's own.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool podman buildah qemu-img
if [[ $(id -u) -ne 0 && -z ${VM2OCI_UNSHARED-} ]]; then
    exec env VM2OCI_UNSHARED=1 buildah unshare "$0"
fi

small_disk disk.raw
"$VM2OCI" convert --quiet raw:disk.raw oci:layout:zstd
"$VM2OCI" convert --quiet --compression gzip raw:disk.raw oci:layout:gzip
"$VM2OCI" convert --quiet --disk-format raw --compression none raw:disk.raw oci:layout:raw

storage=(--root "$scratch/storage" --runroot "$scratch/run" --storage-driver vfs)
check_mounted() {
    local folder=$1 file=$2
    expect_equal "555 107:107 directory" "$(stat --format '%a %u:%g %F' "$folder/disk")" "$folder/disk"
    expect_equal "444 107:107 regular file" "$(stat --format '%a %u:%g %F' "$folder/disk/$file")" "$file"
    expect_equal "$file" "$(ls -A "$folder/disk")" 'the only entry of /disk'
    expect_equal disk "$(ls -A "$folder")" 'the only entry of /'
    qemu-img compare -q -f raw disk.raw "$folder/disk/$file"
}

for tag in zstd gzip raw; do
    file=disk.qcow2
    [[ $tag == raw ]] && file=disk.img
    step "podman, $tag"
    image=$(podman "${storage[@]}" pull --quiet "oci:layout:$tag" 2> podman.log) || fail "$(cat podman.log)"
    check_mounted "$(podman "${storage[@]}" image mount "$image")" "$file"
    expect_equal '[no-entrypoint]' "$(podman "${storage[@]}" image inspect --format '{{.Config.Entrypoint}}' "$image")" entrypoint
    podman "${storage[@]}" image unmount "$image" > /dev/null

    step "buildah, $tag"
    container=$(buildah "${storage[@]}" from --quiet --pull "oci:layout:$tag" 2> buildah.log) || fail "$(cat buildah.log)"
    check_mounted "$(buildah "${storage[@]}" mount "$container")" "$file"
    buildah "${storage[@]}" umount "$container" > /dev/null
done
