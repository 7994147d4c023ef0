#!/usr/bin/env bash
# tools/reliability.sh SHARD - the CI column of the reliability scorecard, e.g. 2/4 for the second of four shards of at
# most 90 minutes; 1/1 is everything. `make test` runs the same with a twentieth of the counts.
# tests/reliability reads TICKLAKE_RELIABILITY_SCALE (1, or 0.05) and TICKLAKE_RELIABILITY_SHARD (K/N: every N-th line).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export TICKLAKE_RELIABILITY_SCALE=1 TICKLAKE_RELIABILITY_SHARD=${1:-1/1}
export TICKLAKE_BIN=$PWD/build-dev/ticklake TICKLAKE_LIB=$PWD/build-dev/libticklake.so
export TICKLAKE_BUILD=$PWD/build-dev TICKLAKE_SOURCE=$PWD PYTHONDONTWRITEBYTECODE=1
exec .deps/venv/bin/python -m pytest -v -p no:cacheprovider tests/reliability
