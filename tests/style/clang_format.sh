#!/usr/bin/env bash
# Every source stands as clang-format would write it. To mend: git ls-files '*.[ch]pp' | xargs clang-format -i
set -euo pipefail
cd "$(dirname "$0")/../.."
git ls-files -z --cached --others --exclude-standard '*.cpp' '*.hpp' '*.c' '*.h' |
    xargs --null --max-args=40 --max-procs="$(nproc)" clang-format --dry-run --Werror
