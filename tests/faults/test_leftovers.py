#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the cluster harness leaves behind: nothing, however the test ends; and it says nothing where all went well.

usage: test_leftovers.py PROBE"""

import os
import signal
import subprocess
import sys
import time


def nodes_of(folder):
    """Processes that were told of this folder on their command lines, shells of the watchdog left out."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(word.startswith(folder) for word in words[1:]):
            found.append((pid, words[0]))
    return found


def wait_until_nothing_is_left(folder):
    end = time.monotonic() + 15
    while nodes_of(folder) or os.path.exists(folder):
        assert time.monotonic() < end, "left: %r, folder %s" % (nodes_of(folder), os.path.exists(folder))


def run(how, act=None):
    probe = subprocess.Popen([sys.argv[1], how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    folder = probe.stdout.readline().strip()
    assert folder, probe.stderr.read()
    if act is not None:
        assert len(nodes_of(folder)) >= 3, nodes_of(folder)
        act(probe)
    _, said = probe.communicate(timeout=40)
    wait_until_nothing_is_left(folder)
    return probe.returncode, said


def main():
    code, said = run("well")
    assert (code, said) == (0, ""), (code, said)
    code, said = run("badly")
    assert code == 1, code
    assert "harness: failed: not so: the probe is well" in said, said
    for node in ("gateway-1", "game-1", "db-1"):
        assert "node=%s topic=node event=NODE_READY" % node in said, said
    code, _ = run("abort")
    assert code == -signal.SIGABRT, code
    code, _ = run("hang", lambda probe: probe.kill())
    assert code == -signal.SIGKILL, code
    code, _ = run("hang", lambda probe: probe.terminate())
    assert code == -signal.SIGTERM, code


main()
