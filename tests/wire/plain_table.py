#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What this Python's Unicode tables say of characters and normal forms, for the suite wire.plain, which compares
wire/plain.c with it: two tables made by different people from the same standard.

usage: plain_table.py CHARACTERS NORMAL

CHARACTERS has a byte for each code point: `.` all right, `s` white space, `c` control, `f` format, `p` private use,
`m` a mark, `x` not assigned here. NORMAL has a line for each text: y or n (is it NFC?), then its code points."""

import random
import sys
import unicodedata

LETTERS = {"Cc": "c", "Cf": "f", "Co": "p", "Cn": "x", "Cs": "x", "Zs": "s", "Zl": "s", "Zp": "s",
           "Mn": "m", "Mc": "m", "Me": "m"}


def texts():
    chooser = random.Random(1)
    composed = [c for c in range(0x110000) if unicodedata.decomposition(chr(c)) and
                not unicodedata.decomposition(chr(c)).startswith("<")]
    marks = [c for c in range(0x300, 0x110000) if unicodedata.combining(chr(c))]
    for c in composed:
        yield chr(c)
        yield unicodedata.normalize("NFD", chr(c))
        yield unicodedata.normalize("NFC", chr(c)) + "x"
    for c in range(0xAC00, 0xD7A4, 5):
        yield chr(c)
        yield unicodedata.normalize("NFD", chr(c))
        yield unicodedata.normalize("NFD", chr(c))[:2]
        yield chr(0xAC00 + (c - 0xAC00) // 28 * 28) + chr(0x11A8 + c % 27)
    for c in range(0x1100, 0x1200):
        yield chr(0x1112) + chr(c)
        yield chr(0xAC00) + chr(c)
    for _ in range(20000):
        base = chr(chooser.choice([0x61, 0x41, 0xE9, 0x3B1, 0x915, 0x1E63, chooser.choice(composed)]))
        text = base + "".join(chr(chooser.choice(marks)) for _ in range(chooser.randrange(1, 4)))
        yield text
        yield unicodedata.normalize("NFC", text)


def main():
    with open(sys.argv[1], "w", encoding="ascii", newline="\n") as file:
        file.write("".join(LETTERS.get(unicodedata.category(chr(c)), ".") for c in range(0x110000)))
    with open(sys.argv[2], "w", encoding="ascii", newline="\n") as file:
        for text in texts():
            is_normal = unicodedata.is_normalized("NFC", text)
            file.write("%s %s\n" % ("y" if is_normal else "n", " ".join("%x" % ord(c) for c in text)))


if __name__ == "__main__":
    main()
