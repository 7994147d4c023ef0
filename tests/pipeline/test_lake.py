"""What can be asked of a lake: coverage, gaps, audit, update, adopt, plan, read, sql, indices, the published front door and its
settings."""
import csv
import datetime
import io
import json
import os
import re
import shutil
import stat
import zoneinfo


import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

import harness
import truth

DAY = 86400


def at(text):
    """TICKLAKE_NOW for an instant."""
    return {"TICKLAKE_NOW": str(truth.ns_of(text) // truth.SECOND)}


# ---- coverage, gaps, update ----

def test_coverage_says_what_was_asked_and_found(sim, home):
    home.import_("1m", "AAPL", "2024-06-03", "2024-06-05")
    home.import_("1m", "AAPL,ZZNO", "2024-06-10", "2024-06-10")
    rows = [{k: c[k] for k in ("kind", "symbol", "start", "end", "state", "rows")} for c in home.ok("coverage", "1m", "--json").json]
    count = lambda *days: len(truth.bars(sim, "1m", ["AAPL"], *days))  # noqa: E731
    assert rows == [
        {"kind": "equities_1min", "symbol": "AAPL", "start": "2024-06-03T04:00:00Z", "end": "2024-06-06T04:00:00Z", "state": "present", "rows": count("2024-06-03", "2024-06-05")},
        {"kind": "equities_1min", "symbol": "AAPL", "start": "2024-06-10T04:00:00Z", "end": "2024-06-11T04:00:00Z", "state": "present", "rows": count("2024-06-10", "2024-06-10")},
        {"kind": "equities_1min", "symbol": "ZZNO", "start": "2024-06-10T04:00:00Z", "end": "2024-06-11T04:00:00Z", "state": "empty", "rows": 0}]
    assert home.ok("coverage", "1m", "AAPL", "--json").json == [r for r in home.ok("coverage", "--json").json if r["symbol"] == "AAPL"]
    assert "2024-06-03T04:00:00Z" in home.ok("coverage").stdout


def test_gaps_are_sessions_that_are_missing_or_failed(sim, home):
    """06-06 and 06-07 were not asked, 06-08 and 06-09 have no session, ZZNO's day was answered without rows."""
    home.import_("1m", "AAPL,ZZNO", "2024-06-03", "2024-06-05")
    home.import_("1m", "AAPL,ZZNO", "2024-06-10", "2024-06-10")
    sim.faults("when symbol=BRK.B do 500")
    home.import_("1m", "BRK.B", "2024-06-04", "2024-06-04", "--retries", "1", code=1)
    gaps = [(g["symbol"], g["start"], g["end"], g["state"]) for g in home.ok("gaps", "--json").json]
    want = [(s, f"2024-06-{d}T08:00:00Z", f"2024-06-{d + 1:02d}T00:00:00Z".replace("2024-06-6T", "2024-06-06T"), "missing") for s in ("AAPL", "ZZNO") for d in (6, 7)]
    want = [(s, a.replace("-06-6T", "-06-06T").replace("-06-7T", "-06-07T"), b, x) for s, a, b, x in want]
    assert sorted(g for g in gaps if g[0] != "BRK.B") == sorted(want)
    assert [g[3] for g in gaps if g[0] == "BRK.B"] == ["failed"]


@pytest.mark.parametrize("kind", ["1m", "ticks", "trades"])
def test_update_fetches_what_is_missing_up_to_now(kind, tmp_path):
    """Not the days it has, but a look-back for late rows, up to 16 minutes ago; then it goes on from there."""
    with harness.Simulator("--seed", 7, "--density", "0.05", "--rate", 1_000_000, "--now", "2024-06-13T18:00:00Z") as past:
        home = harness.Home(tmp_path, past.url)
        home.import_(kind, "AAPL,BRK.B", "2024-06-03", "2024-06-05", env=at("2024-06-13T17:00:00Z"))
        home.import_("1d", "AAPL", "2024-06-03", "2024-06-05", env=at("2024-06-13T17:00:00Z"))
        past.reset()
        said = json.loads(home.ok("update", kind, "--json", env=at("2024-06-13T18:00:00Z")).stdout)
        assert said["successful"] == ["AAPL", "BRK.B"]
        assert "1Day" not in " ".join(past.targets()) or kind == "1d"
        starts = [truth.ns_of(re.search(r"start=([^&]+)", t)[1].replace("%3A", ":")) for t in past.targets()]
        assert min(starts) >= truth.midnight("2024-06-06")
        got = home.rows("1s" if kind == "ticks" else kind)
        end = "2024-06-13T17:44:00Z"
        make = {"1m": lambda *a: truth.bars(past, "1m", *a), "ticks": lambda *a: truth.bars_of_ticks(past, "1s", *a), "trades": lambda *a: truth.trades(past, *a)}[kind]
        harness.assert_rows(got, make(["AAPL", "BRK.B"], "2024-06-03T04:00:00Z", end))
        past.reset()
        home.ok("update", "--json", env=at("2024-06-13T18:00:30Z"))
        again = [truth.ns_of(re.search(r"start=([^&]+)", t)[1].replace("%3A", ":")) for t in past.targets() if "1Day" not in t]
        assert again and min(again) >= truth.midnight("2024-06-12"), "two sessions are looked at again, no more"


def test_update_of_nothing_is_told(home):
    outcome = home.run("update")
    assert outcome.code == 1 and "no lake" in outcome.stderr


def test_rows_that_come_late_are_merged_by_update(tmp_path):
    """What was asked too fresh is partial, and asked again."""
    with harness.Simulator("--seed", 7, "--density", "0.05", "--rate", 1_000_000, "--realtime", "--now", "2024-06-10T15:00:00Z") as live:
        home = harness.Home(tmp_path, live.url)
        home.import_("1m", "AAPL", "2024-06-10", "2024-06-10", env=at("2024-06-10T15:00:00Z"))
        states = [(c["state"], c["end"]) for c in home.ok("coverage", "1m", "--json", env=at("2024-06-10T15:00:00Z")).json]
        assert states[-1][0] == "partial"
        live.reset()
        home.import_("1m", "AAPL", "2024-06-10", "2024-06-10", env=at("2024-06-10T15:00:00Z"))
        assert live.requests() >= 1


# ---- audit ----

def damaged_lake(home):
    home.import_("1m", "AAPL,BRK.B", "2024-05-30", "2024-06-04")
    paths = harness.files_of(home.lake, "1m")
    assert len(paths) == 4
    return paths


def change_value(path):
    table = pq.read_table(path)
    close = table.column("close").to_pylist()
    close[3] += 0.01
    pq.write_table(table.set_column(table.schema.get_field_index("close"), table.schema.field("close"), pa.array(close)), path)


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 4
    path.write_bytes(data)


def drop_rows(path):
    pq.write_table(pq.read_table(path).slice(0, 50), path)


DAMAGE = {"missing": lambda p: p.unlink(), "changed": change_value, "fewer": drop_rows, "bits": flip_a_byte,
          "truncated": lambda p: p.write_bytes(p.read_bytes()[:-100]), "empty": lambda p: p.write_bytes(b""), "not parquet": lambda p: p.write_text("x" * 5000)}
VERDICTS = {"missing": {"missing"}, "changed": {"changed"}, "fewer": {"changed"}, "bits": {"changed", "unreadable"}, "truncated": {"unreadable"},
            "empty": {"unreadable"}, "not parquet": {"unreadable"}}


@pytest.mark.parametrize("damage", DAMAGE)
def test_audit_finds_damage_and_repair_leads_back(damage, sim, home):
    paths = damaged_lake(home)
    home.sound()
    DAMAGE[damage](paths[1])
    name = str(paths[1].relative_to(home.lake))
    outcome = home.run("audit", "--json")
    assert outcome.code == 1
    bad = {r["path"]: r["verdict"] for r in outcome.json if not r["ok"]}
    assert bad.keys() == {name} and bad[name] in VERDICTS[damage]
    assert [r["ok"] for r in home.run("audit", "1m", "BRK.B", "--json").json] == [True, True], "a selection audits no more"
    home.ok("audit", "--repair")
    home.run("audit")
    home.import_("1m", "AAPL,BRK.B", "2024-05-30", "2024-06-04", *(["--refresh"] if damage in ("changed", "bits") else []))
    harness.assert_rows([r for r in home.rows("1m")], truth.bars(sim, "1m", ["AAPL", "BRK.B"], "2024-05-30", "2024-06-04"))
    assert home.run("audit").code == 0


def test_audit_knows_strangers_and_leftovers(sim, home):
    paths = damaged_lake(home)
    stranger = paths[0].parent.parent / "month=07" / "data.parquet"
    stranger.parent.mkdir()
    shutil.copy(paths[0], stranger)
    leftover = paths[0].parent / ".data.parquet.4194000-1.tmp"
    leftover.write_bytes(b"half a file")
    outcome = home.run("audit", "--json")
    assert outcome.code == 1
    assert {(r["path"], r["verdict"]) for r in outcome.json if not r["ok"]} == {(str(stranger.relative_to(home.lake)), "unrecorded"), (str(leftover.relative_to(home.lake)), "leftover")}
    assert leftover.exists(), "without --repair nothing is touched"
    home.ok("audit", "--repair")
    assert not leftover.exists() and stranger.exists()
    home.ok("audit")


def test_a_lost_ledger_is_made_anew_from_the_files(sim, home):
    damaged_lake(home)
    rows = home.rows("1m")
    shutil.rmtree(home.lake / "_ticklake")
    outcome = home.run("audit")
    assert outcome.code == 1 and "audit --repair" in outcome.stderr
    home.ok("audit", "--repair")
    home.ok("audit")
    home.import_("1m", "AAPL,BRK.B", "2024-05-30", "2024-06-04")
    harness.assert_rows(home.rows("1m"), rows)


# ---- adopt ----

def foreign(rows, *, symbol_column=True, unit="us"):
    table = pa.table({k: [r[k] for r in rows] for k in rows[0]})
    table = table.set_column(table.schema.get_field_index("timestamp"), "timestamp", table.column("timestamp").cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp(unit, tz="UTC")))
    return table if symbol_column else table.drop_columns(["symbol"])


def by_month(rows):
    return truth.grouped(rows, lambda r: (r["symbol"], datetime.datetime.fromtimestamp(r["timestamp"] / 1e6, datetime.timezone.utc).strftime("%Y-%m")))


def write(path, table):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


@pytest.mark.parametrize("month,file", [("month=1", "data_0.parquet"), ("month=01", "data_0.parquet"), ("month=01", "data.parquet"), ("month=1", "part-0001.parquet")])
def test_adopt_a_hive_lake_of_others(month, file, sim, home):
    """DuckDB's and pandas' ways to spell it; overlapping files; foreign types. An import then asks only for what it lacks."""
    want = truth.bars(sim, "1m", ["AAPL", "BRK.B"], "2024-01-29", "2024-02-02")
    for (symbol, ym), rows in by_month(want).items():
        folder = home.lake / "equities_1min" / f"symbol={symbol}" / "year=2024" / month.replace("1", str(int(ym[5:])))
        table = foreign(rows, symbol_column=False, unit="ns")
        table = table.set_column(5, "volume", table.column("volume").cast(pa.float64())).set_column(6, "trade_count", table.column("trade_count").cast(pa.int32()))
        half = len(rows) // 2
        write(folder / file, table.slice(0, half + 10))
        write(folder / file.replace("0", "1").replace("data.", "more."), table.slice(half - 10) if file != "data.parquet" else table.slice(half))
    outcome = home.ok("adopt", home.lake, "--json")
    assert all(r["ok"] for r in outcome.json)
    harness.assert_rows(home.rows("1m"), want)
    assert all(p.name == "data.parquet" and re.search(r"month=0\d$", str(p.parent)) for p in harness.data_files(home.lake))
    home.sound()
    sim.reset()
    assert home.import_("1m", "AAPL,BRK.B", "2024-01-29", "2024-02-02")["requests"] == 0
    home.import_("1m", "AAPL,BRK.B", "2024-01-26", "2024-02-02")
    harness.assert_rows(home.rows("1m"), truth.bars(sim, "1m", ["AAPL", "BRK.B"], "2024-01-26", "2024-02-02"))
    assert home.ok("adopt", home.lake).code == 0, "adopting again is harmless"
    harness.assert_rows(home.rows("1m"), truth.bars(sim, "1m", ["AAPL", "BRK.B"], "2024-01-26", "2024-02-02"))


@pytest.mark.parametrize("kind", ["trades", "raw-quotes"])
def test_adopt_keeps_ticks_over_the_end_of_a_month(kind, sim, home):
    """A New York evening lies in two files by UTC month: neither may push the other's rows out."""
    make = {"trades": truth.trades, "raw-quotes": truth.quotes}[kind]
    want = make(sim, ["BRK.B"], "2024-01-30", "2024-02-01")
    for (symbol, ym), rows in by_month(want).items():
        write(home.lake / harness.HIVE[kind] / f"symbol={symbol}" / "year=2024" / f"month={int(ym[5:])}" / "data_0.parquet", foreign(rows, symbol_column=False))
    home.ok("adopt", home.lake)
    harness.assert_rows(home.rows(kind), want)
    home.sound()


def test_adopt_a_flat_lake_of_others(sim, home):
    want = truth.bars(sim, "1m", ["AAPL", "BRK.B"], "2024-01-29", "2024-02-02")
    for (symbol, ym), rows in by_month(want).items():
        write(home.lake / "bars" / "1m" / f"{symbol}.{ym}.parquet", foreign(rows))
    home.ok("adopt", home.lake)
    harness.assert_rows(home.rows("1m", "flat"), want)
    home.sound()
    assert home.import_("1m", "AAPL,BRK.B", "2024-01-29", "2024-02-02")["requests"] == 0
    assert "flat" in home.run("import", "1m", "AAPL", "2024-01-29", "2024-01-29", "--layout", "hive").stderr


def test_adopt_leaves_what_it_cannot_read(sim, home):
    want = truth.bars(sim, "1m", ["AAPL"], "2024-01-29", "2024-01-30")
    folder = home.lake / "equities_1min" / "symbol=AAPL" / "year=2024"
    write(folder / "month=1" / "data_0.parquet", foreign(want, symbol_column=False))
    (folder / "month=3").mkdir()
    (folder / "month=3" / "data_0.parquet").write_text("no parquet at all")
    outcome = home.run("adopt", home.lake, "--json")
    assert {r["verdict"] for r in outcome.json} == {"adopted", "unreadable"}
    assert (folder / "month=3" / "data_0.parquet").read_text() == "no parquet at all"


# ---- plan ----

@pytest.mark.parametrize("kind,symbols", [("1m", "AAPL,BRK.B,SPLT"), ("trades", "AAPL,BRK.B"), ("quotes", "BRK.B"), ("1d", "AAPL,BRK.B,SPLT,MSFT")])
def test_plan_fetches_nothing_and_tells_what_an_import_does(kind, symbols, sim, home):
    words = [kind, symbols, "2024-06-03", "2024-06-14"]
    home.import_(kind, symbols, "2024-05-28", "2024-05-31")  # so that it knows how many rows a day has
    before = harness.fingerprint(home.lake)
    sim.reset()
    plan = home.ok("plan", *words, "--json").json
    text = home.ok("plan", *words).stdout
    assert sim.requests() == 0 and harness.fingerprint(home.lake) == before
    assert re.search(r"^requests +%d" % plan["requests"], text, re.M) and len(plan["asks"]) == plan["requests"] + sum(bool(a["closed"]) for a in plan["asks"])
    said = home.import_(*words)
    chains = sum(r["page"] == 1 for r in sim.stats()["last"])
    assert chains == plan["requests"]
    assert abs(said["requests"] - plan["pages"]) <= max(1, plan["pages"] // 4)
    assert plan["rows"] == pytest.approx(sum(1 for _ in truth.ask(sim, "bars", symbols.split(","), *truth.span(*words[2:]), timeframe=truth.TIMEFRAMES[kind]).values() for _ in _)
                                         if kind in truth.TIMEFRAMES else sum(map(len, truth.ask(sim, "trades" if kind == "trades" else "quotes", symbols.split(","), *truth.span(*words[2:])).values())), rel=0.5)
    assert home.ok("plan", *words, "--json").json["requests"] == 0, "what is covered is not planned"


def test_plain_partitioning_is_the_published_formula(home):
    """Trades of 3 symbols x 7 days are 21 units, minute bars 3 (SPEC section 3)."""
    words = ["AAPL,MSFT,NVDA", "2024-06-03", "2024-06-09", "--partitioning", "plain", "--json"]
    assert home.ok("plan", "trades", *words).json["units"] == 21
    assert home.ok("plan", "1m", *words).json["units"] == 3


# ---- read ----

@pytest.fixture(scope="module")
def filled(sim, tmp_path_factory):
    home = harness.Home(tmp_path_factory.mktemp("filled"), sim.url)
    home.import_("1m", "AAPL,BRK.B", "2024-11-27", "2024-12-02")
    home.import_("1d", "AAPL", "2024-11-01", "2024-12-02")
    home.import_("quotes", "BRK.B", "2024-11-29", "2024-11-29")
    home.import_("trades", "BRK.B", "2024-11-29", "2024-11-29")
    return home


def in_session(row, which):
    """By bar start, half days included: 2024-11-29 closes at 13:00 and its late session at 17:00."""
    t = datetime.datetime.fromtimestamp(row["timestamp"] // 10**6, truth.NEW_YORK)
    minute = t.hour * 60 + t.minute
    half = t.date() == datetime.date(2024, 11, 29)
    return {"regular": 570 <= minute < (780 if half else 960), "extended": 240 <= minute < 1200, "all": True}[which]


@pytest.mark.parametrize("session", ["regular", "extended", "all"])
def test_read_filters_sessions(session, filled):
    out = filled.ok("read", "1m", "AAPL,BRK.B", "--session", session, "--format", "jsonl", "--tz", "UTC").stdout
    got = [(r["symbol"], truth.ns_of(r["timestamp"]) // 1000) for r in map(json.loads, out.splitlines())]
    assert got == [(r["symbol"], r["timestamp"]) for r in filled.rows("1m") if in_session(r, session)]
    assert got


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata"])
def test_read_shows_times_in_a_zone_with_its_offset(zone, filled):
    rows = list(csv.DictReader(io.StringIO(filled.ok("read", "1m", "AAPL", "2024-11-29", "2024-11-29", "--format", "csv", "--tz", zone).stdout)))
    want = [r for r in filled.rows("1m") if r["symbol"] == "AAPL" and truth.midnight("2024-11-29") <= r["timestamp"] * 1000 < truth.midnight("2024-11-30")]
    assert [datetime.datetime.fromisoformat(r["timestamp"]).timestamp() for r in rows] == [r["timestamp"] / 1e6 for r in want]
    offset = datetime.datetime(2024, 11, 29, tzinfo=zoneinfo.ZoneInfo(zone)).isoformat()[-6:]
    assert {r["timestamp"][-6:].replace(":00Z", "+00:00") if zone != "UTC" else "+00:00" for r in rows} == {offset}
    assert [float(r["vwap"]) for r in rows] == [r["vwap"] for r in want]
    default = filled.ok("read", "1m", "AAPL", "2024-11-29", "2024-11-29", "--format", "csv").stdout
    assert (default == filled.ok("read", "1m", "AAPL", "2024-11-29", "2024-11-29", "--format", "csv", "--tz", zone).stdout) == (zone == "America/New_York")


def table_rows(table):
    rows = table.to_pylist()
    for r in rows:
        r["timestamp"] = round(r["timestamp"].timestamp() * 10**6)
    return rows


@pytest.mark.parametrize("kind", ["1m", "1d", "quotes", "trades"])
@pytest.mark.parametrize("format_", ["parquet", "arrow", "csv", "jsonl", "json"])
def test_every_output_holds_the_same_rows(format_, kind, filled, tmp_path):
    want = filled.rows(kind)
    symbols = ",".join(sorted({r["symbol"] for r in want}))
    path = tmp_path / f"out.{format_}"
    filled.ok("read", kind, symbols, "--format", format_, "-o", path, "--tz", "UTC")
    if format_ == "parquet":
        got = table_rows(pq.read_table(path))
        assert pq.read_schema(path).field("timestamp").type == pa.timestamp("us", tz="UTC")
    elif format_ == "arrow":
        got = table_rows(pa.ipc.open_file(path).read_all())
    else:
        text = path.read_text()
        if format_ != "csv" and kind != "quotes":
            assert text == filled.ok("read", kind, symbols, "--format", format_, "--tz", "UTC").stdout
        got = json.loads(text) if format_ == "json" else [json.loads(x) for x in text.splitlines()] if format_ == "jsonl" else list(csv.DictReader(io.StringIO(text)))
        for r in got:
            r["timestamp"] = truth.ns_of(r["timestamp"]) // 1000
            for k, v in r.items():
                if format_ == "csv" and k not in ("symbol", "timestamp"):
                    r[k] = None if v == "" and want[0][k] is None or v == "" and not isinstance(want[0][k], str) else v if isinstance(want[0][k], str) else \
                        json.loads(v) if not isinstance(want[0][k], type(None)) else v
        if format_ == "csv":
            want = [{k: v for k, v in r.items() if k != "update"} for r in want]
            got = [{k: v for k, v in r.items() if k != "update"} for r in got]
    harness.assert_rows(got, want)


def test_read_columns_limit_and_what_is_not_there(filled):
    rows = filled.ok("read", "1m", "AAPL", "--columns", "close,timestamp", "--limit", "3", "--json").json
    assert [list(r) for r in rows] == [["close", "timestamp"]] * 3
    assert [r["close"] for r in rows] == [r["close"] for r in filled.rows("1m")][:3]
    for words, code, text in [(("1m", "AAPL", "--columns", "clsoe"), 2, "'close'"), (("1m", "NOPE"), 1, "NOPE"), (("5m", "AAPL"), 1, "equities_5min"),
                              (("1m", "AAPL", "2024-11-29"), 2, "END"), (("1m", "AAPL", "--session", "night"), 2, "regular|extended|all"),
                              (("1m", "AAPL", "--format", "xml"), 2, "csv"), (("1m", "AAPL", "--tz", "Mars/Olympus"), 2, "Mars/Olympus")]:
        outcome = filled.run("read", *words)
        assert outcome.code == code and text in outcome.stderr and not outcome.stdout, (words, outcome)


def test_an_output_file_is_whole_or_not_there(filled, tmp_path):
    outcome = filled.run("sql", "select 1 as a, error('no') as b", "--format", "csv", "-o", tmp_path / "x.csv")
    assert outcome.code == 1 and not list(tmp_path.iterdir())
    assert filled.run("read", "1m", "AAPL", "-o", "/nowhere/x.csv", "--format", "csv").code == 1


def test_range_and_symbols(filled):
    rows = [r for r in filled.rows("1m") if r["symbol"] == "BRK.B"]
    said = filled.ok("range", "1m", "BRK.B", "--json").json
    assert [truth.ns_of(said["first"]), truth.ns_of(said["last"]), said["rows"]] == [rows[0]["timestamp"] * 1000, rows[-1]["timestamp"] * 1000, len(rows)]
    assert filled.ok("symbols", "1m", "--json").json == ["AAPL", "BRK.B"] and filled.ok("symbols", "1d").stdout == "AAPL\n"
    assert filled.run("range", "1m", "TSLA").code == 1


def test_sql_over_the_views(filled):
    got = filled.ok("sql", "select symbol, count(*) n, min(timestamp) first_, sum(volume)::bigint v from equities_1min group by symbol order by symbol", "--json").json
    for row in got:
        mine = [r for r in filled.rows("1m") if r["symbol"] == row["symbol"]]
        assert (row["n"], truth.ns_of(row["first_"]) // 1000, row["v"]) == (len(mine), mine[0]["timestamp"], sum(r["volume"] for r in mine))
    assert len(got) == 2
    joined = filled.ok("sql", "select count(*) c from trades t join quotes_1sec q on q.symbol = t.symbol and q.timestamp = date_trunc('second', t.timestamp)", "--json").json[0]["c"]
    seconds = {r["timestamp"] // 10**6 for r in filled.rows("quotes")}
    assert joined == sum(r["timestamp"] // 10**6 in seconds for r in filled.rows("trades")) > 0
    for view, symbol in (("equities_1min", "AAPL"), ("quotes_1sec", "BRK.B")):  # the first file, and the only one
        one = f"select min(symbol) a, max(symbol) z from {view} where symbol = '{symbol}' and timestamp < '2024-12-01'"
        assert filled.ok("sql", one, "--json").json == [{"a": symbol, "z": symbol}]
    outcome = filled.run("sql", "select * from equities_1hour")
    assert outcome.code == 1 and "equities_1min" in outcome.stderr


def test_sql_views_of_a_flat_lake(sim, home):
    home.import_("1m", "BRK.B", "2024-06-03", "2024-06-03", "--layout", "flat")
    home.import_("quotes", "BRK.B", "2024-06-03", "2024-06-03")
    home.import_("raw-quotes", "BRK.B", "2024-06-03", "2024-06-03")
    for view, kind in (("equities_1min", "1m"), ("quotes_1sec", "quotes"), ("quotes", "raw-quotes")):
        assert home.ok("sql", f"select symbol, count(*) n from {view} group by 1", "--json").json == [{"symbol": "BRK.B", "n": len(home.rows(kind, "flat"))}]


# ---- one layout, one source ----

def test_a_lake_has_one_layout_and_a_kind_one_source(sim, home):
    home.import_("1m", "BRK.B", "2024-06-03", "2024-06-03")
    before = harness.fingerprint(home.lake)
    for words, names in [(["--layout", "flat"], ["hive", "flat"]), (["--feed", "iex"], ["sip", "iex"]), (["--adjustment", "split"], ["raw", "split"]),
                         (["--asof", "2024-01-02"], ["asof"]), (["--currency", "EUR"], ["EUR"])]:
        outcome = home.run("import", "1m", "BRK.B", "2024-06-04", "2024-06-04", *words)
        assert outcome.code == 2 and all(n in outcome.stderr for n in names), outcome
    outcome = home.run("import", "ticks", "BRK.B", "2024-06-04", "2024-06-04", "--bar", "1m")
    assert outcome.code == 2 and "trades" in outcome.stderr and "bars" in outcome.stderr
    assert harness.fingerprint(home.lake) == before
    home.import_("5m", "BRK.B", "2024-06-03", "2024-06-03", "--feed", "iex")


# ---- the published front door ----

def test_data_import_api_writes_flat_files_and_the_published_log(sim, home):
    outcome = home.run("data", "import-api", "quotes", "AAPL", "2024-06-10", "2024-06-10", "--page-limit", "10000", "--threads", "1", env={"TICKLAKE_LAKE": ""})
    assert outcome.code == 0, outcome
    lake = home.work / "data" / "parquet"
    rows = harness.rows_of(lake, "quotes", "flat")
    harness.assert_rows(rows, truth.tightest(sim, ["AAPL"], "2024-06-10", "2024-06-10"))
    assert [str(p.relative_to(home.work)) for p in harness.data_files(lake)] == ["data/parquet/quotes/AAPL.2024-06.parquet"]
    log = (home.work / "data" / "logs" / "app.log").read_text()
    raw = len(truth.ask(sim, "quotes", ["AAPL"], *truth.span("2024-06-10", "2024-06-10"))["AAPL"])
    assert raw > 10000
    at_ = 0
    for line in ("[Alpaca] Requesting quotes for AAPL (page 1, total fetched: 0)...", "[Alpaca] Received 10000 quotes in page 1 for AAPL", "[Alpaca] → More quote data available...",
                 "[Alpaca] Requesting quotes for AAPL (page 2, total fetched: 10000)...", f"[Alpaca] ✓ Final: Fetched {raw} quotes from Alpaca for AAPL",
                 f"Aggregating {raw} quotes to 1 per second (tightest spread)...", f"Aggregated to {len(rows)} quotes (from {raw})",
                 f"[Parquet] Writing {len(rows)} aggregated quotes for AAPL...", f"[Parquet] ✓ Successfully wrote {len(rows)} quotes to 1 file(s)"):
        found = log.find(line, at_)
        assert found >= 0, f"{line!r} is not in\n{log}"
        at_ = found
    shown = [x for x in log.splitlines() if re.search(r"\[Alpaca\]|\[Parquet\]", x)]
    assert len(shown) >= 8


def test_log_lines_carry_worker_symbol_and_page(sim, home):
    said = home.import_("trades", "AAPL,BRK.B", "2024-06-10", "2024-06-11", "--page-limit", "500")
    assert re.search(r"INFO +\[w\d+\] \[Alpaca\] Received \d+ trades in page \d+ for AAPL", said["stderr"])


# ---- settings ----

def test_settings_precedence(sim, tmp_path):
    """Flag over environment over file; the running system's section, TICKLAKE_OS overrides; ./settings.ini before config/config.ini."""
    home = harness.Home(tmp_path, None)
    del home.env["TICKLAKE_LAKE"]
    (home.work / "settings.ini").write_text(f"[linux]\nlocal_storage_dir = from_linux\napi_threads = 3\n[macos]\nlocal_storage_dir = from_mac\n[alpaca]\nendpoint = {sim.url}\n")
    (home.work / "config").mkdir()
    (home.work / "config" / "config.ini").write_text("[linux]\nlocal_storage_dir = never\n")
    one = ("import", "1d", "AAPL", "2024-06-10", "2024-06-10")
    home.ok(*one)
    home.ok(*one, env={"TICKLAKE_OS": "macos"})
    home.ok(*one, env={"TICKLAKE_LAKE": "from_environment"})
    home.ok(*one, "--lake", "from_flag", env={"TICKLAKE_LAKE": "no"})
    named = tmp_path / "named.ini"
    named.write_text(f"[linux]\nlocal_storage_dir = from_named\n[alpaca]\nendpoint = {sim.url}\n")
    home.ok(*one, "--config", named)
    made = {p.name for p in home.work.iterdir() if p.is_dir() and (p / "_ticklake").exists()}
    assert made == {"from_linux", "from_mac", "from_environment", "from_flag", "from_named"}
    (home.work / "settings.ini").unlink()
    assert home.run(*one, env={"TICKLAKE_ALPACA_ENDPOINT": sim.url}).code == 0
    assert (home.work / "never" / "_ticklake").exists()
    assert home.run(*one, "--config", "not-there.ini").code == 2


def test_endpoint_precedence_and_trimming(sim, home):
    del home.env["TICKLAKE_ALPACA_ENDPOINT"]
    (home.work / "settings.ini").write_text("[alpaca]\nendpoint = http://127.0.0.1:1\n")
    one = ("import", "1d", "AAPL", "2024-06-10", "2024-06-10")
    assert home.run(*one, "--retries", "0").code == 1
    home.ok(*one, env={"TICKLAKE_ALPACA_ENDPOINT": sim.url + "/v2"})
    home.ok("import", "1d", "MSFT", "2024-06-10", "2024-06-10", "--endpoint", sim.url + "/", env={"TICKLAKE_ALPACA_ENDPOINT": "http://127.0.0.1:1"})


def test_a_typed_key_needs_a_private_file(tmp_path):
    with harness.Simulator("--key", "KEYCANARY", "--secret", "SECRETCANARY") as strict:
        home = harness.Home(tmp_path, strict.url)
        file = home.work / "settings.ini"
        file.write_text("[alpaca]\napi_key = KEYCANARY\nsecret_key = SECRETCANARY\n")
        file.chmod(0o644)
        outcome = home.run("import", "1d", "AAPL", "2024-06-10", "2024-06-10")
        assert outcome.code == 2 and re.search(r"chmod \S+ \S*settings.ini", outcome.stderr), outcome
        assert "CANARY" not in outcome.stderr
        command = re.search(r"chmod \S+ '?[^\s']+", outcome.stderr)[0].replace("'", "")
        assert os.system(f"cd {home.work} && {command}") == 0 and stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
        home.ok("import", "1d", "AAPL", "2024-06-10", "2024-06-10", "--log-level", "trace")
        home.ok("import", "1d", "MSFT", "2024-06-10", "2024-06-10", env={"APCA_API_KEY_ID": "KEYCANARY", "APCA_API_SECRET_KEY": "SECRETCANARY"})
        assert home.run("import", "1d", "TSLA", "2024-06-10", "2024-06-10", env={"APCA_API_KEY_ID": "OTHER", "APCA_API_SECRET_KEY": "SECRETCANARY"}).code == 1, "the environment wins"


def test_a_ledger_of_a_newer_version_is_refused_by_name(sim, home):
    home.import_("1d", "AAPL", "2024-06-10", "2024-06-10")
    import sqlite3
    db = sqlite3.connect(home.lake / "_ticklake" / "ledger.db")
    db.execute("pragma user_version = 9999")
    db.commit()
    db.close()
    outcome = home.run("import", "1d", "AAPL", "2024-06-10", "2024-06-11")
    assert outcome.code in (1, 2) and "newer" in outcome.stderr and "9999" in outcome.stderr
