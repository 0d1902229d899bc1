#!/usr/bin/env bash
# Everything that must hold: installs what is missing, builds with warnings as errors, runs the unit tests under ASan
# and UBSan, clang-tidy over what differs from main, then every test (unit, style, command line, integration, boot).
#
#   tools/test.sh                 all of it
#   tools/test.sh CTEST-OPTION…   the same build, then only these tests, such as -L unit or -R integration/skopeo
#
# Long jobs have commands of their own: tools/fuzz.sh, tools/lint.sh --all, tests/bench/convert.py.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=$(nproc)
step() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }

step 'Packages'
tools/setup.sh --tests

step 'Build, warnings as errors'
cmake --preset ci
cmake --build --preset ci --parallel "$jobs"

status=0
if [[ $# -eq 0 ]]; then
    step 'Unit tests under AddressSanitizer and UndefinedBehaviorSanitizer'
    cmake --preset sanitized
    cmake --build --preset sanitized --parallel "$jobs" --target unit_tests
    ctest --preset sanitized --parallel "$jobs" --label-regex '^unit$' || status=$?
fi

if [[ $# -eq 0 ]]; then
    step 'clang-tidy over what differs'
    tools/lint.sh || status=$?
fi

step 'Every test'
ctest --preset ci --parallel "$jobs" --no-tests=error "$@" || status=$?
exit "$status"
