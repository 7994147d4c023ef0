"""Files of src/parquet/ read by DuckDB, pyarrow, pandas, polars and Spark: types and values exact, statistics true.

parquet_sample (tests/interop/parquet_sample.c) writes random tables and, from the same random rows but not through the
writer, their truth. A double is compared by its bits, so NaN and -0.0 count. The statistics of each row group are
compared with bounds computed here from the truth."""

import json
import math
import os
import pathlib
import struct
import subprocess

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet as parquet
import pytest

SAMPLE = pathlib.Path(os.environ["TICKLAKE_BUILD"]) / "tests" / "parquet_sample"

# The truth of the schema, written here again: (name, type) as in src/market/schema.c.
T, I, F, W, L = "time", "int", "double", "text", "list"
SCHEMAS = {
    "bars": [("timestamp", T), ("open", F), ("high", F), ("low", F), ("close", F), ("volume", I), ("trade_count", I),
             ("vwap", F)],
    "trades": [("timestamp", T), ("price", F), ("size", I), ("exchange", W), ("conditions", L), ("trade_id", I),
               ("tape", W), ("update", W)],
    "quotes": [("timestamp", T), ("bid_price", F), ("bid_size", I), ("bid_exchange", W), ("ask_price", F),
               ("ask_size", I), ("ask_exchange", W), ("conditions", L), ("tape", W)],
    "quotes_1s": [("timestamp", T), ("bid_price", F), ("bid_size", I), ("bid_exchange", W), ("ask_price", F),
                  ("ask_size", I), ("ask_exchange", W), ("spread", F), ("quote_count", I)],
}
HAS_NS = {"trades", "quotes"}
ARROW = {T: pyarrow.timestamp("us", "UTC"), I: pyarrow.int64(), F: pyarrow.float64(), W: pyarrow.string(),
         L: pyarrow.list_(pyarrow.string())}
DUCKDB = {T: "TIMESTAMP WITH TIME ZONE", I: "BIGINT", F: "DOUBLE", W: "VARCHAR", L: "VARCHAR[]"}
POLARS = {T: polars.Datetime("us", "UTC"), I: polars.Int64, F: polars.Float64, W: polars.String,
          L: polars.List(polars.String)}
PANDAS = {T: "datetime64[us, UTC]", I: ("int64", "float64"), F: "float64", W: ("str", "object"), L: "object"}
SPARK = {T: "timestamp", I: "bigint", F: "double", W: "string", L: "array<string>"}

# kind, seed, rows, rows of a row group, symbol. The sizes are around the edges of pages (20,480) and row groups.
CASES = [(kind, seed, rows, group, symbol)
         for kind in SCHEMAS
         for seed, rows, group, symbol in [(1, 0, 0, "-"), (2, 1, 0, "-"), (3, 7, 0, "BRK.B"), (4, 20480, 20480, "-"),
                                           (5, 20481, 20480, "-"), (6, 45000, 0, "BTC/USD"), (7, 5000, 1000, "-"),
                                           (8, 999, 1, "X") if kind == "bars" else (8, 9999, 3333, "é"),
                                           (9, 30011, 30000, "-"), (10, 2600, 0, "-"), (11, 2601, 0, "-")]]
CASES.append(("bars", 12, 130000, 0, "-"))  # beyond the default row group
SPARK_CASES = [case for case in CASES if case[1] in (1, 3, 5, 6, 7, 9)]  # half of them: Spark is slow to start a job


def columns_of(kind, symbol):
    fields = list(SCHEMAS[kind])
    if kind in HAS_NS:
        fields.insert(1, ("timestamp_ns", I))
    return ([("symbol", W)] if symbol != "-" else []) + fields


def bits(value):
    return None if value is None else struct.pack(">d", value).hex()


NAN = bits(math.nan)


def is_nan(hex_digits):
    return hex_digits is not None and math.isnan(struct.unpack(">d", bytes.fromhex(hex_digits))[0])


def of_truth(value, kind):
    if value is None:
        return None
    if kind == T:
        return value // 1000
    if kind == W:
        return bytes.fromhex(value).decode()
    if kind == L:
        return [bytes.fromhex(item).decode() for item in value]
    return value  # integers; doubles stay the hex digits of their bits


class Sample:
    def __init__(self, folder, kind, seed, rows, group, symbol):
        self.path = folder / f"{kind}-{seed}.parquet"
        lines = folder / f"{kind}-{seed}.jsonl"
        subprocess.run([SAMPLE, kind, str(seed), str(rows), str(group), symbol, self.path, lines], check=True)
        table = [json.loads(line) for line in lines.read_text().splitlines()]
        assert len(table) == rows
        self.rows, self.columns = rows, columns_of(kind, symbol)
        self.truth = {name: [of_truth(row[i], kind_of) for row in table]
                      for i, (name, kind_of) in enumerate(SCHEMAS[kind])}
        if kind in HAS_NS:
            self.truth["timestamp_ns"] = [row[0] for row in table]
        if symbol != "-":
            self.truth["symbol"] = [symbol] * rows

    def check(self, columns, one_nan=False):
        """columns: name -> list; times as epoch microseconds, doubles as floats, as a reader gave them."""
        assert list(columns) == [name for name, _ in self.columns]
        for name, kind in self.columns:
            found, truth = list(columns[name]), self.truth[name]
            if kind == F:
                found = [bits(value) for value in found]
                truth = [NAN if one_nan and is_nan(value) else value for value in truth]
            assert found == truth, name


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("samples"), {}

    def sample(case):
        if case not in made:
            made[case] = Sample(folder, *case)
        return made[case]

    return sample


def name_of(case):
    return "-".join(str(part) for part in case)


def of_arrow(table, columns):
    return {name: (table[name].cast(pyarrow.int64()) if kind == T else table[name]).to_pylist() for name, kind in columns}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_pyarrow(samples, case):
    sample = samples(case)
    table = parquet.read_table(sample.path)
    assert [(f.name, f.type) for f in table.schema] == [(name, ARROW[kind]) for name, kind in sample.columns]
    sample.check(of_arrow(table, sample.columns))


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_duckdb(samples, case):
    sample = samples(case)
    db = duckdb.connect()
    db.execute("SET threads = 1; SET TimeZone = 'America/New_York'")
    relation = db.sql(f"FROM read_parquet('{sample.path}', hive_partitioning = false)")
    assert [(n, str(t)) for n, t in zip(relation.columns, relation.types)] == [
        (name, DUCKDB[kind]) for name, kind in sample.columns]
    picked = ", ".join(f'epoch_us("{n}") AS "{n}"' if kind == T else f'"{n}"' for n, kind in sample.columns)
    rows = relation.project(picked).fetchall()
    sample.check({name: [row[i] for row in rows] for i, (name, _) in enumerate(sample.columns)})


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_polars(samples, case):
    sample = samples(case)
    frame = polars.read_parquet(sample.path, hive_partitioning=False)
    assert dict(frame.schema) == {name: POLARS[kind] for name, kind in sample.columns}
    sample.check({name: (frame[name].to_physical() if kind == T else frame[name]).to_list()
                  for name, kind in sample.columns})


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_pandas(samples, case):
    """pandas has no NULL beside int64 and double: there NULL is NaN, and an integer column with NULLs is double."""
    sample = samples(case)
    frame = pandas.read_parquet(sample.path, partitioning=None)
    assert list(frame.columns) == [name for name, _ in sample.columns]
    for name, kind in sample.columns:
        truth, series = sample.truth[name], frame[name]
        if not truth or all(value is None for value in truth):
            assert series.isna().all(), name
            continue
        assert str(series.dtype) in PANDAS[kind], name
        if kind == T:
            assert series.astype("int64").tolist() == truth
        elif kind == F:
            assert [bits(v) if v == v else NAN for v in series.tolist()] == [
                NAN if b is None or is_nan(b) else b for b in truth], name
        elif kind == I and None in truth:
            assert [None if v != v else v for v in series.tolist()] == [None if v is None else float(v) for v in truth]
        elif kind == L:
            assert [None if v is None else list(v) for v in series.tolist()] == truth, name
        else:
            assert [None if v != v else v for v in series.tolist()] == truth, name


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_statistics_are_the_bounds_of_each_row_group(samples, case):
    sample = samples(case)
    meta = parquet.ParquetFile(sample.path).metadata
    assert meta.num_rows == sample.rows and meta.num_columns == len(sample.columns)
    begin = 0
    for g in range(meta.num_row_groups):
        group = meta.row_group(g)
        end = begin + group.num_rows
        for c, (name, kind) in enumerate(sample.columns):
            check_statistics(group.column(c), kind, sample.truth[name][begin:end], name == "symbol")
        begin = end
    assert begin == sample.rows


def check_statistics(chunk, kind, truth, is_symbol):
    stats, present = chunk.statistics, [value for value in truth if value is not None]
    assert chunk.compression == "ZSTD"
    if kind == L:
        assert stats is None
        return
    assert stats.null_count == len(truth) - len(present)
    if kind == F:
        numbers = [struct.unpack(">d", bytes.fromhex(b))[0] for b in present]
        if not numbers or any(math.isnan(x) for x in numbers):
            assert not stats.has_min_max
            return
        low, high = min(numbers), max(numbers)  # a zero bound is -0.0 below and 0.0 above
        assert bits(stats.min) == bits(low if low else -0.0) and bits(stats.max) == bits(high if high else 0.0)
    elif kind == W and not is_symbol or not present:
        assert not stats.has_min_max
    elif kind == W:
        assert stats.min == stats.max == present[0]
    else:
        as_number = (lambda v: v) if isinstance(stats.min, int) else (
            lambda v: pyarrow.scalar(v, ARROW[T]).cast(pyarrow.int64()).as_py())
        assert as_number(stats.min) == min(present) and as_number(stats.max) == max(present)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_a_filter_that_prunes_row_groups_finds_the_same_rows(samples, kind):
    sample = samples(next(case for case in CASES if case[0] == kind and case[3] == 1000))
    times = sample.truth["timestamp"]
    low, high = times[1500], times[3500]
    wanted = sum(low <= t < high for t in times)
    db = duckdb.connect()
    query = f"SELECT count(*) FROM '{sample.path}' WHERE \"timestamp\" >= make_timestamptz(?) AND \"timestamp\" < make_timestamptz(?)"
    assert db.execute(query, [low, high]).fetchone()[0] == wanted
    bounds = [polars.lit(t).cast(POLARS[T]) for t in (low, high)]
    assert polars.scan_parquet(sample.path).filter(
        (polars.col("timestamp") >= bounds[0]) & (polars.col("timestamp") < bounds[1])).collect().height == wanted
    as_time = [pyarrow.scalar(t, ARROW[T]) for t in (low, high)]
    assert parquet.read_table(sample.path, filters=[("timestamp", ">=", as_time[0]), ("timestamp", "<", as_time[1])]
                              ).num_rows == wanted


def test_spark(samples, tmp_path):
    """One session for all cases; the vectorised reader for flat columns and lists alike."""
    from pyspark.sql import SparkSession

    spark = (SparkSession.builder.master("local[1]").appName("parquet").config("spark.ui.enabled", "false")
             .config("spark.sql.session.timeZone", "UTC").config("spark.sql.shuffle.partitions", "1")
             .config("spark.sql.parquet.enableNestedColumnVectorizedReader", "true")
             .config("spark.sql.parquet.enableVectorizedReader", "true").getOrCreate())
    spark.sparkContext.setLogLevel("ERROR")
    try:
        for number, case in enumerate(SPARK_CASES):
            sample = samples(case)
            frame = spark.read.parquet(str(sample.path))
            assert frame.dtypes == [(name, SPARK[kind]) for name, kind in sample.columns], case
            picked = [f"unix_micros(`{n}`) AS `{n}`" if kind == T else f"`{n}`" for n, kind in sample.columns]
            back = tmp_path / str(number)  # Spark's own file: exact, quicker than rows through a socket
            frame.selectExpr(*picked).coalesce(1).write.parquet(str(back))
            table = parquet.read_table(back)
            # Java's doubleToLongBits, with which Spark writes, makes all NaNs one
            sample.check({name: table[name].to_pylist() for name, _ in sample.columns}, one_nan=True)
    finally:
        spark.stop()
