"""CPU seconds (user + system, all processes) of open tables: ticklake beside delta-rs, PyIceberg and Spark, the same rows, one run.

    tables.py [--quick] [--spark] [--rows N] [local|minio]...

    append     N bars (10 M) from one Parquet file into an empty table, partitioned by symbol (500 of them)
    merge      N bars by (symbol, timestamp) into that table: half of them new, half with another close
    commits    1,000 appends of one row, then the time to open the table and count its rows
    optimize   the files of those commits into few

Peers run in processes of their own (`tables.py --peer NAME WORK URI SOURCE`), started cold each time; what an interpreter and its
imports cost before the first row is measured apart and taken off. PyIceberg commits through the REST catalog of
tests/interop/jars, and Spark needs its jars: `tools/setup interop` brings both. Ratios are ticklake's CPU to the peer's."""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "interop"))
os.environ.setdefault("TICKLAKE_BIN", str(ROOT / "build" / "ticklake"))
BIN = os.environ["TICKLAKE_BIN"]
QUICK = "--quick" in sys.argv
ROWS = int(sys.argv[sys.argv.index("--rows") + 1]) if "--rows" in sys.argv else 500_000 if QUICK else 10_000_000
SYMBOLS, COMMITS = (50, 20) if QUICK else (500, 1000)
KEYS = "symbol,timestamp"


def measure(command, **env):
    """(CPU seconds, wall seconds, peak MB, stdout) of a command and its children."""
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        child = subprocess.Popen(list(map(str, command)), env={**os.environ, **env}, stdout=out, stderr=subprocess.DEVNULL if QUICK else None)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}")
        out.seek(0)
        return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, out.read()


def make_sources(folder):
    """bars.parquet, and merge.parquet: the later half of its minutes again with another close, and as many minutes after them."""
    import duckdb
    with duckdb.connect() as db:
        minutes = ROWS // SYMBOLS
        select = """select 'S' || lpad(s::varchar, 4, '0') as symbol, to_timestamp(1704067200 + 60 * m) as timestamp, round(100 + 10 * random(), 2) as open, round(110 + random(), 2) as high,
                    round(90 + random(), 2) as low, round(100 + 10 * random(), 2) as close, (1000 * random())::bigint as volume, (100 * random())::bigint as trade_count,
                    round(100 + random(), 4) as vwap from range({}) r(s), range({}, {}) t(m) order by symbol, timestamp"""
        db.execute("set timezone='UTC'; select setseed(0.5)")
        for name, first, last in (("bars", 0, minutes), ("merge", minutes // 2, minutes + minutes // 2)):
            db.execute(f"copy ({select.format(SYMBOLS, first, last)}) to '{folder}/{name}.parquet' (format parquet, compression zstd)")


# ---- the peers, each in a process of its own ----

def peer(name, work, uri, source):
    import pyarrow.parquet as pq
    options = {k: v for k, v in os.environ.items() if k.startswith("AWS_")}
    if name == "delta-rs":
        import deltalake
        if work == "nothing":
            return
        if work == "append":
            deltalake.write_deltalake(uri, pq.read_table(source), mode="append", partition_by=["symbol"], storage_options=options)
        elif work == "merge":
            table = deltalake.DeltaTable(uri, storage_options=options)
            merge = table.merge(pq.read_table(source), "t.symbol = s.symbol and t.timestamp = s.timestamp", source_alias="s", target_alias="t")
            merge.when_matched_update_all().when_not_matched_insert_all().execute()
        elif work == "commits":
            row = pq.read_table(source).slice(0, 1)
            for _ in range(COMMITS):
                deltalake.write_deltalake(uri, row, mode="append", storage_options=options)
        elif work == "open":
            began = time.monotonic()
            deltalake.DeltaTable(uri, storage_options=options).get_add_actions()
            print(time.monotonic() - began)
        else:
            deltalake.DeltaTable(uri, storage_options=options).optimize.compact()
    elif name == "pyiceberg":
        from pyiceberg.catalog.rest import RestCatalog
        from pyiceberg.transforms import IdentityTransform
        if work == "nothing":
            return
        catalog = RestCatalog("bench", **json.loads(uri))
        data = pq.read_table(source)
        if work == "append":
            table = catalog.create_table("ns.bars", schema=data.schema)
            with table.update_spec() as spec:
                spec.add_field("symbol", IdentityTransform(), "symbol")
            catalog.load_table("ns.bars").append(data)
        elif work == "merge":
            catalog.load_table("ns.bars").upsert(data, join_cols=["symbol", "timestamp"])
        elif work == "commits":
            table = catalog.create_table("ns.small", schema=data.schema)
            for _ in range(COMMITS):
                table.append(data.slice(0, 1))
        elif work == "open":
            began = time.monotonic()
            list(catalog.load_table("ns.small").scan().plan_files())
            print(time.monotonic() - began)
    else:
        import spark_session
        import types
        spark = spark_session.begin(types.SimpleNamespace(url=options.get("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), access_key=options.get("AWS_ACCESS_KEY_ID", "-"),
                                                          secret_key=options.get("AWS_SECRET_ACCESS_KEY", "-"), region="us-east-1"))
        uri = uri.replace("s3://", "s3a://")
        if work == "append":
            spark.read.parquet(source).write.format("delta").partitionBy("symbol").mode("append").save(uri)
        elif work == "merge":
            spark.read.parquet(source).createOrReplaceTempView("s")
            spark.sql(f"merge into delta.`{uri}` t using s on t.symbol = s.symbol and t.timestamp = s.timestamp when matched then update set * when not matched then insert *")
        gateway = spark.sparkContext._gateway
        spark.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()  # the engine is a process of its own, whose CPU time counts once it was waited for


# ---- the run ----

class Ours:
    """`ticklake table`, one format."""

    def __init__(self, face):
        self.name, self.face = f"ticklake {face}", face

    def cost(self, work, place, source):
        uri = place.uri(f"ours-{self.face}" + ("-small" if work in ("commits", "open", "optimize") else ""))
        env = place.env | {"HOME": str(place.home), "TMPDIR": str(place.home)}
        if work in ("append", "commits"):
            columns = "symbol VARCHAR, timestamp TIMESTAMPTZ, open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE, volume BIGINT, trade_count BIGINT, vwap DOUBLE"
            measure([BIN, "table", "create", uri, "--columns", columns, "--faces", self.face, *(["--partition-by", "symbol"] if work == "append" else []), "--quiet"], **env)
        if work == "append":
            return measure([BIN, "table", "append", uri, "--from", source, "--json", "--quiet"], **env)
        if work == "merge":
            return measure([BIN, "table", "merge", uri, "--from", source, "--keys", KEYS, "--json", "--quiet"], **env)
        if work == "commits":
            costs = [measure([BIN, "table", "append", uri, "--from", f"select * from '{source}' limit 1", "--json", "--quiet"], **env) for _ in range(COMMITS)]
            return sum(c[0] for c in costs), sum(c[1] for c in costs), max(c[2] for c in costs), ""
        if work == "open":
            return measure([BIN, "table", "describe", uri, "--json"], **env)
        return measure([BIN, "table", "optimize", uri, "--json", "--quiet"], **env)


class Peer:
    def __init__(self, name, at=None):
        self.name, self.at = name, at

    def cost(self, work, place, source):
        uri = self.at or place.uri(self.name + ("-small" if work in ("commits", "open", "optimize") else ""))
        command = [sys.executable, __file__, *(["--quick"] if QUICK else []), "--peer", self.name]
        idle = measure([*command, "nothing", uri, source], **place.env)[0]
        cpu, wall, peak, out = measure([*command, work, uri, source], **place.env)
        return max(cpu - idle, 0.001), wall, peak, out


def compare(place, peers, works, source):
    for work in works:
        print(f"\n{place.name}: {work}" + (f" of {ROWS:,} bars" if work in ("append", "merge") else ""))
        rows = {p.name: p.cost(work, place, str(source / ("merge.parquet" if work == "merge" else "bars.parquet"))) for p in peers}
        for name, (cpu, wall, peak, out) in rows.items():
            ratios = ", ".join(f"{rows[ours][0] / cpu:.2f} ({ours})" for ours in rows if ours.startswith("ticklake") and name != ours)
            inside = f"   in-process {1000 * float(out):.1f} ms" if work == "open" and not name.startswith("ticklake") else ""
            print(f"  {name:18} {cpu:9.2f} s CPU {wall:9.2f} s wall {peak:8.0f} MB   {'' if name.startswith('ticklake') else 'ours is ' + ratios + ' of it'}{inside}", flush=True)


def main():
    import tables
    from minio import Minio
    words = [w for w in sys.argv[1:] if w in ("local", "minio")] or ["local", "minio"]
    with contextlib.ExitStack() as stack:
        source = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ticklake-bench-")))
        make_sources(source)
        for word in words:
            place = tables.Local(durable=True) if word == "local" else tables.S3(stack.enter_context(Minio()))
            stack.callback(place.close)
            peers = [Ours("delta"), Ours("iceberg"), Peer("delta-rs")]
            small = list(peers)
            if (ROOT / ".deps/jars/rest/classpath").exists():
                from rest_catalog import RestCatalog
                catalog = stack.enter_context(RestCatalog(place))
                catalog.pyiceberg().create_namespace("ns")
                peers.append(Peer("pyiceberg", json.dumps({"uri": catalog.url, **place.pyiceberg})))
                small.append(peers[-1])
            compare(place, peers + ([Peer("spark")] if "--spark" in sys.argv else []), ["append"], source)
            merging = [p for p in peers if p.name != "pyiceberg" or QUICK]  # its upsert compares row by row in Python: hours for 10 M
            compare(place, merging + ([Peer("spark")] if "--spark" in sys.argv else []), ["merge"], source)
            compare(place, small, ["commits", "open"], source)
            compare(place, [p for p in small if p.name != "pyiceberg"], ["optimize"], source)  # of the small commits' files; PyIceberg cannot


if __name__ == "__main__":
    if "--peer" in sys.argv:
        peer(*sys.argv[sys.argv.index("--peer") + 1:])
    else:
        main()
