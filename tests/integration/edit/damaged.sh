#!/usr/bin/env bash
# xfs and btrfs that are damaged by seeds where this process does not look, with checksums that are right, so that the
# kernel of vm2oci's appliance believes them: each edit ends, soundly or with a reason, within a limit; the source stays
# as it is, and neither a result of what failed nor a machine is left.
#
#   damaged.sh [SEEDS [FIRST]]      of each file system; 4 from 1 unless given
#
# Needs root, for loop devices, and a kernel that mounts both.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
# shellcheck source=appliance_parts.sh
source "$VM2OCI_SOURCE_DIR/tests/integration/edit/appliance_parts.sh"
require_tool mkfs.xfs xfs_db xfs_repair mkfs.btrfs btrfs python3 jq qemu-system-x86_64
[[ $(id -u) -eq 0 ]] || fail "loop devices need root"
seeds=${1:-4} first=${2:-1}
for type in xfs btrfs; do
    modprobe $type 2> /dev/null || true
    grep -qw $type /proc/filesystems || fail "this kernel does not mount $type, and the disks are made by it"
done
mkdir mnt
trap 'status=$?; set +e; ! mountpoint -q mnt || umount -R mnt; (exit "$status"); _clean_up' EXIT
install_without_kernel prefix
install_kernel prefix
head -c 2000000 /dev/urandom > large

make() { # TYPE
    local number
    truncate -s 400M "$1.raw"
    "mkfs.$1" -q -f "$1.raw"
    mount -o loop "$1.raw" mnt
    mkdir -p mnt/{etc,usr/bin,bin,var/lib,var/log,home}
    printf 'ID=debian\nVERSION_ID="12"\n' > mnt/etc/os-release
    printf 'root:x:0:0:root:/root:/bin/sh\n' > mnt/etc/passwd
    printf '/dev/vda / %s defaults 0 0\n' "$1" > mnt/etc/fstab
    # Holes in the free space, so that its trees have something in them.
    for number in $(seq 1 400); do head -c $((number * 37 % 9000)) large > "mnt/home/$number"; done
    sync -f mnt
    for number in $(seq 1 3 400); do rm "mnt/home/$number"; done
    umount mnt
}

# Fields of what only the kernel reads, with a checksum of what stands there then.
damage_xfs() { # DISK SEED
    python3 - "$2" << 'PYTHON' > commands
import random, sys
chance = random.Random(int(sys.argv[1]))
fields = {
    "agf {ag}": ["bnoroot", "cntroot", "rmaproot", "refcntroot", "bnolevel", "cntlevel", "flfirst", "fllast", "flcount", "freeblks", "longest", "btreeblks", "length"],
    "agi {ag}": ["root", "level", "free_root", "free_level", "count", "freecount", "newino", "dirino", "unlinked[0]", "unlinked[3]", "length"],
    "agfl {ag}": ["bno[0]", "bno[1]", "bno[2]", "bno[3]"],
    "agf {ag}|addr bnoroot": ["numrecs", "level", "recs[1].startblock", "recs[1].blockcount", "recs[2].blockcount"],
    "agf {ag}|addr cntroot": ["numrecs", "level", "recs[1].startblock", "recs[1].blockcount", "recs[2].startblock"],
    "agi {ag}|addr root": ["numrecs", "level", "recs[1].startino", "recs[1].freecount", "recs[1].free"],
    "agi {ag}|addr free_root": ["numrecs", "recs[1].startino", "recs[1].free"],
}
for _ in range(chance.randrange(1, 5)):
    place = chance.choice(sorted(fields))
    for step in place.format(ag=chance.randrange(4)).split("|"):
        print(step)
    verb = chance.choice(["zeroes", "ones", "firstbit", "middlebit", "lastbit", "add", "sub", "random"])
    print("fuzz -d", chance.choice(fields[place]), verb)
PYTHON
    xfs_db -x "$1" < commands > damage.log 2>&1 || true
}

# Bytes behind the headers of nodes that hold more than files' data, by their place on the disk, with their checksums.
damage_btrfs() { # DISK SEED
    btrfs inspect-internal dump-tree "$1" > tree.txt 2> /dev/null
    btrfs inspect-internal dump-tree -t chunk "$1" > chunks.txt 2> /dev/null
    python3 - "$1" "$2" << 'PYTHON'
import random, re, struct, sys
table = []
for value in range(256):
    for _ in range(8):
        value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    table.append(value)
def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF
name, seed = sys.argv[1], int(sys.argv[2])
chance = random.Random(seed)
chunks, logical = [], None
for line in open("chunks.txt"):
    if found := re.search(r"CHUNK_TREE CHUNK_ITEM (\d+)\)", line):
        logical = int(found[1])
    elif found := re.search(r"length (\d+) owner 2 .*type (\S+)", line):
        length = int(found[1])
    elif logical is not None and (found := re.search(r"stripe \d+ devid \d+ offset (\d+)", line)):
        chunks.append((logical, length, int(found[1])))
# Not the trees that this process reads before it: root, chunks, the files'.
owners = {"2": 4, "3": 0, "4": 2, "7": 2, "9": 1, "10": 4, "CHECKSUM_TREE": 2, "EXTENT_TREE": 4, "DEV_TREE": 2, "FREE_SPACE_TREE": 4, "UUID_TREE": 1}
nodes = []
for line in open("tree.txt"):
    if found := re.match(r"(?:leaf|node) (\d+) .* owner (\S+)", line):
        nodes += [int(found[1])] * owners.get(found[2], 0)
assert nodes, "there is nothing to damage"
with open(name, "r+b") as disk:
    disk.seek(65536)
    node_size = struct.unpack_from("<I", disk.read(4096), 148)[0]
    for _ in range(chance.randrange(1, 4)):
        at = chance.choice(nodes)
        copies = [place + at - begin for begin, size, place in chunks if begin <= at < begin + size]
        assert copies, at
        disk.seek(copies[0])
        node = bytearray(disk.read(node_size))
        items = struct.unpack_from("<I", node, 96)[0]
        for _ in range(chance.randrange(1, 4)):
            # The table of items grows from the front, their content from the back.
            place = 101 + chance.randrange(max(25 * items, 1)) if chance.randrange(2) else chance.randrange(node_size // 2, node_size)
            node[place] = chance.choice([0, 255, node[place] ^ 1 << chance.randrange(8), chance.randrange(256)])
        struct.pack_into("<I", node, 0, crc32c(node[32:]))
        for copy in copies:
            disk.seek(copy)
            disk.write(node)
PYTHON
}

declare -A ends
for type in xfs btrfs; do
    step "$type: sound, it is changed"
    make $type
    prefix/bin/vm2oci inject -q --json --hostname new raw:$type.raw raw:out.raw > report.json
    expect_equal appliance "$(jq -r .edits.backend report.json)" "what wrote it"
    rm out.raw
    for seed in $(seq "$first" $((first + seeds - 1))); do
        cp --sparse=always $type.raw damaged.raw
        "damage_$type" damaged.raw "$seed"
        sum=$(sha256sum < damaged.raw)
        status=0
        timeout 400 prefix/bin/vm2oci inject -q --hostname new --copy-in large:/var/large --copy-in large:/home/9 \
            --sysprep raw:damaged.raw raw:out.raw > stdout 2> stderr &
        pid=$!
        machine=
        while kill -0 $pid 2> /dev/null; do
            child=$(pgrep -P $pid | head -1 || true)
            found=$(pgrep -P "${child:-$pid}" -f qemu-system || true)
            machine=${found:-$machine}
            sleep 0.05
        done
        wait $pid || status=$?
        step "$type $seed: $status $(head -c 300 stderr)"
        case $status in
            0) [[ -e out.raw ]] || fail "there is no result" ;;
            1 | 3)
                [[ ! -e out.raw ]] || fail "a failed edit left a disk"
                expect_equal 1 "$(grep -c ^vm2oci: stderr)" "lines of the reason"
                ;;
            *) fail "exit status $status" ;;
        esac
        ends[$status]=$((${ends[$status]:-0} + 1))
        expect_equal "$sum" "$(sha256sum < damaged.raw)" "the source"
        [[ -z $machine ]] || wait_until 30 has_gone "$machine"
        rm -f out.raw
    done
    rm $type.raw
done
for status in "${!ends[@]}"; do printf '   exit status %d: %d\n' "$status" "${ends[$status]}"; done
