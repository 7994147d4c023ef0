"""Peak memory of a big quotes import: below 256 MiB, and no more for four times the quotes."""
import os
import subprocess
import sys

import pytest

import harness

# One symbol's day of quotes per unit; the long form is the 9.3 million quotes of the issue, the short one a ninth of it.
BIG = harness.SCALE >= 1
DAYS = ["2024-06-03", "2024-06-04", "2024-06-05", "2024-06-06"]
PER_SECOND = 390 if BIG else 42


# Linux carries the peak of whoever started a program over into the program's own, so a small process starts it.
STARTER = """import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)"""


def peak_mib(home, *words):
    """Peak resident MiB of one run that ends well."""
    # AddressSanitizer keeps 256 MiB of freed blocks by default: that would be its memory, not ours.
    env = {**home.env, "ASAN_OPTIONS": f"{home.env.get('ASAN_OPTIONS', '')}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}
    done = subprocess.run([sys.executable, "-S", "-c", STARTER, harness.BIN, *map(str, words), "--quiet"], env=env, cwd=home.work,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=1500)
    code, kib = map(int, done.stdout.split())
    assert code == 0, done.stderr
    return kib / 1024


@pytest.fixture(scope="module")
def busy():
    with harness.Simulator("--seed", 9, "--quotes-per-second", PER_SECOND, "--trades-per-second", 30, "--rate", 1_000_000, "--cache-bytes", 0) as sim:
        yield sim


def sanitized():
    return any("SAN" in k for k in os.environ) and "build-asan" in harness.BIN or "build-tsan" in harness.BIN


@pytest.mark.parametrize("kind", ["quotes", "ticks"])
def test_peak_memory_does_not_grow_with_the_ticks(kind, busy, tmp_path):
    limit = 256 if not sanitized() else 4096
    few = harness.Home(tmp_path / "few", busy.url)
    many = harness.Home(tmp_path / "many", busy.url)
    small = peak_mib(few, "import", kind, "AAPL", DAYS[0], DAYS[0])
    large = peak_mib(many, "import", kind, "AAPL", DAYS[0], DAYS[-1])
    counted = [sum(r["quote_count"] for r in h.rows("quotes")) for h in (few, many)] if kind == "quotes" else [len(h.rows("1s")) for h in (few, many)]
    print(f"{kind}: {counted[0]:,} -> {small:.0f} MiB, {counted[1]:,} -> {large:.0f} MiB")
    assert counted[1] > 3 * counted[0] > (1_000_000 if kind == "quotes" else 20_000)
    assert large < limit and small < limit
    assert large < small * 1.25 + 32
    many.sound()


def test_raw_quotes_stay_within_max_memory(busy, tmp_path):
    home = harness.Home(tmp_path, busy.url)
    peak = peak_mib(home, "import", "raw-quotes", "AAPL", DAYS[0], DAYS[0], "--max-memory", "256M")
    print(f"raw-quotes: {peak:.0f} MiB")
    assert peak < (256 if not sanitized() else 4096) + 64
