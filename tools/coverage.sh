#!/usr/bin/env bash
# tools/coverage.sh BUILD LINES BRANCHES - runs the tests of a coverage build; fails when less than so many per cent of
# the lines or branches of src/ ran. BUILD/coverage.txt has the table per file, BUILD/coverage/ the marked sources.
# Counted is libticklake.so, which holds all of src/; what the unit tests ran of the same functions is merged in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
build=${1:?usage: tools/coverage.sh BUILD LINES BRANCHES}
lines_min=${2:?}
branches_min=${3:?}
failed=0
rm -rf "$build/profiles"
ctest --preset coverage -LE 'tidy|interop|reliability' || failed=1
llvm-profdata merge -sparse -o "$build/all.profdata" "$build"/profiles/*.profraw
view=("$build/libticklake.so" "-instr-profile=$build/all.profdata")
llvm-cov report "${view[@]}" -show-branch-summary >"$build/coverage.txt"
llvm-cov show "${view[@]}" -format=html -show-branches=count -output-dir="$build/coverage"
# The last line: TOTAL, then total, missed and per cent of regions, functions, lines, branches.
awk -v lines_min="$lines_min" -v branches_min="$branches_min" '
  /^TOTAL/ {
    lines = $10; branches = $13; seen = 1
    printf "src/: lines %s (at least %s%%), branches %s (at least %s%%)\n", lines, lines_min, branches, branches_min
    exit !(lines + 0 >= lines_min && branches + 0 >= branches_min)
  }
  END { if (!seen) { print "no total in the coverage report"; exit 1 } }' "$build/coverage.txt" || failed=1
exit "$failed"
