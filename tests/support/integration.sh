# What every integration test stands on; sourced first:
#
#   source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
#
# CTest sets VM2OCI (the program under test) and VM2OCI_SOURCE_DIR. The test runs in an empty folder of its own, $scratch,
# which is removed at its end with everything that was started by `in_background`. A test that needs a tool says so with
# require_tool: a missing tool fails the test, it never skips it.
# shellcheck shell=bash
set -euo pipefail

: "${VM2OCI:?set by CTest: the vm2oci to test}"
: "${VM2OCI_SOURCE_DIR:?set by CTest: the top of the source tree}"
export LC_ALL=C.UTF-8 TZ=UTC
unset SOURCE_DATE_EPOCH

scratch=$(mktemp --directory "${TMPDIR:-/tmp}/vm2oci-test.XXXXXX")
# What vm2oci remembers between conversions is of this test alone; the Debian disks are the user's.
user_cache=${XDG_CACHE_HOME:-${HOME:?}/.cache}
export XDG_CACHE_HOME=$scratch/cache
background_pids=()
_clean_up() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in "${background_pids[@]}"; do
        kill "$pid" 2> /dev/null || true
        wait "$pid" 2> /dev/null || true
    done
    if ! rm -rf "$scratch" 2> /dev/null; then
        chmod -R u+rwX "$scratch" && rm -rf "$scratch"
    fi
    [[ $status -eq 0 ]] || printf 'FAILED with exit status %d\n' "$status" >&2
    exit "$status"
}
trap _clean_up EXIT
trap 'exit 130' INT TERM
cd "$scratch"

fail() {
    printf 'FAILED at %s:%s: %s\n' "${BASH_SOURCE[1]##*/}" "${BASH_LINENO[0]}" "$*" >&2
    exit 1
}

# One line a step, so that the log of a failure tells how far it came.
step() { printf '%s\n' "-- $*"; }

require_tool() {
    local tool
    for tool in "$@"; do
        command -v "$tool" > /dev/null || fail "$tool is missing: tools/setup.sh --tests installs it"
    done
}

# expect_equal EXPECTED ACTUAL WHAT
expect_equal() {
    [[ $1 == "$2" ]] || fail "$3: expected '$1', got '$2'"
}

# expect_match REGEX TEXT WHAT
expect_match() {
    [[ $2 =~ $1 ]] || fail "$3: expected something like '$1', got '$2'"
}

# expect_at_most LIMIT ACTUAL WHAT (integers)
expect_at_most() {
    (($2 <= $1)) || fail "$3: at most $1 is allowed, got $2"
}

# expect_exit CODE COMMAND…: stdout goes to $scratch/stdout, stderr to $scratch/stderr.
expect_exit() {
    local expected=$1 status=0
    shift
    "$@" > "$scratch/stdout" 2> "$scratch/stderr" || status=$?
    if [[ $status -ne $expected ]]; then
        head -c 4000 "$scratch/stderr" >&2
        fail "exit status $status instead of $expected from: $*"
    fi
}

# One file or two folders with the same names, types, modes and bytes.
expect_same_tree() {
    diff --recursive --no-dereference "$1" "$2" || fail "$1 and $2 differ"
}

# Starts a command in the background; its pid is $started_pid, its output $scratch/background.log.
in_background() {
    "$@" >> "$scratch/background.log" 2>&1 < /dev/null &
    started_pid=$!
    background_pids+=("$started_pid")
}

# wait_until SECONDS COMMAND…: until it succeeds.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" > /dev/null 2>&1; do
        ((SECONDS < deadline)) || fail "waited in vain for: $*"
        sleep 0.1
    done
}

# Prints the path of the cached real disk, which the fixture disk/debian has made. Options as tools/make-debian-disk.sh.
debian_disk() {
    local disk copy
    disk=$(XDG_CACHE_HOME=$user_cache "$VM2OCI_SOURCE_DIR/tools/make-debian-disk.sh" "$@")
    # By a link in the scratch folder: the cache lies in a home that other users may not enter.
    copy=$scratch/debian.${disk##*.}
    ln "$disk" "$copy" 2> /dev/null || cp --sparse=always --reflink=auto "$disk" "$copy"
    printf '%s\n' "$copy"
}

# small_disk FILE [MEBIBYTES]: a raw disk (default 24 MiB) of text, noise, zeros and holes; the same bytes every time.
small_disk() {
    python3 - "$1" "${2:-24}" << 'PYTHON'
import hashlib, random, sys
path, size = sys.argv[1], int(sys.argv[2]) << 20
generator = random.Random(20)
with open(path, "wb") as disk:
    disk.truncate(size)
    disk.seek(1 << 20)
    while disk.tell() < size * 3 // 4:
        kind = generator.randrange(4)
        length = generator.randrange(1, 40) * 16384
        if kind == 0:
            disk.write(generator.randbytes(length))
        elif kind == 1:
            disk.write((b"The quick brown fox jumps over the lazy dog. %d\n" % generator.randrange(99) * (length // 40))[:length])
        elif kind == 2:
            disk.write(bytes(length))
        else:
            disk.seek(length, 1)
    disk.truncate(size)
PYTHON
}

# Starts docker-registry on a free port of the loopback interface; its address is $registry (HOST:PORT), its blobs lie in
# $scratch/registry.
start_registry() {
    require_tool docker-registry curl python3
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    registry=127.0.0.1:$port
    cat > "$scratch/registry.yml" << YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $scratch/registry}, delete: {enabled: true}}
http: {addr: $registry}
YAML
    in_background docker-registry serve "$scratch/registry.yml"
    wait_until 20 curl --silent --fail "http://$registry/v2/"
}
