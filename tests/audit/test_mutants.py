#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that a row of the table of mutants which no longer applies is found, and that one which does changes its place alone."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools"))
import mutants  # noqa: E402

C = """static int one(int a);

static int one(int a)
{
    return a + 1;
}

dure_err dure_two(int a,
                  int b)
{
    if (a > b) {
        return a + 1;
    }
    return one(a) + 1;
}

int dure_two_more(int a)
{
    return a + 1;
}
"""
PYTHON = """class A:
    def first(self,
              b=1
    ):
        return b + 1

    def second(self):
        return 1 + 1


def third():
    return 1 + 1
"""


def row(**changes):
    return {"room": "base", "id": "one", "file": "a.c", "function": "one", "text": "a + 1", "replacement": "a",
            "suite": "base.buf", "why": "it counts", **changes}


class Places(unittest.TestCase):
    def test_a_function_is_found_and_not_its_prototype_nor_a_longer_name(self):
        self.assertEqual(mutants.apply(row(), C), C.replace("a + 1", "a", 1))
        self.assertEqual(mutants.apply(row(function="dure_two", text="one(a) + 1", replacement="one(a)"), C),
                         C.replace("one(a) + 1", "one(a)"))
        head, tail = C.split("int dure_two_more")
        self.assertEqual(mutants.apply(row(function="dure_two_more"), C),
                         head + "int dure_two_more" + tail.replace("a + 1", "a"))

    def test_python_functions_and_whole_files(self):
        at = {"file": "a.py", "text": "1 + 1", "replacement": "2"}
        self.assertEqual(mutants.apply(row(function="second", **at), PYTHON), PYTHON.replace("1 + 1", "2", 1))
        self.assertEqual(mutants.apply(row(function="third", **at), PYTHON), "2".join(PYTHON.rsplit("1 + 1", 1)))
        self.assertEqual(mutants.apply(row(function="", text="one(a) +", replacement="one(a) -"), C),
                         C.replace("one(a) +", "one(a) -"))

    def test_what_does_not_apply_is_told(self):
        for wrong in ({"function": "gone"}, {"text": "a + 2"}, {"function": "", "text": "a + 1"}, {"function": "tw"},
                      {"function": "dure_two", "text": "a"}):
            with self.assertRaises(mutants.RowError, msg=wrong):
                mutants.apply(row(**wrong), C)


class Rows(unittest.TestCase):
    def test_form(self):
        self.assertEqual(mutants.check_form([row(), row(id="two", alive="nobody can see it")]), [])
        for wrong in ({"id": "One"}, {"id": "one-"}, {"replacement": "a + 1"}, {"why": " "}, {"alive": ""}, {"whi": "x"},
                      {"text": 1}):
            self.assertEqual(len(mutants.check_form([row(**wrong)])), 1, msg=wrong)
        self.assertEqual(len(mutants.check_form([row(), row()])), 2)

    def test_a_suite_is_a_regular_expression_of_ctest_names(self):
        tests = [("base.log", {"command": ["/b/tests/test_base", "log"]}),
                 ("tools.up", {"command": ["/usr/bin/python3", "up.py", "/b/bin"]}),
                 ("faults.calls", {"command": ["/b/tests/test_faults"],
                                   "properties": [{"name": "ENVIRONMENT", "value": ["DURE_PROGRAMS=/b/bin"]}]})]
        self.assertEqual(len(mutants.matching(tests, "base.log|tools")), 2)
        self.assertEqual(mutants.matching(tests, "nobody"), [])
        self.assertEqual(mutants.programs_of("/b", [tests[0][1]]), ["tests/test_base"])
        self.assertIsNone(mutants.programs_of("/b", [tests[0][1], tests[1][1]]))
        self.assertIsNone(mutants.programs_of("/b", [tests[2][1]]))


if __name__ == "__main__":
    unittest.main()
