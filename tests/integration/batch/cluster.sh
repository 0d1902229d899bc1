#!/usr/bin/env bash
# What a cluster is given for a batch: the Job is played by processes, with its indices, retries and exit codes, and its
# pods push to a registry; Tekton's and Argo's objects hold together.
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq python3 skopeo
start_registry

mkdir -p pods/disks/exports
small_disk pods/disks/exports/base.raw 6
for name in a b c d; do
    cp --sparse=always pods/disks/exports/base.raw "pods/disks/exports/$name.raw"
    printf 'machine %s' "$name" | dd of="pods/disks/exports/$name.raw" bs=1 seek=1048576 conv=notrunc status=none
done
for name in a b c d; do
    printf 'raw:exports/%s.raw docker://%s/vm/{name}:1 --label "owner=team: %s"\n' "$name" "$registry" "$name"
done > list.txt
printf 'qcow2:exports/base.raw docker://%s/vm/refused:1\n' "$registry" >> list.txt

print_for() {
    "$VM2OCI" batch --for "$1" --image registry.example/vm2oci:1 "${@:2}" list.txt
}

step 'the Job: four machines are pushed, one of them in a second try, and the refused one is not tried again'
print_for kubernetes --keep-going --state-claim memory --jobs 2 > job.yaml
python3 "$VM2OCI_SOURCE_DIR/tests/support/play_job.py" job.yaml "$VM2OCI" "$scratch/pods" --kill 1 > status.json
expect_equal '{"succeeded":[0,1,2,3],"failed":[4],"tries":[1,2,1,1,1]}' "$(jq -c . status.json)" 'the status'
for name in a b c d; do
    digest=$("$VM2OCI" convert --json --quiet --label "owner=team: $name" "raw:pods/disks/exports/$name.raw" null: | jq -r .digest)
    expect_equal "$digest" "sha256:$(skopeo inspect --raw --tls-verify=false "docker://$registry/vm/$name:1" | sha256sum | cut -d' ' -f1)" "what is pushed of $name"
done
expect_match 'refused' "$(cat pods/pod-4-1.log)" 'the log of the refused one'

step 'the logs of the pods become one summary'
expect_exit 3 "$VM2OCI" batch --gather --json pods/pod-0-1.log pods/pod-1-2.log pods/pod-2-1.log pods/pod-3-1.log pods/pod-4-1.log
expect_equal '4 1' "$(jq -r '"\(.counts.done) \(.counts.refused)"' stdout)" 'what became of the machines'

step 'the same Job again makes nothing'
python3 "$VM2OCI_SOURCE_DIR/tests/support/play_job.py" job.yaml "$VM2OCI" "$scratch/pods" > again.json
expect_equal '[0,1,2,3]' "$(jq -c .succeeded again.json)" 'what succeeded'
for index in 0 1 2 3; do
    expect_match '"state": "unchanged"' "$(cat "pods/pod-$index-1.log")" "the second run of pod $index"
done

step 'without --keep-going the first that fails for good ends the Job'
print_for kubernetes --jobs 1 > stop.yaml
sed -i "s|vm/{name}:1|vm/other-{name}:1|; s|raw:exports/a.raw|qcow2:exports/a.raw|" stop.yaml
rm -r pods/state
python3 "$VM2OCI_SOURCE_DIR/tests/support/play_job.py" stop.yaml "$VM2OCI" "$scratch/pods" > stop.json
expect_equal '{"succeeded":[],"failed":[0],"tries":[1,0,0,0,0]}' "$(jq -c . stop.json)" 'the status'

step "Tekton's and Argo's objects name what is there"
print_for tekton > tekton.yaml
print_for argo --name old-machines > argo.yaml
python3 - << 'PYTHON'
import re, yaml
config, task, pipeline = yaml.safe_load_all(open("tekton.yaml"))
step, = task["spec"]["steps"]
words = " ".join(step["args"])
for kind, names in (("params", [p["name"] for p in task["spec"]["params"]]), ("results", [r["name"] for r in task["spec"]["results"]]),
                    ("workspaces", [w["name"] for w in task["spec"]["workspaces"]])):
    used = set(re.findall(r"\$\(%s\.([A-Za-z_]+)" % kind, words + str(step)))
    assert used == set(names) or kind == "workspaces" and used <= set(names), (kind, used, names)
assert {m["name"] for m in step["volumeMounts"]} == {v["name"] for v in task["spec"]["volumes"]}
assert [p["value"] for p in pipeline["spec"]["tasks"][0]["matrix"]["params"]] == [["0", "1", "2", "3", "4"]]
assert pipeline["spec"]["tasks"][0]["taskRef"]["name"] == task["metadata"]["name"]
config, workflow = yaml.safe_load_all(open("argo.yaml"))
templates = {t["name"]: t for t in workflow["spec"]["templates"]}
step = templates[workflow["spec"]["entrypoint"]]["steps"][0][0]
container = templates[step["template"]]["container"]
assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in workflow["spec"]["volumes"]}
assert workflow["metadata"]["name"] == "old-machines" and config["metadata"]["name"] == "old-machines-list"
for text in (str(step), str(container)):
    assert "--for" not in text
PYTHON

step 'what pods cannot do is refused'
expect_exit 2 "$VM2OCI" batch --for kubernetes list.txt
expect_match 'give --image' "$(cat stderr)" 'what to do'
printf 'exports/*.raw docker://registry.example/vm/{name}:1\n' > patterns.txt
expect_exit 2 "$VM2OCI" batch --for argo --image x patterns.txt
printf 'a.raw oci:images:a\n' > layout.txt
expect_exit 2 "$VM2OCI" batch --for argo --image x layout.txt
