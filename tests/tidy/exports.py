#!/usr/bin/env python3
"""exports.py LIBRARY - libticklake.so shows exactly what include/ declares: nothing of its insides, nothing missing."""

import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(root / "tests/tidy"))
from tidy import code_of

table = subprocess.run(["nm", "-D", "--defined-only", sys.argv[1]], check=True, capture_output=True, text=True).stdout
# A sanitizer's or the coverage's own symbols begin with two underscores.
shown = {name for line in table.splitlines() if not (name := line.split()[-1].split("@")[0]).startswith("_")}
declared = set()
for header in (root / "include").rglob("*.h"):
    declared |= set(re.findall(r"\bTL_API\b[^;{]*?\b(tl_\w+)\s*\(", code_of(header.read_text(encoding="utf-8"))))
for name in sorted(shown - declared):
    print(f"{name} is exported, but include/ declares no TL_API function of that name")
for name in sorted(declared - shown):
    print(f"{name} is declared in include/, but libticklake.so has it not")
print(f"exports: {len(shown)} of {len(declared)}")
sys.exit(shown != declared)
