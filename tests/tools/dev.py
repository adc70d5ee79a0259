#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dure dev: a whole cluster in one process, on free ports, with data that is gone at its end.

    dev.py BIN_FOLDER ROOT
"""
import json
import os
import subprocess
import sys

BIN, ROOT = sys.argv[1:3]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
sys.path.insert(0, os.path.join(ROOT, "tools"))
from programs import command_of, stop_gracefully  # noqa: E402
from rpc_py import SLACK, Client, until_true  # noqa: E402


def check(what, got, expected):
    if got != expected:
        raise AssertionError("%s: got %r, expected %r" % (what, got, expected))


process = subprocess.Popen([*command_of(os.path.join(BIN, "dure")), "dev", "--json"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
try:
    ready = json.loads(process.stdout.readline())
    check("roles", sorted(node["role"] for node in ready["nodes"]), ["db", "game", "game", "gateway"])
    client = Client(int(ready["client"].rsplit(":", 1)[1]))
    check("hello", client.call("echo", "Hello World!"), "Hello World!")

    def log_in():
        try:
            return client.call("login", "ada")["player"]
        except Exception as error:  # its links are on their way
            if "UNAVAILABLE" not in str(error):
                raise
            return None

    check("a player", until_true("login", log_in, 10), "ada")
    check("in db", until_true("whoami", lambda: client.call("whoami")["player"], 10), "ada")
    stop_gracefully(process)
    process.communicate(timeout=20 * SLACK)
    check("exit code", process.returncode, 0)
    check("the client is told", client.wait_for("closing")[0], "STOPPING")
finally:
    if process.poll() is None:
        process.kill()
        print(process.communicate()[1][-5000:])
