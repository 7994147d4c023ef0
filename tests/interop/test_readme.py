"""What README.md, docs/formats/parquet.md and the public header print is run as printed, on a lake made by this build's
program against its simulator. A block that is not run must be of a kind named here, so a new one cannot slip by."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import duckdb
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "pipeline"))
import harness  # noqa: E402

SOURCE = pathlib.Path(os.environ["TICKLAKE_SOURCE"])
BUILD = pathlib.Path(os.environ["TICKLAKE_BUILD"])
README = (SOURCE / "README.md").read_text()
FORMATS = (SOURCE / "docs/formats/parquet.md").read_text()
HEADER = (SOURCE / "include/ticklake/ticklake.h").read_text()


def blocks(text, language):
    """Fenced blocks of one language ("" for none)."""
    return [body for lang, body in re.findall(r"^```([a-z]*)\n(.*?)^```$", text, re.S | re.M) if lang == language]


def queries(block):
    return [q.strip() for q in block.split(";") if q.strip()]


SQL = [q for block in blocks(README, "sql") + blocks(FORMATS, "sql") for q in queries(block)]
PYTHON = blocks(FORMATS, "python")
SHELL = [line for block in blocks(FORMATS, "sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def simulator():
    with harness.Simulator("--seed", 42, "--density", "0.05", "--rate", 1_000_000) as sim:
        yield sim


@pytest.fixture(scope="module")
def home(tmp_path_factory, simulator):
    """A working directory as the texts mean it: lake/ and demo/lake, and the program as build/ticklake and on the PATH."""
    home = harness.Home(tmp_path_factory.mktemp("readme"), simulator.url)
    (home.work / "build").mkdir()
    (home.work / "build/ticklake").symlink_to(harness.BIN)
    home.env["PATH"] = f"{home.work}/build:{home.env['PATH']}"
    home.import_("1m", "AAPL,MSFT,NVDA", "2024-01-02", "2024-01-31")
    (home.work / "demo").mkdir()
    (home.work / "demo/lake").symlink_to(home.lake)
    return home


def shell(home, line, **more):
    done = subprocess.run(["bash", "-euc", line], cwd=home.work, env={**home.env, **more}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_there_is_something_to_run():
    assert len(SQL) >= 4 and len(PYTHON) >= 3 and len(SHELL) >= 4


def test_no_block_is_of_a_kind_that_nobody_runs():
    known = {"sql", "python", "sh", "ini", "c", ""}
    for text in (README, FORMATS):
        assert set(re.findall(r"^```([a-z]+)$", text, re.M)) <= known


def test_links_lead_somewhere():
    pages = [*SOURCE.glob("*.md"), *SOURCE.glob("docs/**/*.md"), *SOURCE.glob("src/**/*.md"), *SOURCE.glob("sim/**/*.md")]
    links = [(page, target) for page in pages for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())]
    assert len(links) > 5
    assert not [f"{page}: {target}" for page, target in links if not (page.parent / target).exists()]


@pytest.mark.parametrize("query", SQL, ids=lambda q: " ".join(q.split())[:60])
def test_queries_run_as_printed_in_any_duckdb_and_through_ticklake(home, query):
    old = os.getcwd()
    os.chdir(home.work)
    try:
        theirs = duckdb.sql(query).fetchall()
    finally:
        os.chdir(old)
    assert theirs, "the query gives no row"
    ours = json.loads(subprocess.run([harness.BIN, "sql", query, "--format", "json"], cwd=home.work, env=home.env, check=True,
                                     capture_output=True, text=True).stdout)
    assert len(ours) == len(theirs)


def test_the_count_is_the_count(home):
    """The first query of the README, against the vendor's own total."""
    old = os.getcwd()
    os.chdir(home.work)
    try:
        (count,) = duckdb.sql(SQL[0]).fetchone()
    finally:
        os.chdir(old)
    assert count == sum(len(duckdb.read_parquet(str(p)).fetchall()) for p in harness.files_of(home.lake, "1m"))
    assert count > 20_000


@pytest.mark.parametrize("line", SHELL)
def test_lines_of_the_formats_page_run_as_printed(home, line):
    shell(home, line)


@pytest.mark.parametrize("program", PYTHON, ids=lambda p: re.search(r"(polars|pandas|pyspark)", p).group())
def test_programs_of_the_formats_page_run_as_printed(home, program):
    if "pyspark" in program and not shutil.which("java"):
        pytest.fail("Spark needs a java: tools/setup test installs one")
    done = subprocess.run([sys.executable, "-c", program], cwd=home.work, env=home.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip()
    assert "AAPL" in program and not re.search(r"shape: \(0,|Empty DataFrame", done.stdout)


def test_the_real_key_block_runs_against_the_simulator(home, simulator):
    """The block under "With a real key", with the simulator's address in place of the vendor's host and a short list."""
    (block,) = [b for b in blocks(README, "") if "APCA_API_KEY_ID=" in b]
    (home.work / "symbols.csv").write_text("symbol\nAAPL\n")
    block = block.replace("2015-01-01 2023-12-31", "2023-12-18 2023-12-29")
    out = shell(home, block, TICKLAKE_LAKE=str(home.work / "keyed"), TICKLAKE_NOW="1704500000")
    assert "requests" in out
    assert harness.files_of(home.work / "keyed", "1m")


def test_the_commands_that_are_shown_give_what_is_shown(home):
    """`$ ticklake ...` lines: the members of the result, and the columns of the table."""
    (block,) = [b for b in blocks(README, "") if "$ ticklake read" in b]
    shown = block.splitlines()
    result = json.loads(next(s for s in shown if s.startswith("{")).replace(",...", ""))
    again = home.import_("1m", "AAPL,MSFT,NVDA", "2024-01-02", "2024-01-31")
    assert set(result) <= set(again)
    read = next(s for s in shown if s.startswith("$ ticklake read"))
    table = shell(home, read[2:])
    header = next(s for s in shown if s.startswith("symbol "))
    assert header.split() == table.splitlines()[0].split()
    assert len([s for s in table.splitlines() if s.startswith("AAPL")]) == 5


def test_the_settings_that_are_shown_are_understood(home):
    (block,) = blocks(README, "ini")
    (home.work / "shown.ini").write_text(block.replace("/home/me/.alpaca-secret", str(home.work / "secret")))
    (home.work / "secret").write_text("a-secret\n")
    for name in ("shown.ini", "secret"):
        (home.work / name).chmod(0o600)
    outcome = home.run("plan", "1m", "AAPL", "2024-02-01", "2024-02-02", "--config", "shown.ini", env={"APCA_API_KEY_ID": "a-key"})
    assert outcome.code == 0, repr(outcome)
    assert "unknown" not in outcome.stderr


def test_the_program_of_the_header_compiles_and_runs(home):
    """The lines at the head of ticklake.h, with the error checks its dots stand for."""
    lines = re.findall(r"^ \*     (.*)$", HEADER, re.M)
    body = "\n".join(lines).replace("...", "return puts(err.message), 1;")
    assert "tl_lake_import" in body and "tl_lake_read" in body
    program = home.work / "program.c"
    program.write_text("#include <stdio.h>\n#include <ticklake/ticklake.h>\n\nint main(void) {\n" + body + """
    if (st) return puts(err.message), 1;
    struct ArrowArray array;
    long long rows = 0;
    while (!bars.get_next(&bars, &array) && array.release) {
      rows += array.length;
      array.release(&array);
    }
    bars.release(&bars);
    tl_import_result_free(result);
    tl_lake_close(lake);
    printf("%lld\\n", rows);
    return 0;
}
""")
    flags = ["-std=c17", "-Wall", "-Wextra", "-Werror", f"-I{SOURCE / 'include'}", "program.c", "-o", "program", f"-L{BUILD}", "-lticklake",
             f"-Wl,-rpath,{BUILD}", f"-Wl,-rpath,{SOURCE / '.deps/duckdb/lib'}", f"-Wl,-rpath-link,{SOURCE / '.deps/duckdb/lib'}"]
    sanitize = [line.split("=", 1)[1] for line in (BUILD / "CMakeCache.txt").read_text().splitlines() if line.startswith("TL_SANITIZE:")]
    if sanitize and sanitize[0]:  # the library calls the sanitizer's functions, which the program brings
        flags = ["-fsanitize=" + sanitize[0], *flags]
    compiler = "clang" if sanitize and sanitize[0] else "cc"
    made = subprocess.run([compiler, *flags], cwd=home.work, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    rows = int(shell(home, "./program"))
    table = home.rows("1m")
    assert rows == sum(1 for row in table if row["symbol"] == "AAPL") > 9_000
