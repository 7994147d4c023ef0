#!/usr/bin/env python3
"""tools/lock_requirements.py FILE.in - writes FILE.txt: every package that FILE.in needs, with its version and SHA-256.

The sums are those of Debian 12's Python 3.11 on x86_64 and aarch64; tools/setup installs with --require-hashes, so
nothing else can come in. Run it with that Python; pip resolves, nothing is installed.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

OTHER_MACHINE = ["--only-binary=:all:", "--no-deps", "--python-version=3.11", "--implementation=cp"] + [
    f"--platform={name}_aarch64" for name in ("manylinux_2_28", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014")
]


def resolve(arguments):
    """[(name, version, file name, sha256)] that pip would install for these arguments."""
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--target", folder,
             "--report", report, *arguments],
            check=True)
        items = json.loads(report.read_text())["install"]
    return [(i["metadata"]["name"], i["metadata"]["version"], i["download_info"]["url"].rsplit("/", 1)[1],
             i["download_info"]["archive_info"]["hashes"]["sha256"]) for i in items]


def main():
    source = pathlib.Path(sys.argv[1])
    sums = {}
    for name, version, _, sha in (resolved := resolve(["-r", source])):
        sums[f"{name}=={version}"] = [sha]
    built = [f"{n}=={v}" for n, v, file, _ in resolved if file.endswith(".whl") and not file.endswith("-any.whl")]
    for name, version, _, sha in resolve(OTHER_MACHINE + built):
        sums[f"{name}=={version}"].append(sha)
    lines = [f"# Written by tools/lock_requirements.py from {source.name}: Python 3.11 on x86_64 and aarch64."]
    for pin in sorted(sums, key=str.lower):
        lines.append(" \\\n    ".join([pin] + [f"--hash=sha256:{sha}" for sha in sums[pin]]))
    source.with_suffix(".txt").write_text("\n".join(lines) + "\n")


main()
