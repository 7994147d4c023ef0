"""ticklake table at its edges: answers when there is nothing to say, values that would be ignored, examples as they are printed."""
import csv
import io
import pathlib
import shlex
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))
from minio import minio  # noqa: E402,F401  (a fixture)

ROOT = pathlib.Path(__file__).parents[2]
FACES = ["delta", "iceberg", "delta,iceberg"]


def create(home, faces, *more):
    home.ok("table", "create", "t", "--columns", "a INTEGER, b VARCHAR", "--faces", faces, *more)


@pytest.mark.parametrize("faces", FACES)
def test_properties_that_change_nothing_make_no_version(home, faces):
    create(home, faces)
    first = home.ok("table", "set-properties", "t", "--property", "note=x", "--json").json
    before = home.ok("table", "describe", "t", "--json").json["sequence"]
    for words in (["note=x"], ["absent"], ["note=x", "absent"]):
        again = home.run("table", "set-properties", "t", *[w for p in words for w in ("--property", p)], "--json")
        assert again.code == 0 and again.json["version"] is None and "nothing had to change" in again.stderr
    assert home.ok("table", "describe", "t", "--json").json["sequence"] == before == first["sequence"]
    home.ok("table", "set-properties", "t", "--property", "note=x", "--property", "note=y")
    assert home.ok("table", "describe", "t", "--json").json["properties"]["note"] == "y"


BAD = ["delta.checkpointInterval=abc", "delta.checkpointInterval=0", "delta.dataSkippingNumIndexedCols=all", "delta.deletedFileRetentionDuration=30d",
       "delta.logRetentionDuration=interval 1 month", "delta.appendOnly=yes"]


@pytest.mark.parametrize("word", BAD)
def test_a_property_that_would_be_ignored_is_refused(home, word):
    key, value = word.split("=")
    made = home.run("table", "create", "other", "--columns", "a INTEGER", "--property", word)
    assert made.code == 2 and key in made.stderr and not (home.work / "other" / "_delta_log").exists()
    create(home, "delta")
    refused = home.run("table", "set-properties", "t", "--property", word)
    assert refused.code == 2 and key in refused.stderr and f"'{value}'" in refused.stderr
    for good in ("delta.checkpointInterval=3", "delta.dataSkippingNumIndexedCols=-1", "delta.deletedFileRetentionDuration=interval 2 weeks", "delta.appendOnly=TRUE"):
        home.ok("table", "set-properties", "t", "--property", good)


def test_an_empty_list_has_its_header_in_csv(home):
    create(home, "iceberg")
    full = {}
    for verb, words in (("history", []), ("verify", []), ("vacuum", ["--dry-run"])):
        out = home.ok("table", verb, "t", *words, "--format", "csv").stdout
        assert out.count("\n") == 1, (verb, out)
        full[verb] = next(csv.reader(io.StringIO(out)))
    home.ok("table", "append", "t", "--from", "select 1::int as a, 'x' as b")
    rows = list(csv.reader(io.StringIO(home.ok("table", "history", "t", "--format", "csv").stdout)))
    assert len(rows) == 2 and rows[0] == full["history"]
    (file,) = (home.work / "t").rglob("*.parquet")
    file.unlink()
    rows = list(csv.reader(io.StringIO(home.run("table", "verify", "t", "--format", "csv").stdout)))
    assert len(rows) == 2 and rows[0] == full["verify"]
    orphan = home.work / "t" / "data" / "orphan.parquet"
    orphan.write_text("x")
    rows = list(csv.reader(io.StringIO(home.ok("table", "vacuum", "t", "--dry-run", "--retain", "0", "--force", "--format", "csv").stdout)))
    assert rows == [full["vacuum"], ["1", "data/orphan.parquet"]]


def test_an_empty_file_is_called_empty(home):
    create(home, "delta")
    (home.work / "none.csv").write_text("")
    refused = home.run("table", "append", "t", "--from", "none.csv")
    assert refused.code == 2 and "'none.csv' is empty" in refused.stderr
    (home.work / "none.csv").write_text("a,b\n")
    assert home.run("table", "append", "t", "--from", "none.csv").code == 0


def test_the_readme_s_version_is_there_after_its_own_commands(home):
    text = (ROOT / "README.md").read_text()
    block = next(b for b in text.split("```") if "ticklake table create lake/closes" in b)
    commands = [line.strip() for line in block.replace("\\\n", "").splitlines() if "lake/closes" in line]
    (home.work / "closes.csv").write_text("symbol,timestamp,close\nAAPL,2024-01-30T14:30:00Z,191.5\n")
    for command in commands:
        home.ok(*shlex.split(command, comments=True)[1:])
    assert len(commands) == 4


@pytest.mark.parametrize("faces", FACES)
def test_verify_knows_a_partition_by_its_folder(home, faces):
    """The value of an identity partition is in no column of its file: the folder it was put in is held against the log."""
    home.ok("table", "create", "t", "--columns", "s VARCHAR, d DATE, i INTEGER, f BOOLEAN, x DOUBLE", "--faces", faces, "--partition-by", "s,d,i,f")
    home.ok("table", "append", "t", "--from", "select s, date '2024-02-29' + g::int as d, g * -1000 as i, g % 2 = 0 as f, g * 1.5 as x "
            "from unnest(['BTC/USD', 'a b=c%', '..', 'é', NULL, 'TRUE', '__HIVE']) u(s), range(3) r(g)")
    assert home.ok("table", "verify", "t", "--json").json["wrong"] == 0
    if faces == "iceberg":
        return
    log = home.work / "t" / "_delta_log" / f"{1:020d}.json"
    text = log.read_text()
    assert text.count('"s":"BTC/USD"') == 3
    log.write_text(text.replace('"s":"BTC/USD"', '"s":"ETH/USD"', 1))
    found = home.run("table", "verify", "t", "--json")
    (problem,) = found.json["problems"]
    assert found.code == 1 and "s=BTC%2FUSD" in problem["path"] and "s=ETH/USD" in problem["problem"]
    log.write_text(text.replace('"s":null', '"s":"none"', 1))
    found = home.run("table", "verify", "t", "--json")
    assert found.code == 1 and found.json["wrong"] == 1 and "__HIVE_DEFAULT_PARTITION__" in found.json["problems"][0]["problem"]


def test_on_s3_a_table_is_made_where_nothing_is(home, minio):  # noqa: F811
    bucket = minio.bucket()
    home.env |= minio.environment()
    minio.put(bucket, "old/2024.parquet", b"x")
    minio.put(bucket, "lake/_ticklake/log", b"x")
    minio.put(bucket, "in/none.csv", b"")
    for prefix, words in (("old", "2024.parquet"), ("lake", "is a lake")):
        refused = home.run("table", "create", f"s3://{bucket}/{prefix}", "--columns", "a INTEGER")
        assert refused.code == 2 and words in refused.stderr
        assert len(minio.list(bucket, f"{prefix}/")) == 1
    home.ok("table", "create", f"s3://{bucket}/lake/t", "--columns", "a INTEGER")
    refused = home.run("table", "append", f"s3://{bucket}/lake/t", "--from", f"s3://{bucket}/in/none.csv")
    assert refused.code == 2 and "none.csv' is empty" in refused.stderr
