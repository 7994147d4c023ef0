"""Scorecard lines 10, 11, 12 and 13: many processes commit to one table at once, on disk and on S3, delta-rs among them; a proxy drops
the answer of a winning put. Every acknowledged commit is there once, nothing else is, versions have no gap.

The oracle is a replay: commits in the order of the versions they were acknowledged with, by a dictionary in Python. Merges and
replacements overlap, so a commit that was computed from rows it should have seen, and did not, gives other rows."""
import collections
import json
import pathlib
import random
import subprocess
import sys
import threading
import time

import pyarrow as pa
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import proxy  # noqa: E402
import tables  # noqa: E402
from tables import Local, S3, Table  # noqa: E402
from minio import minio  # noqa: E402, F401 (a fixture)

COLUMNS = [("symbol", pa.string()), ("key", pa.int64()), ("value", pa.int64()), ("writer", pa.string())]
SYMBOLS = ["AAPL", "BTC/USD", "MSFT", "é"]
Acked = collections.namedtuple("Acked", "order kind rows")  # order: what sorts commits
DELTA_RS = """
import json, os, sys
import deltalake, pyarrow as pa
uri, options, name, commits = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3], int(sys.argv[4])
for i in range(commits):  # keys that nobody merges
    rows = pa.table({"symbol": ["AAPL", "MSFT"], "key": pa.array([10**7 + i] * 2, pa.int64()), "value": pa.array([i, -i], pa.int64()), "writer": [name, name]})
    try:
        deltalake.write_deltalake(uri, rows, mode="append", storage_options=options, commit_properties=deltalake.CommitProperties(max_commit_retries=100))
        print(i, flush=True)
    except deltalake.exceptions.CommitFailedError as error:
        print(error, file=sys.stderr)
"""


class Writers:
    def __init__(self, table, seed):
        self.table, self.place, self.seed = table, table.place, seed
        self.acked, self.refused, self.lock, self.wrong = [], [], threading.Lock(), []

    def rows(self, random_, name, i, kind):
        if kind == "append":  # keys of its own
            return [(s, 10**6 + i, random_.randrange(1000), name) for s in random_.sample(SYMBOLS, 2)]
        if kind == "merge":   # keys that all writers merge
            return [(s, k, random_.randrange(10**6), name) for s in random_.sample(SYMBOLS, 2) for k in random_.sample(range(6), 3)]
        return [(random_.choice(SYMBOLS[:2]), k, random_.randrange(10**6), name) for k in (50, 51)]

    def command(self, random_, name, i, kind):
        rows = self.rows(random_, name, i, kind)
        if kind == "replace":
            rows = [(rows[0][0], *r[1:]) for r in rows]
        path = self.place.home / f"{name}-{i}.parquet"
        tables.pq.write_table(tables.arrow(rows, COLUMNS), path)
        words = [kind, self.table.uri, "--from", path]
        if kind == "merge":
            words += ["--keys", "symbol,key"]
        if kind == "replace":
            words += ["--where", f"symbol = {tables.quoted(rows[0][0])} and key in (50, 51)"]
        return rows, words

    def write(self, name, kinds, commits, **env):
        random_ = random.Random(f"{self.seed}/{name}")
        for i in range(commits):
            kind = random_.choice(kinds)
            rows, words = self.command(random_, name, i, kind)
            done = tables.run(self.place, ["table", *words, "--json"], timeout=600, **env)
            with self.lock:
                if done.code == 0:
                    said = json.loads(done.out)
                    if said["version"] is not None:
                        self.acked.append(Acked(said["sequence"], kind, rows))
                else:
                    self.refused.append((kind, rows))
                    if done.code != 1 or b"another writer" not in done.err:
                        self.wrong.append((words, done))

    def maintain(self, verbs, stop):
        while not stop.is_set():
            for verb, *more in verbs:
                done = tables.run(self.place, ["table", verb, self.table.uri, *more, "--json"], timeout=600)
                if done.code not in (0, 1) or (done.code == 1 and b"another writer" not in done.err):
                    self.wrong.append(((verb, *more), done))
            stop.wait(0.3)

    def delta_rs(self, name, commits):
        done = subprocess.run([sys.executable, "-c", DELTA_RS, self.table.uri, json.dumps(self.place.storage_options), name, str(commits)], capture_output=True, text=True)
        with self.lock:
            for line in done.stdout.split():
                i = int(line)
                self.acked.append(Acked(0, "append", [("AAPL", 10**7 + i, i, name), ("MSFT", 10**7 + i, -i, name)]))
            if done.returncode:
                self.wrong.append((name, done))

    def expected(self):
        rows, appended = {}, []
        for _, kind, new in sorted(self.acked, key=lambda a: a.order):
            if kind == "append":
                appended += new
                continue
            if kind == "replace":
                rows = {at: r for at, r in rows.items() if not (at[0] == new[0][0] and at[1] in (50, 51))}
            rows |= {(r[0], r[1]): r for r in new}
        return appended + list(rows.values())


def compete(table, writers, **how):
    """writers: [(count, kinds, commits)]; maintenance and delta-rs beside them."""
    world = Writers(table, f"{tables.SEED}/{how.get('name')}")
    print(f"seed: TICKLAKE_SEED={tables.SEED}")
    jobs, stop = [], threading.Event()
    for group, (number, kinds, commits) in enumerate(writers):
        jobs += [threading.Thread(target=world.write, args=(f"w{group}-{n}", kinds, commits), kwargs=how.get("env", {})) for n in range(number)]
    jobs += [threading.Thread(target=world.delta_rs, args=(f"rs-{n}", how["delta_rs"][1])) for n in range(how.get("delta_rs", (0, 0))[0])]
    maintenance = [threading.Thread(target=world.maintain, args=(verbs, stop)) for verbs in how.get("maintain", ())]
    began = time.monotonic()
    for job in jobs + maintenance:
        job.start()
    for job in jobs:
        job.join()
    stop.set()
    for job in maintenance:
        job.join()
    assert not world.wrong, f"{len(world.wrong)} ended badly: {world.wrong[:2]}"
    want = world.expected()
    print(f"{len(world.acked)} commits acknowledged, {len(world.refused)} refused, {len(want)} rows, {time.monotonic() - began:.1f} s")
    asked = sum(number * commits for number, _, commits in writers)
    assert len(world.refused) <= asked // 4, "too many commits were refused: retries do not work"
    table.model.rows = want
    table.note("all of it")
    table.check()
    assert table.run("verify")["wrong"] == 0
    return world


def check_history(table, world):
    """Every acknowledged commit has a version of its own."""
    orders = [a.order for a in world.acked if a.order]
    assert len(set(orders)) == len(orders), "two commits were acknowledged as one version"


COMMITS = tables.count(50, 2)
PROCESSES = 16 if tables.SCALE >= 0.5 else 6


@pytest.fixture
def local():
    place = Local()
    yield place
    place.close()


@pytest.fixture
def s3(minio):  # noqa: F811
    place = S3(minio)
    yield place
    place.close()


@pytest.mark.parametrize("partition", [None, "symbol"])
@pytest.mark.parametrize("faces", tables.FACES)
def test_sixteen_processes_on_disk(local, faces, partition):
    table = Table(local, "shared", faces, partition, COLUMNS)
    kinds = ["append", "merge", "merge"] if partition is None else ["append", "merge", "replace"]
    world = compete(table, [(PROCESSES, kinds, COMMITS)], name=f"disk {faces} {partition}")
    check_history(table, world)


def test_with_maintenance_and_delta_rs(local):
    table = Table(local, "shared", "delta", "symbol", COLUMNS)
    world = compete(table, [(PROCESSES // 2, ["append"], COMMITS), (4, ["replace", "merge"], COMMITS)], name="maintenance", delta_rs=(3, COMMITS * 2),
                    maintain=[[("optimize",), ("checkpoint",)], [("vacuum",)]])
    check_history(table, world)


@pytest.mark.parametrize("faces", ["iceberg", "delta,iceberg"])
def test_with_maintenance(local, faces):
    table = Table(local, "shared", faces, "symbol", COLUMNS)
    world = compete(table, [(PROCESSES // 2, ["append"], COMMITS), (3, ["replace", "merge"], COMMITS)], name=f"maintenance {faces}", maintain=[[("optimize",), ("checkpoint",)], [("vacuum",)]])
    check_history(table, world)


@pytest.mark.parametrize("faces", tables.FACES)
def test_processes_on_s3(s3, faces):
    table = Table(s3, "shared", faces, "symbol", COLUMNS)
    world = compete(table, [(PROCESSES if tables.SCALE >= 0.5 else 4, ["append", "merge"], COMMITS)], name=f"s3 {faces}", delta_rs=(2 if faces == "delta" else 0, COMMITS * 2))
    check_history(table, world)


@pytest.mark.parametrize("faces", tables.FACES)
def test_the_answer_of_a_winning_put_is_lost(s3, minio, faces):  # noqa: F811
    """The proxy passes on each second put of a commit point and drops its answer: the writer finds out, by what it wrote itself."""
    table = Table(s3, "shared", faces, None, COLUMNS)
    with proxy.Proxy(minio.port) as between:
        seen = collections.Counter()

        def answer(request):
            commit = request.method == "PUT" and (("/_delta_log/" in request.path and request.path.endswith(".json")) or request.path.endswith(".metadata.json"))
            if commit:
                seen["put"] += 1
                if seen["put"] % 2:
                    seen["dropped"] += 1
                    return proxy.DROP_ANSWER
            return proxy.PASS
        between.rule = answer
        world = compete(table, [(3, ["append", "merge"], tables.count(100, 3))], name=f"ambiguous {faces}", env=minio.environment(between.port))
    assert seen["dropped"] >= 4, seen
    assert not world.refused, f"a commit that may have won was given up: {world.refused}"
    check_history(table, world)
