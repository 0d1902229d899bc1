#!/usr/bin/env bash
# What people reported or asked for where many machines or images are moved by other tools, each as a case of its own here.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq python3 skopeo
start_registry

mkdir disks
small_disk disks/base.raw 6
for name in a b c d e f; do
    cp --sparse=always disks/base.raw "disks/$name.raw"
    printf 'machine %s' "$name" | dd of="disks/$name.raw" bs=1 seek=1048576 conv=notrunc status=none
done
# states RESULT: "a=done b=refused …"
states() { jq -r '[.machines[] | "\(.name)=\(.state)"] | join(" ")' "$1"; }

step 'OpenNebula/one#7726: one list, the same options for all, what each does, and a summary of how many are there'
cat > all.yaml << 'YAML'
defaults: {destination: "oci:all:{name}", options: [--label, lab=1]}
machines: [disks/a.raw, "qcow2:disks/b.raw", disks/c.raw]
YAML
expect_exit 3 "$VM2OCI" batch --keep-going --progress plain --jobs 1 all.yaml
for line in '\[1/3\] a +done' '\[2/3\] b +refused' '\[3/3\] c +done'; do expect_match "$line" "$(< stderr)" 'the progress'; done
expect_match '2 of 3 machines are there: 2 made' "$(< stdout)" 'the summary'
expect_equal 1 "$(skopeo inspect oci:all:c | jq -r .Labels.lab)" 'the option of all'

step 'podman-container-tools/skopeo#1466, #1009: one that is damaged does not stop the others, nor pass for a success; which one is told'
: > empty.raw
printf 'disks/a.raw oci:rest:a\nqcow2:empty.raw oci:rest:b\ndisks/c.raw oci:rest:c\n' > rest.txt
expect_exit 3 "$VM2OCI" batch --keep-going --json --quiet rest.txt
expect_equal 'a=done empty=refused c=done' "$(states stdout)" 'what became of each'

step 'podman-container-tools/skopeo#1596: what a machine is refused for and what another try may help are other exit codes'
printf 'disks/a.raw docker://127.0.0.1:1/a:1\nqcow2:disks/b.raw oci:codes:b\n' > codes.txt
expect_exit 1 "$VM2OCI" batch --keep-going --json --quiet codes.txt
expect_equal '1 3' "$(jq -r '[.machines[].exit_code] | join(" ")' stdout)" 'the exit codes of both'

step 'kubev2v/forklift-documentation#113: a plan that went well in parts is begun anew, and makes what went wrong alone'
qemu-img convert -f raw -O qcow2 disks/b.raw b.qcow2
sed -i 's|qcow2:disks/b.raw|qcow2:b.qcow2|' all.yaml
"$VM2OCI" batch --json --quiet all.yaml > again.json
expect_equal 'a=unchanged b=done c=unchanged' "$(states again.json)" 'the second run'

step 'vatesfr/xen-orchestra#3881: after an interruption also what was not begun and what was under way is made, not only what failed'
for name in a b c d e f; do echo "disks/$name.raw oci:cut:$name --compression zstd:19"; done > cut.txt
"$VM2OCI" batch --jobs 2 --progress json cut.txt > log 2> events &
batch=$!
wait_until 60 grep --quiet '"state":"done"' events
kill -TERM "$batch"
status=0
wait "$batch" || status=$?
expect_equal 130 "$status" 'the exit code of the interrupted run'
before=$(grep -c '"state":"done"' events)
"$VM2OCI" batch --json --quiet cut.txt > rest.json
expect_equal 6 "$(jq '.counts.done + .counts.unchanged' rest.json)" 'machines that are there'
expect_at_most $((6 - before)) "$(jq .counts.done rest.json)" 'machines that were made in the second run'
"$VM2OCI" verify --quiet oci:cut > log

step 'adminsyspro/proxcenter-ui#400: what fails or is interrupted leaves nothing at its destination that has to be cleared away'
printf 'qcow2:disks/b.raw oci:left:b\nqcow2:disks/c.raw raw:left.raw\ndisks/not-there.raw oci-archive:left.tar:x\n' > left.txt
expect_exit 1 "$VM2OCI" batch --keep-going --quiet left.txt
[[ ! -e left && ! -e left.raw && ! -e left.tar ]] || fail "something is there: $(ls -d left*)"

step 'podman-container-tools/skopeo#1237: what an earlier run left damaged at the destination is seen, and made again'
"$VM2OCI" batch --json --quiet cut.txt > whole.json
expect_equal 6 "$(jq .counts.unchanged whole.json)" 'machines that are there'
layer_of() { jq -r '.layers[0].digest | ltrimstr("sha256:")' "cut/blobs/sha256/$(jq -r --arg tag "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $tag) | .digest | ltrimstr("sha256:")' cut/index.json)"; }
rm "cut/blobs/sha256/$(layer_of b)"
truncate --size -1 "cut/blobs/sha256/$(layer_of e)"
"$VM2OCI" batch --json --quiet cut.txt > healed.json
expect_equal 'a=unchanged b=done c=unchanged d=unchanged e=done f=unchanged' "$(states healed.json)" 'the run after the damage'
"$VM2OCI" verify --quiet oci:cut > log

step 'kubev2v/forklift#183, #3: two exports whose names become one are found before anything is converted, and any name finds a place'
cp disks/a.raw 'disks/ERP Server.raw'
cp disks/b.raw disks/erp-server.raw
echo "disks/*erver.raw docker://$registry/vm/{name}:1" > names.txt
expect_exit 2 "$VM2OCI" batch --quiet names.txt
expect_match "line 1: 'disks/erp-server.raw' goes to .* and so does 'disks/ERP Server.raw'" "$(< stderr)" 'the refusal'
rm disks/erp-server.raw
"$VM2OCI" batch --quiet names.txt > log
skopeo inspect --raw --tls-verify=false "docker://$registry/vm/erp-server:1" > log

step 'kubev2v/forklift#2236: never more at once than were allowed, and the end of one does not begin the others anew'
for name in a b c d e f; do echo "disks/$name.raw oci:flight:$name"; done > flight.txt
"$VM2OCI" batch --progress json --jobs 2 flight.txt > log 2> events
python3 - << 'PYTHON'
import json
running, most, begun = set(), 0, []
for line in open("events"):
    event = json.loads(line)
    if event.get("state") == "running" and "phase" not in event:
        running.add(event["name"])
        begun.append(event["name"])
    elif event.get("state") == "done":
        running.remove(event["name"])
    most = max(most, len(running))
assert most == 2 and sorted(begun) == list("abcdef"), (most, begun)
PYTHON

step 'kubev2v/forklift#1087: one that wants more than all may take is made, alone'
"$VM2OCI" batch --dry-run --json --memory 1M flight.txt | jq -e '.memory < .machines[0].memory' > log
rm -r flight flight.txt.state
"$VM2OCI" batch --json --quiet --memory 1M flight.txt > small.json
expect_equal 6 "$(jq .counts.done small.json)" 'machines that were made with less memory than one takes'

step 'kubevirt/containerized-data-importer#2110, harvester/docs#1113: a pod that its limit of memory kills is not begun for ever'
for name in a b; do echo "exports/$name.raw docker://$registry/vm/oom-{name}:1"; done > oom.txt
mkdir -p pods/disks/exports
cp disks/a.raw disks/b.raw pods/disks/exports
"$VM2OCI" batch --for kubernetes --image registry.example/vm2oci:1 --keep-going oom.txt > oom.yaml
sed -i 's/512Mi/1Mi/' oom.yaml
play() { python3 "$VM2OCI_SOURCE_DIR/tests/support/play_job.py" "$@"; }
play oom.yaml "$VM2OCI" "$scratch/pods" > oom.json
expect_equal '{"succeeded":[],"failed":[0,1],"tries":[4,4]}' "$(jq -c . oom.json)" 'the Job'
sed -i 's/1Mi/512Mi/' oom.yaml
play oom.yaml "$VM2OCI" "$scratch/pods" > oom.json
expect_equal '{"succeeded":[0,1],"failed":[],"tries":[1,1]}' "$(jq -c . oom.json)" 'the Job with the memory that is printed'

step 'kubevirt/containerized-data-importer#3511: nothing of the size of a disk is kept beside it while it is pushed'
mkdir scratch-folder
head -c 48M /dev/urandom > disks/large.raw
echo "disks/large.raw docker://$registry/vm/large:1" > large.txt
"$VM2OCI" batch --quiet --tmpdir scratch-folder large.txt > log &
batch=$!
most=0
while kill -0 "$batch" 2> /dev/null; do
    # Files without names count as well: what the processes have open in the folder.
    now=$({ find /proc/[0-9]*/fd -lname "$scratch/scratch-folder/*" -print0 2> /dev/null || true; } |
        { xargs --null --no-run-if-empty stat --dereference --format %b 2> /dev/null || true; } | awk '{ sum += $1 * 512 } END { print sum + 0 }')
    most=$((now > most ? now : most))
done
wait "$batch"
expect_at_most $((1 << 20)) "$most" 'bytes in the folder for temporary files'

step 'oras-project/oras-java#263, podman-container-tools/skopeo#1870: a layout gives back the room of images that are replaced'
small=$(du --bytes --summarize cut | cut -f1)
sed -i 's/zstd:19/zstd:3/; s/$/ --label again=1/' cut.txt
"$VM2OCI" batch --quiet cut.txt > log
"$VM2OCI" prune --older-than 0s oci:cut > log
"$VM2OCI" verify --quiet oci:cut > log
expect_at_most $((small * 12 / 10)) "$(du --bytes --summarize cut | cut -f1)" 'the layout after its images were replaced'

step 'openshift/oc-mirror#491: a set in an archive has all blobs of all its images'
for name in a b c; do echo "disks/$name.raw oci-archive:set.tar:{name}"; done > set.txt
"$VM2OCI" batch --quiet set.txt > log
for name in a b c; do "$VM2OCI" verify --quiet "oci-archive:set.tar:$name" > log; done

step 'the live table stays on the screen, however many run'
mkdir table
for number in $(seq 14); do
    cp --sparse=always disks/large.raw "table/machine-with-a-long-name-$number.raw"
    echo "table/machine-with-a-long-name-$number.raw null: --compression zstd:6"
done > table.txt
python3 - "$VM2OCI" << 'PYTHON'
import fcntl, os, pty, re, struct, sys, termios
ROWS, COLUMNS = 10, 44
child, terminal = pty.fork()
if child == 0:
    os.environ["TERM"] = "xterm"
    os.execv(sys.argv[1], [sys.argv[1], "batch", "--jobs", "12", "--memory", "100G", "table.txt"])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
seen = b""
while True:
    try:
        seen += os.read(terminal, 65536)
    except OSError:
        break
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, seen[-2000:]
text = seen.decode().replace("\r\n", "\n")
ups = [int(count) for count in re.findall("\x1b\\[([0-9]+)A", text)]
assert ups and max(ups) == ROWS - 1, ups
assert re.search("and [0-9]+ more run", text), text[:2000]
for line in re.findall("\n(machine-with-a-long-name-[0-9]+ +(?:look|package|begins)[^\n]*)", text):
    assert len(line) < COLUMNS, line
PYTHON
