#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that each rule of the audit can fail, and that what is right passes."""
import os
import tempfile
import unittest

import audit

HEAD = "/* SPDX-License-Identifier: MIT\n *\n * A sample.\n */\n"


def look(rule, files, include=()):
    """The (path, line) pairs that break a rule in a tree of these files."""
    with tempfile.TemporaryDirectory() as root:
        for path, text in files.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        tree = audit.Tree(root, include)
        return [(path, line) for path, line, _ in audit.RULES[rule](tree)]


def header(guard, body):
    return f"{HEAD}#ifndef {guard}\n#define {guard}\n\n{body}\n#endif\n"


class Layers(unittest.TestCase):
    def test_upward_is_reported(self):
        files = {"framework/wire/a.c": '#include "wire/a.h"\n#include "base/buf.h"\n'
                                       '#include "net/session.h"\n'}
        self.assertEqual(look("layers", files), [("framework/wire/a.c", 3)])

    def test_an_impl_header_stays_in_its_room(self):
        files = {"framework/net/a.c": '#include "net/session_impl.h"\n',
                 "framework/cluster/a.c": '#include "net/session_impl.h"\n',
                 "nodes/db/main.c": '#include "net/session_impl.h"\n'}
        self.assertEqual(look("layers", files),
                         [("framework/cluster/a.c", 1), ("nodes/db/main.c", 1)])

    def test_the_framework_knows_no_program(self):
        files = {"framework/node/a.c": '#include "nodes/db/store.h"\n'}
        self.assertEqual(look("layers", files), [("framework/node/a.c", 1)])

    def test_downward_is_right(self):
        files = {"framework/node/a.c": '#include "cluster/rpc.h"\n#include "base/err.h"\n',
                 "nodes/db/main.c": '#include "node/node.h"\n#include "db.h"\n'}
        self.assertEqual(look("layers", files), [])


class Platform(unittest.TestCase):
    BAD = "#include <stdio.h>\n#include <sys/socket.h>\n#ifdef _WIN32\n#endif\n"

    def test_system_headers_and_macros_are_reported(self):
        self.assertEqual(look("platform", {"framework/net/a.c": self.BAD}),
                         [("framework/net/a.c", 2), ("framework/net/a.c", 3)])

    def test_a_file_with_an_ending_may(self):
        self.assertEqual(look("platform", {"framework/net/a_posix.c": self.BAD,
                                           "framework/iocp/core_uring.c": self.BAD}), [])


class Headers(unittest.TestCase):
    def test_one_that_leans_on_another_is_reported(self):
        files = {"framework/net/a.h": header("DURE_NET_A_H", "void a(size_t len);\n")}
        self.assertEqual(look("headers", files), [("framework/net/a.h", 1)])

    def test_one_without_guard_is_reported(self):
        files = {"framework/net/a.h": "typedef struct a {int x;} a;\n"}
        self.assertEqual(look("headers", files), [("framework/net/a.h", 1)])

    def test_one_that_stands_alone_is_right(self):
        files = {"framework/net/a.h": header("DURE_NET_A_H", "#include <stddef.h>\nvoid a(size_t n);\n")}
        self.assertEqual(look("headers", files), [])


class Guards(unittest.TestCase):
    def test_another_name_is_reported(self):
        self.assertEqual(look("guards", {"framework/net/a.h": header("NET_A_H", "")}),
                         [("framework/net/a.h", 1)])

    def test_the_path_is_the_name(self):
        self.assertEqual(look("guards", {"framework/net/a.h": header("DURE_NET_A_H", ""),
                                         "framework/dure.h": header("DURE_H", ""),
                                         "nodes/db/store.h": header("DURE_NODES_DB_STORE_H", "")}),
                         [])


class Heads(unittest.TestCase):
    def test_a_file_without_licence_or_purpose_is_reported(self):
        files = {"framework/net/a.c": "int x;\n",
                 "framework/net/b.c": "/* SPDX-License-Identifier: MIT */\n",
                 "framework/net/c.c": HEAD}
        self.assertEqual(look("heads", files), [("framework/net/a.c", 1), ("framework/net/b.c", 1)])


class Promises(unittest.TestCase):
    def test_a_bare_function_is_reported(self):
        body = "void dure_a_one(int x);\n\n/* Says what. */\nvoid dure_a_two(void);\n\n" \
               "int *dure_a_three(int x,\n                  int y);\n"
        files = {"framework/net/a.h": header("DURE_NET_A_H", body)}
        self.assertEqual([line for _, line in look("promises", files)], [8, 13])

    def test_a_bare_inline_function_is_reported(self):
        body = "static inline int dure_a(void)\n{\n    return 1;\n}\n"
        files = {"framework/net/a.h": header("DURE_NET_A_H", body)}
        self.assertEqual([line for _, line in look("promises", files)], [8])

    def test_a_comment_covers_the_block_below_it(self):
        body = "/* Both. */\nvoid dure_a(void);\nvoid dure_b(int x,\n            int y);\n" \
               "void dure_c(const char *f, ...) DURE_PRINTF(1, 2);\n\n" \
               "typedef void (*dure_fn)(int x);\ntypedef struct dure_s {\n    int (*f)(int a);\n} dure_s;\n"
        files = {"framework/net/a.h": header("DURE_NET_A_H", body)}
        self.assertEqual(look("promises", files), [])


class Checked(unittest.TestCase):
    def test_an_unmarked_function_is_reported(self):
        body = "/* A. */\ndure_err dure_a(void);\n/* B. */\nDURE_CHECKED dure_err dure_b(void);\n" \
               "/* C. */\nconst char *dure_err_name(dure_err err);\n" \
               "typedef struct t {\n    dure_err (*run)(int x);\n} t;\n"
        files = {"framework/net/a.h": header("DURE_NET_A_H", body)}
        self.assertEqual([line for _, line in look("checked", files)], [9])


class Params(unittest.TestCase):
    def test_a_nameless_parameter_is_reported(self):
        for params in ("int", "const char *", "dure_err", "struct s *", "uint64_t x, unsigned",
                       "const uint8_t[4]", "int x, dure_a"):
            files = {"framework/net/a.h": header("DURE_NET_A_H", f"void dure_a({params});\n")}
            self.assertEqual(look("params", files), [("framework/net/a.h", 8)], params)

    def test_named_ones_are_right(self):
        for params in ("void", "int x", "const char *name, ...", "void (*fn)(void *ctx), void *ctx",
                       "const uint8_t bytes[4]", "struct s *s", "unsigned x", "char **out_text",
                       "const dure_cursor *const cursor", "dure_err err"):
            files = {"framework/net/a.h": header("DURE_NET_A_H", f"void dure_a({params});\n")}
            self.assertEqual(look("params", files), [], params)


class Calls(unittest.TestCase):
    def test_banned_calls_are_reported(self):
        for call in ("strcpy(a, b)", "sprintf(a, b)", "x = atoi(b)", "rand()", "time (NULL)",
                     "malloc(1)", "free(p)", "send(fd, b, 1, 0)", "close(fd)"):
            self.assertEqual(look("calls", {"framework/net/a.c": f"void f(void)\n{{\n    {call};\n}}\n"}),
                             [("framework/net/a.c", 3)], call)

    def test_banned_calls_are_reported_in_tests(self):
        self.assertEqual(look("calls", {"tests/net/test_a.c": "int x = atoi(y);\n"}),
                         [("tests/net/test_a.c", 1)])

    def test_members_comments_and_rooms_of_their_own_are_right(self):
        files = {"framework/net/a.c": "/* free(x) */ char *t = \"time(0)\"; void f(void)\n"
                                      "{ ops->send(x); ops.close(x); my_free(x); dure_mem_free(x); }\n"
                                      "// rand()\n",
                 "framework/base/mem.c": "void g(void) { free(malloc(1)); }\n",
                 "framework/iocp/socket_posix.c": "void g(void) { close(socket(1, 2, 3)); }\n"}
        self.assertEqual(look("calls", files), [])


class Unfinished(unittest.TestCase):
    def test_a_note_to_do_it_later_is_reported(self):
        for word in ("TO" "DO", "FIX" "ME", "X" "XX"):
            self.assertEqual(look("unfinished", {"docs/a.md": f"line\n{word}: later\n"}),
                             [("docs/a.md", 2)], word)

    def test_longer_words_are_right(self):
        self.assertEqual(look("unfinished", {"framework/base/a.c": 'char t[] = "/tmp/x-XXXXXX";\n'}),
                         [])


class Sleep(unittest.TestCase):
    def test_a_test_that_sleeps_is_reported(self):
        files = {"tests/net/test_a.c": "/* sleep(1) */\nusleep (5);\n",
                 "tests/net/a.py": "import time\ntime.sleep(1)\n",
                 "tests/net/a.sh": "sleep 1\n",
                 "tests/cluster/story.py": "time.sleep(1)\n"}
        self.assertEqual(look("sleep", files), [("tests/net/a.py", 2), ("tests/net/a.sh", 1),
                                                ("tests/net/test_a.c", 2)])


class Locks(unittest.TestCase):
    def test_a_lock_in_a_room_of_one_worker_is_reported(self):
        files = {"framework/net/a.c": "dure_mutex_lock(m);\n",
                 "framework/node/a.c": "dure_mutex_lock(m);\n"}
        self.assertEqual(look("locks", files), [("framework/net/a.c", 1)])


class Errors(unittest.TestCase):
    LIST = '    X(CLOSED, 1, PERMANENT, "closed")   \\\n    X(LOST, 2, TEMPORARY, "lost")\n'

    def test_both_directions_are_reported(self):
        files = {"framework/base/err.h": self.LIST,
                 "docs/errors.md": "# Errors\n\n### CLOSED (1)\n\nText.\n\n### BROKEN (3)\n"}
        self.assertEqual(look("errors", files), [("docs/errors.md", 1), ("docs/errors.md", 7)])

    def test_a_missing_page_is_reported(self):
        self.assertEqual(look("errors", {"framework/base/err.h": self.LIST}),
                         [("docs/errors.md", 1)])

    def test_a_complete_page_is_right(self):
        files = {"framework/base/err.h": self.LIST,
                 "docs/errors.md": "# Errors\n\n### CLOSED (1)\n\nText.\n\n### LOST (2)\n"}
        self.assertEqual(look("errors", files), [])


class Pages(unittest.TestCase):
    def test_c_that_does_not_compile_is_reported(self):
        files = {"README.md": "Text.\n\n```c\n#include <stdio.h>\nint main(void) { return x; }\n```\n"}
        self.assertEqual(look("pages", files), [("README.md", 3)])

    def test_c_that_compiles_and_fragments_are_right(self):
        files = {"README.md": "```c\n#include <stdio.h>\nint main(void) { return 0; }\n```\n"
                              "```c\nreturn x;\n```\n```json\n{}\n```\n"}
        self.assertEqual(look("pages", files), [])


class Format(unittest.TestCase):
    def test_another_layout_is_reported(self):
        with open(os.path.join(os.path.dirname(__file__), "..", "..", ".clang-format"),
                  encoding="utf-8") as file:
            style = file.read()
        files = {".clang-format": style,
                 "framework/net/a.c": "int f(void)\n{\n    return 1;\n}\n",
                 "framework/net/b.c": "int f(void) {\n  return 1;\n}\n"}
        try:
            found = look("format", files)
        except SystemExit as end:
            self.assertEqual(end.code, audit.SKIPPED)
            self.skipTest("clang-format 14 is not installed")
        self.assertEqual([path for path, _ in found], ["framework/net/b.c"])


class All(unittest.TestCase):
    def test_each_rule_is_shown_here(self):
        shown = {name.lower() for name in globals() if isinstance(globals()[name], type)}
        self.assertEqual(set(audit.RULES) - shown, set())


if __name__ == "__main__":
    unittest.main()
