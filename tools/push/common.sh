# What the push scripts share; sourced.
# shellcheck shell=bash
set -euo pipefail

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

usage_error() {
    printf '%s: %s; see %s --help\n' "${0##*/}" "$*" "${0##*/}" >&2
    exit 2
}

# The comment at the head of the script.
print_help() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0"
}

# parse_push_arguments ARGUMENT…: sets $source, $destination, $attempts, $digest_file, $sign (yes or no), and ${options[@]}
# to what stands behind "--".
parse_push_arguments() {
    attempts=3 digest_file='' sign=no
    local words=()
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
    options=("$@")
    [[ ${#words[@]} -eq 2 ]] || usage_error "SOURCE and docker://… are needed"
    [[ $attempts =~ ^[1-9][0-9]*$ ]] || usage_error "--attempts takes a number"
    source=${words[0]} destination=${words[1]}
}

# A folder, $scratch, that goes when the script ends.
make_scratch() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
}

# finish_push DIGEST: signs if that was asked for, writes the digest file last, prints the name by digest.
finish_push() {
    local name
    name=$(name_by_digest "$destination" "$1")
    [[ $sign == no ]] || "$(dirname "$(readlink -f "$0")")/sign-with-cosign.sh" "$name"
    [[ -z $digest_file ]] || write_digest "$digest_file" "$1"
    printf '%s\n' "$name"
}

# with_attempts N COMMAND…: again after 2, 4, 8 … seconds ($PUSH_DELAY instead of 2). Exit codes that another attempt
# cannot change (a wrong command line, a refused input) end it at once.
with_attempts() {
    local attempts=$1 attempt=1 delay=${PUSH_DELAY:-2} status
    shift
    while true; do
        status=0
        "$@" || status=$?
        [[ $status -ne 0 ]] || return 0
        [[ $status -ne 2 && $status -ne 3 && $status -ne 130 && $attempt -lt $attempts ]] || return "$status"
        printf '%s: attempt %d of %d failed, the next one in %s s\n' "${0##*/}" "$attempt" "$attempts" "$delay" >&2
        sleep "$delay"
        delay=$((delay * 2))
        attempt=$((attempt + 1))
    done
}

# write_digest FILE DIGEST: all or nothing.
write_digest() {
    local temporary
    temporary=$(mktemp "$1.XXXXXX")
    printf '%s' "$2" > "$temporary"
    chmod 0644 "$temporary"
    mv -f "$temporary" "$1"
}

# The registry's name of the image, by its digest: what signing and deploying should use.
name_by_digest() {
    local name=${1#docker://}
    name=${name%@*}
    [[ ${name##*/} != *:* ]] || name=${name%:*}
    printf '%s@%s\n' "$name" "$2"
}

# one_image_layout SOURCE: makes $layout, an OCI layout that holds the image of SOURCE alone, under the tag "image", for
# tools that push whole layouts; sets $manifest_digest and $manifest_type.
one_image_layout() {
    local folder tag reference entries
    case $1 in
        oci:*) reference=${1#oci:} ;;
        oci-archive:*) reference=${1#oci-archive:} ;;
        *) usage_error "SOURCE is oci:DIR[:TAG] or oci-archive:FILE[:TAG]" ;;
    esac
    folder=${reference%%:*} tag=
    [[ $reference != *:* ]] || tag=${reference#*:}
    command -v jq > /dev/null || die "jq is not installed"
    if [[ $1 == oci-archive:* ]]; then
        mkdir "$scratch/unpacked"
        tar -C "$scratch/unpacked" -xf "$folder"
        folder=$scratch/unpacked
    fi
    [[ -r $folder/index.json ]] || die "$folder is no OCI layout"
    entries=$(jq --compact-output --arg tag "$tag" '[.manifests[]
        | select($tag == "" or .annotations["org.opencontainers.image.ref.name"] == $tag)]' "$folder/index.json")
    [[ $(jq length <<< "$entries") -eq 1 ]] || die "$1 names $(jq length <<< "$entries") images; name one by its tag"
    layout=$scratch/one
    mkdir "$layout"
    ln -s "$(realpath "$folder/blobs")" "$layout/blobs"
    cp "$folder/oci-layout" "$layout/"
    jq --compact-output '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [.[0]
        | .annotations = {"org.opencontainers.image.ref.name": "image"}]}' <<< "$entries" > "$layout/index.json"
    manifest_digest=$(jq --raw-output '.[0].digest' <<< "$entries")
    # shellcheck disable=SC2034 # for whoever sources this
    manifest_type=$(jq --raw-output '.[0].mediaType' <<< "$entries")
    [[ $manifest_digest =~ ^sha256:[0-9a-f]{64}$ ]] || die "the digest in $folder/index.json is none"
}

# The digest of what a file holds.
digest_of() { printf 'sha256:%s\n' "$(sha256sum < "$1" | cut -d ' ' -f 1)"; }
