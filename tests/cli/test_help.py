"""The texts people see first. help.txt is what all help commands print; after a wanted change write it anew with
TICKLAKE_GOLDEN=write, and read the difference."""
import os
import pathlib
import re
import subprocess

import pytest

import harness

GOLDEN = pathlib.Path(__file__).parent / "help.txt"
COMMANDS = ["import", "plan", "update", "read", "sql", "symbols", "range", "coverage", "gaps", "audit", "adopt", "index", "simulate", "doctor", "version",
            "data import-api", "table"]
VERBS = {"create": ["--columns", "--from", "--format", "--faces", "--partition-by", "--property", "--name"], "append": ["--from", "--txn", "--add-columns", "--widen"],
         "merge": ["--from", "--keys", "--txn"], "replace": ["--from", "--where"], "delete": ["--where"], "add-columns": ["--columns"], "set-properties": ["--property"],
         "describe": ["--version", "--timestamp", "--face"], "schema": [], "history": ["--limit", "--face"], "restore": ["--version", "--timestamp"], "optimize": ["--where", "--file-size"],
         "zorder": ["--by", "--where"], "vacuum": ["--retain", "--dry-run", "--force"], "checkpoint": [], "expire": ["--older-than", "--keep", "--dry-run"], "verify": []}
COMMANDS += [f"table {verb}" for verb in VERBS]
COMMON = ["--lake", "--config", "--log-file", "--log-level", "--json", "--quiet", "--help"]
IMPORT = ["--provider", "--endpoint", "--layout", "--feed", "--adjustment", "--threads", "--rate", "--max-memory", "--bar", "--conditions", "--refresh",
          "--page-limit", "--pages-per-unit", "--retries", "--connect-timeout", "--read-timeout", "--asof", "--on-error", "--allow-http", "--partitioning"]
SIMULATE = ["--port", "--seed", "--faults", "--rate"]


def all_help(home):
    parts = [("ticklake --help", home.ok("--help").stdout)]
    parts += [(f"ticklake {c} --help", home.ok(*c.split(), "--help").stdout) for c in COMMANDS]
    return "".join(f"$ {command}\n{text}\n" for command, text in parts)


def test_help_is_what_was_agreed(home):
    text = all_help(home)
    if os.environ.get("TICKLAKE_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


@pytest.mark.parametrize("command,options", [*[(c, COMMON) for c in COMMANDS if c not in ("simulate", "table")], *[(f"table {v}", [*o, "--format"]) for v, o in VERBS.items()], *[(c, IMPORT) for c in ("import", "plan", "data import-api")], ("update", ["--endpoint", "--threads", "--rate", "--refresh", "--look-back"]),
                                             ("read", ["--session", "--tz", "--columns", "--format", "--output", "--limit"]), ("sql", ["--format", "--output"]),
                                             ("audit", ["--repair"]), ("simulate", SIMULATE)])
def test_the_published_options_are_there(command, options, home):
    text = home.ok(*command.split(), "--help").stdout
    for option in options:
        assert re.search(rf"{option}\b", text), f"{command} {option}"


@pytest.mark.parametrize("command,options", [("update", ["--layout", "--feed", "--adjustment", "--bar", "--conditions", "--provider"]), ("import", ["--look-back"]),
                                             ("adopt", ["--endpoint", "--layout", "--threads", "--rate", "--refresh"]), ("doctor", ["--layout", "--threads", "--bar", "--refresh"])])
def test_options_that_mean_nothing_are_not_listed(command, options, home):
    text = home.ok(command, "--help").stdout
    assert [o for o in options if re.search(rf"{o}\b", text)] == []


def test_help_fits_a_terminal_and_comes_first(home):
    """No line is wider than a wide terminal, help needs no lake, no key, no settings, and wins over wrong arguments."""
    home.env.pop("TICKLAKE_ALPACA_ENDPOINT")
    assert max(map(len, all_help(home).splitlines())) <= 140
    assert home.run("import", "--help", "1m").code == 0
    assert not home.lake.exists()


def test_the_man_page_names_every_command_and_option(home, tmp_path):
    man = home.ok("__man").stdout
    plain = man.replace("\\-", "-")
    for command in COMMANDS:
        assert f'.SS "ticklake {command}' in plain
    for option in COMMON + IMPORT:
        assert option in plain
    assert ".SH EXIT STATUS" in man and "APCA_API_KEY_ID" in plain
    page = tmp_path / "ticklake.1"
    page.write_text(man)
    done = subprocess.run(["man", "--warnings", "-l", str(page)], capture_output=True, text=True, env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}) \
        if os.path.exists("/usr/bin/man") and not os.path.islink("/usr/bin/man") else None
    assert done is None or (done.returncode == 0 and "warning" not in done.stderr)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_name_every_command(shell, home, tmp_path):
    text = home.ok("__completion", shell).stdout
    for command in COMMANDS:
        assert all(re.search(rf"(?<![\w-]){word}(?![\w-])", text) for word in command.split())
    assert "page-limit" in text
    if shell == "bash":
        script = tmp_path / "completion"
        script.write_text(text)
        probe = f". {script}; COMP_WORDS=(ticklake im); COMP_CWORD=1; _ticklake; echo ${{COMPREPLY[*]}}; COMP_WORDS=(ticklake import --pag); COMP_CWORD=2; _ticklake; echo ${{COMPREPLY[*]}}; " \
                "COMP_WORDS=(ticklake table ex); COMP_CWORD=2; _ticklake; echo ${COMPREPLY[*]}; COMP_WORDS=(ticklake table vacuum --dr); COMP_CWORD=3; _ticklake; echo ${COMPREPLY[*]}"
        assert subprocess.run(["bash", "-c", probe], capture_output=True, text=True).stdout.split("\n")[:4] == ["import", "--page-limit --pages-per-unit", "expire", "--dry-run"]
