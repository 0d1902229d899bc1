#!/usr/bin/env bash
# Runs clang-tidy with the checks of .clang-tidy: over what differs from main (committed or not), over all sources, or
# over the files that are named. On main itself, and in a clone without it, over what differs from the commit before;
# over nothing in a clone that has none. All of them take an hour of two processors.
#
#   tools/lint.sh [--all | FILE…]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh --tests
# Every source is compiled by itself here: a unity build's database knows no single file.
cmake --preset ci -B build/lint -D CMAKE_UNITY_BUILD=OFF > /dev/null

# The commit that this branch grew from; empty: there is none.
find_base() {
    local main base
    for main in origin/main main; do
        base=$(git merge-base HEAD "$main" 2> /dev/null) || continue
        [[ $base == "$(git rev-parse HEAD)" ]] || printf '%s' "$base"
        break
    done
}

case "${1-}" in
    --all) mapfile -t files < <(git ls-files '*.cpp') ;;
    '')
        base=$(find_base)
        [[ -n $base ]] || base=$(git rev-parse --verify --quiet 'HEAD^' || git rev-parse HEAD)
        mapfile -t files < <({
            git diff --name-only --diff-filter=d "$base" -- '*.cpp'
            git ls-files --others --exclude-standard '*.cpp'
        } | sort -u)
        ;;
    *) files=("$@") ;;
esac

# Fuzz targets are compiled by another preset, and the library's example by a project of its own.
mapfile -t files < <(printf '%s\n' "${files[@]}" |
    grep -v -e '^tests/fuzz/' -e '^tests/integration/library/example/' -e '^$' || true)
if [[ ${#files[@]} -eq 0 ]]; then
    printf 'lint.sh: no source differs; --all looks at every one\n'
    exit 0
fi
printf '%s\0' "${files[@]}" |
    xargs --null --max-args=1 --max-procs="$(nproc)" \
        clang-tidy-16 -p build/lint --quiet --extra-arg=-Wno-unknown-warning-option
