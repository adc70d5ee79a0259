#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lists every decoder of generated headers as rows X(service, message, type), for tests that go through all of them.

usage: round_trip_rows.py OUT.h NAME HEADER..."""

import os
import re
import sys

DECODER = re.compile(r"DURE_CHECKED dure_err (\w+?)_decode_(\w+)\(\s*dure_cursor \*cursor,\s*(\w+) \*out,")


def main():
    out, name, headers = sys.argv[1], sys.argv[2], sys.argv[3:]
    lines = ["/* Written by round_trip_rows.py. */"]
    rows = []
    for path in headers:
        lines.append('#include "%s"' % os.path.basename(path))
        with open(path, encoding="utf-8") as file:
            found = DECODER.findall(file.read())
        assert found, "no decoder in " + path
        rows += ["    X(%s, %s, %s)" % row for row in found]
    lines += ["", "#define %s(X) \\" % name, " \\\n".join(rows), ""]
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join(lines))


if __name__ == "__main__":
    main()
