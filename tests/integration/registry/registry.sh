# Shared by the registry's tests; sourced after tests/support/integration.sh.
# shellcheck shell=bash disable=SC2034,SC2154

# No login of whoever runs the tests.
unset REGISTRY_AUTH_FILE DOCKER_CONFIG HTTP_PROXY HTTPS_PROXY http_proxy https_proxy ALL_PROXY all_proxy
export HOME=$scratch/home XDG_RUNTIME_DIR=$scratch/run XDG_CONFIG_HOME=$scratch/home/.config
export XDG_CACHE_HOME=$scratch/home/.cache
export CONTAINERS_REGISTRIES_CONF=$scratch/registries.conf
mkdir -p "$HOME" "$XDG_RUNTIME_DIR"
: > "$CONTAINERS_REGISTRIES_CONF"

# start_python NAME SCRIPT ARGUMENTS…: its address is $address, its folder $scratch/NAME.
start_python() {
    local name=$1 script=$2
    shift 2
    in_background python3 "$VM2OCI_SOURCE_DIR/tests/support/$script" "$@"
    wait_until 20 test -s "$scratch/$name/address"
    address=$(< "$scratch/$name/address")
}

# start_proxy UPSTREAM FAULT: its address is $proxy, its process $proxy_pid.
start_proxy() {
    rm -rf "$scratch/proxy"
    start_python proxy faulty_proxy.py --upstream "$1" --fault "$2" --state "$scratch/proxy"
    proxy=$address
    proxy_pid=$started_pid
}

# stop_proxy: what it saw is in $scratch/proxy/seen.json.
stop_proxy() {
    kill "$proxy_pid"
    wait "$proxy_pid" || true
}

# seen NAME: a number of the proxy that was stopped.
seen() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$scratch/proxy/seen.json" "$1"; }

# no_tag ADDRESS REPO TAG: the registry does not have it.
no_tag() {
    local status
    status=$(curl --silent --output /dev/null --write-out '%{http_code}' \
        --header 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$1/v2/$2/manifests/$3")
    expect_equal 404 "$status" "the tag $2:$3 after a failed push"
}
