"""Scorecard lines 15 to 17 through the real program: gzip cut and flipped at every place, bombs, and numbers at the edges of
their types. The Python server writes the pages by hand, so any text can stand where a number is expected."""
import gzip
import os
import struct
import sys
import zlib

import pytest

import rig

MEMORY_MAX = 512 << 20  # the default cap
SHADOW = 4 if any(word in rig.BIN for word in ("asan", "tsan")) else 1  # sanitizers keep memory of their own
START, END = "2024-03-05T14:30:00Z", "2024-03-05T15:30:00Z"


def command(lake, *more):
    return ["import", "1m", "AAPL", START, END, "--lake", lake, "--json", "--quiet", "--retries", "1", "--read-timeout", "20s", *more]


class Body:
    """A vendor that answers every request with the body set last."""

    def __init__(self):
        self.body, self.headers = b"", {}

    def __call__(self, request):
        return 200, {"Content-Type": "application/json", **self.headers}, self.body


@pytest.fixture
def vendor():
    body = Body()
    with rig.Vendor(body) as server:
        server.body = body
        yield server


def import_body(home, vendor, body, compressed=False, args=()):
    vendor.body.body, vendor.body.headers = body, {"Content-Encoding": "gzip"} if compressed else {}
    lake = rig.fresh(home, "lake")
    return lake, rig.run(command(lake, *args), home, vendor.url, timeout=60)


# ---- gzip ----

TRUTH = dict(rig.bar_truth("AAPL", minute) for minute in range(30))
PAGE = rig.page("bars", {"AAPL": [rig.bar(minute) for minute in range(30)]})
PACKED = gzip.compress(PAGE, mtime=0)
random_page = rig.page("bars", {"AAPL": [rig.bar(m, f=str(int.from_bytes(os.urandom(700), "big"))) for m in range(30)]})


def expect_refusal(home, vendor, data, what):
    lake, done = import_body(home, vendor, data, True, ("--retries", "0"))
    rig.assert_clean(done, what, codes=(1,))
    assert rig.summary(done)["failed"], what
    assert not rig.lake_rows(lake, "1m", "hive"), f"{what}: rows of a broken stream were committed"


def test_a_sound_stream_is_taken(home, vendor):
    for data in (PACKED, gzip.compress(random_page), gzip.compress(PAGE[:200]) + gzip.compress(PAGE[200:])):
        lake, done = import_body(home, vendor, data, True)
        assert done.code == 0, done.err.decode()
        rig.same_rows(TRUTH, rig.lake_rows(lake, "1m", "hive"), "sound gzip")


def test_gzip_cut_anywhere(home, vendor):
    """A stream of 64 KiB at evenly spaced lengths; unit tests of net/inflate.h take every one."""
    packed = gzip.compress(random_page, 1)
    lengths = [round(i * (len(packed) - 1) / 399) for i in range(400)]
    for length in rig.sample(lengths, 20):
        expect_refusal(home, vendor, packed[:length], f"{length} of {len(packed)} bytes")


def test_gzip_with_one_bit_flipped(home, vendor):
    """Every bit of the stream but the ten of the header that say nothing about the text (time, system, flags zlib ignores)."""
    silent = {8 * byte + bit for byte in (4, 5, 6, 7, 8, 9) for bit in range(8)} | {8 * 3}
    bits = [bit for bit in range(8 * len(PACKED)) if bit not in silent]
    for bit in rig.sample(bits, 20):
        data = bytearray(PACKED)
        data[bit // 8] ^= 1 << bit % 8
        lake, done = import_body(home, vendor, bytes(data), True, ("--retries", "0"))
        rig.assert_clean(done, f"bit {bit}", codes=(0, 1))
        rows = rig.lake_rows(lake, "1m", "hive")
        assert (rows == TRUTH) if done.code == 0 else not rows, f"bit {bit}: exit {done.code}, {len(rows)} rows"


# ---- bombs ----

def gigabyte(byte, then=b""):
    """gzip of 1 GiB of one byte and a text after it; the same deflate block 1024 times."""
    block, crc = byte * (1 << 20), 0
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(1024):
        crc = zlib.crc32(block, crc)
    tail = zlib.compressobj(9, zlib.DEFLATED, -15)
    end = tail.compress(then) + tail.flush()
    return bytes.fromhex("1f8b0800000000000203") + packed * 1024 + end + struct.pack("<II", zlib.crc32(then, crc), (1 << 30) + len(then))


BOMBS = {
    "gzip of 1 GiB of zeros": lambda: (gigabyte(b"\0"), True),
    "gzip of 1 GiB of blanks before a page": lambda: (gigabyte(b" ", PAGE), True),
    "nested 100,000 deep": lambda: (b'{"bars":' + b"[" * 100_000 + b"]" * 100_000 + b',"next_page_token":null}', False),
    "an unknown member nested 100,000 deep": lambda: (PAGE[:-1] + b',"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}", False),
    "a million keys": lambda: (b'{"bars":{' + b",".join(b'"K%d":[]' % i for i in range(1_000_000)) + b'},"next_page_token":null}', True),
    "a string of 64 MiB": lambda: (b'{"bars":{"AAPL":"' + b"A" * (64 << 20) + b'"},"next_page_token":null}', True),
    "a token of 64 MiB": lambda: (PAGE[:-5] + b'"' + b"A" * (64 << 20) + b'"}', True),
    "a number of 64 MiB": lambda: (PAGE.replace(b'"v":100', b'"v":' + b"1" * (60 << 20), 1), True),
}


MEASURE = """import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL)
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(done.returncode)"""


def run_measured(args, home, url):
    """Also the peak resident memory in bytes, taken by a small process between: a child's peak begins with its parent's."""
    done = rig.run(["-c", MEASURE, rig.BIN, *args], home, url, binary=sys.executable, timeout=120)
    return done, int(done.err.rsplit(b"peak ", 1)[1]) << 10


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(home, vendor, name):
    body, compressed = BOMBS[name]()
    vendor.body.body = gzip.compress(body, 1) if compressed and not body.startswith(b"\x1f\x8b") else body
    vendor.body.headers = {"Content-Encoding": "gzip"} if compressed else {}
    lake = rig.fresh(home, "lake")
    done, peak = run_measured(command(lake, "--retries", "0"), home, vendor.url)
    print(f"{name}: exit {done.code}, {peak >> 20} MiB at the peak: {rig.summary(done)}")
    assert peak <= MEMORY_MAX * SHADOW, f"{name}: {peak >> 20} MiB at the peak"
    if name == "a number of 64 MiB":  # JSON, so only its row is refused
        assert done.code == 0 and rig.summary(done)["rejected"] == 1, done
        return
    rig.assert_clean(done, name, codes=(1, 3))
    assert not rig.lake_rows(lake, "1m", "hive")


def test_duplicate_keys_do_not_double_rows(home, vendor):
    twice = b'{"bars":{"AAPL":[' + rig.bar(0).encode() + b'],"AAPL":[' + rig.bar(1).encode() + b']},"next_page_token":null}'
    lake, done = import_body(home, vendor, twice)
    rig.assert_clean(done, "a symbol twice")
    rows = rig.lake_rows(lake, "1m", "hive")
    assert rows == dict(rig.bar_truth("AAPL", m) for m in (0, 1)) if done.code == 0 else not rows
    for member in ('"v":100,"v":200', '"t":"2024-03-05T14:31:00Z","t":"2024-03-05T14:32:00Z"'):
        body = rig.page("bars", {"AAPL": [rig.bar(1).replace(member.partition(":")[0] + ":" + member.split(":", 1)[1].split(",")[0], member, 1)]})
        lake, done = import_body(home, vendor, body)
        rig.assert_clean(done, member)
        assert len(rig.lake_rows(lake, "1m", "hive")) <= 1, member


# ---- numbers ----

def double(text):
    return struct.unpack("<d", struct.pack("<d", float(text)))[0]


REFUSED = None  # the row becomes a reject with a reason
VOLUMES = {
    "0": 0, "1": 1, "100.0": 100, "1e2": 100, "1.23e+07": 12300000, "123e-0": 123, "1E5": 100000, "10.50e1": 105,
    "9007199254740993": 2**53 + 1, "9223372036854775807": 2**63 - 1, "9.223372036854775807e18": 2**63 - 1,
    "9223372036854775808": REFUSED, "18446744073709551616": REFUSED, "-9223372036854775808": REFUSED, "-1": REFUSED, "1e309": REFUSED,
    "1e19": REFUSED, "100.5": REFUSED, "1e-400": REFUSED, "0.1": REFUSED, '"100"': REFUSED, "true": REFUSED, "[1]": REFUSED, "{}": REFUSED,
    "-0": 0, "0e99999": 0,
}
PRICES = {text: double(text) for text in (
    "1", "0.0001", "123.123456789012345678", "100.10000000000000000000000000000001", "1e2", "1.5E-3", "9007199254740993", "1e22", "1e23",
    "0.1", "179.26499999999998", "5e-324", "2.2250738585072011e-308", "1.7976931348623157e308", "123456789.123456789")}
PRICES.update({"1e309": REFUSED, "-1e309": REFUSED, '"1.5"': REFUSED, "null": REFUSED, "false": REFUSED})
NOT_JSON = ("NaN", "Infinity", "-Infinity", "nan", "+1", "01", ".5", "1.", "1e", "0x10", "1_000", "1,5", "--1", "1e+", "")


def import_rows(home, vendor, rows):
    return import_body(home, vendor, rig.page("bars", {"AAPL": rows}))


def check_table(home, vendor, table, column, make):
    """All values in one page: the good rows are exact, the others are rejects."""
    texts = list(table)
    lake, done = import_rows(home, vendor, [make(minute, text) for minute, text in enumerate(texts)])
    assert done.code == 0, done.err.decode()
    rows = {us: row for (_, us), row in rig.lake_rows(lake, "1m", "hive").items()}
    rejected = 0
    for minute, text in enumerate(texts):
        us = rig.bar_truth("AAPL", minute)[0][1]
        if table[text] is REFUSED:
            assert us not in rows, f"{text} became {rows.get(us)}"
            rejected += 1
        else:
            assert us in rows, f"{text} was refused"
            value = rows[us][rig.BAR_COLUMNS.index(column)]
            assert value == table[text] and type(value) is type(table[text]), f"{text} became {value!r}, not {table[text]!r}"
    assert rig.summary(done)["rejected"] == rejected
    kept = b"".join(path.read_bytes() for path in sorted((lake / "rejects").rglob("*")) if path.is_file() and path.suffix != ".parquet")
    files = [path for path in (lake / "rejects").rglob("*") if path.is_file()]
    assert files and (kept or any(path.suffix == ".parquet" for path in files)), "no rejects are kept"


def test_whole_numbers_are_exact_or_refused(home, vendor):
    check_table(home, vendor, VOLUMES, "volume", lambda minute, text: rig.bar(minute, volume=text))


def test_prices_are_the_nearest_double(home, vendor):
    check_table(home, vendor, PRICES, "close", lambda minute, text: rig.bar(minute, c=text))


def test_texts_that_are_no_numbers_refuse_the_page(home, vendor):
    for text in NOT_JSON:
        body = rig.page("bars", {"AAPL": [rig.bar(0), rig.bar(1, volume=text)]})
        lake, done = import_body(home, vendor, body, args=("--retries", "0"))
        rig.assert_clean(done, text, codes=(1,))
        assert not rig.lake_rows(lake, "1m", "hive"), f"{text!r} let the page's other rows through"


def test_ten_thousand_random_decimals(home, vendor):
    """Prices of 1 to 18 digits against Python's own reading."""
    random, table = rig.prng("decimals"), []
    for _ in range(rig.count(10_000, 500)):
        digits = str(random.randrange(10 ** random.randint(1, 18)))
        point = random.randint(0, len(digits))
        text = (digits[:point].lstrip("0") or "0") + ("." + digits[point:] if point < len(digits) else "")
        table.append(text + random.choice(("", "", "e0", "E-2", "e+3")))
    for begin in range(0, len(table), 60):
        part = table[begin:begin + 60]
        lake, done = import_rows(home, vendor, [rig.bar(minute, vw=text) for minute, text in enumerate(part)])
        assert done.code == 0, done.err.decode()
        rows = {us: row for (_, us), row in rig.lake_rows(lake, "1m", "hive").items()}
        for minute, text in enumerate(part):
            assert rows[rig.bar_truth("AAPL", minute)[0][1]][6] == float(text), text
