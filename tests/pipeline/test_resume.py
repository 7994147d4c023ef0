"""Killed at any moment and started again, an import ends as if nothing had happened; a finished one is not done twice."""
import random
import re
import signal
import time

import pytest

import harness
import truth

KILLS = max(10, round(200 * harness.SCALE))
SYMBOLS, START, END = ["AAPL", "BRK.B", "SPLT"], "2024-06-03", "2024-06-14"


@pytest.fixture(scope="module")
def market():
    with harness.Simulator("--seed", 5, "--density", "0.03", "--rate", 1_000_000, "--latency", 3) as sim:
        yield sim


@pytest.fixture(scope="module")
def undisturbed(market):
    return {"1m": truth.bars(market, "1m", SYMBOLS, START, END), "trades": truth.trades(market, SYMBOLS, START, END),
            "ticks": truth.bars_of_ticks(market, "1s", SYMBOLS, START, END), "quotes": truth.tightest(market, SYMBOLS, START, END)}


def stored(kind):
    return "1s" if kind == "ticks" else kind


def covered(home, kind):
    """Ranges the ledger holds, by symbol."""
    outcome = home.run("coverage", kind, "--json")
    if outcome.code:
        assert "there is no lake" in outcome.stderr, outcome
        return []
    return [(c["symbol"], truth.ns_of(c["start"]), truth.ns_of(c["end"])) for c in outcome.json if c["state"] in ("present", "empty")]


def asked(sim):
    """(symbol, start, end) of every request since the last reset."""
    out = []
    for target in sim.targets():
        q = dict(p.split("=") for p in target.split("?")[1].split("&"))
        for symbol in q["symbols"].replace("%2C", ",").split(","):
            out.append((symbol, *(truth.ns_of(q[n].replace("%3A", ":")) for n in ("start", "end"))))
    return out


@pytest.mark.parametrize("kind", ["ticks", "quotes"])
def test_killed_at_random_moments_while_shaping(kind, market, undisturbed, tmp_path):
    kill(kind, "hive", market, undisturbed, tmp_path)


@pytest.mark.parametrize("kind", ["1m", "trades"])
def test_killed_at_random_moments(kind, layout, market, undisturbed, tmp_path):
    kill(kind, layout, market, undisturbed, tmp_path)


def kill(kind, layout, market, undisturbed, tmp_path):
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    dice = random.Random(seed)
    clean = harness.Home(tmp_path / "clean", market.url)
    words = ["import", kind, ",".join(SYMBOLS), START, END, "--page-limit", "900", "--threads", "4", *harness.LAYOUTS[layout]]
    began = time.monotonic()
    clean.ok(*words)
    usual = time.monotonic() - began
    harness.assert_rows(clean.rows(stored(kind), layout), undisturbed[kind])
    for round_ in range(-(-KILLS // 4)):
        home = harness.Home(tmp_path / str(round_), market.url)
        for last in (False,) * dice.randint(0, 2) + (True,):
            process = home.start(*words)
            time.sleep(dice.uniform(0, usual * 1.05))
            process.send_signal(signal.SIGKILL if last or dice.random() < 0.5 else signal.SIGINT)  # SIGINT: a part is committed
            process.communicate()
        done = covered(home, kind)
        market.reset()
        said = home.import_(*words[1:])
        harness.assert_rows(home.rows(stored(kind), layout), undisturbed[kind])
        for symbol, start, end in asked(market):
            assert not any(s == symbol and start < to and end >= since for s, since, to in done), f"{symbol} was committed and is asked again"
        assert said["failed"] == []
        if not harness.is_table(layout):  # a table's files have names of their own, and those of the killed wait for vacuum
            names = {str(p.relative_to(home.lake)) for p in harness.data_files(home.lake)}
            assert names == {str(p.relative_to(clean.lake)) for p in harness.data_files(clean.lake)}
        home.run("audit", "--repair")
        home.sound(layout)
        market.reset()
        assert home.import_(*words[1:])["requests"] == 0 and market.requests() == 0


@pytest.mark.parametrize("kind,layout", [("1m", "hive"), ("ticks", "flat"), ("quotes", "hive"), ("trades", "flat"), ("raw-quotes", "hive"), ("1d", "flat"),
                                         ("1m", "delta"), ("trades", "iceberg"), ("quotes", "delta,iceberg")])
def test_a_finished_import_does_nothing_again(kind, layout, sim, home):
    """No request, and not a byte of the lake changes, the ledger's file included."""
    words = [kind, "AAPL,BRK.B,ZZNO", "2024-06-05", "2024-06-10", *harness.LAYOUTS[layout]]
    home.import_(*words)
    before = harness.fingerprint(home.lake)
    sim.reset()
    for again in (words, [kind, "BRK.B", "2024-06-06", "2024-06-07"], [kind, "AAPL", "2024-06-08", "2024-06-09"]):
        said = home.import_(*again)
        assert said["requests"] == said["rows"] == said["files"] == 0 and said["failed"] == []
    assert sim.requests() == 0
    assert harness.fingerprint(home.lake) == before


def test_refresh_asks_again_and_changes_no_rows(layout, sim, home):
    words = ["trades", "BRK.B", "2024-06-05", "2024-06-07", *harness.LAYOUTS[layout]]
    first = home.import_(*words)
    rows = home.rows("trades", layout)
    files = harness.files_of(home.lake, "trades", layout)
    again = home.import_(*words, "--refresh")
    assert again["requests"] == first["requests"] > 0
    assert again["rows"] == 0, "rows are those that were not there before or changed"
    harness.assert_rows(home.rows("trades", layout), rows)
    assert harness.files_of(home.lake, "trades", layout) == files


def test_only_what_is_missing_is_asked(sim, home):
    home.import_("1m", "AAPL", "2024-06-05", "2024-06-06")
    sim.reset()
    home.import_("1m", "AAPL", "2024-06-03", "2024-06-10")
    known = truth.span("2024-06-05", "2024-06-06")
    for _, start, end in asked(sim):
        assert end < known[0] or start >= known[1]
    harness.assert_rows(home.rows("1m"), truth.bars(sim, "1m", ["AAPL"], "2024-06-03", "2024-06-10"))


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_commits_what_is_whole_and_says_how_to_go_on(number, code, tmp_path):
    with harness.Simulator("--seed", 5, "--density", "0.02", "--rate", 1_000_000, "--latency", 60) as slow:
        home = harness.Home(tmp_path, slow.url)
        words = ["import", "trades", "AAPL,BRK.B", "2024-05-01", "2024-06-14", "--threads", "2", "--json"]
        process = home.start(*words)
        harness.wait_for(lambda: slow.requests() > 12)
        process.send_signal(number)
        out, err = (t.decode() for t in process.communicate(timeout=20))
        assert process.returncode == code, err
        resume = "ticklake import trades AAPL,BRK.B 2024-05-01 2024-06-14 --threads 2 --json"
        assert resume in err
        rows = home.rows("trades")
        assert 0 < len(rows)
        done = covered(home, "trades")
        assert {(r["symbol"]) for r in rows} <= {s for s, _, _ in done}
        slow.reset()
        home.ok(*re.findall(r"\S+", resume)[1:])
        for symbol, start, end in asked(slow):
            assert not any(s == symbol and start < to and end >= since for s, since, to in done)
        harness.assert_rows(home.rows("trades"), truth.trades(slow, ["AAPL", "BRK.B"], "2024-05-01", "2024-06-14"))
        home.sound()


def test_a_second_signal_ends_at_once(tmp_path):
    with harness.Simulator("--latency", 5000, "--rate", 1_000_000) as slow:
        home = harness.Home(tmp_path, slow.url)
        process = home.start("import", "trades", "AAPL", "2024-05-01", "2024-06-14")
        harness.wait_for(lambda: slow.stats()["connections"] > 1)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=20)
        assert time.monotonic() - began < 4 and process.returncode in (-signal.SIGINT, 130)
