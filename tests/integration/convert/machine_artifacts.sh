#!/usr/bin/env bash
# Whole machines as artifacts: KubeVirt's, podman machine's and RancherVM's, read by other people's tools and by ours.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq zstd skopeo umoci mke2fs sfdisk tar python3

mkdir -p root/{etc,var,bin,sbin,usr,lib} data/lib/dpkg
printf 'ID=debian\nVERSION_ID=12\nPRETTY_NAME="Debian of two disks"\n' > root/etc/os-release
printf 'LABEL=system / ext4 defaults 0 1\nLABEL=data /var ext4 defaults 0 2\n' > root/etc/fstab
echo web01 > root/etc/hostname
printf 'Package: split\nStatus: install ok installed\nVersion: 7.5\nArchitecture: amd64\n\n' > data/lib/dpkg/status
make_disk() { # FILE CONTENT LABEL
    mke2fs -q -q -t ext4 -L "$3" -d "$2" "$3.fs" 12M
    truncate --size 16M "$1"
    printf 'label: dos\nstart=2048, type=83\n' | sfdisk --quiet "$1"
    dd if="$3.fs" of="$1" bs=1M seek=1 conv=notrunc status=none
}
make_disk first.raw root system
make_disk second.raw data data

blob() { echo "$1/blobs/${2/://}"; }
manifest_of() { blob "$1" "$(jq -r '.manifests[0].digest' "$1/index.json")"; }

step 'a machine of two disks: index, manifest, config and disks as KubeVirt writes them'
"$VM2OCI" convert --quiet --as vm first.raw --disk second.raw oci:layout:web > /dev/null
manifest=$(manifest_of layout)
expect_equal application/vnd.kubevirt.virtualmachine.v1 "$(jq -r .artifactType layout/index.json)" 'the type in index.json'
expect_equal null "$(jq -r '.manifests[0].artifactType' layout/index.json)" 'the type in its entry'
expect_equal 1970-01-01T00:00:00Z "$(jq -r '.annotations."org.opencontainers.image.created"' layout/index.json)" 'when it was made'
expect_equal linux/amd64 "$(jq -r '.manifests[0].platform | .os + "/" + .architecture' layout/index.json)" 'the platform'
expect_equal application/vnd.kubevirt.virtualmachine.v1 "$(jq -r .artifactType "$manifest")" 'the type in the manifest'
expect_equal application/vnd.kubevirt.virtualmachine.config.v1+json "$(jq -r .config.mediaType "$manifest")" 'the config'
config=$(blob layout "$(jq -r .config.digest "$manifest")")
expect_equal "$(jq -r '[.layers[].annotations."io.kubevirt.disk.name"] | join(" ")' "$manifest")" \
    "$(jq -r '[.spec.template.spec.volumes[].persistentVolumeClaim.claimName] | join(" ")' "$config")" 'names and claims'
expect_equal '16Mi 16Mi' "$(jq -r '[.layers[].annotations."io.kubevirt.disk.size"] | join(" ")' "$manifest")" 'sizes'
expect_equal web01 "$(jq -r .metadata.name "$config")" 'the name of the machine'
disks=(first.raw second.raw)
for i in 0 1; do
    zstd --quiet --decompress --stdout "$(blob layout "$(jq -r ".layers[$i].digest" "$manifest")")" | cmp - "${disks[i]}"
done
"$VM2OCI" check oci:layout:web > /dev/null
"$VM2OCI" verify --quiet oci:layout:web > /dev/null

step 'the same bytes again, in an archive too, whose first manifest is the artifact'
"$VM2OCI" convert --quiet --as vm first.raw --disk second.raw oci-archive:web.tar > /dev/null
mkdir unpacked && tar --extract --file web.tar --directory unpacked
cmp "$manifest" "$(manifest_of unpacked)"

step 'the time that is asked for is in the index, and not in what has a digest'
"$VM2OCI" convert --quiet --as vm --created 2026-01-31T12:00:00Z first.raw --disk second.raw oci:dated:web > /dev/null
expect_equal 2026-01-31T12:00:00Z "$(jq -r '.annotations."org.opencontainers.image.created"' dated/index.json)" 'the time'
cmp "$manifest" "$(manifest_of dated)"

step 'skopeo copies it, and what comes back is read the same'
skopeo copy --quiet oci:layout:web oci:copied:web
cmp "$manifest" "$(manifest_of copied)"
"$VM2OCI" inspect --json oci:copied:web > seen.json
expect_equal 'Debian of two disks' "$(jq -r '.. | objects | .product? // empty' seen.json | head -1)" 'the guest'
expect_equal 1 "$(jq -r '[.. | objects | .packages? | objects | .count] | first' seen.json)" 'packages, which lie on the second disk'
expect_equal KubeVirt "$(jq -r .machine.source seen.json)" 'the hardware'

step 'as a source: containerDisks, another artifact, plain files'
"$VM2OCI" convert --quiet oci:copied:web oci:back:web > /dev/null
"$VM2OCI" convert --quiet first.raw --disk second.raw oci:direct:web > /dev/null
layers() { for tag in web web-disk2; do "$VM2OCI" inspect --json "oci:$1:$tag" | jq -r '.image.layers[].digest'; done; }
expect_equal "$(layers direct)" "$(layers back)" 'the layers of both disks'
"$VM2OCI" convert --quiet --as vm oci:copied:web oci:again:web > /dev/null
cmp "$manifest" "$(manifest_of again)"
"$VM2OCI" manifest --quiet --for libvirt oci:copied:web | grep --quiet 'target dev="vdb"'
expect_exit 3 "$VM2OCI" manifest --quiet oci:copied:web

step 'one single frame, as the exporter writes it, is read as well'
mkdir -p foreign/blobs/sha256
cp layout/oci-layout foreign
put() { local digest; digest=$(sha256sum "$1" | cut -d ' ' -f 1) && cp "$1" "foreign/blobs/sha256/$digest" && echo "$digest $(stat --format %s "$1")"; }
zstd --quiet -3 first.raw -o one.zst
read -r disk_digest disk_size < <(put one.zst)
jq -c '.spec.template.spec.volumes |= [.[0]]' "$config" > one.json
read -r config_digest config_size < <(put one.json)
jq -c --arg d "sha256:$disk_digest" --argjson s "$disk_size" --arg c "sha256:$config_digest" --argjson t "$config_size" \
    '.layers |= [.[0] + {digest: $d, size: $s}] | .config += {digest: $c, size: $t}' "$manifest" > manifest.json
read -r manifest_digest manifest_size < <(put manifest.json)
jq -c --arg d "sha256:$manifest_digest" --argjson s "$manifest_size" '.manifests |= [.[0] + {digest: $d, size: $s}]' \
    layout/index.json > foreign/index.json
"$VM2OCI" convert --quiet oci:foreign raw:foreign.raw > /dev/null
cmp first.raw foreign.raw
"$VM2OCI" check oci:foreign > /dev/null

step 'a disk under a digest that is not its own is refused'
printf x | dd of="foreign/blobs/sha256/$disk_digest" bs=1 seek=200 conv=notrunc status=none
expect_exit 3 "$VM2OCI" convert --quiet oci:foreign raw:bad.raw
[[ ! -e bad.raw ]]

step 'podman machine: an index with its kind of disk, and the file by its title'
"$VM2OCI" convert --quiet --as podman-machine first.raw oci:podman:pm > /dev/null
index=$(manifest_of podman)
expect_equal 'qemu linux/x86_64' "$(jq -r '.manifests[0] | .annotations.disktype + " " + .platform.os + "/" + .platform.architecture' "$index")" 'the entry'
entry=$(blob podman "$(jq -r '.manifests[0].digest' "$index")")
expect_equal web01.qcow2.zst "$(jq -r '.layers[0].annotations."org.opencontainers.image.title"' "$entry")" 'the title'
zstd --quiet --decompress "$(blob podman "$(jq -r '.layers[0].digest' "$entry")")" -o pm.qcow2
qemu-img compare -q -f raw first.raw pm.qcow2
"$VM2OCI" check oci:podman:pm > /dev/null
skopeo copy --quiet --all oci:podman:pm oci:podman2:pm
"$VM2OCI" convert --quiet oci:podman2:pm raw:pm.raw > /dev/null
cmp first.raw pm.raw
"$VM2OCI" convert --quiet --as podman-machine --disk-format raw --compression gzip first.raw oci:podman3:pm > /dev/null
expect_equal applehv "$(jq -r '.manifests[0].annotations.disktype' "$(manifest_of podman3)")" 'a raw disk'

step 'RancherVM: one file in /base_image'
"$VM2OCI" convert --quiet --as rancher --compression gzip first.raw oci:rancher:vm > /dev/null
umoci raw unpack --image rancher:vm rancher-files > umoci.log 2>&1 || fail "$(cat umoci.log)"
qemu-img compare -q -f raw first.raw rancher-files/base_image/disk.qcow2
"$VM2OCI" check oci:rancher:vm > /dev/null
expect_exit 4 "$VM2OCI" check --for rancher-vm oci:direct:web

step 'runV: a container image with the kernel and the initrd that it looks for'
printf 'an initrd of hyperstart' > hyper-initrd.img
cp /boot/vmlinuz-"$(find /lib/modules -maxdepth 1 -mindepth 1 -printf '%f\n' | sort -V | while read -r v; do [[ ! -e /boot/vmlinuz-$v ]] || echo "$v"; done | tail -1)" kernel
"$VM2OCI" convert --quiet --as runv --arch amd64 --initrd hyper-initrd.img --kernel kernel --compression gzip \
    first.raw --disk second.raw oci:runv:vm > /dev/null
umoci raw unpack --image runv:vm runv-files > umoci.log 2>&1 || fail "$(cat umoci.log)"
cmp kernel runv-files/boot/vmlinuz
cmp hyper-initrd.img runv-files/boot/initrd.img
[[ -s runv-files/var/lib/dpkg/status ]] || fail 'the guest is not in it'
"$VM2OCI" check oci:runv:vm > /dev/null
"$VM2OCI" convert --quiet --as runv --arch amd64 --initrd hyper-initrd.img --kernel kernel --compression gzip \
    first.raw --disk second.raw oci:runv2:vm > /dev/null
cmp "$(manifest_of runv)" "$(manifest_of runv2)"
expect_exit 2 "$VM2OCI" convert --quiet --as runv first.raw null:
expect_exit 2 "$VM2OCI" convert --quiet --as runv --initrd hyper-initrd.img --kernel guest first.raw null:
expect_exit 3 "$VM2OCI" convert --quiet --as runv --arch amd64 --initrd hyper-initrd.img --kernel hyper-initrd.img first.raw null:

step 'Virtlet: a qcow2 for a web server, and what names it in the cluster'
"$VM2OCI" convert --quiet --as virtlet --sparsify first.raw files > /dev/null
qemu-img check -q files/web01.qcow2
"$VM2OCI" convert --quiet files/web01.qcow2 raw:virtlet.raw > /dev/null
expect_equal 'Debian of two disks' "$("$VM2OCI" inspect --json files/web01.qcow2 | jq -r .inside.guest.os.product)" 'the guest'
python3 - << 'PYTHON'
import yaml
mapping, pod = yaml.safe_load_all(open("files/web01.yaml"))
rule = mapping["spec"]["translations"][0]
assert pod["spec"]["containers"][0]["image"] == "virtlet.cloud/" + rule["name"], pod
assert rule["url"].startswith("https://") and rule["url"].endswith("/web01.qcow2"), rule
assert all(isinstance(value, str) for value in pod["metadata"]["annotations"].values()), pod
PYTHON
expect_exit 2 "$VM2OCI" convert --quiet --as virtlet first.raw oci:no:vm
expect_exit 3 "$VM2OCI" convert --quiet --as virtlet first.raw --disk second.raw files
expect_exit 4 "$VM2OCI" check --for virtlet oci:rancher:vm

step 'options that a kind has no use for are refused by name'
expect_exit 2 "$VM2OCI" convert --quiet --as vm --label a=b first.raw null:
expect_exit 2 "$VM2OCI" convert --quiet --as vm --compression gzip first.raw null:
expect_exit 2 "$VM2OCI" convert --quiet --as podman-machine --instancetype u1.small first.raw null:

step 'the same machine twice is the same artifact, in every shape'
for kind in vm podman-machine rancher; do
    for time in once again; do "$VM2OCI" convert --quiet --as $kind first.raw "oci:$time-$kind:m" > /dev/null; done
    expect_equal "$(skopeo inspect --raw "oci:once-$kind:m" | sha256sum)" "$(skopeo inspect --raw "oci:again-$kind:m" | sha256sum)" "$kind"
done
for time in once again; do "$VM2OCI" convert --quiet --as virtlet first.raw $time-virtlet > /dev/null; done
diff -r once-virtlet again-virtlet > differing || fail "virtlet: $(head -3 differing)"
