#!/usr/bin/env bash
# A container image as Kata's guest image: its tree with the user's agent and what a sandbox mounts things on, in an ext4
# and an EROFS, with and without a proof, and as an initrd; and what a pod of the image needs.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
source "$VM2OCI_SOURCE_DIR/tests/support/container_images.sh"
require_tool umoci jq busybox gcc sfdisk debugfs e2fsck fsck.erofs veritysetup cpio python3

make_busybox_image images app
mkdir -p layer/var/lib/dpkg/status.d
printf 'Package: tool\nVersion: 2.1\nArchitecture: amd64\n' > layer/var/lib/dpkg/status.d/tool
umoci insert --rootless --image images:app layer/var /var > umoci.log 2>&1 || fail "$(cat umoci.log)"
printf 'int main(void) { return 0; }\n' > agent.c
gcc -O1 -static -o agent agent.c
gcc -O1 -o linked agent.c

step 'twice the same files'
for name in first second; do
    "$VM2OCI" convert --quiet --as kata --agent kata-agent=agent --sbom "$name.json" oci:images:app "$name" > /dev/null
done
cmp first/kata-containers.img second/kata-containers.img
cmp first/kata-containers-initrd.img second/kata-containers-initrd.img
cmp first.json second.json
expect_equal 2.1 "$(jq -r '.packages[] | select(.name == "tool").versionInfo' first.json)" 'the package'
expect_equal "image = \"$PWD/first/kata-containers.img\"" "$(grep '^image' first/50-vm2oci.toml)" 'the drop-in'

step 'the image: its partition, and a sound file system with the agent'
expect_equal 0 $(($(stat --format %s first/kata-containers.img) % (128 << 20))) 'the alignment of the image'
dd if=first/kata-containers.img of=root.img bs=1M skip=3 conv=sparse status=none
e2fsck -fn root.img > e2fsck.log 2>&1 || fail "$(cat e2fsck.log)"
debugfs -R 'dump /sbin/init found' root.img 2> /dev/null
cmp agent found
debugfs -R 'dump /bin/busybox found' root.img 2> /dev/null
cmp "$(command -v busybox)" found
# Nothing can be mounted on the link that the image has.
expect_match 'Type: regular' "$(debugfs -R 'stat /etc/resolv.conf' root.img 2> /dev/null)" 'what resolv.conf is'
for folder in proc sys dev run tmp; do
    expect_match 'Type: directory' "$(debugfs -R "stat /$folder" root.img 2> /dev/null)" "/$folder"
done

step 'the initrd: the same tree, and what the kernel starts'
mkdir initrd
gzip -dc first/kata-containers-initrd.img | (cd initrd && cpio --extract --quiet --no-preserve-owner)
cmp agent initrd/sbin/init
expect_equal /sbin/init "$(readlink initrd/init)" 'the init'
umoci raw unpack --rootless --image images:app tree > umoci.log 2>&1 || fail "$(cat umoci.log)"
find tree -mindepth 1 -printf '%P %y %#m\n' | sort > expected.txt
find initrd -mindepth 1 -printf '%P %y %#m\n' | sort > seen.txt
comm -23 expected.txt seen.txt > lost.txt
expect_equal "$(printf 'etc/resolv.conf l 0777')" "$(cat lost.txt)" 'what of the image is not there as it was'

step 'an EROFS that proves itself'
"$VM2OCI" convert --quiet --as kata --agent kata-agent=agent --root erofs --verity oci:images:app proven > /dev/null
read -r root_at root_size tree_at tree_size < <(sfdisk --json proven/kata-containers.img |
    jq -r '[.partitiontable.partitions[] | .start, .size] | join(" ")')
declare -A verity=()
while IFS='=' read -r name value; do
    verity[$name]=$value
done < <(sed -n 's/^kernel_verity_params = "\(.*\)"$/\1/p' proven/50-vm2oci.toml | tr , '\n')
dd if=proven/kata-containers.img of=part1.img bs=512 skip="$root_at" count="$root_size" status=none
dd if=proven/kata-containers.img of=part2.img bs=512 skip="$tree_at" count="$tree_size" status=none
fsck.erofs part1.img > fsck.log 2>&1 || fail "$(cat fsck.log)"
veritysetup verify --no-superblock --salt="${verity[salt]}" --data-blocks="${verity[data_blocks]}" \
    --data-block-size="${verity[data_block_size]}" --hash-block-size="${verity[hash_block_size]}" \
    part1.img part2.img "${verity[root_hash]}" || fail 'the tree does not hold'

step 'what does not go together is refused, and leaves nothing'
expect_exit 3 "$VM2OCI" convert --quiet --as kata --agent kata-agent=linked oci:images:app no
expect_match 'linked statically' "$(cat stderr)" 'what to do about it'
expect_exit 2 "$VM2OCI" convert --quiet --as kata --agent kata-agent=agent --hostname web oci:images:app no
expect_exit 2 "$VM2OCI" convert --quiet --as kata oci:images:app no
[[ ! -e no ]] || fail 'something is left'

step 'a pod of the image itself: its own program, in a micro-VM'
"$VM2OCI" check --for kata oci:images:app > /dev/null
"$VM2OCI" manifest --quiet --for kata oci:images:app > kata.yaml
python3 -c 'import yaml
runtime, pod = yaml.safe_load_all(open("kata.yaml"))
assert runtime["handler"] == pod["spec"]["runtimeClassName"] == runtime["metadata"]["name"]
assert runtime["overhead"]["podFixed"]["memory"] == "160Mi"
container = pod["spec"]["containers"][0]
assert "command" not in container and "@sha256:" in container["image"], container'
