"""Scorecard lines 2 and 5: every file-system call of a job in turn is the last thing the process did (just before it, just
after it), or fails with an errno, or moves only part of its bytes; and every transfer fails. Then the same command without
the fault: zero rows lost, doubled or changed.

Two jobs a layout: into a new lake, and into one that holds the month's file already (the rename over it)."""
import shutil

import pytest

import rig

SYMBOLS = ["AAPL", "MSFT", "NVDA"]
FIRST = ("2024-03-05T15:00:00Z", "2024-03-05T15:40:00Z")
SECOND = ("2024-03-05T15:30:00Z", "2024-03-05T16:10:00Z")
JOBS = ("new", "merge")


def import_bars(lake, layout, span, *more):
    return ["import", "1m", ",".join(SYMBOLS), *span, "--lake", lake, "--layout", layout, "--quiet", "--page-limit", "40",
            "--pages-per-unit", "2", "--threads", "2", *more]


class Job:
    """One job and what it must leave: `prepare` a lake, run the command with a fault, run it again, `check`."""

    def __init__(self, home, simulator, layout, job):
        self.home, self.url, self.layout, self.merge = home, simulator.url, layout, job == "merge"
        self.span = SECOND if self.merge else FIRST
        self.truth = rig.bars_truth(simulator, SYMBOLS, "2024-03-05T15:00:00Z", self.span[1][:-1] + ".000000000Z", "1Min")
        end = rig.nanoseconds(self.span[1]) // 1000
        self.truth = {at: row for at, row in self.truth.items() if at[1] < end}
        assert len(self.truth) >= 100
        self.template = rig.fresh(home, f"template-{layout}-{job}")
        if self.merge:
            assert rig.run(import_bars(self.template, layout, FIRST), home, self.url).code == 0

    def prepare(self):
        lake = rig.fresh(self.home, f"lake-{self.layout}")
        if self.merge:
            shutil.copytree(self.template, lake)
        return lake

    def calls(self, seam):
        done = rig.run(import_bars(self.prepare(), self.layout, self.span), self.home, self.url, fault=f"{seam}:0:count")
        assert done.code == 0 and done.faults, done.err.decode()
        return done.faults

    def strike(self, fault):
        """Returns the faulted run and its lake; whatever is in the lake's files then is true."""
        lake = self.prepare()
        done = rig.run(import_bars(lake, self.layout, self.span, "--retries", "2"), self.home, self.url, fault=fault, timeout=60)
        rows = rig.lake_rows(lake, "1m", self.layout)
        assert rows.items() <= self.truth.items(), f"{fault}: the lake holds rows that are not the vendor's"
        if self.merge:
            first_end = rig.nanoseconds(FIRST[1]) // 1000
            kept = {at: row for at, row in self.truth.items() if at[1] < first_end}
            assert kept.items() <= rows.items(), f"{fault}: rows that had been committed are gone"
        return done, lake

    def resume(self, lake, fault):
        done = rig.run(import_bars(lake, self.layout, self.span), self.home, self.url)
        assert done.code == 0, f"{fault}: resume: {done.err.decode()}"
        rig.check_lake(self.home, lake, "1m", self.layout, self.truth, fault)


@pytest.fixture(params=[f"{layout}-{job}" for layout in rig.LAYOUTS for job in JOBS])
def job(request, home, simulator):
    return Job(home, simulator, *request.param.split("-"))


def test_the_process_ends_at_each_disk_call(job):
    calls = job.calls("disk")
    met = 0
    points = [(k, when) for k in range(1, calls + 1) for when in ("exit-before", "exit-after")]
    for k, when in rig.sample(points, 6):
        fault = f"disk:{k}:{when}"
        done, lake = job.strike(fault)
        assert done.code in (0, 99), f"{fault}: exit {done.code}: {done.err.decode()}"  # 0: fewer calls this time
        met += done.code == 99
        job.resume(lake, fault)
    print(f"{calls} disk calls; {met} ends met")
    assert met, "no end was met: the seam is not in the program"


@pytest.mark.parametrize("error", ("ENOSPC", "EIO", "EINTR", "short"))
def test_each_disk_call_fails(job, error):
    calls, failed = job.calls("disk"), 0
    for k in rig.sample(range(1, calls + 1), 5):
        fault = f"disk:{k}:{error}"
        done, lake = job.strike(fault)
        rig.assert_clean(done, fault)
        if error in ("EINTR", "short"):
            # They are no errors; only SQLite's unlink takes EINTR for one, which no local disk gives it.
            assert done.code == 0 or (error == "EINTR" and b"cannot read ledger" in done.err), f"{fault}: {done.err.decode()}"
        failed += done.code != 0
        job.resume(lake, fault)
    print(f"{calls} disk calls; {failed} of the sampled faults ended the run with an error")


def test_each_transfer_fails(job):
    transfers = job.calls("net")
    assert transfers >= 3
    for k in rig.sample(range(1, transfers + 1), 3):
        fault = f"net:{k}"
        done, lake = job.strike(fault)
        assert done.code == 0, f"{fault}: one failed transfer is retried, not the end: {done.err.decode()}"
        job.resume(lake, fault)
