"""The files of a whole lake are read alike by DuckDB, pyarrow, pandas, polars and Spark: the same rows as the vendor's JSON,
timestamps as UTC microseconds, hive partitions as columns."""
import datetime
import pathlib
import sys

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "pipeline"))
import harness  # noqa: E402
import truth  # noqa: E402

START, END, SYMBOLS = "2024-05-31", "2024-06-03", ["AAPL", "BRK.B"]
KINDS = ["1m", "1d", "ticks", "quotes", "trades", "raw-quotes"]
US = pa.timestamp("us", tz="UTC")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(lakes by layout, expected rows by kind, ordered)"""
    with harness.Simulator("--seed", 7, "--density", "0.02", "--rate", 1_000_000) as sim:
        lakes = {}
        for layout in ("hive", "flat"):
            home = harness.Home(tmp_path_factory.mktemp(layout), sim.url)
            for kind in KINDS:
                home.import_(kind, ",".join(SYMBOLS), START, END, "--layout", layout)
            lakes[layout] = home.lake
        make = {"1m": truth.bars(sim, "1m", SYMBOLS, START, END), "1d": truth.bars(sim, "1d", SYMBOLS, START, END), "ticks": truth.bars_of_ticks(sim, "1s", SYMBOLS, START, END),
                "quotes": truth.tightest(sim, SYMBOLS, START, END), "trades": truth.trades(sim, SYMBOLS, START, END), "raw-quotes": truth.quotes(sim, SYMBOLS, START, END)}
        yield lakes, make


def where(lakes, layout, kind):
    """(glob, base folder) of a kind's files."""
    word = "1s" if kind == "ticks" else kind
    top = harness.HIVE[word] if layout == "hive" else harness.FLAT.get(word, f"bars/{word}")
    return str(lakes[layout] / top / ("**/*.parquet" if layout == "hive" else "*.parquet")), lakes[layout] / top


def plain(rows, columns):
    """Rows in a fixed order of columns, values as plain Python; files are in order, readers may take them in any."""
    out = []
    for r in rows:
        row = dict(r)
        t = row["timestamp"]
        if isinstance(t, pandas.Timestamp):
            t = t.to_pydatetime()
        if isinstance(t, datetime.datetime):
            assert t.utcoffset() is not None, "a timestamp without a zone"
            delta = t - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
            row["timestamp"] = (delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds
        if "conditions" in row:
            row["conditions"] = list(row["conditions"])
        out.append([None if isinstance(row[c], float) and row[c] != row[c] else row[c] for c in columns])
    return out


def order(rows, columns):
    """Equal instants keep the order of the file, which a stable sort by symbol and time does not touch."""
    at = [columns.index("symbol"), columns.index("timestamp_ns") if "timestamp_ns" in columns else columns.index("timestamp")]
    return sorted(rows, key=lambda r: [r[i] for i in at])


def check(rows, want):
    columns = list(want[0])
    got, expected = order(plain(rows, columns), columns), order([[r[c] for c in columns] for r in want], columns)
    harness.assert_rows([dict(zip(columns, r)) for r in got], [dict(zip(columns, r)) for r in expected])


@pytest.mark.parametrize("layout", ["hive", "flat"])
@pytest.mark.parametrize("kind", KINDS)
def test_duckdb(kind, layout, world):
    lakes, want = world
    with duckdb.connect() as db:
        db.execute("set timezone='UTC'; set threads=1")
        relation = db.execute("select * from read_parquet(?, hive_partitioning=?)", [where(lakes, layout, kind)[0], layout == "hive"])
        types = {d[0]: str(d[1]) for d in relation.description}
        assert types["timestamp"] == "TIMESTAMP WITH TIME ZONE"
        names = [d[0] for d in relation.description]
        check([dict(zip(names, r)) for r in relation.fetchall()], want[kind])
        if layout == "hive":
            assert {"symbol", "year", "month"} <= types.keys()
            assert db.execute("select count(*) from read_parquet(?, hive_partitioning=true) where symbol='AAPL' and year=2024 and month='06'",
                              [where(lakes, layout, kind)[0]]).fetchone()[0] == sum(r["symbol"] == "AAPL" and r["timestamp"] >= 1717200000 * 10**6 for r in want[kind])


@pytest.mark.parametrize("layout", ["hive", "flat"])
@pytest.mark.parametrize("kind", KINDS)
def test_pyarrow(kind, layout, world):
    lakes, want = world
    partitioning = pa.dataset.partitioning(pa.schema([("symbol", pa.string()), ("year", pa.int32()), ("month", pa.string())]), flavor="hive") if layout == "hive" else None
    table = pa.dataset.dataset(where(lakes, layout, kind)[1], format="parquet", partitioning=partitioning).to_table()
    assert table.schema.field("timestamp").type == US
    check(table.to_pylist(), want[kind])


@pytest.mark.parametrize("layout", ["hive", "flat"])
@pytest.mark.parametrize("kind", KINDS)
def test_pandas(kind, layout, world):
    lakes, want = world
    frame = pandas.read_parquet(where(lakes, layout, kind)[1])
    assert str(frame["timestamp"].dtype) == "datetime64[us, UTC]"
    records = frame.astype({"symbol": "object"}).to_dict("records")
    whole = {"trade_count", "volume", "bid_size", "ask_size", "size", "trade_id", "quote_count", "timestamp_ns"}
    assert all(str(frame[c].dtype) in ("int64", "float64") for c in whole & set(frame.columns))
    check([{k: v if not isinstance(v, float) or k not in whole else int(v) for k, v in r.items()} for r in records], want[kind])


@pytest.mark.parametrize("layout", ["hive", "flat"])
@pytest.mark.parametrize("kind", KINDS)
def test_polars(kind, layout, world):
    lakes, want = world
    frame = polars.scan_parquet(where(lakes, layout, kind)[0], hive_partitioning=layout == "hive").collect()
    assert frame.schema["timestamp"] == polars.Datetime("us", "UTC")
    check(frame.to_dicts(), want[kind])


def test_spark(world):
    """One session for all kinds: Java is slow to start."""
    from pyspark.sql import SparkSession
    lakes, want = world
    spark = (SparkSession.builder.master("local[2]").appName("readers").config("spark.ui.enabled", "false").config("spark.sql.session.timeZone", "UTC")
             .config("spark.sql.shuffle.partitions", "2").config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate())
    try:
        for layout in ("hive", "flat"):
            for kind in KINDS:
                frame = spark.read.parquet(str(where(lakes, layout, kind)[1]))
                types = dict(frame.dtypes)
                assert types["timestamp"] == "timestamp" and types["symbol"] == "string"
                assert all(types[c] == "bigint" for c in ("volume", "trade_count", "bid_size", "size", "trade_id", "timestamp_ns", "quote_count") if c in types)
                assert all(types[c] == "double" for c in ("open", "vwap", "price", "bid_price", "spread") if c in types)
                columns = list(want[kind][0])
                micros = frame.selectExpr("unix_micros(timestamp) as us", *[f"`{c}`" for c in columns if c != "timestamp"]).collect()
                rows = [{**r.asDict(), "timestamp": r["us"]} for r in micros]
                check(rows, want[kind])
    finally:
        spark.stop()


def test_sorted_by_time_in_every_file(world):
    lakes, _ = world
    for layout, lake in lakes.items():
        for path in harness.data_files(lake):
            table = pq.read_table(path, partitioning=None)
            key = "timestamp_ns" if "timestamp_ns" in table.column_names else "timestamp"
            values = table.column(key).cast(pa.int64()).to_pylist()
            assert values == sorted(values), path
            if key == "timestamp":
                assert len(values) == len(set(values)), path
