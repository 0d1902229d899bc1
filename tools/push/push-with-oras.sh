#!/bin/bash
# Pushes a stored image with oras, for CI jobs that have that.
#
#   push-with-oras.sh [--attempts N] [--digest-file FILE] [--sign] SOURCE docker://HOST/REPO:TAG [-- OPTION…]
#
# SOURCE is oci:DIR[:TAG] or oci-archive:FILE[:TAG]. Prints HOST/REPO@DIGEST, which names what was pushed for ever.
# --attempts N        how often to try (default 3)
# --digest-file FILE  gets the digest when all is done
# --sign              sign with cosign (sign-with-cosign.sh)
# Options behind -- go to `oras cp` (--to-plain-http, --to-registry-config FILE, …).

source "$(dirname "$(readlink -f "$0")")/common.sh"

parse_push_arguments "$@"
command -v oras > /dev/null || die "oras is not installed"
make_scratch
one_image_layout "$source"
with_attempts "$attempts" oras cp --from-oci-layout "${options[@]}" "$layout:image" "${destination#docker://}" > "$scratch/said"
cat "$scratch/said" >&2
# "Digest: sha256:…" is its last line.
digest=$(sed -n 's/^Digest: \(sha256:[0-9a-f]*\)$/\1/p' "$scratch/said")
[[ $digest == "$manifest_digest" ]] || die "oras pushed '$digest', and the image is $manifest_digest"
finish_push "$digest"
