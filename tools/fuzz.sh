#!/usr/bin/env bash
# tools/fuzz.sh SECONDS [RUNS [K/N]] - runs every fuzz target of build-fuzz/ that long, one after the other, from its committed
# corpus; with RUNS on until so many inputs ran, at most five times as long; with K/N every N-th target from the K-th. New inputs that reach new code stay in build-fuzz/corpus/; a finding is kept as build-fuzz/findings/NAME-... and fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=${1:?usage: tools/fuzz.sh SECONDS [RUNS [K/N]]}
runs_min=${2:-0}
shard=${3:-1/1}
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
mkdir -p build-fuzz/findings
ran=0 failed=()
number=0
for target in build-fuzz/fuzz/*_fuzz; do
  [ -x "$target" ] || continue
  number=$((number + 1))
  [ $(((number - ${shard%/*}) % ${shard#*/})) -eq 0 ] || continue
  name=$(basename "$target")
  grown=build-fuzz/corpus/$name
  mkdir -p "$grown"
  seeds=("$grown")
  if [ -d "tests/fuzz/corpus/$name" ]; then seeds+=("tests/fuzz/corpus/$name"); fi
  words=()
  if [ -f "tests/fuzz/$name.dict" ]; then words=(-dict="tests/fuzz/$name.dict"); fi
  done=0 spent=0
  while [ "$spent" -eq 0 ] || { [ "$done" -lt "$runs_min" ] && [ "$spent" -lt $((seconds * 5)) ]; }; do
    if ! "$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="build-fuzz/findings/$name-" "${words[@]}" "${seeds[@]}" 2>"build-fuzz/$name.log"; then
      tail -n 40 "build-fuzz/$name.log"
      failed+=("$name")
      break
    fi
    done=$((done + $(sed -n 's/^stat::number_of_executed_units: *//p' "build-fuzz/$name.log")))
    spent=$((spent + seconds))
  done
  printf '%-28s %10d inputs in %d s\n' "$name" "$done" "$spent"
  ran=$((ran + 1))
done
if [ "$ran" -eq 0 ]; then
  echo "no fuzz target in build-fuzz/fuzz: run make fuzz" >&2
  exit 1
fi
printf '%d passed, %d failed\n' $((ran - ${#failed[@]})) ${#failed[@]}
[ ${#failed[@]} -eq 0 ]
