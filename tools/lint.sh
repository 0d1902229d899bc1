#!/usr/bin/env bash
# Runs clang-tidy with the checks of .clang-tidy: over what differs from main (committed or not), over all sources, or
# over the files that are named. All of them take some minutes.
#
#   tools/lint.sh [--all | FILE…]
set -euo pipefail
cd "$(dirname "$0")/.."

tools/setup.sh --lint
cmake --preset ci > /dev/null

case "${1-}" in
    --all) mapfile -t files < <(git ls-files '*.cpp') ;;
    '')
        base=$(git merge-base HEAD origin/main 2> /dev/null || git merge-base HEAD main)
        mapfile -t files < <({
            git diff --name-only --diff-filter=d "$base" -- '*.cpp'
            git ls-files --others --exclude-standard '*.cpp'
        } | sort -u)
        ;;
    *) files=("$@") ;;
esac

# Fuzz targets are compiled by another preset.
mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v -e '^tests/fuzz/' -e '^$' || true)
if [[ ${#files[@]} -eq 0 ]]; then
    printf 'lint.sh: no source differs from main; --all looks at every one\n'
    exit 0
fi
printf '%s\0' "${files[@]}" |
    xargs --null --max-args=1 --max-procs="$(nproc)" clang-tidy-16 -p build/ci --quiet --extra-arg=-Wno-unknown-warning-option
