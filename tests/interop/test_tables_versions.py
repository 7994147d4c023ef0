"""After every kind of commit, at every version, every reader sees the rows the table must hold: exact values, columns, partition values,
and statistics that are true. One life of a table, for each format and both at once, without partitions and with each kind, on disk and on S3."""
import json

import pyarrow as pa
import pytest

import tables
from tables import Local, S3, Table, awkward, calm
from minio import minio  # noqa: F401 (a fixture)

PARTITIONS = {"none": None, "symbol": "symbol", "month": "month(timestamp)", "both": "symbol,month(timestamp)", "date": "day"}
LIVES = [("local", faces, p) for faces in tables.FACES for p in PARTITIONS] + [("minio", faces, "both") for faces in tables.FACES]
if tables.SCALE < 0.5:  # each format alone, and the kinds of partitions where both meet
    LIVES = [("local", "delta", "none"), ("local", "iceberg", "both")] + [("local", "delta,iceberg", p) for p in PARTITIONS] + [("minio", "delta,iceberg", "both")]


@pytest.fixture(scope="module")
def places(minio):  # noqa: F811
    made = {"local": Local(), "minio": S3(minio)}
    yield made
    for place in made.values():
        place.close()


def live(table, random_):
    """Every kind of commit, each noted with what the table must hold then."""
    model = table.model
    first = awkward(random_, 60)
    yield "append", lambda: model.append(first), table.run("append", "--from", table.file(first))
    second = calm(random_, 40, first=100)
    yield "append again", lambda: model.append(second), table.run("append", "--from", table.file(second))

    third = [(*row[:2], 1e6 + i, *row[3:]) for i, row in enumerate(random_.sample(first + second, 25))] + awkward(random_, 15, first=200)
    inserted, updated = 15, 25
    done = table.run("merge", "--from", table.file(third), "--keys", "symbol,timestamp")
    yield "merge", lambda: model.merge(third), done
    assert (done["rows_inserted"], done["rows_updated"]) == (inserted, updated), done

    done = table.run("merge", "--from", table.file(third), "--keys", "symbol,timestamp")
    assert done["rows_inserted"] == done["rows_updated"] == 0 and done["version"] is None, f"a merge of what is there is no commit: {done}"

    gone = model.delete(lambda r: r["volume"] is not None and r["volume"] > 200)
    done = table.run("delete", "--where", "volume > 200")
    assert done["rows_deleted"] == gone > 0, (done, gone)
    yield "delete rows", lambda: None, done
    gone = model.delete(lambda r: r["symbol"] == "BRK.B")
    done = table.run("delete", "--where", "symbol = 'BRK.B'")
    assert done["rows_deleted"] == gone > 0, (done, gone)
    yield "delete a symbol", lambda: None, done

    fresh = calm(random_, 20, ["BTC/USD"], first=300)
    model.delete(lambda r: r["symbol"] == "BTC/USD")
    yield "replace", lambda: model.append(fresh), table.run("replace", "--from", table.file(fresh), "--where", "symbol = 'BTC/USD'")

    yield "add columns", lambda: model.add_column("spread", pa.float64()), table.run("add-columns", "--columns", "spread DOUBLE")
    wide = [(*row, 0.25) for row in awkward(random_, 20, first=400)]
    yield "append to the new column", lambda: model.append(wide), table.run("append", "--from", table.file(wide))
    wider = [(*row, 0.5, i) for i, row in enumerate(awkward(random_, 10, first=500))]
    path = table.file(wider, [*model.columns, ("rank", pa.int64())])
    yield "append with a new column", lambda: (model.add_column("rank", pa.int64()), model.append(wider)), table.run("append", "--from", path, "--add-columns")

    yield "optimize", lambda: None, table.run("optimize")
    yield "zorder", lambda: None, table.run("zorder", "--by", "timestamp,close")
    yield "set properties", lambda: None, table.run("set-properties", "--property", "owner=tests")
    more = [(*row, None, None) for row in calm(random_, 5, first=600)]
    yield "append after all", lambda: model.append(more), table.run("append", "--from", table.file(more))


@pytest.mark.parametrize("where,faces,partition", LIVES, ids=["-".join(life).replace(",", "+") for life in LIVES])
def test_every_commit_at_every_version(places, where, faces, partition):
    place = places[where]
    table = Table(place, f"life-{faces.replace(',', '-')}-{partition}", faces, PARTITIONS[partition])
    table.check()
    random_ = tables.prng(f"life {where} {faces} {partition}")
    for step, change, done in live(table, random_):
        change()
        table.note(step)
        table.check(readers=None if tables.SCALE >= 0.5 else ("delta_log", "iceberg_log"))  # all readers come below
        assert done["version"] is not None, (step, done)
    if "delta" in table.faces:  # one commit a verb: no version is left out, none is there twice
        assert [want["delta"] for _, want, _, _ in table.versions] == list(range(len(table.versions)))
    table.run("checkpoint")
    for step in range(len(table.versions)):
        table.check(step, lint=False)

    # Back to before the deletions, as a new version; then maintenance that forgets, and the newest is as it was.
    back = next(i for i, v in enumerate(table.versions) if v[0] == "merge")
    want = table.versions[back]
    version = want[1]["delta"] if "delta" in want[1] else want[1]["iceberg"]
    table.run("restore", "--version", version)
    table.model.rows, later = list(want[2]), table.model.columns
    if len(later) > len(want[3]) and restored_columns(table) == len(later):
        table.model.rows = [(*row, *[None] * (len(later) - len(want[3]))) for row in table.model.rows]
    else:
        table.model.columns = list(want[3])
    table.note("restore")
    table.check()

    files = len(place.files(table.name))
    dry = table.run("vacuum", "--retain", "0h", "--force", "--dry-run")
    assert len(place.files(table.name)) == files, "a dry run deleted something"
    table.run("expire", "--older-than", "0d")
    table.run("vacuum", "--retain", "0h", "--force")
    assert len(place.files(table.name)) < files or dry["files"] == 0
    table.check()
    assert table.run("verify")["wrong"] == 0


def restored_columns(table):
    return len([c for c in table.run("schema") if not (table.model.month and c["column"] == "month")])


@pytest.mark.parametrize("partition", PARTITIONS)
def test_delta_rs_sees_our_statistics(places, partition):
    """What delta-rs gives of each file: rows, partition values, NULL counts and bounds, as they stand in the log and as the rows have them."""
    place = places["local"]
    table = Table(place, f"actions-{partition}", "delta", PARTITIONS[partition])
    rows = calm(tables.prng("actions"), 80)
    table.run("append", "--from", table.file(rows))
    adds = tables.pa.table(tables.delta_rs(place, table.name).get_add_actions(flatten=True)).to_pylist()
    assert sum(a["num_records"] for a in adds) == len(rows)
    snapshot = table.delta().snapshot()
    for add in adds:
        ours = snapshot.adds[add["path"]]
        stats = json.loads(ours["stats"])
        for name, value in ours["partitionValues"].items():
            assert str(add[f"partition.{name}"]) == value
        data, _ = table.delta().file_rows(snapshot, ours)
        for name in ("close", "volume", "note", "lots", "timestamp", "day"):
            if name in ours["partitionValues"]:
                continue
            values = data.column(name).to_pylist()
            assert add[f"null_count.{name}"] == stats["nullCount"][name] == 0
            assert add[f"min.{name}"] <= min(values) and add[f"max.{name}"] >= max(values), (name, add[f"min.{name}"], add[f"max.{name}"], min(values), max(values))
            if name != "timestamp":
                assert (add[f"min.{name}"], add[f"max.{name}"]) == (min(values), max(values)), name


@pytest.mark.parametrize("partition", PARTITIONS)
def test_pyiceberg_sees_our_statistics(places, partition):
    place = places["local"]
    table = Table(place, f"files-{partition}", "iceberg", PARTITIONS[partition])
    rows = calm(tables.prng("files"), 80)
    table.run("append", "--from", table.file(rows))
    files = tables.static_table(place, table.name).inspect.files().to_pylist()
    assert sum(f["record_count"] for f in files) == len(rows)
    by_column = {name: [row[i] for row in rows] for i, (name, _) in enumerate(tables.COLUMNS)}
    for name in ("symbol", "timestamp", "close", "volume", "note", "day", "lots"):
        metrics = [f["readable_metrics"][name] for f in files]
        if table.partition and name in table.partition.split(","):
            continue  # the column is not in the files: its value is the partition's
        assert sum(m["value_count"] for m in metrics) == len(rows) and sum(m["null_value_count"] for m in metrics) == 0
        assert min(m["lower_bound"] for m in metrics) == min(by_column[name]) and max(m["upper_bound"] for m in metrics) == max(by_column[name]), name


def test_time_travel_by_timestamp_and_history(places):
    """`history` names every version with its operation, and a time leads to the version that was the newest then."""
    place = places["local"]
    for faces in ("delta", "iceberg"):
        table = Table(place, f"travel-{faces}", faces)
        random_ = tables.prng("travel")
        for i in range(3):
            rows = calm(random_, 10, first=100 * i)
            table.run("append", "--from", table.file(rows))
            table.model.append(rows)
            table.note(f"append {i}")
        versions = [h["version"] for h in table.run("history")]
        assert versions[:3] == [want[faces] for _, want, _, _ in reversed(table.versions[1:])], (versions, table.versions)
        for (_, want, rows, _), number in zip(table.versions[1:], (10, 20, 30)):
            function = f"delta({tables.quoted(table.uri)}, version => {want['delta']})" if faces == "delta" else f"iceberg({tables.quoted(table.uri)}, snapshot => {want['iceberg']})"
            done = tables.run(place, ["sql", f"select count(*) as n, sum(volume)::bigint as v from {function}", "--format", "jsonl"])
            assert done.code == 0 and json.loads(done.out) == {"n": number, "v": sum(r[3] for r in rows)}, done
