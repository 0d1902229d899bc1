#!/usr/bin/env bash
# LUKS as cryptsetup and QEMU write it, in partitions of disks with sectors of 512 and 4096 bytes: every byte is what QEMU
# reads or what was encrypted; a guest in it is inspected, exported and trimmed, and no other program is started.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool cryptsetup qemu-img python3 strace mke2fs debugfs jq
mkdir -p root/{etc,bin,sbin,usr,home,var/lib/dpkg}
printf 'Package: base\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\n' > root/var/lib/dpkg/status
printf 'ID=debian\nNAME=Debian\nPRETTY_NAME="Test Linux 1"\nVERSION_ID="12"\n' > root/etc/os-release
printf 'root:x:0:0::/root:/bin/sh\n' > root/etc/passwd
printf 'crypt UUID=44444444-0000-4000-8000-000000000001 none luks\n' > root/etc/crypttab
printf '/dev/mapper/crypt / ext4 defaults 0 1\n' > root/etc/fstab
head -c 3000000 /dev/urandom > root/usr/blob
mke2fs -q -t ext4 -b 4096 -U 55555555-0000-4000-8000-000000000001 -d root fs.raw 40M
printf 'a passphrase' > secret
printf 'a passphrase\nand more\n' > key
printf 'another one\n' > wrong

# QEMU measures its own speed first, and gives up where the machine is busy.
encrypt_by_qemu() {
    local attempt
    for attempt in {1..30}; do
        qemu-img convert --object secret,id=s,file=secret -O luks -o "key-secret=s,iter-time=10,$2" fs.raw "$1" \
            2> stderr && return
        sleep 0.2
    done
    fail "attempt $attempt: $(< stderr)"
}

step 'LUKS1 of QEMU, in each form that is read'
for form in aes-256,xts,plain64,sha256 aes-128,xts,plain,sha1 aes-128,cbc,essiv,sha512 aes-256,cbc,plain64,ripemd160; do
    IFS=, read -r cipher mode numbers hash <<< "$form"
    options=cipher-alg=$cipher,cipher-mode=$mode,ivgen-alg=$numbers,hash-alg=$hash
    [[ $numbers != essiv ]] || options+=,ivgen-hash-alg=sha256
    encrypt_by_qemu made.raw "$options"
    qemu-img convert --object secret,id=s,file=secret -O raw \
        --image-opts driver=luks,key-secret=s,file.filename=made.raw theirs.raw
    expect_equal "$(sha256sum < theirs.raw | cut -d ' ' -f 1)" \
        "$("${VOLUME_SUMS:?}" --key key made.raw | awk -F '\t' '/^LUKS in/ { print $3 }')" "$form"
done

step 'cryptcoffee/skul#5: of LUKS1 the second slot alone, with keys of 512 bits and SHA-512'
printf 'the second' > second
encrypt_by_qemu made.raw cipher-alg=aes-256,cipher-mode=xts,ivgen-alg=plain64,hash-alg=sha512
cryptsetup luksAddKey --batch-mode --key-file secret --pbkdf-force-iterations 1000 made.raw second
cryptsetup luksKillSlot --batch-mode made.raw 0 --key-file second
expect_equal 'ENABLED' "$(cryptsetup luksDump made.raw | awk '/^Key Slot/ && $4 == "ENABLED" { printf "%s%s", $3 == "1:" ? "" : $3, $4 }')" 'the slot'
expect_equal "$(sha256sum < fs.raw | cut -d ' ' -f 1)" \
    "$("$VOLUME_SUMS" --key second made.raw | awk -F '\t' '/^LUKS in/ { print $3 }')" 'what lies in it'
expect_equal 'whole disk' "$("$VOLUME_SUMS" --key key made.raw | cut -f 1)" 'what the key of the slot that is gone opens'

step 'what QEMU can write and is not read here is named'
for cipher in serpent-256 twofish-256; do
    encrypt_by_qemu other.raw "cipher-alg=$cipher"
    expect_match "${cipher%-*}-xts" "$("$VOLUME_SUMS" --key key other.raw 2>&1 > /dev/null)" "$cipher"
done

step 'LUKS2 of cryptsetup, which encrypts the file system in place'
encrypt() {
    cp fs.raw "$1"
    truncate -s 72M "$1"
    cryptsetup reencrypt --encrypt --type luks2 --reduce-device-size 32M --batch-mode --key-file secret \
        --uuid 44444444-0000-4000-8000-000000000001 "${@:2}" "$1" 2> /dev/null
}
encrypt argon2id.raw --pbkdf argon2id --pbkdf-memory 65536 --pbkdf-force-iterations 4 --sector-size 4096
encrypt argon2i.raw --pbkdf argon2i --pbkdf-memory 32768 --pbkdf-force-iterations 4 --pbkdf-parallel 2 --sector-size 512
encrypt pbkdf2.raw --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --hash sha512 --cipher aes-cbc-essiv:sha256 --key-size 256
encrypt small.raw --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-size 256 --sector-size 2048
# Slots of both kinds, the first of which is gone, and a token.
cryptsetup luksAddKey --batch-mode --key-file secret --pbkdf pbkdf2 --pbkdf-force-iterations 1000 argon2i.raw second 2> /dev/null
first=$(cryptsetup luksDump --dump-json-metadata argon2i.raw | jq -r '.keyslots | keys[0]')
cryptsetup luksKillSlot --batch-mode argon2i.raw "$first" --key-file second 2> /dev/null
left=$(cryptsetup luksDump --dump-json-metadata argon2i.raw | jq -c '.keyslots | keys')
printf '{"type":"example","keyslots":%s}' "$left" | cryptsetup token import --json-file - argon2i.raw
for disk in argon2id argon2i pbkdf2 small; do
    opener=key
    [[ $disk != argon2i ]] || opener=second
    "$VM2OCI" inspect --guest-backend native --key "all:file:$opener" --json "raw:$disk.raw" > page.json
    expect_equal 'LUKS in whole disk' "$(jq -r '[.. | .mounts? // empty][0][0].volume' page.json)" "$disk"
done
expect_match 'no key that was given opens it; its machine opens it by .?example' \
    "$("$VM2OCI" inspect --key all:file:key raw:argon2i.raw)" 'a key whose slot is gone'

step 'key files as cryptsetup reads them: bytes of every kind, an end of line that belongs to them, no first line'
python3 -c 'import sys; sys.stdout.buffer.write(bytes(i * 7 % 256 for i in range(4096)))' > bytes.key
printf 'echo wrote this\n' > line.key
printf '\nbehind an empty line' > empty-line.key
printf 'a first line\nwhich is not all\n' > lines.key
head -c 100000 /dev/urandom > long.key
for type in luks1 luks2; do
    for file in bytes line empty-line lines long; do
        rm -f keyed.raw
        truncate -s 24M keyed.raw
        cryptsetup luksFormat --batch-mode --type "$type" --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
            --key-file "$file.key" keyed.raw 2> /dev/null
        expect_match '^LUKS in whole disk' "$("$VOLUME_SUMS" --key "$file.key" keyed.raw | tail -n 1)" "$type, $file"
    done
done
truncate -s 9M large.key
status=0
"$VM2OCI" inspect --key all:file:large.key raw:keyed.raw 2> stderr || status=$?
expect_equal 2 "$status" 'the exit code of a key of nine MiB'
expect_match 'more than 8 MiB' "$(< stderr)" 'the reason'

step 'LUKS1 that became LUKS2'
truncate -s 64M converted.raw
cryptsetup luksFormat --batch-mode --type luks1 --iter-time 10 --key-file secret converted.raw
before=$("$VOLUME_SUMS" --key key converted.raw | awk -F '\t' '/^LUKS in/ { print $3 }')
cryptsetup convert --batch-mode --type luks2 converted.raw 2> /dev/null
expect_equal "$before" "$("$VOLUME_SUMS" --key key converted.raw | awk -F '\t' '/^LUKS in/ { print $3 }')" 'the same content'

step 'a reencryption that has not ended'
cp fs.raw unfinished.raw
truncate -s 72M unfinished.raw
cryptsetup reencrypt --encrypt --init-only --type luks2 --reduce-device-size 32M --batch-mode --key-file secret \
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 unfinished.raw 2> /dev/null
expect_match 'being encrypted anew' "$("$VOLUME_SUMS" --key key unfinished.raw 2>&1)" 'what is said of it'

step 'a guest in a partition, on disks with sectors of both sizes'
# No tool of Debian 12's writes a table for sectors of 4096 bytes into a file.
cat > gpt.py << 'PYTHON'
import struct, sys, uuid, zlib
sector, path, size = int(sys.argv[1]), sys.argv[2], 128 << 20
parts = [(1 << 20, 8 << 20), (9 << 20, 72 << 20)]
kind = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4").bytes_le
entries = b"".join(kind + uuid.uuid4().bytes_le + struct.pack("<QQQ", at // sector, (at + length) // sector - 1, 0) + bytes(72)
                   for at, length in parts).ljust(128 * 128, b"\0")
last = size // sector - 1
table = -(-len(entries) // sector)
def header(own, other, where):
    fields = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, own, other, 2 + table, last - table - 1,
                         uuid.UUID(int=7).bytes_le, where, 128, 128, zlib.crc32(entries))
    return fields[:16] + struct.pack("<I", zlib.crc32(fields)) + fields[20:]
with open(path, "wb") as disk:
    disk.truncate(size)
    disk.write(bytes(446) + struct.pack("<BBBBBBBBII", 0, 0, 2, 0, 0xee, 255, 255, 255, 1, last) + bytes(48) + b"\x55\xaa")
    for at, data in ((1, header(1, last, 2)), (2, entries), (last - table, entries), (last, header(last, 1, last - table))):
        disk.seek(at * sector)
        disk.write(data)
PYTHON
for sector in 512 4096; do
    python3 gpt.py "$sector" disk.raw
    dd if=argon2id.raw of=disk.raw bs=1M seek=9 conv=notrunc,sparse status=none
    for selector in all /dev/sda2 44444444-0000-4000-8000-000000000001; do
        "$VM2OCI" inspect --guest-backend native --key "$selector:file:key" raw:disk.raw > page
        expect_match '/ +ext4 on LUKS in partition 2' "$(< page)" "$sector, $selector"
        expect_match 'ext4 /dev/mapper/crypt is LUKS in partition 2' "$(< page)" 'what fstab names'
    done
    expect_match 'partition 2 is encrypted, and there is no key' \
        "$("$VM2OCI" inspect --key /dev/sda1:file:key raw:disk.raw)" 'a key for another partition'
done

step 'wrong keys are said'
status=0
"$VM2OCI" convert --as rootfs --key all:file:wrong raw:disk.raw oci:out:x 2> stderr || status=$?
expect_equal 3 "$status" 'the exit code'
expect_match 'partition 2 is encrypted, and no key that was given opens it' "$(< stderr)" 'the reason'
[[ ! -e out ]] || fail 'something was published'

step 'files, packages and free space without another program'
strace -f -qq -e trace=execve -o trace "$VM2OCI" convert --as rootfs --arch amd64 --key all:file:key --sbom sbom.json \
    raw:disk.raw oci:out:files 2> stderr
expect_equal 1 "$(grep -c execve trace)" 'programs that ran'
layer=$(jq -r '.manifests[0].digest' out/index.json)
layer=$(jq -r '.layers[0].digest' "out/blobs/${layer/:/\/}")
{ zstd -dc "out/blobs/${layer/:/\/}" 2> /dev/null || gzip -dc "out/blobs/${layer/:/\/}"; } > layer.tar
tar -xOf layer.tar ./usr/blob 2> /dev/null > blob || tar -xOf layer.tar usr/blob > blob
cmp blob root/usr/blob || fail 'a file is another'
strace -f -qq -e trace=execve -o trace "$VM2OCI" convert --sparsify --key all:file:key raw:disk.raw oci:out:disk 2> stderr
expect_equal 1 "$(grep -c execve trace)" 'programs that ran'
"$VM2OCI" convert oci:out:disk raw:trimmed.raw 2> stderr
"$VM2OCI" convert --as rootfs --arch amd64 --key all:file:key raw:trimmed.raw oci:again:files > converted 2> stderr
again=$(jq -r '.manifests[0].digest' again/index.json)
expect_equal "$layer" "$(jq -r '.layers[0].digest' "again/blobs/${again/:/\/}")" 'the files of the trimmed disk'
(($(du -B 1M trimmed.raw | cut -f 1) + 20 < $(du -B 1M disk.raw | cut -f 1))) || fail 'no space became free'
