#!/usr/bin/env bash
# What `make demo` shows: the main job on the embedded defaults. Starts the vendor simulator on a free loopback port,
# imports into demo/lake (made anew), shows what it made, and stops the simulator.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
program=build/ticklake
symbols=AAPL,MSFT,NVDA,AMZN,GOOGL,META,TSLA,BRK.B,JPM,V,UNH,XOM,JNJ,WMT,PG,MA,HD,CVX,KO,PEP
export TICKLAKE_LAKE=demo/lake TICKLAKE_STATE=$PWD/demo/state
unset APCA_API_KEY_ID APCA_API_SECRET_KEY TICKLAKE_ALPACA_ENDPOINT

mkdir -p demo
rm -rf demo/lake demo/state
coproc SIMULATOR { exec "$program" simulate --port 0 2>demo/simulator.log; }
trap 'kill "$SIMULATOR_PID" 2>/dev/null || true' EXIT
read -r -t 20 -u "${SIMULATOR[0]}" line || { echo "demo: the simulator did not start; see demo/simulator.log" >&2; exit 1; }
endpoint=${line##* }
export TICKLAKE_ALPACA_ENDPOINT=$endpoint

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() {
  printf '$ ticklake'
  local word
  for word in "$@"; do case $word in *[[:space:]]*) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac; done
  printf '\n'
  "$program" "$@"
}
# On a terminal the program draws a progress bar; in a pipe its log lines, page by page, go to demo/demo.log instead.
fetch() {
  if [ -t 2 ]; then run import "$@"; else run import "$@" --quiet --json --log-file demo/demo.log; fi
}

say "Minute bars of 20 symbols over a month"
run plan 1m "$symbols" 2024-01-02 2024-01-31
fetch 1m "$symbols" 2024-01-02 2024-01-31
say "A day of ticks made into second bars, by the tape's rules"
fetch ticks AAPL,MSFT 2024-01-03 2024-01-03
say "A day of quotes, the tightest one of each second"
fetch quotes AAPL 2024-01-03 2024-01-03
say "Daily bars of a year"
fetch 1d "$symbols" 2023-02-01 2024-01-31
say "The same import again: everything is there, nothing is asked"
fetch 1m "$symbols" 2024-01-02 2024-01-31
say "What the lake holds, and that it is whole"
run coverage 1m AAPL,MSFT
run coverage quotes
run gaps
run audit 1d --quiet >demo/audit.txt
head -n 3 demo/audit.txt
say "Numbers"
run read 1m AAPL 2024-01-03 2024-01-03 --session regular --limit 5
run read quotes AAPL 2024-01-03 2024-01-03 --session regular --limit 5
say "SQL"
run sql "select symbol, count(*) as bars, min(low) as low, max(high) as high, sum(volume)::bigint as volume
  from equities_1min group by symbol order by volume desc limit 5"
say "The files"
(cd demo/lake && find . -name '*.parquet' | sort | sed -n '1,6p' && echo "... $(find . -name '*.parquet' | wc -l) Parquet files, $(du -sh . | cut -f1)")
echo "lake: demo/lake"
