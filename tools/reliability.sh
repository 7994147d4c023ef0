#!/usr/bin/env bash
# tools/reliability.sh SHARD - the CI column of the reliability scorecard, e.g. 2/4 for the second of four shards of at
# most 90 minutes; 1/1 is everything. `make test` runs the same with a twentieth of the counts.
#   every shard  its part of tests/reliability (TICKLAKE_RELIABILITY_SCALE=1, TICKLAKE_RELIABILITY_SHARD=K/N) and of the fuzz
#                targets: 2 million inputs and a minute each
#   the first    the other tests under AddressSanitizer and UndefinedBehaviorSanitizer      the last: under ThreadSanitizer
# Figures and seeds: build-dev/reliability-K-of-N.log. A failure prints the TICKLAKE_SEED that replays it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
shard=${1:-1/1}
k=${shard%/*} n=${shard#*/}
log=build-dev/reliability-$k-of-$n.log
export TICKLAKE_RELIABILITY_SCALE=1 TICKLAKE_RELIABILITY_SHARD=$shard
export TICKLAKE_BIN=$PWD/build-dev/ticklake TICKLAKE_LIB=$PWD/build-dev/libticklake.so
export TICKLAKE_BUILD=$PWD/build-dev TICKLAKE_SOURCE=$PWD PYTHONDONTWRITEBYTECODE=1
failed=()
step() { # step NAME COMMAND...
  local name=$1 began=$SECONDS
  shift
  echo "== $name"
  "$@" || failed+=("$name")
  echo "== $name: $((SECONDS - began)) s"
}
{
  if [ "$k" -eq 1 ]; then step asan make --no-print-directory test-asan CTEST_ARGS="-LE reliability"; fi
  if [ "$k" -eq "$n" ]; then step tsan make --no-print-directory test-tsan CTEST_ARGS="-LE reliability"; fi
  step fuzz-build make --no-print-directory fuzz-build
  step fuzz tools/fuzz.sh 60 2000000 "$shard"
  step reliability .deps/venv/bin/python -m pytest -v -rP -p no:cacheprovider tests/reliability
  echo "${#failed[@]} steps failed: ${failed[*]:-none}"
  [ ${#failed[@]} -eq 0 ]
} 2>&1 | tee "$log"
