#!/bin/bash
# Pushes a stored image with vm2oci, for CI jobs.
#
#   push-with-vm2oci.sh [--attempts N] [--digest-file FILE] [--sign] SOURCE docker://HOST/REPO:TAG [-- OPTION…]
#
# SOURCE is oci:DIR[:TAG] or oci-archive:FILE[:TAG]. Prints HOST/REPO@DIGEST, which names what was pushed for ever.
# --attempts N        how often to try (default 3); every attempt sends only what the registry lacks
# --digest-file FILE  gets the digest when all is done
# --sign              sign with cosign (sign-with-cosign.sh)
# Options behind -- go to `vm2oci push` (--authfile FILE, --tls-verify=false, …). $VM2OCI names the program.

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

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
with_attempts "$attempts" "${VM2OCI:-vm2oci}" push --progress plain --digest-file "$scratch/digest" "$@" "${words[@]}" >&2
digest=$(< "$scratch/digest")
name=$(name_by_digest "${words[1]}" "$digest")
[[ $sign == no ]] || "$(dirname "$(readlink -f "$0")")/sign-with-cosign.sh" "$name"
[[ -z $digest_file ]] || write_digest "$digest_file" "$digest"
printf '%s\n' "$name"
