"""Symbols and partition values that are hard to spell go through partition paths and come back the same, from both stores, by all readers; what
has no name in a path is refused by name and leaves the table as it was."""
import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tables
from tables import FACES, Local, S3, Table
from minio import minio  # noqa: F401 (a fixture)

NAMES = ["AAPL", "aapl", "BRK.B", "BRK/B", "BTC/USD", "../../etc", "..", ".", "...", "a b", " ", "100%", "%2e%2e", "%", "A&B=C+D", "=", "symbol=x", "q?#x", "it's", '"x"', "a\\b", "new\nline", "CON",
         "-x", "_x", ".x", "~", "*", "{a,b}", "[x]", "é ✓ 漢", "e\u0301", "é", "\u200fRTL", "\U0001f4c8", "x" * 200, "漢" * 22, "__HIVE_DEFAULT_PARTITION__x", "null", "NULL", "a.parquet", "part-0", ":", "s3://x", None]
COLUMNS = [("symbol", pa.string()), ("timestamp", tables.US), ("close", pa.float64())]
REFUSED = {"empty": "", "NUL": "a\0b", "201 bytes": "x" * 201, "204 escaped bytes": "漢" * 22 + "123456789"}


@pytest.fixture(scope="module")
def places(minio):  # noqa: F811
    made = {"local": Local(), "minio": S3(minio)}
    yield made
    for place in made.values():
        place.close()


def rows_of(names, second=0):
    return [(name, datetime.datetime(2024, 3, 5, 15, 0, second, i, tzinfo=datetime.timezone.utc), i / 4) for i, name in enumerate(names)]


@pytest.mark.parametrize("where,faces,partition", [("local", faces, "symbol") for faces in FACES] + [(where, "delta,iceberg", "symbol,month(timestamp)") for where in ("local", "minio")] +
                         [("minio", faces, "symbol") for faces in ("delta", "iceberg")])
def test_names_come_back(places, where, faces, partition):
    place = places[where]
    table = Table(place, f"names-{faces.replace(',', '-')}-{'month' in partition}", faces, partition, COLUMNS)
    rows = rows_of(NAMES)
    table.run("append", "--from", table.file(rows))
    table.model.append(rows)
    table.note("append")
    table.check()
    merged = rows_of(NAMES[::2], 1) + [(*rows[i][:2], -1.0) for i in range(1, len(rows), 3)] + [(*rows[-1][:2], 99.5)]
    merged = list({(r[0], r[1]): r for r in merged}.values())
    table.model.merge(merged)
    table.run("merge", "--from", table.file(merged), "--keys", "symbol,timestamp")
    table.note("merge")
    table.check()
    for name in ("BTC/USD", "../../etc", "it's", "100%", "new\nline"):
        gone = table.model.delete(lambda r, name=name: r["symbol"] == name)
        assert table.run("delete", "--where", f"symbol = {tables.quoted(name)}")["rows_deleted"] == gone > 0
    gone = table.model.delete(lambda r: r["symbol"] is None)
    assert table.run("delete", "--where", "symbol is null")["rows_deleted"] == gone > 0
    table.note("delete")
    table.check()
    table.run("optimize")
    table.run("vacuum", "--retain", "0h", "--force")
    table.note("optimize")
    table.check()
    if where == "local":  # nothing was written beside the table, by any of these names
        assert not list(place.home.rglob("etc*")) or all("%" in p.parent.name or "%" in str(p) for p in place.home.rglob("etc*"))
        outside = [p for p in (place.home / "tables").iterdir() if not p.name.startswith("names-")]
        assert all(p.name in ("refused",) or p.is_dir() for p in outside)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("faces", FACES)
def test_what_has_no_name_is_refused_by_name(places, faces, name):
    place = places["local"]
    table = Table(place, f"refused-{faces.replace(',', '-')}-{len(name)}", faces, "symbol", COLUMNS)
    rows = rows_of(["AAPL"])
    table.run("append", "--from", table.file(rows))
    table.model.append(rows)
    table.note("append")
    before = place.files(table.name)
    path = place.home / "refused.parquet"
    pq.write_table(tables.arrow(rows_of(["MSFT", REFUSED[name]], 2), COLUMNS), path)
    for verb, more in (("append", ()), ("merge", ("--keys", "symbol,timestamp")), ("replace", ())):
        done = tables.run(place, ["table", verb, table.uri, "--from", path, *more])
        assert done.code == 2 and b"symbol" in done.err, (verb, done)
        assert not done.out.strip()
    assert place.files(table.name) == before, "a refused write left something"
    table.check()


@pytest.mark.parametrize("type_,values", [("DATE", [datetime.date(2024, 2, 29), datetime.date(1969, 12, 31), None]), ("BIGINT", [0, -1, 2**63 - 1, -2**63, None]), ("BOOLEAN", [True, False, None]),
                                          ("INTEGER", [7, -2**31, None]), ("TIMESTAMPTZ", [datetime.datetime(2024, 3, 10, 7, 0, 0, 1, tzinfo=datetime.timezone.utc), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.timezone.utc), None])])
@pytest.mark.parametrize("faces", FACES)
def test_partition_values_of_other_types(places, faces, type_, values):
    place = places["local"]
    of = {"DATE": pa.date32(), "BIGINT": pa.int64(), "BOOLEAN": pa.bool_(), "INTEGER": pa.int32(), "TIMESTAMPTZ": tables.US}[type_]
    columns = [("part", of), ("n", pa.int64())]
    table = Table(place, f"typed-{type_}-{faces.replace(',', '-')}", faces, "part", columns)
    rows = [(v, i) for i, v in enumerate(values * 3)]
    table.run("append", "--from", table.file(rows))
    table.model.append(rows)
    table.note("append")
    table.check()
    table.model.delete(lambda r: r["part"] is None)
    table.run("delete", "--where", "part is null")
    table.note("delete")
    table.check()
