"""Scorecard line 21: wherever an answer points - redirects, page tokens, next_url members - no request and no credential
leaves the configured origin. Traps listen where they would go; whatever is not loopback would go to a proxy that is a trap."""
import pytest

import rig
from test_http_faults import good

START, END = "2024-03-05T14:30:00Z", "2024-03-05T15:30:00Z"


def command(lake, *more):
    return ["import", "1m", "AAPL", START, END, "--lake", lake, "--json", "--retries", "1", "--page-limit", "8", "--read-timeout", "2s", *more]


@pytest.fixture
def trap():
    with rig.Vendor(lambda request: rig.ok(good(1))) as server:
        yield server


def targets(trap, vendor_port):
    port = trap.url.rsplit(":", 1)[1]
    return {
        "another port": f"http://127.0.0.1:{port}/v2/stocks/bars", "another host": "http://data.example.com/v2/stocks/bars",
        "https elsewhere": "https://data.alpaca.markets/v2/stocks/bars", "file:": "file:///etc/passwd", "ftp:": f"ftp://127.0.0.1:{port}/x",
        "gopher:": f"gopher://127.0.0.1:{port}/_GET", "metadata service": "http://169.254.169.254/latest/meta-data/iam/",
        "[::1]": f"http://[::1]:{port}/", "0.0.0.0": f"http://0.0.0.0:{port}/", "user@host": f"http://127.0.0.1:{vendor_port}@127.0.0.1:{port}/",
        "password": f"http://a:b@127.0.0.1:{port}/", "look-alike": "http://127.0.0.1\u3002example.com/", "trailing dot": f"http://localhost.:{port}/",
        "upper case": f"HTTP://LOCALHOST:{port}/", "number as host": f"http://2130706433:{port}/", "octal": f"http://0177.0.0.1:{port}/",
        "short": f"http://127.1:{port}/", "scheme-relative": f"//127.0.0.1:{port}/v2", "backslash": f"http:\\\\127.0.0.1:{port}\\",
        "backslash after the origin": f"http://127.0.0.1:{vendor_port}\\@127.0.0.1:{port}/", "line break": f"http://127.0.0.1:{port}/%0d%0aX: y",
        "same host, https": f"https://127.0.0.1:{port}/", "fragment": f"http://127.0.0.1:{port}#@127.0.0.1:{vendor_port}/",
    }


def proxy_env(trap):
    return {"http_proxy": trap.url, "https_proxy": trap.url, "all_proxy": trap.url, "HTTP_PROXY": trap.url, "HTTPS_PROXY": trap.url}


NAMES = list(targets(type("T", (), {"url": "http://127.0.0.1:1"}), 2))


@pytest.mark.parametrize("name", rig.sample(NAMES, scale=1))
def test_a_redirect_is_not_followed(home, trap, name):
    statuses = (301, 302, 303, 307, 308) if rig.SCALE >= 1 else (301 + len(name) % 2, 307)
    for status in statuses:
        def answer(request):
            where = targets(trap, vendor.server_address[1])[name]
            return status, {"Location": where.encode("utf-8").decode("latin-1")}, b""
        with rig.Vendor(answer) as vendor:
            done = rig.run(command(rig.fresh(home, "lake")), home, vendor.url, env=proxy_env(trap), timeout=30)
            rig.assert_clean(done, f"{status} to {name}", codes=(1,))
            assert rig.summary(done)["failed"][0]["reason"], done
            assert not trap.seen, f"{status} to {name} was followed: {trap.seen[0].requestline}"
            assert len(vendor.seen) <= 2, "asked again and again"


@pytest.mark.parametrize("name", rig.sample(NAMES, scale=1))
def test_a_page_token_is_only_a_token(home, trap, name):
    """A URL as the token, and next_url and links beside it: the next page is asked of the vendor, the text sent as it came."""
    def answer(request):
        where = targets(trap, vendor.server_address[1])[name]
        if "page_token" in request.query:
            assert request.query["page_token"] == where, request.query
            return rig.ok(good(5))
        page = good(1, token="TOKEN").replace(b'"TOKEN"', rig.json.dumps(where).encode())
        links = ',"next_url":%s,"links":{"next":%s}}' % ((rig.json.dumps(where),) * 2)
        return rig.ok(page[:-1] + links.encode(), Link=f'<http://127.0.0.1:{trap.server_address[1]}/>; rel="next"')
    with rig.Vendor(answer) as vendor:
        done = rig.run(command(rig.fresh(home, "lake")), home, vendor.url, env=proxy_env(trap), timeout=30)
        rig.assert_clean(done, name)
        assert done.code == 0, done.err.decode()
        assert not trap.seen, f"a token that is a URL was followed: {name}"
        assert len(vendor.seen) == 2 and len(rig.lake_rows(home / "lake", "1m", "hive")) == 16


REFUSED_ENDPOINTS = ["http://data.example.com", "http://169.254.169.254", "http://[::2]:80", "ftp://127.0.0.1", "file:///etc", "127.0.0.1:80",
                     "http://user@127.0.0.1:80", "http://user:pass@127.0.0.1:80", "http://127.0.0.1:99999", "http://127.0.0.1:x", "http://",
                     "http://127.0.0.1.example.com", "http://localhost.example.com", "http://127.0.0.1%2eexample.com", "http://127.0.0.1\\@example.com",
                     "http://127.0.0.1/?x=y", "http://127.0.0.1/#x", "http://ex ample.com", "http://0177.0.0.1:80", "http://2130706433"]


@pytest.mark.parametrize("endpoint", rig.sample(REFUSED_ENDPOINTS, scale=1))
def test_plain_http_goes_to_loopback_only(home, trap, endpoint):
    done = rig.run(command(home / "lake", "--endpoint", endpoint), home, env=proxy_env(trap), timeout=30)
    assert done.code == 2 and done.err, f"{endpoint}: exit {done.code}"
    assert not trap.seen, f"{endpoint} was asked"


def test_credentials_go_to_the_origin_and_nowhere_else(home, trap):
    """The control: the vendor does get the headers, in a request that the traps would have seen."""
    with rig.Vendor(lambda request: rig.ok(good(int(request.query.get("page_token", "page1")[4:])))) as vendor:
        done = rig.run(command(home / "lake"), home, vendor.url, env=proxy_env(trap))
        assert done.code == 0
        assert {request.headers["APCA-API-SECRET-KEY"] for request in vendor.seen} == {rig.SECRET}
        assert not trap.seen, "loopback went through a proxy"
        done = rig.run(command(home / "other", "--endpoint", "http://data.example.com", "--allow-http"), home, env=proxy_env(trap), timeout=30)
        assert trap.seen, "the proxy is no trap: nothing would have been seen"
