"""Scorecard line 19: any text as a symbol comes back as itself from the path, from `read` and from `symbols`; it never names a
path outside the lake, never becomes an option, never breaks out of SQL; what cannot be a symbol is refused by name."""
import csv
import json
import pathlib

import pytest

import rig

TAKEN = ["BRK.B", "BRK/B", "BTC/USD", "../../etc", "..", ".", "...", "CON", "nul", "%2e%2e", "%", "%41", "é ✓ 漢", "\u00e9", "e\u0301",
         "\u200fRTL", "-x", "--lake=/tmp/x", "-", "_x", "'", '"', "a'; drop table x; --", "line\nbreak", "tab\there", "a\\b", "aapl", "AAPL", "A B",
         "a=b", "symbol=AAPL", "*", "?", "[a-z]", "$HOME", "`id`", "~", "~root", "{a,b}", "@x", "index:y", "A,B", "A&symbols=B", "#", "AAPL.2024-03",
         "data.parquet", "__HIVE_DEFAULT_PARTITION__", "\u202e\u0007", "😀", "a" * 200]
REFUSED = {"": "empty", "a\0b": "NUL", "x" * 201: "201 bytes", "漢" * 67: "201 escaped bytes x 3", "A" * 4096: "4 KiB"}


def answer(request):
    """One bar for every symbol asked for, whatever it is."""
    symbols = request.query["symbols"].split(",")
    if request.query["symbols"] == "A,B":
        symbols = ["A,B"]  # a comma inside one symbol looks like two to the vendor; see the test
    return rig.ok(rig.page("bars", {symbol: [rig.bar(0)] for symbol in symbols}))


def tree(root):
    return {str(p.relative_to(root)): (p.stat().st_size, p.stat().st_mtime_ns) for p in pathlib.Path(root).rglob("*")}


def symbol_list(home, symbols, name="list.csv"):
    with open(home / name, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["symbol"])
        rows.writerows([symbol] for symbol in symbols)
    return f"@{home / name}"


def import_list(home, vendor, lake, layout, symbols):
    return rig.run(["import", "1m", symbol_list(home, symbols), "2024-03-05T14:30:00Z", "2024-03-05T14:31:00Z", "--lake", lake, "--layout", layout,
                    "--json", "--quiet"], home, vendor.url)


@pytest.fixture
def vendor():
    with rig.Vendor(answer) as server:
        yield server


def check_round_trip(home, lake, layout, symbol):
    (_, us), row = rig.bar_truth(symbol, 0)
    assert rig.lake_rows(lake, "1m", layout).get((symbol, us)) == row, f"{symbol!r} is not in the files"
    ask = symbol_list(home, [symbol], "one.csv")
    done = rig.run(["read", "1m", ask, "--lake", lake, "--format", "jsonl"], home)
    assert done.code == 0, f"{symbol!r}: {done.err.decode()}"
    lines = [json.loads(line) for line in done.out.decode().splitlines()]
    assert len(lines) == 1 and lines[0]["symbol"] == symbol, f"read {symbol!r} gives {lines}"
    done = rig.run(["symbols", "1m", "--lake", lake, "--json"], home)
    assert symbol in json.loads(done.out), f"{symbol!r} is not among {done.out!r}"
    done = rig.run(["coverage", "1m", ask, "--lake", lake, "--json"], home)
    assert [row["symbol"] for row in json.loads(done.out) if row["state"] == "present"] == [symbol], f"{symbol!r}: {done}"
    quoted = symbol.replace("'", "''")
    done = rig.run(["sql", f"select count(*) as n, min(symbol) as s from equities_1min where symbol = '{quoted}'", "--lake", lake, "--format", "jsonl"], home)
    assert done.code == 0 and json.loads(done.out) == {"n": 1, "s": symbol}, f"sql {symbol!r}: {done}"


@pytest.mark.parametrize("layout", rig.LAYOUTS)
def test_a_symbol_comes_back_as_itself(home, vendor, layout):
    """All in one lake: they may not get in each other's way either. Nothing beside the lake is touched."""
    fence = home / "fence"
    fence.mkdir()
    (fence / "etc").mkdir()
    lake = fence / "a" / "b" / "lake"
    lake.parent.mkdir(parents=True)
    (lake.parent / "keep").write_text("untouched")
    before = tree(fence)
    asked = [symbol for symbol in TAKEN if "," not in symbol]
    done = import_list(home, vendor, lake, layout, asked)
    result = rig.summary(done)
    assert sorted(result["successful"]) == sorted(asked), f"{done.code} {result['failed']}"
    outside = {path: state for path, state in tree(fence).items() if not (path + "/").startswith("a/b/lake/") and path != "a/b"}
    assert outside == {path: state for path, state in before.items() if path != "a/b"}, "something beside the lake changed"
    names = [path.name for path in lake.rglob("*")]
    assert all(name.isascii() and name.isprintable() and name not in (".", "..") and not set(name) & set("\\:*?\"<>|'") for name in names), names
    assert len(rig.lake_rows(lake, "1m", layout)) == len(asked)
    everyone = symbol_list(home, asked)
    done = rig.run(["read", "1m", everyone, "--lake", lake, "--format", "jsonl"], home)
    assert sorted(json.loads(line)["symbol"] for line in done.out.splitlines()) == sorted(asked), done.err.decode()
    done = rig.run(["coverage", "1m", everyone, "--lake", lake, "--json"], home)
    assert sorted(row["symbol"] for row in json.loads(done.out) if row["state"] == "present") == sorted(asked)
    for symbol in rig.sample(asked, 8):
        check_round_trip(home, lake, layout, symbol)
    done = rig.run(["audit", "--lake", lake], home)
    assert done.code == 0, done.out.decode()


@pytest.mark.parametrize("layout", rig.LAYOUTS)
def test_what_is_no_symbol_is_refused_by_name(home, vendor, layout):
    for symbol, why in REFUSED.items():
        lake = rig.fresh(home, "lake")
        done = import_list(home, vendor, lake, layout, ["AAPL", symbol])
        rig.assert_clean(done, f"{why} symbol")
        if symbol:
            assert done.code in (1, 2, 3) and len(done.err + done.out) > 20, f"{why}: {done}"
        names = {s for s, _ in rig.lake_rows(lake, "1m", layout)}
        assert names <= {"AAPL"}, f"{why}: {names}"
    done = rig.run(["import", "1m", "", "2024-03-05", "2024-03-05", "--lake", home / "lake"], home, vendor.url)
    assert done.code == 2 and done.err, done


def test_a_symbol_with_a_comma_is_one_symbol_or_refused(home, vendor):
    """The vendor parts symbols by commas, so asking for "A,B" would be asking for two others."""
    lake = rig.fresh(home, "lake")
    done = import_list(home, vendor, lake, "hive", ["A,B"])
    rig.assert_clean(done, "A,B")
    assert {symbol for symbol, _ in rig.lake_rows(lake, "1m", "hive")} <= {"A,B"}
    assert done.code in (1, 3) or {s for s, _ in rig.lake_rows(lake, "1m", "hive")} == {"A,B"}


def test_random_symbols(home, vendor):
    random = rig.prng("symbols")
    alphabet = "AB./\\%-_ '\"\n;*é漢\u0301\u200f~:=&?#" + "".join(map(chr, range(1, 32)))
    symbols = {"".join(random.choice(alphabet) for _ in range(random.randint(1, 20))) for _ in range(rig.count(2000, 60))}
    symbols = sorted(s for s in symbols if s.strip(" \t\r\n") == s and "," not in s)
    for layout in rig.LAYOUTS:
        lake = rig.fresh(home, f"lake-{layout}")
        done = import_list(home, vendor, lake, layout, symbols)
        result = rig.summary(done)
        found = {symbol for symbol, _ in rig.lake_rows(lake, "1m", layout)}
        assert sorted(found) == sorted(result["successful"]), set(symbols) ^ found
        assert found == set(symbols), f"refused: {result['failed'][:3]}"
