#!/bin/bash
# Pushes a stored image with curl and jq alone, for CI jobs that have nothing else.
#
#   push-with-curl.sh [--attempts N] [--digest-file FILE] [--sign] SOURCE docker://HOST/REPO:TAG [-- OPTION…]
#
# SOURCE is oci:DIR[:TAG] or oci-archive:FILE[:TAG]. Prints HOST/REPO@DIGEST, which names what was pushed for ever.
# $REGISTRY_TOKEN is a bearer token that may push; or $REGISTRY_USER and $REGISTRY_PASSWORD are asked for by the registry's
# token service, or by itself. None of them stands in an argument. $REGISTRY_SCHEME is https unless it says http.
# --attempts N        how often to try each request (default 3)
# --digest-file FILE  gets the digest when all is done
# --sign              sign with cosign (sign-with-cosign.sh)
# Options behind -- go to curl (--cacert FILE, …). A blob goes in one request: for registries that want less at a time,
# `vm2oci push` sends pieces and resumes.

source "$(dirname "$(readlink -f "$0")")/common.sh"

parse_push_arguments "$@"
command -v curl > /dev/null || die "curl is not installed"
make_scratch
one_image_layout "$source"
name=${destination#docker://}
[[ $name == */* ]] || usage_error "docker://HOST/REPO:TAG is needed"
host=${name%%/*} repository=${name#*/} tag=latest
if [[ ${repository##*/} == *:* ]]; then
    tag=${repository##*:}
    repository=${repository%:*}
fi
base=${REGISTRY_SCHEME:-https}://$host/v2/$repository

# Secrets go to curl by a file.
credentials=$scratch/credentials
(umask 077 && : > "$credentials")
say_credentials() { (umask 077 && printf 'Authorization: %s\n' "$1" > "$credentials"); }
# curl's exit codes are its own; ours says that trying again may help.
request() { curl --silent --show-error --header "@$credentials" "${options[@]}" "$@" || return 1; }

log_in() {
    local challenge realm service
    if [[ -n ${REGISTRY_TOKEN:-} ]]; then
        say_credentials "Bearer $REGISTRY_TOKEN"
        return
    fi
    [[ -n ${REGISTRY_USER:-} ]] || return 0
    say_credentials "Basic $(printf '%s:%s' "$REGISTRY_USER" "${REGISTRY_PASSWORD:-}" | base64 --wrap=0)"
    challenge=$(curl --silent --show-error "${options[@]}" --dump-header - --output "$scratch/answer" "${base%/v2/*}/v2/" |
        sed -n 's/^[Ww][Ww][Ww]-[Aa]uthenticate: [Bb]earer \(.*\)/\1/p' | tr -d '\r')
    [[ -n $challenge ]] || return 0
    realm=$(sed -n 's/.*realm="\([^"]*\)".*/\1/p' <<< "$challenge")
    service=$(sed -n 's/.*service="\([^"]*\)".*/\1/p' <<< "$challenge")
    # A password goes to no other host over an open line.
    [[ $realm == https://* || $realm == "${base%/v2/*}"/* ]] || die "the registry asks for the password at $realm"
    request --fail --get --data-urlencode "service=$service" --data-urlencode "scope=repository:$repository:pull,push" \
        "$realm" > "$scratch/token" || die "no token from $realm: is the login right, and may it push?"
    say_credentials "Bearer $(jq --raw-output '.token // .access_token' "$scratch/token")"
}

blob_file() { printf '%s/blobs/sha256/%s\n' "$layout" "${1#sha256:}"; }

# Everything that is sent is held against its digest first.
checked_file() {
    local file
    [[ $1 =~ ^sha256:[0-9a-f]{64}$ ]] || die "'$1' is no digest"
    file=$(blob_file "$1")
    [[ $(digest_of "$file") == "$1" ]] || die "$file is not what its name says"
    printf '%s\n' "$file"
}

push_blob() {
    local digest=$1 file location
    ! request --fail --head --output "$scratch/answer" "$base/blobs/$digest" 2> "$scratch/head" || return 0
    file=$(checked_file "$digest") || exit 1
    location=$(request --fail --request POST --header 'Content-Length: 0' --dump-header - --output "$scratch/answer" \
        "$base/blobs/uploads/" | sed -n 's/^[Ll]ocation: *//p' | tr -d '\r')
    [[ -n $location ]] || return 1
    [[ $location != /* ]] || location=${base%/v2/*}$location
    # Whoever is told where to upload to gets our token: the registry itself, and nobody else.
    [[ $location == "${base%/v2/*}"/* ]] || die "the registry sends uploads elsewhere, to ${location%%\?*}"
    case $location in *\?*) location+="&digest=$digest" ;; *) location+="?digest=$digest" ;; esac
    request --fail --request PUT --header 'Content-Type: application/octet-stream' --upload-file "$file" \
        --output "$scratch/answer" "$location"
}

push_manifest() {
    local digest=$1 type=$2 reference=$3 file child child_type
    file=$(checked_file "$digest") || exit 1
    while read -r child child_type; do
        push_manifest "$child" "$child_type" "$child"
    done < <(jq --raw-output '.manifests // [] | .[] | "\(.digest) \(.mediaType)"' "$file")
    while read -r child; do
        printf 'push-with-curl.sh: blob %s\n' "$child" >&2
        with_attempts "$attempts" push_blob "$child"
    done < <(jq --raw-output '[.config // empty] + (.layers // []) | .[].digest' "$file" | sort -u)
    with_attempts "$attempts" request --fail --request PUT --header "Content-Type: $type" --data-binary "@$file" \
        --output "$scratch/answer" "$base/manifests/$reference"
}

log_in
push_manifest "$manifest_digest" "$manifest_type" "$tag"
finish_push "$manifest_digest"
