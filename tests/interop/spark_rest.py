"""Iceberg through Apache's reference REST catalog: our tables there as PyIceberg, DuckDB and Spark see them at every snapshot; writers of all
kinds at once; answers of commits that get lost. Begun by `make test-interop`."""
import json
import random
import threading

import pyarrow as pa
import pytest

import proxy
import tables
from minio import minio  # noqa: F401 (a fixture)
from rest_catalog import RestCatalog, RestTable
from tables import Local, S3, calm
from test_tables_versions import live

COLUMNS = [("symbol", pa.string()), ("key", pa.int64()), ("value", pa.int64()), ("writer", pa.string())]


@pytest.fixture(scope="module", params=["local", "minio"])
def catalog(request, minio):  # noqa: F811
    place = Local() if request.param == "local" else S3(minio)
    with RestCatalog(place) as running:
        yield running
    place.close()


@pytest.mark.parametrize("partition", [None, "symbol,month(timestamp)"])
def test_every_commit_at_every_snapshot(catalog, partition):
    table = RestTable(catalog, f"life{bool(partition)}", partition)
    for step, change, _ in live(table, tables.prng(f"rest {partition}")):
        change()
        table.note(step)
    for step in range(len(table.versions)):
        table.check(step)
    assert table.run("verify")["wrong"] == 0


def append(catalog, name, writer, commits, acked, lock):
    """PyIceberg's appends, with its own retries."""
    from pyiceberg.exceptions import CommitFailedException
    client = catalog.pyiceberg()
    for i in range(commits):
        rows = [("AAPL", 10**7 + i, i, writer)]
        for _ in range(50):
            try:
                client.load_table(f"ns.{name}").append(tables.arrow(rows, COLUMNS))
                with lock:
                    acked += rows
                break
            except CommitFailedException:
                continue


def ours(table, writer, commits, acked, merged, lock, env):
    random_ = random.Random(f"{tables.SEED}/{writer}")
    for i in range(commits):
        if random_.random() < 0.5:
            rows = [(s, 10**6 + i, random_.randrange(100), writer) for s in ("AAPL", "é")]
            done = tables.ok(table.place, ["table", "append", table.rest_uri, "--from", file_of(table, rows)], timeout=600, **{**table.settings, **env})
            with lock:
                acked += rows
        else:
            rows = [("MSFT", k, random_.randrange(10**6), writer) for k in random_.sample(range(5), 3)]
            done = tables.ok(table.place, ["table", "merge", table.rest_uri, "--from", file_of(table, rows), "--keys", "symbol,key"], timeout=600, **{**table.settings, **env})
            with lock:
                merged.append((done["sequence"], rows))
        assert done["version"] is not None


def file_of(table, rows):
    return table.file(rows, COLUMNS)


def compete(catalog, name, writers, foreign, commits, env=None):
    table = RestTable(catalog, name, None, COLUMNS)
    acked, merged, lock, failed = [], [], threading.Lock(), []

    def guarded(function, *args):
        try:
            function(*args)
        except Exception as error:
            failed.append(error)
    jobs = [threading.Thread(target=guarded, args=(ours, table, f"w{n}", commits, acked, merged, lock, env or {})) for n in range(writers)]
    jobs += [threading.Thread(target=guarded, args=(append, catalog, name, f"py{n}", commits, acked, lock)) for n in range(foreign)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert not failed, failed[:2]
    rows = {}
    for _, new in sorted(merged):
        rows |= {r[:2]: r for r in new}
    table.model.rows = acked + list(rows.values())
    table.note("all of it")
    table.check()
    orders = [order for order, _ in merged]
    assert len(set(orders)) == len(orders)
    assert len(table.load().metadata.snapshots) == sum(1 for _ in merged) + len({(r[1], r[3]) for r in acked}), "a snapshot too many or too few"


def test_writers_at_once(catalog):
    compete(catalog, "shared", 6, 3, tables.count(30, 3))


def test_answers_of_commits_get_lost(catalog):
    """The proxy passes on each commit and drops every second answer: the writer must find its snapshot, and not commit again."""
    with proxy.Proxy(int(catalog.url.rsplit(":", 1)[1])) as between:
        seen = [0, 0]

        def rule(request):
            if request.method == "POST" and b"add-snapshot" in request.body:
                seen[0] += 1
                if seen[0] % 2:
                    seen[1] += 1
                    return proxy.DROP_ANSWER
            return proxy.PASS
        between.rule = rule
        compete(catalog, "ambiguous", 4, 0, tables.count(50, 3), {"TICKLAKE_ICEBERG_REST": between.url})
        assert seen[1] >= 4


@pytest.mark.parametrize("code", [500, 502, 504])
def test_a_commit_whose_state_is_unknown(catalog, code):
    """The catalog commits and answers 5xx; and it answers 5xx without a commit: once each way."""
    table = RestTable(catalog, f"unknown{code}", None, COLUMNS)
    answer = f"HTTP/1.1 {code} no\r\nContent-Length: 0\r\n\r\n".encode()
    with proxy.Proxy(int(catalog.url.rsplit(":", 1)[1])) as between:
        for pass_on in (True, False):
            times = [1]

            def rule(request, pass_on=pass_on, times=times):
                if request.method == "POST" and b"add-snapshot" in request.body and times[0]:
                    times[0] = 0
                    return (lambda r, go: (go(r), answer)[1]) if pass_on else answer
                return proxy.PASS
            between.rule = rule
            rows = [("AAPL", int(pass_on), code, "w")]
            done = table.run("append", "--from", file_of(table, rows), TICKLAKE_ICEBERG_REST=between.url)
            assert done["version"] is not None and not times[0], json.dumps(done)
            table.model.append(rows)
            table.note(f"{code} {pass_on}")
            table.check()


def test_spark_through_the_catalog(catalog, minio):  # noqa: F811
    """Spark reads what we wrote, writes in its turn, and we go on."""
    import spark_session
    table = RestTable(catalog, "withspark", "symbol")
    random_ = tables.prng("rest spark")
    spark = spark_session.begin(minio)
    try:
        spark.conf.set("spark.sql.catalog.rest", "org.apache.iceberg.spark.SparkCatalog")
        for key, value in (("type", "rest"), ("uri", catalog.url), ("io-impl", "org.apache.iceberg.hadoop.HadoopFileIO"), ("cache-enabled", "false")):
            spark.conf.set(f"spark.sql.catalog.rest.{key}", value)
        for turn in range(2):
            rows = calm(random_, 12, first=1000 * turn)
            table.run("append", "--from", table.file(rows))
            theirs = calm(random_, 8, first=1000 * turn + 500)
            spark.read.parquet(str(table.file(theirs))).writeTo("rest.ns.withspark").append()
            table.model.append(rows + theirs)
            table.note(f"turn {turn}")
            table.check()
            tables.same(tables.to_read(spark.table("rest.ns.withspark").toArrow()), table.wants()[1], "Spark")
        changed = [(*r[:2], -5.0, *r[3:]) for r in table.model.rows[::4]]
        table.run("merge", "--from", table.file(changed), "--keys", "symbol,timestamp")
        table.model.merge(changed)
        table.note("merge over Spark's files")
        table.check()
        tables.same(tables.to_read(spark.table("rest.ns.withspark").toArrow()), table.wants()[1], "Spark")
    finally:
        spark.stop()
