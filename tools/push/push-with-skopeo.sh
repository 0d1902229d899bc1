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

parse_push_arguments "$@"
command -v skopeo > /dev/null || die "skopeo is not installed"
make_scratch
expected=$(skopeo inspect --raw "$source" | sha256sum)
with_attempts "$attempts" skopeo copy --all --preserve-digests --digestfile "$scratch/digest" "${options[@]}" "$source" "$destination" >&2
digest=$(< "$scratch/digest")
[[ $digest == "sha256:${expected%% *}" ]] || die "the registry has $digest, and the image is sha256:${expected%% *}"
finish_push "$digest"
