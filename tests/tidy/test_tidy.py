"""The checker itself: each rule is broken once in a small tree, and must be named with its file and line."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tidy

EDGES = """# Architecture
```edges
base: include       # the bottom
net: base+
plan: net+
fetch: net+
run: plan+ fetch+
sim: base
cli: include
cli/main.c: sim
<curl/*>: net
```
"""


class Tidy(unittest.TestCase):
    def wrong(self, files, edges=EDGES):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            (root / "ARCHITECTURE.md").write_text(edges)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            return [f"{path.relative_to(root)}:{number}: {text}" for path, number, text in tidy.check_tree(root)]

    def assert_one(self, wrong, start, part):
        self.assertEqual(len(wrong), 1, wrong)
        self.assertTrue(wrong[0].startswith(start) and part in wrong[0], wrong[0])

    def test_drawn_edges_pass(self):
        self.assertEqual(self.wrong({
            "src/base/buf.h": '#include "ticklake/status.h"\n',
            "src/net/http.c": '#include <curl/curl.h>\n#include "base/buf.h"\n#include "net/http.h"\n',
            "src/run/job.c": '#include "plan/plan.h"\n#include "base/buf.h"\n',
            "sim/page.c": '#include "base/buf.h"\n#include "sim/page.h"\n',
            "cli/option.h": "",
            "cli/main.c": '#include "ticklake/status.h"\n#include "option.h"\n#include "sim/page.h"\n',
            "include/ticklake/status.h": "typedef int tl_status;\n"}), [])

    def test_one_stage_must_not_include_another(self):
        wrong = self.wrong({"src/plan/split.c": '#include "base/buf.h"\n\n#include "fetch/fetch.h"\n'})
        self.assert_one(wrong, "src/plan/split.c:3:", "plan must not include fetch")

    def test_upward_edge(self):
        self.assert_one(self.wrong({"src/base/buf.c": '#include "net/http.h"\n'}), "src/base/buf.c:1:", "not drawn")

    def test_the_simulator_shares_base_only(self):
        self.assert_one(self.wrong({"sim/a.c": '#include "plan/plan.h"\n'}), "sim/a.c:1:", "sim must not include plan")

    def test_only_the_named_file_of_the_program_may_include_the_simulator(self):
        self.assert_one(self.wrong({"cli/read.c": '#include "sim/sim.h"\n'}), "cli/read.c:1:", "cli must not include sim")

    def test_the_program_sees_no_engine_header_by_a_detour(self):
        wrong = self.wrong({"src/base/buf.h": "", "cli/read.c": '#include "../src/base/buf.h"\n'})
        self.assert_one(wrong, "cli/read.c:1:", "cli must not include base")

    def test_a_folder_that_is_not_drawn(self):
        self.assert_one(self.wrong({"src/misc/a.c": ""}), "src/misc/a.c:1:", "misc is not drawn")

    def test_a_guarded_system_header(self):
        self.assert_one(self.wrong({"src/plan/a.c": "#include <curl/curl.h>\n"}), "src/plan/a.c:1:", "<curl/curl.h>")

    def test_banned_call_outside_its_home(self):
        wrong = self.wrong({"src/base/alloc.c": "void *f(void) { return malloc(1); }\n",
                            "src/base/buf.c": "/* malloc(1) */\nvoid *g(void) { return malloc(1); }\n"})
        self.assert_one(wrong, "src/base/buf.c:2:", "malloc is banned here")

    def test_a_member_or_a_word_in_a_text_is_no_call(self):
        text = 'void f(struct s *x) { x->free(x); x->time (1); say("printf(no)"); tl_time(1); }\n'
        self.assertEqual(self.wrong({"src/base/a.c": text}), [])

    def test_two_files_of_one_name(self):
        self.assert_one(self.wrong({"src/net/a.c": "", "src/plan/a.c": "", "sim/a.c": ""}), "src/plan/a.c:1:", "net/a.c")

    def test_note_of_unfinished_work(self):
        self.assert_one(self.wrong({"src/net/a.c": "int x;\n// TO" + "DO later\n"}), "src/net/a.c:2:", "unfinished")

    def test_a_header_that_needs_another_before_it(self):
        wrong = self.wrong({"include/ticklake/a.h": "int f(size_t n);\n"})
        self.assertEqual(len(wrong), 2, wrong)
        self.assertIn("c17", wrong[0])
        self.assertIn("c++17", wrong[1])

    def test_no_block_and_a_ring_are_errors(self):
        self.assert_one(self.wrong({}, "# Architecture\n"), "ARCHITECTURE.md:1:", "no block")
        self.assert_one(self.wrong({}, "```edges\na: b+\nb: a\n```\n"), "ARCHITECTURE.md:1:", "go round")


if __name__ == "__main__":
    unittest.main()
