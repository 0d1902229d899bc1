#!/usr/bin/env bash
# A batch of 200 small disks and six real ones: killed 20 times at random, complete in the end and nothing made twice;
# what two at once on two processors gain over one after the other on one; and the room that forty look-alikes of the
# real disk take. By hand: five minutes, 10 GiB below $TMPDIR, and 8 GiB of memory.
#
#   tests/bench/batch.sh VM2OCI DISK     DISK: the real Debian disk, qcow2
#
# Prints what it found. Times on shared machines vary: compare CPU, and ratios from one run. See the figures in
# tools/design/0013-batches-are-processes.md.
set -euo pipefail
vm2oci=$(realpath "${1:?the program}") disk=$(realpath "${2:?a disk}")
scratch=$(mktemp --directory "${TMPDIR:-/var/tmp}/vm2oci-batch.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
export XDG_CACHE_HOME=$scratch/cache
TIMEFORMAT='%R s by the clock, %U + %S CPU s'

mkdir disks
truncate --size 16M small.raw
mke2fs -q -t ext4 small.raw > mke2fs.log 2>&1
for ((number = 0; number < 200; ++number)); do
    cp --sparse=always small.raw "disks/small$number.raw"
    head -c 4M /dev/urandom | dd of="disks/small$number.raw" bs=1M seek=8 conv=notrunc status=none
    echo "raw:disks/small$number.raw oci:images:small$number"
done > list.txt
for number in 1 2 3 4 5 6; do
    "$vm2oci" -q inject --hostname "web$number" "$disk" "qcow2:disks/web$number.qcow2" > inject.log
    echo "qcow2:disks/web$number.qcow2 oci:images:web$number"
done >> list.txt

printf '== killed 20 times\n'
killed=0
for ((round = 0; round < 20; ++round)); do
    "$vm2oci" batch --progress json --jobs 2 list.txt > out 2> "events.$round" &
    batch=$!
    sleep "$((RANDOM % 2)).$((RANDOM % 90 + 10))"
    if kill -KILL "$batch" 2> kill.log; then killed=$((killed + 1)); fi
    wait "$batch" 2> wait.log || true
done
"$vm2oci" batch --json --progress json --jobs 2 list.txt > result.json 2> events.last
printf '%d runs killed; %s of 206 machines are there; made twice: %s\n' "$killed" \
    "$(jq '.counts.done + .counts.unchanged' result.json)" \
    "$(cat events.* | jq -r 'select(.state == "done") | .name' 2> jq.log | sort | uniq -d | wc -l)"
"$vm2oci" -q verify oci:images > verified && printf 'every digest of the layout is right\n'

# In memory, so that no disk that has to flush decides. One after the other has one processor: the reading of a large disk
# beside its packing would else keep the second one half busy, and two at once could gain no more than the other half.
memory=$(mktemp --directory /dev/shm/vm2oci-batch.XXXXXX)
trap 'rm -rf "$scratch" "$memory"' EXIT
cp --recursive --sparse=always disks "$memory/disks"
grep '^raw:' list.txt > "$memory/small.txt"
grep '^qcow2:' list.txt > "$memory/real.txt"
cd "$memory"
export XDG_CACHE_HOME=$memory/cache
printf '== in memory, from nothing, one thread each\n'
for kind in small real; do
    for jobs in 1 2; do
        rm -rf images "$kind.txt.state" cache
        taskset --cpu-list "0-$((jobs - 1))" "$vm2oci" batch -q --json --threads 1 --jobs "$jobs" "$kind.txt" > "result.$kind.$jobs"
    done
    jq -n --raw-output --arg kind "$kind" '[inputs | {clock: .seconds, cpu: ([.machines[].processor_seconds] | add)}] |
        "\($kind)  one at a time on one processor \(.[0].clock * 10 | round / 10) s (\(.[0].cpu * 10 | round / 10) CPU s), two on two \(.[1].clock * 10 | round / 10) s (\(.[1].cpu * 10 | round / 10) CPU s): \(.[0].clock / .[1].clock * 100 | round / 100)"' \
        "result.$kind.1" "result.$kind.2"
done
cd "$scratch"
rm -rf "$memory" images
export XDG_CACHE_HOME=$scratch/cache

printf '== forty look-alikes of the real disk as root file systems, packages in a layer of their own\n'
for ((number = 1; number <= 40; ++number)); do
    echo "$disk oci:rootfs:web$number --as rootfs --layers split --hostname web$number --label machine=web$number"
done > forty.txt
time "$vm2oci" batch -q forty.txt > out
one=$("$vm2oci" convert -q --json --as rootfs --layers split --hostname web1 --label machine=web1 "$disk" null: | jq '[.layers[].size] | add')
printf 'one: %d bytes; the layout of forty: %d bytes\n' "$one" "$(find rootfs/blobs -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')"
