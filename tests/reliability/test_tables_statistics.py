"""Scorecard lines 8 and 9. Random tables come back from every reader as they were written. And statistics never change an answer: a
predicate gives the same rows with them, and with every one of them taken out of the log or the manifests, in every reader and in
ticklake itself; where a reader's own order of NaN lets it be said, they are the rows that DuckDB finds in the source itself."""
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import delta_log  # noqa: E402
import iceberg_log  # noqa: E402
import tables  # noqa: E402
from tables import FACES, Local, Table, awkward, calm  # noqa: E402

PREDICATES = 2000
PARTITIONS = [None, "symbol", "month(timestamp)", "symbol,month(timestamp)", "day"]


@pytest.fixture(scope="module")
def local():
    place = Local()
    yield place
    place.close()


# ---- line 8 ----

@pytest.mark.parametrize("number", range(tables.count(50, 3)))
def test_random_tables_come_back(local, number):
    random_ = tables.prng(f"random table {number}")
    faces = FACES[number % 3]
    columns = tables.COLUMNS[:2] + random_.sample(tables.COLUMNS[2:], random_.randrange(1, len(tables.COLUMNS) - 1))
    partition = random_.choice([p for p in PARTITIONS if p != "day" or any(name == "day" for name, _ in columns)])
    table = Table(local, f"random-{number}", faces, partition, columns)
    order = [[name for name, _ in tables.COLUMNS].index(name) for name, _ in columns]
    first = 0
    for step in range(random_.randrange(1, 5)):
        made = random_.choice([awkward, calm])(random_, random_.randrange(1, 120), first=first)
        first += len(made)
        rows = [tuple(r[i] for i in order) for r in made]
        if table.model.rows and random_.random() < 0.5:
            rows = [(*old[:2], *new[2:]) for old, new in zip(random_.sample(table.model.rows, min(len(table.model.rows), len(rows) // 2)), rows)] + rows[len(rows) // 2:]
            table.run("merge", "--from", table.file(rows), "--keys", "symbol,timestamp")
            table.model.merge(rows)
        else:
            table.run("append", "--from", table.file(rows))
            table.model.append(rows)
        table.note(f"step {step}")
    if random_.random() < 0.5:
        table.run("optimize")
        table.note("optimize")
    table.check()


# ---- line 9 ----

class World:
    """One table of small files with hard values, and the same with its statistics taken away."""

    def __init__(self, place, faces, partition):
        self.place, self.faces = place, faces
        self.table = table = Table(place, f"sound-{next(tables.SERIAL)}", faces, partition)
        random_ = tables.prng(f"sound {faces} {partition}")
        self.rows = []
        source = calm(random_, 100)
        for i in range(8):  # awkward files have all that makes bounds wrong; calm ones have bounds, each of another stretch of one column
            if i % 2:
                made = awkward(random_, 25, first=100 * i + 100)
            else:
                source.sort(key=lambda r, column=random_.choice([0, 1, 2, 3]): r[column])
                made, source = source[:25], source[25:]
            table.run("append", "--from", table.file(made))
            self.rows += made
        table.model.rows = self.rows
        table.note("filled")
        table.check()
        self.source = tables.arrow(self.rows)
        if faces == "delta":
            place.copy(table.name, table.name + "-bare")
            delta_log.strip_stats(place.fs, place.base(table.name + "-bare"))
        else:
            self.bare = iceberg_log.strip_stats(place.fs, place.base(table.name))


def literal(value, type_):
    """A value as DuckDB and DataFusion both read it."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return tables.quoted(value)
    if isinstance(value, bool):
        return str(value).lower()
    text = str(type_)
    if text.startswith("timestamp"):
        return f"timestamptz '{value.isoformat()}'"
    if text.startswith("date"):
        return f"date '{value.isoformat()}'"
    if isinstance(value, float):
        if value != value:
            return "cast('NaN' as double)"
        return f"cast('{value!r}' as double)" if value in (tables.INF, -tables.INF) else f"cast({value!r} as double)"
    return f"cast({value} as {tables.SQL_TYPES[text]})"


def predicate(random_, rows):
    """A condition on one column or two: its SQL."""
    names = [i for i, (name, _) in enumerate(tables.COLUMNS) if name not in ("ladder", "odd")]

    def one():
        i = random_.choice(names)
        name, type_ = tables.COLUMNS[i]

        def value():
            found = random_.choice(rows)[i]
            while found is None:
                found = random_.choice(rows)[i]
            return literal(found, type_)
        kind = random_.randrange(9)
        if kind < 6:
            return f"{name} {('=', '<', '<=', '>', '>=', '<>')[kind]} {value()}"
        if kind == 6:
            return f"{name} between {value()} and {value()}"
        if kind == 7:
            return f"{name} is {random_.choice(['', 'not '])}null"
        return f"{name} in ({value()}, {value()})"
    parts = [one() for _ in range(random_.choice([1, 1, 2]))]
    return f" {random_.choice(['and', 'or'])} ".join(f"({part})" for part in parts)


def same_columns(read):
    order = sorted(range(len(read.schema)), key=lambda i: read.schema[i][0])
    return sorted((tuple(row[i] for i in order) for row in read.rows), key=repr)


def ask_ticklake(world, where, batch):
    """One run of the program answers many predicates: their row counts and sums of the rows' own numbers (microseconds are unique)."""
    function = f"{world.faces}({tables.quoted(world.table.uri)})"
    text = " union all ".join(f"select {i} as n, count(*) as rows, coalesce(sum(epoch_us(timestamp) % 1000000), 0)::bigint as own from {function} where {w}" for i, w in zip(batch, where))
    done = tables.run(world.place, ["sql", text, "--format", "jsonl"])
    assert done.code == 0, done.err.decode()
    return {answer["n"]: (answer["rows"], answer["own"]) for answer in map(json.loads, done.out.decode().splitlines())}


@pytest.mark.parametrize("faces,partition", [(faces, p) for faces in ("delta", "iceberg") for p in (None, "symbol")])
def test_statistics_change_no_answer(local, faces, partition):
    world = World(local, faces, partition)
    random_ = tables.prng(f"predicates {faces} {partition}")
    table, bare = world.table.name, world.table.name + "-bare"
    number = max(10, tables.count(PREDICATES) // 4)
    wheres = [predicate(random_, world.rows) for _ in range(number)]
    tables.DUCK.ask("register", world.source)
    matched = 0
    for where in wheres:
        truth = same_columns(tables.to_read(tables.DUCK.sql(f"select * from given where {where}")))
        matched += 0 < len(truth) < len(world.rows)
        if faces == "delta":
            found = same_columns(tables.to_read(tables.read_duckdb_delta(local, table, where=where)))
            plain = same_columns(tables.to_read(tables.read_duckdb_delta(local, bare, where=where)))
            for_rs = [same_columns(tables.to_read(tables.read_datafusion(local, t, where=where.replace("timestamptz", "timestamp")))) for t in (table, bare)]
            assert for_rs[0] == for_rs[1], f"delta-rs: {where}: {len(for_rs[0])} rows with statistics, {len(for_rs[1])} without"
        else:
            found = same_columns(tables.to_read(tables.read_duckdb_iceberg(local, table, where=where)))
            plain = same_columns(tables.to_read(tables.read_duckdb_iceberg(local, table, where=where, metadata=world.bare)))
        assert found == plain, f"DuckDB: {where}: {len(found)} rows with statistics, {len(plain)} without"
        assert found == truth, f"DuckDB: {where}: {len(found)} rows, {len(truth)} in the source"
    assert matched > number // 4, "predicates that select nothing or all prove little"
    for first in range(0, number, 20):
        batch = range(first, min(number, first + 20))
        answers = ask_ticklake(world, [wheres[i] for i in batch], batch)
        for i in batch:
            truth = tables.DUCK.sql(f"select count(*) as rows, coalesce(sum(epoch_us(timestamp) % 1000000), 0)::bigint as own from given where {wheres[i]}").to_pylist()[0]
            assert answers[i] == (truth["rows"], truth["own"]), f"ticklake: {wheres[i]}: {answers[i]}, truly {truth}"


def expression(random_, rows):
    """A condition in PyIceberg's own terms, and a word for it."""
    from pyiceberg import expressions as e
    i = random_.choice([i for i, (name, _) in enumerate(tables.COLUMNS) if name in ("symbol", "timestamp", "close", "volume", "note", "day", "lots")])
    name = tables.COLUMNS[i][0]
    value = random_.choice([r[i] for r in rows if r[i] is not None and r[i] == r[i]])
    value = value.isoformat() if name in ("timestamp", "day") else value
    kind = random_.choice([e.EqualTo, e.LessThan, e.LessThanOrEqual, e.GreaterThan, e.GreaterThanOrEqual, e.NotEqualTo, "null", "notnull", "nan"])
    if kind == "null":
        return e.IsNull(name)
    if kind == "notnull":
        return e.NotNull(name)
    if kind == "nan":
        return e.IsNaN("close")
    return kind(name, value)


@pytest.mark.parametrize("partition", [None, "symbol", "month(timestamp)"])
def test_pyiceberg_prunes_nothing_that_counts(local, partition):
    world = World(local, "iceberg", partition)
    random_ = tables.prng(f"pyiceberg {partition}")
    with_, without = (tables.static_table(local, world.table.name, metadata) for metadata in (None, world.bare))
    pruned = 0
    for _ in range(max(10, tables.count(PREDICATES) // 3)):
        where = expression(random_, world.rows)
        found, plain = (tables.to_read(t.scan(row_filter=where).to_arrow()) for t in (with_, without))
        assert found.rows == plain.rows, f"{where}: {len(found.rows)} rows with bounds, {len(plain.rows)} without"
        pruned += len(list(with_.scan(row_filter=where).plan_files())) < len(list(without.scan(row_filter=where).plan_files()))
    assert pruned, "no file was pruned by bounds: they say nothing"
