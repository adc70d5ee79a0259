#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The program fault-proxy: lines in, lines of JSON out, and it ends with its input.

usage: test_program.py BIN_FOLDER"""

import os
import socket
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from fault_proxy import FaultProxy  # noqa: E402
from programs import command_of, stop_gracefully  # noqa: E402


def echo(listener):
    while True:
        connection, _ = listener.accept()
        try:
            while data := connection.recv(4096):
                connection.sendall(data)
        except OSError:
            pass
        connection.close()


def check(what, got, expected):
    if got != expected:
        raise AssertionError("%s: got %r, expected %r" % (what, got, expected))


def ended(client):
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=echo, args=(listener,), daemon=True).start()
    proxy = FaultProxy(sys.argv[1], "localhost:%d" % listener.getsockname()[1])
    client = socket.create_connection(("127.0.0.1", proxy.port), 10)
    client.sendall(b"hello")
    check("echo", client.recv(100), b"hello")
    check("nonsense", proxy.say("nonsense")["ok"], False)
    check("silent", proxy.say("silent"), {"ok": True})
    client.sendall(b"kept")
    client.settimeout(0.2)
    try:
        raise AssertionError("not silent: %r" % client.recv(100))
    except socket.timeout:
        client.settimeout(10)
    check("heal", proxy.say("heal"), {"ok": True})
    check("what was kept", client.recv(100), b"kept")
    expected = {"ok": True, "connections": 1, "accepted": 1, "to_server": 9, "to_client": 9, "held": 0}
    until = time.monotonic() + 10  # the proxy may hear of its send after we have read it
    while True:
        stats = proxy.say("stats")
        stats = {key: stats[key] for key in expected}
        if stats == expected or time.monotonic() > until:
            break
    check("stats", stats, expected)
    check("reset-at", proxy.say("reset-at 12 to-server"), {"ok": True})
    client.sendall(b"onward")
    while not ended(client):
        pass
    check("resets", proxy.say("stats")["resets"], 1)
    check("exit code", proxy.end(), 0)

    program = command_of(os.path.join(sys.argv[1], "fault-proxy"))
    check("no target", subprocess.run(program, capture_output=True, timeout=10).returncode, 2)
    shown = subprocess.run([*program, "--help"], capture_output=True, text=True, timeout=10)
    check("help", (shown.returncode, "reset-at N [WAY]" in shown.stdout), (0, True))
    second = FaultProxy(sys.argv[1], "127.0.0.1:1")
    stop_gracefully(second.process)
    check("SIGTERM, or Ctrl-C", second.process.wait(10), 0)


main()
