"""Scorecard line 4: the n-th allocation fails, n = 1 to the last, for each verb (ours and SQLite's; DuckDB's are its own). The
program says so and ends, or gets along without; it never crashes or leaks; nothing half-done is committed, and the same
command without the fault gives the right result.

With build-asan/ticklake there, a part of the sweep runs on it, so that the leak checker and AddressSanitizer watch."""
import json
import shutil

import pytest

import rig

SYMBOLS = ["AAPL", "MSFT"]
START, END, LAST = "2024-03-05T15:00:00Z", "2024-03-05T15:10:00Z", "2024-03-05T15:09:59Z"
ASAN = rig.SOURCE / "build-asan/ticklake"


def import_args(lake, kind="1m"):
    return ["import", kind, ",".join(SYMBOLS), START, END, "--lake", lake, "--json", "--quiet", "--page-limit", "15" if kind == "1m" else "4000",
            "--pages-per-unit", "1"]


class Bench:
    """A lake that holds an import, and copies of it for verbs that change it."""

    def __init__(self, home, simulator):
        self.home, self.url = home, simulator.url
        self.truth = rig.bars_truth(simulator, SYMBOLS, START, LAST, "1Min")
        self.quotes = rig.quotes_truth(simulator, SYMBOLS, START, "2024-03-05T15:09:59.999999999Z")
        self.template = home / "template"
        assert rig.run(import_args(self.template), home, self.url).code == 0
        assert rig.run(["index", "store", "two", "AAPL,MSFT", "--lake", self.template], home).code == 0
        self.foreign = home / "foreign"  # another's lake: the files without the ledger
        shutil.copytree(self.template, self.foreign, ignore=shutil.ignore_patterns("_ticklake", "metadata"))

    def copy(self, of):
        lake = rig.fresh(self.home, "lake")
        if of:
            shutil.copytree(of, lake)
        return lake


def rows_are(bench, lake, kind="1m"):
    rig.same_rows(bench.quotes if kind == "quotes" else bench.truth, rig.lake_rows(lake, kind, "hive"), f"after {kind}")


def rows_are_true(bench, lake, kind="1m"):
    truth = bench.quotes if kind == "quotes" else bench.truth
    assert rig.lake_rows(lake, kind, "hive").items() <= truth.items(), "rows that are not the vendor's"


# verb: (lake to begin with, arguments, check of a good end)
VERBS = {
    "import": (None, import_args, lambda b, lake, done: rows_are(b, lake)),
    "import-quotes": (None, lambda lake: import_args(lake, "quotes"), lambda b, lake, done: rows_are(b, lake, "quotes")),
    "import-more": ("template", lambda lake: ["import", "1m", "AAPL", START, END, "--refresh", "--lake", lake, "--json", "--quiet"], lambda b, lake, done: rows_are(b, lake)),
    "plan": ("template", lambda lake: ["plan", "1m", "AAPL,TSLA", "2024-03-05", "2024-03-08", "--lake", lake, "--json"], lambda b, lake, done: json.loads(done.out)),
    "read": ("template", lambda lake: ["read", "1m", "AAPL", "--lake", lake, "--format", "csv"],
             lambda b, lake, done: _equal(len(done.out.splitlines()) - 1, sum(s == "AAPL" for s, _ in b.truth))),
    "sql": ("template", lambda lake: ["sql", "select count(*) as n from equities_1min", "--lake", lake, "--format", "jsonl"],
            lambda b, lake, done: _equal(json.loads(done.out)["n"], len(b.truth))),
    "coverage": ("template", lambda lake: ["coverage", "1m", "AAPL", "--lake", lake, "--json"], lambda b, lake, done: _equal(json.loads(done.out)[0]["state"], "present")),
    "gaps": ("template", lambda lake: ["gaps", "1m", "AAPL", "--lake", lake, "--json"], lambda b, lake, done: json.loads(done.out)),
    "audit": ("template", lambda lake: ["audit", "--lake", lake, "--json"], lambda b, lake, done: _equal(len(json.loads(done.out)), 2)),
    "audit-repair": ("foreign", lambda lake: ["audit", "--repair", "--lake", lake, "--json"], lambda b, lake, done: rows_are(b, lake)),
    "symbols": ("template", lambda lake: ["symbols", "1m", "--lake", lake, "--json"], lambda b, lake, done: _equal(json.loads(done.out), SYMBOLS)),
    "range": ("template", lambda lake: ["range", "1m", "AAPL", "--lake", lake], lambda b, lake, done: _equal(b"2024-03-05" in done.out, True)),
    "index-store": ("template", lambda lake: ["index", "store", "two", "AAPL,NVDA", "--lake", lake], lambda b, lake, done: None),
    "index-load": ("template", lambda lake: ["index", "load", "two", "--lake", lake, "--json"], lambda b, lake, done: _equal(b"AAPL" in done.out, True)),
    "update": ("template", lambda lake: ["update", "1m", "AAPL", "--look-back", "1min", "--lake", lake, "--json", "--quiet"], None),
    "adopt": ("foreign", lambda lake: ["adopt", lake, "--json"], lambda b, lake, done: rows_are(b, lake)),
    "doctor": ("template", lambda lake: ["doctor", "--lake", lake], lambda b, lake, done: None),
}


READERS = ("plan", "read", "sql", "coverage", "gaps", "audit", "symbols", "range", "index-load")  # say the same each time


def _equal(found, expected):
    assert found == expected, f"{found} is not {expected}"


@pytest.fixture(scope="module")
def bench(simulator, request):
    from conftest import make_home
    home = make_home()
    yield Bench(home, simulator)
    shutil.rmtree(home, ignore_errors=True)


def points(calls, asan):
    """All at scale 1; else every early one (start-up is where verbs differ) and an even sample."""
    full = range(1, calls + 1)
    if asan:
        return rig.sample(full, 4, rig.SCALE * 0.2 if rig.SCALE >= 1 else min(rig.SCALE, 8 / calls))
    return rig.sample(full, 12, min(rig.SCALE, 30 / calls) if rig.SCALE < 1 else 1)


def sweep(bench, verb, binary, asan):
    begin, arguments, check = VERBS[verb]
    begin = getattr(bench, begin) if begin else None
    kind = "quotes" if verb == "import-quotes" else "1m"
    # update asks the vendor up to now: it is held to a vendor that is gone, so that the sweep stays small.
    url = bench.url if verb != "update" else "http://127.0.0.1:9"
    extra = ["--retries", "0", "--rate", "1000000"] if verb == "update" else []
    lake = bench.copy(begin)
    plain = rig.run([*arguments(lake), *extra], bench.home, url, fault="alloc:0:count", binary=binary, timeout=120)
    rig.assert_clean(plain, verb)
    assert plain.faults, f"{verb}: no allocation was counted"
    told = survived = 0
    for n in points(plain.faults, asan):
        what, lake = f"{verb} with alloc:{n} of {plain.faults}", bench.copy(begin)
        done = rig.run([*arguments(lake), *extra], bench.home, url, fault=f"alloc:{n}", binary=binary, timeout=120)
        rig.assert_clean(done, what)
        if lake.exists() and begin != bench.foreign or kind != "1m":
            rows_are_true(bench, lake, kind)
        if done.code:
            told += 1
        else:
            survived += 1
            assert verb not in READERS or done.out == plain.out, f"{what}: another answer, and exit 0: {done.out[:500]}"
            if check:
                check(bench, lake, done)
        if check and verb != "doctor":
            again = rig.run(arguments(lake), bench.home, url, binary=rig.BIN)
            assert again.code == 0, f"{what}, then without: exit {again.code}: {again.err.decode()}"
            check(bench, lake, again)
    print(f"{verb}: {plain.faults} allocations; {told} failures told, {survived} survived")
    return told


@pytest.mark.parametrize("verb", VERBS)
def test_each_allocation_fails(bench, verb):
    assert sweep(bench, verb, rig.BIN, False), "no failure was told: the seam is not in the program"


if ASAN.exists() and rig.BIN != str(ASAN):  # `make asan` builds it

    @pytest.mark.parametrize("verb", VERBS)
    def test_nothing_leaks_when_an_allocation_fails(bench, verb):
        sweep(bench, verb, str(ASAN), True)
