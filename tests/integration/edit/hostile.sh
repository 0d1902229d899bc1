#!/usr/bin/env bash
# Guests whose /etc, /etc/cloud or /etc/hostname lead out of the guest, in circles, or to what is no file: an edit lands
# inside the guest or is refused with one clear line, and nothing of this machine is touched.
# shellcheck source=../../support/integration.sh
source "${VM2OCI_SOURCE_DIR:?}/tests/support/integration.sh"
require_tool e2fsck ssh-keygen strace

tar -xf "$VM2OCI_SOURCE_DIR/tests/corpus/guest-corpus.tar.xz"
printf 'content\n' > payload
seen=0
for image in ext4/sym_*.img ext4/hostname_*.img; do
    seen=$((seen + 1))
    rm -f out.raw
    status=0
    timeout 60 strace -f -qq -e trace=openat,open,creat,mkdirat,mkdir,symlinkat,symlink,unlinkat,unlink,renameat2,rename \
        -o trace "$VM2OCI" inject -q --guest-backend native --copy-in payload:/etc/hostname --copy-in payload:/etc/cloud/x \
        "raw:$image" raw:out.raw > stdout 2> stderr || status=$?
    case $status in
        0)
            e2fsck -fn "$image" > /dev/null 2>&1 && { e2fsck -fn out.raw > fsck.log 2>&1 || fail "$image: $(cat fsck.log)"; }
            ;;
        3)
            expect_equal 1 "$(wc -l < stderr)" "$image: lines of the refusal"
            [[ ! -e out.raw ]] || fail "$image: a refused edit left a disk"
            ;;
        *) fail "$image: exit status $status: $(cat stderr)" ;;
    esac
    step "$image: $status $(cat stderr)"
    # Nothing but our own files is opened for writing, made or removed.
    if grep -E 'O_WRONLY|O_RDWR|O_CREAT|mkdir|symlink|unlink|rename' trace |
        grep -vE "\"($PWD|out\.raw|\.)|/dev/null|/tmp|/proc/|\"\"" |
        grep -E '"/(etc|root|home|var/lib|usr|host)'; then
        fail "$image: something outside was touched"
    fi
done
[[ $seen -ge 8 ]] || fail "only $seen guests were found"
