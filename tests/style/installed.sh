#!/usr/bin/env bash
# What `cmake --install` puts in place works from there: the program, its manual, its completions in bash and zsh.
#
#   installed.sh BUILD-FOLDER
set -euo pipefail
prefix=$(mktemp --directory)
trap 'rm -rf "$prefix"' EXIT
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

cmake --install "$1" --prefix "$prefix" > /dev/null
(cd "$prefix" && find . ! -type d | sort)
export PATH=$prefix/bin:$PATH
[[ $(vm2oci --version) == vm2oci\ * ]] || fail 'the program'
MANPATH=$prefix/share/man man --where vm2oci | grep -q "^$prefix/" || fail 'the manual'

complete_in_bash() {
    bash --norc -c '
        source "$1"
        COMP_WORDS=("${@:2}")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        compopt() { :; }
        _vm2oci
        printf "%s\n" "${COMPREPLY[@]}"
    ' - "$prefix/share/bash-completion/completions/vm2oci" "$@"
}
[[ $(complete_in_bash vm2oci conv) == convert ]] || fail 'bash: a command'
[[ $(complete_in_bash vm2oci convert --compr) == --compression ]] || fail 'bash: an option of the command'
[[ $(complete_in_bash vm2oci convert --prog) == --progress ]] || fail 'bash: an option of every command'
[[ -z $(complete_in_bash vm2oci convert --nonsense) ]] || fail 'bash: an option that does not exist'

zsh -f -c '
    fpath=($1 $fpath)
    autoload -Uz compinit && compinit -u -D
    [[ ${_comps[vm2oci]} == _vm2oci ]] || exit 1
    autoload -Uz +X _vm2oci
' - "$prefix/share/zsh/site-functions" || fail 'zsh does not load the completion'
grep -q -- "'\*--compression\[" "$prefix/share/zsh/site-functions/_vm2oci" || fail 'zsh: an option'
