#!/usr/bin/env bash
# Fuzzes with libFuzzer, ASan and UBSan: every target, or those that are named, for so many seconds each.
#
#   tools/fuzz.sh [SECONDS] [TARGET…]        (default: 60 seconds, all targets of tests/fuzz)
#
# What a target learns stays in build/fuzz/corpus/TARGET for the next run. An input that fails is kept in
# build/fuzz/findings, with the command that repeats it.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60
if [[ ${1-} =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi

tools/setup.sh --lint
cmake --preset fuzz
cmake --build --preset fuzz --parallel "$(nproc)" --target fuzz_targets

targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
    mapfile -t targets < <(find build/fuzz/fuzz -maxdepth 1 -type f -executable -name 'fuzz_*' -printf '%f\n' |
        sed 's/^fuzz_//' | sort)
fi

status=0
mkdir -p build/fuzz/findings
for target in "${targets[@]}"; do
    printf '\n== %s, %d s\n' "$target" "$seconds"
    corpus=build/fuzz/corpus/$target
    mkdir -p "$corpus"
    folders=("$corpus")
    [[ -d tests/fuzz/seeds/$target ]] && folders+=("tests/fuzz/seeds/$target")
    if ! "build/fuzz/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -max_len=1048576 \
        -print_final_stats=1 -verbosity=1 -artifact_prefix="build/fuzz/findings/$target-" "${folders[@]}" \
        2> "build/fuzz/$target.log"; then
        status=1
        tail -n 40 "build/fuzz/$target.log"
        printf 'failed; repeat with: build/fuzz/fuzz/fuzz_%s build/fuzz/findings/%s-…\n' "$target" "$target"
    else
        grep -E '^stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb)' "build/fuzz/$target.log"
    fi
done
exit "$status"
