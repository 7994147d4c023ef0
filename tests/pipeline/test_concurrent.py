"""Several imports into one lake at once: the union of their rows, none twice, and a ledger that agrees with the files."""
import json
import time

import pytest

import harness
import truth

ROUNDS = max(3, round(40 * harness.SCALE))
SYMBOLS = ["AAPL", "BRK.B", "SPLT"]


def together(*starts):
    """Starts all at once; their parsed JSON, or the failure."""
    processes = [home.start("import", *words, "--json") for home, words in starts]
    ended = [p.communicate(timeout=120) for p in processes]
    for p, (out, err) in zip(processes, ended):
        assert p.returncode == 0, harness.Outcome(p.returncode, out.decode(), err.decode())
    return [json.loads(out) for out, _ in ended]


@pytest.mark.parametrize("kind", ["1m", "trades"])
def test_overlapping_ranges_at_once(kind, layout, sim, tmp_path):
    meet(kind, layout, sim, tmp_path)


@pytest.mark.parametrize("layout", ["hive", "flat"])
@pytest.mark.parametrize("kind", ["ticks", "quotes"])
def test_overlapping_ranges_of_shaped_rows_at_once(kind, layout, sim, tmp_path):
    meet(kind, layout, sim, tmp_path)


def meet(kind, layout, sim, tmp_path):
    make = {"1m": lambda *a: truth.bars(sim, "1m", *a), "trades": lambda *a: truth.trades(sim, *a), "quotes": lambda *a: truth.tightest(sim, *a),
            "ticks": lambda *a: truth.bars_of_ticks(sim, "1s", *a)}
    want = make[kind](SYMBOLS, "2024-05-30", "2024-06-05")
    for round_ in range(max(1, ROUNDS // 3)):
        home = harness.Home(tmp_path / str(round_), sim.url)
        together((home, [kind, "AAPL,BRK.B,SPLT", "2024-05-30", "2024-06-03", *harness.LAYOUTS[layout], "--threads", "4"]),
                 (home, [kind, "SPLT,AAPL,BRK.B", "2024-05-31", "2024-06-05", *harness.LAYOUTS[layout], "--threads", "4"]),
                 (home, [kind, "BRK.B,AAPL", "2024-06-03", "2024-06-04", *harness.LAYOUTS[layout], "--threads", "2"]))
        got = home.rows("1s" if kind == "ticks" else kind, layout)
        harness.assert_rows(got, want)
        home.sound(layout)
        sim.reset()
        assert home.import_(kind, "AAPL,BRK.B,SPLT", "2024-05-30", "2024-06-05", *harness.LAYOUTS[layout])["requests"] == 0


def test_many_writers_of_one_file(sim, home):
    """Every day of a month by its own process: all meet in the same two files."""
    days = [d for d in (f"2024-06-{n:02d}" for n in range(3, 29))]
    for group in (days[i::2] for i in range(2)):
        together(*[(home, ["5m", "AAPL,BRK.B", d, d]) for d in group])
    harness.assert_rows(home.rows("5m"), truth.bars(sim, "5m", ["AAPL", "BRK.B"], "2024-06-03", "2024-06-28"))
    home.sound()


def test_readers_see_whole_files_while_a_writer_works(sim, home):
    """A reader that comes in between sees each file before or after a commit, never half of one."""
    want = {(r["timestamp"], r["close"]) for r in truth.bars(sim, "1m", ["BRK.B"], "2024-05-28", "2024-06-07")}
    home.import_("1m", "BRK.B", "2024-05-28", "2024-05-28")
    process = home.start("import", "1m", "BRK.B", "2024-05-28", "2024-06-07", "--threads", "1", "--page-limit", "10")
    looks = 0
    while process.poll() is None or looks == 0:
        rows = [(r["timestamp"], r["close"]) for r in home.rows("1m")]
        assert len(rows) == len(set(rows)) and set(rows) <= want
        looks += 1
    process.communicate()
    assert process.returncode == 0
    assert {(r["timestamp"], r["close"]) for r in home.rows("1m")} == want


def test_all_processes_of_a_key_share_one_budget(tmp_path):
    """Two imports under --rate 30: in no minute more than 30 requests; one of another key has its own budget."""
    with harness.Simulator("--seed", 7, "--density", "0.05", "--rate", 1_000_000) as own:
        home = harness.Home(tmp_path, own.url)
        keys = [{"APCA_API_KEY_ID": k, "APCA_API_SECRET_KEY": "s"} for k in ("one", "one", "two")]
        lakes = [str(tmp_path / name) for name in "abc"]
        processes = [home.start("import", "1m", "AAPL", "2024-06-03", "2024-06-14", "--page-limit", "60", "--rate", "30", "--threads", "4", "--lake", lake, env=env)
                     for lake, env in zip(lakes, keys)]
        deadline = time.monotonic() + 12
        while time.monotonic() < deadline and own.requests() < 60:
            time.sleep(0.1)
        time.sleep(1.5)
        assert own.requests() == 60, "30 of each key"
        for p in processes:
            p.terminate()
        codes = [(p.communicate(), p.returncode)[1] for p in processes]
        assert codes == [143, 143, 143]
