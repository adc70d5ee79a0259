#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/testing.md shows the example that is built and run, and names every word of the fault proxy."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def main():
    page = read("docs/testing.md")
    example = read("tests/harness/example/example.c")
    if "```c\n%s```\n" % example not in page:
        sys.exit("docs/testing.md does not show tests/harness/example/example.c as it is")
    if len(example.split("static void story", 1)[1].split("\n")) > 32:
        sys.exit("the example is to stay some thirty lines long")
    words = re.findall(r'^    \{"([a-z-]+)", WORD_', read("tests/harness/fault_words.c"), re.M)
    if len(words) < 11:
        sys.exit("the words of fault_words.c were not found")
    for where, text in (("docs/testing.md", page), ("fault_proxy.h", read("tests/harness/fault_proxy.h")),
                        ("fault-proxy --help", read("tests/harness/fault_proxy_main.c"))):
        for word in words:
            if not re.search(r'(`|\*   |"  )%s\b' % word, text):
                sys.exit("%s does not say what %s does" % (where, word))


main()
