#!/usr/bin/env bash
# A conversion that is killed at any instant leaves the layout as it was or as it will be; one that is interrupted with
# Ctrl-C leaves nothing of its own at all, at the destination and among the scratch files.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool python3 jq
validate=$VM2OCI_SOURCE_DIR/tests/support/validate_layout.py

small_disk old.raw 8
small_disk disk.raw 48
mkdir tmp
export TMPDIR=$scratch/tmp
"$VM2OCI" convert --json raw:old.raw oci:layout:machine > old.json
cp -r layout pristine
started=$(date +%s%N)
"$VM2OCI" convert --json --compression zstd:12 raw:disk.raw null: > new.json
duration_ms=$((($(date +%s%N) - started) / 1000000))
old=$(jq -r .digest old.json)
new=$(jq -r .digest new.json)
[[ $old != "$new" ]] || fail 'the two disks must differ'

# interrupt SIGNAL DELAY_MS DESTINATION: the exit status is in $status.
interrupt() {
    "$VM2OCI" convert --quiet --compression zstd:12 raw:disk.raw "$3" 2> interrupted.log &
    local pid=$!
    sleep "$(printf '%d.%03d' $(($2 / 1000)) $(($2 % 1000)))"
    kill -s "$1" "$pid" 2> /dev/null || true
    status=0
    wait "$pid" || status=$?
}

RANDOM=7
step "kill -9 at random instants of $duration_ms ms"
killed=0
for round in $(seq 25); do
    delay=$((RANDOM % (duration_ms * 11 / 10 + 20)))
    interrupt KILL "$delay" oci:layout:machine
    [[ $status -eq 137 ]] && killed=$((killed + 1))
    "$validate" layout --containerdisk disk.qcow2 > found.json || fail "round $round, killed after $delay ms"
    shown=$(jq -r '.[0].digest' found.json)
    [[ $(jq length found.json) -eq 1 && ($shown == "$old" || $shown == "$new") ]] ||
        fail "round $round, killed after $delay ms: the layout shows $shown"
    "$VM2OCI" verify --quiet oci:layout:machine > verify.log || fail "$(cat verify.log)"
    if [[ $shown == "$new" ]]; then
        rm -rf layout
        cp -r pristine layout
    fi
done
((killed >= 5)) || fail "only $killed of 25 rounds were killed while they ran; the test proves nothing"

step 'a killed conversion does not stand in the way of the next'
interrupt KILL $((duration_ms / 2)) oci:layout:machine
"$VM2OCI" convert --quiet --compression zstd:12 raw:disk.raw oci:layout:machine
"$validate" layout --containerdisk disk.qcow2 > found.json
expect_equal "$new" "$(jq -r '.[0].digest' found.json)" 'the new image'

for signal in INT TERM; do
    step "SIG$signal leaves the destination and the scratch folder alone"
    rm -rf layout absent tmp/*
    cp -r pristine layout
    stopped=0
    for round in $(seq 6); do
        interrupt "$signal" $((duration_ms * round / 9)) oci:layout:machine
        if [[ $status -ne 0 ]]; then
            stopped=$((stopped + 1))
            expect_match '^vm2oci: .*stopped' "$(cat interrupted.log)" 'what it says'
            expect_same_tree pristine layout
            expect_equal '' "$(ls -A tmp)" 'scratch files'
        else # it was quicker than the first time
            rm -rf layout
            cp -r pristine layout
        fi
        for destination in oci:absent:x oci-archive:absent.tar:x qcow2:absent.qcow2 raw:absent.raw; do
            interrupt "$signal" $((duration_ms * round / 30)) "$destination"
            if [[ $status -ne 0 ]]; then
                [[ ! -e absent && ! -e absent.tar && ! -e absent.qcow2 && ! -e absent.raw ]] ||
                    fail "$destination left something: $(ls -d absent*)"
            fi
            rm -rf absent*
        done
    done
    ((stopped >= 2)) || fail "only $stopped of 6 rounds were stopped while they ran; the test proves nothing"
done
expect_equal '' "$(find . -maxdepth 1 -name '*.tmp*' -o -maxdepth 1 -name '.*vm2oci*')" 'files beside the destination'
