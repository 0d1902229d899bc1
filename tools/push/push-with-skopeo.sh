#!/bin/bash
# Pushes a stored image with skopeo, for CI jobs that have no vm2oci at hand.
#
#   push-with-skopeo.sh [--attempts N] [--digest-file FILE] [--sign] SOURCE docker://HOST/REPO:TAG [-- OPTION…]
#
# SOURCE is oci:DIR[:TAG] or oci-archive:FILE[:TAG]. Prints HOST/REPO@DIGEST, which names what was pushed for ever.
# The image is pushed as it is, with all of its architectures; if the registry's digest is not the layout's, it fails.
# --attempts N        how often to try (default 3)
# --digest-file FILE  gets the digest when all is done
# --sign              sign with cosign (sign-with-cosign.sh)
# Options behind -- go to `skopeo copy` (--dest-authfile FILE, --dest-tls-verify=false, …).

source "$(dirname "$(readlink -f "$0")")/common.sh"

attempts=3 digest_file='' sign=no
words=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --attempts) attempts=${2:?a number} && shift 2 ;;
        --digest-file) digest_file=${2:?a file} && shift 2 ;;
        --sign) sign=yes && shift ;;
        --help) print_help && exit 0 ;;
        --) shift && break ;;
        -*) usage_error "unknown option $1" ;;
        *) words+=("$1") && shift ;;
    esac
done
[[ ${#words[@]} -eq 2 ]] || usage_error "SOURCE and docker://… are needed"
[[ $attempts =~ ^[1-9][0-9]*$ ]] || usage_error "--attempts takes a number"
command -v skopeo > /dev/null || die "skopeo is not installed"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
expected=$(skopeo inspect --raw "${words[0]}" | sha256sum)
with_attempts "$attempts" skopeo copy --all --preserve-digests --digestfile "$scratch/digest" "$@" "${words[@]}" >&2
digest=$(< "$scratch/digest")
[[ $digest == "sha256:${expected%% *}" ]] || die "the registry has $digest, and the image is sha256:${expected%% *}"
name=$(name_by_digest "${words[1]}" "$digest")
[[ $sign == no ]] || "$(dirname "$(readlink -f "$0")")/sign-with-cosign.sh" "$name"
[[ -z $digest_file ]] || write_digest "$digest_file" "$digest"
printf '%s\n' "$name"
