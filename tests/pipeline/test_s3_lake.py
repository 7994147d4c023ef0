"""Lakes at s3://bucket/prefix on a real MinIO: the same rows and the same bytes as in a folder, writers that meet, kill -9
anywhere, damage and its repair, a network that loses answers, and a store that ignores conditions. Objects are looked at by the
tests' own S3 client, their rows by DuckDB in a copy of the bucket."""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sys
import time
import urllib.parse

import pytest

import harness
import truth

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "interop"))
from minio import minio  # noqa: E402, F401
from proxy import DROP_ANSWER, PASS, Proxy  # noqa: E402

SYMBOLS = ["AAPL", "BRK.B", "SPLT"]
ROUNDS = max(1, round(20 * harness.SCALE))


class S3Home(harness.Home):
    """A user whose lake lies on the server; whatever a program leaves on the disk beside it is seen."""

    def __init__(self, folder, endpoint, server, port=None):
        super().__init__(folder, endpoint)
        self.server, self.bucket = server, server.bucket()
        self.temp = self.folder / "temp"
        self.temp.mkdir(exist_ok=True)
        self.env.update(server.environment(port), TICKLAKE_LAKE=f"s3://{self.bucket}/deep/er", TMPDIR=str(self.temp))

    def keys(self, below=""):
        return {k.removeprefix("deep/er/"): v for k, v in self.server.list(self.bucket, "deep/er/" + below).items()}

    def get(self, key):
        return self.server.get(self.bucket, "deep/er/" + key)

    def put(self, key, body):
        self.server.put(self.bucket, "deep/er/" + key, body)

    def delete(self, key):
        self.server.delete(self.bucket, "deep/er/" + key)

    def copy(self):
        """The bucket as a folder."""
        shutil.rmtree(self.lake, ignore_errors=True)
        for key in self.keys():
            path = self.folder / "copy" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.get(key))
        return self.folder / "copy"

    def rows(self, kind, layout="hive"):
        shutil.rmtree(self.folder / "copy", ignore_errors=True)
        return harness.rows_of(self.copy(), kind, layout)

    def sound(self):
        """The audit finds nothing, knows every data file, and the ledger's numbers have no gaps."""
        rows = self.ok("audit", "--json").json
        assert {r["path"] for r in rows} == {k for k in self.keys() if k.endswith(".parquet")}
        numbers = [int(k.split("/")[-1][:20]) for k in self.keys("_ticklake/ledger/0") if k.endswith(".json")]
        assert numbers == list(range(1, len(numbers) + 1))
        return rows

    def left_nothing(self):
        assert os.listdir(self.temp) == [] and os.listdir(self.work) == []


@pytest.fixture
def lake(tmp_path, sim, minio):  # noqa: F811
    return S3Home(tmp_path, sim.url, minio)


def wanted(sim, kind, *of):
    make = {"1m": lambda *a: truth.bars(sim, "1m", *a), "trades": lambda *a: truth.trades(sim, *a), "quotes": lambda *a: truth.tightest(sim, *a),
            "ticks": lambda *a: truth.bars_of_ticks(sim, "1s", *a), "raw-quotes": lambda *a: truth.quotes(sim, *a), "1d": lambda *a: truth.bars(sim, "1d", *a)}
    return make[kind](*of)


def together(home, *imports):
    processes = [home.start("import", *words, "--json") for words in imports]
    for p, (out, err) in zip(processes, [p.communicate(timeout=180) for p in processes]):
        assert p.returncode == 0, harness.Outcome(p.returncode, out.decode(), err.decode())


def stored(kind):
    return "1s" if kind == "ticks" else kind


# ---- as in a folder ----

@pytest.mark.parametrize("kind, layout, end", [("1m", "hive", "2024-06-04"), ("trades", "hive", "2024-06-03"), ("ticks", "flat", "2024-05-31"), ("quotes", "hive", "2024-05-31"),
                                               ("1d", "flat", "2024-06-04"), ("raw-quotes", "flat", "2024-05-31")])
def test_rows_bytes_and_answers_are_those_of_a_folder(kind, layout, end, sim, lake, tmp_path):
    local = harness.Home(tmp_path / "local", sim.url)
    words = [kind, ",".join(SYMBOLS), "2024-05-31", end, "--layout", layout]
    said = lake.import_(*words)
    assert local.import_(*words)["rows"] == said["rows"] > 0
    harness.assert_rows(lake.rows(stored(kind), layout), wanted(sim, kind, SYMBOLS, "2024-05-31", end))
    files = [str(p.relative_to(local.lake)) for p in harness.data_files(local.lake)]
    assert files == sorted(k for k in lake.keys() if k.endswith(".parquet"))
    for file in files:
        assert lake.get(file) == (local.lake / file).read_bytes()
    sim.reset()
    before = lake.keys()
    again = lake.import_(*words)
    assert again["requests"] == again["rows"] == 0 and sim.requests() == 0 and lake.keys() == before

    view = harness.HIVE[stored(kind)]
    questions = [("read", stored(kind), "BRK.B,AAPL", "--format", "csv"), ("read", stored(kind), "AAPL,BRK.B,SPLT", "2024-05-31", "2024-05-31", "--format", "csv"),
                 ("read", stored(kind), "AAPL", "--limit", "3", "--format", "jsonl"),
                 ("sql", f"select symbol, count(*) n, min(timestamp) a, max(timestamp) b from {view} group by 1 order by 1", "--format", "csv"),
                 ("symbols", stored(kind)), ("range", stored(kind), "AAPL"), ("coverage", "--json"), ("gaps", "--json"), ("audit",)]
    for question in questions:
        assert lake.ok(*question).stdout == local.ok(*question).stdout, question
    assert lake.run("read", stored(kind), "NOSUCH").code == local.run("read", stored(kind), "NOSUCH").code
    lake.sound()
    lake.left_nothing()


@pytest.mark.parametrize("layout", [name for name in harness.LAYOUTS if harness.is_table(name)])
def test_a_lake_of_tables(layout, sim, lake, tmp_path):
    """Two imports that overlap, at once; then as a folder of files reads."""
    local = harness.Home(tmp_path / "local", sim.url)
    local.import_("1m", ",".join(SYMBOLS), "2024-05-30", "2024-06-04")
    together(lake, ["1m", "AAPL,BRK.B,SPLT", "2024-05-30", "2024-06-03", *harness.LAYOUTS[layout]], ["1m", "SPLT,BRK.B,AAPL", "2024-05-31", "2024-06-04", *harness.LAYOUTS[layout]])
    sim.reset()
    assert lake.import_("1m", ",".join(SYMBOLS), "2024-05-30", "2024-06-04")["requests"] == 0
    for question in [("read", "1m", "BRK.B,AAPL", "--format", "csv"), ("sql", "select count(*), sum(volume) from equities_1min", "--format", "csv"), ("symbols", "1m"),
                     ("range", "1m", "AAPL"), ("coverage", "--json")]:
        assert lake.ok(*question).stdout == local.ok(*question).stdout, question
    lake.ok("audit")
    lake.left_nothing()


def test_indices_update_doctor_and_what_an_object_store_cannot(sim, lake):
    lake.ok("index", "store", "dow", "AAPL,BRK.B")
    assert lake.keys("metadata/") .keys() == {"metadata/indices/dow.csv"}
    assert "dow" in lake.ok("index", "list").stdout and "BRK.B" in lake.ok("index", "load", "dow").stdout
    lake.import_("1m", "index:dow", "2024-05-30", "2024-05-30")
    assert lake.import_("1m", "SPLT", "2024-05-30", "2024-05-30", "--layout", "flat", code=2)["requests"] == 0
    assert lake.ok("plan", "1m", "AAPL", "2024-05-30", "2024-05-31").stdout
    assert "s3://" in lake.run("doctor").stdout
    refused = lake.run("adopt", lake.env["TICKLAKE_LAKE"])
    assert refused.code == 2 and "adopt works on a folder" in refused.stderr
    assert lake.ok("symbols", "1m", "--lake", lake.env["TICKLAKE_LAKE"] + "/", env={"TICKLAKE_LAKE": "nowhere"}).stdout.split() == ["AAPL", "BRK.B"]
    lake.left_nothing()


def test_rejected_rows_lie_beside_and_go_with_a_clean_answer(sim, lake):
    sim.faults("when page=1 do drop t row=3")
    said = lake.import_("1m", "BRK.B", "2024-05-30", "2024-05-30")
    assert said["rejected"] > 0
    (key,) = lake.keys("rejects/")
    assert len(lake.get(key).splitlines()) == said["rejected"]
    sim.faults("")
    assert lake.import_("1m", "BRK.B", "2024-05-30", "2024-05-30", "--refresh")["rejected"] == 0
    assert not lake.keys("rejects/")
    harness.assert_rows(lake.rows("1m"), wanted(sim, "1m", ["BRK.B"], "2024-05-30", "2024-05-30"))


# ---- writers that meet ----

@pytest.mark.parametrize("kind, layout", [("1m", "hive"), ("trades", "flat")])
def test_overlapping_imports_at_once(kind, layout, sim, lake):
    starts = [([kind, "AAPL,BRK.B,SPLT", "2024-05-30", "2024-06-03"]), ([kind, "SPLT,AAPL,BRK.B", "2024-05-31", "2024-06-05"]),
              ([kind, "BRK.B,AAPL", "2024-06-03", "2024-06-04"]), ([kind, "AAPL", "2024-05-30", "2024-06-05"])]
    together(lake, *[[*words, "--layout", layout] for words in starts])
    harness.assert_rows(lake.rows(kind, layout), wanted(sim, kind, SYMBOLS, "2024-05-30", "2024-06-05"))
    lake.sound()
    sim.reset()
    assert lake.import_(kind, "AAPL,BRK.B,SPLT", "2024-05-30", "2024-06-05", "--layout", layout)["requests"] == 0
    lake.left_nothing()


def test_many_writers_of_one_file(sim, lake):
    """Every day of two weeks by its own process: all meet in the same files."""
    days = [f"2024-06-{n:02d}" for n in range(3, 15)]
    together(lake, *[["5m", "AAPL,BRK.B", day, day] for day in days])
    harness.assert_rows(lake.rows("5m"), truth.bars(sim, "5m", ["AAPL", "BRK.B"], "2024-06-03", "2024-06-14"))
    lake.sound()


# ---- kill -9 ----

@pytest.mark.parametrize("kind, layout", [("1m", "flat"), ("trades", "hive")])
def test_killed_at_random_moments(kind, layout, sim, minio, tmp_path):  # noqa: F811
    seed = random.randrange(10**9)
    print(f"seed {seed}")
    dice = random.Random(seed)
    words = ["import", kind, ",".join(SYMBOLS), "2024-05-30", "2024-06-05", "--layout", layout, "--page-limit", "900"]
    want = wanted(sim, kind, SYMBOLS, "2024-05-30", "2024-06-05")
    usual = 0.0
    for round_ in range(3 * ROUNDS + 1):
        home = S3Home(tmp_path / str(round_), sim.url, minio)
        began = time.monotonic()
        for _ in range(0 if not round_ else dice.randint(1, 3)):
            process = home.start(*words)
            time.sleep(dice.uniform(0, usual))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        home.ok(*words)
        if not round_:
            usual = time.monotonic() - began
        harness.assert_rows(home.rows(kind, layout), want)
        home.sound()
        assert home.import_(*words[1:])["requests"] == 0


def test_killed_before_each_step(sim, minio, tmp_path):  # noqa: F811
    """Around every put and between the stages of a commit: the next run ends as if nothing had happened."""
    words = ["import", "1m", "AAPL,BRK.B", "2024-05-30", "2024-05-31"]
    home = S3Home(tmp_path / "clean", sim.url, minio)
    counted = home.ok(*words, env={"TICKLAKE_FAULT": "step:0:count"}).stderr
    steps = re.search(r"fault seam step: (\d+) calls", counted)
    want = wanted(sim, "1m", ["AAPL", "BRK.B"], "2024-05-30", "2024-05-31")
    every = max(1, int(steps[1]) // max(8, 10 * ROUNDS))
    for n in range(1, int(steps[1]) + 1, every):
        home = S3Home(tmp_path / str(n), sim.url, minio)
        home.ok(*words[:3], "2024-05-30", "2024-05-30")
        assert home.run(*words, env={"TICKLAKE_FAULT": f"step:{n}:exit-before"}).code in (0, 99)
        home.ok(*words)
        harness.assert_rows(home.rows("1m"), want)
        home.sound()


# ---- damage ----

def verdicts(outcome):
    return {r["path"].split("/")[-1] if r["path"].startswith("_") else r["path"]: r["verdict"] for r in outcome.json}


def test_damaged_objects_are_found_and_repaired(sim, lake):
    words = ["1m", ",".join(SYMBOLS), "2024-05-30", "2024-05-30", "--layout", "flat"]
    lake.import_(*words)
    a, b, s = (f"bars/1m/{symbol}.2024-05.parquet" for symbol in SYMBOLS)
    lake.delete(a)
    lake.put(b, b"PAR1 this is no Parquet file PAR1")
    lake.put("bars/1m/MINE.2024-05.parquet", lake.get(s))
    audit = lake.run("audit", "--json")
    assert audit.code == 1
    assert verdicts(audit) == {a: "missing", b: "unreadable", s: "sound", "bars/1m/MINE.2024-05.parquet": "unrecorded"}
    repaired = lake.run("audit", "--repair", "--json")
    assert set(verdicts(repaired).values()) == {"repaired", "sound"}, repaired
    assert b + ".damaged" in lake.keys() and b not in lake.keys()
    lake.delete("bars/1m/MINE.2024-05.parquet")
    lake.ok("audit", "--repair")
    assert lake.import_(*words)["requests"] > 0
    harness.assert_rows(lake.rows("1m", "flat"), wanted(sim, "1m", SYMBOLS, "2024-05-30", "2024-05-30"))
    lake.sound()
    lake.left_nothing()


def test_a_damaged_ledger_is_named_and_made_anew(sim, lake):
    words = ["1m", "AAPL,BRK.B", "2024-05-30", "2024-05-30"]
    lake.import_(*words)
    entry = "_ticklake/ledger/00000000000000000003.json"
    whole = lake.get(entry)
    lake.put(entry, whole[:-2])
    failed = lake.run("coverage", "1m")
    assert failed.code != 0 and "00000000000000000003.json" in failed.stderr and "audit --repair" in failed.stderr
    lake.ok("audit", "--repair")
    lake.sound()
    lake.import_(*words)
    harness.assert_rows(lake.rows("1m"), wanted(sim, "1m", ["AAPL", "BRK.B"], "2024-05-30", "2024-05-30"))
    lake.sound()
    assert lake.get(entry) == whole[:-2], "entries are never changed"


def test_a_checkpoint_makes_old_entries_needless(sim, lake):
    day = ["2024-05-30", "2024-05-30"]
    lake.import_("1m", "AAPL", *day)
    for n in range(len(lake.keys("_ticklake/ledger/")) + 1, 100):  # what many imports leave
        lake.put(f"_ticklake/ledger/{n:020d}.json", json.dumps({"format": 1, "id": str(n), "op": "run_begin", "command": "import", "at_ns": n}).encode())
    lake.import_("1m", "AAPL", *day, "--refresh")
    (checkpoint,) = (k for k in lake.keys("_ticklake/ledger/") if k.endswith(".db"))
    coverage = lake.ok("coverage", "--json").stdout
    newest = int(checkpoint.split("/")[-1][:20])
    for n in range(1, newest + 1, 7):
        lake.delete(f"_ticklake/ledger/{n:020d}.json")
    assert lake.ok("coverage", "--json").stdout == coverage
    assert lake.import_("1m", "AAPL", *day)["requests"] == 0
    lake.left_nothing()


# ---- the network, and stores that are none ----

def test_answers_that_get_lost_neither_lose_nor_double_a_commit(sim, minio, tmp_path):  # noqa: F811
    with Proxy(minio.port) as between:
        dropped = []

        def drop_some(request):
            seen = request.path + str(request.headers.get("If-None-Match")) + str(request.headers.get("If-Match"))
            if request.method == "PUT" and "deep" in request.path and seen not in dropped:
                dropped.append(seen)
                return DROP_ANSWER
            return PASS

        home = S3Home(tmp_path, sim.url, minio, port=between.port)
        between.rule = drop_some
        home.import_("1m", "AAPL,BRK.B", "2024-05-30", "2024-05-31")
        home.import_("1m", "AAPL,BRK.B", "2024-05-31", "2024-06-03")
        between.rule = lambda request: PASS
        assert len(dropped) > 8
        harness.assert_rows(home.rows("1m"), wanted(sim, "1m", ["AAPL", "BRK.B"], "2024-05-30", "2024-06-03"))
        home.sound()


@pytest.mark.parametrize("header", ["If-None-Match", "If-Match"])
def test_a_store_that_ignores_a_condition_is_refused(header, sim, minio, tmp_path):  # noqa: F811
    with Proxy(minio.port) as between:
        def forget(request, pass_on):
            """The request signed once more, without the header."""
            path, _, query = request.path.partition("?")
            bucket, _, key = urllib.parse.unquote(path[1:]).partition("/")
            keep = {k: v for k, v in request.headers.items() if k.lower() in ("if-match", "if-none-match", "range", "content-type") and k.lower() != header.lower()}
            code, headers, body = minio.request(request.method, bucket, key, dict(urllib.parse.parse_qsl(query, keep_blank_values=True)), keep, request.body)
            lines = [f"{k}: {v}" for k, v in headers.items() if k not in ("content-length", "transfer-encoding", "connection")]
            length = headers.get("content-length", "0") if request.method == "HEAD" else len(body)
            return "\r\n".join([f"HTTP/1.1 {code} X", *lines, f"Content-Length: {length}", "", ""]).encode() + body

        between.rule = lambda request: forget
        home = S3Home(tmp_path, sim.url, minio, port=between.port)
        outcome = home.run("import", "1m", "AAPL", "2024-05-30", "2024-05-30")
        assert outcome.code == 2 and header in outcome.stderr, outcome
        assert not [k for k in home.keys() if k.endswith((".parquet", ".json"))], "nothing is risked"


def test_wrong_keys_and_missing_buckets_are_named(sim, lake):
    wrong = lake.run("import", "1m", "AAPL", "2024-05-30", "2024-05-30", env={"AWS_SECRET_ACCESS_KEY": "wrong-secret-0123456789"})
    assert wrong.code == 1 and lake.env["TICKLAKE_LAKE"] in wrong.stderr and "wrong-secret" not in wrong.stderr + wrong.stdout
    missing = lake.run("coverage", env={"TICKLAKE_LAKE": "s3://no-such-bucket-here/x"})
    assert missing.code == 2 and "no-such-bucket-here" in missing.stderr
    assert json.loads(lake.ok("coverage", "--json").stdout) == []
