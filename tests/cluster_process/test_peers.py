#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What nodes learn of each other on real processes: how soon one that is killed or stopped is known to be down, and
what becomes of two processes with one node id.

usage: test_peers.py BIN_FOLDER [LAUNCHER...]"""

import os
import signal
import subprocess
import sys
import time

from cluster import free_ports, run
from programs import command_of, kill
from rpc_py import until_true

KILLED_S = 1.0
SILENT_S = (5.5, 10.5)  # 6 to 10 s, and what a busy machine adds
PROBED_S = 5.5  # before the silence of the old process alone would end its link
CONFIG_EXIT = 78


def event(name, peer):
    """A line of the log, as far as it says what happened to whom."""
    return '"event":"%s","peer":"%s"' % (name, peer)


def seconds_until_down(cluster, node, action):
    """From an action on a node until the first of its peers says that it is down."""
    line = event("LINK_DOWN", node)
    before = cluster.log_text().count(line)
    start = time.monotonic()
    action(cluster.processes[node])
    until_true(line, lambda: cluster.log_text().count(line) > before, 20)
    return time.monotonic() - start


def killed_is_known_at_once(cluster):
    seconds = seconds_until_down(cluster, "game-2", kill)
    print("killed: known to be down after %.2f s" % seconds)
    assert seconds <= KILLED_S, "killed, and known after %.2f s" % seconds
    cluster.processes["game-2"].wait(10)
    cluster.start("game-2")
    until_true("game-2 is back", cluster.is_linked, 20)


def stopped_is_known_by_its_silence(cluster):
    seconds = seconds_until_down(cluster, "game-2", lambda process: process.send_signal(signal.SIGSTOP))
    print("stopped: known to be down after %.2f s" % seconds)
    cluster.processes["game-2"].send_signal(signal.SIGCONT)
    assert SILENT_S[0] <= seconds <= SILENT_S[1], "stopped, and known after %.2f s" % seconds
    until_true("game-2 is back", cluster.is_linked, 30)


class Twin:
    """A second process of game-1, with a folder and a port of its own, so that only the id is the same."""

    def __init__(self, cluster):
        self.path = os.path.join(cluster.data, "twin.txt")
        sets = cluster.environment["DURE_SET"].replace("data=%s" % cluster.data, "data=%s/twin" % cluster.data)
        sets += ";nodes[1].link_port=%d" % free_ports(8)[-1]
        command = [*cluster.launcher, *command_of(os.path.join(cluster.bin, "dure-game")), "--config", cluster.config]
        with open(self.path, "wb") as log:
            self.process = subprocess.Popen([*command, "--node", "game-1"], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=dict(cluster.environment, DURE_SET=sets))

    def log_text(self):
        with open(self.path, errors="replace") as file:
            return file.read()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def twin_of_a_living_node_ends(cluster):
    twin = Twin(cluster)
    try:
        code = twin.process.wait(10)
        assert code == CONFIG_EXIT, "exit code %d: %s" % (code, twin.log_text())
        assert "DUPLICATE_ID" in twin.log_text()
        assert cluster.processes["game-1"].poll() is None
        assert cluster.is_linked()
    finally:
        twin.close()


def twin_of_a_stopped_node_takes_its_place(cluster):
    old = cluster.processes["game-1"]
    old.send_signal(signal.SIGSTOP)
    twin = None
    try:
        twin = Twin(cluster)
        until_true("the twin is linked", lambda: event("LINK_UP", "db-1") in twin.log_text(), PROBED_S)
        assert event("LINK_PROBE", "game-1") in cluster.log_text()
        old.send_signal(signal.SIGCONT)
        code = old.wait(20)
        assert code == CONFIG_EXIT, "exit code %d of the one that was stopped" % code
        assert twin.process.poll() is None, twin.log_text()
    finally:
        old.send_signal(signal.SIGCONT)
        if twin is not None:
            twin.close()


def story(cluster):
    cluster.start_all()
    killed_is_known_at_once(cluster)
    stopped_is_known_by_its_silence(cluster)
    twin_of_a_living_node_ends(cluster)
    twin_of_a_stopped_node_takes_its_place(cluster)


if __name__ == "__main__":
    sys.exit(run(story, sys.argv[1], sys.argv[2:]))
