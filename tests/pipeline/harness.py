"""What the tests of whole runs stand on: the simulator as a process, a user's home with one lake, and the rows of that
lake as DuckDB reads them. Nothing here knows how the engine works; the truth comes from truth.py."""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

import duckdb

BIN = os.environ.get("TICKLAKE_BIN", "/work/main/build-dev/ticklake")
SCALE = float(os.environ.get("TICKLAKE_RELIABILITY_SCALE", "0.05"))  # 1: the counts of RELIABILITY.md
CLEAN = ("TICKLAKE_", "APCA_", "POLYGON_", "MASSIVE_", "AWS_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",
         "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def clean_environment():
    """The environment without anything that could steer the engine; sanitizer options stay."""
    return {k: v for k, v in os.environ.items() if not k.startswith(CLEAN)}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get_json(url, data=None, headers=None):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


class Simulator:
    """A running `ticklake simulate`; also a context manager."""

    def __init__(self, *flags, faults=None):
        words = [BIN, "simulate", "--port", "0", *map(str, flags)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=clean_environment())
        line = self.process.stdout.readline()
        assert line.startswith("listening on "), f"the simulator said {line!r}"
        self.url = line.split()[-1]
        if faults:
            self.faults(faults)

    def stats(self):
        return get_json(self.url + "/_sim/stats")

    def requests(self):
        return self.stats()["requests"]

    def targets(self):
        """Paths and queries of the last requests."""
        return [r["target"] for r in self.stats()["last"]]

    def reset(self):
        get_json(self.url + "/_sim/reset", data=b"")

    def faults(self, script):
        """Replaces the fault script; "" ends all faults."""
        get_json(self.url + "/_sim/faults", data=script.encode())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Outcome:
    """A finished run of the program."""

    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr = code, stdout, stderr

    @property
    def json(self):
        """The JSON document that ends stdout (the only thing on it unless a test says otherwise)."""
        return json.loads(self.stdout)

    def __repr__(self):
        return f"exit {self.code}\n--- stdout\n{self.stdout[-3000:]}\n--- stderr\n{self.stderr[-6000:]}"


class Home:
    """A user's account: home folder, state folder, working directory, one lake, one endpoint."""

    def __init__(self, folder, endpoint=None, lake="lake"):
        self.folder = pathlib.Path(folder)
        self.work = self.folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.lake = self.work / lake
        self.env = clean_environment()
        self.env.update(HOME=str(self.folder / "home"), TICKLAKE_LAKE=str(self.lake), TICKLAKE_STATE=str(self.folder / "state"),
                        XDG_STATE_HOME=str(self.folder / "xdg-state"), XDG_CONFIG_HOME=str(self.folder / "config"), LC_ALL="C.UTF-8")
        if endpoint:
            self.env["TICKLAKE_ALPACA_ENDPOINT"] = endpoint

    def start(self, *words, env=None, cwd=None, **popen):
        return subprocess.Popen([BIN, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**self.env, **(env or {})}, cwd=cwd or self.work, **popen)

    def run(self, *words, env=None, cwd=None, timeout=240):
        process = self.start(*words, env=env, cwd=cwd)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            out, err = process.communicate()
            raise AssertionError(f"{words} did not end in {timeout} s\n{Outcome(None, out.decode(), err.decode())}") from None
        return Outcome(process.returncode, out.decode(), err.decode())

    def ok(self, *words, **options):
        outcome = self.run(*words, **options)
        assert outcome.code == 0, f"{words}: {outcome!r}"
        return outcome

    def import_(self, *words, code=0, **options):
        """An import with --json; gives that document."""
        outcome = self.run("import", *words, "--json", "--log-level", "info", **options)
        assert outcome.code == code, f"{words}: {outcome!r}"
        return json.loads(outcome.stdout) | {"stderr": outcome.stderr}

    def rows(self, kind, layout="hive"):
        return rows_of(self.lake, kind, layout)

    def sound(self, layout="hive"):
        """The lake agrees with its ledger, and no file lies about that nobody knows (a table's log knows its files)."""
        outcome = self.run("audit", "--json")
        assert outcome.code == 0, repr(outcome)
        known = {row["path"] for row in outcome.json}
        if is_table(layout):
            assert known >= {p.relative_to(self.lake).parts[0] for p in data_files(self.lake)}
            return outcome.json
        assert known == {str(p.relative_to(self.lake)) for p in data_files(self.lake)}
        return outcome.json


# ---- lakes ----

HIVE = {"1s": "equities_1sec", "1m": "equities_1min", "5m": "equities_5min", "15m": "equities_15min", "30m": "equities_30min",
        "1h": "equities_1hour", "1d": "equities_1day", "1w": "equities_1week", "1mo": "equities_1month", "quotes": "quotes_1sec",
        "trades": "trades", "raw-quotes": "quotes"}
LAYOUTS = {"hive": ["--layout", "hive"], "flat": ["--layout", "flat"], "delta": ["--layout", "delta"], "iceberg": ["--layout", "iceberg"],
           "delta,iceberg": ["--faces", "delta,iceberg"]}  # what an import is told
FLAT = {"quotes": "quotes", "trades": "trades", "raw-quotes": "raw_quotes"}


def data_files(lake):
    """Files with rows; not the ledger, not rejects, not indices, not what is being written or was set aside (.NAME.tmp, NAME.damaged)."""
    lake = pathlib.Path(lake)
    return sorted(p for p in lake.rglob("*") if p.is_file() and p.suffix == ".parquet" and not p.name.startswith(".") and p.relative_to(lake).parts[0] not in ("_ticklake", "rejects", "metadata"))


def is_table(layout):
    return "delta" in layout or "iceberg" in layout


def files_of_delta(table):
    """Live files as delta-rs reads the log."""
    import deltalake  # only where a table is read: it is a large library
    return {urllib.parse.unquote(u).removeprefix("file://") if u.startswith("file:") else u for u in deltalake.DeltaTable(str(table)).file_uris()}


def files_of_iceberg(table):
    """Live files as PyIceberg reads the newest metadata."""
    from pyiceberg.table import StaticTable
    newest = max(table.glob("metadata/v*.metadata.json"), key=lambda p: int(p.name[1:].split(".")[0]))
    return {t.file.file_path.removeprefix("file://") for t in StaticTable.from_metadata(str(newest)).scan().plan_files()}


def files_of_table(table, layout):
    if not table.exists():
        return []
    faces = [{"delta": files_of_delta, "iceberg": files_of_iceberg}[face](table) for face in layout.split(",")]
    assert all(f == faces[0] for f in faces), f"the faces of {table} hold other files"
    return sorted(map(pathlib.Path, faces[0]))


def files_of(lake, kind, layout="hive"):
    if is_table(layout):
        return files_of_table(pathlib.Path(lake) / HIVE[kind], layout)
    top = HIVE[kind] if layout == "hive" else FLAT.get(kind, f"bars/{kind}")
    return [p for p in data_files(lake) if str(p.relative_to(lake)).startswith(top + "/")]


def unescape(name):
    """Names in paths escape what is not safe in them as %XX."""
    return urllib.parse.unquote(name)


def rows_of(lake, kind, layout="hive", columns=None):
    """All rows of a kind as a list of dicts, in the order files and rows have; timestamps as epoch microseconds."""
    out = []
    with contextlib.closing(duckdb.connect()) as db:
        db.execute("set timezone='UTC'; set threads=1")
        for path in files_of(lake, kind, layout):
            relation = db.execute("select * from read_parquet(?, hive_partitioning=false)", [str(path)])
            names = [d[0] for d in relation.description]
            hive = re.search(r"symbol=([^/]+)/", str(path))
            for values in relation.fetchall():
                row = dict(zip(names, values))
                if hive:
                    assert "symbol" not in row, f"{path} has a symbol column beside its path's"
                    row = {"symbol": unescape(hive.group(1)), **row}
                row["timestamp"] = round(row["timestamp"].timestamp() * 1_000_000)
                out.append({c: row[c] for c in columns} if columns else row)
    if is_table(layout):  # files lie in no order; the rows of each do, and equal instants as they came
        out.sort(key=lambda r: (r["symbol"], r.get("timestamp_ns", r["timestamp"])))
    return out


def fingerprint(folder):
    """Path -> (hash, mtime) of every file below."""
    folder = pathlib.Path(folder)
    return {str(p.relative_to(folder)): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
            for p in sorted(folder.rglob("*")) if p.is_file()}


def differences(got, want, limit=5):
    """A readable account of two lists of dicts that ought to be equal; "" when they are."""
    if got == want:
        return ""
    lines = [f"{len(got)} rows, expected {len(want)}"]
    for i, (a, b) in enumerate(zip(got, want)):
        if a != b:
            fields = {k: (a.get(k), b.get(k)) for k in {**a, **b} if a.get(k, "absent") != b.get(k, "absent")}
            lines.append(f"row {i} {b.get('symbol')} {b.get('timestamp')}: got, expected {fields}")
            if len(lines) > limit:
                break
    return "\n".join(lines)


def assert_rows(got, want):
    why = differences(got, want)
    assert not why, why


def wait_for(condition, seconds=30, pause=0.005):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
