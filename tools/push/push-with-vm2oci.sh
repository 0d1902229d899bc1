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

parse_push_arguments "$@"
make_scratch
with_attempts "$attempts" "${VM2OCI:-vm2oci}" push --progress plain --digest-file "$scratch/digest" "${options[@]}" "$source" "$destination" >&2
finish_push "$(< "$scratch/digest")"
