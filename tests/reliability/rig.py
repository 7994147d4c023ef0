"""What the reliability tests share: running ticklake with a fault armed, the simulator, a vendor scripted in Python,
the rows a lake holds by three foreign readers, and the rows it should hold by the vendor's raw pages.

The oracle never uses the engine: rows come from the simulator's JSON, decoded and shaped here in plain Python.
Counts scale with TICKLAKE_RELIABILITY_SCALE (1 is the CI column of the scorecard, 0.05 what `make test` runs);
TICKLAKE_RELIABILITY_SHARD=K/N takes every N-th case. Random choices come from TICKLAKE_SEED, printed by every test.
"""
import collections
import datetime
import decimal
import gzip
import http.server
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request

SOURCE = pathlib.Path(os.environ.get("TICKLAKE_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BIN = os.environ.get("TICKLAKE_BIN", str(SOURCE / "build-dev/ticklake"))
SCALE = float(os.environ.get("TICKLAKE_RELIABILITY_SCALE", "0.05"))
SHARD, SHARDS = (int(part) for part in os.environ.get("TICKLAKE_RELIABILITY_SHARD", "1/1").split("/"))
SEED = int(os.environ.get("TICKLAKE_SEED", "20241103"))
KEY, SECRET = "PKTESTKEY00000000001", "secretsecretsecretsecretsecretsecret0001"
LAYOUTS = ("hive", "flat")


# ---- how much, and which part ----

def count(full, least=1):
    """How many of `full` random trials this run makes, this shard's part of it."""
    return max(least, round(full * SCALE / SHARDS))


def sample(cases, least=1, scale=None):
    """This shard's cases; below scale 1 an even sample that keeps the first and the last."""
    cases = list(cases)[SHARD - 1::SHARDS]
    wanted = min(len(cases), max(least, round(len(cases) * (SCALE if scale is None else scale))))
    if wanted == len(cases) or not cases:
        return cases
    if wanted == 1:
        return [cases[SEED % len(cases)]]
    return [cases[round(i * (len(cases) - 1) / (wanted - 1))] for i in range(wanted)]


def prng(name):
    print(f"seed: TICKLAKE_SEED={SEED} ({name})")
    return random.Random(f"{SEED}/{name}/{SHARD}/{SHARDS}")


# ---- the program ----

Done = collections.namedtuple("Done", "code out err faults")
COUNT_LINE = re.compile(rb"fault seam \w+: (\d+) calls\n")


def environment(home, endpoint=None, fault=None, **more):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TZDIR", "LD_LIBRARY_PATH") or k.endswith("SAN_OPTIONS") or k.startswith("LLVM_")}
    env.update(HOME=str(home), TICKLAKE_STATE=str(pathlib.Path(home) / "state"), APCA_API_KEY_ID=KEY, APCA_API_SECRET_KEY=SECRET)
    if endpoint:
        env["TICKLAKE_ALPACA_ENDPOINT"] = endpoint
    if fault:
        env["TICKLAKE_FAULT"] = fault
    env.update({k: v for k, v in more.items() if v is not None})
    return env


def start(args, home, endpoint=None, fault=None, binary=None, env=None, **popen):
    return subprocess.Popen([binary or BIN, *map(str, args)], env=environment(home, endpoint, fault, **(env or {})), cwd=str(home),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen)


def run(args, home, endpoint=None, fault=None, timeout=60, binary=None, env=None):
    """Runs ticklake to its end; a run that outlives the deadline fails the test. faults: calls counted by seam:0:count."""
    child = start(args, home, endpoint, fault, binary, env)
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise AssertionError(f"no end after {timeout} s: {args} fault={fault}\n{err[-2000:].decode(errors='replace')}")
    counted = COUNT_LINE.search(err)
    return Done(child.returncode, out, err, int(counted.group(1)) if counted else None)


SANITIZER = re.compile(rb"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer|runtime error:|Assertion .* failed)")


def assert_clean(done, what, codes=(0, 1, 2, 3)):
    """Whatever happened, the program said so itself: no signal, no sanitizer's report, an error has words."""
    assert not SANITIZER.search(done.err), f"{what}: {done.err[-3000:].decode(errors='replace')}"
    assert done.code in codes, f"{what}: exit {done.code}\n{done.err[-2000:].decode(errors='replace')}"
    if done.code:
        assert done.err.strip() or done.out.strip(), f"{what}: exit {done.code} without a word"


def summary(done):
    """The one JSON object that --json ends stdout with."""
    return json.loads(done.out.decode())


# ---- the simulator ----

class Simulator:
    def __init__(self, home, faults=None, *options):
        self.home = pathlib.Path(home)
        args = ["simulate", "--port", "0", "--rate", "1000000", *map(str, options)]
        if faults is not None:
            script = self.home / f"faults-{id(self)}.txt"
            script.write_text(faults)
            args += ["--faults", script]
        self.child = subprocess.Popen([BIN, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      stdin=subprocess.DEVNULL, env=environment(home), cwd=str(home))
        line = self.child.stdout.readline().decode()
        assert "listening on" in line, f"the simulator did not start: {line!r}"
        self.url = line.split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.child.kill()
        self.child.wait()
        self.child.stdout.close()

    def pages(self, wire, symbols, start, end, limit=10000, **more):
        """Raw rows of an answer chain: (symbol, row) with numbers as Decimal or int."""
        query = dict(symbols=",".join(symbols), start=start, end=end, limit=limit, feed="sip", sort="asc", **more)
        while True:
            url = f"{self.url}/v2/stocks/{wire}?{urllib.parse.urlencode(query)}"
            asked = urllib.request.Request(url, headers={"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET})
            with urllib.request.urlopen(asked, timeout=60) as answer:
                page = json.loads(answer.read(), parse_float=decimal.Decimal)
            for symbol, rows in (page[wire] or {}).items():
                for row in rows:
                    yield symbol, row
            if not page["next_page_token"]:
                return
            query["page_token"] = page["next_page_token"]


def nanoseconds(text):
    """RFC 3339 in UTC to ns since 1970, in whole numbers."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    then = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(then.timestamp()) * 10**9 + int((fraction or "0").ljust(9, "0"))


def bars_truth(simulator, symbols, start, end, timeframe):
    """{(symbol, us): (open, high, low, close, volume, trade_count, vwap)} of [start, end], as the vendor serves them."""
    truth = {}
    for symbol, b in simulator.pages("bars", symbols, start, end, timeframe=timeframe, adjustment="raw"):
        truth[symbol, nanoseconds(b["t"]) // 1000] = (float(b["o"]), float(b["h"]), float(b["l"]), float(b["c"]), int(b["v"]),
                                                      int(b["n"]), float(b["vw"]))
    return truth


def quotes_truth(simulator, symbols, start, end):
    """{(symbol, us): (bid, bid size, ask, ask size, quotes in the second)}: the tightest two-sided uncrossed quote of each
    second by the exact difference, the latest of equals."""
    truth, counts = {}, collections.Counter()
    for symbol, q in simulator.pages("quotes", symbols, start, end):
        at = symbol, nanoseconds(q["t"]) // 10**9 * 10**6
        counts[at] += 1
        bid, ask = decimal.Decimal(q["bp"]), decimal.Decimal(q["ap"])
        if bid > 0 and ask >= bid:
            if at not in truth or ask - bid <= truth[at][0]:
                truth[at] = (ask - bid, float(bid), int(q["bs"]), float(ask), int(q["as"]))
    return {at: (truth[at][1:] if at in truth else (None,) * 4) + (counts[at],) for at in counts}


# ---- the lake, by foreign readers ----

BAR_COLUMNS = ("open", "high", "low", "close", "volume", "trade_count", "vwap")
QUOTE_COLUMNS = ("bid_price", "bid_size", "ask_price", "ask_size", "quote_count")
TABLES = {("1m", "hive"): "equities_1min", ("1m", "flat"): "bars/1m", ("1d", "hive"): "equities_1day", ("1d", "flat"): "bars/1d",
          ("1s", "hive"): "equities_1sec", ("1s", "flat"): "bars/1s", ("ticks", "hive"): "equities_1sec", ("ticks", "flat"): "bars/1s",
          ("quotes", "hive"): "quotes_1sec", ("quotes", "flat"): "quotes", ("trades", "hive"): "trades", ("trades", "flat"): "trades"}


def data_files(lake, kind, layout):
    return sorted(p for p in (pathlib.Path(lake) / TABLES[kind, layout]).rglob("*.parquet") if p.is_file())  # a symbol may end so


def file_symbol(path, layout):
    """The symbol a file's path names, unescaped by the rule of the format's document."""
    if layout == "hive":
        name = next(part for part in pathlib.Path(path).parts if part.startswith("symbol="))[len("symbol="):]
    else:
        name = re.fullmatch(r"(.*)\.\d{4}(-\d{2})?\.parquet", pathlib.Path(path).name).group(1)
    return urllib.parse.unquote(name)


def read_duckdb(path, columns):
    import duckdb
    name = str(path).replace("'", "''")
    with duckdb.connect() as db:
        names = ", ".join(f'"{c}"' for c in columns)
        return db.execute(f"select epoch_us(timestamp), {names} from read_parquet('{name}', hive_partitioning=false)").fetchall()


def read_pyarrow(path, columns):
    import pyarrow
    import pyarrow.parquet
    table = pyarrow.parquet.ParquetFile(str(path)).read(columns=["timestamp", *columns])
    lists = [table.column("timestamp").cast(pyarrow.timestamp("us", "UTC")).cast(pyarrow.int64()).to_pylist()]
    return list(zip(*lists, *(table.column(c).to_pylist() for c in columns)))


def read_polars(path, columns):
    import polars
    frame = polars.read_parquet(path, columns=["timestamp", *columns], hive_partitioning=False, glob=False)
    return frame.with_columns(polars.col("timestamp").dt.epoch("us")).select(["timestamp", *columns]).rows()


READERS = {"duckdb": read_duckdb, "pyarrow": read_pyarrow, "polars": read_polars}


def lake_rows(lake, kind, layout, columns=None, reader="pyarrow"):
    """{(symbol, us): columns} over all files; a duplicate key or rows out of order fail."""
    columns = columns or (QUOTE_COLUMNS if kind == "quotes" else BAR_COLUMNS)
    rows = {}
    for path in data_files(lake, kind, layout):
        symbol, last = file_symbol(path, layout), None
        for us, *values in READERS[reader](path, columns):
            assert (symbol, us) not in rows, f"duplicate row {symbol} {us} in {path}"
            assert last is None or us > last, f"rows out of order in {path}"
            rows[symbol, us], last = tuple(values), us
    return rows


def same_rows(expected, found, what):
    missing = expected.keys() - found.keys()
    added = found.keys() - expected.keys()
    changed = [at for at in expected.keys() & found.keys() if expected[at] != found[at]]
    assert not missing and not added and not changed, (
        f"{what}: {len(missing)} rows missing {sorted(missing)[:3]}, {len(added)} too many {sorted(added)[:3]}, {len(changed)} changed "
        f"{[(at, expected[at], found[at]) for at in changed[:2]]}")


def check_lake(home, lake, kind, layout, truth, what, readers=READERS):
    """The scorecard's zero: the rows are the oracle's for every reader, `audit` is sound, no file is unreferenced."""
    for reader in readers:
        same_rows(truth, lake_rows(lake, kind, layout, reader=reader), f"{what}, by {reader}")
    done = run(["audit", "--repair", "--lake", lake, "--quiet"], home)
    assert done.code == 0, f"{what}: audit --repair: {done.out.decode()}{done.err.decode()}"
    done = run(["audit", "--lake", lake, "--json"], home)
    assert done.code == 0, f"{what}: audit after repair: {done.out.decode()}{done.err.decode()}"
    audited = {row["path"] for row in json.loads(done.out)}
    on_disk = {str(path.relative_to(lake)) for path in data_files(lake, kind, layout)}
    assert on_disk <= audited, f"{what}: audit does not know {sorted(on_disk - audited)}"
    strays = stray_files(lake)
    assert not strays, f"{what}: unreferenced files {strays}"


def stray_files(lake):
    """Files that are neither data, ledger, rejects nor metadata: leftovers of a commit that did not end."""
    strays = []
    for path in pathlib.Path(lake).rglob("*"):
        rest = path.relative_to(lake)
        if path.is_file() and rest.parts[0] not in ("_ticklake", "rejects", "metadata") and path.suffix != ".parquet":
            strays.append(str(rest))
    temporary = [str(p.relative_to(lake)) for p in pathlib.Path(lake).rglob("*") if p.is_file() and (".tmp" in p.name or p.name.startswith("."))]
    return sorted(set(strays + temporary))


def fresh(home, name):
    path = pathlib.Path(home) / name
    shutil.rmtree(path, ignore_errors=True)
    return path


# ---- a vendor scripted in Python ----

class Vendor(http.server.ThreadingHTTPServer):
    """A loopback server whose answers are made by `answer(request) -> (status, headers, body) | bytes`. Bytes go on the
    wire as they are and the connection is closed; a function is called with the request and writes by itself."""
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer, tls=None):
        self.seen, self.answer = [], answer
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, client_address):
        pass  # a client that hung up or refused our certificate is what tests are about

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.symbols = self.query.get("symbols", "").split(",")
        self.route = parts.path
        self.wire = parts.path.rsplit("/", 1)[-1]
        self.server.seen.append(self)
        self.number = len(self.server.seen)
        answer = self.server.answer(self)
        try:
            if answer is None:
                self.close_connection = True
            elif callable(answer):
                self.close_connection = True
                answer(self)
            elif isinstance(answer, bytes):
                self.wfile.write(answer)
                self.close_connection = True
            else:
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


def page(wire, rows, token=None):
    """A page of {symbol: [row text or dict]}; text goes in as it is, so any number or string can be served."""
    parts = []
    for symbol, items in rows.items():
        texts = [item if isinstance(item, str) else json.dumps(item) for item in items]
        parts.append(json.dumps(symbol) + ":[" + ",".join(texts) + "]")
    return ('{"' + wire + '":{' + ",".join(parts) + '},"next_page_token":' + json.dumps(token) + "}").encode()


def ok(body, compress=False, **headers):
    headers.setdefault("Content-Type", "application/json; charset=UTF-8")
    if compress:
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body)
    return 200, headers, body


def bar(minute, day="2024-03-05", price="100.5", volume="100", **members):
    """A minute bar as the vendor writes it, `minute` after 14:30Z."""
    hour, rest = divmod(14 * 60 + 30 + minute, 60)
    text = {"t": json.dumps(f"{day}T{hour:02}:{rest:02}:00Z"), "o": price, "h": price, "l": price, "c": price, "v": volume, "n": "7", "vw": price}
    text.update({name: str(value) for name, value in members.items()})
    return "{" + ",".join(f'"{name}":{value}' for name, value in text.items()) + "}"


def bar_truth(symbol, minute, day="2024-03-05", price=100.5, volume=100):
    at = nanoseconds(f"{day}T14:30:00Z") // 1000 + minute * 60_000_000
    return (symbol, at), (price, price, price, price, volume, 7, price)
