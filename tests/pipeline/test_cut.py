"""A chain of one symbol that holds much gives up its finished part while it goes on: the rows are the same, each once, at
whatever instant the cut falls. 64 MiB and 16 threads leave a chain 4 MiB, so a few days of ticks are cut.
Seconds made of ticks never come to that: their chains end with the day."""
import re

import harness
import pytest
import truth

SMALL = ["--max-memory", "64M", "--threads", "16", "--pages-per-unit", "1000", "--partitioning", "plain"]
# How dense a market, from when, to when: enough for a cut, few enough for a truth in Python.
SPANS = {"trades": ("2", "2024-01-03", "2024-01-04"), "raw-quotes": ("0.2", "2024-01-03", "2024-01-03")}
TRUTH = {"trades": truth.trades, "raw-quotes": truth.quotes}


@pytest.mark.parametrize("kind", TRUTH)
def test_a_chain_that_is_cut_gives_the_same_rows(kind, tmp_path):
    density, *span = SPANS[kind]
    with harness.Simulator("--seed", 11, "--density", density, "--rate", 1_000_000) as sim:
        check(kind, span, sim, harness.Home(tmp_path, sim.url))


def check(kind, span, sim, home):
    want = TRUTH[kind](sim, ["AAPL"], *span)
    said = home.import_(kind, "AAPL", *span, *SMALL)
    chains = len(re.findall(r"\(page 1, ", said["stderr"]))
    units = sum(int(n) for n in re.findall(r"\[Commit\] (\d+) units", said["stderr"]))
    print(kind, len(want), "rows", chains, "chains", units, "units")
    assert units > chains, "nothing was cut: the test needs more rows"
    harness.assert_rows(home.rows(kind), want)
    again = home.import_(kind, "AAPL", *span)
    assert again["requests"] == 0
    home.sound()
