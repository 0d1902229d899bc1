#!/usr/bin/env bash
# A small guest becomes a bundle: sliced where its root is one file system, joined where /boot and /var are apart. Other
# people's tools read the image and what is in it; the same disk gives the same image from any container.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool mke2fs e2fsck debugfs sfdisk fsck.erofs qemu-img skopeo umoci podman jq python3 mkswap veritysetup
if [[ $(id -u) -ne 0 && -z ${VM2OCI_UNSHARED-} ]]; then
    exec env VM2OCI_UNSHARED=1 buildah unshare "$0"
fi
bash "$VM2OCI_SOURCE_DIR/tests/integration/bundle/make-guest.sh" guest
root_uuid=11111111-2222-4333-8444-555555555555

# make_disk FILE: partitions 1 (/boot), 2 (/), 3 (/var) of the images that are there, and 4 (swap)
make_disk() {
    local disk=$1 number=0 start=2048 image
    truncate -s 400M "$disk"
    : > table
    for image in boot.img root.img var.img swap.img; do
        number=$((number + 1))
        [[ -e $image ]] || continue
        printf '%s : start=%s, size=%s, type=83\n' "$number" "$start" $(($(stat --format %s "$image") / 512)) >> table
        dd if="$image" of="$disk" bs=1M seek=$((start / 2048)) conv=notrunc,sparse status=none
        start=$((start + $(stat --format %s "$image") / 512))
    done
    sfdisk --quiet "$disk" < table
}
file_system() { # FILE SIZE FOLDER [OPTIONS]
    truncate -s "$2" "$1"
    mke2fs -q -F -t ext4 -d "$3" "${@:4}" "$1"
}
truncate -s 8M swap.img
mkswap -q swap.img

step 'one file system is sliced out'
mkdir whole
cp -a guest/root whole/root
cp -a guest/boot/. whole/root/boot/
cp -a guest/var/. whole/root/var/
printf '/dev/mapper/vg-root\t/\text4\terrors=remount-ro\t0\t1\n/dev/sda2 none swap sw 0 0\nnfs:/x /mnt nfs noauto 0 0\n' > whole/root/etc/fstab
file_system root.img 128M whole/root -U "$root_uuid" -L system
make_disk one.raw
"$VM2OCI" convert --json --as bundle raw:one.raw oci:layout:one > one.json
expect_equal slice "$(jq -r 'if .root.joined then "joined" else "slice" end' one.json)" 'the shape of the root'
expect_equal "root=UUID=$root_uuid ro net.ifnames=0 quiet console=tty0 console=ttyS0,115200 noresume" \
    "$(jq -r .command_line one.json)" 'the command line'
expect_equal 6.1.0-1-amd64 "$(jq -r .kernel.release one.json)" 'the release'
expect_match "mounts on '/mnt' from 'nfs:/x' is not part of the root" "$(jq -r '.remarks[]' one.json)" 'what is not there'
"$VM2OCI" verify oci:layout:one > /dev/null
"$VM2OCI" check oci:layout:one > check.txt || fail "$(cat check.txt)"
expect_match 'kernelBoot container: works' "$(cat check.txt)" 'the verdict'
"$VM2OCI" check --for firecracker,cloud-hypervisor oci:layout:one > /dev/null
expect_exit 4 "$VM2OCI" check --for krun oci:layout:one

step 'skopeo, umoci and podman read it'
expect_equal 1 "$(skopeo inspect --raw oci:layout:one | jq -r '.annotations["org.vm2oci.bundle.version"]')" 'the annotation'
# umoci of Debian 12 knows no zstd.
"$VM2OCI" convert --quiet --as bundle --compression gzip raw:one.raw oci:packed:one
umoci raw unpack --image packed:one unpacked > umoci.log 2>&1 || fail "$(cat umoci.log)"
storage=(--root "$scratch/storage" --runroot "$scratch/run" --storage-driver vfs)
image=$(podman "${storage[@]}" pull --quiet oci:layout:one 2> podman.log) || fail "$(cat podman.log)"
mounted=$(podman "${storage[@]}" image mount "$image")
for file in disk/rootfs.qcow2 boot/vmlinuz boot/initramfs; do
    expect_equal "444 107:107 regular file" "$(stat --format '%a %u:%g %F' "$mounted/$file")" "$file"
    cmp "$mounted/$file" "unpacked/$file"
done
expect_equal "rootfs.qcow2" "$(ls -A "$mounted/disk")" 'the only entry of /disk'
expect_equal $'boot\ndisk' "$(ls -A "$mounted")" 'the entries of /'
cmp "$mounted/boot/vmlinuz" guest/boot/vmlinuz-6.1.0-1-amd64
cmp "$mounted/boot/initramfs" guest/boot/initrd.img-6.1.0-1-amd64
qemu-img convert -O raw "$mounted/disk/rootfs.qcow2" sliced.img
podman "${storage[@]}" image unmount "$image" > /dev/null
e2fsck -fn sliced.img > e2fsck.log 2>&1 || fail "$(cat e2fsck.log)"
debugfs -R 'cat /etc/fstab' sliced.img 2> /dev/null > fstab
expect_match "^UUID=$root_uuid	/	ext4	errors=remount-ro	0	1
# not in this bundle: /dev/sda2 none swap sw 0 0
nfs:/x /mnt nfs noauto 0 0" "$(cat fstab)" 'fstab'
expect_match "root=UUID=$root_uuid ro net.ifnames=0 quiet" "$(debugfs -R 'cat /boot/grub/grub.cfg' sliced.img 2> /dev/null)" grub.cfg

step 'the same disk in another container is the same image'
qemu-img convert -O qcow2 one.raw one.qcow2
expect_equal "$(jq -r .digest one.json)" "$("$VM2OCI" convert --json --as bundle --threads 1 one.qcow2 null: | jq -r .digest)" digest

step 'files for micro-VMs'
"$VM2OCI" convert oci:layout:one files > files.txt
expect_equal "$(printf '\x7fELF\2\1\1' | xxd -p)" "$(head -c 7 files/vmlinux | xxd -p)" 'the head of the kernel'
expect_equal 68007 "$(stat --format %s files/vmlinux)" 'the size of the kernel'
cmp files/rootfs.img sliced.img
expect_equal "$(jq -r .command_line one.json) reboot=k panic=1 pci=off" "$(jq -r '."boot-source".boot_args' files/firecracker.json)" boot_args
expect_equal rootfs.img "$(jq -r '.disks[0].path' files/cloud-hypervisor.json)" 'the disk of Cloud Hypervisor'
expect_equal Raw "$(jq -r '.disks[0].image_type' files/cloud-hypervisor.json)" 'and its type, which is not left to guessing'
expect_exit 2 "$VM2OCI" convert oci:layout:one other.qcow2
# What is said of disks, and nothing here could obey.
for words in '--backing one.qcow2' '--extent 2=part.vmdk' '--data-file data.raw' '--ca authority.pem' '--disk other.raw' \
    '--key all:file:fstab' '--root-partition 3'; do
    # shellcheck disable=SC2086
    expect_exit 2 "$VM2OCI" convert $words oci:layout:one unheard
    [[ ! -e unheard ]] || fail "$words was passed over"
done
for words in '--backing one.qcow2' '--data-file one.raw' '--extent part.vmdk' '--backing 2=one.qcow2' '--root-partition 7'; do
    # shellcheck disable=SC2086
    expect_exit 2 "$VM2OCI" inspect $words oci:layout:one
done
"$VM2OCI" convert --quiet oci:layout:one raw:disk.img
cmp disk.img sliced.img

step 'several file systems are joined'
rm one.raw one.qcow2 root.img
printf 'UUID=%s / ext4 defaults 0 1\n/dev/sda1 /boot ext4 defaults 0 2\n/dev/sda3 /var ext4 defaults 0 2\n/dev/sda4 none swap sw 0 0\nLABEL=archive /srv/archive xfs nofail 0 2\n' \
    "$root_uuid" > guest/root/etc/fstab
file_system boot.img 32M guest/boot
file_system root.img 96M guest/root -U "$root_uuid" -L system
file_system var.img 32M guest/var
make_disk several.raw
"$VM2OCI" convert --json --as bundle raw:several.raw oci:layout:several > several.json
expect_equal '/, /boot, /var' "$(jq -r .root.from several.json)" 'what was joined'
expect_equal "$(jq -r .digest several.json)" "$("$VM2OCI" convert --json --as bundle --threads 1 raw:several.raw null: | jq -r .digest)" digest
"$VM2OCI" convert oci:layout:several joined > /dev/null
e2fsck -fn joined/rootfs.img > e2fsck.log 2>&1 || fail "$(cat e2fsck.log)"
expect_match "$root_uuid" "$(dumpe2fs -h joined/rootfs.img 2> /dev/null)" 'the UUID of the joined root'
mkdir seen
debugfs -R 'rdump / seen' joined/rootfs.img > /dev/null 2>&1
cp -a guest/boot/. guest/root/boot/
cp -a guest/var/. guest/root/var/
rm -r seen/lost+found guest/root/lost+found
mv seen/etc/fstab fstab
mv guest/root/etc/fstab fstab.before
rm seen/boot/grub/grub.cfg guest/root/boot/grub/grub.cfg
expect_same_tree guest/root seen
expect_equal "UUID=$root_uuid / ext4 defaults 0 1" "$(head -1 fstab)" 'the first line of fstab'
expect_equal 3 "$(grep -c '^# not in this bundle: /dev/sda' fstab)" 'lines of fstab that were left out'

step 'our own kernel, where it is installed and where it is not'
install -D "$VM2OCI" prefix/bin/vm2oci
expect_exit 1 prefix/bin/vm2oci convert --as bundle --kernel minimal raw:several.raw null:
expect_match 'cmake --build --preset release --target guest-kernel' "$(cat stderr)" 'what to do about it'
other=arm64
[[ $(uname -m) == x86_64 ]] || other=amd64
expect_exit 1 prefix/bin/vm2oci convert --as bundle --kernel minimal --arch "$other" raw:several.raw null:
expect_match "guest-kernel/build.sh makes it, told ${other/amd64/x86_64} as" "$(cat stderr)" 'what to do about another machine'
expect_equal 0 "$(grep -c 'cmake --build' stderr)" "hints that make this machine's kernel"
own=prefix/share/vm2oci/guest-kernel/$(uname -m)
mkdir -p "$own/lib/modules/6.1.0-vm2oci"
cp guest/boot/vmlinuz-6.1.0-1-amd64 "$own/vmlinuz"
printf 'kernel/fs/ext4/ext4.ko\n' > "$own/lib/modules/6.1.0-vm2oci/modules.builtin"
prefix/bin/vm2oci convert --json --as bundle --kernel minimal raw:several.raw oci:layout:own > own.json
expect_equal minimal "$(jq -r .kernel.origin own.json)" 'whose kernel it is'
expect_equal null "$(jq -r .initramfs own.json)" 'the initramfs'
expect_match "^root=/dev/vda rootfstype=ext4 " "$(jq -r .command_line own.json)" 'the command line'
"$VM2OCI" convert oci:layout:own own > /dev/null
expect_equal 'kernel/fs/ext4/ext4.ko' \
    "$(debugfs -R 'cat /usr/lib/modules/6.1.0-vm2oci/modules.builtin' own/rootfs.img 2> /dev/null)" 'what is built in'

step 'what krun starts'
cp "${VM2OCI%/*/*/*}/share/vm2oci/vm2oci-agent" prefix/share/vm2oci/
prefix/bin/vm2oci convert --quiet --as bundle --kernel minimal --krun --compression gzip raw:several.raw oci:layout:krun
umoci raw unpack --image layout:krun container > umoci.log 2>&1 || fail "$(cat umoci.log)"
expect_equal $'.krun_vm.json\nboot\ndisk' "$(ls -A container)" 'the entries of /'
expect_equal rootfs.img "$(ls -A container/disk)" 'the only entry of /disk'
expect_equal "$(printf '\x7fELF\2\1\1' | xxd -p)" "$(head -c 7 container/boot/vmlinux | xxd -p)" 'the head of the kernel'
expect_equal '/boot/vmlinux 1 /boot/initramfs' \
    "$(jq -r '"\(.kernel_path) \(.kernel_format) \(.initrd_path)"' container/.krun_vm.json)" 'what is started'
expect_match '^root=/dev/root rootfstype=virtiofs vm2oci.file=/disk/rootfs.img .* console=hvc0 reboot=k panic=-1$' \
    "$(jq -r .kernel_cmdline container/.krun_vm.json)" 'the command line'
expect_exit 3 "$VM2OCI" convert --as bundle --krun raw:several.raw null:
expect_match 'take --kernel minimal' "$(cat stderr)" 'what to do about it'
chmod -R u+w container && rm -r container

step 'a read-only root'
"$VM2OCI" convert --json --as bundle --root erofs --kernel guest/boot/vmlinuz-6.1.0-1-amd64 raw:several.raw oci:layout:erofs > erofs.json
expect_match '^root=/dev/vda rootfstype=erofs ro ' "$(jq -r .command_line erofs.json)" 'the command line'
"$VM2OCI" convert oci:layout:erofs read-only > /dev/null
fsck.erofs read-only/rootfs.erofs > fsck.log 2>&1 || fail "$(cat fsck.log)"
expect_match 'init' "$(cpio --list --quiet < read-only/initramfs)" 'the initramfs'
expect_equal true "$(jq -r '.drives[0].is_read_only' read-only/firecracker.json)" 'the drive'
expect_exit 3 "$VM2OCI" convert --as bundle --root erofs raw:several.raw null:

step 'a read-only root that proves itself'
make_proven() {
    "$VM2OCI" convert --json --as bundle --root erofs --verity --kernel guest/boot/vmlinuz-6.1.0-1-amd64 raw:several.raw "$1"
}
make_proven oci:layout:proven > proven.json
"$VM2OCI" convert oci:layout:proven proven > /dev/null
hash=$(jq -r .root.verity.root_hash proven.json)
place=$(jq -r .root.verity.superblock_at proven.json)
veritysetup verify proven/rootfs.erofs proven/rootfs.erofs "$hash" --hash-offset="$place" || fail 'the tree does not hold'
cmp --bytes="$(stat --format %s read-only/rootfs.erofs)" proven/rootfs.erofs read-only/rootfs.erofs
fsck.erofs proven/rootfs.erofs > fsck.log 2>&1 || fail "$(cat fsck.log)"
# The words of the command line, as veritysetup would make them a table.
veritysetup dump proven/rootfs.erofs --hash-offset="$place" > dump.txt
salt=$(sed -n 's/^Salt:[[:space:]]*//p' dump.txt)
blocks=$((place / 4096))
expect_match "^dm-mod.create=\"vm2oci-root,,,ro,0 $((blocks * 8)) verity 1 /dev/vda /dev/vda 4096 4096 $blocks $((blocks + 1)) sha256 $hash $salt 1 panic_on_corruption\" root=/dev/dm-0 rootfstype=erofs ro " \
    "$(jq -r .command_line proven.json)" 'the command line'
expect_equal "$hash $hash" \
    "$(skopeo inspect --raw oci:layout:proven | jq -r '.annotations["org.vm2oci.bundle.root.verity.hash"]') $(skopeo inspect oci:layout:proven | jq -r '.Labels["org.vm2oci.bundle.root.verity.hash"]')" \
    'annotation and label'
expect_match 'dm-mod.create=' "$(jq -r '."boot-source".boot_args' proven/firecracker.json)" "Firecracker's arguments"
expect_equal "$(jq -r .digest proven.json)" "$(make_proven null: | jq -r .digest)" 'the digest of a second conversion'
printf 'x' | dd of=proven/rootfs.erofs bs=1 seek=$((place / 2)) conv=notrunc status=none
if veritysetup verify proven/rootfs.erofs proven/rootfs.erofs "$hash" --hash-offset="$place" 2> /dev/null; then
    fail 'the tree holds for another root'
fi
expect_exit 2 "$VM2OCI" convert --as bundle --verity raw:several.raw null:
expect_match 'take --root erofs' "$(cat stderr)" 'what to do about it'

step 'a guest image for Kata'
printf 'agent' > kata-agent
"$VM2OCI" convert --as kata --agent kata-agent=kata-agent raw:several.raw kata > kata.txt
expect_match "mounts on '/srv/archive' from 'LABEL=archive' is not part of the root" "$(cat kata.txt)" 'what is not there'
expect_equal 0 $(($(stat --format %s kata/kata-containers.img) % (128 << 20))) 'the alignment of the image'
expect_match 'start= *6144, .*type=83' "$(sfdisk --dump kata/kata-containers.img)" 'the partition'
expect_equal NVDIMM_PFN_INFO "$(dd if=kata/kata-containers.img bs=1 skip=4096 count=15 status=none)" 'the DAX header'
dd if=kata/kata-containers.img of=second.img bs=1M skip=2 count=2 status=none
expect_match 'start= *2048, .*type=83' "$(sfdisk --dump second.img)" 'the partition behind the DAX header'
dd if=kata/kata-containers.img of=kata-root.img bs=1M skip=3 status=none
e2fsck -fn kata-root.img > e2fsck.log 2>&1 || fail "$(cat e2fsck.log)"
expect_equal agent "$(debugfs -R 'cat /usr/bin/kata-agent' kata-root.img 2> /dev/null)" 'the agent'
gzip -dc kata/kata-containers-initrd.img | cpio --list --quiet > initrd.txt
for file in init usr/bin/kata-agent etc/systemd/system/kata-containers.target; do
    grep -qx "$file" initrd.txt || fail "the initrd holds no $file"
done
expect_match "image = \"$scratch/kata/kata-containers.img\"" "$(cat kata/50-vm2oci.toml)" 'the configuration'
expect_exit 2 "$VM2OCI" convert --as kata raw:several.raw kata2

step 'a guest image for Kata that proves itself'
for root in qcow2 erofs; do
    "$VM2OCI" convert --as kata --agent kata-agent=kata-agent --root "$root" --verity raw:several.raw "kata-$root" > kata.txt
    image=kata-$root/kata-containers.img
    expect_equal 0 $(($(stat --format %s "$image") % (128 << 20))) 'the alignment of the image'
    read -r root_at root_size tree_at tree_size < <(sfdisk --json "$image" |
        jq -r '[.partitiontable.partitions[] | .start, .size] | join(" ")')
    expect_equal 6144 "$root_at" 'where the root lies'
    expect_equal $((root_at + root_size)) "$tree_at" 'where its tree lies'
    parameters=$(sed -n 's/^kernel_verity_params = "\(.*\)"$/\1/p' "kata-$root/50-vm2oci.toml")
    declare -A verity=()
    while IFS='=' read -r name value; do verity[$name]=$value; done < <(tr , '\n' <<< "$parameters")
    dd if="$image" of=part1.img bs=512 skip="$root_at" count="$root_size" status=none
    dd if="$image" of=part2.img bs=512 skip="$tree_at" count="$tree_size" status=none
    veritysetup verify --no-superblock --salt="${verity[salt]}" --data-blocks="${verity[data_blocks]}" \
        --data-block-size="${verity[data_block_size]}" --hash-block-size="${verity[hash_block_size]}" \
        part1.img part2.img "${verity[root_hash]}" || fail "the tree of Kata's image does not hold"
done
