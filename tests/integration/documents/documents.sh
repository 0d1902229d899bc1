#!/usr/bin/env bash
# What --json prints is a contract: each command's document fits its schema, as it is installed, and is what it was.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool mke2fs sfdisk python3 qemu-img jq
golden=$VM2OCI_SOURCE_DIR/tests/integration/documents/golden
schemas=$VM2OCI_SOURCE_DIR/tools/schema
check=$VM2OCI_SOURCE_DIR/tests/support/check_document.py

# document EXIT-CODE SCHEMA NAME ARGUMENT…: the command's document against its schema, and against golden/NAME.json.
checked=()
document() {
    local expected=$1 schema=$2 name=$3 status=0
    shift 3
    "$VM2OCI" --json --progress none "$@" > "$name.json" 2> "$name.stderr" || status=$?
    expect_equal "$expected" "$status" "exit code of $*: $(cat "$name.stderr")"
    python3 "$check" "$schemas/$schema.json" "$golden/$name.json" < "$name.json" || fail "the document of $*"
    checked+=("$schema")
}

step "a guest that is the same everywhere"
mkdir -p tree/{bin,sbin,usr/bin,lib/modules,root,home}
mkdir -p tree/etc/{systemd/network,cloud,ssh}
printf 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n' > tree/etc/os-release
printf 'web01\n' > tree/etc/hostname
printf 'root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n' > tree/etc/passwd
printf 'root:*:19000::::::\nada:x:19000::::::\n' > tree/etc/shadow
printf 'UUID=11111111-2222-3333-4444-555555555555 / ext4 defaults 0 1\n/dev/sdb1 /data xfs nofail 0 2\n' > tree/etc/fstab
printf '[Match]\nName=ens192\n[Network]\nDHCP=yes\n' > tree/etc/systemd/network/20-wired.network
find tree -exec touch --no-dereference --date=@1700000000 {} +
E2FSPROGS_FAKE_TIME=1700000000 mke2fs -q -t ext4 -d tree -L root -U 11111111-2222-3333-4444-555555555555 \
    -E hash_seed=11111111-2222-3333-4444-555555555555,root_owner=0:0 root.img 30M
truncate --size 32M disk.raw
printf 'label: gpt\nlabel-id: AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE\nstart=2048, size=61440, type=linux, name="root", uuid=12345678-1234-1234-1234-123456789ABC\n' |
    sfdisk --quiet disk.raw
dd if=root.img of=disk.raw bs=1M seek=1 conv=notrunc status=none
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2

step "inspect"
document 0 inspect inspect-disk inspect raw:disk.raw
truncate --size 1M empty.raw
document 0 inspect inspect-empty inspect raw:empty.raw
head -c 700000 disk.qcow2 > cut.qcow2
document 3 inspect inspect-refused inspect qcow2:cut.qcow2

step "convert and inject"
document 0 convert convert-containerdisk convert --compression none raw:disk.raw oci:images:web
document 0 convert convert-disk convert disk.raw raw:copy.raw
document 0 convert convert-rootfs convert --as rootfs --arch amd64 --compression none raw:disk.raw oci:images:files
document 0 convert convert-plan convert --dry-run --hostname web02 raw:disk.raw null:
document 0 convert convert-edited convert --hostname web02 --fix=network --created 0 raw:disk.raw raw:edited.raw
document 0 inject inject inject --hostname web03 --created 0 raw:disk.raw raw:injected.raw
document 0 inject inject-plan inject --dry-run --hostname web03 raw:disk.raw

step "images"
document 0 inspect inspect-image inspect oci:images:web
document 0 inspect inspect-image-without-disk inspect oci:images:files
document 0 verify verify verify oci:images:web
document 0 check check check --for kubevirt,cdi oci:images:web
document 4 check check-fails check --for kubevirt oci:images:files
start_registry
document 0 copy push push oci:images:web "docker://$registry/vms/web:1"
document 0 copy push-all-tags push --all-tags oci:images "docker://$registry/vms/all"
document 0 copy pull pull "docker://$registry/vms/web:1" oci:copies:web
document 0 index index index create oci:joined:web oci:images:web
document 0 manifest manifest manifest --image registry.example/web:1 oci:images:web

step "pruning"
"$VM2OCI" convert --quiet --compression none raw:disk.raw oci:pruned:web > /dev/null
"$VM2OCI" convert --quiet --compression none raw:empty.raw oci:pruned:web > /dev/null
document 0 prune prune prune --older-than 0s oci:pruned

step "batches"
printf 'raw:disk.raw oci:batch:web --compression none\nqcow2:cut.qcow2 oci:batch:cut\n' > list.txt
document 3 batch batch batch --keep-going list.txt
document 0 batch-plan batch-plan batch --dry-run --jobs 2 --threads 2 --memory 1G list.txt

step "errors"
document 1 error error-absent convert raw:no-such.raw null:
document 3 error error-hint convert qcow2:cut.qcow2 null:
document 2 error error-usage convert --compression lz4 raw:disk.raw null:

step "the probe of KVM has a schema, too, whatever it says here"
"$VM2OCI" --json boot --probe > probe.json
VM2OCI_ACCEPT=1 python3 "$check" "$schemas/probe.json" probe.golden < probe.json || fail "the probe's document"
checked+=(probe boot)

step "every schema was used, and a fault is found"
for schema in "$schemas"/*.json; do
    name=$(basename "$schema" .json)
    [[ " ${checked[*]} " == *" $name "* ]] || fail "no document was held against $name"
done
jq '.whole = "yes"' verify.json | VM2OCI_ACCEPT=1 python3 "$check" "$schemas/verify.json" nothing.json 2> /dev/null &&
    fail "a wrong type is not found"
jq '.extra = 1' verify.json | VM2OCI_ACCEPT=1 python3 "$check" "$schemas/verify.json" nothing.json 2> /dev/null &&
    fail "a member that nobody named is not found"
jq 'del(.schema_version)' verify.json | VM2OCI_ACCEPT=1 python3 "$check" "$schemas/verify.json" nothing.json 2> /dev/null &&
    fail "a missing version is not found"
true
