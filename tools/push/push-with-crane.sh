#!/bin/bash
# Pushes a stored image with crane, for CI jobs that have that.
#
#   push-with-crane.sh [--attempts N] [--digest-file FILE] [--sign] SOURCE docker://HOST/REPO:TAG [-- OPTION…]
#
# SOURCE is oci:DIR[:TAG] or oci-archive:FILE[:TAG]. Prints HOST/REPO@DIGEST, which names what was pushed for ever.
# --attempts N        how often to try (default 3)
# --digest-file FILE  gets the digest when all is done
# --sign              sign with cosign (sign-with-cosign.sh)
# Options behind -- go to crane (--insecure, …). The login is that of `crane auth login` or `docker login`.

source "$(dirname "$(readlink -f "$0")")/common.sh"

parse_push_arguments "$@"
command -v crane > /dev/null || die "crane is not installed"
make_scratch
one_image_layout "$source"
name=${destination#docker://}
# crane pushes the index.json of a layout as the index, so that an index of the layout's must be that; of a layout with one
# image it pushes that.
what=()
if [[ $manifest_type == *index* || $manifest_type == *manifest.list* ]]; then
    what=(--index)
    cp "$layout/blobs/${manifest_digest/://}" "$layout/index.json"
fi
with_attempts "$attempts" crane push "${what[@]}" "${options[@]}" "$layout" "$name" >&2
digest=$(crane digest "${options[@]}" "$name")
[[ $digest == "$manifest_digest" ]] || die "the registry has $digest, and the image is $manifest_digest"
finish_push "$digest"
