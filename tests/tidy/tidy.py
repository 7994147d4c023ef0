#!/usr/bin/env python3
"""tidy.py [FOLDER] - checks what no compiler checks; prints `file:line: what is wrong` and exits 1 when anything is.

1. The include rule. ARCHITECTURE.md holds it in one block fenced as ```edges; this test reads it from there:

       folder: others      a file of src/FOLDER may include its own folder, and the folders named
       other+              that folder and whatever it may include itself
       cli, sim, include   are the folders beside src/ (include: the public header)
       cli/main.c: sim     a single file may include this as well
       <curl/*>: net       a system header only these folders may include
       # ...               a comment

   A folder that is not drawn, an edge that is not drawn and a ring of edges are errors.
2. Banned functions, each with what to use instead (BANNED).
3. No two files of one name, so that a stack trace names its file; parallel folders (src/provider/*) may agree, and
   the simulator, which never shares a process's work with the engine, has names of its own.
4. No note of unfinished work.
5. Each public header compiles alone, as C17 and as C++17.
"""

import fnmatch
import pathlib
import re
import subprocess
import sys

ROOTS = ("src", "cli", "sim")
PARALLEL = ("provider/*", "table/*")

# (what, where it is allowed, what to use instead); the folders are those of the include rule, or single files.
BANNED = [
    (("malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup", "asprintf", "vasprintf", "getline"),
     ("base/alloc.c",), "tl_alloc and its like of base/alloc.h"),
    (("strtod", "strtof", "strtold", "atof", "atoi", "atol", "sscanf"),
     # number.c hands strtod digits and an exponent without a point, which no locale reads differently.
     ("market/number.c",), "market/number.h, which is exact and checks"),
    (("time", "localtime", "localtime_r", "mktime", "gettimeofday", "clock_gettime", "sleep", "usleep", "nanosleep"),
     ("base/clock.c",), "base/clock.h, and market/time.h for zones"),
    (("rand", "srand", "random", "srandom", "drand48", "rand_r"), (), "base/prng.h, which is seeded"),
    (("printf", "vprintf", "puts", "putchar"), ("cli", "sim"), "a callback or base/log.h; only the program prints"),
    (("fopen", "open", "openat", "rename", "renameat", "unlink", "fsync", "fdatasync", "mkdir", "opendir", "link"),
     # log.c: lines must come out while the disk's faults are injected, and must not count as its calls.
     ("base/io.c", "base/io_*.c", "base/log.c", "cli", "sim"), "base/io.h, where faults are injected"),
    (("strcpy", "strcat", "sprintf", "vsprintf", "gets", "alloca", "system", "popen", "strtok"), (),
     "a bounded form: base/buf.h, snprintf"),
]
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


class Rule:
    """The edges block of ARCHITECTURE.md."""

    def __init__(self, text):
        block = re.search(r"^```edges\n(.*?)^```", text, re.S | re.M)
        if not block:
            raise ValueError("ARCHITECTURE.md has no block fenced as ```edges")
        self.edges, self.headers = {}, {}
        for line in block.group(1).splitlines():
            line = line.split("#")[0].strip()
            if not line:
                continue
            key, _, names = line.partition(":")
            if key.startswith("<"):
                self.headers[key.strip("<> ")] = names.split()
            else:
                self.edges[key.strip()] = names.split()
        self.allowed = {key: self.expand(key, ()) for key in self.edges}

    def expand(self, key, path):
        if key in path:
            raise ValueError("the edges go round: " + " -> ".join(path + (key,)))
        found = set()
        for name in self.edges.get(key, ()):
            bare = name.rstrip("+")
            if bare not in self.edges and bare != "include":
                raise ValueError(f"edge {key}: {bare}: there is no line for {bare}")
            below = self.expand(bare, path + (key,))
            found |= {bare} | (below if name.endswith("+") else set())
        return found

    def may(self, where, name):
        """May the file `where`, e.g. plan/pack.c, include the folder `name`?"""
        folder = where.split("/")[0]
        return name == folder or name in self.allowed.get(folder, ()) or name in self.allowed.get(where, ())

    def may_use(self, where, header):
        folder = where.split("/")[0]
        return all(folder in folders or where in folders
                   for pattern, folders in self.headers.items() if fnmatch.fnmatch(header, pattern))


def code_of(text):
    """The text with comments and literals blanked out; lines stay where they are."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def where_of(path, root):
    """src/plan/pack.c -> plan/pack.c; cli/main.c and sim/http.c stay."""
    relative = path.relative_to(root).as_posix()
    return relative[4:] if relative.startswith("src/") else relative


def check_includes(path, where, text, rule, root):
    folder = where.split("/")[0]
    if folder not in rule.edges:
        yield 1, f"the folder {folder} is not drawn in the edges of ARCHITECTURE.md"
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        kind, name = match.groups()
        if kind == "<":
            if not rule.may_use(where, name):
                yield number, f"<{name}> is not for {folder} (edges of ARCHITECTURE.md)"
            continue
        if (path.parent / name).is_file():  # "option.h" from beside it
            other = where_of((path.parent / name).resolve(), root).split("/")[0]
        elif name.startswith("ticklake/"):
            other = "include"
        elif name.startswith("src/") or "/" not in name:
            yield number, f'"{name}" must be written relative to src/'
            continue
        else:
            other = name.split("/")[0]
        if not rule.may(where, other):
            yield number, f"{folder} must not include {other} ({name}): this edge is not drawn in ARCHITECTURE.md"


def check_banned(where, code):
    for names, allowed, instead in BANNED:
        if any(where.split("/")[0] == a or fnmatch.fnmatch(where, a) for a in allowed):
            continue
        for match in re.finditer(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(", code):
            yield code.count("\n", 0, match.start()) + 1, f"{match.group(1)} is banned here; use {instead}"
    if where.split("/")[0] not in ("cli", "sim"):
        for match in re.finditer(r"\bstdout\b", code):
            yield code.count("\n", 0, match.start()) + 1, "only the program writes to stdout"


def check_names(paths, root):
    seen = {}
    for path in paths:
        where = where_of(path, root)
        folder = where.rpartition("/")[0]
        group = next((p for p in PARALLEL if fnmatch.fnmatch(folder, p)), "")
        others = seen.setdefault((where.startswith("sim/"), path.name), [])
        for other in others:
            if not group or other[1] != group:
                yield path, 1, f"there is another file of this name: {other[0]}"
        others.append((where, group))


def check_headers(root):
    for header in sorted((root / "include").rglob("*.h")):
        for compiler, language, standard in (("gcc", "c", "c17"), ("g++", "c++", "c++17")):
            run = subprocess.run([compiler, f"-x{language}", f"-std={standard}", "-Wall", "-Wextra", "-pedantic",
                                  "-Werror", "-fsyntax-only", f"-I{root / 'include'}", str(header)],
                                 capture_output=True, text=True)
            # gcc calls the main file's own include guard suspicious only for "#pragma once", which we do not use.
            if run.returncode:
                yield header, 1, f"does not compile alone as {standard}:\n{run.stderr}"


def check_tree(root):
    """Yields (path, line, text) of everything wrong below root."""
    try:
        rule = Rule((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield root / "ARCHITECTURE.md", 1, str(error)
        return
    paths = sorted(p for r in ROOTS for p in (root / r).rglob("*") if p.suffix in (".c", ".h"))
    for path in paths:
        where, text = where_of(path, root), path.read_text(encoding="utf-8")
        for number, message in [*check_includes(path, where, text, rule, root), *check_banned(where, code_of(text))]:
            yield path, number, message
        for number, line in enumerate(text.splitlines(), 1):
            if UNFINISHED.search(line):
                yield path, number, "a note of unfinished work: finish it, or file an issue"
    yield from check_names(paths, root)
    yield from check_headers(root)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    wrong = list(check_tree(root))
    for path, number, message in wrong:
        print(f"{path.relative_to(root)}:{number}: {message}")
    print(f"tidy: {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
