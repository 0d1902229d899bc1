#!/usr/bin/env bash
# Builds etcd, kube-apiserver and kube-controller-manager of one version from Kubernetes' Go module, by hand: for
# tests/cluster/kubernetes.sh. Takes Go, the module proxy that Go is set up with, 3 GiB and a quarter of an hour.
#
#   tests/cluster/build.sh FOLDER [VERSION]    VERSION: 1.31.4
set -euo pipefail
mkdir -p "${1:?usage: build.sh FOLDER [VERSION]}"
folder=$(realpath "$1") version=${2:-1.31.4}
source=$(mktemp --directory "${TMPDIR:-/var/tmp}/vm2oci-cluster.XXXXXX")
trap 'rm -rf "$source"' EXIT
cd "$source"

# The parts of Kubernetes are modules of their own, which its module wants from where it lies: the released ones do.
printf 'module cluster\n\ngo 1.22.0\n' > go.mod
module=$(go mod download -json "k8s.io/kubernetes@v$version" | python3 -c 'import json, sys; print(json.load(sys.stdin)["GoMod"])')
{
    printf '\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$version"
    sed -nE "s|^\s+(k8s.io/[a-z0-9-]+) v0\.0\.0\$|  \1 => \1 v0.${version#*.}|p" "$module" | sort -u
    echo ')'
} >> go.mod
mkdir etcd
cat > etcd/main.go << 'GO'
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
GO
cat > tools.go << 'GO'
//go:build tools

package tools

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
)
GO
go mod tidy -e
export CGO_ENABLED=0
minor=${version#*.}
flags="-s -w -X k8s.io/component-base/version.gitVersion=v$version -X k8s.io/component-base/version.gitMajor=${version%%.*}"
flags+=" -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
go build -o "$folder/etcd" ./etcd
for program in kube-apiserver kube-controller-manager; do
    go build -ldflags "$flags" -o "$folder/$program" "k8s.io/kubernetes/cmd/$program"
done
