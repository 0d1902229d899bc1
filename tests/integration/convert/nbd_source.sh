#!/usr/bin/env bash
# Disks of NBD servers: read as if they were files, with their holes, over several connections, and refused in time.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img qemu-nbd nbdkit jq

small_disk disk.raw
qemu-img convert -f raw -O qcow2 disk.raw disk.qcow2
expected=$("$VM2OCI" convert --json --progress none disk.qcow2 null: | jq -r .digest)
digest_of() { "$VM2OCI" convert --json --progress none "$@" null: | jq -r .digest; }

# serve SOCKET COMMAND…: in the background, until the test ends.
serve() {
    local socket=$1
    shift
    in_background "$@"
    for _ in $(seq 100); do
        [[ ! -S $socket ]] || return 0
        sleep 0.1
    done
    fail "no server at $socket"
}

step 'qemu-nbd over a socket, by name and without'
serve a.sock qemu-nbd --persistent --shared 8 --read-only --format qcow2 --export-name web01 --socket "$scratch/a.sock" disk.qcow2
expect_equal "$expected" "$(digest_of "nbd+unix:///web01?socket=$scratch/a.sock")" 'what comes of qemu-nbd'
expect_exit 1 "$VM2OCI" convert --quiet "nbd+unix:///other?socket=$scratch/a.sock" null:
expect_match 'NBD server' "$(cat stderr)" 'an export that is not there'
"$VM2OCI" convert --quiet "nbd+unix:///web01?socket=$scratch/a.sock" raw:out.raw > /dev/null
cmp disk.raw out.raw

step 'nbdkit: blocks that are large, several connections, holes that are passed over'
serve b.sock nbdkit --exit-with-parent --foreground --unix b.sock --filter=blocksize-policy --filter=stats file disk.raw \
    blocksize-minimum=4096 blocksize-preferred=65536 blocksize-maximum=1M blocksize-error-policy=error \
    statsfile="$scratch/stats"
expect_equal "$expected" "$(digest_of --threads 4 "nbd+unix:///?socket=$scratch/b.sock")" 'what comes of nbdkit'
"$VM2OCI" inspect --json "nbd+unix:///?socket=$scratch/b.sock" > inspect.json
expect_equal 'raw 25165824' "$(jq -r '.disk | "\(.format) \(.virtual_size)"' inspect.json)" 'what inspect tells'

step 'a huge disk of holes takes no time'
serve c.sock nbdkit --exit-with-parent --foreground --unix c.sock memory 1T
timeout 60 "$VM2OCI" convert --quiet "nbd+unix:///?socket=$scratch/c.sock" null: > /dev/null

step 'sizes that fit no block, and servers that tell no holes'
head --bytes=1234567 /dev/urandom > odd.raw
serve d.sock nbdkit --exit-with-parent --foreground --unix d.sock --filter=noextents file odd.raw
"$VM2OCI" convert --quiet "raw:nbd+unix:///?socket=$scratch/d.sock" raw:out.raw > /dev/null
cmp --bytes=1234567 odd.raw out.raw

step 'compressed disks, and packages, on a server'
gzip --keep disk.raw
serve e.sock nbdkit --exit-with-parent --foreground --unix e.sock file disk.raw.gz
expect_equal "$expected" "$(digest_of "nbd+unix:///?socket=$scratch/e.sock")" 'a compressed disk'

step 'TCP'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
in_background nbdkit --exit-with-parent --foreground --ip-addr 127.0.0.1 --port "$port" file disk.raw
sleep 1
expect_equal "$expected" "$(digest_of "nbd://127.0.0.1:$port/")" 'over TCP'

step 'what does not answer, or fails, is told by name'
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet nbd://127.0.0.1:1/x null:
expect_match 'nbd://127.0.0.1:1/x' "$(cat stderr)" 'the name'
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet "nbd+unix:///?socket=$scratch/missing.sock" null:
serve f.sock nbdkit --exit-with-parent --foreground --unix f.sock --filter=error file disk.raw error=EIO error-rate=100%
expect_exit 1 timeout 60 "$VM2OCI" convert --quiet "nbd+unix:///?socket=$scratch/f.sock" null:
expect_match 'cannot' "$(cat stderr)" 'an error of the server'
expect_exit 2 "$VM2OCI" convert --quiet disk.raw "nbd+unix:///?socket=$scratch/a.sock"
