"""Exit codes, where words and data go, and the shapes of --json."""
import json
import re
import subprocess

import pytest

import harness

DAY = ("2024-06-10", "2024-06-10")
NUMBERS = ["rows", "rejected", "files", "requests", "retries", "bytes"]


@pytest.mark.parametrize("words,code,said", [
    ((), 2, "usage: ticklake COMMAND"),
    (("improt",), 2, "did you mean 'import'"),
    (("data", "import"), 2, "data import-api"),
    (("import",), 2, "an argument is missing"),
    (("import", "1m", "AAPL", *DAY, "more"), 2, "unexpected argument 'more'"),
    (("import", "1m", "AAPL", *DAY, "--thraeds", "4"), 2, "did you mean '--threads'"),
    (("import", "1m", "AAPL", *DAY, "--threads"), 2, "needs a value"),
    (("import", "1m", "AAPL", *DAY, "--threads", "many"), 2, "many"),
    (("import", "1m", "AAPL", *DAY, "--threads", "0"), 2, "threads"),
    (("import", "1m", "AAPL", *DAY, "--json=yes"), 2, "takes no value"),
    (("import", "1m", "AAPL", *DAY, "-x"), 2, "unknown option"),
    (("import", "1m", "AAPL", *DAY, "--layout", "flatt"), 2, "hive|flat"),
    (("import", "1m", "AAPL", *DAY, "--feed", "spi"), 2, "did you mean 'sip'"),
    (("import", "1m", "AAPL", *DAY, "--provider", "alpacca"), 2, "did you mean 'alpaca'"),
    (("import", "1m", "AAPL", *DAY, "--adjustment", "splits"), 2, "did you mean 'split'"),
    (("import", "trades", "AAPL", *DAY, "--adjustment", "split"), 2, "raw"),
    (("import", "1m", "AAPL", *DAY, "--conditions", "all"), 2, "ticks"),
    (("import", "1m", "AAPL", *DAY, "--bar", "5m"), 2, "ticks"),
    (("import", "ticks", "AAPL", *DAY, "--bar", "5x"), 2, "5x"),
    (("import", "1m", "AAPL", *DAY, "--rate", "0"), 2, "rate"),
    (("import", "1m", "AAPL", *DAY, "--page-limit", "10001"), 2, "10000"),
    (("import", "1m", "AAPL", *DAY, "--max-memory", "1M"), 2, "64M"),
    (("import", "1m", "AAPL", *DAY, "--asof", "yesterdays"), 2, "yesterdays"),
    (("import", "1m", "AAPL", *DAY, "--endpoint", "ftp://127.0.0.1"), 2, "ftp"),
    (("import", "1m", "AAPL", *DAY, "--lake", "s3://bucket/x"), 2, "AWS_ACCESS_KEY_ID"),
    (("import", "1m", "AAPL", *DAY, "--lake", "gs://bucket/x"), 2, "a store is a folder"),
    (("import", "1minute2", "AAPL", *DAY), 2, "1minute2"),
    (("import", "quots", "AAPL", *DAY), 2, "quotes"),
    (("import", "1m", "", *DAY), 2, "symbol"),
    (("import", "1m", "@none.csv", *DAY), 2, "none.csv"),
    (("import", "1m", "AAPL", "2024-06-31", "2024-07-01"), 2, "2024-06-31"),
    (("import", "1m", "AAPL", "2024-06-10", "2024-06-07"), 2, "END must lie after START"),
    (("import", "1m", "AAPL", "2024-06-10T10:00:00Z", "2024-06-10T10:00:00Z"), 2, "END must lie after START"),
    (("read", "1m", "AAPL"), 1, "no lake"),
    (("audit",), 1, "no lake"),
    (("symbols", "1m"), 1, "no lake"),
    (("sql", "select 1 from equities_1min"), 1, "lake is empty"),
    (("index", "load", "none"), 2, "none"),
    (("audit", "--repair"), 1, "no lake"),
    (("index", "store", "x"), 2, "usage"),
    (("adopt", "nowhere"), 1, "nowhere"),
    (("simulate", "--prot", "1"), 2, "--prot"),
    (("simulate", "--faults", "none.txt"), 1, "none.txt"),
])
def test_what_is_refused(words, code, said, home):
    """On stderr, with the reason, nothing on stdout, and no trace on the disk."""
    outcome = home.run(*words)
    assert outcome.code == code, outcome
    assert said in outcome.stderr and outcome.stdout == "", outcome
    assert not home.lake.exists() and list(home.work.iterdir()) == []


@pytest.mark.parametrize("words,code,name", [
    (("improt",), 2, "TL_EUSAGE"),
    (("read", "1m"), 2, "TL_EUSAGE"),
    (("read", "1m", "AAPL", "2024-06-10"), 2, "TL_EUSAGE"),
    (("read", "1m", "AAPL", "--limti", "1"), 2, "TL_EUSAGE"),
    (("read", "1m", "AAPL"), 1, "TL_ENOTFOUND"),
    (("symbols", "1m"), 1, "TL_ENOTFOUND"),
    (("range", "1m", "AAPL"), 1, "TL_ENOTFOUND"),
    (("audit",), 1, "TL_ENOTFOUND"),
    (("index", "load", "none"), 2, "TL_EUSAGE"),
    (("index", "store"), 2, "TL_EUSAGE"),
    (("plan", "1minute2", "AAPL", *DAY), 2, "TL_EUSAGE"),
    (("sql", "select"), 1, "TL_ESQL"),
    (("sql", "select 1 / i as x from range(5, -5, -1) t(i) where error(case when i < 0 then 'too deep' end) is null"), 1, "TL_ESQL"),
])
def test_a_failure_with_json_ends_stdout_with_it(words, code, name, home):
    outcome = home.run(*words, "--json")
    assert outcome.code == code, outcome
    said = json.loads(outcome.stdout.splitlines()[-1])
    assert list(said) == ["error"] and said["error"]["code"] == name
    assert said["error"]["text"].splitlines()[0] in outcome.stderr, "the same words as for people"


def test_a_failed_import_with_json_says_it_once(home):
    outcome = home.run("import", "1m", "AAPL", *DAY, "--json", env={"TICKLAKE_ALPACA_ENDPOINT": "ftp://x"})
    assert outcome.code == 2 and "ftp" in outcome.json["error"] and outcome.json["successful"] == []
    assert home.run("import", "1m", "AAPL", "--json").json["error"]["code"] == "TL_EUSAGE", "it did not begin"


@pytest.mark.parametrize("verb", ["coverage", "gaps"])
def test_no_lake_holds_nothing_and_that_is_no_failure(verb, home):
    outcome = home.ok(verb)
    assert outcome.stdout == "" and "no lake" in outcome.stderr
    assert home.ok(verb, "--json").json == [] and not home.lake.exists()
    assert home.run(verb, "1minute2").code == 2


def test_no_credentials_for_the_real_vendor(home):
    del home.env["TICKLAKE_ALPACA_ENDPOINT"]
    outcome = home.run("import", "1m", "AAPL", *DAY)
    assert outcome.code == 2 and "APCA_API_KEY_ID" in outcome.stderr and "ticklake simulate" in outcome.stderr


def test_import_json(home, sim):
    outcome = home.run("import", "5m", "AAPL,BAD1,MSFT", *DAY, "--json")
    assert outcome.code == 3
    said = json.loads(outcome.stdout)
    assert list(said) == ["successful", "failed", "rows", "rejected", "files", "requests", "retries", "bytes", "seconds"]
    assert said["successful"] == ["AAPL", "MSFT"] and [list(f) for f in said["failed"]] == [["symbol", "reason"]]
    assert all(type(said[n]) is int for n in NUMBERS) and type(said["seconds"]) is float
    assert said["rows"] == len(home.rows("5m")) and said["files"] == 2 and said["requests"] >= 1 and said["bytes"] > 100


def test_words_go_to_stderr_data_to_stdout(home):
    outcome = home.run("import", "1d", "AAPL", "2024-06-03", "2024-06-10")
    assert outcome.stdout == "" and "1 symbol done" in outcome.stderr
    assert home.ok("import", "1d", "MSFT", *DAY, "--quiet").stderr == ""
    outcome = home.ok("read", "1d", "AAPL", "--format", "csv")
    assert outcome.stdout.splitlines()[0] == "symbol,timestamp,open,high,low,close,volume,trade_count,vwap" and len(outcome.stdout.splitlines()) == 7


def test_json_shapes(home):
    home.import_("1m", "AAPL,ZZNO", "2024-06-07", "2024-06-10")
    for words, keys in [(("coverage",), {"kind", "symbol", "start", "end", "state", "rows"}), (("audit",), {"path", "verdict", "ok", "detail"}),
                        (("doctor",), {"check", "ok", "detail"})]:
        rows = home.ok(*words, "--json").json
        assert rows and all(set(r) == keys for r in rows), rows
    assert home.ok("gaps", "--json").json == []
    assert home.ok("symbols", "1m", "--json").json == ["AAPL"]
    assert set(home.ok("range", "1m", "AAPL", "--json").json) == {"first", "last", "rows"}
    assert home.ok("sql", "select 1 as one", "--json").json == [{"one": 1}]
    assert set(home.ok("version", "--json").json) == {"version"}
    plan = home.ok("plan", "1m", "AAPL", "2024-06-12", "2024-06-13", "--json").json
    assert {"kind", "dataset", "symbols", "units", "requests", "pages", "rows", "bytes", "rate_per_minute", "minutes", "asks"} <= set(plan)


def test_version(home):
    words = home.ok("version").stdout.split()
    assert words[0] == "ticklake" and re.fullmatch(r"\d+\.\d+\.\d+", words[1]) and home.ok("--version").stdout == home.ok("version").stdout


def test_doctor_names_what_is_wrong(home):
    home.ok("doctor")
    outcome = home.run("doctor", "--json", env={"TICKLAKE_ALPACA_ENDPOINT": "http://127.0.0.1:1"})
    assert outcome.code == 1 and [r["check"] for r in json.loads(outcome.stdout) if not r["ok"]] == ["endpoint"]


def test_the_log_file_holds_the_lines_and_no_key(home, tmp_path):
    home.env.update(APCA_API_KEY_ID="KEYCANARY", APCA_API_SECRET_KEY="SECRETCANARY")
    log = tmp_path / "a.log"
    outcome = home.ok("import", "1d", "AAPL", *DAY, "--log-file", log, "--log-level", "trace")
    assert "[Alpaca] Requesting bars for AAPL" in log.read_text()
    assert "CANARY" not in log.read_text() + outcome.stderr
    before = log.stat().st_size
    home.ok("import", "1d", "MSFT", *DAY, "--log-file", log)
    assert log.stat().st_size > before, "appended to"


def test_a_reader_that_goes_away_is_no_crash(home):
    home.import_("1m", "AAPL", "2024-06-03", "2024-06-10")
    done = subprocess.run(["bash", "-c", f"{harness.BIN} read 1m AAPL --format csv | head -1; exit ${{PIPESTATUS[0]}}"], env=home.env, cwd=home.work, capture_output=True, text=True)
    assert done.returncode in (0, 1, 141) and done.stdout.startswith("symbol,") and "Assert" not in done.stderr


def test_a_terminal_sees_a_progress_bar(home):
    """Percent, rows and requests a second, elapsed, ETA; elsewhere plain lines."""
    done = subprocess.run(["script", "-qec", f"{harness.BIN} import trades AAPL,BRK.B,SPLT 2024-03-01 2024-06-10 --page-limit 500", "/dev/null"], env={**home.env, "TERM": "xterm", "COLUMNS": "120"},
                          cwd=home.work, capture_output=True, timeout=120)
    shown = done.stdout.decode()
    assert done.returncode == 0, shown
    assert re.search(r"\r\x1b\[K +\d+% \[#*\.*\] [\d.kM]+ rows +[\d.kM]+ rows/s +[\d.]+ req/s +\d+:\d\d ETA \S+", shown), shown[-2000:]
    assert "[Alpaca] Requesting" not in shown
