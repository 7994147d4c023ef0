"""ticklake table VERB URI and delta(...), iceberg(...) in SQL: what every verb answers, refuses and leaves behind, on real tables.
What the formats mean to other readers is tests/interop's."""
import csv
import datetime
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import duckdb
import pytest

import harness

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))
from minio import minio  # noqa: E402,F401  (a fixture)

FACES = ["delta", "iceberg", "delta,iceberg"]
COLUMNS = "symbol VARCHAR, timestamp TIMESTAMPTZ, close DOUBLE, volume BIGINT"
ROWS = [("AAPL", "2024-01-30T14:30:00Z", 191.5, 100), ("AAPL", "2024-02-01T14:30:00Z", 186.25, 200), ("BTC/USD", "2024-01-30T14:30:00Z", 43000.0, 3),
        ("TRUE", "2024-01-30T14:30:00Z", 10.0, None)]
CHANGE = ["version", "sequence", "rows_inserted", "rows_updated", "rows_deleted", "rows_copied", "files_added", "files_removed", "bytes_added", "bytes_removed",
          "attempts", "already"]


def lines(rows, header="symbol,timestamp,close,volume"):
    return "".join(f"{line}\n" for line in [header, *(",".join("" if v is None else str(v) for v in row) for row in rows)])


class Table:
    """A table below a home's working folder, used as a user does."""

    def __init__(self, home, faces, name="t", create=COLUMNS, *more):
        self.home, self.faces, self.name = home, faces, name
        self.path = home.work / name
        if create:
            self.created = self.json("create", "--columns", create, "--faces", faces, *more)

    def run(self, verb, *words):
        return self.home.run("table", verb, self.name, *words)

    def json(self, verb, *words):
        return self.home.ok("table", verb, self.name, *words, "--json").json

    def append(self, rows, *words, name="rows.csv"):
        (self.home.work / name).write_text(lines(rows))
        return self.json("append", "--from", name, *words)

    def data_files(self):
        """Data files on the disk, live or not: {path: bytes}."""
        return {str(p.relative_to(self.path)): p.stat().st_size for p in self.path.rglob("*.parquet")
                if not {"_delta_log", "metadata"} & set(p.relative_to(self.path).parts)}

    def rows(self, arguments="", face=None):
        face = face or self.faces.split(",")[0]
        text = f"select symbol, strftime(timestamp, '%Y-%m-%dT%H:%M:%SZ') as at, close, volume from {face}('{self.name}'{arguments}) order by all"
        return [tuple(row.values()) for row in self.home.ok("sql", text, "--json").json]

    def versions(self):
        """As history tells them, oldest first."""
        return [v["version"] for v in reversed(self.json("history"))]


@pytest.fixture(params=FACES)
def table(request, home):
    return Table(home, request.param)


def changed(answer, **expected):
    """The answer of a verb has every member, those told as told, the others 0."""
    assert list(answer) == CHANGE
    want = dict.fromkeys(CHANGE[2:8], 0) | expected
    assert {k: answer[k] for k in want} == want, answer
    assert answer["attempts"] >= 1 and answer["already"] is False
    return answer


# ---- every verb ----

def test_create_makes_an_empty_table(table):
    assert list(table.created) == ["uri", "faces", "id", "version", "sequence", "partition_by", "rows", "files", "bytes"]
    assert table.created["uri"] == str(table.path) and table.created["faces"] == table.faces and table.created["partition_by"] is None
    assert (table.created["rows"], table.created["files"], table.created["bytes"]) == (0, 0, 0)
    assert table.created["version"] == (None if table.faces == "iceberg" else 0)
    assert table.json("describe")["version"] == table.created["version"] == table.json("checkpoint")["version"]
    assert (table.path / "_delta_log").is_dir() == ("delta" in table.faces) and (table.path / "metadata").is_dir() == ("iceberg" in table.faces)
    assert table.rows() == [] and table.data_files() == {}


def test_append_adds_rows(table):
    answer = table.append(ROWS)
    files = table.data_files()
    changed(answer, rows_inserted=4, files_added=len(files), bytes_added=sum(files.values()))
    assert table.rows() == ROWS, "TRUE is a symbol, and nothing lost its type"


def test_merge_updates_and_inserts(table):
    table.append(ROWS)
    (table.home.work / "new.csv").write_text(lines([("AAPL", "2024-02-01T14:30:00Z", 187.0, 250), ("MSFT", "2024-02-01T14:30:00Z", 400.0, 7)]))
    before = table.data_files()
    answer = table.json("merge", "--from", "new.csv", "--keys", "symbol,timestamp")
    new = {p: b for p, b in table.data_files().items() if p not in before}
    changed(answer, rows_inserted=1, rows_updated=1, rows_copied=3, files_added=len(new), files_removed=len(before), bytes_added=sum(new.values()),
            bytes_removed=sum(before.values()))
    assert table.rows() == sorted([ROWS[0], ("AAPL", "2024-02-01T14:30:00Z", 187.0, 250), ROWS[2], ("MSFT", "2024-02-01T14:30:00Z", 400.0, 7), ROWS[3]])


def test_replace_puts_rows_in_the_place_of_others(table):
    table.append(ROWS)
    new = "from (values ('AAPL', timestamptz '2024-01-30 15:00:00+00', 1.0, 1)) t(symbol, timestamp, close, volume)"
    answer = table.json("replace", "--from", new, "--where", "symbol = 'AAPL'")
    assert (answer["rows_inserted"], answer["rows_deleted"]) == (1, 2)
    assert table.rows() == [("AAPL", "2024-01-30T15:00:00Z", 1.0, 1), *ROWS[2:]]


def test_delete_takes_rows_away(table):
    table.append(ROWS)
    answer = table.json("delete", "--where", "volume is null or close > 1000")
    assert (answer["rows_deleted"], answer["rows_inserted"]) == (2, 0)
    assert table.rows() == ROWS[:2]


def test_nothing_to_change_makes_no_version(table):
    table.append(ROWS)
    before = table.versions()
    outcome = table.run("delete", "--where", "symbol = 'NONE'", "--json")
    assert outcome.code == 0 and "nothing had to change" in outcome.stderr
    assert outcome.json["version"] is None and outcome.json["rows_deleted"] == 0
    assert table.versions() == before


def test_add_columns_and_their_rows(table):
    table.append(ROWS)
    changed(table.json("add-columns", "--columns", "vwap DOUBLE, note VARCHAR"))
    assert [(c["column"], c["type"]) for c in table.json("schema")] == [("symbol", "VARCHAR"), ("timestamp", "TIMESTAMPTZ"), ("close", "DOUBLE"), ("volume", "BIGINT"),
                                                                       ("vwap", "DOUBLE"), ("note", "VARCHAR")]
    table.json("append", "--from", "select 'Z' as symbol, 1.5 as vwap")
    face = table.faces.split(",")[0]
    assert table.home.ok("sql", f"select symbol, close, vwap from {face}('t') where symbol in ('AAPL', 'Z') order by all", "--format", "csv").stdout == \
        "symbol,close,vwap\nAAPL,186.25,\nAAPL,191.5,\nZ,,1.5\n"
    refused = table.run("append", "--from", "select 'Y' as symbol, 1 as extra")
    assert refused.code == 2 and "'extra'" in refused.stderr
    table.json("append", "--from", "select 'Y' as symbol, 1 as extra", "--add-columns")
    assert [c["column"] for c in table.json("schema")][-1] == "extra"


def test_properties_are_set_and_removed(table):
    table.json("set-properties", "--property", "ticklake.sort=symbol,timestamp", "--property", "note=a=b")
    properties = table.json("describe")["properties"]
    assert properties["ticklake.sort"] == "symbol,timestamp" and properties["note"] == "a=b"
    table.json("set-properties", "--property", "note")
    assert "note" not in table.json("describe")["properties"]


def test_history_tells_the_versions_newest_first(table):
    table.append(ROWS)
    table.json("delete", "--where", "symbol = 'AAPL'")
    history = table.json("history")
    assert [list(v) for v in history] == [["version", "sequence", "timestamp", "operation", "current", "parent", "engine", "parameters", "metrics"]] * len(history)
    assert [v["current"] for v in history] == [True] + [False] * (len(history) - 1)
    instants = [datetime.datetime.fromisoformat(v["timestamp"]) for v in history]  # as text .6Z comes after .664Z
    assert instants == sorted(instants, reverse=True)
    assert all(type(v["parameters"]) is dict and type(v["metrics"]) is dict for v in history)
    assert table.json("history", "--limit", "1") == history[:1]
    if "delta" in table.faces:
        assert [v["operation"] for v in history] == ["DELETE", "WRITE", "CREATE TABLE"] and [v["version"] for v in history] == [2, 1, 0]
        assert "ticklake" in history[0]["engine"]


def test_restore_makes_the_table_what_it_was(table):
    version = table.append(ROWS)["version"]
    table.json("delete", "--where", "true")
    assert table.rows() == []
    answer = table.json("restore", "--version", version)
    assert answer["version"] not in (None, version) and table.rows() == ROWS
    assert table.run("restore", "--version", "4711").code == 1


def test_optimize_packs_small_files(table):
    for row in ROWS:
        table.append([row])
    before = table.data_files()
    answer = table.json("optimize")
    new = {p: b for p, b in table.data_files().items() if p not in before}
    changed(answer, rows_copied=4, files_added=1, files_removed=4, bytes_added=sum(new.values()), bytes_removed=sum(before.values()))
    assert table.rows() == ROWS and set(before) < set(table.data_files()), "the old files stay until a vacuum"


def test_zorder_clusters_rows(table):
    table.append(ROWS[:2])
    table.append(ROWS[2:])
    answer = table.json("zorder", "--by", "symbol,timestamp")
    assert answer["rows_copied"] == 4 and answer["files_removed"] == 2
    assert table.rows() == ROWS


def test_vacuum_deletes_what_no_version_needs(table):
    for row in ROWS:
        table.append([row])
    old = table.data_files()
    table.json("optimize")
    before = table.data_files()
    (new,) = set(before) - set(old)
    said = table.json("vacuum")
    assert said == {"deleted": [], "files": 0, "bytes": 0, "kept": said["kept"], "dry_run": False}
    refused = table.run("vacuum", "--retain", "1h")
    assert refused.code == 2 and "--force" in refused.stderr
    time.sleep(0.05)
    table.json("expire", "--older-than", "1ms")
    would = table.json("vacuum", "--retain", "0", "--force", "--dry-run")
    assert table.data_files() == before, "a dry run deletes nothing"
    assert would["dry_run"] is True and {f["path"]: f["bytes"] for f in would["would_delete"]} == old
    said = table.json("vacuum", "--retain", "0", "--force")
    assert (said["files"], said["bytes"]) == (4, sum(old.values())) and {f["path"] for f in said["deleted"]} == set(old)
    assert set(table.data_files()) == {new} and table.rows() == ROWS


def test_checkpoint_and_expire(table):
    for row in ROWS:
        table.append([row])
    assert table.json("checkpoint")["rows"] == 4
    if "delta" in table.faces:
        assert (table.path / "_delta_log" / f"{4:020d}.checkpoint.parquet").exists()
    time.sleep(0.05)
    would = table.json("expire", "--older-than", "1ms", "--dry-run")
    assert would["dry_run"] is True and would["versions"] > 0 and len(table.versions()) >= 4
    said = table.json("expire", "--older-than", "1ms", "--keep", "2")
    assert list(said) == ["versions", "files", "bytes", "dry_run"] and said["versions"] <= would["versions"]
    assert len(table.versions()) >= 2 and table.rows() == ROWS
    assert table.json("expire", "--older-than", "1d")["versions"] == 0


def test_verify_finds_damage(table):
    table.append(ROWS)
    said = table.json("verify")
    assert said == {"problems": [], "files": len(table.data_files()), "rows": 4, "bytes": sum(table.data_files().values()), "wrong": 0}
    path = table.path / next(iter(table.data_files()))
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    outcome = table.run("verify", "--json")
    assert outcome.code == 1 and outcome.json["wrong"] >= 1 and path.name in outcome.json["problems"][0]["path"]
    path.unlink()
    outcome = table.run("verify")
    assert outcome.code == 1 and path.name in outcome.stdout
    path.write_bytes(whole)
    assert table.run("verify").code == 0


def test_a_txn_is_committed_once(table):
    first = table.append(ROWS, "--txn", "nightly:bars:7")
    again = table.home.run("table", "append", "t", "--from", "rows.csv", "--txn", "nightly:bars:7", "--json")
    assert again.code == 0 and again.json["already"] is True and "committed before" in again.stderr
    assert first["already"] is False and table.rows() == ROWS
    table.append(ROWS[:1], "--txn", "nightly:bars:8")
    assert len(table.rows()) == 5


def test_a_column_widens_only_when_told(home):
    for faces in FACES:
        table = Table(home, faces, faces.replace(",", "_"), "n INTEGER, x FLOAT")
        table.json("append", "--from", "select 1 as n, 0.5 as x")
        big = "select 3000000000 as n, 0.1::double as x"
        refused = table.run("append", "--from", big)
        assert refused.code == 2 and re.search("'[nx]'", refused.stderr) and "--widen" in refused.stderr
        table.json("append", "--from", big, "--widen")
        assert [c["type"] for c in table.json("schema")] == ["BIGINT", "DOUBLE"]
        face = faces.split(",")[0]
        assert home.ok("sql", f"from {face}('{table.name}') order by n", "--json").json == [{"n": 1, "x": 0.5}, {"n": 3000000000, "x": 0.1}]


def test_rows_lie_in_the_order_asked_for(table):
    table.append(ROWS[::-1], "--order-by", "close DESC")
    (path,) = table.data_files()
    assert duckdb.sql(f"select close from read_parquet('{table.path / path}', hive_partitioning = false)").fetchall() == [(43000.0,), (191.5,), (186.25,), (10.0,)]
    refused = table.run("append", "--from", "rows.csv", "--order-by", "closse")
    assert refused.code == 2 and "closse" in refused.stderr


def test_partitions(home):
    for faces in FACES:
        table = Table(home, faces, faces.replace(",", "_"), COLUMNS, "--partition-by", "month(timestamp)")
        table.append(ROWS)
        described = table.json("describe")
        assert described["partition_by"] == "month(timestamp)" and described["rows"] == 4 and described["files"] == 2
        assert table.rows() == ROWS
        answer = table.json("replace", "--from", "select 'AAPL' as symbol, timestamptz '2024-02-02 00:00:00+00' as timestamp")
        assert (answer["files_removed"], answer["rows_deleted"]) == (1, 1), "only the partition the rows touch"


# ---- forms of output ----

def masked(text, table):
    text = text.replace(str(table.path), "PATH")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME", text)


def test_what_people_see(home):
    table = Table(home, "delta", "t", None)
    outcome = home.ok("table", "create", "t", "--columns", COLUMNS, "--format", "delta", "--name", "closes")
    assert masked(outcome.stdout, table) == ("uri           PATH\nfaces         delta\nid            UUID\nversion       0\nsequence      0\npartition_by  -\n"
                                             "rows          0\nfiles         0\nbytes         0\n")
    (home.work / "rows.csv").write_text(lines(ROWS))
    outcome = home.ok("table", "append", "t", "--from", "rows.csv")
    size = sum(table.data_files().values())
    assert outcome.stdout == (f"version        1\nsequence       1\nrows_inserted  4\nrows_updated   0\nrows_deleted   0\nrows_copied    0\nfiles_added    1\n"
                              f"files_removed  0\nbytes_added    {size}\nbytes_removed  0\nattempts       1\nalready        no\n")
    assert home.ok("table", "schema", "t").stdout == ("column                type              nullable  id    partition\n"
                                                      "symbol                VARCHAR           yes       1     -\n"
                                                      "timestamp             TIMESTAMPTZ       yes       2     -\n"
                                                      "close                 DOUBLE            yes       3     -\n"
                                                      "volume                BIGINT            yes       4     -\n")
    described = masked(home.ok("table", "describe", "t").stdout, table)
    assert described.startswith(f"uri           PATH\nfaces         delta\nid            UUID\nname          closes\nversion       1\nsequence      1\ntimestamp     TIME\n"
                                f"rows          4\nfiles         1\nbytes         {size}\npartition_by  -\nunwritable    -\n\ncolumn ")
    history = masked(home.ok("table", "history", "t").stdout, table).splitlines()
    assert re.match(r"version   sequence  timestamp +operation +current  parent    engine +parameters  metrics$", history[0])
    assert re.match(r"1         1         TIME +WRITE +yes      0 ", history[1]) and re.match(r"0         0         TIME +CREATE TABLE +no       - ", history[2])
    assert home.ok("table", "vacuum", "t", "--dry-run").stdout.splitlines() == ["files    0", "bytes    0", "kept     1", "dry_run  yes"]
    assert home.ok("table", "verify", "t").stdout == f"files  1\nrows   4\nbytes  {size}\nwrong  0\n"


def test_csv(home):
    table = Table(home, "iceberg")
    table.append(ROWS)
    rows = list(csv.reader(io.StringIO(home.ok("table", "schema", "t", "--format", "csv").stdout)))
    assert rows[0] == ["column", "type", "nullable", "id", "partition"] and rows[1] == ["symbol", "VARCHAR", "true", "1", ""]
    rows = list(csv.DictReader(io.StringIO(home.ok("table", "delete", "t", "--where", "true", "--format", "csv").stdout)))
    assert list(rows[0]) == CHANGE and rows[0]["rows_deleted"] == "4" and rows[0]["already"] == "false"
    rows = list(csv.DictReader(io.StringIO(home.ok("table", "history", "t", "--format", "csv").stdout)))
    assert json.loads(rows[0]["metrics"]) == table.json("history")[0]["metrics"]
    outcome = home.ok("table", "verify", "t", "--format", "csv")
    assert outcome.stdout == "path,problem\n" and outcome.stderr.startswith("files 0, rows 0, bytes 0, wrong 0")
    assert home.ok("table", "describe", "t", "--format", "csv").stdout.startswith("uri,faces,id,")


def test_json_of_describe(table):
    table.append(ROWS)
    said = table.json("describe")
    assert list(said) == ["uri", "faces", "id", "name", "version", "sequence", "timestamp", "rows", "files", "bytes", "partition_by", "unwritable", "columns", "properties"]
    assert said["columns"] == table.json("schema") and said["rows"] == 4 and said["bytes"] == sum(table.data_files().values())
    first = table.versions()[0]
    if first != -1 and "delta" in table.faces:
        assert table.json("describe", "--version", first)["rows"] == 0
    assert table.home.ok("table", "describe", "t", "--format", "json").stdout == table.home.ok("table", "describe", "t", "--json").stdout


# ---- what is refused ----

@pytest.mark.parametrize("words,code,said", [
    (("table",), 2, "a verb is missing"),
    (("table", "apend", "t"), 2, "did you mean 'append'"),
    (("table", "append"), 2, "an argument is missing"),
    (("table", "append", "t"), 2, "--from"),
    (("table", "append", "t", "u", "--from", "a.csv"), 2, "unexpected argument 'u'"),
    (("table", "append", "t", "--form", "a.csv"), 2, "did you mean '--from'"),
    (("table", "append", "t", "--from", "a.csv", "--keys", "a"), 2, "unknown option '--keys'"),
    (("table", "append", "t", "--from", "a.csv", "--txn", "7"), 2, "APP:N"),
    (("table", "append", "t", "--from", "a.csv", "--txn", "a:99999999999999999999"), 2, "APP:N"),
    (("table", "merge", "t", "--from", "a.csv"), 2, "--keys"),
    (("table", "delete", "t"), 2, "--where"),
    (("table", "restore", "t"), 2, "--version"),
    (("table", "restore", "t", "--version", "1", "--timestamp", "2024-01-01"), 2, "one of the two"),
    (("table", "zorder", "t"), 2, "--by"),
    (("table", "expire", "t"), 2, "--older-than"),
    (("table", "add-columns", "t"), 2, "--columns"),
    (("table", "set-properties", "t"), 2, "--property"),
    (("table", "create", "t", "--format", "hudi", "--columns", "a BIGINT"), 2, "delta|iceberg"),
    (("table", "create", "t", "--format", "delta", "--format", "iceberg", "--columns", "a BIGINT"), 2, "--faces delta,iceberg"),
    (("table", "create", "t"), 2, "columns"),
    (("table", "create", "t", "--columns", "a BIGINT", "--from", "a.csv"), 2, "one of the two"),
    (("table", "create", "t", "--columns", "a BIGINT", "--property", "novalue"), 2, "key=value"),
    (("table", "create", "t", "--columns", "a WONDER"), 2, "WONDER"),
    (("table", "create", "t", "--columns", "a BIGINT, a DOUBLE"), 2, "name a already exists"),
    (("table", "create", "t", "--columns", "a BIGINT", "--partition-by", "b"), 2, "'b'"),
    (("table", "create", "t", "--from", "none.csv"), 2, "none.csv"),
    (("table", "describe", "t"), 1, "no Delta or Iceberg table"),
    (("table", "history", "t"), 1, "no Delta or Iceberg table"),
    (("table", "append", "t", "--from", "select 1 as a"), 1, "no Delta or Iceberg table"),
    (("table", "vacuum", "t"), 1, "no Delta or Iceberg table"),
    (("table", "describe", ""), 2, "URI"),
    (("table", "describe", "t", "--config", "none.ini"), 2, "none.ini"),
    (("sql", "from delta('t')"), 1, "no Delta or Iceberg table"),
    (("sql", "from delta('t', verison => 3)"), 2, "did you mean version"),
])
def test_what_is_refused_before_there_is_a_table(words, code, said, home):
    outcome = home.run(*words)
    assert outcome.code == code and said in outcome.stderr and outcome.stdout == "", outcome
    assert list(home.work.iterdir()) == []
    failed = home.run(*words, "--json")
    assert failed.code == code and list(failed.json) == ["error"] and said in failed.json["error"]["text"]


REFUSED = [
    (("create", "--columns", "a BIGINT"), 1, "already"),
    (("append", "--from", "none.parquet"), 2, "none.parquet"),
    (("append", "--from", "select 1 as nothing_like_it"), 2, "nothing_like_it"),
    (("append", "--from", "select 'x' as close"), 2, "close"),
    (("append", "--from", "select 1.5 as volume"), 2, "volume"),
    (("append", "--from", "select 1 as volume; select 2 as volume"), 2, "one query"),
    (("append", "--from", "select from"), 2, "syntax"),
    (("append", "--from", "select close from nowhere"), 2, "nowhere"),
    (("append", "--from", "select 'X' as symbol, 5 as timestamp"), 2, "column 'timestamp' is TIMESTAMPTZ and cannot hold INTEGER 5"),
    (("append", "--from", "select error('no luck') as close"), 1, "no luck"),
    (("merge", "--from", "select 'A' as symbol", "--keys", "symbl"), 2, "symbl"),
    (("delete", "--where", "symbl = 'A'"), 2, "symbl"),
    (("delete", "--where", "symbol = = 'A'"), 2, "syntax"),
    (("delete", "--where", "error('no luck')"), 1, "no luck"),
    (("delete", "--where", ""), 2, "which rows"),
    (("describe", "--version", "4711"), 1, "4711"),
    (("describe", "--version", "three"), 2, "three"),
    (("describe", "--timestamp", "long ago"), 2, "long ago"),
    (("describe", "--timestamp", "1999-12-31"), 1, " old"),
    (("zorder", "--by", "symbl"), 2, "symbl"),
    (("optimize", "--where", "close > 1"), 2, "partition"),
    (("add-columns", "--columns", "close DOUBLE"), 2, "close"),
    (("set-properties", "--property", "=x"), 2, "=x"),
    (("vacuum", "--retain", "1h"), 2, "168"),
]


@pytest.mark.parametrize("faces", ["delta", "iceberg"])
def test_what_a_table_refuses(faces, home):
    """With the reason, nothing on stdout, and no trace in the table."""
    table = Table(home, faces)
    table.append(ROWS)
    before = table.versions()
    for words, code, said in REFUSED:
        outcome = table.run(*words)
        assert outcome.code == code and said in outcome.stderr and outcome.stdout == "", (words, outcome)
    assert table.versions() == before and table.rows() == ROWS


def test_rows_with_equal_keys_are_named(table):
    table.append(ROWS)
    outcome = table.run("merge", "--from", "select 'X' as symbol, i::double as close from range(2) t(i)", "--keys", "symbol")
    assert outcome.code == 2 and "X" in outcome.stderr


# ---- where rows come from ----

def test_from_files_of_every_kind(home):
    table = Table(home, "delta")
    files = {"a.csv": lines(ROWS), "b.tsv": lines(ROWS).replace(",", "\t"), "c.jsonl": "".join(json.dumps(dict(zip(["symbol", "timestamp", "close", "volume"], r))) + "\n" for r in ROWS),
             "d.json": json.dumps([dict(zip(["symbol", "timestamp", "close", "volume"], r)) for r in ROWS])}
    for name, text in files.items():
        (home.work / name).write_text(text)
    home.ok("sql", "from delta('t')", "-o", "empty.parquet", "--format", "parquet")
    table.json("append", "--from", "a.csv")
    home.ok("sql", "from delta('t')", "-o", "e.parquet", "--format", "parquet")
    home.ok("sql", "copy (from delta('t')) to 'f.csv.gz'")
    for name in ["b.tsv", "c.jsonl", "d.json", "e.parquet", "f.csv.gz", "empty.parquet", f"file://{home.work}/e.parquet", "?.parquet"]:
        table.json("replace", "--where", "true", "--from", name)
        assert table.rows() == ROWS if name != "empty.parquet" else table.rows() == [], name


def test_from_a_query_that_reads_tables(home):
    source, table = Table(home, "iceberg", "source"), Table(home, "delta")
    source.append(ROWS)
    said = table.json("append", "--from", "-- some of it\nselect * from iceberg('source') where symbol <> 'TRUE' -- not delta('nowhere')\n;")
    assert said["rows_inserted"] == 3 and table.rows() == ROWS[:3]
    table.json("merge", "--keys", "symbol,timestamp", "--from", "select symbol, timestamp, close * 2 as close, volume from delta('t') where symbol = 'AAPL'")
    assert table.rows() == [("AAPL", "2024-01-30T14:30:00Z", 383.0, 100), ("AAPL", "2024-02-01T14:30:00Z", 372.5, 200), ROWS[2]]


def test_create_takes_columns_from_rows(home):
    (home.work / "rows.csv").write_text(lines(ROWS))
    for number, source in enumerate(["rows.csv", "select symbol, timestamp, close, volume from 'rows.csv'"]):
        table = Table(home, "iceberg", f"t{number}", None)
        created = home.ok("table", "create", table.name, "--format", "iceberg", "--from", source, "--format", "json").json
        assert created["rows"] == 0 and [c["column"] for c in table.json("schema")] == ["symbol", "timestamp", "close", "volume"]


# ---- SQL ----

def test_sql_sees_every_version(table):
    a = table.append(ROWS[:2])["version"]
    time.sleep(1.1)
    b = table.append(ROWS[2:])["version"]
    face = table.faces.split(",")[0]
    word = "version" if face == "delta" else "snapshot"
    assert table.rows(f", {word} => {a}") == ROWS[:2] and table.rows(f", {word} := {b}") == ROWS and table.rows(f", {word}={a}") == ROWS[:2]
    at = {v["version"]: v["timestamp"] for v in table.json("history")}
    assert table.rows(f", timestamp => '{at[a]}'") == ROWS[:2] and table.rows(f", timestamp => TIMESTAMP '{at[b]}'") == ROWS
    assert table.rows(", timestamp => '2999-01-01'") == ROWS
    text = f"select (select count(*) from {face}('t', {word} => {a})), count(*) from {face.upper()} ( 't' ) x join {face}('t') y using (symbol, timestamp)"
    assert table.home.ok("sql", text, "--format", "csv").stdout.splitlines()[1] == "2,4"


def test_sql_leaves_words_alone_that_are_no_tables(home):
    text = """select 'delta(''x'')' as a, "delta" as b, t.delta as c /* iceberg('y') */ from (select 1 as delta) t -- delta('z')"""
    assert home.ok("sql", text, "--json").json == [{"a": "delta('x')", "b": 1, "c": 1}]


def test_sql_names_the_other_face(home):
    Table(home, "iceberg")
    outcome = home.run("sql", "from delta('t')")
    assert outcome.code == 1 and "iceberg('t')" in outcome.stderr


def test_a_table_is_found_by_every_kind_of_uri(home):
    table = Table(home, "delta", "a b/t%2F=é")
    table.append(ROWS)
    for uri in [table.name, f"./{table.name}/", str(table.path), f"file:{table.path}", f"file://{table.path}"]:
        said = home.ok("table", "describe", uri, "--json").json
        assert said["uri"] == str(table.path) and said["rows"] == 4
        quoted = uri.replace("'", "''")
        assert home.ok("sql", f"select count(*) as n from delta('{quoted}')", "--json").json == [{"n": 4}]
    assert pathlib.Path(home.work / "a b").is_dir()


def test_the_other_face_has_versions_of_its_own(home):
    table = Table(home, "delta,iceberg")
    table.append(ROWS[:2])
    table.append(ROWS[2:])
    assert [v["version"] for v in table.json("history")] == [2, 1, 0]
    snapshots = [v["version"] for v in table.json("history", "--face", "iceberg")]
    assert len(set(snapshots)) == 2 and all(s > 2 for s in snapshots)
    assert table.rows(f", snapshot => {snapshots[1]}", face="iceberg") == ROWS[:2] == table.rows(", version => 1", face="delta")
    described = table.json("describe", "--face", "iceberg")
    assert described["faces"] == "iceberg" and described["version"] == snapshots[0] and described["rows"] == 4
    single = Table(home, "iceberg", "single")
    outcome = single.run("describe", "--face", "delta")
    assert outcome.code == 1 and "no delta table" in outcome.stderr


def test_tables_and_files_on_s3(home, minio):  # noqa: F811
    bucket = minio.bucket()
    (home.work / "temp").mkdir()
    home.env |= minio.environment() | {"TMPDIR": str(home.work / "temp")}
    minio.put(bucket, "in/new rows.csv", lines(ROWS).encode())
    for faces in ["delta", "iceberg"]:
        uri = f"s3://{bucket}/{faces}/closes"
        assert home.ok("table", "create", uri, "--columns", COLUMNS, "--faces", faces, "--json").json["uri"] == uri
        said = home.ok("table", "append", uri, "--from", f"s3://{bucket}/in/new rows.csv", "--json").json
        stored = {k: b for k, b in minio.list(bucket, f"{faces}/").items() if k.endswith(".parquet")}
        changed(said, rows_inserted=4, files_added=1, bytes_added=sum(stored.values()))
        assert home.ok("sql", f"select count(*) as n, sum(volume) as v from {faces}('{uri}')", "--json").json == [{"n": 4, "v": 303}]
        home.ok("table", "merge", uri, "--keys", "symbol,timestamp", "--from", f"select * replace (volume + 1 as volume) from {faces}('{uri}') where symbol = 'AAPL'")
        assert home.ok("sql", f"select sum(volume) as v from {faces}('{uri}')", "--json").json == [{"v": 305}]
        assert home.ok("table", "verify", uri, "--json").json["wrong"] == 0
    for words, said in [(("--from", f"s3://{bucket}/in/none.csv"), "none.csv"), (("--from", f"s3://{bucket}/in/*.csv"), "globs")]:
        outcome = home.run("table", "append", uri, *words)
        assert outcome.code in (1, 2) and said in outcome.stderr
    assert list((home.work / "temp").iterdir()) == [], "what was brought here is gone"


# ---- what the guide prints ----

GUIDE = pathlib.Path(os.environ.get("TICKLAKE_SOURCE", pathlib.Path(__file__).parents[2])) / "docs/how-to/maintenance.md"


def test_the_guide_runs_as_printed(table):
    """Every line of docs/how-to/maintenance.md, in its order."""
    for row in [*ROWS, *ROWS]:
        table.append([row])
    versions = table.versions()
    text = GUIDE.read_text()
    commands = [line for block in re.findall(r"^```sh\n(.*?)^```$", text, re.S | re.M) for line in block.splitlines()]
    assert len(commands) >= 12 and sum("ticklake table" in c for c in commands) >= 11
    face = table.faces.split(",")[0]
    for command in commands:
        command = re.sub(r"\bURI\b", "t", command).replace("delta('t', version => 3)", f"{face}('t', version => {versions[3]})").replace("--version 3", f"--version {versions[3]}")
        done = subprocess.run(["bash", "-euc", f"ticklake() {{ {harness.BIN} \"$@\"; }}; {command}"], cwd=table.home.work, env=table.home.env, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    example = json.loads(re.search(r"--json\n(\{.*?\})\n", text, re.S).group(1))
    assert list(example) == CHANGE, "the answer printed there has the members it has"
