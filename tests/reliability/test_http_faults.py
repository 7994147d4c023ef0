"""Scorecard line 14: every way an answer can go wrong, at each request of a five-page job. A fault that strikes once is
survived without loss, or it is a clean error; one that persists is a clean error within the deadline; whatever the lake holds
is true, and the same command finds the rest once the fault is gone.

The server here is a raw one in Python: it can send what the simulator's fault script cannot."""
import email.utils
import gzip
import json
import signal
import socket
import struct
import time
import zlib

import pytest

import rig

PAGES, ROWS = 5, 8
DEADLINE = 30
TRUTH = dict(rig.bar_truth("AAPL", minute) for minute in range(PAGES * ROWS))


def rows_of(number, repeat=0):
    return [rig.bar(minute) for minute in range(max(0, (number - 1) * ROWS - repeat), number * ROWS)]


def good(number, repeat=0, token=None):
    token = token or (f"page{number + 1}" if number < PAGES else None)
    return rig.page("bars", {"AAPL": rows_of(number, repeat)}, token)


def head(status="200 OK", *lines):
    close = "" if status.startswith("1") else "Connection: close\r\n"  # so that the next request is not sent into a dead one
    return ("HTTP/1.1 " + status + "\r\n" + close + "".join(line + "\r\n" for line in lines)).encode()


def whole(body, *lines):
    return head("200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}", *lines) + b"\r\n" + body


def reset(sent=b""):
    def act(request):
        request.wfile.write(sent)
        request.wfile.flush()
        time.sleep(0.01)
        request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.connection.close()
    return act


def slow(body):
    def act(request):
        request.wfile.write(head("200 OK", "Content-Type: application/json", f"Content-Length: {len(body)}") + b"\r\n")
        for i in range(len(body)):
            request.wfile.write(body[i:i + 1])
            time.sleep(1)
    return act


def endless_headers(request):
    request.wfile.write(head())
    for i in range(4 << 20):
        request.wfile.write(b"X-Filler: %032d\r\n" % i)


def endless_body(request):
    request.wfile.write(head("200 OK", "Transfer-Encoding: chunked") + b"\r\n")
    for _ in range(200 << 20 >> 16):
        request.wfile.write(b"10000\r\n" + b" " * 65536 + b"\r\n")


def chunked(body, size_line):
    return head("200 OK", "Transfer-Encoding: chunked") + b"\r\n" + size_line + b"\r\n" + body + b"\r\n0\r\n\r\n"


def broken_gzip(change):
    def act(number):
        return whole(change(gzip.compress(good(number))), "Content-Encoding: gzip")
    return act


def flipped(data):
    return data[:len(data) // 2] + bytes([data[len(data) // 2] ^ 16]) + data[len(data) // 2 + 1:]


def refusal(status, body, **headers):
    headers.setdefault("Content-Type", "application/json")
    return lambda number: (status, headers, body)


MESSAGE = b'{"code":42910000,"message":"rate limit exceeded"}'
HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"

# Survived: struck once, the job ends as if nothing had been.
SURVIVED = {
    "429": refusal(429, MESSAGE),
    "429 Retry-After: 1": refusal(429, MESSAGE, **{"Retry-After": "1"}),
    "429 Retry-After: a date": lambda n: (429, {"Retry-After": email.utils.formatdate(time.time() + 1, usegmt=True)}, MESSAGE),
    "429 Retry-After: a date long ago": refusal(429, MESSAGE, **{"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}),
    "429 Retry-After: -5": refusal(429, MESSAGE, **{"Retry-After": "-5"}),
    "429 Retry-After: words": refusal(429, MESSAGE, **{"Retry-After": "in a while"}),
    "429 HTML": refusal(429, HTML, **{"Content-Type": "text/html"}),
    "500": refusal(500, b'{"message":"internal server error"}'),
    "502 HTML": refusal(502, HTML, **{"Content-Type": "text/html"}),
    "503 Retry-After: 0": refusal(503, b"", **{"Retry-After": "0"}),
    "504": refusal(504, b'{"message":"upstream request timeout"}'),
    "408": refusal(408, b""),
    "closed without a word": lambda n: None,
    "reset before the headers": lambda n: reset(),
    "reset within the headers": lambda n: reset(head()[:20]),
    "reset within the body": lambda n: reset(whole(good(n))[:-50]),
    "closed short of Content-Length": lambda n: whole(good(n))[:-9],
    "Content-Length too large": lambda n: head("200 OK", "Content-Length: 1000000") + b"\r\n" + good(n),
    "chunk size ZZ": lambda n: chunked(good(n), b"ZZ"),
    "chunk size 2^80": lambda n: chunked(good(n), b"100000000000000000000"),
    "chunk cut short": lambda n: chunked(good(n), b"%x" % (len(good(n)) + 500)),
    "a byte a second": lambda n: slow(good(n)),
    "endless headers": lambda n: endless_headers,
    "endless body": lambda n: endless_body,
    "no HTTP at all": lambda n: b"220 smtp.example.com ESMTP\r\n",
    "200 with HTML": refusal(200, HTML, **{"Content-Type": "text/html"}),
    "200 with an error object": refusal(200, b'{"code":50010000,"message":"internal server error occurred"}'),
    "200 with a Note": refusal(200, b'{"Note":"Thank you for using our API! Please consider spreading out your requests."}'),
    "200 with nothing": refusal(200, b""),
    "200 with null": refusal(200, b"null"),
    "200 with []": refusal(200, b"[]"),
    "200 with {}": refusal(200, b"{}"),
    "no next_page_token": lambda n: rig.ok(good(n)[:good(n).rindex(b',"next_page_token"')] + b"}"),
    "JSON cut in the middle": lambda n: rig.ok(good(n)[:len(good(n)) // 2]),
    "JSON with a bare NaN": lambda n: rig.ok(good(n).replace(b"100.5", b"NaN", 1)),
    "two pages in one": lambda n: rig.ok(good(n) + good(n)),
    "broken UTF-8 in a key": lambda n: rig.ok(good(n).replace(b'"AAPL"', b'"AA\xff"', 1)),
    "another symbol's rows": lambda n: rig.ok(good(n).replace(b'"AAPL"', b'"MSFT"', 1)),
    "quotes instead of bars": lambda n: rig.ok(good(n).replace(b'"bars"', b'"quotes"', 1)),
    "the token it was asked with": lambda n: rig.ok(good(n, token=f"page{n}" if n > 1 else "page2")) if n > 1 else (500, {}, b""),
    "an earlier token": lambda n: rig.ok(good(n, token="page2")) if n > 2 else (500, {}, b""),
    "an empty token": lambda n: rig.ok(good(n)[:good(n).rindex(b":") + 1] + b'""}'),
    "a token that is a number": lambda n: rig.ok(good(n)[:good(n).rindex(b":") + 1] + b"17}"),
    "gzip cut short": broken_gzip(lambda z: z[:-20]),
    "gzip without its trailer": broken_gzip(lambda z: z[:-8]),
    "gzip with a bit flipped": broken_gzip(flipped),
    "gzip with a wrong CRC": broken_gzip(lambda z: z[:-8] + bytes(4) + z[-4:]),
    "gzip with a wrong length": broken_gzip(lambda z: z[:-4] + b"\1\0\0\0"),
    "gzip with bytes after it": broken_gzip(lambda z: z + b"trailing"),
    "said to be gzip, is not": lambda n: whole(good(n), "Content-Encoding: gzip"),
    "zlib instead of gzip": lambda n: whole(zlib.compress(good(n)), "Content-Encoding: gzip"),
    "Content-Encoding: br": lambda n: whole(good(n), "Content-Encoding: br"),
    "gzip twice": lambda n: whole(gzip.compress(gzip.compress(good(n))), "Content-Encoding: gzip", "Content-Encoding: gzip"),
}
# Sound: odd, but nothing is wrong with it.
SOUND = {
    "100 Continue first": lambda n: head("100 Continue") + b"\r\n" + whole(good(n)),
    "HTTP/1.0 without a length": lambda n: b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + good(n),
    "gzip in two members": lambda n: whole(gzip.compress(good(n)[:99]) + gzip.compress(good(n)[99:]), "Content-Encoding: gzip"),
    "the page before repeats its last rows": lambda n: rig.ok(good(n, repeat=3)),
    "an empty page with a token": None,  # see Job.answer
}
# Refused: asking again would not help.
REFUSED = {
    "a redirect to itself": lambda n: (302, {"Location": "/v2/stocks/bars?symbols=AAPL"}, b""),
    "a redirect without Location": lambda n: (301, {}, b""),
    "204": lambda n: (204, {}, b""),
    "304": lambda n: (304, {}, b""),
    "400": refusal(400, b'{"message":"invalid start"}'),
    "401 HTML": refusal(401, b"<html>401 Authorization Required</html>", **{"Content-Type": "text/html"}),
    "403": refusal(403, b'{"message":"subscription does not permit querying recent SIP data"}'),
    "404": refusal(404, b'{"message":"endpoint not found."}'),
}
FAULTS = [(name, kind) for kind, faults in (("survived", SURVIVED), ("sound", SOUND), ("refused", REFUSED)) for name in faults]
ACTS = {**SURVIVED, **SOUND, **REFUSED}


class Job:
    """A vendor of five pages of one symbol's bars. The fault strikes at page `at`, once or for good."""

    def __init__(self, home, fault=None, at=0, persistent=False):
        self.home, self.fault, self.at, self.persistent, self.struck = home, fault, at, persistent, 0

    def answer(self, request):
        token = request.query.get("page_token", "page1")
        if token.startswith("empty"):  # the page that an empty one led to
            return rig.ok(good(int(token[5:])))
        number = int(token[4:])
        if number == self.at and (self.persistent or not self.struck):
            self.struck += 1
            if self.fault == "an empty page with a token":
                return rig.ok(rig.page("bars", {}, f"empty{number}"))
            return ACTS[self.fault](number)
        return rig.ok(good(number))

    def run(self, lake, *more, timeout=DEADLINE):
        with rig.Vendor(self.answer) as vendor:
            return rig.run(command(lake, *more), self.home, vendor.url, timeout=timeout)


def command(lake, *more):
    return ["import", "1m", "AAPL", "2024-03-05T14:30:00Z", "2024-03-05T15:30:00Z", "--lake", lake, "--json", "--quiet",
            "--page-limit", str(ROWS), "--read-timeout", "400ms", "--connect-timeout", "2s", *more]


def check_what_is_there(lake, what):
    rows = rig.lake_rows(lake, "1m", "hive")
    assert rows.items() <= TRUTH.items(), f"{what}: the lake holds rows the vendor did not send"
    return rows


def check_resume(home, lake, what):
    done = Job(home).run(lake)
    assert done.code == 0, f"{what}: without the fault: {done.err.decode()}"
    rig.same_rows(TRUTH, rig.lake_rows(lake, "1m", "hive"), what)


def indices(name):
    """At scale 1 every page; else one, another for each fault."""
    return range(1, PAGES + 1) if rig.SCALE >= 1 else [1 + sum(name.encode()) % PAGES]


@pytest.mark.parametrize("name,kind", rig.sample(FAULTS, scale=1), ids=lambda value: value if " " in value or value.isdigit() else "")
def test_a_fault_strikes_once(home, name, kind):
    for at in indices(name):
        what = f"{name} at page {at}"
        lake = rig.fresh(home, "lake")
        job = Job(home, name, at)
        done = job.run(lake)
        rig.assert_clean(done, what)
        assert job.struck == 1, f"{what}: the fault did not strike"
        rows = check_what_is_there(lake, what)
        if kind == "refused":
            assert done.code in (1, 3) and rig.summary(done)["failed"][0]["symbol"] == "AAPL", f"{what}: {done}"
            assert rig.summary(done)["failed"][0]["reason"], f"{what}: failed without a reason"
            check_resume(home, lake, what)
        else:
            assert done.code == 0, f"{what}: {done.err.decode()}"
            rig.same_rows(TRUTH, rows, what)
            retried = rig.summary(done)["retries"]
            assert (retried >= 1) if kind == "survived" else (retried == 0), f"{what}: {retried} retries"


PERSISTENT = [(name, kind) for name, kind in FAULTS if kind != "sound" and not name.startswith("429")]


@pytest.mark.parametrize("name", [name for name, _ in rig.sample(PERSISTENT, 8)])
def test_a_fault_that_persists_is_a_clean_error(home, name):
    for at in indices(name):
        what = f"{name} at page {at}, for good"
        lake = rig.fresh(home, "lake")
        done = Job(home, name, at, persistent=True).run(lake, "--retries", "1")
        rig.assert_clean(done, what)
        assert done.code == 1, f"{what}: exit {done.code}"
        assert len(rig.summary(done)["failed"][0]["reason"]) >= len("HTTP 304"), f"{what}: {done.out}"
        check_what_is_there(lake, what)
        check_resume(home, lake, what)


def test_a_wait_of_a_billion_seconds_can_be_stopped(home):
    """Retry-After: 10^9 is held to a minute; a signal ends even that at once, and the job resumes."""
    lake = rig.fresh(home, "lake")
    struck = []

    def answer(request):
        if not struck:
            struck.append(time.monotonic())
            return 429, {"Retry-After": "1000000000"}, MESSAGE
        return rig.ok(good(int(request.query.get("page_token", "page1")[4:])))

    with rig.Vendor(answer) as vendor:
        if rig.SCALE >= 1:
            began = time.monotonic()
            assert rig.run(command(lake), home, vendor.url, timeout=90).code == 0
            assert time.monotonic() - began < 75
            return
        child = rig.start(command(lake), home, vendor.url)
        while not struck:
            time.sleep(0.02)
        time.sleep(0.1)
        child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        out, err = child.communicate(timeout=DEADLINE)
        assert child.returncode == 143 and time.monotonic() - began < 2, (child.returncode, err)
        assert json.loads(out)["rows"] == 0
    # Another key: the pause of this one is remembered for all processes, as it should be.
    with rig.Vendor(answer) as vendor:
        done = rig.run(command(lake), home, vendor.url, env={"APCA_API_KEY_ID": "PKANOTHERKEY00000001"})
        assert done.code == 0, done.err.decode()
    rig.same_rows(TRUTH, rig.lake_rows(lake, "1m", "hive"), "after the stop")


def test_a_refused_connection(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening
        lake = rig.fresh(home, "lake")
        done = rig.run(command(lake, "--retries", "1"), home, f"http://127.0.0.1:{taken.getsockname()[1]}", timeout=DEADLINE)
    rig.assert_clean(done, "connection refused", codes=(1,))
    check_resume(home, lake, "connection refused")


SCRIPTS = ["429 retry-after=1", "500", "reset=0", "reset=200", "close=100", "bad-chunks", "gzip-truncate=90", "gzip-flip", "gzip-trailing",
           "gzip-members", "gzip-crc", "gzip-size", "json-truncate=0.5", "json-garble", "wrong-type", "html-200", "error-200", "null-page",
           "empty-object", "empty-with-token", "same-token", "repeat-rows", "deep", "huge-string", "many-keys", "duplicate-keys"]


@pytest.mark.parametrize("script", rig.sample(SCRIPTS, 6))
def test_faults_of_the_simulator(home, simulator, script):
    """The same on realistic pages: the simulator's own fault script, at each page of a job of about five."""
    start, end, last = "2024-03-05T15:00:00Z", "2024-03-05T15:30:00Z", "2024-03-05T15:29:59Z"
    truth = rig.bars_truth(simulator, ["AAPL", "MSFT"], start, last, "1Min")
    for nth in indices(script):
        what = f"{script} at request {nth}"
        with rig.Simulator(home, f"when nth={nth} kind=bars do {script}\n") as faulty:
            args = ["import", "1m", "AAPL,MSFT", start, end, "--lake", rig.fresh(home, "lake"), "--json", "--quiet", "--page-limit", "12",
                    "--read-timeout", "500ms"]
            done = rig.run(args, home, faulty.url, timeout=DEADLINE)
            rig.assert_clean(done, what)
            rows = rig.lake_rows(home / "lake", "1m", "hive")
            assert rows.items() <= truth.items(), f"{what}: rows that are not the vendor's"
            if done.code:
                assert rig.summary(done)["failed"], what
                assert rig.run(args, home, faulty.url, timeout=DEADLINE).code == 0, what
                rows = rig.lake_rows(home / "lake", "1m", "hive")
            rig.same_rows(truth, rows, what)
