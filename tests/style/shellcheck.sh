#!/usr/bin/env bash
# Every shell script passes shellcheck, found by its first line.
set -euo pipefail
cd "$(dirname "$0")/../.."
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard |
    while IFS= read -r file; do
        [[ -f $file ]] && head -c 64 "$file" | head -n 1 | tr -d '\0' | grep -qE '^#!.*\b(ba)?sh\b' && printf '%s\n' "$file"
    done)
[[ ${#scripts[@]} -gt 0 ]] || exit 1
shellcheck --severity=warning --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
printf '%d scripts\n' "${#scripts[@]}"
