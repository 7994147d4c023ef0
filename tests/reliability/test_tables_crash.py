"""Scorecard lines 1, 2 and 5 on open tables: a commit or a maintenance verb ends (exit-before, exit-after), or fails, at each labelled step, each disk call and,
on S3, each transfer. Whatever happened, every reader of every face sees a whole version, the old or the new; the same command again does
its work once; old versions can still be read; vacuum leaves no file that nobody names.

Most faults leave the table as some other fault left it (a call that reads changes nothing): what readers and the next command make of a
state is asked once for each state."""
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import tables  # noqa: E402
from tables import FACES, Local, S3, Table, calm  # noqa: E402
from minio import minio  # noqa: E402, F401 (a fixture)

KEYS = ("--keys", "symbol,timestamp")
VERBS = ("append", "merge", "replace", "delete", "add-columns", "optimize", "zorder", "restore", "checkpoint", "vacuum", "expire")
QUICK = ("delta-rs", "delta_log", "pyiceberg", "iceberg_log")
RANDOM = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9]{10,}|(?<=[.])[0-9]+-[0-9]+(?=[.]tmp)|\d{4}-\d\d-\d\dT[0-9:.]+")


class Crash:
    """A table of some commits, kept as it was; `strike` runs a verb on a fresh copy of it with a fault armed."""

    def __init__(self, place, faces, verb):
        self.place, self.faces, self.verb = place, faces, verb
        random_ = tables.prng(f"crash {faces} {verb}")
        self.table = Table(place, "crashed", faces, "symbol" if verb != "zorder" else None)
        for i in range(4):
            rows = calm(random_, 12, first=100 * i)
            self.table.run("append", "--from", self.table.file(rows))
            self.table.model.append(rows)
            self.table.note(f"append {i}")
        self.more = calm(random_, 10, first=1000) if verb == "append" else calm(random_, 6, first=1000) + [(*r[:2], -1.0, *r[3:]) for r in self.table.model.rows[::7]]
        self.old = list(self.table.model.rows)
        self.words = self.command()
        self.new = list(self.table.model.rows)
        self.asked = set()
        place.copy("crashed", "kept")

    def command(self):
        """The words of the verb; the model is changed as it should change the table."""
        table, model, columns = self.table, self.table.model, self.table.model.columns
        if self.verb == "append":
            model.append(self.more)
            return ["append", "--from", table.file(self.more, columns), "--txn", "crash:1"]
        if self.verb == "merge":
            model.merge(self.more)
            return ["merge", "--from", table.file(self.more, columns), *KEYS]
        if self.verb == "replace":
            model.delete(lambda r: r["symbol"] == "AAPL")
            rows = [r for r in self.more if r[0] == "AAPL"]
            model.append(rows)
            return ["replace", "--from", table.file(rows, columns), "--where", "symbol = 'AAPL'"]
        if self.verb == "delete":
            assert model.delete(lambda r: r["volume"] < 500000)
            return ["delete", "--where", "volume < 500000"]
        if self.verb == "add-columns":
            return ["add-columns", "--columns", "extra BIGINT"]
        if self.verb == "restore":
            _, want, rows, _ = table.versions[2]
            model.rows = list(rows)
            return ["restore", "--version", want.get("delta", want.get("iceberg"))]
        return {"optimize": ["optimize"], "zorder": ["zorder", "--by", "timestamp,close"], "checkpoint": ["checkpoint"], "vacuum": ["vacuum", "--retain", "0h", "--force"],
                "expire": ["expire", "--older-than", "0d"]}[self.verb]

    def run(self, fault=None):
        return tables.run(self.place, ["table", self.words[0], self.table.uri, *self.words[1:], "--json"], fault=fault)

    def fresh(self):
        self.place.remove("crashed")
        self.place.copy("kept", "crashed")

    def calls(self, seam):
        self.fresh()
        done = self.run(f"{seam}:0:count")
        assert done.code == 0, done
        counted = [line for line in done.err.decode().splitlines() if line.startswith(f"fault seam {seam}: ")]
        assert counted, f"no count of the seam {seam}: {done.err.decode()}"
        return int(counted[0].split(": ")[1].split()[0])

    def state(self):
        """What lies below the table, but for what differs from run to run: random names, times, identifiers. Of unplaced files it only tells
        that there are some, of those still without a name which."""
        found = set()
        for name in self.place.files("crashed"):
            if name.startswith("_ticklake_tmp/"):
                found.add(b"_ticklake_tmp")
                continue
            if name.endswith(".tmp"):
                found.add(RANDOM.sub(b"#", name.encode()))
                continue
            with self.place.fs.open_input_file(f"{self.place.base('crashed')}/{name}") as file:
                data = file.read()
            if name.endswith(".avro"):  # whole when its last 16 bytes, the marker between blocks, are its header's, too
                data = data.count(data[-16:]), data[-1:] != b""
            elif ".parquet" in name:
                data = len(data), data[-4:]
            else:
                data = RANDOM.sub(b"#", data)
            found.add((RANDOM.sub(b"#", name.encode()), data))
        return frozenset(found)

    def reads(self, readers, fault, done=()):
        """Each reader, each face: a whole version, of the faces `done` the new one."""
        model = tables.Model(self.table.model.columns)
        old, new = ({extra: self.read_of(model, rows, extra) for extra in (False, True)} for rows in (self.old, self.new))
        for face, name, reader in [(face, *item) for face, all_ in (("delta", tables.DELTA_READERS), ("iceberg", tables.ICEBERG_READERS)) for item in all_.items()]:
            if name in readers and face in self.faces:
                got = tables.to_read(reader(self.place, "crashed"))
                extra = any(n == "extra" for n, _ in got.schema)
                assert extra == (self.verb == "add-columns") if face in done else not extra or self.verb == "add-columns"
                whole = [w[extra] for w in (new, old)]
                got = tables.order_columns(got, whole[0])
                assert got in whole[:1 if face in done else 2], f"{fault}: {name} ({face}) sees {len(got.rows)} rows, of {len(self.old)} before and {len(self.new)} after; done: {done}"

    @staticmethod
    def read_of(model, rows, extra):
        read = tables.to_read(tables.arrow(rows, model.columns))
        return tables.Read(read.schema + [("extra", "int64")], [(*r, None) for r in read.rows]) if extra else read

    def strike(self, fault, codes):
        self.fresh()
        done = self.run(fault)
        assert done.code in codes, f"{fault}: exit {done.code}: {done.err.decode()[-2000:]}"
        assert b"Sanitizer" not in done.err and b"Assertion" not in done.err, done.err.decode()[-3000:]
        level = b"is committed to Delta, and not yet to Iceberg" not in done.err
        self.ask(() if done.code else ("delta", "iceberg") if level else ("delta",), QUICK if tables.SCALE < 1 else [*tables.DELTA_READERS, *tables.ICEBERG_READERS], fault)
        return done

    def ask(self, done, readers, fault):
        """What readers and the same command once more make of the table as it lies there, unless they were asked that before."""
        state = done, self.state()
        if state in self.asked:
            return
        self.asked.add(state)
        self.reads(readers, fault, done)
        again = self.run()
        # add-columns says that the column is there; a version expired or vacuumed away cannot be restored twice, which is not asked here
        assert again.code == 0 or (self.verb == "add-columns" and again.code == 2 and b"extra" in again.err), f"{fault}: the same again: exit {again.code}: {again.err.decode()[-2000:]}"
        self.settled(fault)

    def settled(self, fault):
        table = self.table
        table.model.rows = [(*r, None) for r in self.new] if self.verb == "add-columns" else list(self.new)
        columns, table.model.columns = table.model.columns, table.model.columns + ([("extra", tables.pa.int64())] if self.verb == "add-columns" else [])
        noted = list(table.versions)
        try:
            table.note(fault)
            table.check(readers=QUICK)
            if self.verb not in ("vacuum", "expire"):
                table.check(2, readers=("delta-rs", "pyiceberg"), lint=False)  # time travel
            assert table.run("verify")["wrong"] == 0, fault
            table.run("vacuum", "--retain", "0h", "--force")
            table.check(readers=("delta_log", "iceberg_log"))
            assert not strays(table), f"{fault}: nobody names {strays(table)}"
        finally:
            table.model.columns, table.versions = columns, noted


def strays(table):
    """Files below the table that no version which can still be read names."""
    known = set()
    if "delta" in table.faces:
        log = table.delta()
        known |= {log.disk_path(add)[len(log.base) + 1:] for add in log.snapshot().adds.values()}
        known |= {f"_delta_log/{name}" for name in log.log_names() if not name.startswith(".")}
    if "iceberg" in table.faces:
        log = table.iceberg()
        metadata = log.metadata()
        known |= {"metadata/version-hint.text"} | {f"metadata/v{n}.metadata.json" for n in log.numbers()}
        for snapshot in metadata.get("snapshots", []):
            manifests = log.manifests(snapshot)
            uris = [snapshot["manifest-list"], *(m["manifest_path"] for m in manifests), *(e["data_file"]["file_path"] for _, e in log.files(snapshot))]
            known |= {log.path(uri)[len(log.base) + 1:] for uri in uris}
    return sorted(table.place.files(table.name).keys() - known)


@pytest.fixture(scope="module")
def local():
    place = Local()
    yield place
    place.close()


def make(place, faces, verb):
    place.remove("crashed")
    place.remove("kept")
    return Crash(place, faces, verb)


# Two faces do everything that each alone does, and what lies between: at small scale they stand for both, but for one of each.
CASES = [(faces, verb) for verb in VERBS for faces in FACES if tables.SCALE >= 0.5 or faces == "delta,iceberg" or verb == "append"]


@pytest.mark.parametrize("faces,verb", CASES)
def test_the_process_ends_at_each_step_and_disk_call(local, faces, verb):
    crash = make(local, faces, verb)
    steps, disk = crash.calls("step"), crash.calls("disk")
    points = [f"step:{k}:exit-before" for k in tables.some(range(1, steps + 1), 2)]
    points += tables.some([f"disk:{k}:{when}" for k in range(1, disk + 1) for when in ("exit-before", "exit-after")], 1)
    met = sum(crash.strike(fault, (0, 99)).code == 99 for fault in points)
    print(f"{faces} {verb}: {steps} steps, {disk} disk calls, {len(points)} tried, {met} met, {len(crash.asked)} states")
    assert met, "no end was met: the seam is not in the program"


ERRORS = ("ENOSPC", "EIO", "EINTR", "short")


# At small scale each verb meets one of the errors.
@pytest.mark.parametrize("faces,verb,error", [(faces, verb, error) for faces, verb in CASES for i, error in enumerate(ERRORS)
                                              if tables.SCALE >= 0.5 or (VERBS.index(verb) + FACES.index(faces)) % 4 == i])
def test_each_disk_call_fails(local, faces, verb, error):
    crash = make(local, faces, verb)
    disk = crash.calls("disk")
    for k in tables.some(range(1, disk + 1), 1):
        fault = f"disk:{k}:{error}"
        done = crash.strike(fault, (0, 1, 2))
        assert done.code == 0 or done.err.strip(), f"{fault}: an error without words"
        if error == "short":
            assert done.code == 0, f"{fault}: a short read or write is no error: {done.err.decode()}"


# At small scale: append on each face, the others on both.
@pytest.mark.parametrize("faces,verb", [(faces, verb) for faces in FACES for verb in ("append", "merge", "optimize", "vacuum")
                                        if tables.SCALE >= 0.5 or (faces == "delta,iceberg") == (verb != "append")])
def test_each_transfer_of_s3(minio, faces, verb):  # noqa: F811
    place = S3(minio)
    try:
        crash = make(place, faces, verb)
        transfers = crash.calls("net")
        for k in tables.some(range(1, transfers + 1), 1):
            crash.strike(f"net:{k}:exit-before", (0, 99))
            done = crash.strike(f"net:{k}", (0, 1))
            assert done.code == 0, f"net:{k}: one failed transfer is retried, not the end: {done.err.decode()}"
    finally:
        place.close()
