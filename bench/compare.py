"""Rows per CPU second (user + system, all processes) of ticklake and its peers on the same simulated pages.

    compare.py [--quick] [bars|ticks|quotes|latency]...

The simulator serves finished pages from its cache (a first pass fills it), so a client is measured, not the server. Each
peer does a part of the work that takes it some seconds; rates are compared. Medians of 3 for ticklake and the tuned client.
"""
import contextlib
import gzip
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(ROOT, "build", "ticklake")
BOUND = os.path.join(ROOT, "build", "bound")
QUICK = "--quick" in sys.argv
START, END = "2024-01-03T05:00:00Z", "2024-01-04T05:00:00Z"
MONTH = ("2024-01-02T05:00:00Z", "2024-02-01T05:00:00Z")
QUESTIONS = {  # kind, wire, symbols, range, simulator's flags, symbols for the tuned client and for alpaca-py
    "quotes": ("quotes", "quotes", 10, (START, END), ["--quotes-per-second", "5" if QUICK else "40"], 10, 1),
    "ticks": ("ticks", "trades", 2, (START, END), ["--trades-per-second", "10" if QUICK else "43"], 2, 1),
    "bars": ("1m", "bars", 40 if QUICK else 500, MONTH, ["--density", "5"], 40 if QUICK else 100, 5),
}
TARGETS = {"quotes": (6.0, 100, 4), "ticks": (5.0, 100, 4), "bars": (1.5, 25, 1.8)}


def names(count):
    letters = "ABCDEFGHIJKLMNOPQRSTUVWX"
    return [letters[i // 24 // 24 % 24] + letters[i // 24 % 24] + letters[i % 24] + "B" for i in range(count)]


@contextlib.contextmanager
def simulator(*flags):
    process = subprocess.Popen([BIN, "simulate", "--port", "0", "--rate", "1000000/min", "--cache-bytes", "1000000000", *flags],
                               stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.wait()


def measure(command, **env):
    """CPU seconds (user + system, its children's too), wall seconds, peak MB and stdout of a command."""
    with tempfile.TemporaryFile("w+") as out:
        started = time.monotonic()
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{command[0]} {command[1]} ended with {process.returncode}")
        out.seek(0)
        return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, out.read()


def run_ticklake(kind, symbols, span, endpoint, *flags):
    with tempfile.TemporaryDirectory() as folder:
        command = [BIN, "import", kind, ",".join(symbols), *span, "--endpoint", endpoint, "--lake", folder + "/lake", "--json",
                   "--quiet", *flags]
        cpu, wall, peak, out = measure(command, TICKLAKE_STATE=folder + "/state")
        result = json.loads(out)
        if result["failed"]:
            raise SystemExit(f"ticklake failed: {result['failed'][:2]}")
        size = sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files if f.endswith(".parquet"))
        return cpu, wall, peak, result, size


def run_peer(client, question, symbols, span, endpoint):
    with tempfile.TemporaryDirectory() as out:
        cpu, wall, peak, text = measure([sys.executable, os.path.join(ROOT, "bench", "peers.py"), client, question, endpoint,
                                         ",".join(symbols), *span, out])
        return cpu, wall, int(text)


def save_pages(wire, symbols, span, endpoint, path):
    """The gzip bodies as they travel, for bench/bound."""
    with open(path, "wb") as file:
        for symbol in symbols:
            token = None
            while True:
                query = {"symbols": symbol, "start": span[0], "end": span[1][:-1] + "Z", "limit": 10000, "feed": "sip"}
                if wire == "bars":
                    query["timeframe"] = "1Min"
                if token:
                    query["page_token"] = token
                request = urllib.request.Request(f"{endpoint}/v2/stocks/{wire}?" + urllib.parse.urlencode(query), headers={
                    "APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret", "Accept-Encoding": "gzip"})
                with urllib.request.urlopen(request) as answer:
                    body = answer.read()
                page = json.loads(gzip.decompress(body)) if body[:2] == b"\x1f\x8b" else None
                if page is None:
                    break
                file.write(struct.pack("<I", len(body)) + body)
                token = page["next_page_token"]
                if not token:
                    break


def compare(question):
    kind, wire, count, span, flags, tuned_count, vendor_count = QUESTIONS[question]
    symbols = names(count)
    target, over_vendor, over_tuned = TARGETS[question]
    with simulator(*flags) as endpoint, tempfile.TemporaryDirectory() as folder:
        run_ticklake(kind, symbols, span, endpoint)  # fills the simulator's cache
        runs = [run_ticklake(kind, symbols, span, endpoint) for _ in range(3)]
        run_peer("tuned", question, symbols[:tuned_count], span, endpoint)
        tuned = [run_peer("tuned", question, symbols[:tuned_count], span, endpoint) for _ in range(1 if QUICK else 3)]
        vendor = run_peer("alpaca-py", question, symbols[:vendor_count], span, endpoint)
        some = symbols[:max(vendor_count, 10)]
        save_pages(wire, some, span, endpoint, folder + "/pages")
        bound = json.loads(measure([BOUND, wire, folder + "/pages", *some])[3])
    wire_rows = sum_rows(runs[0][3], kind, tuned, tuned_count, count)
    ours = statistics.median(wire_rows / run[0] for run in runs)
    peer = statistics.median(run[2] / run[0] for run in tuned)
    client = vendor[2] / vendor[0]
    limit = bound["rows"] / bound["cpu_seconds"]
    wall = statistics.median(run[1] for run in runs)
    print(f"\n{question}: {wire_rows / 1e6:.2f} M rows of the vendor, {count} symbols, {runs[0][3]['requests']} pages")
    print(f"  ticklake            {ours / 1e6:8.2f} M rows per CPU second   (target {target})   wall {wall:.2f} s, "
          f"peak {max(run[2] for run in runs):.0f} MB, {runs[0][4] / 1e6:.1f} MB of Parquet")
    print(f"  tuned Python        {peer / 1e6:8.3f}   ticklake is {ours / peer:6.1f} times that   (target {over_tuned})")
    print(f"  alpaca-py + pandas  {client / 1e6:8.3f}   ticklake is {ours / client:6.1f} times that   (target {over_vendor})")
    print(f"  bound               {limit / 1e6:8.2f}   ticklake reaches {100 * ours / limit:.0f} %   (inflate + parse + shape + encode)")


def sum_rows(result, kind, tuned, tuned_count, count):
    if kind == "1m":
        return result["rows"]
    if tuned_count == count:
        return tuned[0][2]
    raise SystemExit("rows of the vendor are not known")


def latency():
    """0.9 M minute bars of 50 symbols at 40 ms a page: target under 1 s of wall time."""
    days = ("2024-06-03", "2024-07-10")  # 26 sessions
    with simulator("--latency", "40", "--density", "20") as endpoint:
        run_ticklake("1m", names(50), days, endpoint)
        runs = [run_ticklake("1m", names(50), days, endpoint, "--threads", "16") for _ in range(3)]
    print(f"\nlatency: {runs[0][3]['rows'] / 1e6:.2f} M minute bars of 50 symbols, 40 ms a page, {runs[0][3]['requests']} pages, 16 "
          f"transfers: {statistics.median(run[1] for run in runs):.2f} s of wall time (target under 1)")


if __name__ == "__main__":
    asked = [word for word in sys.argv[1:] if not word.startswith("-")] or ["bars", "quotes", "ticks", "latency"]
    with open("/proc/cpuinfo") as cpu:
        print(next((line.split(":")[1].strip() for line in cpu if line.startswith("model name")), "?"), "x", os.cpu_count())
    for word in asked:
        latency() if word == "latency" else compare(word)
