"""Iceberg knows columns by id: a column that was renamed, dropped, moved, or added anew under an old name, names that other writers spell
otherwise in their files, and files without ids that go by the name mapping. Another engine changes the schema (its metadata file is
written here by hand); ticklake, PyIceberg and DuckDB must see the same rows, before and after ticklake has written."""
import copy
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tables
from tables import Local, to_read


@pytest.fixture
def place():
    made = Local()
    yield made
    made.close()


def evolve(place, name, change, removed=False):
    """Another engine's commit of a schema: `change` is given the fields of the newest and the first id that is free."""
    folder = pathlib.Path(place.base(name)) / "metadata"
    newest = max(int(p.name[1:].split(".")[0]) for p in folder.glob("v*.metadata.json"))
    metadata = json.loads((folder / f"v{newest}.metadata.json").read_text())
    now = next(s for s in metadata["schemas"] if s["schema-id"] == metadata["current-schema-id"])
    new = copy.deepcopy(now)
    new["schema-id"] = 1 + max(s["schema-id"] for s in metadata["schemas"])
    new["fields"] = change(new["fields"], metadata["last-column-id"] + 1)
    metadata["last-column-id"] += 1
    metadata["schemas"] = [new] if removed else metadata["schemas"] + [new]
    metadata["current-schema-id"] = new["schema-id"]
    if removed:  # as an expiry of Spark leaves it
        for snapshot in metadata["snapshots"]:
            snapshot["schema-id"] = new["schema-id"]
    (folder / f"v{newest + 1}.metadata.json").write_text(json.dumps(metadata))
    (folder / "version-hint.text").write_text(str(newest + 1))


def renamed(old, new):
    return lambda fields, free: [f | {"name": new} if f["name"] == old else f for f in fields]


def dropped(name):
    return lambda fields, free: [f for f in fields if f["name"] != name]


def added(name, type_):
    return lambda fields, free: [*fields, {"id": free, "name": name, "required": False, "type": type_}]


def moved_first(name):
    return lambda fields, free: sorted(fields, key=lambda f: f["name"] != name)


def swapped(one, other):
    return lambda fields, free: [f | {"name": {one: other, other: one}.get(f["name"], f["name"])} for f in fields]


def write(place, verb, name, *more):
    return tables.ok(place, ["table", verb, place.uri(name), *more])


def rows_of(place, name):
    read = tables.read_ticklake_iceberg(place, name)
    return [column for column, _ in read.schema], read.rows


def rows_of_where(place, name, where):
    return tables.read_ticklake("iceberg", place, name, where=where).rows


def agree(place, name, columns, rows):
    """Every reader, by these columns; verify finds nothing wrong."""
    want = sorted(rows, key=repr)
    for reader in ("ticklake", "pyiceberg", "duckdb iceberg"):
        read = to_read(tables.ICEBERG_READERS[reader](place, name))
        assert ([column for column, _ in read.schema], sorted(read.rows, key=repr)) == (columns, want), reader
    assert write(place, "verify", name)["wrong"] == 0


def create(place, name, partition=()):
    write(place, "create", name, "--format", "iceberg", "--columns", "id BIGINT, a VARCHAR, x INTEGER, ladder DOUBLE[]", *partition)
    write(place, "append", name, "--from", "select 1::bigint as id, 'u' as a, 10::int as x, [1.5] as ladder union all select 2, 'v', 20, NULL")


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("partition", [(), ("--partition-by", "bucket(4,id)"), ("--partition-by", "a")])
def test_columns_are_found_by_id(place, partition, removed):
    create(place, "t", partition)
    one, two = ((1.5).hex(),), None
    evolve(place, "t", renamed("a", "b"), removed)
    agree(place, "t", ["id", "b", "x", "ladder"], [(1, "u", 10, one), (2, "v", 20, two)])
    write(place, "append", "t", "--from", "select 3::bigint as id, 'w' as b, 30::int as x, NULL::double[] as ladder")
    agree(place, "t", ["id", "b", "x", "ladder"], [(1, "u", 10, one), (2, "v", 20, two), (3, "w", 30, None)])
    assert rows_of_where(place, "t", "b = 'u'") == [(1, "u", 10, one)]

    evolve(place, "t", dropped("x"), removed)
    evolve(place, "t", added("x", "int"), removed)  # another column, which no row has
    agree(place, "t", ["id", "b", "ladder", "x"], [(1, "u", one, None), (2, "v", two, None), (3, "w", None, None)])
    evolve(place, "t", moved_first("x"), removed)
    done = write(place, "merge", "t", "--keys", "id", "--from", "select 2::bigint as id, 'v' as b, 77::int as x, [0.5] as ladder")
    assert (done["rows_updated"], done["rows_inserted"]) == (1, 0)
    two = ((0.5).hex(),)
    agree(place, "t", ["x", "id", "b", "ladder"], [(None, 1, "u", one), (77, 2, "v", two), (None, 3, "w", None)])

    if not partition:
        evolve(place, "t", renamed("ladder", "steps"), removed)
        evolve(place, "t", added("ladder", "string"), removed)
        write(place, "optimize", "t")
        agree(place, "t", ["x", "id", "b", "steps", "ladder"], [(None, 1, "u", one, None), (77, 2, "v", two, None), (None, 3, "w", None, None)])
        write(place, "delete", "t", "--where", "b = 'u'")
        agree(place, "t", ["x", "id", "b", "steps", "ladder"], [(77, 2, "v", two, None), (None, 3, "w", None, None)])


def test_a_snapshot_has_the_schema_it_was_written_with(place):
    """The current one too, when it is asked for by its number: as PyIceberg and DuckDB have it."""
    create(place, "t")
    snapshot = write(place, "describe", "t")["version"]
    evolve(place, "t", renamed("a", "b"))
    for reader in ("ticklake", "pyiceberg", "duckdb iceberg"):
        assert [column for column, _ in to_read(tables.ICEBERG_READERS[reader](place, "t", snapshot)).schema] == ["id", "a", "x", "ladder"], reader


def test_two_columns_change_names(place):
    write(place, "create", "t", "--format", "iceberg", "--columns", "id BIGINT, a VARCHAR, b VARCHAR")
    write(place, "append", "t", "--from", "select 1::bigint as id, 'was a' as a, 'was b' as b")
    evolve(place, "t", swapped("a", "b"))
    write(place, "append", "t", "--from", "select 2::bigint as id, 'new b' as b, 'new a' as a")
    agree(place, "t", ["id", "b", "a"], [(1, "was a", "was b"), (2, "new b", "new a")])


def spell(path, names, keep_ids):
    """The file as another engine spells its columns."""
    data = pq.read_table(path)
    fields = [pa.field(names.get(f.name, f.name), f.type, metadata=f.metadata if keep_ids else None) for f in data.schema]
    pq.write_table(pa.table(data.columns, schema=pa.schema(fields)), path)


def only_file(place, name):
    (path,) = pathlib.Path(place.base(name)).rglob("*.parquet")
    return path


def test_names_that_others_spell_otherwise(place):
    write(place, "create", "t", "--format", "iceberg", "--columns", 'id BIGINT, "52w high" VARCHAR')
    write(place, "append", "t", "--from", 'select 1::bigint as id, \'top\' as "52w high"')
    spell(only_file(place, "t"), {"52w high": "_52w_x20high"}, keep_ids=True)
    assert rows_of(place, "t") == (["id", "52w high"], [(1, "top")])
    assert rows_of_where(place, "t", '"52w high" = \'top\'') == [(1, "top")]


@pytest.mark.parametrize("alone", [False, True])
def test_files_without_ids_go_by_the_mapping(place, alone):
    create(place, "t")
    spell(only_file(place, "t"), {"id": "record", "a": "text"}, keep_ids=False)
    folder = pathlib.Path(place.base("t")) / "metadata"
    newest = max(folder.glob("v*.metadata.json"), key=lambda p: int(p.name[1:].split(".")[0]))
    metadata = json.loads(newest.read_text())
    mapping = json.loads(metadata["properties"]["schema.name-mapping.default"])
    assert [m["names"] for m in mapping] == [["id"], ["a"], ["x"], ["ladder"]]
    for entry, name in zip(mapping, ["record", "text"]):
        entry["names"] = [name] if alone else [*entry["names"], name]
    metadata["properties"]["schema.name-mapping.default"] = json.dumps(mapping)
    newest.write_text(json.dumps(metadata))
    columns, rows = rows_of(place, "t")
    assert columns == ["id", "a", "x", "ladder"] and sorted(rows, key=repr) == [(1, "u", 10, ((1.5).hex(),)), (2, "v", 20, None)]


def test_a_renamed_member_of_a_struct_is_refused_by_name(place):
    create(place, "t")
    struct = {"type": "struct", "fields": [{"id": 90, "name": "p", "required": False, "type": "long"}]}
    evolve(place, "t", added("pair", struct))
    assert tables.run(place, ["sql", f"select count(pair)::bigint as n from iceberg({tables.quoted(place.uri('t'))})"]).code == 0
    other = copy.deepcopy(struct)
    other["fields"][0]["name"] = "q"
    evolve(place, "t", lambda fields, free: [f | {"type": other} if f["name"] == "pair" else f for f in fields])
    done = tables.run(place, ["sql", f"select * from iceberg({tables.quoted(place.uri('t'))})"])
    assert done.code == 2 and b"column 'pair' cannot be read: members of it were renamed" in done.err, done
    assert [c["column"] for c in write(place, "describe", "t")["columns"]] == ["id", "a", "x", "ladder", "pair"]
