"""Spark with Delta and Spark with Iceberg see what our tables hold, at every version, on disk and on S3; what Spark writes in its turn is read,
and written on, by us. Begun by `make test-interop`; the quick readers are in test_tables_versions.py."""
import datetime

import pytest

import spark_session
import tables
from minio import minio  # noqa: F401 (a fixture)
from tables import Local, S3, Table, calm
from test_tables_versions import PARTITIONS, live
from test_tables_symbols import COLUMNS, NAMES, rows_of


@pytest.fixture(scope="module")
def spark(minio):  # noqa: F811
    session = spark_session.begin(minio)
    yield session
    session.stop()


@pytest.fixture(scope="module")
def places(minio):  # noqa: F811
    made = {"local": Local(), "minio": S3(minio)}
    yield made
    for place in made.values():
        place.close()


def check(spark, table, step=-1):
    what, want, _, _ = table.versions[step]
    delta, iceberg = table.wants(step)
    if "delta" in want:
        got = tables.to_read(spark_session.read_delta(spark, table.place, table.name, want["delta"]))
        tables.same(tables.order_columns(got, delta), delta, f"Spark with Delta: {table.name}, {what}")
    if want.get("iceberg", -1) != -1:
        got = tables.to_read(spark_session.read_iceberg(spark, table.place, table.name, want["iceberg"]))
        iceberg = tables.narrowed(iceberg, got)
        tables.same(tables.narrowed(got, iceberg), iceberg, f"Spark with Iceberg: {table.name}, {what}")


@pytest.mark.parametrize("where,faces,partition", [("local", "delta", "none"), ("local", "iceberg", "none"), ("local", "delta,iceberg", "symbol"), ("local", "delta,iceberg", "both"),
                                                   ("local", "delta", "month"), ("local", "iceberg", "date"), ("minio", "delta,iceberg", "both")])
def test_spark_sees_every_version(spark, places, where, faces, partition):
    table = Table(places[where], f"spark-{faces.replace(',', '-')}-{partition}", faces, PARTITIONS[partition])
    for step, change, _ in live(table, tables.prng(f"spark {where} {faces} {partition}")):
        change()
        table.note(step)
    for step in range(len(table.versions)):
        check(spark, table, step)
    table.run("checkpoint")
    check(spark, table)


@pytest.mark.parametrize("faces", ["delta", "iceberg"])
def test_spark_sees_hard_names(spark, places, faces):
    table = Table(places["local"], f"spark-names-{faces}", faces, "symbol", COLUMNS)
    rows = rows_of(NAMES)
    table.run("append", "--from", table.file(rows))
    table.model.append(rows)
    table.note("append")
    check(spark, table)
    reader = spark.read.format(faces).load(table.uri)
    for name in ("BTC/USD", "../../etc", "é ✓ 漢", "100%", "a b"):
        assert reader.where(reader.symbol == name).count() == 1, name
    assert reader.where("symbol is null").count() == 1


@pytest.mark.parametrize("partition", ["none", "symbol", "both"])
def test_spark_writes_in_its_turn(spark, places, partition):
    """Spark's append, overwrite and optimize between ours; all readers agree each time."""
    place = places["local"]
    table = Table(place, f"turns-{partition}", "delta", PARTITIONS[partition])
    random_ = tables.prng("turns")
    for turn in range(3):
        ours = calm(random_, 10, first=1000 * turn)
        table.run("append", "--from", table.file(ours))
        table.model.append(ours)
        theirs = calm(random_, 10, first=1000 * turn + 500)
        frame = spark.read.parquet(str(table.file(theirs)))
        if table.model.month:
            from pyspark.sql import functions
            frame = frame.withColumn("month", functions.date_format("timestamp", "yyyy-MM"))
        frame.write.format("delta").mode("append").save(table.uri)
        table.model.append(theirs)
        table.note(f"turn {turn}")
        check(spark, table)
        table.check(lint=False)
    changed = [(*r[:2], -5.0, *r[3:]) for r in table.model.rows[::4]]
    assert table.run("merge", "--from", table.file(changed), "--keys", "symbol,timestamp")["rows_updated"] == len(changed)
    table.model.merge(changed)
    table.note("merge over Spark's files")
    check(spark, table)
    table.check(lint=False)
    table.run("optimize")
    table.note("optimize over Spark's files")
    check(spark, table)
    spark.sql(f"optimize delta.`{table.uri}`")
    spark.sql(f"delete from delta.`{table.uri}` where volume < 300000")
    table.model.delete(lambda r: r["volume"] < 300000)
    table.note("Spark's delete")
    table.check(lint=False)
    assert table.run("verify")["wrong"] == 0


def test_features_of_spark_are_refused_by_name(spark, places):
    """Deletion vectors, column mapping, generated columns, ...: not read wrongly, not written over."""
    place = places["local"]
    for name, ddl, word, readable in (
            ("dv", "a bigint) using delta location '{}' tblproperties ('delta.enableDeletionVectors'='true'", "deletionVectors", False),
            ("mapping", "a bigint) using delta location '{}' tblproperties ('delta.columnMapping.mode'='name'", "columnMapping", False),
            ("check", "a bigint) using delta location '{}' tblproperties ('delta.constraints.positive'='a > 0'", "onstraint", True),
            ("cdf", "a bigint) using delta location '{}' tblproperties ('delta.enableChangeDataFeed'='true'", "hange", True),
            ("tracking", "a bigint) using delta location '{}' tblproperties ('delta.enableRowTracking'='true'", "domainMetadata", True)):
        uri = place.uri(f"feature-{name}")
        spark.sql(f"create table delta_{name} ({ddl.format(uri)})")
        spark.sql(f"insert into delta_{name} values (1), (2), (3)")
        done = tables.run(place, ["sql", f"select sum(a)::bigint as s from delta({tables.quoted(uri)})", "--json"])
        assert (done.code == 0) == readable, (name, done)
        assert readable or word.encode() in done.err, (name, done.err)
        path = place.home / "more.parquet"
        tables.pq.write_table(tables.pa.table({"a": tables.pa.array([4], tables.pa.int64())}), path)
        done = tables.run(place, ["table", "append", uri, "--from", path])
        assert done.code in (1, 2) and word.encode() in done.err, (name, done)
        assert spark.sql(f"select count(*) from delta_{name}").collect()[0][0] == 3
        spark.sql(f"drop table delta_{name}")


def test_spark_writes_types_we_do_not(spark, places):
    """INT96-free timestamps, structs and maps beside plain columns: the plain ones are read."""
    uri = places["local"].uri("nested")
    spark.sql(f"create table nested (a bigint, s struct<x: int>, t timestamp) using delta location '{uri}'")
    spark.sql("insert into nested values (1, named_struct('x', 5), timestamp'2024-03-10 07:00:00.000001')")
    answer = tables.ok(places["local"], ["sql", f"select a, epoch_us(t)::bigint as t from delta({tables.quoted(uri)})"])
    assert answer == [{"a": 1, "t": round(datetime.datetime(2024, 3, 10, 7, tzinfo=datetime.timezone.utc).timestamp()) * 10**6 + 1}]
    path = places["local"].home / "more.parquet"
    tables.pq.write_table(tables.pa.table({"a": tables.pa.array([4], tables.pa.int64())}), path)
    done = tables.run(places["local"], ["table", "append", uri, "--from", path])
    assert done.code in (1, 2) and b"s" in done.err, done
    spark.sql("drop table nested")
