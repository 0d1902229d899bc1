#!/usr/bin/env bash
# Everything that must hold: installs what is missing, builds with warnings as errors, clang-tidy over what differs from
# main, then every test (unit, style, command line, integration, boot). The unit tests are built once, with ASan and UBSan.
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

unit_tests_from=''
if [[ $# -eq 0 ]]; then
    step 'Build of the unit tests, with AddressSanitizer and UndefinedBehaviorSanitizer'
    unit_tests_from=$PWD/build/sanitized
    cmake --preset sanitized
    cmake --build --preset sanitized --parallel "$jobs" --target unit_tests
fi

step 'Build, warnings as errors'
cmake --preset ci -D VM2OCI_UNIT_TESTS_FROM="$unit_tests_from"
cmake --build --preset ci --parallel "$jobs"

status=0
if [[ $# -eq 0 ]]; then
    step 'clang-tidy over what differs'
    tools/lint.sh || status=$?
fi

step 'Every test'
ctest --preset ci --parallel "$jobs" --no-tests=error "$@" || status=$?
exit "$status"
