"""Tables on S3 when S3 is not well: wrong keys, no such bucket, a clock that is off, connections that are slow, cut or dropped, a proxy that
answers 200 to a put it never passed on. Errors are clear and in time, secrets stay out of them, and the table is whole before, between and after."""
import hashlib
import threading
import time

import pytest

import proxy
import tables
from minio import minio  # noqa: F401 (a fixture)
from tables import S3, Table, calm

FACES = ("delta", "iceberg")


class World:
    def __init__(self, minio, faces):  # noqa: F811
        self.minio, self.place = minio, S3(minio)
        self.table = Table(self.place, "t", faces, "symbol")
        self.random = tables.prng(f"s3 {faces}")
        self.added = 0
        self.append()

    def rows(self):
        self.added += 1
        return calm(self.random, 15, first=100 * self.added)

    def append(self, **env):
        """An append that must succeed; the table is then as it must be."""
        rows = self.rows()
        done = tables.run(self.place, ["table", "append", self.table.uri, "--from", self.table.file(rows), "--json"], **env)
        assert done.code == 0, done.err.decode()
        self.table.model.append(rows)
        self.table.note(f"append {self.added}")
        self.table.check()

    def fails(self, *words_in_error, verb=("append",), codes=(1, 2), within=90, **env):
        """A command that must fail, soon, with these words, and change nothing."""
        rows, began = self.rows(), time.monotonic()
        more = ["--from", self.table.file(rows)] if verb[0] in ("append", "merge") else []
        done = tables.run(self.place, ["table", verb[0], self.table.uri, *more, *verb[1:], "--json"], timeout=within, **env)
        said = done.err.decode()
        assert done.code in codes, (done.code, said)
        for word in words_in_error:
            assert word.lower() in said.lower(), f"no {word!r} in: {said}"
        assert self.minio.secret_key not in said and "wrong-secret" not in said
        self.table.check(lint=False)
        return time.monotonic() - began


@pytest.fixture
def world(request, minio, faces):  # noqa: F811
    made = World(minio, faces)
    yield made
    made.place.close()


def each(cases):
    """Every case on both formats; at small scale they take turns."""
    cases = list(cases)
    return [(case, faces) for i, case in enumerate(cases) for j, faces in enumerate(FACES) if tables.SCALE >= 0.5 or i % 2 == j]


@pytest.mark.parametrize("faces", FACES)
def test_credentials_and_names(world, minio):  # noqa: F811
    world.fails("s3://", AWS_SECRET_ACCESS_KEY="wrong-secret-wrong-secret-wrong-secret-0")
    world.fails("s3://", AWS_ACCESS_KEY_ID="nobody")
    world.fails(verb=("describe",), AWS_SECRET_ACCESS_KEY="wrong-secret-wrong-secret-wrong-secret-0")
    done = tables.run(world.place, ["table", "describe", "s3://no-such-bucket-here/t"])
    assert done.code in (1, 2) and b"no-such-bucket-here" in done.err, done
    done = tables.run(world.place, ["table", "create", "s3://no-such-bucket-here/t", "--columns", "a BIGINT", "--faces", world.table.faces[0]])
    assert done.code in (1, 2) and b"no-such-bucket-here" in done.err and b"bucket" in done.err.replace(b"no-such-bucket-here", b""), done
    done = tables.run(world.place, ["table", "describe", world.place.uri("nothing-here")])
    assert done.code in (1, 2) and b"nothing-here" in done.err, done
    world.append()


@pytest.mark.parametrize("faces", ["delta"])
def test_a_clock_that_is_off(world):
    world.fails("clock", prefix=("faketime", "-f", "+2h"))
    world.fails("clock", prefix=("faketime", "-f", "-2h"))
    world.append(prefix=("faketime", "-f", "+3m"))


@pytest.mark.parametrize("faces", ["iceberg"])
def test_nobody_listens(world, minio):  # noqa: F811
    from minio import free_port
    world.fails("127.0.0.1", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    world.append()


def page(head, body):
    return f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


HTML = page("200 OK\r\nContent-Type: text/html", "<html>please log in</html>")
SLOW_DOWN = page("503 Slow Down\r\nContent-Type: application/xml", '<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>reduce your rate</Message></Error>')


def cut(request, pass_on):
    """Half of an answer, then the end of the connection."""
    answer = pass_on(request)
    return answer[:answer.index(b"\r\n\r\n") + 4 + max(0, (len(answer) - answer.index(b"\r\n\r\n") - 4) // 2)] if request.method == "GET" else answer


def slow(request, pass_on):
    time.sleep(0.15)
    return pass_on(request)


def only(methods, what, times):
    """The first `times` requests of these methods meet `what`."""
    lock, left = threading.Lock(), [times]

    def rule(request):
        with lock:
            if request.method in methods and left[0]:
                left[0] -= 1
                return what
        return proxy.PASS
    rule.left = left
    return rule


# A few of each: the command retries and succeeds, once.
WEATHER = {"dropped requests": (("GET", "PUT"), proxy.DROP_REQUEST, 2), "dropped answers": (("GET", "PUT"), proxy.DROP_ANSWER, 2), "slow": (("GET", "PUT", "HEAD", "DELETE"), slow, 1000),
           "slow down": (("GET", "PUT"), SLOW_DOWN, 2), "cut answers": (("GET",), cut, 2), "a page for a put": (("PUT",), HTML, 2), "a page for a get": (("GET",), HTML, 1)}


@pytest.mark.parametrize("weather,faces", each(WEATHER))
def test_bad_weather_passes(world, minio, weather):  # noqa: F811
    methods, what, times = WEATHER[weather]
    with proxy.Proxy(minio.port) as between:
        rule = between.rule = only(methods, what, times)
        env = minio.environment(between.port)
        if weather == "a page for a get":  # not S3 speaking: an error at once, or asked again; never taken for data
            rows = world.rows()
            done = tables.run(world.place, ["table", "append", world.table.uri, "--from", world.table.file(rows), "--json"], **env)
            assert done.code in (0, 1), done
            if done.code == 0:
                world.table.model.append(rows)
                world.table.note("append behind a page")
            world.table.check()
        else:
            world.append(**env)
        assert rule.left[0] < times, "the weather was not met"
    world.append()


# All of them: an error that says what is wrong, and nothing is there that was not before.
STORMS = {"dropped": (("GET", "PUT", "HEAD"), proxy.DROP_REQUEST), "slow down": (("PUT",), SLOW_DOWN), "a page for every put": (("PUT",), HTML), "cut": (("GET",), cut)}


@pytest.mark.parametrize("storm,faces", each(STORMS))
def test_storms_end_in_an_error(world, minio, storm):  # noqa: F811
    methods, what = STORMS[storm]
    with proxy.Proxy(minio.port) as between:
        between.rule = only(methods, what, 10**9)
        world.fails("s3://", within=240, **minio.environment(between.port))
    world.append()
    probe = f"tables/{world.table.name}/.probe-0123456789abcdef0123456789abcdef.tmp"  # of a writer that died while it tried the store
    minio.put(world.table.place.bucket, probe, b"x")
    world.table.run("vacuum", "--retain", "168h")
    assert probe in minio.list(world.table.place.bucket)
    world.table.run("vacuum", "--retain", "0h", "--force")
    assert probe not in minio.list(world.table.place.bucket)
    world.table.check()
    assert world.table.run("verify")["wrong"] == 0


@pytest.mark.parametrize("faces", FACES)
def test_a_store_that_ignores_if_none_match_is_refused(world, minio):  # noqa: F811
    """Some clones of S3 know no conditions: every put wins. (What the proxy makes of each 412.)"""
    def ignores(request, pass_on):
        answer = pass_on(request)
        etag = hashlib.md5(request.body).hexdigest()
        return f"HTTP/1.1 200 OK\r\nETag: \"{etag}\"\r\nContent-Length: 0\r\n\r\n".encode() if answer.startswith(b"HTTP/1.1 412") else answer

    def rule(request):
        return ignores if request.method == "PUT" else proxy.PASS
    with proxy.Proxy(minio.port) as between:
        between.rule = rule
        env = minio.environment(between.port)
        world.fails("If-None-Match", **env)
        done = tables.run(world.place, ["table", "create", world.place.uri("other"), "--columns", "a BIGINT", "--faces", world.table.faces[0]], **env)
        assert done.code in (1, 2) and b"If-None-Match" in done.err, done
    assert not world.place.files("other"), "something was written to a store that cannot commit"
    world.append()
