#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""echo-server and dummy-client, as a reader of the README would start them: a short talk, a little load, the exit
codes, and an end as by Ctrl-C or SIGTERM.

    echo_and_dummy.py BIN_FOLDER"""
import os
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from programs import command_of, stop_gracefully  # noqa: E402

BIN = sys.argv[1]


def run(program, *arguments):
    return subprocess.run([*command_of(os.path.join(BIN, program)), *arguments], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=50)


def talk(port):
    heard = run("dummy-client", "--raw", "--port", port, "--count", "1")
    assert heard.stdout.strip() == "Hello World!", heard


def load(port):
    seen = run("dummy-client", "--raw", "--port", port, "--sessions", "4", "--rate", "200", "--size", "50",
               "--seconds", "1", "--json")
    assert '"sent":200,"not_sent":0,"answered":200,"errors":0,"lost":0' in seen.stdout, seen


def exit_codes(port):
    assert run("dummy-client", "--rate", "none").returncode == 2
    taken = run("echo-server", "--port", port)
    assert taken.returncode == 1, taken
    assert "usage" in run("dummy-client", "--help").stdout


def main():
    server = subprocess.Popen([*command_of(os.path.join(BIN, "echo-server")), "--port", "0"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()  # it comes when the port is open
        assert "listening on" in line, line
        port = line.strip().rsplit(":", 1)[1]
        for step in (talk, load, exit_codes):
            step(port)
            print(step.__name__, "passed")
        stop_gracefully(server)
        assert server.wait(20) == 0, server.returncode
    finally:
        server.kill()


main()
