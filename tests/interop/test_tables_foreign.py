"""Tables that delta-rs made are read and written; delta-rs goes on with tables that we made; what we do not support is refused by its name,
and never written over."""
import json
import shutil

import deltalake
import pyarrow as pa
import pytest

import tables
from minio import minio  # noqa: F401 (a fixture)
from tables import Local, S3, Table, awkward, calm

KEYS = ("--keys", "symbol,timestamp")


@pytest.fixture(scope="module")
def places(minio):  # noqa: F811
    made = {"local": Local(), "minio": S3(minio)}
    yield made
    for place in made.values():
        place.close()


@pytest.mark.parametrize("partition", [None, "symbol"])
@pytest.mark.parametrize("where", ["local", "minio"])
def test_a_table_of_delta_rs_is_ours_too(places, where, partition):
    place = places[where]
    table = Table(place, f"theirs-{partition}", "delta", partition, create=False)
    random_ = tables.prng("theirs")
    for i in range(12):  # past the tenth commit a checkpoint of theirs may stand in the log
        rows = awkward(random_, 8, first=100 * i)
        deltalake.write_deltalake(table.uri, tables.arrow(rows), mode="append", partition_by=[partition] if partition else None, storage_options=place.storage_options)
        table.model.append(rows)
    tables.delta_rs(place, table.name).create_checkpoint()
    table.note("delta-rs wrote")
    table.check(lint=False)

    ours = calm(random_, 10, first=5000) + [(*r[:2], 7.0, *r[3:]) for r in table.model.rows[::9]]
    done = table.run("merge", "--from", table.file(ours), *KEYS)
    assert (done["rows_inserted"], done["rows_updated"]) == table.model.merge(ours)
    table.note("we merged")
    table.check(lint=False)
    table.run("optimize")
    table.note("we optimized")
    table.check(lint=False)

    theirs = tables.delta_rs(place, table.name)
    theirs.delete("volume > 1000")
    table.model.delete(lambda r: r["volume"] is not None and r["volume"] > 1000)
    theirs.optimize.compact()
    table.note("delta-rs deleted and compacted")
    table.check(lint=False)
    assert table.run("verify")["wrong"] == 0
    for step in range(len(table.versions)):
        table.check(step, lint=False)


@pytest.mark.parametrize("partition", [None, "symbol", "symbol,month(timestamp)"])
def test_delta_rs_goes_on_with_ours(places, partition):
    """Turn by turn: append, merge, delete, checkpoint, compact, vacuum by delta-rs between appends and merges of ours."""
    place = places["local"]
    table = Table(place, f"turns-{partition and len(partition)}", "delta", partition)
    random_ = tables.prng(f"turns {partition}")

    def month(rows):
        data = tables.arrow(rows)
        return data.append_column("month", pa.array([f"{r[1]:%Y-%m}" for r in rows])) if table.model.month else data

    def ours(i):
        rows = calm(random_, 12, first=1000 * i) + [(*r[:2], float(i), *r[3:]) for r in table.model.rows[::5]]
        table.run("merge", "--from", table.file(rows), *KEYS)
        table.model.merge(rows)

    def append(rs):
        rows = calm(random_, 9, first=60_000 + 100 * rs.version())
        deltalake.write_deltalake(rs, month(rows), mode="append")
        table.model.append(rows)

    def merge(rs):
        rows = [(*r[:2], -1.5, *r[3:]) for r in table.model.rows[::4]] + calm(random_, 3, first=80_000)
        on = "t.symbol = s.symbol and t.timestamp = s.timestamp"
        rs.merge(month(rows), on, source_alias="s", target_alias="t").when_matched_update_all().when_not_matched_insert_all().execute()
        table.model.merge(rows)

    def delete(rs):
        rs.delete("lots > 700")
        table.model.delete(lambda r: r["lots"] is not None and r["lots"] > 700)

    turns = [append, merge, delete, lambda rs: rs.create_checkpoint(), lambda rs: rs.optimize.compact(), append,
             lambda rs: rs.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)]
    for i, turn in enumerate(turns):
        ours(i)
        turn(tables.delta_rs(place, table.name))
        table.note(f"turn {i}")
        table.check(lint=False)
    ours(99)
    table.note("ours again")
    table.check(lint=False)
    assert table.run("verify")["wrong"] == 0


# What a log may say, and the word that the refusal must hold; reading is refused only where a reader's feature is missing.
FEATURES = {
    "deletion vectors": ({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}, {}, "deletionVectors", False),
    "column mapping": ({"minReaderVersion": 2, "minWriterVersion": 5}, {"delta.columnMapping.mode": "name"}, "columnMapping", False),
    "a reader's feature of tomorrow": ({"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["telepathy"], "writerFeatures": ["telepathy"]}, {}, "telepathy", False),
    "a reader of tomorrow": ({"minReaderVersion": 4, "minWriterVersion": 7}, {}, "4", False),
    "a writer's feature of tomorrow": ({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["telepathy"]}, {}, "telepathy", True),
    "change data feed": ({"minReaderVersion": 1, "minWriterVersion": 4}, {"delta.enableChangeDataFeed": "true"}, "hange", True),
    "a constraint": ({"minReaderVersion": 1, "minWriterVersion": 3}, {"delta.constraints.positive": "volume > 0"}, "onstraint", True),
    "row tracking": ({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking", "domainMetadata"]}, {}, "rowTracking", True),
    "clustering": ({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["clustering", "domainMetadata"]}, {}, "clustering", True),
    "in-commit timestamps": ({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["inCommitTimestamp"]}, {"delta.enableInCommitTimestamps": "true"}, "inCommitTimestamp", True),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_features_are_refused_by_name(places, feature):
    protocol, configuration, word, readable = FEATURES[feature]
    place = places["local"]
    table = Table(place, "feature-" + feature.replace(" ", "-").replace("'", ""), "delta")
    rows = calm(tables.prng("features"), 10)
    table.run("append", "--from", table.file(rows))
    path = f"{place.base(table.name)}/_delta_log/{0:020d}.json"
    actions = [json.loads(line) for line in open(path, encoding="utf-8")]
    for action in actions:
        if "protocol" in action:
            action["protocol"] = protocol
        if "metaData" in action:
            action["metaData"]["configuration"] |= configuration
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(action) + "\n" for action in actions)
    before = place.files(table.name)
    for verb, *more in (("append", "--from", table.file(rows)), ("merge", "--from", table.file(rows), *KEYS), ("delete", "--where", "true"), ("optimize",), ("add-columns", "--columns", "x BIGINT"),
                        ("restore", "--version", 0), ("vacuum", "--retain", "0h", "--force")):
        done = tables.run(place, ["table", verb, table.uri, *more])
        assert done.code in (1, 2) and word.encode() in done.err, (verb, done)
    done = tables.run(place, ["sql", f"select count(*)::bigint as n from delta({tables.quoted(table.uri)})", "--json"])
    if readable:
        assert done.code == 0 and json.loads(done.out) == [{"n": 10}], done
    else:
        assert done.code in (1, 2) and word.encode() in done.err, done
    assert place.files(table.name) == before


def test_a_nan_in_others_files_is_above_every_number(places):
    """Parquet's bounds leave NaN out; who prunes by them loses rows, in a delete and a merge too."""
    place = places["local"]
    table = Table(place, "nan", "delta", create=False)
    key, value, number = [1, 2, 3, 4], [1.0, tables.NAN, -0.0, None], [0.5, tables.NAN, 2.0, -0.0]
    data = pa.table({"key": pa.array(key, pa.int64()), "value": pa.array(value), "number": pa.array(number, pa.float32())})
    deltalake.write_deltalake(table.uri, data, writer_properties=deltalake.WriterProperties(default_column_properties=deltalake.ColumnProperties(
        bloom_filter_properties=deltalake.BloomFilterProperties(True))))
    for where, keys in {"value > 100": [2], "value >= 1": [1, 2], "value = 'nan'": [2], "value <= 1": [1, 3], "value = 0": [3], "number > 100": [2], "number = 0": [4], "not (number <= 100)": [2],
                        "value between 1 and 'nan'": [1, 2]}.items():
        assert [row[0] for row in tables.read_ticklake("delta", place, table.name, where=where).rows] == keys, where
    done = table.run("delete", "--where", "value > 100 and key > 2")
    assert done["rows_deleted"] == 0
    assert table.run("merge", "--from", "select 9::bigint as key, 'nan'::double as value, 7::float as number", "--keys", "value")["rows_updated"] == 1
    deltalake.write_deltalake(table.uri, data, mode="overwrite")
    assert table.run("delete", "--where", "value > 100")["rows_deleted"] == 1
    assert [row[0] for row in tables.read_ticklake("delta", place, table.name).rows] == [1, 3, 4]


@pytest.mark.parametrize("type_,values", [(pa.float32(), [1.0, 0.10000000149011612, None]), (pa.float64(), [1.0, 0.1, None]), (pa.binary(), [b"abc", b"\x00\xff", None])])
def test_partitions_whose_values_have_many_spellings_are_read_and_not_written(places, type_, values):
    """delta-rs writes 1 where we would write 1.0: two partitions, and a merged row twice."""
    place = places["local"]
    table = Table(place, f"spellings-{type_}", "delta", create=False)
    deltalake.write_deltalake(table.uri, pa.table({"part": pa.array(values, type_), "n": pa.array([1, 2, 3], pa.int64())}), partition_by=["part"])
    assert tables.read_ticklake("delta", place, table.name).rows == tables.in_order(zip(values, [1, 2, 3]))
    before = place.files(table.name)
    for verb, *more in (("append",), ("merge", "--keys", "part"), ("replace",), ("delete", "--where", "true")):
        done = tables.run(place, ["table", verb, table.uri, *more, *(() if verb == "delete" else ("--from", f"from delta({tables.quoted(table.uri)})"))])
        assert done.code == 2 and b"'part'" in done.err, (verb, done)
    assert place.files(table.name) == before


def test_append_only_tables_only_grow(places):
    place = places["local"]
    table = Table(place, "append-only", "delta", properties=["delta.appendOnly=true"])
    rows = calm(tables.prng("append only"), 10)
    table.run("append", "--from", table.file(rows))
    table.model.append(rows)
    table.note("append")
    for verb, *more in (("delete", "--where", "volume > 0"), ("merge", "--from", table.file([(*rows[0][:2], 9.0, *rows[0][3:])]), *KEYS), ("replace", "--from", table.file(rows), "--where", "true")):
        done = tables.run(place, ["table", verb, table.uri, *more])
        assert done.code in (1, 2) and b"appendOnly" in done.err, (verb, done)
    table.check()
    table.run("optimize")  # no row goes
    table.note("optimize")
    table.check()


BROKEN = {  # what is done to the log, and a word of the error
    "a hole in the versions": lambda log: (log / f"{1:020d}.json").unlink(),
    "a torn commit": lambda log: (log / f"{2:020d}.json").write_bytes((log / f"{2:020d}.json").read_bytes()[:-40]),
    "a doubled add": lambda log: (log / f"{2:020d}.json").write_bytes(b"".join(2 * [x for x in (log / f"{2:020d}.json").read_bytes().splitlines(True) if b'"add"' in x])),
    "bytes": lambda log: (log / f"{2:020d}.json").write_bytes(bytes(range(256))),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_log_is_said_so(places, what):
    place = places["local"]
    table = Table(place, "broken-" + what.replace(" ", "-"), "delta")
    for i in range(2):
        table.run("append", "--from", table.file(calm(tables.prng("broken"), 10, first=100 * i)))
    BROKEN[what](tables.pathlib.Path(place.base(table.name)) / "_delta_log")
    for words in (["table", "describe", table.uri], ["table", "append", table.uri, "--from", table.file(calm(tables.prng("broken"), 1))]):
        done = tables.run(place, words)
        assert done.code == 1 and (b"_delta_log" in done.err or b"version" in done.err), (what, done)


def test_an_empty_commit_is_damage_that_is_named(places):
    """What a writer that creates and then writes leaves when it dies, rows it had acknowledged with it. Other readers take it for
    a version without change; we do not pass over it in silence."""
    table = Table(places["local"], "empty-commit", "delta")
    rows = calm(tables.prng("empty"), 10)
    table.run("append", "--from", table.file(rows))
    empty = tables.pathlib.Path(places["local"].base(table.name)) / "_delta_log" / f"{2:020d}.json"
    empty.write_bytes(b"")
    for verb in (["append", table.uri, "--from", table.file(rows)], ["describe", table.uri]):
        done = tables.run(places["local"], ["table", *verb])
        assert done.code == 1 and empty.name.encode() in done.err and b"is empty" in done.err, done
    empty.unlink()
    table.model.append(rows)
    table.run("append", "--from", table.file(rows))
    table.model.append(rows)
    table.note("append")
    table.check()


def test_torn_last_checkpoint_and_checkpoint_are_survived(places):
    place = places["local"]
    table = Table(place, "torn", "delta")
    random_ = tables.prng("torn")
    for i in range(12):
        rows = calm(random_, 5, first=100 * i)
        table.run("append", "--from", table.file(rows))
        table.model.append(rows)
    table.note("filled")
    table.check()
    log = tables.pathlib.Path(place.base(table.name)) / "_delta_log"
    assert (log / "_last_checkpoint").exists() and (log / f"{10:020d}.checkpoint.parquet").exists(), "no checkpoint after ten commits"
    for content in (b"", b"{", b'{"version":9999999,"size":1}', b'{"version":10}', b"\xff" * 100):
        (log / "_last_checkpoint").write_bytes(content)
        table.check(readers=["ticklake"], lint=False)
    shutil.copy(log / f"{10:020d}.checkpoint.parquet", place.home / "whole")
    (log / f"{10:020d}.checkpoint.parquet").write_bytes((place.home / "whole").read_bytes()[:-100])
    (log / "_last_checkpoint").write_bytes(b'{"version":10,"size":14}')
    table.check(readers=["ticklake"], lint=False)
