"""What the tests of open tables share: a place (a folder, or a bucket of a MinIO server), the real program run on a table there, a
model of what the table must hold at every version, and the peers that read it:

    Delta     delta-rs (by Arrow, and by its DataFusion), DuckDB's delta extension, delta_log.py, and ticklake itself
    Iceberg   PyIceberg, DuckDB's iceberg extension, iceberg_log.py, and ticklake itself        (Spark for both: spark_tables.py)

Values are compared exactly: NaN, infinities, NULL, microseconds. DuckDB's extensions can end the process that loads them, so they
run in a child. Counts scale with TICKLAKE_RELIABILITY_SCALE (1: the scorecard; 0.05: `make test`) and shards as in
tests/reliability/rig.py; random choices come from TICKLAKE_SEED."""
import collections
import copy
import datetime
import decimal
import glob
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq

import delta_log
import iceberg_log

SOURCE = pathlib.Path(os.environ.get("TICKLAKE_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BIN = os.environ.get("TICKLAKE_BIN", str(SOURCE / "build-dev/ticklake"))
SCALE = float(os.environ.get("TICKLAKE_RELIABILITY_SCALE", "0.05"))
SHARD, SHARDS = (int(part) for part in os.environ.get("TICKLAKE_RELIABILITY_SHARD", "1/1").split("/"))
SEED = int(os.environ.get("TICKLAKE_SEED", "20241103"))
EXTENSIONS = {pathlib.Path(p).stem: p for p in glob.glob(str(SOURCE / ".deps/venv/lib/python3*/site-packages/duckdb_extension_*/extensions/*/*.duckdb_extension"))}
FACES = ("delta", "iceberg", "delta,iceberg")
US = pa.timestamp("us", "UTC")
SERIAL = itertools.count()


def count(full, least=1):
    """How many of `full` random trials this run makes."""
    return max(least, round(full * SCALE / SHARDS))


def sample(cases, least=1):
    """This shard's cases; below scale 1 an even sample that keeps the first and the last."""
    cases = list(cases)[SHARD - 1::SHARDS]
    wanted = min(len(cases), max(least, round(len(cases) * SCALE)))
    if wanted >= len(cases) or not cases:
        return cases
    if wanted == 1:
        return [cases[SEED % len(cases)]]
    return [cases[round(i * (len(cases) - 1) / (wanted - 1))] for i in range(wanted)]


def some(cases, few):
    """This shard's cases at full scale; below it `few` of all, from the middle to the last."""
    cases = list(cases)
    if SCALE >= 0.5 or len(cases) <= few:
        return cases[SHARD - 1::SHARDS]
    return [cases[len(cases) // 2 + i * ((len(cases) - 1) // 2) // max(1, few - 1)] for i in range(few)]


def prng(name):
    print(f"seed: TICKLAKE_SEED={SEED} ({name})")
    return random.Random(f"{SEED}/{name}/{SHARD}/{SHARDS}")


# ---- places ----

class Local:
    """Tables in a folder; in memory where the machine has /dev/shm, as in tests/reliability/conftest.py."""
    name, minio = "local", None

    def __init__(self, durable=False):
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) and not durable else None
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ticklake-tables-", dir=shm))
        self.root = str(self.home / "tables")
        os.mkdir(self.root)
        self.fs, self.env, self.storage_options, self.secret, self.pyiceberg = pyarrow.fs.LocalFileSystem(), {}, {}, None, {}

    def base(self, name):
        return f"{self.root}/{name}"

    uri = base

    def copy(self, name, to):
        shutil.copytree(self.base(name), self.base(to))

    def remove(self, name):
        shutil.rmtree(self.base(name), ignore_errors=True)

    def files(self, name):
        """{key: size} of everything below the table."""
        base = pathlib.Path(self.base(name))
        return {str(p.relative_to(base)): p.stat().st_size for p in base.rglob("*") if p.is_file()}

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)


class S3:
    """Tables under s3://BUCKET/tables of a MinIO server."""
    name = "minio"

    def __init__(self, minio):
        self.minio, self.bucket = minio, minio.bucket()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ticklake-tables-"))
        self.env, self.storage_options = minio.environment(), minio.storage_options()
        self.fs = pyarrow.fs.S3FileSystem(access_key=minio.access_key, secret_key=minio.secret_key, endpoint_override=f"127.0.0.1:{minio.port}", scheme="http",
                                          region=minio.region, allow_bucket_creation=False)
        self.secret = (f"create or replace secret (type s3, key_id '{minio.access_key}', secret '{minio.secret_key}', endpoint '127.0.0.1:{minio.port}', "
                       f"region '{minio.region}', url_style 'path', use_ssl false)")
        self.pyiceberg = {"s3.endpoint": minio.url, "s3.access-key-id": minio.access_key, "s3.secret-access-key": minio.secret_key, "s3.region": minio.region,
                          "s3.path-style-access": "true", "py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"}

    def base(self, name):
        return f"{self.bucket}/tables/{name}"

    def uri(self, name):
        return f"s3://{self.base(name)}"

    def copy(self, name, to):
        for key in self.minio.list(self.bucket, f"tables/{name}/"):
            self.minio.put(self.bucket, f"tables/{to}/" + key[len(f"tables/{name}/"):], self.minio.get(self.bucket, key))

    def remove(self, name):
        for key in self.minio.list(self.bucket, f"tables/{name}/"):
            self.minio.delete(self.bucket, key)

    def files(self, name):
        prefix = f"tables/{name}/"
        return {key[len(prefix):]: size for key, size in self.minio.list(self.bucket, prefix).items()}

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)


# ---- exact values ----

def exact(value):
    """A value that is equal only to the very same one: NaN equals NaN, no two types meet. The sign of a zero is let go: to SQL -0.0
    is 0.0, and DuckDB's Parquet writer keeps one of the two in a dictionary. Bounds must hold for both all the same."""
    if isinstance(value, float):
        return "nan" if value != value else (value + 0.0).hex()
    if isinstance(value, datetime.datetime):
        zone = value.tzinfo is not None
        delta = (value if zone else value.replace(tzinfo=datetime.timezone.utc)) - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return ("us", zone, (delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds)
    if isinstance(value, (list, tuple)):
        return tuple(exact(v) for v in value)
    if isinstance(value, decimal.Decimal):
        return str(value)
    return value


def in_order(rows):
    """A table has no order; rows are sorted by their exact values, NULLs first."""
    return sorted((tuple(exact(v) for v in row) for row in rows), key=repr)


def words(schema):
    """[(column, type)] of an Arrow schema, spellings of one type made one."""
    out = []
    for field in schema:
        type_ = field.type
        if pa.types.is_list(type_) or pa.types.is_large_list(type_) or type(type_).__name__ == "ListViewType":
            type_ = pa.list_(plain_type(type_.value_type))
            out.append((field.name, f"list<{type_.value_type}>"))
        else:
            out.append((field.name, str(plain_type(type_))))
    return out


def plain_type(type_):
    if pa.types.is_large_string(type_) or type_ == pa.string_view():
        return pa.string()
    if pa.types.is_large_binary(type_) or type_ == pa.binary_view():
        return pa.binary()
    if pa.types.is_timestamp(type_):
        return US if type_.tz else pa.timestamp(type_.unit)
    return type_


Read = collections.namedtuple("Read", "schema rows")


def to_read(table):
    """An Arrow table of any library as Read; pyarrow's to_pylist would lose microseconds to no one, so it may be used."""
    if isinstance(table, Read):
        return table
    table = table if isinstance(table, pa.Table) else pa.table(table)
    columns = [column.to_pylist() for column in table.columns]
    return Read(words(table.schema), in_order(zip(*columns)) if columns else [])


def same(got, want, what):
    """`want` is a Read; tells the difference of the first rows."""
    assert got.schema == want.schema, f"{what}: columns {got.schema}, expected {want.schema}"
    if got.rows != want.rows:
        mine, theirs = collections.Counter(got.rows), collections.Counter(want.rows)
        missing, more = list((theirs - mine).elements()), list((mine - theirs).elements())
        raise AssertionError(f"{what}: {len(got.rows)} rows, expected {len(want.rows)}; {len(missing)} missing {missing[:2]}, {len(more)} too many {more[:2]}")


# ---- DuckDB, in a child ----

def duckdb_child(pipe):
    import duckdb
    db = duckdb.connect(config={"allow_unsigned_extensions": "true", "threads": "1"})
    for name in ("httpfs", "avro", "delta", "iceberg"):
        db.execute(f"load '{EXTENSIONS[name]}'")
    db.execute("set timezone='UTC'")
    while True:
        request = pipe.recv()
        try:
            if request[0] == "sql":
                answer = db.execute(request[1])
                pipe.send(("table", answer.to_arrow_table() if answer.description else None))
            else:
                source = request[1]  # noqa: F841 (DuckDB finds it by name)
                # a table of its own: over Arrow, filters are pyarrow's, which has another order of NaN
                db.execute("create or replace table given as select * from source")
                pipe.send(("table", None))
        except Exception as error:  # what went wrong is the test's business
            pipe.send(("error", str(error)))


class Duck:
    """DuckDB with the extensions for open tables, in a process of its own that is begun again when it dies."""

    def __init__(self):
        self.child, self.secret = None, None

    def begin(self):
        context = multiprocessing.get_context("forkserver")
        self.pipe, theirs = context.Pipe()
        self.child = context.Process(target=duckdb_child, args=(theirs,), daemon=True)
        self.child.start()
        theirs.close()
        self.secret = None

    def ask(self, *request):
        if self.child is None or not self.child.is_alive():
            self.begin()
        self.pipe.send(request)
        try:
            kind, answer = self.pipe.recv()
        except EOFError:
            self.child.join()
            code, self.child = self.child.exitcode, None
            raise AssertionError(f"DuckDB ended itself (exit {code}) at {request[1]}") from None
        if kind == "error":
            raise PeerError(answer)
        return answer

    def sql(self, text, place=None):
        if place is not None and place.secret is not None and self.secret != place.secret:
            self.ask("sql", place.secret)
            self.secret = place.secret
        return self.ask("sql", text)


class PeerError(Exception):
    pass


DUCK = Duck()


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


# ---- the peers ----

def delta_rs(place, name, version=None):
    import deltalake
    return deltalake.DeltaTable(place.uri(name), version=version, storage_options=place.storage_options)


def read_delta_rs(place, name, version=None):
    return delta_rs(place, name, version).to_pyarrow_table()


def read_datafusion(place, name, version=None, where="true"):
    import deltalake
    answer = deltalake.QueryBuilder().register("t", delta_rs(place, name, version)).execute(f"select * from t where {where}")
    return pa.table(answer.read_all())


def read_duckdb_delta(place, name, version=None, where="true"):
    at = "" if version is None else f", version={version}"
    return DUCK.sql(f"select * from delta_scan({quoted(place.uri(name))}{at}) where {where}", place)


def read_delta_log(place, name, version=None):
    return delta_log.DeltaLog(place.fs, place.base(name)).rows(version)


def static_table(place, name, metadata=None):
    from pyiceberg.table import StaticTable
    path = metadata or iceberg_log.IcebergLog(place.fs, place.base(name)).metadata_path()
    if place.minio and not path.startswith("s3://"):
        path = "s3://" + path
    return StaticTable.from_metadata(path, place.pyiceberg)


def read_pyiceberg(place, name, snapshot=None):
    return static_table(place, name).scan(snapshot_id=snapshot).to_arrow()


def read_duckdb_iceberg(place, name, snapshot=None, where="true", metadata=None):
    at = "" if snapshot is None else f", snapshot_from_id={snapshot}"
    return DUCK.sql(f"select * from iceberg_scan({quoted(metadata or place.uri(name))}{at}) where {where}", place)


def read_iceberg_log(place, name, snapshot=None):
    return iceberg_log.IcebergLog(place.fs, place.base(name)).rows(snapshot)


def read_ticklake(function, place, name, at=None, where="true"):
    """Our own reading, by `ticklake sql`."""
    path = place.home / f"read-{os.getpid()}-{next(SERIAL)}.arrow"
    word = {"delta": "version", "iceberg": "snapshot"}[function]
    query = f"select * from {function}({quoted(place.uri(name))}{'' if at is None else f', {word} => {at}'}) where {where}"
    done = run(place, ["sql", query, "--format", "arrow", "-o", path, "--quiet"])
    assert done.code == 0, f"{query}: {done.err.decode()}"
    try:
        with pa.memory_map(str(path)) as source:
            return to_read(pa.ipc.open_file(source).read_all())
    finally:
        path.unlink()


def read_ticklake_delta(place, name, version=None):
    return read_ticklake("delta", place, name, version)


def read_ticklake_iceberg(place, name, snapshot=None):
    return read_ticklake("iceberg", place, name, snapshot)


DELTA_READERS = {"ticklake": read_ticklake_delta, "delta-rs": read_delta_rs, "datafusion": read_datafusion, "duckdb delta": read_duckdb_delta, "delta_log": read_delta_log}
ICEBERG_READERS = {"ticklake": read_ticklake_iceberg, "pyiceberg": read_pyiceberg, "duckdb iceberg": read_duckdb_iceberg, "iceberg_log": read_iceberg_log}


# ---- the program ----

Done = collections.namedtuple("Done", "code out err")


def environment(place, fault=None, **more):
    env = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TZDIR", "LD_LIBRARY_PATH") or k.endswith("SAN_OPTIONS") or k.startswith("LLVM_")}
    env |= {"HOME": str(place.home), "TICKLAKE_STATE": str(place.home / "state"), "TMPDIR": str(place.home)} | place.env
    if fault:
        env["TICKLAKE_FAULT"] = fault
    return env | {k: v for k, v in more.items() if v is not None}


def start(place, args, fault=None, prefix=(), **env):
    return subprocess.Popen([*prefix, BIN, *map(str, args)], env=environment(place, fault, **env), cwd=str(place.home), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(place, args, fault=None, timeout=120, prefix=(), **env):
    child = start(place, args, fault, prefix, **env)
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        raise AssertionError(f"no end after {timeout} s: {args} fault={fault}\n{err[-2000:].decode(errors='replace')}") from None
    return Done(child.returncode, out, err)


def ok(place, args, **options):
    """Runs it with --json; gives the object it ends with."""
    done = run(place, [*args, "--json"], **options)
    assert done.code == 0, f"{args}: exit {done.code}\n{done.out[-2000:].decode()}{done.err[-3000:].decode()}"
    return json.loads(done.out)


# ---- rows that are hard to keep ----

COLUMNS = [("symbol", pa.string()), ("timestamp", US), ("close", pa.float64()), ("volume", pa.int64()), ("note", pa.string()), ("day", pa.date32()), ("odd", pa.bool_()),
           ("ratio", pa.float32()), ("lots", pa.int32()), ("amount", pa.decimal128(18, 4)), ("ladder", pa.list_(pa.float64()))]
SQL_TYPES = {"string": "VARCHAR", "timestamp[us, tz=UTC]": "TIMESTAMPTZ", "double": "DOUBLE", "int64": "BIGINT", "date32[day]": "DATE", "bool": "BOOLEAN", "float": "FLOAT",
             "int32": "INTEGER", "decimal128(18, 4)": "DECIMAL(18,4)", "list<item: double>": "DOUBLE[]", "list<element: double>": "DOUBLE[]"}
SYMBOLS = ["AAPL", "BRK.B", "BTC/USD", "é ✓ 漢"]
NAN, INF = float("nan"), float("inf")
DOUBLES = [0.0, -0.0, 1.5, -2.25, 101.01, 1e-300, 1.7e308, 5e-324, 0.1, NAN, INF, -INF, None]
LONGS = [0, 1, -1, 2**53 + 1, -2**63, 2**63 - 1, 100, 250, None]
TEXTS = ["", "a", "plain", "x" * 31 + "é", "x" * 32, "x" * 33, "y" * 300, "\U0010ffff" * 40, "z" * 31 + "\x7f~", "it's \"quoted\"", "tab\tline\n", "%2F", "NULL", None]
HOURS = [1710050400, 1710054000, 1710057600, 1730610000, 1730613600, 1730617200, 1709251199, 1717200000, 0, -1, 951782400]  # DST in 2024, ends of months, 1969


def awkward(random_, number, symbols=SYMBOLS, first=0):
    """Rows of COLUMNS with unique (symbol, timestamp): each is its symbol, an hour of HOURS or of five days
    about the end of a month, and its own microsecond."""
    rows = []
    for i in range(first, first + number):
        second = random_.choice(HOURS) if random_.random() < 0.3 else 1709078400 + random_.randrange(86400 * 5)  # 28 February 2024 on
        at = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=second, microseconds=i)
        ladder = random_.choice([None, [], [1.0], [0.5, None, -0.0], [NAN, INF]])
        amount = random_.choice([None, decimal.Decimal("0.0000"), decimal.Decimal("-12345678901234.5678"), decimal.Decimal("1.2500")])
        day = random_.choice([None, at.date(), datetime.date(1969, 12, 31), datetime.date(2024, 2, 29)])
        rows.append((random_.choice(symbols), at, random_.choice(DOUBLES), random_.choice(LONGS), random_.choice(TEXTS), day, random_.choice([True, False, None]),
                     random_.choice([0.5, -0.0, NAN, -INF, None, 3.25]), random_.choice([None, 0, -2**31, 2**31 - 1, 7]), amount, ladder))
    return rows


def calm(random_, number, symbols=SYMBOLS, first=0):
    """As awkward, without NULL, NaN and infinities: rows whose every column has bounds."""
    out = []
    for row in awkward(random_, number, symbols, first):
        out.append((*row[:2], 100.0 + random_.randrange(1000) / 8, random_.randrange(10**6), f"note {random_.randrange(100)}", row[1].date(), random_.random() < 0.5,
                    random_.randrange(64) / 8, random_.randrange(1000), decimal.Decimal(random_.randrange(10**8)).scaleb(-4), [random_.random()]))
    return out


def arrow(rows, columns=COLUMNS):
    return pa.table([pa.array([row[i] for row in rows], type_) for i, (_, type_) in enumerate(columns)], names=[name for name, _ in columns])


class Model:
    """What the table must hold: plain lists, changed beside the table. at[step] keeps every step's rows."""

    def __init__(self, columns=COLUMNS, month=False):
        self.columns, self.rows, self.month = list(columns), [], month

    def names(self):
        return [name for name, _ in self.columns]

    def append(self, rows):
        self.rows += rows

    def merge(self, rows, keys=("symbol", "timestamp")):
        """(inserted, updated)"""
        at = [self.names().index(k) for k in keys]
        new = {tuple(r[i] for i in at): r for r in rows}
        old = {tuple(r[i] for i in at): r for r in self.rows}
        updated = sum(k in old and [exact(v) for v in old[k]] != [exact(v) for v in new[k]] for k in new)
        inserted = len(new.keys() - old.keys())
        self.rows = [r for r in self.rows if tuple(r[i] for i in at) not in new] + list(rows)
        return inserted, updated

    def delete(self, test):
        before = len(self.rows)
        self.rows = [r for r in self.rows if not test(dict(zip(self.names(), r)))]
        return before - len(self.rows)

    def add_column(self, name, type_):
        self.columns.append((name, type_))
        self.rows = [(*r, None) for r in self.rows]

    def read(self, month=None):
        """Read as a reader should see it; Delta's partition column `month` comes last, or where the table has it."""
        table = arrow(self.rows, self.columns)
        if self.month if month is None else month:
            at = self.names().index("timestamp")
            table = table.append_column("month", pa.array([f"{r[at].astimezone(datetime.timezone.utc):%Y-%m}" for r in self.rows], pa.string()))
        return to_read(table)


class Table:
    """One table of the program under test, with its model and the versions it went through."""

    def __init__(self, place, name, faces="delta", partition=None, columns=COLUMNS, properties=(), create=True):
        self.place, self.name, self.faces, self.partition = place, name, faces.split(","), partition
        self.uri, self.numbers = place.uri(name), itertools.count()
        self.model, self.versions = Model(columns, bool(partition and "month(" in partition)), []
        if create:
            text = ", ".join(f'"{c}" {SQL_TYPES[str(t)]}' for c, t in columns)
            args = ["--columns", text, "--faces", faces] + (["--partition-by", partition] if partition else [])
            self.created = self.run("create", *args, *[w for p in properties for w in ("--property", p)])
            self.note("create")

    def run(self, verb, *args, **options):
        return ok(self.place, ["table", verb, self.uri, *args], **options)

    def file(self, rows, columns=None):
        """The rows as a Parquet file for --from."""
        path = self.place.home / f"{self.name}-{next(self.numbers)}.parquet"
        pq.write_table(arrow(rows, columns or self.model.columns), path)
        return path

    def delta(self):
        return delta_log.DeltaLog(self.place.fs, self.place.base(self.name))

    def iceberg(self):
        return iceberg_log.IcebergLog(self.place.fs, self.place.base(self.name))

    def note(self, step):
        """Remembers what readers must see at the versions that are the newest now."""
        want = {}
        if "delta" in self.faces:
            want["delta"] = self.delta().newest()
        if "iceberg" in self.faces:
            want["iceberg"] = self.iceberg().current()
        self.versions.append((step, want, copy.copy(self.model.rows), list(self.model.columns)))

    def wants(self, step=-1):
        """(Delta's Read, Iceberg's Read) of a noted step."""
        _, _, rows, columns = self.versions[step]
        model = Model(columns, self.model.month)
        model.rows = rows
        return model.read(), model.read(month=False)

    def check(self, step=-1, readers=None, lint=True):
        """Every reader sees that step's rows, at its version; the newest step also without naming one."""
        what, want, _, _ = self.versions[step]
        delta, iceberg = self.wants(step)
        newest = step in (-1, len(self.versions) - 1)
        if "delta" in want:
            for name, reader in DELTA_READERS.items():
                if readers is None or name in readers:
                    for version in [want["delta"]] + ([None] if newest else []):
                        same(order_columns(to_read(reader(self.place, self.name, version)), delta), delta, f"{self.name}, {what}, {name} at {version}")
        if "iceberg" in want:
            for name, reader in ICEBERG_READERS.items():
                if readers is None or name in readers:
                    for snapshot in [want["iceberg"]] * (want["iceberg"] != -1) + ([None] if newest else []):
                        got = to_read(reader(self.place, self.name, snapshot))
                        want_ = iceberg if snapshot is None else narrowed(iceberg, got)
                        same(got if snapshot is None else narrowed(got, want_), want_, f"{self.name}, {what}, {name} at {snapshot}")
        if lint and newest:
            self.lint()

    def lint(self):
        if "delta" in self.faces:
            self.delta().check()
        if "iceberg" in self.faces:
            self.iceberg().check()


def order_columns(got, want):
    """delta-rs and DuckDB give partition columns where the schema has them or at the end: one order for both."""
    if [n for n, _ in got.schema] == [n for n, _ in want.schema] or sorted(n for n, _ in got.schema) != sorted(n for n, _ in want.schema):
        return got
    at = [[n for n, _ in got.schema].index(n) for n, _ in want.schema]
    return Read([got.schema[i] for i in at], sorted((tuple(row[i] for i in at) for row in got.rows), key=repr))


def narrowed(read, other):
    """By the id of a snapshot some readers show its own schema, some today's: columns that one of the two lacks, all NULL, are left out."""
    names = [n for n, _ in other.schema]
    if [n for n, _ in read.schema][:len(names)] != names:
        return read
    assert all(v is None for row in read.rows for v in row[len(names):])
    return Read(read.schema[:len(names)], sorted((row[:len(names)] for row in read.rows), key=repr))
