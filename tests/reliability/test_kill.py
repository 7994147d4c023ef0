"""Scorecard line 1: kill -9 during fetch -> aggregate -> commit, at random moments and at each labelled step of a commit;
then the same command. Zero rows lost, doubled or changed, for three foreign readers; no file left over."""
import signal
import time

import pytest

import rig

SYMBOLS = ["AAPL", "MSFT", "NVDA"]
START, END = "2024-03-05T15:00:00Z", "2024-03-05T15:04:00Z"
# Several units of several pages, so that commits follow each other while pages still arrive.
COMMAND = ["import", "quotes", ",".join(SYMBOLS), START, END, "--json", "--quiet", "--page-limit", "700", "--pages-per-unit", "2",
           "--threads", "4"]


def command(lake, layout):
    return [*COMMAND, "--lake", lake, "--layout", layout]


@pytest.fixture(scope="module")
def truth(simulator):
    rows = rig.quotes_truth(simulator, SYMBOLS, START, "2024-03-05T15:03:59.999999999Z")
    assert len(rows) > 400
    return rows


def resume_and_check(home, simulator, lake, layout, truth, what):
    before = rig.lake_rows(lake, "quotes", layout)  # whole files only, and nothing in them that is not true
    assert before.items() <= truth.items(), f"{what}: before the resume the lake holds rows that are not the vendor's"
    done = rig.run(command(lake, layout), home, simulator.url)
    assert done.code == 0, f"{what}: resume: {done.err.decode()}"
    assert rig.summary(done)["rows"] == len(truth) - len(before), f"{what}: resume counted its rows wrongly"
    rig.check_lake(home, lake, "quotes", layout, truth, what)
    files = {p: p.stat().st_mtime_ns for p in rig.data_files(lake, "quotes", layout)}
    again = rig.summary(rig.run(command(lake, layout), home, simulator.url))
    assert again["requests"] == 0 and again["rows"] == 0, f"{what}: a finished import asked again: {again}"
    assert files == {p: p.stat().st_mtime_ns for p in rig.data_files(lake, "quotes", layout)}, f"{what}: a finished import wrote"


@pytest.mark.parametrize("layout", rig.LAYOUTS)
def test_kill_at_a_random_moment(home, simulator, truth, layout):
    random = rig.prng(f"kill/{layout}")
    began = time.monotonic()
    assert rig.run(command(rig.fresh(home, "whole"), layout), home, simulator.url).code == 0
    span, landed = time.monotonic() - began, 0
    trials = rig.count(150, 5)
    for trial in range(trials):
        lake = rig.fresh(home, "lake")
        for blow in range(random.choice((1, 1, 2, 3))):  # a resume may be killed too
            child = rig.start(command(lake, layout), home, simulator.url)
            moment = random.uniform(0, span)
            time.sleep(moment)
            met = child.poll() is None
            landed += met
            if not met:
                span = max(span * 0.9, 0.01)  # the measured run was slower than these are
            child.send_signal(signal.SIGKILL)
            child.communicate()
        resume_and_check(home, simulator, lake, layout, truth, f"trial {trial}, kill after {moment:.4f} s, seed {rig.SEED}")
    print(f"{layout}: {trials} trials, {landed} kills met a running import")
    assert landed >= trials // 2, "most kills came too late to mean anything"


@pytest.mark.parametrize("layout", rig.LAYOUTS)
def test_end_at_each_step_of_a_commit(home, simulator, truth, layout):
    steps = rig.run(command(rig.fresh(home, "whole"), layout), home, simulator.url, fault="step:0:count").faults
    assert steps >= 4
    for step in rig.sample(range(1, steps + 1), 4):
        lake = rig.fresh(home, "lake")
        done = rig.run(command(lake, layout), home, simulator.url, fault=f"step:{step}:exit-before")
        assert done.code == 99 or done.code == 0, f"step {step}: exit {done.code}: {done.err.decode()}"  # 0: fewer groups this time
        resume_and_check(home, simulator, lake, layout, truth, f"step {step} of {steps}")


def test_a_stop_signal_commits_what_is_whole(home, simulator, truth):
    random = rig.prng("signals")
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        for _ in range(rig.count(20, 2)):
            lake = rig.fresh(home, "lake")
            child = rig.start(command(lake, "hive"), home, simulator.url)
            time.sleep(random.uniform(0.03, 0.12))
            child.send_signal(number)
            out, err = child.communicate(timeout=30)
            # -number: it came before the program listened for it
            assert child.returncode in (0, code, -number), f"exit {child.returncode}: {err.decode()}"
            if child.returncode == code:
                assert b"ticklake import quotes" in err, "the command that resumes is not named"
            resume_and_check(home, simulator, lake, "hive", truth, f"signal {number}")
