"""The S3 store against a real MinIO server, and against a proxy that loses, delays, forges and damages what passes.

store_tool (tests/interop/store_tool.c) runs the calls of src/store/store.h; what is there afterwards is looked up by the
client of minio.py, which shares no code with it."""

import datetime
import hashlib
import os
import pathlib
import random
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from minio import Client, Minio, minio  # noqa: E402,F401

BUILD = pathlib.Path(os.environ["TICKLAKE_BUILD"])
TOOL = BUILD / "tests" / "store_tool"
OK, EUSAGE, EIO, ENOTFOUND, ELIMIT, ENET, EAUTH, EHTTP, EDECODE, ECONFLICT = 0, 2, 3, 4, 7, 20, 21, 22, 30, 40


class Tool:
    """One process with one store."""

    def __init__(self, uri, environment, *, settings=None, prefix=(), expect=OK):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and k.lower() not in ("http_proxy", "https_proxy", "all_proxy")}
        command = [*prefix, TOOL, uri, *([settings] if settings else [])]
        self.process = subprocess.Popen(command, env=clean | environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.status, (self.uri, *_) = self.answer()
        assert self.status == expect, self.uri

    def answer(self):
        line = self.process.stdout.readline()
        assert line, f"the tool ended with {self.process.wait()}"
        status, *fields = line.rstrip("\n").split("\t")
        return int(status), [urllib.parse.unquote(f, errors="surrogateescape") for f in fields]

    def send(self, *fields):
        self.process.stdin.write("\t".join(urllib.parse.quote(str(f), safe="") for f in fields) + "\n")
        self.process.stdin.flush()

    def ask(self, *fields):
        self.send(*fields)
        return self.answer()

    def put(self, key, text, condition="any", etag=""):
        return self.ask("put", key, text, condition, etag)

    def get(self, key, limit=1 << 20):
        status, fields = self.ask("get", key, limit)
        return (status, bytes.fromhex(fields[0])) if status == OK else (status, fields[0])

    def list(self, prefix="", after="", aside=0, stop=0):
        status, fields = self.ask("list", prefix, after, aside, stop)
        if status != OK:
            return status, fields[0]
        keys = []
        for _ in range(int(fields[0])):
            key, size, etag, mtime = self.process.stdout.readline().rstrip("\n").split("\t")
            keys.append((urllib.parse.unquote(key), int(size), etag, int(mtime)))
        return OK, keys

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        return code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        code = self.close()
        assert kind or code == 0


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))

    @property
    def is_probe(self):
        return "/.probe-" in self.path

    @property
    def is_put(self):
        return self.method == "PUT" and not self.is_probe


class Proxy:
    """Stands before the server. rule(request) says what becomes of it: None or "pass"; "drop": nothing reaches the server;
    "lose": it reaches the server and its answer is lost; "cut": half of the answer's body, then a reset; "ignore": without
    its conditions, signed anew, as an older store would; ("wait", s); ("forge", code, headers, body): answered by the proxy,
    the server never sees it; ("replace", code, headers, body): the server's answer is replaced; ("edit", f): f(code, headers,
    body) gives the answer. seen: every request."""

    def __init__(self, server, rule=lambda request: None):
        self.server, self.rule, self.seen = server, rule, []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.socket.getsockname()[1]
        self.lock = threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        file = connection.makefile("rb")
        try:
            while self.one(connection, file):
                pass
        except OSError:
            pass
        finally:
            file.close()
            connection.close()

    @staticmethod
    def head(file):
        lines = []
        while (line := file.readline()) not in (b"\r\n", b""):
            lines.append(line.decode().rstrip("\r\n"))
        return lines

    def one(self, connection, file):
        lines = self.head(file)
        if not lines:
            return False
        method, target, _ = lines[0].split(" ")
        headers = dict((k.strip().lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:]))
        if headers.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = Request(method, target, headers, file.read(int(headers.get("content-length", 0))))
        with self.lock:
            self.seen.append(request)
            action = self.rule(request) or "pass"
        kind, *rest = (action,) if isinstance(action, str) else action
        if kind == "drop":
            return False
        if kind == "wait":
            time.sleep(rest[0])
        if kind == "forge":
            self.reply(connection, method, *rest)
            return True
        if kind == "ignore":
            bucket, _, key = urllib.parse.unquote(request.path[1:]).partition("/")
            kept = {k: v for k, v in headers.items() if k.startswith("x-amz-meta-") or k == "content-md5"}
            code, answered, body = self.server.request(method, bucket, key, query=request.query, headers=kept, body=request.body)
        else:
            code, answered, body = self.forward(request)
        if kind == "lose":
            return False
        if kind == "replace":
            self.reply(connection, method, *rest)
        elif kind == "edit":
            self.reply(connection, method, *rest[0](code, answered, body))
        else:
            self.reply(connection, method, code, answered, body, cut=kind == "cut")
        return kind != "cut"

    def forward(self, request):
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as upstream:
            head = [f"{request.method} {request.target} HTTP/1.1", *(f"{k}: {v}" for k, v in request.headers.items() if k != "expect"), "connection: close"]
            upstream.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + request.body)
            file = upstream.makefile("rb")
            lines = self.head(file)
            headers = dict((k.strip().lower(), v.strip()) for k, _, v in (line.partition(":") for line in lines[1:]))
            return int(lines[0].split(" ")[1]), headers, file.read() if request.method != "HEAD" else b""

    @staticmethod
    def reply(connection, method, code, headers, body, cut=False):
        headers = {k: v for k, v in headers.items() if k not in ("connection", "transfer-encoding")}
        if method != "HEAD":
            headers["content-length"] = str(len(body))
        text = "\r\n".join([f"HTTP/1.1 {code} Whatever", *(f"{k}: {v}" for k, v in headers.items())]).encode() + b"\r\n\r\n"
        if method != "HEAD":
            text += body[: len(body) // 2] if cut else body
        connection.sendall(text)
        if cut:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def error(code, name, message="in words", extra=""):
    return code, {"content-type": "application/xml", "x-amz-request-id": "1"}, f"<?xml version='1.0'?><Error><Code>{name}</Code><Message>{message}</Message>{extra}</Error>".encode()


PAGE = 200, {"content-type": "text/html", "etag": '"abc"'}, b"<html><body>Please <b>log in</b><br></body></html>"


@pytest.fixture
def bucket(minio):
    return minio.bucket()


@pytest.fixture
def tool(minio, bucket):
    with Tool(f"s3://{bucket}/lake", minio.environment()) as t:
        yield t


def through(proxy, bucket, **kwargs):
    return Tool(f"s3://{bucket}/lake", proxy.server.environment(proxy.port), **kwargs)


# ---- what the calls do ----


def test_bytes_come_back(minio, bucket, tool):
    assert tool.uri == f"s3://{bucket}/lake"
    now = time.time()
    status, (etag, size, mtime) = tool.put("a/b.json", "hello")
    assert (status, etag, size) == (OK, hashlib.md5(b"hello").hexdigest(), "5")
    assert abs(int(mtime) / 1000 - now) < 5
    assert minio.get(bucket, "lake/a/b.json") == b"hello"
    assert tool.get("a/b.json") == (OK, b"hello")
    assert tool.get("a/b.json", 4)[0] == ELIMIT
    assert tool.ask("stat", "a/b.json")[1][:2] == [etag, "5"]
    assert tool.put("empty", "")[0] == OK
    assert tool.get("empty") == (OK, b"")
    assert tool.ask("stat", "empty")[1][1] == "0"
    for offset, length, expected in [(0, 2, b"he"), (3, 9, b"lo"), (5, 1, b""), (9, 9, b""), (0, 0, b"")]:
        assert tool.ask("range", "a/b.json", offset, length) == (OK, [expected.hex()]), (offset, length)
    assert tool.ask("range", "empty", 0, 10) == (OK, [""])
    assert tool.ask("delete", "a/b.json")[0] == OK
    assert tool.ask("delete", "a/b.json")[0] == OK
    assert tool.list() == (OK, [("empty", 0, hashlib.md5(b"").hexdigest(), tool.list()[1][0][3])])


def test_what_is_not_there(tmp_path, bucket, tool):
    for command in (["get", "no", 10], ["range", "no", 0, 1], ["range", "no", 0, 0], ["stat", "no"], ["fetch", "no", tmp_path / "out"]):
        status, (text,) = tool.ask(*command)
        assert status == ENOTFOUND and f"s3://{bucket}/lake/no" in text, command
    assert not list(tmp_path.iterdir())
    assert tool.list() == (OK, [])


KEYS = ["a b", "100%", "p=1/q=2", "a+b", "\u00e9 \u2713 \u6f22", "A&B;C", "#hash?query", "it's \"q\"", "%2F%20+", "~-._", "!*()@:,$", "a/b/c/d", "<x>", "tab\there", "\U0001f389"]


@pytest.mark.parametrize("prefix", ["", "/lake=1/\u00fc x"])
def test_awkward_keys(minio, bucket, prefix):
    with Tool(f"s3://{bucket}{prefix}", minio.environment()) as tool:
        for key in KEYS:
            assert tool.put(key, key, "absent")[0] == OK, key
            assert tool.put(key, key, "absent")[0] == ECONFLICT, key
            assert tool.get(key) == (OK, key.encode()), key
            assert tool.ask("stat", key)[0] == OK, key
        assert set(minio.list(bucket)) == {(prefix[1:] + "/" if prefix else "") + key for key in KEYS}
        assert [k for k, *_ in tool.list()[1]] == sorted(KEYS, key=str.encode)
        assert [k for k, *_ in tool.list("a")[1]] == ["a b", "a+b", "a/b/c/d"]
        for key in KEYS:
            assert tool.ask("delete", key)[0] == OK
        assert minio.list(bucket) == {}
        for bad in ("", "../x", "/x", "a//b", "a/./b", "a/", "x" * 1025, ".a.tmp"):
            assert tool.put(bad, "x")[0] == EUSAGE, bad
        tool.process.stdin.write("put\t%FF\tx\tany\t\n")
        tool.process.stdin.flush()
        assert tool.answer()[0] == EUSAGE


def test_list_of_2500(minio, bucket, tool):
    names = [f"log/{i:020d}.json" for i in range(2500)]
    threads = [threading.Thread(target=lambda part: [minio.put(bucket, "lake/" + n, b"x") for n in part], args=(names[i::8],)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    minio.put(bucket, "lake/log/", b"")  # a folder's mark
    minio.put(bucket, "lake/log/.half.tmp", b"")
    minio.put(bucket, "lakes/other", b"")
    status, keys = tool.list("log/")
    assert status == OK and [k for k, *_ in keys] == names
    assert {(size, etag) for _, size, etag, _ in keys} == {(1, hashlib.md5(b"x").hexdigest())}
    assert all(abs(mtime / 1000 - time.time()) < 300 for *_, mtime in keys)
    assert [k for k, *_ in tool.list("log/", names[1234])[1]] == names[1235:]
    assert [k for k, *_ in tool.list("log/", "log/00000000000000002499")[1]] == names[2499:]
    assert [k for k, *_ in tool.list("log/", "", 0, 1500)[1]] == names[:1500]
    assert [k for k, *_ in tool.list("log/", "", 1)[1]] == ["log/.half.tmp", *names]
    assert tool.list("log/x")[1] == []
    assert len(tool.list()[1]) == 2500


def test_conditions(minio, bucket, tool):
    assert tool.put("k", "x", "match", "0" * 32)[0] == ECONFLICT
    status, (one, *_) = tool.put("k", "one", "absent")
    assert status == OK and tool.put("k", "two", "absent")[0] == ECONFLICT
    status, (two, *_) = tool.put("k", "two", "match", one)
    assert status == OK and tool.put("k", "old", "match", one)[0] == ECONFLICT
    assert minio.get(bucket, "lake/k") == b"two"
    assert tool.put("k", "three", "match", two)[0] == OK
    assert tool.put("k", "four")[0] == OK
    minio.delete(bucket, "lake/k")
    assert tool.put("k", "x", "match", hashlib.md5(b"four").hexdigest())[0] == ECONFLICT
    assert minio.list(bucket) == {}  # no probe is left either


# ---- races ----


def test_absent_has_one_winner(minio, bucket):
    """32 processes, 10 rounds, all put at once."""
    tools = [Tool(f"s3://{bucket}/race", minio.environment()) for _ in range(32)]
    for r in range(10):
        for i, t in enumerate(tools):
            t.send("put", f"r{r}", f"round {r} writer {i}", "absent", "")
        winners = [i for i, t in enumerate(tools) if {OK: True, ECONFLICT: False}[t.answer()[0]]]
        assert len(winners) == 1
        assert minio.get(bucket, f"race/r{r}") == f"round {r} writer {winners[0]}".encode()
    for t in tools:
        assert t.close() == 0
    assert len(minio.list(bucket)) == 10


def test_threads_share_a_store(tool):
    for i in range(3):
        assert tool.ask("race", 16, f"r{i}") == (OK, ["1", "15"])


def test_match_loses_no_write(minio, bucket):
    """8 processes count up one object, 10 times each."""
    minio.put(bucket, "n/counter", b"0")

    def count(tool):
        done = 0
        while done < 10:
            status, fields = tool.ask("get", "counter", 100)
            assert status == OK
            status = tool.put("counter", str(int(bytes.fromhex(fields[0])) + 1), "match", fields[1])[0]
            assert status in (OK, ECONFLICT)
            done += status == OK

    tools = [Tool(f"s3://{bucket}/n", minio.environment()) for _ in range(8)]
    threads = [threading.Thread(target=count, args=(t,)) for t in tools]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for t in tools:
        assert t.close() == 0
    assert minio.get(bucket, "n/counter") == b"80"


# ---- large objects ----


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "in"
    path.write_bytes(random.Random(5).randbytes(40 << 20))
    return path


def multipart_etag(data, part=16 << 20):
    parts = [hashlib.md5(data[i : i + part]).digest() for i in range(0, len(data), part)]
    return f"{hashlib.md5(b''.join(parts)).hexdigest()}-{len(parts)}"


def test_upload(minio, bucket, tool, large, tmp_path):
    data = large.read_bytes()
    status, (etag, size, _) = tool.ask("putfile", "big", large, "absent", "")
    assert (status, etag, int(size)) == (OK, multipart_etag(data), len(data))
    assert hashlib.sha256(minio.get(bucket, "lake/big")).digest() == hashlib.sha256(data).digest()
    assert tool.ask("putfile", "big", large, "absent", "")[0] == ECONFLICT
    assert tool.ask("putfile", "big", large, "match", "0" * 32)[0] == ECONFLICT
    assert tool.ask("putfile", "big", large, "match", etag)[0] == OK
    assert tool.ask("fetch", "big", tmp_path / "out")[0] == OK
    assert (tmp_path / "out").read_bytes() == data and len(list(tmp_path.iterdir())) == 1
    assert tool.ask("range", "big", 16 << 20, 4)[1] == [data[16 << 20 : (16 << 20) + 4].hex()]
    small = tmp_path / "small"
    small.write_bytes(data[: 16 << 20])
    assert tool.ask("putfile", "small", small, "any", "")[1][0] == hashlib.md5(data[: 16 << 20]).hexdigest()  # one request
    assert tool.ask("putfile", "none", tmp_path / "missing", "any", "")[0] == ENOTFOUND
    assert minio.uploads(bucket) == [] and set(minio.list(bucket)) == {"lake/big", "lake/small"}


def test_upload_survives_what_passes(minio, bucket, large):
    """Every kind of request of an upload fails once, in each way; then its last step is lost after it worked."""
    kinds = {"begin": lambda r: "uploads" in r.query, "part": lambda r: r.query.get("partNumber") == "2", "end": lambda r: r.method == "POST" and "uploadId" in r.query}
    for name, is_it in kinds.items():
        for how in ["drop", "lose", ("forge", *error(503, "SlowDown")), ("forge", 502, {}, b"<html>bad gateway</html>"), ("forge", *PAGE)]:
            if name == "begin" and how == ("forge", *PAGE):
                continue
            struck = []

            def rule(r):
                if is_it(r) and not r.is_probe and not struck:
                    struck.append(r)
                    return how

            key = f"{name}-{how if isinstance(how, str) else how[1]}"
            with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
                status, fields = tool.ask("putfile", key, large, "absent", "")
                assert (status, fields[0]) == (OK, multipart_etag(large.read_bytes())), (key, fields)
            assert struck
    assert len(minio.list(bucket)) == 14
    assert set(minio.uploads(bucket)) <= {"lake/begin-lose"}  # begun, but nobody was told its name


@pytest.mark.parametrize("what", ["error in a 200", "412 in a 200", "another is first", "forgotten", "denied"])
def test_upload_that_ends_badly(minio, bucket, large, what):
    ends = []

    def rule(r):
        if r.method != "POST" or "uploadId" not in r.query or r.is_probe:
            return None
        ends.append(r)
        if what == "error in a 200":
            return ("forge", *error(200, "InternalError")) if len(ends) == 1 else None
        if what == "412 in a 200":
            return "forge", *error(200, "PreconditionFailed")
        if what == "another is first":
            minio.put(bucket, "lake/big", b"theirs")
            return None
        if what == "forgotten":
            return "forge", *error(404, "NoSuchUpload")
        return "forge", *error(403, "AccessDenied")

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        status, fields = tool.ask("putfile", "big", large, "absent", "")
    expected = {"error in a 200": OK, "412 in a 200": ECONFLICT, "another is first": ECONFLICT, "forgotten": EHTTP, "denied": EAUTH}
    assert status == expected[what], fields
    assert minio.uploads(bucket) == []
    assert minio.list(bucket) == ({"lake/big": 40 << 20} if status == OK else {"lake/big": 6} if what == "another is first" else {})


@pytest.mark.parametrize("size,most", [(100, 4), (20 << 20, 10)])
def test_a_crash_at_any_request_leaves_whole_objects(minio, bucket, tmp_path, size, most):
    """The process ends right before and right after its n-th request; the object is whole or not there, the next put is not in the way."""
    path = tmp_path / "in"
    path.write_bytes(random.Random(size).randbytes(size))
    put, ended = f"putfile\t{{}}\t{path}\tabsent\t\n", 0
    for action in ("exit-before", "exit-after"):
        for n in range(1, 100):
            key = f"{action}-{n}"
            environment = os.environ | minio.environment() | {"TICKLAKE_FAULT": f"net:{n}:{action}"}
            run = subprocess.run([TOOL, f"s3://{bucket}/lake"], input=put.format(key), env=environment, text=True, capture_output=True)
            there = minio.list(bucket, f"lake/{key}").get(f"lake/{key}")
            assert there in (None, size)
            with Tool(f"s3://{bucket}/lake", minio.environment()) as tool:
                assert tool.ask("putfile", key, path, "absent", "")[0] == (OK if there is None else ECONFLICT)
            assert minio.get(bucket, f"lake/{key}") == path.read_bytes()
            if run.returncode == 0:
                break
            assert run.returncode == 99
            ended += 1
    assert ended >= 2 * most


# ---- answers that get lost ----


def test_a_lost_answer_neither_loses_nor_doubles(minio, bucket):
    """20 rounds: the answer of the put that won is lost; in every second round another writer comes right after."""
    state = {"lose": False}

    def rule(r):
        if r.is_put and state["lose"]:
            state["lose"] = False
            return "lose"

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as ours, Tool(f"s3://{bucket}/lake", minio.environment()) as theirs:
        for r in range(20):
            state["lose"] = True
            assert ours.put(f"r{r}", f"ours {r}", "absent")[0] == OK
            assert theirs.put(f"r{r}", f"theirs {r}", "absent")[0] == ECONFLICT
            assert not state["lose"]
            assert minio.get(bucket, f"lake/r{r}") == f"ours {r}".encode()
        sent = [r.path for r in proxy.seen if r.is_put]
        assert len(sent) == len(set(sent)) == 20  # found to be ours, so not sent again


def test_a_lost_request_is_sent_again_and_may_lose(minio, bucket):
    """20 rounds: the put never arrives, and in every second round another writer takes the name meanwhile."""
    state = {}

    def rule(r):
        if r.is_put and r.path not in state:
            state[r.path] = True
            key = urllib.parse.unquote(r.path).split("/", 2)[2]
            if int(key[6:]) % 2:
                minio.put(bucket, key, b"theirs")
            return "drop"

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        for r in range(20):
            assert tool.put(f"r{r}", "ours", "absent")[0] == (ECONFLICT if r % 2 else OK)
            assert minio.get(bucket, f"lake/r{r}") == (b"theirs" if r % 2 else b"ours")


def test_equal_content_of_two_writers_has_one_winner(minio, bucket):
    """The answer of a put that LOST is lost. What is there has the same bytes, but is not ours."""
    state = {"lose": True}

    def rule(r):
        if r.is_put and state.pop("lose", None):
            minio.put(bucket, "lake/k", b"same", **{"x-amz-meta-ticklake-put": "another"})
            return "lose"

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        assert tool.put("k", "same", "absent")[0] == ECONFLICT


@pytest.mark.parametrize("same", [True, False])
def test_a_store_without_metadata_is_compared_by_bytes(minio, bucket, same):
    def rule(r):
        if r.is_put:
            minio.put(bucket, "lake/k", r.body if same else r.body[::-1])
            return "drop"

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        assert tool.put("k", "bytes", "absent")[0] == (OK if same else ECONFLICT)


def test_a_log_over_a_lossy_line_is_exact(minio, bucket):
    """8 processes commit 15 entries each to the next free name, while every fourth request or answer is lost or put off: each
    acknowledged entry is there once, nothing else is, and the names have no gap."""
    dice = random.Random(11)
    acknowledged, wrong = [], []

    def write(writer, tool):
        name = 0
        for i in range(15):
            entry = f"writer {writer} entry {i}"
            while True:
                status, fields = tool.put(f"log/{name:03d}", entry, "absent")
                if status not in (OK, ECONFLICT):
                    wrong.append(fields)
                    return
                if status == OK:
                    acknowledged.append((name, entry))
                    break
                name += 1

    with Proxy(minio, lambda r: None if r.is_probe else dice.choice(["lose", "drop", ("forge", *error(503, "SlowDown")), *[None] * 9])) as proxy:
        tools = [through(proxy, bucket) for _ in range(8)]
        threads = [threading.Thread(target=write, args=pair) for pair in enumerate(tools)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for t in tools:
            t.close()
    assert not wrong
    there = {int(k[-3:]): minio.get(bucket, k).decode() for k in minio.list(bucket, "lake/log/")}
    assert there == dict(acknowledged) and len(acknowledged) == 120 and sorted(there) == list(range(120))


def test_match_after_a_lost_answer(minio, bucket):
    state = {}

    def rule(r):
        if r.is_put and "if-match" in r.headers and state.get("next"):
            return state.pop("next")

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        etag = tool.put("k", "0", "any")[1][0]
        for i, how in enumerate(["lose", "drop", ("forge", *error(500, "InternalError")), ("forge", *error(409, "ConditionalRequestConflict")), ("forge", *PAGE)]):
            state["next"] = how
            status, fields = tool.put("k", f"value {i}", "match", etag)
            assert status == OK, fields
            assert minio.get(bucket, "lake/k") == f"value {i}".encode()
            etag = fields[0]
        state["next"] = "lose"
        assert tool.put("k", "x", "match", "0" * 32)[0] == ECONFLICT


@pytest.mark.parametrize("condition", ["any", "absent"])
@pytest.mark.parametrize("how", ["drop", "lose", "page", "page after", "502", "503", "500", "429", "409", "short xml", "bad etag", "408"])
def test_a_put_survives_what_passes(minio, bucket, condition, how):
    """Twice in a row each."""
    ways = {"drop": "drop", "lose": "lose", "page": ("forge", *PAGE), "page after": ("replace", *PAGE), "502": ("forge", 502, {}, b"<html>bad gateway</html>"),
            "503": ("forge", *error(503, "SlowDown")), "500": ("replace", *error(500, "InternalError")), "429": ("forge", 429, {"retry-after": "1"}, b""),
            "409": ("forge", *error(409, "ConditionalRequestConflict")), "short xml": ("forge", 503, {}, b"<Error><Co"),
            "bad etag": ("edit", lambda code, headers, body: (code, headers | {"etag": '"' + "0" * 32 + '"'}, body)), "408": ("forge", *error(400, "RequestTimeout"))}
    struck = []

    def rule(r):
        if r.is_put and len(struck) < 2:
            struck.append(r)
            return ways[how]

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        begin = time.monotonic()
        status, fields = tool.put("k", "content", condition)
        assert status == OK, fields
        if how == "429":
            assert time.monotonic() - begin >= 2
        assert minio.get(bucket, "lake/k") == b"content"
        assert fields[0] == hashlib.md5(b"content").hexdigest()
        assert tool.put("k", "other", "absent")[0] == ECONFLICT


@pytest.mark.parametrize("how", ["drop", "lose", "cut", "502", "503", "reset body"])
def test_reading_survives_what_passes(minio, bucket, how):
    ways = {"drop": "drop", "lose": "lose", "cut": "cut", "502": ("forge", 502, {}, b"<html>"), "503": ("forge", *error(503, "SlowDown")),
            "reset body": ("edit", lambda code, headers, body: (code, headers, body[::-1]))}
    seen = {}

    def rule(r):
        seen[r.method, r.target] = seen.get((r.method, r.target), 0) + 1
        if seen[r.method, r.target] == 1 and not (how == "reset body" and (r.method != "GET" or r.query or "range" in r.headers)):
            return ways[how]

    minio.put(bucket, "lake/k", b"0123456789" * 500)
    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        assert tool.get("k") == (OK, b"0123456789" * 500)
        assert tool.ask("stat", "k")[1][1] == "5000"
        assert [k for k, *_ in tool.list()[1]] == ["k"]
        assert tool.ask("delete", "k")[0] == OK
        assert tool.get("k")[0] == ENOTFOUND


def test_a_page_is_never_an_object(minio, bucket, tmp_path):
    """A proxy's page instead of an answer: an error, never content, absence or success."""
    minio.put(bucket, "lake/k", b"content")
    for code in (200, 404, 403, 302):
        with Proxy(minio, lambda r: ("forge", code, {"content-type": "text/html", "etag": '"x"', "location": "http://login.example/"}, PAGE[2])) as proxy, through(proxy, bucket) as tool:
            for command in (["get", "k", 1000], ["range", "k", 0, 5], ["stat", "no"], ["fetch", "k", tmp_path / "out"], ["delete", "k"], ["list", "", "", 0, 0], ["stat", "k"]):
                if code == 200 and command[0] == "stat":
                    continue  # a HEAD has no page
                status, (text,) = tool.ask(*command)
                assert status in ({403: [EAUTH], 302: [EUSAGE]}.get(code, [EHTTP, EDECODE])), (code, command, text)
                assert "login.example" not in text
    assert not list(tmp_path.iterdir())
    assert minio.get(bucket, "lake/k") == b"content"


def test_nobody_answers(minio, bucket):
    """Patience ends with TL_ENET; a put that cannot be read back says so."""
    with Proxy(minio) as proxy:
        with through(proxy, bucket) as tool:
            assert tool.put("first", "x", "absent")[0] == OK
            proxy.rule = lambda r: "drop"
            status, text = tool.get("first")
            assert status == ENET and f"s3://{bucket}/lake/first" in text
            status, (text,) = tool.put("second", "x", "absent")
            assert status == ENET and "cannot tell whether" in text


def test_slow_connections(minio, bucket, tmp_path):
    settings = tmp_path / "settings.ini"
    settings.write_text("[s3]\ntimeout = 1\n")
    slow = []

    def rule(r):
        if not slow and r.is_put:
            slow.append(r)
            return "wait", 8
        if r.method == "GET" and len(slow) < 2:
            slow.append(r)
            return "wait", 8

    with Proxy(minio, rule) as proxy, through(proxy, bucket, settings=settings) as tool:
        begin = time.monotonic()
        assert tool.put("k", "content", "absent")[0] == OK
        assert tool.get("k") == (OK, b"content")
        assert len(slow) == 2 and time.monotonic() - begin < 14


# ---- refusals ----


@pytest.mark.parametrize("header", ["if-none-match", "if-match", "if-none-match at the end of an upload"])
def test_a_store_that_ignores_a_condition_is_refused(minio, bucket, large, header):
    def rule(r):
        upload = r.method == "POST" and "uploadId" in r.query
        if header.endswith("upload"):
            return "ignore" if upload else None
        return "ignore" if header in r.headers and not upload else None

    with Proxy(minio, rule) as proxy, through(proxy, bucket) as tool:
        for condition in ("absent", "match"):
            status, (text,) = tool.ask("putfile", "k", large, condition, "0" * 32)
            assert status == EUSAGE and "ignores" in text and header.split()[0] in text.lower()
        assert tool.put("plain", "x")[0] == OK
    assert set(minio.list(bucket)) == {"lake/plain"} and minio.uploads(bucket) == []


def test_a_store_that_does_not_know_conditions_is_refused(minio, bucket):
    with Proxy(minio, lambda r: ("forge", *error(501, "NotImplemented")) if "if-none-match" in r.headers else None) as proxy, through(proxy, bucket) as tool:
        status, (text,) = tool.put("k", "x", "absent")
        assert status == EUSAGE and "does not know If-None-Match" in text


def test_proof_is_asked_once(minio, bucket):
    with Proxy(minio) as proxy, through(proxy, bucket) as tool:
        tool.put("plain", "x")
        assert not [r for r in proxy.seen if r.is_probe]
        for i in range(5):
            assert tool.put(f"k{i}", "x", "absent")[0] == OK
        assert [r.method for r in proxy.seen if r.is_probe] == ["PUT", "HEAD", "PUT", "HEAD", "PUT", "DELETE"] or len([r for r in proxy.seen if r.is_probe]) <= 6
    assert set(minio.list(bucket)) == {"lake/plain", *(f"lake/k{i}" for i in range(5))}


def all_calls(tool, tmp_path):
    """(status, error text) of every call."""
    for command in (["get", "k", 100], ["put", "k", "x", "any", ""], ["put", "k", "x", "absent", ""], ["list", "", "", 0, 0], ["stat", "k"], ["delete", "k"],
                    ["range", "k", 0, 1], ["fetch", "k", tmp_path / "out"]):
        status, fields = tool.ask(*command)
        assert status != OK, command
        yield status, fields[0]


@pytest.mark.parametrize("what,status,words", [
    ("secret", EAUTH, "AWS_SECRET_ACCESS_KEY"), ("key", EAUTH, "AWS_ACCESS_KEY_ID"), ("token", EAUTH, ""), ("bucket", EUSAGE, "there is no bucket 'nowhere-at-all'"),
    ("clock", EUSAGE, "clock is 1[12][0-9][0-9] s (ahead|behind)"), ("policy", EAUTH, "access is denied")])
def test_refusals_are_clear(minio, bucket, tmp_path, what, status, words):
    environment, place, prefix = minio.environment(), bucket, ()
    if what == "secret":
        environment["AWS_SECRET_ACCESS_KEY"] = "canary-secret-" + "x" * 20
    elif what == "key":
        environment["AWS_ACCESS_KEY_ID"] = "CANARYKEY"
    elif what == "token":
        environment["AWS_SESSION_TOKEN"] = "canary-token"
    elif what == "bucket":
        place = "nowhere-at-all"
    elif what == "clock":
        prefix = ("faketime", "-f", "+20m")
    rule = (lambda r: ("forge", *error(403, "AccessDenied", "Access Denied."))) if what == "policy" else (lambda r: None)
    with Proxy(minio, rule) as proxy:
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.port}"
        with Tool(f"s3://{place}/lake", environment, prefix=prefix) as tool:
            for got, text in all_calls(tool, tmp_path):
                assert got == status and re.search(words, str(text)), (got, text)
                assert f"'{place}'" in text or f"s3://{place}/lake" in text
                assert "canary" not in text.lower() and environment["AWS_SECRET_ACCESS_KEY"] not in text


@pytest.mark.parametrize("answer,words", [
    ((301, {"x-amz-bucket-region": "eu-west-3", "x-amz-request-id": "1"}, b""), "AWS_REGION=eu-west-3"),
    ((307, {"location": "http://elsewhere.example/", "x-amz-request-id": "1"}, b""), "set AWS_REGION"),
    (error(400, "AuthorizationHeaderMalformed", extra="<Region>ap-south-1</Region>"), "AWS_REGION=ap-south-1")])
def test_another_region_is_named(minio, bucket, tmp_path, answer, words):
    with Proxy(minio, lambda r: ("forge", *answer)) as proxy, through(proxy, bucket) as tool:
        for status, text in all_calls(tool, tmp_path):
            assert status == EUSAGE and words in text and "elsewhere.example" not in text


def test_plain_http_is_for_this_machine(minio, bucket, tmp_path):
    environment = minio.environment() | {"AWS_ENDPOINT_URL": "http://storage.example:9000"}
    tool = Tool(f"s3://{bucket}", environment, expect=EUSAGE)
    assert "http://storage.example:9000" in tool.uri and "allow_http" in tool.uri
    tool.close()
    settings = tmp_path / "settings.ini"
    settings.write_text("[s3]\nallow_http = true\n")
    with Tool(f"s3://{bucket}", environment, settings=settings) as tool:
        assert tool.status == OK


@pytest.mark.parametrize("uri", ["s3://", "s3:///x", "s3://a", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/.", "s3://b@d/x", "s3://bucket/" + "x" * 1100])
def test_addresses_that_are_none(minio, uri):
    Tool(uri, minio.environment(), expect=EUSAGE).close()


@pytest.mark.parametrize("uri", ["s3a://{}/lake/", "s3n://{}/lake//", "s3://{}/lake"])
def test_addresses(minio, bucket, uri):
    with Tool(uri.format(bucket), minio.environment()) as tool:
        assert tool.uri == f"s3://{bucket}/lake"


# ---- who we are ----


def test_where_keys_come_from(minio, bucket, tmp_path):
    (tmp_path / ".aws").mkdir()
    credentials, config, settings = tmp_path / ".aws" / "credentials", tmp_path / ".aws" / "config", tmp_path / "settings.ini"
    right = {"id": minio.access_key, "secret": minio.secret_key}
    home = {"HOME": str(tmp_path)}

    def works(environment, settings=None):
        with Tool(f"s3://{bucket}", home | environment, settings=settings) as tool:
            return tool.put("k", "x")[0]

    def refused(environment, settings=None):
        tool = Tool(f"s3://{bucket}", home | environment, settings=settings, expect=EUSAGE)
        tool.close()
        return tool.uri

    url = minio.url
    assert "AWS_ACCESS_KEY_ID" in refused({"AWS_ENDPOINT_URL": url})
    credentials.write_text("# mine\n[default]\naws_access_key_id = WRONG\naws_secret_access_key = WRONG\n\n[lake]\naws_access_key_id={id}\naws_secret_access_key = {secret}\n".format(**right))
    config.write_text(f"[default]\nregion = us-east-1\n[profile lake]\nregion=us-east-1\ns3 =\n  addressing_style = path\nendpoint_url = {url}\n[profile role]\nrole_arn = arn:x\n")
    assert works({"AWS_PROFILE": "lake"}) == OK
    assert works({"AWS_ENDPOINT_URL": url}) == EAUTH  # the default profile's
    assert "'other' stands in neither" in refused({"AWS_PROFILE": "other"})
    assert "role_arn" in refused({"AWS_PROFILE": "role"})
    assert works({"AWS_PROFILE": "lake", "AWS_ACCESS_KEY_ID": "WRONG", "AWS_SECRET_ACCESS_KEY": "WRONG"}) == EAUTH  # the environment goes first
    assert "AWS_SECRET_ACCESS_KEY" in refused({"AWS_PROFILE": "lake", "AWS_ACCESS_KEY_ID": "HALF"})
    settings.write_text("[s3]\naccess_key = {id}\nsecret_key = ${{MY_SECRET}}\nendpoint = {url}\nregion = us-east-1\n".format(url=url, **right))
    settings.chmod(0o600)
    assert works({"MY_SECRET": minio.secret_key}, settings) == OK
    assert works({"MY_SECRET": minio.secret_key, "AWS_PROFILE": "lake"}, settings) == OK
    shutil.move(credentials, tmp_path / "elsewhere")
    assert works({"AWS_PROFILE": "lake", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "elsewhere")}) == OK
    settings.write_text("[s3]\npath_style = maybe\n")
    assert "path_style" in refused({"AWS_ENDPOINT_URL": url} | minio.environment(), settings)


def test_virtual_host_style(tmp_path):
    """bucket.localhost, as MinIO with a domain answers it; the signature covers the host."""
    settings = tmp_path / "settings.ini"
    settings.write_text("[s3]\npath_style = false\n")
    with Minio(domain="localhost") as server:
        bucket = server.bucket()
        with Proxy(server) as proxy:
            environment = server.environment() | {"AWS_ENDPOINT_URL": f"http://localhost:{proxy.port}", "http_proxy": "http://127.0.0.1:1"}
            with Tool(f"s3://{bucket}/lake", environment, settings=settings) as tool:
                assert tool.put("p=1/a b", "x", "absent")[0] == OK
                assert tool.put("p=1/a b", "x", "absent")[0] == ECONFLICT
                assert tool.get("p=1/a b") == (OK, b"x")
                assert [k for k, *_ in tool.list()[1]] == ["p=1/a b"]
            assert {r.headers["host"] for r in proxy.seen} == {f"{bucket}.localhost:{proxy.port}"}
            assert all(not r.path.startswith(f"/{bucket}") for r in proxy.seen)
        assert server.list(bucket) == {"lake/p=1/a b": 1}


def test_a_session_token_is_signed(minio, bucket):
    """MinIO gives temporary keys; the third of them must travel and be signed."""
    code, _, body = sts(minio)
    assert code == 200, body
    found = {name: re.search(f"<{name}>([^<]+)<", body.decode()).group(1) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")}
    environment = minio.environment() | {"AWS_ACCESS_KEY_ID": found["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"], "AWS_SESSION_TOKEN": found["SessionToken"]}
    with Tool(f"s3://{bucket}", environment) as tool:
        assert tool.put("k", "x", "absent")[0] == OK
        assert tool.get("k") == (OK, b"x")
    del environment["AWS_SESSION_TOKEN"]
    with Tool(f"s3://{bucket}", environment) as tool:
        assert tool.get("k")[0] == EAUTH


def sts(server):
    """AssumeRole: a form posted to the root, signed for the service sts."""
    import hmac
    import http.client

    body = "Action=AssumeRole&DurationSeconds=3600&Version=2011-06-15"
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body.encode()).hexdigest()
    headers = {"content-type": "application/x-www-form-urlencoded", "host": f"127.0.0.1:{server.port}", "x-amz-content-sha256": digest, "x-amz-date": now}
    names = ";".join(sorted(headers))
    canonical = "\n".join(["POST", "/", "", *(f"{k}:{headers[k]}" for k in sorted(headers)), "", names, digest])
    scope = f"{now[:8]}/{server.region}/sts/aws4_request"
    key = ("AWS4" + server.secret_key).encode()
    for part in (now[:8], server.region, "sts", "aws4_request"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    signature = hmac.new(key, "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()]).encode(), "sha256").hexdigest()
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={server.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/", body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.getheaders(), answer.read()


# ---- faults ----


@pytest.mark.parametrize("seam,least", [("alloc", 500), ("net", 5), ("net-after", 5)])
def test_every_fault_is_survived_or_said(minio, bucket, tool, seam, least):
    """Each allocation fails once, each request is never sent or its answer lost once: no leak, and no acknowledged put lost."""
    stride = 3 if seam == "alloc" and float(os.environ.get("TICKLAKE_RELIABILITY_SCALE", "1")) < 1 else 1
    status, (count,) = tool.ask("sweep", seam, f"sweep/{seam}", stride)
    assert status == OK, count
    assert int(count) >= least
    assert not [k for k in minio.list(bucket) if ".probe-" in k] or seam == "alloc"
