#!/usr/bin/env bash
# What `batch --for kubernetes` prints, on a real API server with its controllers: it is taken as it is, into a namespace
# that allows only restricted pods, and the Job comes to its end with pods that are processes of this machine. By hand:
#
#   VM2OCI=… tests/cluster/kubernetes.sh PROGRAMS [DEFINITIONS…]
#
# PROGRAMS is what tests/cluster/build.sh has made. DEFINITIONS are YAML files with Tekton's and Argo's own definitions
# (config/300-crds of tektoncd/pipeline, manifests/base/crds/full of argo-workflows): with them, what is printed for these
# is held against their schemas, too.
VM2OCI_SOURCE_DIR=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
export VM2OCI_SOURCE_DIR VM2OCI=${VM2OCI:-$VM2OCI_SOURCE_DIR/build/ci/tools/vm2oci/vm2oci}
programs=$(realpath "${1:?usage: kubernetes.sh PROGRAMS [DEFINITIONS…]}")
definitions=()
for file in "${@:2}"; do definitions+=("$(realpath "$file")"); done
source "$VM2OCI_SOURCE_DIR/tests/support/integration.sh"
require_tool jq python3 curl openssl docker-registry skopeo
start_registry
cluster=$VM2OCI_SOURCE_DIR/tests/cluster

step 'the servers, on loopback'
read -r etcd_port peer_port api_port manager_port < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(s.getsockname()[1] for s in sockets))')
token=$(openssl rand -hex 16)
server=https://127.0.0.1:$api_port
echo "$token,tester,tester,system:masters" > tokens.csv
openssl genrsa -out accounts.key 2048 2> openssl.log
in_background "$programs/etcd" --data-dir etcd --listen-client-urls "http://127.0.0.1:$etcd_port" \
    --advertise-client-urls "http://127.0.0.1:$etcd_port" --listen-peer-urls "http://127.0.0.1:$peer_port" \
    --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" --initial-cluster "default=http://127.0.0.1:$peer_port"
in_background "$programs/kube-apiserver" --etcd-servers "http://127.0.0.1:$etcd_port" --bind-address 127.0.0.1 \
    --advertise-address 127.0.0.1 --secure-port "$api_port" --cert-dir api-certificates --authorization-mode RBAC \
    --token-auth-file tokens.csv --service-cluster-ip-range 10.0.0.0/24 --service-account-issuer "$server" \
    --service-account-key-file accounts.key --service-account-signing-key-file accounts.key
api() { curl --silent --insecure --header "Authorization: Bearer $token" "$@"; }
wait_until 180 api --fail "$server/readyz"
cat > manager.conf << YAML
apiVersion: v1
kind: Config
clusters: [{name: it, cluster: {server: "$server", insecure-skip-tls-verify: true}}]
users: [{name: it, user: {token: "$token"}}]
contexts: [{name: it, context: {cluster: it, user: it}}]
current-context: it
YAML
# All controllers but those that watch over nodes: the only one is played.
in_background "$programs/kube-controller-manager" --kubeconfig manager.conf --leader-elect=false --bind-address 127.0.0.1 \
    --secure-port "$manager_port" --cert-dir manager-certificates --service-account-private-key-file accounts.key \
    --controllers '*,-node-lifecycle-controller,-pod-garbage-collector-controller'
api "$server/version" | jq -r '"   kube-apiserver \(.gitVersion)"'
apply() { python3 "$cluster/api.py" "$server" "$token" machines "$@"; }
apply << 'YAML' > applied
apiVersion: v1
kind: Namespace
metadata: {name: machines, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Node
metadata: {name: this-machine}
YAML
wait_until 60 api --fail "$server/api/v1/namespaces/machines/serviceaccounts/default"

mkdir -p pods/disks/exports
small_disk pods/disks/exports/base.raw 6
for name in a b c d; do
    cp --sparse=always pods/disks/exports/base.raw "pods/disks/exports/$name.raw"
    printf 'machine %s' "$name" | dd of="pods/disks/exports/$name.raw" bs=1 seek=1048576 conv=notrunc status=none
    echo "raw:exports/$name.raw docker://$registry/vm/{name}:1 --label 'owner=team: $name'"
done > good.txt
{
    cat good.txt
    echo "qcow2:exports/base.raw docker://$registry/vm/refused:1"
} > mixed.txt

# play JOB LIST [OPTION… of batch] [-- OPTION… of kubelet.py]: its status goes to JOB.json.
play() {
    local job=$1 list=$2 options=()
    shift 2
    while [[ $# -gt 0 && $1 != -- ]]; do
        options+=("$1")
        shift
    done
    "$VM2OCI" batch --for kubernetes --image registry.example/vm2oci:1 --name "$job" "${options[@]}" "$list" > "$job.yaml"
    apply < "$job.yaml" > applied || fail "the API server does not take it"
    python3 "$cluster/kubelet.py" "$server" "$token" machines "$job" "$VM2OCI" "$scratch/pods" "${@:2}" > "$job.json"
}
state_of() { jq -r '"\([.conditions[] | select(.status == "True") | "\(.type) \(.reason // "")"] | last) completed \(.completedIndexes) failed \(.failedIndexes)"' "$1.json"; }
pods_of() { jq -n '[inputs] | length' < <(find pods -name "$1-$2-*.log" -printf '"%f"\n'); }

step 'four machines are pushed; one is killed, one is evicted, and both are made by another pod'
play good good.txt --jobs 2 -- --kill 1 --evict 2
state_of good | tee state
expect_match '^Complete .*completed 0-3 ' "$(< state)" 'the Job'
expect_equal '2 2' "$(pods_of good 1) $(pods_of good 2)" 'pods of what was killed and of what was evicted'
for name in a b c d; do
    digest=$("$VM2OCI" convert --json --quiet --label "owner=team: $name" "raw:pods/disks/exports/$name.raw" null: | jq -r .digest)
    expect_equal "$digest" "sha256:$(skopeo inspect --raw --tls-verify=false "docker://$registry/vm/$name:1" | sha256sum | cut -d' ' -f1)" "what is pushed of $name"
done
"$VM2OCI" batch --gather --json pods/good-*.log | jq -c .counts

step 'with --keep-going one that is refused fails its index at its first try, and no other'
play mixed mixed.txt --jobs 2 --keep-going
state_of mixed | tee state
expect_match '^Failed FailedIndexes completed 0-3 failed 4$' "$(< state)" 'the Job'
expect_equal 1 "$(pods_of mixed 4)" 'pods of the refused one'

step 'without it the first that fails for good ends the Job'
sed 's|raw:exports/a|qcow2:exports/a|' good.txt > first.txt
play first first.txt --jobs 1
state_of first | tee state
expect_match '^Failed MaxFailedIndexesExceeded .*failed 0$' "$(< state)" 'the Job'
expect_equal 1 "$(find pods -name 'first-*.log' | wc -l)" 'pods in all'

step 'what fails by what is around it is tried four times, at growing intervals'
sed "2s|docker://$registry/|docker://127.0.0.1:1/|" good.txt > unreachable.txt
began=$SECONDS
play unreachable unreachable.txt --keep-going
state_of unreachable | tee state
expect_match '^Failed FailedIndexes completed 0,2,3 failed 1$' "$(< state)" 'the Job'
expect_equal 4 "$(pods_of unreachable 1)" 'pods of the one that cannot be pushed'
printf '   %d s\n' $((SECONDS - began))

step 'the longest names, and many machines'
for count in 1 11 1001; do
    for ((i = 0; i < count; ++i)); do echo "m$i.raw docker://registry.example/vm/m$i:1"; done > many.txt
    for size in 62 61 60 59 58 57; do
        name=$(printf 'n%.0s' $(seq "$size"))
        "$VM2OCI" batch --for kubernetes --image registry.example/vm2oci:1 --keep-going --name "$name" many.txt > many.yaml 2> many.log || continue
        apply --dry-run < many.yaml > applied || fail "a name of $size characters for $count machines is not taken"
        printf '   %d machines: a name of %d characters\n' "$count" "$size"
        break
    done
done

[[ ${#definitions[@]} -gt 0 ]] || exit 0
step "Tekton's and Argo's objects fit their schemas"
for file in "${definitions[@]}"; do apply < "$file" > applied || fail "$file is not taken"; done
for target in tekton argo; do
    for options in '' '--keep-going --state-claim memory'; do
        # shellcheck disable=SC2086 # words
        "$VM2OCI" batch --for "$target" --image registry.example/vm2oci:1 $options mixed.txt > objects.yaml
        apply < objects.yaml | sed 's/^/   /' || fail "what is printed for $target is not taken"
    done
done
step 'and a field that is none is refused, so that they were looked at'
sed 's/^  description: /  descriptoin: /' <("$VM2OCI" batch --for tekton --image registry.example/vm2oci:1 mixed.txt) > wrong.yaml
if apply --dry-run < wrong.yaml > applied 2>&1; then fail 'a field of another name was taken'; fi
sed 's/^    /   /' applied
