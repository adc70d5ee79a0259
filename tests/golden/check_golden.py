#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The golden frames read with a MessagePack library that no one here wrote.

The macs of the handshake are made anew from the page's rule. Each good one must decode to the meaning that stands beside it and use all of its bytes; a bad one
that says MALFORMED must not be one whole object (or three, on a link) to that library either.
"""
import hashlib
import hmac
import json
import pathlib
import struct
import sys

import msgpack

HERE = pathlib.Path(__file__).parent
KINDS = ["REQUEST", "RESPONSE", "NOTIFY", "ERROR", "CANCEL", "PING", "PONG", "HELLO", "WELCOME",
         "GOAWAY", "PART", "CHALLENGE", "PROOF", "REFUSED"]
MESSAGES = ["REQUEST", "RESPONSE", "NOTIFICATION"]


def meaning(value):
    """A value in the notation of the golden files."""
    if isinstance(value, bytes):
        return {"bin": value.hex()}
    if isinstance(value, dict):
        return {"map": [[meaning(k), meaning(v)] for k, v in value.items()]}
    if isinstance(value, list):
        return [meaning(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53:
        return {"int": str(value)}
    return value


def objects(data):
    """All objects of the bytes; ValueError when there is something left over."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
    unpacker.feed(data)
    found = list(unpacker)
    if unpacker.tell() != len(data):
        raise ValueError("bytes that are no whole object are left")
    return found


def link_frame(data):
    length, header, body = objects(data)
    if length != len(data) - 5 or data[0] != 0xCE:
        raise ValueError("the length does not count what follows it")
    kind, call_id, method, left_ms, subject, meta = header
    canonical = struct.pack(">BBBIBIBIBQ", 0x96, kind, 0xCE, call_id, 0xCE, method, 0xCE, left_ms,
                            0xCF, subject)
    if not data.startswith(canonical, 5):
        raise ValueError("not the canonical form")
    return {"kind": KINDS[kind], "id": call_id, "method": method, "left_ms": left_ms,
            "subject": str(subject), "meta": meaning(meta), "body": meaning(body)}


def client_message(data):
    (message,) = objects(data)
    kind = MESSAGES[message[0]]
    if kind == "REQUEST":
        _, call_id, method, params = message
        return {"kind": kind, "id": call_id, "method": method, "params": meaning(params)}
    if kind == "RESPONSE":
        _, call_id, error, result = message
        return {"kind": kind, "id": call_id, "error_value": meaning(error),
                "result": meaning(result)}
    _, method, params = message
    return {"kind": kind, "method": method, "params": meaning(params)}


def check(row, read):
    data = bytes.fromhex(row["hex"])
    if "error" not in row:
        expected = {key: value for key, value in row.items() if key not in ("name", "hex", "mac")}
        found = read(data)
        return [] if found == expected else [f"{row['name']}: {found} is not {expected}"]
    if row["error"] != "MALFORMED":
        return []
    try:
        read(data)
    except (ValueError, msgpack.exceptions.UnpackException):
        return []
    return [f"{row['name']}: it is not malformed"]


def check_mac(row, rows):
    """docs/wire.md: label, the dialled node, the frames before it, its own without the mac."""
    rule = row["mac"]
    message = rule["label"].encode() + b"\0" + rule["dialled"].encode() + b"\0"
    for name in rule["over"]:
        data = bytes.fromhex(next(each["hex"] for each in rows if each["name"] == name))
        message += data[:-34] if name != rule["over"][0] else data
    expected = hmac.new(rule["secret"].encode(), message, hashlib.sha256).digest()
    is_right = bytes.fromhex(row["hex"]).endswith(b"\xc4\x20" + expected)
    return [] if is_right else [f"{row['name']}: the mac is not that of the page"]


def main():
    mistakes = []
    count = 0
    for name, key, read in (("links.json", "frames", link_frame),
                            ("clients.json", "messages", client_message)):
        rows = json.loads((HERE / name).read_text(encoding="utf-8"))[key]
        for row in rows:
            mistakes += check(row, read)
            mistakes += check_mac(row, rows) if "mac" in row else []
        count += len(rows)
    print("\n".join(mistakes) if mistakes else f"{count} golden frames are as they say")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
