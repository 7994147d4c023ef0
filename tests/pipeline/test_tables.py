"""A lake whose datasets are open tables: what is true of them beyond what every layout is tested for, in the words of the
peers' readers. What a lake of files answers to a command, a lake of tables answers too."""
import json
import pathlib
import shutil
import sys

import pyarrow as pa
import pytest

import harness
import truth
from test_s3_lake import S3Home

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))
from minio import minio  # noqa: E402, F401

TABLES = ["delta", "iceberg", "delta,iceberg"]
SYMBOLS, START, END = ["AAPL", "BRK.B", "SPLT"], "2024-05-30", "2024-06-04"
KINDS = ["1m", "quotes", "trades"]


@pytest.fixture(scope="module")
def lakes(sim, tmp_path_factory):
    """The same imports into every layout."""
    made = {}
    for layout, words in harness.LAYOUTS.items():
        home = made[layout] = harness.Home(tmp_path_factory.mktemp("lake"), sim.url)
        for kind in KINDS:
            home.import_(kind, ",".join(SYMBOLS), START, END, *words)
            home.import_(kind, "BRK.B", "2024-05-28", "2024-05-29", *words)
    return made


def pyiceberg_of(table):
    from pyiceberg.table import StaticTable
    newest = max(table.glob("metadata/v*.metadata.json"), key=lambda p: int(p.name[1:].split(".")[0]))
    return StaticTable.from_metadata(str(newest))


def sorted_rows(table, columns):
    """An Arrow table as a sorted list of tuples, each value in one spelling."""
    plain = [[tuple(v) if isinstance(v, list) else v for v in table.column(c).to_pylist()] for c in columns]
    return sorted(zip(*plain), key=repr)


@pytest.mark.parametrize("kind", KINDS)
def test_the_faces_of_one_import_agree_row_for_row(kind, sim, lakes):
    import deltalake
    table = lakes["delta,iceberg"].lake / harness.HIVE[kind]
    delta, iceberg = deltalake.DeltaTable(str(table)).to_pyarrow_table(), pyiceberg_of(table).scan().to_arrow()
    want = {"1m": lambda *a: truth.bars(sim, "1m", *a), "trades": lambda *a: truth.trades(sim, *a), "quotes": lambda *a: truth.tightest(sim, *a)}[kind]
    expected = want(SYMBOLS, START, END) + want(["BRK.B"], "2024-05-28", "2024-05-29")
    columns = list(expected[0])
    assert delta.column_names == [*columns, "month"] and iceberg.column_names == columns
    assert sorted_rows(delta, columns) == sorted_rows(iceberg, columns)
    for t in (delta, iceberg):
        t = t.set_column(t.column_names.index("timestamp"), "timestamp", t.column("timestamp").cast(pa.int64()))
        assert sorted_rows(t, columns) == sorted((tuple(tuple(v) if isinstance(v, list) else v for v in r.values()) for r in expected), key=repr)
    assert {(str(t)[:7], m) for t, m in zip(delta.column("timestamp").to_pylist(), delta.column("month").to_pylist())} == {("2024-05", "2024-05"), ("2024-06", "2024-06")}


@pytest.mark.parametrize("layout", TABLES)
@pytest.mark.parametrize("words", [("read", "1m", "BRK.B", START, END, "--format", "json"), ("read", "trades", "AAPL,SPLT", "2024-05-31T13:30:00Z", "2024-06-03T14:00:00.5Z", "--format", "json"),
                                   ("read", "quotes", "SPLT,BRK.B", "--format", "csv", "--limit", "500"), ("read", "1m", "SPLT,AAPL", START, END, "--session", "regular", "--columns", "timestamp,symbol,close", "--format", "csv"),
                                   ("read", "1m", "AAPL", "2024-06-08", "2024-06-09", "--format", "csv"), ("read", "1m", "AAPL,NONE", START, END, "--format", "csv"),
                                   ("read", "trades", "NONE"), ("read", "1d", "AAPL"), ("symbols", "trades"), ("range", "quotes", "BRK.B", "--json"), ("range", "trades", "SPLT"), ("range", "1m", "NONE"),
                                   ("coverage", "--json"), ("gaps", "--json"), ("plan", "1m", "AAPL,BRK.B", "2024-05-20", "2024-06-10", "--json"),
                                   ("sql", "select symbol, count(*), sum(volume), min(close), min(timestamp), max(volume) from equities_1min group by 1 order by 1"),
                                   ("sql", "select * from trades where symbol = 'AAPL' and timestamp < timestamptz '2024-05-31 14:00:00Z' order by timestamp_ns, trade_id"),
                                   ("sql", "select * from quotes_1sec order by symbol, timestamp limit 100", "--format", "json"), ("sql", "show tables"), ("sql", "select * from nothing")])
def test_a_lake_of_tables_answers_as_a_lake_of_files(words, layout, lakes):
    want, got = (lakes[name].run(*words) for name in ("hive", layout))
    assert got.code == want.code, got
    assert got.stdout.replace(str(lakes[layout].lake), "LAKE") == want.stdout.replace(str(lakes["hive"].lake), "LAKE")
    if want.code:
        assert got.stderr.replace(str(lakes[layout].lake), "LAKE") == want.stderr.replace(str(lakes["hive"].lake), "LAKE")


@pytest.mark.parametrize("layout", TABLES)
def test_tables_are_as_published(layout, lakes):
    """Columns, partitions, the order of rows and its property."""
    lake = lakes[layout].lake
    if "delta" in layout:
        import deltalake
        table = deltalake.DeltaTable(str(lake / "equities_1min"))
        assert [(f.name, f.type.type) for f in table.schema().fields] == [("symbol", "string"), ("timestamp", "timestamp"), *[(n, "double") for n in ("open", "high", "low", "close")],
                                                                         ("volume", "long"), ("trade_count", "long"), ("vwap", "double"), ("month", "string")]
        assert table.metadata().partition_columns == ["month"] and table.metadata().configuration["ticklake.sort"] == "symbol,timestamp"
        assert table.protocol().min_reader_version == 1 and table.protocol().min_writer_version == 2
    if "iceberg" in layout:
        table = pyiceberg_of(lake / "trades")
        assert table.format_version == 2 and [str(f.transform) for f in table.spec().fields] == ["month"]
        assert table.properties["ticklake.sort"] == "symbol,timestamp_ns"
        fields = {f.name: str(f.field_type) for f in table.schema().fields}
        assert fields == {"symbol": "string", "timestamp": "timestamptz", "timestamp_ns": "long", "price": "double", "size": "long", "exchange": "string", "conditions": "list<string>",
                          "trade_id": "long", "tape": "string", "update": "string"}
    for kind in ("1m", "trades"):
        for path in harness.files_of(lake, kind, layout):
            import pyarrow.parquet as pq
            rows = pq.ParquetFile(path).read(["symbol", "timestamp_ns" if kind == "trades" else "timestamp"]).to_pylist()
            assert rows == sorted(rows, key=lambda r: tuple(r.values())), f"{path} is out of order"


@pytest.mark.parametrize("layout", TABLES)
def test_update_goes_on_from_what_is_there(layout, tmp_path):
    with harness.Simulator("--seed", 7, "--density", "0.05", "--rate", 1_000_000) as sim:
        home = harness.Home(tmp_path, sim.url)
        day = truth.ns_of("2024-06-12T22:00:00Z") // truth.SECOND
        home.import_("5m", "AAPL,SPLT", "2024-06-10", "2024-06-10", *harness.LAYOUTS[layout])
        home.ok("update", env={"TICKLAKE_NOW": str(day)})
        harness.assert_rows(home.rows("5m", layout), truth.bars(sim, "5m", ["AAPL", "SPLT"], "2024-06-10T04:00:00Z", "2024-06-12T22:00:00Z"))
        home.sound(layout)


@pytest.mark.parametrize("layout", TABLES)
def test_rows_that_another_program_took_are_missed_and_asked_again(layout, sim, home):
    home.import_("5m", "AAPL,SPLT", "2024-06-10", "2024-06-11", *harness.LAYOUTS[layout])
    want = home.rows("5m", layout)
    home.ok("table", "delete", home.lake / "equities_5min", "--where", "symbol = 'SPLT' and timestamp < timestamptz '2024-06-10 15:00:00Z'")
    assert len(home.rows("5m", layout)) < len(want)
    outcome = home.run("audit", "--json")
    assert outcome.code == 1 and any("SPLT" in row["detail"] and not row["ok"] for row in outcome.json), outcome
    assert not any("AAPL" in row["detail"] for row in outcome.json)
    home.ok("audit", "--repair")
    sim.reset()
    home.import_("5m", "AAPL,SPLT", "2024-06-10", "2024-06-11")
    assert sim.requests() > 0
    harness.assert_rows(home.rows("5m", layout), want)
    home.sound(layout)


@pytest.mark.parametrize("layout", TABLES)
def test_a_file_that_is_gone_or_damaged_is_named(layout, sim, home):
    home.import_("5m", "AAPL,SPLT", "2024-05-30", "2024-06-03", *harness.LAYOUTS[layout])
    first, last = harness.files_of(home.lake, "5m", layout)
    kept = first.read_bytes()
    for damage in (first.unlink, lambda: first.write_bytes(kept[:-9]), lambda: first.write_bytes(kept[:2000] + b"\0" * 64 + kept[2064:])):
        damage()
        outcome = home.run("audit", "--json")
        assert outcome.code == 1 and {row["path"] for row in outcome.json if not row["ok"]} == {str(first.relative_to(home.lake))}, outcome
    first.write_bytes(kept)
    home.sound(layout)


@pytest.mark.parametrize("layout", TABLES)
def test_a_lost_ledger_is_made_anew(layout, sim, home):
    words = ["5m", "AAPL,SPLT", "2024-06-10", "2024-06-11"]
    home.import_(*words, *harness.LAYOUTS[layout])
    want = home.rows("5m", layout)
    shutil.rmtree(home.lake / "_ticklake")
    assert json.loads(home.ok("sql", "select count(*) as n from equities_5min", "--format", "json").stdout) == [{"n": len(want)}]
    home.ok("audit", "--repair")
    assert home.import_(*words)["rows"] == 0, "asked again, and found as it is"
    harness.assert_rows(home.rows("5m", layout), want)
    assert home.run("import", *words, "--layout", "hive").code == 2
    home.sound(layout)


def test_adopt_is_for_files(sim, home):
    home.import_("5m", "AAPL", "2024-06-10", "2024-06-10", "--layout", "delta")
    outcome = home.run("adopt", home.lake)
    assert outcome.code == 2 and "delta" in outcome.stderr


def test_what_does_not_go_together_is_refused(sim, home):
    words = ["import", "5m", "AAPL", "2024-06-10", "2024-06-10"]
    for more, says in [(["--layout", "hive", "--faces", "delta"], "do not go together"), (["--layout", "deltaa"], "delta"), (["--faces", "hive"], "delta,iceberg")]:
        outcome = home.run(*words, *more)
        assert outcome.code == 2 and says in outcome.stderr, outcome
    home.import_(*words[1:], "--faces", "delta,iceberg")
    assert home.run(*words, "--layout", "delta").code == 2
    home.import_(*words[1:], "--layout", "delta", "--faces", "delta,iceberg")


def test_a_table_of_others_in_the_place_is_refused_by_name(sim, home):
    import deltalake
    deltalake.write_deltalake(str(home.lake / "equities_5min"), pa.table({"symbol": ["A"], "other": [1]}))
    outcome = home.run("import", "5m", "AAPL", "2024-06-10", "2024-06-10", "--layout", "delta")
    assert outcome.code in (1, 2) and "timestamp" in outcome.stderr, outcome
    assert deltalake.DeltaTable(str(home.lake / "equities_5min")).version() == 0


@pytest.mark.parametrize("layout", TABLES)
def test_a_lake_of_tables_on_s3(layout, sim, lakes, minio, tmp_path):
    """The same rows as in a folder, two writers that meet, no request for what is there, nothing left beside it."""
    home = S3Home(tmp_path, sim.url, minio)
    words = harness.LAYOUTS[layout]
    processes = [home.start("import", "trades", symbols, START, end, "--json", *words) for symbols, end in ((",".join(SYMBOLS), "2024-06-03"), ("SPLT,BRK.B,AAPL", END))]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, harness.Outcome(process.returncode, out.decode(), err.decode())
    home.import_("trades", "BRK.B", "2024-05-28", "2024-05-29")
    home.import_("1m", ",".join(SYMBOLS), START, END)
    home.import_("1m", "BRK.B", "2024-05-28", "2024-05-29")
    for asked in (["read", "trades", ",".join(SYMBOLS), "--format", "json"], ["read", "1m", "BRK.B", START, END, "--session", "regular", "--format", "csv"], ["symbols", "trades"], ["range", "trades", "BRK.B"],
                  ["sql", "select symbol, count(*), max(high) from equities_1min group by 1 order by 1"]):
        assert home.ok(*asked).stdout == lakes["hive"].ok(*asked).stdout
    sim.reset()
    assert home.import_("trades", ",".join(SYMBOLS), START, END)["requests"] == 0 and sim.requests() == 0
    assert all(row["ok"] for row in home.ok("audit", "--json").json)
    assert any(k.startswith("trades/_delta_log/") for k in home.keys()) == ("delta" in layout)
    assert any(k.startswith("trades/metadata/") for k in home.keys()) == ("iceberg" in layout)
    assert list(home.temp.iterdir()) == [] and not home.lake.exists()


STEPS = 12  # of one import's commit; a step past the last one strikes nothing


@pytest.mark.parametrize("kind,layout", [("5m", "delta,iceberg"), ("trades", "delta"), ("trades", "iceberg")])
def test_a_crash_at_any_step_of_a_commit(kind, layout, sim, tmp_path):
    """The next command goes on; readers see whole versions; no row is lost or there twice."""
    make = (lambda *a: truth.bars(sim, "5m", *a)) if kind == "5m" else (lambda *a: truth.trades(sim, *a))
    words = [kind, "AAPL,SPLT", "2024-05-31", "2024-06-03"]
    before, want = make(["AAPL", "SPLT"], "2024-05-31", "2024-05-31"), make(["AAPL", "SPLT"], "2024-05-31", "2024-06-03")
    start = harness.Home(tmp_path / "start", sim.url)
    start.import_(kind, "AAPL,SPLT", "2024-05-31", "2024-05-31", *harness.LAYOUTS[layout])
    struck = 0
    for step in range(1, STEPS + 1):
        home = harness.Home(tmp_path / "start", sim.url)  # paths in Iceberg's metadata are absolute: one place, put back each time
        kept = tmp_path / "kept"
        if step == 1:
            shutil.copytree(home.lake, kept)
        shutil.rmtree(home.lake)
        shutil.copytree(kept, home.lake)
        outcome = home.run("import", *words, env={"TICKLAKE_FAULT": f"step:{step}:exit-before"})
        if outcome.code == 0:
            break
        assert outcome.code == 99, outcome
        struck += 1
        for face in layout.split(","):
            rows = harness.rows_of(home.lake, kind, face)
            assert rows in (before, want)
        home.import_(*words)
        harness.assert_rows(home.rows(kind, layout), want)
        home.ok("audit", "--repair")  # takes what the dead process was writing aside
        home.sound(layout)
        assert not list((home.lake / "_ticklake").glob(".stage.*"))
    assert struck >= 5
