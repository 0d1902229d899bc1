#!/bin/bash
# Signs a pushed image with cosign.
#
#   sign-with-cosign.sh HOST/REPO@sha256:DIGEST [-- OPTION…]
#
# Signs what the digest names, never what a tag happens to name. The key comes from $COSIGN_KEY (a file, a KMS address);
# without it cosign signs keyless, with the identity of the CI job. cosign reads the key's password from
# $COSIGN_PASSWORD. Options behind -- go to `cosign sign`.

source "$(dirname "$(readlink -f "$0")")/common.sh"

[[ ${1:-} != --help ]] || { print_help && exit 0; }
name=${1:-}
[[ $name =~ ^[^@]+@sha256:[0-9a-f]{64}$ ]] || usage_error "HOST/REPO@sha256:DIGEST is needed"
shift
[[ ${1:-} != -- ]] || shift
command -v cosign > /dev/null || die "cosign is not installed: $name was pushed and is not signed"

key=()
[[ -z ${COSIGN_KEY:-} ]] || key=(--key "$COSIGN_KEY")
cosign sign --yes "${key[@]}" "$@" "$name"
