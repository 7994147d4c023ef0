"""Scorecard line 20: canary credentials, every verb at the highest log level, each way an answer can fail; then no byte of a
secret in what the program printed, logged, stored, left behind or showed to other processes."""
import gzip
import os
import resource
import signal
import stat
import subprocess
import time
import urllib.parse

import pytest

import rig
from test_http_faults import ACTS, REFUSED, SURVIVED, good

KEY, SECRET = "PKCANARYCANARY000001", "CanarySecretCanarySecretCanary/Secret+42"
# As it is, percent-encoded, half of it: a cut or an escape must not bring it through.
TRACES = [text.encode() for text in (KEY, SECRET, urllib.parse.quote(SECRET, safe=""), SECRET[:20], SECRET[-20:], KEY[4:])]
START, END = "2024-03-05T14:30:00Z", "2024-03-05T15:30:00Z"


def assert_no_trace(data, what):
    for text in TRACES:
        assert text not in data, f"{what} holds {text!r}: ...{data[max(0, data.index(text) - 80):data.index(text) + 80]!r}"


def check_files(home, but=()):
    """Every file below home, gzip'd ones opened; names too."""
    for path in sorted(home.rglob("*")):
        assert_no_trace(str(path).encode(), "a path")
        if path.is_file() and path not in but:
            data = path.read_bytes()
            assert_no_trace(data, path)
            if data[:2] == b"\x1f\x8b":
                assert_no_trace(gzip.decompress(data), path)


def run(args, home, url=None, fault=None, env=None, **more):
    env = {"APCA_API_KEY_ID": KEY, "APCA_API_SECRET_KEY": SECRET, **(env or {})}
    done = rig.run([*args, "--log-level", "trace", "--log-file", home / "log.txt"], home, url, fault=fault, env=env, timeout=60, **more)
    assert_no_trace(done.out + done.err, f"what {args[:2]} printed")
    return done


def import_args(lake):
    return ["import", "1m", "AAPL", START, END, "--lake", lake, "--json", "--retries", "1", "--read-timeout", "300ms", "--page-limit", "8"]


def echo(request):
    """The worst vendor: it sends our own headers back in everything it says."""
    said = request.headers.get("APCA-API-KEY-ID", "") + " " + request.headers.get("APCA-API-SECRET-KEY", "")
    assert SECRET in said
    return said


def echoing(status):
    def answer(request):
        said = echo(request)
        return status, {"Location": "http://127.0.0.1:1/?" + said.replace(" ", "&"), "X-Echo": said}, b'{"message":"bad key %s"}' % said.encode()
    return answer


@pytest.mark.parametrize("status", (200, 302, 400, 401, 403, 404, 422, 429, 500))
def test_a_vendor_that_echoes_the_credentials(home, status):
    if status == 429:  # waits for ever by design: stop it
        with rig.Vendor(echoing(status)) as vendor:
            env = rig.environment(home, vendor.url, APCA_API_KEY_ID=KEY, APCA_API_SECRET_KEY=SECRET)
            child = subprocess.Popen([rig.BIN, *map(str, import_args(home / "lake")), "--log-level", "trace"], env=env, stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, cwd=home)
            time.sleep(1)
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=20)
            assert child.returncode == 143
            assert_no_trace(out + err, "what was printed")
    else:
        with rig.Vendor(echoing(status)) as vendor:
            done = run(import_args(home / "lake"), home, vendor.url)
            assert done.code in (1, 3), done
    check_files(home)


def test_each_fault_of_an_answer(home):
    names = [name for name in [*SURVIVED, *REFUSED] if not name.startswith("429")]
    for name in rig.sample(names, 14):
        with rig.Vendor(lambda request: (echo(request), ACTS[name](1))[1]) as vendor:
            rig.assert_clean(run(import_args(home / "lake"), home, vendor.url), name)
    assert (home / "log.txt").stat().st_size > 1000
    check_files(home)


def test_every_verb(home):
    lake = home / "lake"
    (home / "old").mkdir()
    with rig.Vendor(lambda request: (echo(request), rig.ok(good(int(request.query.get("page_token", "page1")[4:]))))[1]) as vendor:
        assert run(import_args(lake), home, vendor.url).code == 0
        for args in (["plan", "1m", "AAPL", START, END], ["update", "1m", "AAPL", "--look-back", "1s"], ["read", "1m", "AAPL"], ["symbols", "1m"],
                     ["range", "1m", "AAPL"], ["coverage"], ["gaps"], ["audit"], ["audit", "--repair"], ["sql", "select 1"],
                     ["index", "store", "x", "AAPL"], ["index", "load", "x"], ["index", "list"], ["doctor"], ["version"],
                     ["import", "nonsense", "AAPL", START, END], ["import", "1m", "AAPL", "later", END], ["read", "1m", "ZZZ"], ["sql", "select broken from"],
                     ["import", "1m", "AAPL", START, END, "--endpoint", "ftp://x"]):
            rig.assert_clean(run([*args, "--lake", lake], home, vendor.url), args)
        rig.assert_clean(run(["adopt", home / "old"], home, vendor.url), "adopt")
        for fault in ("disk:40:EIO", "disk:90:ENOSPC", "alloc:300", "alloc:900", "net:1", "net:3"):
            rig.assert_clean(run(import_args(rig.fresh(home, "other")), home, vendor.url, fault=fault), fault)
        for point in ("disk:60:exit-before", "step:2:exit-before"):  # what a killed run leaves
            run(import_args(rig.fresh(home, "other")), home, vendor.url, fault=point)
    check_files(home)


def settings_with(home, lines):
    path = home / "settings.ini"
    path.write_text("[alpaca]\n" + lines)
    path.chmod(0o600)
    return path


def test_secrets_from_a_file_and_from_a_command(home):
    """The command sees neither secret in its environment or arguments, nor does the ledger know how it is called."""
    spy = home / "spy.sh"
    spy.write_text(f"#!/bin/sh\nenv > {home}/seen-environment\ntr '\\0' ' ' < /proc/$PPID/cmdline > {home}/seen-parent\necho '{SECRET}'\n")
    spy.chmod(0o700)
    keyfile = home / "key"
    keyfile.write_text(KEY + "\n")
    keyfile.chmod(0o600)
    settings = settings_with(home, f"api_key = file:{keyfile}\nsecret_key = cmd:{spy}\n")
    with rig.Vendor(lambda request: (echo(request), rig.ok(good(int(request.query.get("page_token", "page1")[4:]))))[1]) as vendor:
        done = run([*import_args(home / "lake"), "--config", settings], home, vendor.url, env={"APCA_API_KEY_ID": "", "APCA_API_SECRET_KEY": ""})
        assert done.code == 0, done.err.decode()
    assert (home / "seen-environment").stat().st_size and (home / "seen-parent").stat().st_size
    check_files(home, but=(spy, keyfile))


def test_a_file_others_can_read_is_refused_and_not_quoted(home):
    settings = settings_with(home, f"api_key = {KEY}\nsecret_key = {SECRET}\n")
    settings.chmod(0o644)
    done = run([*import_args(home / "lake"), "--config", settings], home, "http://127.0.0.1:1", env={"APCA_API_KEY_ID": "", "APCA_API_SECRET_KEY": ""})
    assert done.code == 2 and b"chmod" in done.err, done
    settings.write_text(f"[alpaca]\napi_key = {KEY}\nsecret_key = {SECRET}\nsecret_key = {SECRET}\n[{SECRET}\n{SECRET}\n{SECRET}x = 1\n")
    settings.chmod(0o600)
    done = run([*import_args(home / "lake"), "--config", settings], home, "http://127.0.0.1:1", env={"APCA_API_KEY_ID": "", "APCA_API_SECRET_KEY": ""})
    assert done.code == 2, done
    check_files(home, but=(settings,))


def running_import(home, vendor_url, **popen):
    return subprocess.Popen([rig.BIN, *map(str, import_args(home / "lake")), "--read-timeout", "30s"], cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=rig.environment(home, vendor_url, APCA_API_KEY_ID=KEY, APCA_API_SECRET_KEY=SECRET), **popen)


def test_no_core_and_no_look_inside(home):
    """While it runs: nothing in its arguments, core limit 0, not dumpable (its /proc files belong to root); on a crash no core."""
    asked = []

    def hold(request):
        asked.append(request)
        time.sleep(3)
        return rig.ok(good(1))

    as_user = dict(user=65534, group=65534, extra_groups=[]) if os.getuid() == 0 else {}
    if as_user:
        home.chmod(0o777)
    allow = lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with rig.Vendor(hold) as vendor:
        child = running_import(home, vendor.url, preexec_fn=allow, **as_user)
        try:
            while not asked and child.poll() is None:
                time.sleep(0.02)
            assert child.poll() is None, child.communicate()
            with open(f"/proc/{child.pid}/cmdline", "rb") as file:
                assert_no_trace(file.read(), "the command line")
            with open(f"/proc/{child.pid}/limits") as file:
                limits = next(line for line in file if line.startswith("Max core file size"))
            assert limits.split()[4] == "0", limits
            # The kernel gives /proc files of a process that is not dumpable to root.
            owner = os.stat(f"/proc/{child.pid}/environ").st_uid
            assert owner == 0 and os.stat(f"/proc/{child.pid}").st_uid != (0 if not as_user else -1), owner
            if as_user:
                with open(f"/proc/{child.pid}/smaps") as file:
                    assert any(line.startswith("VmFlags:") and " dd " in line for line in file), "no page is kept off core dumps"
            else:  # not even its own user may look
                with pytest.raises(PermissionError):
                    open(f"/proc/{child.pid}/smaps").read()
        finally:
            child.send_signal(signal.SIGABRT)
            out, err = child.communicate(timeout=20)
        status = child.returncode
        assert status == -signal.SIGABRT
    assert not [p for p in home.rglob("core*")], "a core dump was left"
    assert_no_trace(out + err, "what the crash printed")
    check_files(home)


def test_the_state_folder_keeps_a_hash_only(home):
    with rig.Vendor(lambda request: rig.ok(good(int(request.query.get("page_token", "page1")[4:])))) as vendor:
        assert run([*import_args(home / "lake"), "--rate", "1000"], home, vendor.url).code == 0
    files = [p for p in (home / "state").rglob("*") if p.is_file()]
    assert files, "no budget was kept: the test looks in the wrong place"
    for path in files:
        assert not path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO) or b"PK" not in path.read_bytes()
    check_files(home)
