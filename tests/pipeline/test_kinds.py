"""Every kind of import over the awkward stretches of the calendar equals, row for row, the truth computed apart.

Kind x stretch is covered fully; layout, transfers in flight, page limit and the vendor's way with tokens go through the
eight rows of an orthogonal array, so that each pair of choices meets."""
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import harness
import truth

BARS = ["1m", "5m", "15m", "30m", "1h", "1d", "1w", "1mo"]
KINDS = BARS + ["1s", "ticks", "ticks 1m", "ticks 5m", "ticks 1h", "ticks 1d", "quotes", "trades", "raw-quotes"]
STRETCHES = {  # symbols, START, END; START of bars of a day and longer
    "half day": ("BRK.B,SPLT", "2024-11-29", "2024-11-29", "2024-09-01"),
    "spring": ("BRK.B", "2024-03-08", "2024-03-11", "2024-02-01"),
    "autumn": ("BRK.B", "2024-11-01", "2024-11-04", "2024-09-30"),
    "holidays": ("BRK.B,ILLQ", "2024-12-24", "2024-12-30", "2024-10-15"),
    "split": ("NEWN,SPLT", "2024-06-07", "2024-06-10", "2024-05-01"),
    "rename": ("NEWN,OLDN", "2024-03-15", "2024-03-19", "2024-01-01"),
    "year's end": ("BRK.B", "2024-12-31", "2025-01-02", "2024-11-15"),
}
# layout, threads, page limit, tokens: two levels each, all pairs of levels within these eight
ARRAY = [("hive", 1, 7, "new"), ("hive", 1, 10000, "old"), ("hive", 16, 7, "old"), ("hive", 16, 10000, "new"),
         ("flat", 1, 7, "old"), ("flat", 1, 10000, "new"), ("flat", 16, 7, "new"), ("flat", 16, 10000, "old")]


@pytest.fixture(scope="module")
def sims():
    thin = ["--seed", 11, "--density", "0.02", "--rate", 1_000_000]
    with harness.Simulator(*thin) as new, harness.Simulator(*thin, "--token-style", "old", "--empty-last-page") as old:
        yield {"new": new, "old": old}


def choices(kind, stretch):
    return ARRAY[(KINDS.index(kind) + 3 * list(STRETCHES).index(stretch)) % 8]


def expected(sim, kind, symbols, start, end, **more):
    symbols = symbols.split(",")
    word, _, size = kind.partition(" ")
    if word in BARS:
        return truth.bars(sim, word, symbols, start, end, **more)
    make = {"1s": truth.bars_of_ticks, "ticks": truth.bars_of_ticks, "quotes": truth.tightest, "trades": truth.trades, "raw-quotes": truth.quotes}
    if word in ("1s", "ticks"):
        return truth.bars_of_ticks(sim, size or "1s", symbols, start, end, **more)
    return make[word](sim, symbols, start, end, **more)


def stored(kind):
    word, _, size = kind.partition(" ")
    return size or ("1s" if word == "ticks" else word)


def imported(home, kind, *words, layout="hive", code=0):
    """The rows in the lake after an import; what the run said about them must fit."""
    word, _, size = kind.partition(" ")
    said = home.import_(word, *words, *(["--bar", size] if size else []), *harness.LAYOUTS[layout], code=code)
    rows = harness.rows_of(home.lake, stored(kind), layout)
    assert said["rows"] == len(rows)
    assert said["rejected"] == said["retries"] == 0
    files = harness.files_of(home.lake, stored(kind), layout)
    assert said["files"] == len(files) == len(harness.data_files(home.lake))
    return rows, said


@pytest.mark.parametrize("stretch", STRETCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_truth(kind, stretch, sims, tmp_path):
    layout, threads, limit, tokens = choices(kind, stretch)
    symbols, start, end, long_start = STRETCHES[stretch]
    if kind in ("1d", "1w", "1mo"):
        start = long_start
    home = harness.Home(tmp_path, sims[tokens].url)
    want = expected(sims["new"], kind, symbols, start, end)
    assert len(want) > 0
    got, said = imported(home, kind, symbols, start, end, "--threads", threads, "--page-limit", limit, layout=layout)
    harness.assert_rows(got, want)
    assert said["successful"] == symbols.split(",") and said["failed"] == []
    home.sound()


@pytest.mark.parametrize("kind", ["1m", "1d", "ticks", "quotes", "trades", "raw-quotes"])
def test_every_layout_holds_the_truth(kind, layout, sims, tmp_path):
    """Days that meet in one month, a month's end, rows asked again: the same rows in files and in tables."""
    home = harness.Home(tmp_path, sims["new"].url)
    end = "2024-06-03"
    start = "2024-04-15" if kind == "1d" else "2024-05-31"
    got, said = imported(home, kind, "NEWN,SPLT", start, end, layout=layout)
    harness.assert_rows(got, expected(sims["new"], kind, "NEWN,SPLT", start, end))
    more = home.import_(kind, "BRK.B,SPLT", "2024-05-30", "2024-06-04", "--refresh", *harness.LAYOUTS[layout])
    want = sorted(expected(sims["new"], kind, "BRK.B,SPLT", "2024-05-30", "2024-06-04") + [r for r in got if r["symbol"] == "NEWN" or kind == "1d" and r["timestamp"] < truth.midnight("2024-05-30") // 1000],
                  key=lambda r: (r["symbol"], r.get("timestamp_ns", r["timestamp"])))
    rows = home.rows(stored(kind), layout)
    harness.assert_rows(rows, want)
    assert more["rows"] == len(rows) - len(got), "rows are those that were not there before or changed"
    home.sound(layout)


def test_all_pairs_of_choices_meet():
    met = set()
    for kind, stretch in itertools.product(KINDS, STRETCHES):
        factors = [("kind", kind), ("stretch", stretch), *zip(("layout", "threads", "limit", "tokens"), choices(kind, stretch))]
        met.update(itertools.combinations(factors, 2))
    levels = [[("kind", k) for k in KINDS], [("stretch", s) for s in STRETCHES], *[[(n, v) for v in sorted({r[i] for r in ARRAY}, key=str)]
              for i, n in enumerate(("layout", "threads", "limit", "tokens"))]]
    for a, b in itertools.combinations(levels, 2):
        for pair in itertools.product(a, b):
            assert pair in met, pair


@pytest.mark.parametrize("threads", [1, 16])
@pytest.mark.parametrize("kind", KINDS)
def test_one_row_a_page(kind, threads, sims, tmp_path):
    tokens = "old" if (KINDS.index(kind) + threads) % 2 else "new"
    long = {"1d": "2024-05-01", "1w": "2023-11-01", "1mo": "2023-01-01"}
    start, end = (long[kind], "2024-06-12") if kind in long else ("2024-06-10T13:35:00Z", "2024-06-10T13:35:40Z" if "quotes" in kind else "2024-06-10T14:25:00Z")
    if kind in ("1h", "30m", "15m", "5m", "ticks 1d"):
        start, end = "2024-06-10T08:00:00Z", "2024-06-11T00:00:00Z"
    if kind == "ticks 1h":
        start, end = "2024-06-10T14:00:00Z", "2024-06-10T15:00:00Z"
    symbols = "ILLQ,NEWN" if kind == "ticks 1d" else "NEWN,SPLT"
    home = harness.Home(tmp_path, sims[tokens].url)
    want = expected(sims["new"], kind, symbols, start, end)
    wire = truth.ask(sims["new"], {"t": "trades", "q": "quotes"}.get(kind.replace("raw-", "")[0], "trades" if kind == "1s" else "bars"),
                     symbols.split(","), *truth.span(start, end), **({"timeframe": truth.TIMEFRAMES[kind]} if kind in BARS else {}))
    rows = sum(map(len, wire.values()))
    assert 0 < len(want) and rows <= 200
    got, said = imported(home, kind, symbols, start, end, "--threads", threads, "--page-limit", 1)
    harness.assert_rows(got, want)
    assert said["requests"] >= rows


@pytest.mark.parametrize("size", ["1m", "5m", "15m", "30m", "1h", "1d"])
def test_bars_made_of_ticks_are_the_vendors_own(size, sim, home, tmp_path):
    """The two ways to a bar meet: ours from trades, the vendor's as served."""
    ours, _ = imported(home, f"ticks {size}", "AAPL,BRK.B,BUSY", "2024-06-07", "2024-06-10")
    theirs, _ = imported(harness.Home(tmp_path / "theirs", sim.url), size, "AAPL,BRK.B,BUSY", "2024-06-07", "2024-06-10")
    assert len(theirs) >= 6
    harness.assert_rows(ours, theirs)


def test_all_conditions_take_every_trade(sim, home):
    start, end = "2024-06-10", "2024-06-10"
    got, _ = imported(home, "ticks 1m", "AAPL,SPLT", start, end, "--conditions", "all")
    harness.assert_rows(got, truth.bars_of_ticks(sim, "1m", ["AAPL", "SPLT"], start, end, conditions="all"))
    assert got != truth.bars_of_ticks(sim, "1m", ["AAPL", "SPLT"], start, end)


def test_volume_of_seconds_without_a_bar_is_reported(sim, home):
    """A second in which no trade may set a price has no bar; its volume is named, not lost."""
    said = home.import_("ticks", "AAPL", "2024-06-10", "2024-06-10")
    day = truth.ask(sim, "trades", ["AAPL"], *truth.span("2024-06-10", "2024-06-10"))["AAPL"]
    eligible = sum(t["s"] for t in day if t.get("u") not in ("canceled", "incorrect") and truth.may(t, False)[2])
    held = sum(r["volume"] for r in home.rows("1s"))
    assert said["barless_volume"] == eligible - held > 0
    assert f"{eligible - held} shares" in said["stderr"]


@pytest.mark.parametrize("adjustment", ["split", "dividend", "all", "split,spin-off"])
def test_adjusted_bars(adjustment, sim, home):
    got, _ = imported(home, "1d", "AAPL,SPLT", "2024-04-01", "2024-06-14", "--adjustment", adjustment)
    harness.assert_rows(got, truth.bars(sim, "1d", ["AAPL", "SPLT"], "2024-04-01", "2024-06-14", adjustment=adjustment))
    assert got != truth.bars(sim, "1d", ["AAPL", "SPLT"], "2024-04-01", "2024-06-14")


@pytest.mark.parametrize("asof", ["-", "2024-03-10", "2024-04-01", None])
def test_names_as_of_a_day(asof, sim, home):
    """The old name's bars come under the new one, unless the stitching is turned off or the day knows no rename."""
    more, words = ({"asof": asof}, ["--asof", asof]) if asof else ({}, [])
    want = truth.bars(sim, "1d", ["NEWN", "OLDN"], "2024-03-01", "2024-03-28", **more)
    got, said = imported(home, "1d", "NEWN,OLDN", "2024-03-01", "2024-03-28", *words)
    harness.assert_rows(got, want)
    new = [r["timestamp"] for r in got if r["symbol"] == "NEWN"]
    assert (min(new) < truth.midnight("2024-03-18") // 1000) == (asof in (None, "2024-04-01"))
    assert said["successful"] == ["NEWN", "OLDN"]


@pytest.mark.parametrize("feed,sent", [("sip", "sip"), ("iex", "iex"), ("otc", "otc"), ("boats", "boats"), ("delayed_sip", "sip"), ("IEX", "iex")])
def test_feeds(feed, sent, sim, home):
    sim.reset()
    got, _ = imported(home, "5m", "AAPL", "2024-06-10", "2024-06-11", "--feed", feed)
    assert all(f"feed={sent}" in target.split("?")[1].split("&") for target in sim.targets())
    harness.assert_rows(got, truth.bars(sim, "5m", ["AAPL"], "2024-06-10", "2024-06-11", feed=sent))
    assert bool(got) == (sent in ("sip", "iex"))


def test_instants_are_half_open_and_days_include_their_end(sim, home):
    """The bar that starts at END is not in; a bar that starts at START is. A day ends at midnight in New York."""
    start, end = "2024-06-10T13:30:00Z", "2024-06-10T20:00:00Z"
    got, _ = imported(home, "1m", "AAPL", start, end)
    harness.assert_rows(got, truth.bars(sim, "1m", ["AAPL"], start, end))
    assert got[0]["timestamp"] == truth.ns_of(start) // 1000 and got[-1]["timestamp"] == truth.ns_of("2024-06-10T19:59:00Z") // 1000
    home.import_("1m", "AAPL", "2024-06-10", "2024-06-10")
    harness.assert_rows(home.rows("1m"), truth.bars(sim, "1m", ["AAPL"], "2024-06-10", "2024-06-10"))


@pytest.mark.parametrize("offset,start,end", [("Z", "2024-06-10T14:31:12.5Z", "2024-06-10T14:47:30.000000001Z"),
                                              ("-04:00", "2024-06-10T10:31:12.5-04:00", "2024-06-10T10:47:30.000000001-04:00")])
@pytest.mark.parametrize("kind", ["1m", "trades", "raw-quotes"])
def test_odd_instants_cut_where_they_say(kind, offset, start, end, sim, home):
    utc = ("2024-06-10T14:31:12.5Z", "2024-06-10T14:47:30.000000001Z")
    got, _ = imported(home, kind, "AAPL", start, end)
    harness.assert_rows(got, expected(sim, kind, "AAPL", *utc))


@pytest.mark.parametrize("kind,start,end", [("ticks 5m", "2024-06-10T14:30:00Z", "2024-06-10T14:50:00Z"), ("ticks", "2024-06-10T14:31:12Z", "2024-06-10T14:47:31Z"),
                                            ("quotes", "2024-06-10T14:31:12Z", "2024-06-10T14:47:31Z"), ("ticks 1d", "2024-06-10", "2024-06-10")])
def test_shaped_ranges_grow_to_whole_bars(kind, start, end, sim, home):
    """Half a bar would be a wrong bar: what is made of ticks covers whole bars."""
    got, _ = imported(home, kind, "AAPL", "2024-06-10T14:31:12.5Z", "2024-06-10T14:47:30.2Z")
    harness.assert_rows(got, expected(sim, kind, "AAPL", start, end))


def test_a_last_evening_lies_in_the_next_months_file(sim, home):
    """Months in paths are those of the UTC timestamp."""
    said = home.import_("1m", "AAPL", "2024-01-31", "2024-01-31")
    assert said["files"] == 2
    paths = [p.parent.name for p in harness.files_of(home.lake, "1m")]
    assert paths == ["month=01", "month=02"]
    harness.assert_rows(home.rows("1m"), truth.bars(sim, "1m", ["AAPL"], "2024-01-31", "2024-01-31"))


@pytest.mark.parametrize("kind", ["1m", "ticks", "quotes", "trades"])
def test_a_week_of_days_without_sessions_asks_nothing(kind, sim, home):
    sim.reset()
    said = home.import_(kind, "AAPL", "2024-06-08", "2024-06-09")
    assert said["successful"] == ["AAPL"] and said["rows"] == said["files"] == said["requests"] == 0
    assert sim.requests() == 0


@pytest.mark.parametrize("kind", ["1m", "1d", "ticks", "quotes", "trades", "raw-quotes"])
def test_symbols_without_rows(kind, sim, home):
    """Unknown but well-formed, delisted, not yet listed: success with no rows, proven empty, and no files."""
    said = home.import_(kind, "AAPL,DELI,ZZNONE,ZZB.A", "2024-06-10", "2024-06-10", code=3)
    assert [f["symbol"] for f in said["failed"]] == ["ZZNONE"], "six letters are not a symbol"
    said = home.import_(kind, "AAPL,DELI,ZZNO,ZZB.A", "2024-06-10", "2024-06-10")
    assert said["successful"] == ["AAPL", "DELI", "ZZNO", "ZZB.A"]
    assert {r["symbol"] for r in home.rows(kind if kind != "ticks" else "1s")} == {"AAPL"}
    states = {(c["symbol"], c["state"]) for c in home.ok("coverage", kind, "--json").json}
    assert {("DELI", "empty"), ("ZZNO", "empty"), ("ZZB.A", "empty"), ("AAPL", "present")} <= states
    sim.reset()
    assert home.import_(kind, "AAPL,DELI,ZZNO,ZZB.A", "2024-06-10", "2024-06-10")["requests"] == 0
    assert sim.requests() == 0


def test_currency_is_sent(sim, home):
    sim.reset()
    home.import_("1d", "AAPL", "2024-06-10", "2024-06-12", "--currency", "EUR")
    assert all("currency=EUR" in target for target in sim.targets())


BAR_TYPES = [("timestamp", pa.timestamp("us", tz="UTC")), *[(n, pa.float64()) for n in ("open", "high", "low", "close")], ("volume", pa.int64()),
             ("trade_count", pa.int64()), ("vwap", pa.float64())]
NS = [("timestamp", pa.timestamp("us", tz="UTC")), ("timestamp_ns", pa.int64())]
SIDES = [(f"{s}_{n}", t) for s in ("bid", "ask") for n, t in (("price", pa.float64()), ("size", pa.int64()), ("exchange", pa.string()))]
TYPES = {"1m": BAR_TYPES, "ticks": BAR_TYPES, "quotes": [NS[0], *SIDES, ("spread", pa.float64()), ("quote_count", pa.int64())],
         "trades": [*NS, ("price", pa.float64()), ("size", pa.int64()), ("exchange", pa.string()), ("conditions", pa.list_(pa.string())),
                    ("trade_id", pa.int64()), ("tape", pa.string()), ("update", pa.string())],
         "raw-quotes": [*NS, *SIDES, ("conditions", pa.list_(pa.string())), ("tape", pa.string())]}


@pytest.mark.parametrize("layout", ["hive", "flat"])
@pytest.mark.parametrize("kind", TYPES)
def test_columns_types_order_and_codec(kind, layout, sim, home):
    home.import_(kind, "BRK.B", "2024-06-10", "2024-06-10", "--layout", layout)
    (path,) = harness.files_of(home.lake, stored(kind), layout)
    schema = pq.ParquetFile(path).schema_arrow
    want = ([("symbol", pa.string())] if layout == "flat" else []) + TYPES[kind]
    plain = [(f.name, pa.list_(f.type.value_type) if pa.types.is_list(f.type) else f.type) for f in schema]
    assert [(n, str(t).replace("element", "item")) for n, t in plain] == [(n, str(t)) for n, t in want]
    group = pq.ParquetFile(path).metadata.row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}
    where = {"hive": {"1m": "equities_1min", "ticks": "equities_1sec", "quotes": "quotes_1sec", "trades": "trades", "raw-quotes": "quotes"},
             "flat": {"1m": "bars/1m", "ticks": "bars/1s", "quotes": "quotes", "trades": "trades", "raw-quotes": "raw_quotes"}}
    tail = "symbol=BRK.B/year=2024/month=06/data.parquet" if layout == "hive" else "BRK.B.2024-06.parquet"
    assert str(path.relative_to(home.lake)) == f"{where[layout][kind]}/{tail}"


def test_flat_day_bars_go_by_year(sim, home):
    home.import_("1d", "BRK.B", "2023-12-01", "2024-01-31", "--layout", "flat")
    assert [str(p.relative_to(home.lake)) for p in harness.data_files(home.lake)] == ["bars/1d/BRK.B.2023.parquet", "bars/1d/BRK.B.2024.parquet"]


@pytest.mark.parametrize("kind", ["1m", "ticks", "quotes", "trades", "raw-quotes"])
def test_the_files_depend_on_the_rows_alone(kind, sims, tmp_path):
    """Not on page boundaries, transfers in flight, how tokens look, the partitioning or the machine's time zone: byte for byte."""
    ways = [("new", ["--threads", "1"], {}), ("old", ["--threads", "16", "--page-limit", "37"], {"TZ": "Asia/Kolkata"}),
            ("new", ["--threads", "5", "--page-limit", "1001", "--partitioning", "plain"], {"TZ": "Pacific/Apia"}), ("new", ["--pages-per-unit", "1", "--page-limit", "500"], {"TZ": "UTC"})]
    seen = []
    for i, (tokens, words, env) in enumerate(ways):
        home = harness.Home(tmp_path / str(i), sims[tokens].url)
        home.import_(kind, "BRK.B,SPLT", "2024-01-30", "2024-02-01", *words, env=env)
        seen.append({name: value[0] for name, value in harness.fingerprint(home.lake).items() if not name.startswith("_ticklake")})
        assert len(seen[0]) == 4
    assert all(s == seen[0] for s in seen[1:])


@pytest.mark.parametrize("kind,change", [("1m", "set c=1.5"), ("1d", "set v=77"), ("trades", "set p=1.5"), ("raw-quotes", "set bp=1.5"), ("trades", "drop t"), ("1m", "drop t")])
def test_refresh_takes_what_the_vendor_says_now(kind, change, sim, home):
    """A row that was changed, or not given, at the first import is right after a refresh; only that one counts as new."""
    sim.faults(f"when page=1 do {change} row=2")
    home.import_(kind, "BRK.B", "2024-06-03", "2024-06-07", "--threads", "1", "--pages-per-unit", "100")
    want = expected(sim, kind, "BRK.B", "2024-06-03", "2024-06-07")
    assert home.rows(kind) != want
    sim.faults("")
    said = home.import_(kind, "BRK.B", "2024-06-03", "2024-06-07", "--refresh")
    harness.assert_rows(home.rows(kind), want)
    assert said["rows"] == 1 and said["files"] == 1
    home.sound()
