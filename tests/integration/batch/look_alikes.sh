#!/usr/bin/env bash
# Machines that look alike: what an earlier image of the batch holds is not compressed again, and the images are those that
# each machine gets alone; forty of them take the room of one and of what differs, where their packages are a layer.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq mke2fs debugfs python3

# make_guest DISK DISTRIBUTION VERSION HOSTNAME PACKAGES: programs of packages that no compressor makes smaller, and a file
# of this machine.
make_guest() {
    rm -rf guest
    mkdir -p guest/{etc,usr/bin,usr/lib,sbin,bin,var/lib/dpkg/info,srv}
    printf 'ID=%s\nVERSION_ID=%s\nPRETTY_NAME="A system"\n' "$2" "$3" > guest/etc/os-release
    printf '/dev/vda / ext4 defaults 0 1\n' > guest/etc/fstab
    echo "$4" > guest/etc/hostname
    python3 - guest "$2" "$4" "$5" << 'PYTHON'
import random, sys
root, distribution, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
programs, own = random.Random(distribution), random.Random(name)
status = open(f"{root}/var/lib/dpkg/status", "w")
for number in range(count):
    status.write(f"Package: p{number}\nStatus: install ok installed\nVersion: 1.{number}\nArchitecture: amd64\n\n")
    open(f"{root}/usr/bin/p{number}", "wb").write(programs.randbytes(1 << 20))
    open(f"{root}/var/lib/dpkg/info/p{number}.list", "w").write(f"/.\n/usr\n/usr/bin\n/usr/bin/p{number}\n")
open(f"{root}/srv/own", "wb").write(own.randbytes(64 << 10))
PYTHON
    # The same places for the same files, as in disks that were cloned.
    E2FSPROGS_FAKE_TIME=1600000000 mke2fs -q -q -t ext4 -U 11111111-2222-3333-4444-555555555555 \
        -E hash_seed=11111111-2222-3333-4444-555555555555 -d guest "$1" 64M > mke2fs.log 2>&1
}

step 'clones and a stranger, as disks'
mkdir disks
for name in web01 web02 web03; do make_guest "disks/$name.raw" debian 12 "$name" 24; done
make_guest disks/other.raw ubuntu 22.04 other 24
for name in web01 other web02 web03; do
    printf 'raw:disks/%s.raw oci:images:%s\n' "$name" "$name"
done > list.txt
"$VM2OCI" batch --json --quiet --jobs 1 list.txt > result.json
reused() { jq -r --arg name "$1" '.machines[] | select(.name == $name) | .reused_frames' result.json; }
for name in web01 other; do
    expect_equal 0 "$(reused "$name")" "frames of $name that are another one's"
done
for name in web02 web03; do
    [[ $(reused "$name") -gt 0 ]] || fail "$name looks like web01, and takes nothing of it: $(< result.json)"
done
for name in web01 other web02 web03; do
    alone=$("$VM2OCI" convert --json --quiet "raw:disks/$name.raw" null: | jq -r .digest)
    expect_equal "$alone" "$(jq -r --arg name "$name" '.machines[] | select(.name == $name) | .digest' result.json)" "the digest of $name"
done
"$VM2OCI" verify oci:images > verified

step 'what an earlier run made is taken from, too'
make_guest disks/web04.raw debian 12 web04 24
echo 'raw:disks/web04.raw oci:images:web04' >> list.txt
"$VM2OCI" batch --json --quiet --jobs 1 --report page.html list.txt > result.json
expect_equal '1 4' "$(jq -r '"\(.counts.done) \(.counts.unchanged)"' result.json)" 'made and unchanged'
[[ $(reused web04) -gt 0 ]] || fail "web04 takes nothing of what an earlier run made"
grep -q 'as in one that looks alike' page.html || fail 'the page does not say what was shared'

step 'who asks for other frames, or writes none, gets what was asked for'
cat > wishes.txt << 'LIST'
raw:disks/web01.raw oci:wishes:a
raw:disks/web02.raw oci:wishes:gzip --compression gzip
raw:disks/web03.raw oci:wishes:level --compression zstd:9
raw:disks/web04.raw oci-archive:wishes.tar:a
LIST
"$VM2OCI" batch --json --quiet --jobs 1 wishes.txt > result.json
expect_equal '4 0' "$(jq -r '"\(.counts.done) \([.machines[].reused_frames] | add)"' result.json)" 'made, and shared frames'

step 'forty, with their packages in a layer of their own'
make_guest disks/base.raw debian 12 base 8
rm disks/web* disks/other.raw
for ((number = 0; number < 40; ++number)); do
    cp --sparse=always disks/base.raw "disks/n$number.raw"
    python3 -c "import random, sys; sys.stdout.buffer.write(random.Random($number).randbytes(64 << 10))" > own
    echo "n$number" > hostname
    debugfs -w -R "rm /srv/own" "disks/n$number.raw" 2> log
    printf 'rm /etc/hostname\nwrite hostname /etc/hostname\nwrite own /srv/own\n' | debugfs -w "disks/n$number.raw" > log 2>&1
    echo "raw:disks/n$number.raw oci:rootfs:n$number --as rootfs --layers split --arch amd64"
done > list.txt
"$VM2OCI" batch --json --quiet list.txt > result.json || fail "$(jq -r '.machines[].message' result.json | sort | uniq -c)"
expect_equal 40 "$(jq .counts.done result.json)" 'made'
one=$("$VM2OCI" convert --json --quiet --as rootfs --layers split --arch amd64 raw:disks/n0.raw oci:one:a | jq '[.layers[].size] | add')
all=$(find rootfs/blobs -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
differs=$((40 * (80 << 10))) # each machine's own file, and the few around it
printf '   one: %d KiB, forty: %d KiB\n' $((one >> 10)) $((all >> 10))
expect_at_most $((2 * one + differs)) "$all" 'the room that forty take'
