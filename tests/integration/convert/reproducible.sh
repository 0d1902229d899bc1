#!/usr/bin/env bash
# The same disk gives the same digest whatever surrounds the program: run, threads, user, umask, time zone, locale,
# folder, the container that the disk came in, and where the result goes.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool qemu-img jq setpriv

small_disk disk.raw
chmod 0755 "$scratch"
chmod 0644 disk.raw
digest_of() { jq -r '.digest + " " + .layer.digest' "$1"; }

for options in '' '--compression gzip' '--compression none' '--disk-format raw' '--cluster-compression zstd'; do
    read -ra arguments <<< "$options"
    step "options: ${options:-none}"
    "$VM2OCI" convert --json "${arguments[@]}" raw:disk.raw oci:first:a > first.json
    wanted=$(digest_of first.json)
    same() {
        local what=$1
        shift
        rm -rf other
        "$@" > other.json || fail "$what: failed"
        expect_equal "$wanted" "$(digest_of other.json)" "$what"
    }
    same 'second run' "$VM2OCI" convert --json "${arguments[@]}" raw:disk.raw oci:other:b
    same 'one thread' "$VM2OCI" convert --json --threads 1 "${arguments[@]}" raw:disk.raw oci:other:a
    same 'eight threads' "$VM2OCI" convert --json --threads 8 "${arguments[@]}" raw:disk.raw oci:other:a
    same 'null:' "$VM2OCI" convert --json "${arguments[@]}" raw:disk.raw null:
    same 'an archive' "$VM2OCI" convert --json "${arguments[@]}" raw:disk.raw oci-archive:other.tar:a
    same 'umask 077' bash -c 'umask 077; "$@"' - "$VM2OCI" convert --json "${arguments[@]}" raw:disk.raw oci:other:a
    same 'time zone' env TZ=Asia/Kathmandu "$VM2OCI" convert --json "${arguments[@]}" raw:disk.raw oci:other:a
    same 'locale' env LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 "$VM2OCI" convert --json "${arguments[@]}" raw:disk.raw oci:other:a
    mkdir -p 'another folder/with ünicode'
    cp --sparse=never disk.raw 'another folder/with ünicode/machine.raw'
    same 'folder, name and holes of the source' env --chdir='another folder/with ünicode' "$VM2OCI" convert --json \
        "${arguments[@]}" raw:machine.raw oci:x:a
    for features in compat=1.1 compat=0.10 cluster_size=4k extended_l2=on; do
        qemu-img convert -f raw -O qcow2 -o "$features" disk.raw machine.qcow2
        same "from a qcow2 with $features" "$VM2OCI" convert --json "${arguments[@]}" qcow2:machine.qcow2 oci:other:a
    done
    qemu-img convert -c -f raw -O qcow2 disk.raw machine.qcow2
    same 'from a compressed qcow2' "$VM2OCI" convert --json "${arguments[@]}" qcow2:machine.qcow2 oci:other:a
    if [[ $(id -u) -eq 0 ]]; then
        program=$scratch/vm2oci
        cp "$VM2OCI" "$program"
        rm -rf for-nobody
        mkdir for-nobody
        chown 65534:65534 for-nobody
        same 'another user' setpriv --reuid 65534 --regid 65534 --clear-groups "$program" convert --json "${arguments[@]}" \
            raw:disk.raw oci:for-nobody/layout:a
    fi
done

step 'time comes from SOURCE_DATE_EPOCH and from nowhere else'
"$VM2OCI" convert --json raw:disk.raw oci:first:a > first.json
SOURCE_DATE_EPOCH=0 "$VM2OCI" convert --json raw:disk.raw oci:first:b > other.json
expect_equal "$(digest_of first.json)" "$(digest_of other.json)" 'SOURCE_DATE_EPOCH=0'
SOURCE_DATE_EPOCH=1700000000 "$VM2OCI" convert --json raw:disk.raw oci:first:c > other.json
[[ $(digest_of first.json) != "$(digest_of other.json)" ]] || fail 'SOURCE_DATE_EPOCH changed nothing'
"$VM2OCI" convert --json --created 2023-11-14T22:13:20Z raw:disk.raw oci:first:d > first.json
expect_equal "$(digest_of first.json)" "$(digest_of other.json)" '--created and SOURCE_DATE_EPOCH'

step 'files in a layout have the same content under any umask, and modes that obey it'
rm -rf first second
(umask 077 && "$VM2OCI" convert --quiet raw:disk.raw oci:first:a)
(umask 000 && "$VM2OCI" convert --quiet raw:disk.raw oci:second:a)
modes() { find "$1" -printf '%y%m\n' | sort -u | xargs; }
expect_equal 'd700 f600' "$(modes first)" 'modes under 077'
expect_equal 'd777 f666' "$(modes second)" 'modes under 000'
expect_same_tree first second
