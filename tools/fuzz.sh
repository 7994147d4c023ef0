#!/usr/bin/env bash
# tools/fuzz.sh SECONDS - runs every fuzz target of build-fuzz/ that long, one after the other, from its committed corpus.
# New inputs that reach new code stay in build-fuzz/corpus/; a finding is kept as build-fuzz/findings/NAME-... and fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:?usage: tools/fuzz.sh SECONDS}
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
mkdir -p build-fuzz/findings
ran=0 failed=()
for target in build-fuzz/fuzz/*_fuzz; do
  [ -x "$target" ] || continue
  name=$(basename "$target")
  grown=build-fuzz/corpus/$name
  mkdir -p "$grown"
  seeds=("$grown")
  if [ -d "tests/fuzz/corpus/$name" ]; then seeds+=("tests/fuzz/corpus/$name"); fi
  words=()
  if [ -f "tests/fuzz/$name.dict" ]; then words=(-dict="tests/fuzz/$name.dict"); fi
  printf '%s: %s s\n' "$name" "$seconds"
  if "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build-fuzz/findings/$name-" "${words[@]}" "${seeds[@]}" 2>"build-fuzz/$name.log"; then
    grep -E 'number_of_executed_units|DONE' "build-fuzz/$name.log" | sed "s/^/  /"
  else
    tail -n 40 "build-fuzz/$name.log"
    failed+=("$name")
  fi
  ran=$((ran + 1))
done
if [ "$ran" -eq 0 ]; then
  echo "no fuzz target in build-fuzz/fuzz: run make fuzz" >&2
  exit 1
fi
printf '%d passed, %d failed\n' $((ran - ${#failed[@]})) ${#failed[@]}
[ ${#failed[@]} -eq 0 ]
