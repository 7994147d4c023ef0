"""One symbol's trouble is nobody else's: 500 symbols, one the vendor does not take, one that always fails."""
import itertools
import json
import string

import pytest

import harness
import truth

START, END = "2024-06-10", "2024-06-10"
GOOD = ["".join(p) for p in itertools.islice(itertools.product("BCDFGH", string.ascii_uppercase, "KLMN"), 498)]


def script_of(case):
    return {"malformed": "", "named": "when symbol=QBAD do 400 message=invalid symbol: QBAD\n",
            "unnamed": "when symbol=QBAD do invalid-symbol\n"}[case] + "when symbol=QDOWN do 500 message=internal server error occurred\n"


@pytest.fixture(scope="module")
def expected(sim):
    return {k: truth.bars(sim, k, sorted(GOOD), START, END) for k in ("1d", "30m")}


@pytest.mark.parametrize("case,kind,layout", [("malformed", "1d", "hive"), ("named", "30m", "flat"), ("unnamed", "1d", "delta"), ("named", "30m", "iceberg"),
                                              ("malformed", "1d", "delta,iceberg")])
def test_498_of_500_complete(case, kind, layout, sim, home, expected):
    bad = "QBAD7" if case == "malformed" else "QBAD"
    symbols = [*GOOD[:120], bad, *GOOD[120:300], "QDOWN", *GOOD[300:]]
    (home.work / "list.csv").write_text("name,symbol\n" + "".join(f"x,{s}\n" for s in symbols))
    sim.faults(script_of(case))
    said = home.import_(kind, "@list.csv", START, END, *harness.LAYOUTS[layout], code=3)
    assert sorted(said["successful"]) == sorted(GOOD)
    reasons = {f["symbol"]: f["reason"] for f in said["failed"]}
    assert reasons.keys() == {bad, "QDOWN"}
    assert "500" in reasons["QDOWN"] and "internal server error occurred" in reasons["QDOWN"]
    assert "symbol" in reasons[bad]
    for symbol, reason in reasons.items():
        assert f"failed: {symbol}: {reason}" in said["stderr"]
    assert len({r["symbol"] for r in expected[kind]}) > 400
    harness.assert_rows(home.rows(kind, layout), expected[kind])
    states = {(c["symbol"], c["state"]) for c in home.ok("coverage", kind, "--json").json}
    assert {("QDOWN", "failed")} <= states and not any(s == "failed" for n, s in states if n in GOOD)
    # The vendor recovers: only the two are asked again.
    sim.faults("" if case == "malformed" else script_of(case).splitlines()[0])
    sim.reset()
    again = home.import_(kind, "@list.csv", START, END, code=3)
    assert [f["symbol"] for f in again["failed"]] == [bad]
    asked = {s for t in sim.targets() for s in dict(p.split("=") for p in t.split("?")[1].split("&"))["symbols"].replace("%2C", ",").split(",")}
    assert asked <= {"QDOWN", bad}
    home.sound(layout)


def test_all_failed_is_exit_1(sim, home):
    sim.faults("when always do 500")
    said = home.import_("1d", "AAPL,MSFT", START, END, "--retries", "1", code=1)
    assert {f["symbol"] for f in said["failed"]} == {"AAPL", "MSFT"} and said["successful"] == []


@pytest.mark.parametrize("name,text", [("list.txt", "AAPL\n# a comment\n\n  MSFT  \nBRK.B\n"), ("list.csv", "ticker,weight\nAAPL,1\nMSFT,2\n\"BRK.B\",3\n"),
                                       ("list.csv", "AAPL,1\nMSFT,2\nBRK.B,3\n"), ("dos.csv", "Symbol,W\r\nAAPL,1\r\nMSFT,2\r\nBRK.B,2\r\n")])
def test_symbols_from_files(name, text, sim, home):
    (home.work / name).write_bytes(text.encode())
    assert home.import_("1d", f"@{name}", START, END)["successful"] == ["AAPL", "MSFT", "BRK.B"]


def test_a_symbol_named_twice_is_one(sim, home):
    assert home.import_("1d", "AAPL,MSFT,AAPL", START, END)["successful"] == ["AAPL", "MSFT"]


def test_indices(sim, home):
    """index store, load, list and index:NAME; storing again keeps added_date and sets removed_date."""
    day = 1717977600  # 2024-06-10
    env = {"TICKLAKE_NOW": str(day)}
    home.ok("index", "store", "mine", "AAPL,MSFT,BRK.B", env=env)
    home.ok("index", "store", "other", "TSLA", env=env)
    assert home.ok("index", "list", "--json").json == ["mine", "other"]
    path = home.lake / "metadata" / "indices" / "mine.csv"
    lines = path.read_text().splitlines()
    assert lines[0].split(",")[:2] == ["symbol", "added_date"] and [x.split(",")[0] for x in lines[1:]] == ["AAPL", "MSFT", "BRK.B"]
    assert all(x.split(",")[1].startswith("2024-06-10") for x in lines[1:])
    home.ok("index", "store", "mine", "AAPL,NVDA", env={"TICKLAKE_NOW": str(day + 864000)})
    rows = {r["symbol"]: r for r in home.ok("index", "load", "mine", "--json").json}
    assert rows["AAPL"]["added_date"].startswith("2024-06-10") and rows["AAPL"]["removed_date"] is None
    assert rows["NVDA"]["added_date"].startswith("2024-06-20") and rows["MSFT"]["removed_date"].startswith("2024-06-20")
    assert home.import_("1d", "index:mine", START, END)["successful"] == ["AAPL", "NVDA"]
    outcome = home.run("import", "1d", "index:none", START, END)
    assert outcome.code == 2 and "none" in outcome.stderr


def test_names_that_would_leave_the_lake_are_escaped_or_refused(sim, home):
    outcome = home.run("import", "1d", "../x,AAPL", START, END, "--json")
    assert outcome.code == 3
    assert [f["symbol"] for f in json.loads(outcome.stdout)["failed"]] == ["../x"]
    assert {p.name for p in home.work.iterdir()} == {"lake"}
