"""Scorecard line 3: the power goes. strace records what a verb did to the disk; for each moment of it the table is built again as a disk may
hold it that kept only what was synced, in four ways, and must then be a whole version for every reader; a version that was
acknowledged must be the new one. The next command works on what is left.

The disk: a file's bytes are safe once the file was synced after its last write; a name, or the end of one, once its folder was. What was not
is: all lost; names kept and bytes lost; names kept and half of the bytes lost; names lost and bytes kept."""
import os
import pathlib
import re
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "interop"))
import tables  # noqa: E402
from tables import FACES, Local  # noqa: E402
from test_tables_crash import QUICK, Crash, make  # noqa: E402

CALLS = "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir,mkdirat"
LOSSES = ("all", "bytes", "half the bytes", "names")
QUOTED = re.compile(r'(?:(AT_FDCWD|\d+)(?:<([^>]*)>)?, )?"((?:[^"\\]|\\.)*)"')


class Node:
    """A file or a folder, whatever its names."""
    def __init__(self, folder=False, content=None):
        self.folder, self.content, self.dirty = folder, content, False


class Disk:
    """The tree below `base` while the calls of a trace go by."""

    def __init__(self, base, kept):
        self.base, self.live = base, {}
        for path in sorted(pathlib.Path(kept).rglob("*")):
            self.live[f"{base}/{path.relative_to(kept)}"] = Node(path.is_dir(), None if path.is_dir() else path.read_bytes())
        self.safe = dict(self.live)

    def below(self, path):
        return path.startswith(self.base + "/")

    def sync_folder(self, path):
        def inside(p):
            return p.rpartition("/")[0] == path
        self.safe = {p: n for p, n in self.safe.items() if not inside(p)} | {p: n for p, n in self.live.items() if inside(p)}

    def play(self, call, args, result):
        """One finished call; says whether it changed the tree or what is safe of it."""
        fd = re.match(r"\d+<([^>]*)>", args)
        if call in ("openat", "open", "creat"):
            path = re.search(r"= \d+<([^>]*)>", result)
            if not path or not self.below(path.group(1)) or ("O_CREAT" not in args and "O_TRUNC" not in args):
                return False
            node = self.live.setdefault(path.group(1), Node())
            node.dirty = node.dirty or "O_TRUNC" in args
            return True
        if call in ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate", "copy_file_range", "sendfile"):
            path = fd.group(1) if call != "copy_file_range" else re.findall(r"\d+<([^>]*)>", args)[1]
            if path in self.live:
                self.live[path].dirty = True
            return path in self.live
        if call in ("fsync", "fdatasync"):
            path = fd.group(1)
            if path == self.base or (path in self.live and self.live[path].folder):
                self.sync_folder(path)
            elif path in self.live:
                self.live[path].dirty = False
            return path == self.base or path in self.live
        assert call not in ("truncate", "sync_file_range"), f"a call this model does not know: {call}({args})"
        paths = [self.absolute(at, text) for _, at, text in QUOTED.findall(args)]
        if call in ("mkdir", "mkdirat") and self.below(paths[0]):
            self.live[paths[0]] = Node(True)
        elif call in ("unlink", "unlinkat", "rmdir") and self.below(paths[0]):
            self.live.pop(paths[0], None)
        elif call.startswith("rename") and self.below(paths[1]):
            assert not any(p.startswith(paths[0] + "/") for p in self.live), "a folder was renamed"
            self.live[paths[1]] = self.live.pop(paths[0], None) or Node()
        elif call.startswith("link") and self.below(paths[1]):
            self.live[paths[1]] = self.live[paths[0]]
        else:
            return False
        return True

    @staticmethod
    def absolute(at, text):
        text = text.encode().decode("unicode_escape").encode("latin-1").decode()
        return text if text.startswith("/") else os.path.normpath(f"{at}/{text}")

    def build(self, loss):
        """Writes the tree that this loss leaves to the table's folder."""
        names = self.safe if loss in ("all", "names") else self.live
        shutil.rmtree(self.base, ignore_errors=True)
        os.mkdir(self.base)
        for path, node in sorted(names.items()):
            if not os.path.isdir(os.path.dirname(path)):
                continue  # its folder has no name that is safe
            if node.folder:
                os.mkdir(path)
                continue
            content = b"lost" * 16 if node.content is None else node.content
            if node.dirty and loss != "names":
                content = content[:len(content) // 2] if loss == "half the bytes" else b""
            pathlib.Path(path).write_bytes(content)


def events(text):
    """(call, arguments, result) of a trace, calls of several threads put together again."""
    open_calls = {}
    for line in text.splitlines():
        pid, _, rest = line.partition(" ")
        rest = rest.strip()
        if rest.endswith("<unfinished ...>"):
            open_calls[pid] = rest[:-len("<unfinished ...>")].rstrip()
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
            rest = open_calls.pop(pid) + resumed.group(1)
        found = re.match(r"(\w+)\((.*)\)\s+(= .*)", rest)
        if found and not found.group(3).startswith("= -1"):
            yield found.groups()


def record(crash):
    """Runs the verb under strace; gives its calls, and fills the nodes' bytes from what lies there at the end."""
    crash.fresh()
    log = crash.place.home / "trace"
    leaks = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"  # the leak check cannot run under strace
    done = tables.run(crash.place, ["table", crash.words[0], crash.table.uri, *crash.words[1:], "--json"], prefix=("strace", "-f", "-y", "-qq", "-s", "4096", "-e", f"trace={CALLS}", "-e", "abbrev=write",
                      "-o", str(log)), ASAN_OPTIONS=leaks, LSAN_OPTIONS="detect_leaks=0")
    assert done.code == 0, done.err.decode()
    calls = list(events(log.read_text(errors="surrogateescape")))
    whole = Disk(crash.place.base("crashed"), crash.place.base("kept"))
    for call in calls:
        whole.play(*call)
    found = {p: pathlib.Path(p).read_bytes() for p, node in whole.live.items() if not node.folder}
    assert found.keys() == {str(p) for p in pathlib.Path(whole.base).rglob("*") if p.is_file()}, "the trace does not tell what the folder holds"
    return calls, found


def states(crash, calls, final):
    """The disk after each call that matters. Nodes are made anew by each play; the bytes of those that live to the end are `final`."""
    def play(number):
        disk = Disk(crash.place.base("crashed"), crash.place.base("kept"))
        changed = 0
        for call in calls[:number]:
            changed += disk.play(*call)
        ahead = dict(disk.live)  # where each node will be at the end
        rest = Disk.__new__(Disk)
        rest.base, rest.live, rest.safe = disk.base, ahead, dict(disk.safe)
        dirty = {id(n): n.dirty for n in [*disk.live.values(), *disk.safe.values()]}
        for call in calls[number:]:
            rest.play(*call)
        for path, node in rest.live.items():
            if path in final and node.content is None:
                node.content = final[path]
        for node in [*disk.live.values(), *disk.safe.values()]:
            node.dirty = dirty[id(node)]
        return disk, changed
    seen = -1
    for number in range(len(calls) + 1):
        disk, changed = play(number)
        if changed != seen:
            seen = changed
            yield number, disk


CASES = [(faces, verb) for verb in ("append", "merge", "delete", "optimize", "checkpoint", "vacuum", "expire") for faces in FACES
         if tables.SCALE >= 0.5 or (faces == "delta,iceberg" and verb in ("merge", "vacuum", "expire")) or (faces != "delta,iceberg" and verb == "append")]


@pytest.fixture(scope="module")
def local():
    place = Local()
    yield place
    place.close()


@pytest.mark.parametrize("faces,verb", CASES)
def test_what_was_synced_is_a_whole_version(local, faces, verb):
    crash = make(local, faces, verb)
    calls, final = record(crash)
    moments = list(states(crash, calls, final))
    tried = 0
    for number, disk in [*tables.sample(moments[:-1], 8), moments[-1]]:
        for loss in LOSSES:
            what = f"{faces} {verb}: power lost after call {number} of {len(calls)} ({' '.join(calls[number - 1][:2])[-200:] if number else 'none'}), losing {loss}"
            disk.build(loss)
            tried += 1
            crash.ask(("delta", "iceberg") if disk is moments[-1][1] else (), QUICK, what)
    print(f"{faces} {verb}: {len(calls)} calls, {len(moments)} moments, {tried} disks, {len(crash.asked)} states")
    assert len(moments) > 3 or verb in ("vacuum", "checkpoint", "expire"), "the trace shows no writing"
