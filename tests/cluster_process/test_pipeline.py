#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A player whose program sends many large calls and does not read for a while: the gateway holds it back, and all
calls are answered, in order, over the one connection.

usage: test_pipeline.py BIN_FOLDER"""

import select
import sys
import time

import msgpack

from cluster import run
from rpc_py import SLACK, Client

CALLS = 150
CALL_BYTES = 60 * 1000
DEAF_S = 1.5
ANSWERS_S = 20 * SLACK


def send_some(client, data, until):
    """What is left of data when the time is over."""
    while data:
        if not select.select([], [client.socket], [], max(0.0, until - time.monotonic()))[1]:
            break
        data = data[client.socket.send(data[:65536]):]
    return data


def all_are_answered(cluster):
    cluster.start_all()
    client = Client(cluster.client_port)
    client.call("login", "hasty")
    client.socket.setblocking(False)
    text = "x" * CALL_BYTES
    left = b"".join(msgpack.packb([0, 1000 + i, "echo", [text]]) for i in range(CALLS))
    whole = len(left)
    until = time.monotonic() + DEAF_S
    left = send_some(client, left, until)
    print("taken: %d of %d bytes" % (whole - len(left), whole))
    select.select([], [], [], max(0.0, until - time.monotonic()))
    answered = []
    until = time.monotonic() + ANSWERS_S
    while len(answered) < CALLS and time.monotonic() < until:
        readable, writable, _ = select.select([client.socket], [client.socket] if left else [], [], 1)
        if writable:
            left = left[client.socket.send(left[:65536]):]
        if readable:
            data = client.socket.recv(1 << 20)
            assert data, "the connection ended after %d answers" % len(answered)
            client.unpacker.feed(data)
            for kind, number, error, result in (m for m in client.unpacker if m[0] == 1):
                assert error is None and result == text, (kind, number, error)
                answered.append(number)
    assert answered == list(range(1000, 1000 + CALLS)), answered
    print("%d of %d answered" % (len(answered), CALLS))


if __name__ == "__main__":
    sys.exit(run(all_are_answered, sys.argv[1]))
