#!/usr/bin/env bash
# What `cmake --install` puts in place works from there: the program, its manual, its completions in bash, zsh and fish.
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

# fish itself is not among the packages of the tests: each line is a command of the one form that fish has for this.
fish=$prefix/share/fish/vendor_completions.d/vm2oci.fish
grep -q -- "-n '__fish_seen_subcommand_from convert' -l compression -r -d " "$fish" || fail 'fish: an option'
grep -q -- '-n __fish_use_subcommand -a convert -d ' "$fish" || fail 'fish: a command'
! grep -vE "^#|^complete -c vm2oci( -f)?( -n ('[a-z_ -]+'|__fish_use_subcommand))?( -a [a-z]+)?( -[ls] [a-zA-Z-]+)*( -r)? -d '([^'\\\\]|\\\\.)*'$" "$fish" || fail 'fish: a line'

# The manual's pages of concepts and the script for CI come along.
MANPATH=$prefix/share/man man --where 7 vm2oci-registries | grep -q "^$prefix/" || fail 'a page of section 7'
[[ -x $prefix/bin/vm2oci-ci && -e $prefix/share/vm2oci/ci/github/action.yml && -x $prefix/share/vm2oci/push/push-with-curl.sh ]] || fail 'scripts'
