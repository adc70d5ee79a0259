#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The schema generator: what it makes compiles and goes there and back, what would break a peer is refused, a mistake is
told at its place, and the committed reference page is the one that the schemas give."""

import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(ROOT, "tools", "dure-schema.py")

BASE = """service sample 900;
record Place { 1 room str; 2 x num; }
method ask 1 client { params { 1 name str min 1 max 4 plain; 2 count u32 min 1 optional; } result Place; }
method tell 2 { params { 1 places list<Place>; 2 bag map<str,u64>; 3 raw any; } result u64; }
notify push 3 { 1 ids list<u64>; }
event moved { 1 who str; 2 x num; }
"""


class Generator(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="dure-schema-")
        self.path = os.path.join(self.folder.name, "sample.dure")

    def tearDown(self):
        self.folder.cleanup()

    def run_tool(self, text, *options):
        with open(self.path, "w") as file:
            file.write(text)
        return subprocess.run(
            [sys.executable, TOOL, "--out", os.path.join(self.folder.name, "out"), *options, self.path],
            capture_output=True, text=True, timeout=30)

    def refused(self, text, *words):
        answer = self.run_tool(text)
        said = answer.stdout + answer.stderr
        self.assertNotEqual(answer.returncode, 0, said)
        self.assertRegex(said, r"sample\.dure:\d+:\d+: ")
        for word in words:
            self.assertIn(word, said)

    def changed(self, old, new):
        self.assertIn(old, BASE)
        return BASE.replace(old, new)

    def test_what_is_generated_compiles_without_a_warning(self):
        answer = self.run_tool(BASE)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertRegex(answer.stdout, r"sample 900 [0-9a-f]{16}")
        out = os.path.join(self.folder.name, "out")
        flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror",
                 "-I", out, "-I", os.path.join(ROOT, "framework"), "-c", "-o", os.devnull]
        made = subprocess.run(["cc", *flags, os.path.join(out, "sample.schema.c")],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(made.returncode, 0, made.stderr)

    def test_stubs_say_whether_a_call_may_be_made_again(self):
        answer = self.run_tool(BASE + "method a 10 keyed { }\nmethod b 11 idempotent { }\nmethod c 12 { }\n")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        with open(os.path.join(self.folder.name, "out", "sample.schema.c")) as file:
            text = file.read()
        for method, flags in (("a", "DURE_METHOD_KEYED"), ("b", "DURE_METHOD_IDEMPOTENT"), ("c", None)):
            stub = text[text.index("dure_err sample_call_%s(" % method):].split("\n}\n")[0]
            if flags is None:
                self.assertNotIn("dure_call_options_for", stub)
            else:
                self.assertIn("dure_call_options_for(options, %s)" % flags, stub)

    def test_the_same_schema_has_the_same_hash(self):
        first, second = self.run_tool(BASE).stdout, self.run_tool(BASE + "// a comment\n").stdout
        self.assertEqual(first, second)
        other = self.run_tool(self.changed("2 x num; }\nmethod", "2 x num; 3 y num; }\nmethod")).stdout
        self.assertNotEqual(first, other)

    def accept(self):
        answer = self.run_tool(BASE, "--accept")
        self.assertEqual(answer.returncode, 0, answer.stderr)

    def test_fields_at_the_end_are_welcome(self):
        self.accept()
        for more in ("3 y num;", "3 y num min 1 = 1;", "3 y str min 1 optional;", "3 y list<u64> max 3;"):
            answer = self.run_tool(self.changed("1 room str; 2 x num; }", "1 room str; 2 x num; %s }" % more))
            self.assertEqual(answer.returncode, 0, answer.stderr)

    def test_what_breaks_a_peer_is_refused(self):
        self.accept()
        for old, new, word in (
                ("1 room str; 2 x num; }", "1 room str; }", "x"),
                ("1 room str; 2 x num; }", "1 room str; 2 x str; }", "x"),
                ("1 room str; 2 x num; }", "1 x num; 2 room str; }", ""),
                ("method ask 1 client", "method ask 7 client", "ask"),
                ("method ask 1 client", "method ask 1", "ask"),
                ("notify push 3 { 1 ids list<u64>; }\n", "", "push"),
                ("service sample 900", "service sample 901", "sample"),
                # Earlier peers do not send it, and what is missing is held to its limits.
                ("1 places list<Place>; 2 bag map<str,u64>; 3 raw any; }",
                 "1 places list<Place>; 2 bag map<str,u64>; 3 raw any; 4 much u64 min 1; }", "much"),
                ("1 room str; 2 x num; }", "1 room str; 2 x num; 3 who str min 1; }", "who"),
                ("result u64", "result str", "tell")):
            with self.subTest(new=new):
                self.refused(self.changed(old, new), word)

    def test_mistakes_are_told_at_their_place(self):
        for text in ("service", "service sample 900\n", BASE + "record Place { 1 a str; }\n",
                     BASE + "record Other { 1 a nothing; }\n", BASE + "record Other { 1 a str; 1 b str; }\n",
                     BASE + "method other 9 idempotent keyed { }\n", BASE + "notify other 9 keyed { }\n",
                     BASE + "method ask 9 { }\n", BASE + "method other 1 { }\n", BASE + "\x01"):
            with self.subTest(text=text[-40:]):
                self.refused(text)

    def test_the_reference_page_is_up_to_date(self):
        page = os.path.join(self.folder.name, "methods.md")
        schemas = [os.path.join(ROOT, "proto", name) for name in
                   ("db.dure", "game.dure", "gateway.dure", "node.dure")]
        answer = subprocess.run([sys.executable, TOOL, "--docs", page, *schemas],
                                capture_output=True, text=True, timeout=30)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        with open(page) as made, open(os.path.join(ROOT, "docs", "methods.md")) as kept:
            self.assertEqual(made.read(), kept.read(), "docs/methods.md is to be made anew from proto/")

    def test_the_shipped_schemas_are_accepted_as_they_stand(self):
        for name in ("db", "game", "gateway", "node"):
            answer = subprocess.run(
                [sys.executable, TOOL, "--strict", "--out", os.path.join(self.folder.name, "out"),
                 os.path.join(ROOT, "proto", name + ".dure")],
                capture_output=True, text=True, timeout=30)
            self.assertEqual(answer.returncode, 0, answer.stderr)


if __name__ == "__main__":
    unittest.main()
