#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Nobody who does not read the log can stop a node or `dure up`: with a standard error that is a full pipe a node answers
and ends when it is told to, and `dure up` starts a killed node again and ends. What was lost is told when the pipe is read.
Nor can a service manager that does not read what it is told.

    stalled_log.py BIN_FOLDER ROOT
"""
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

BIN, ROOT = sys.argv[1:3]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster_process"))
from cluster import run  # noqa: E402
from programs import command_of  # noqa: E402
from rpc_py import Client, until_true  # noqa: E402

PIPE_BYTES = 4096  # the least that a pipe can have
END_SECONDS = 8.0  # a stop takes a second, and the log's last words one more


class Stalled:
    """A process whose standard error is a pipe that nobody reads until told to."""

    def __init__(self, cluster, *command):
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.write(writer, b"\n" * PIPE_BYTES)  # full from the start: every write to it waits
        self.process = subprocess.Popen([*command_of(os.path.join(BIN, command[0])), *command[1:]], env=cluster.environment,
                                        stdin=subprocess.DEVNULL, stdout=cluster.log, stderr=writer)
        os.close(writer)
        cluster.processes["stalled"] = self.process
        self.text = ""

    def read(self):
        """Reads on, in the background, until the process has ended."""
        def main():
            with os.fdopen(self.reader, "rb") as file:
                for line in file:
                    self.text += line.decode(errors="replace")
        thread = threading.Thread(target=main, daemon=True)
        thread.start()
        return thread

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        since = time.monotonic()
        code = self.process.wait(30)
        seconds = time.monotonic() - since
        print("ended with %d after %.2f s" % (code, seconds))
        assert seconds < END_SECONDS, seconds
        return code


def node(cluster):
    sets = cluster.environment["DURE_SET"] + ";log_level=debug"
    cluster.environment = dict(cluster.environment, DURE_SET=sets)
    stalled = Stalled(cluster, "dure-gateway", "--config", cluster.config, "--node", "gateway-1")
    for other in ("game-1", "game-2", "db-1"):
        cluster.start(other)
    until_true("all nodes up and linked", cluster.is_linked, 20)
    return stalled


def ping_for_a_while(cluster, count):
    for _ in range(count):
        client = Client(cluster.client_port)
        client.call("ping")
        client.close()


def a_node_that_nobody_reads_serves_and_ends(cluster):
    stalled = node(cluster)
    # At debug a connection is several lines: far more than pipe and ring hold together.
    ping_for_a_while(cluster, 1000)
    assert cluster.is_linked(), "its peers hear it"
    assert stalled.end() == 0


def what_a_node_lost_is_told_when_it_is_read_again(cluster):
    stalled = node(cluster)
    ping_for_a_while(cluster, 1000)
    thread = stalled.read()
    until_true("the lost lines are told", lambda: "LOG_DROPPED" in stalled.text, 20)
    ping_for_a_while(cluster, 1)
    assert stalled.end() == 0
    thread.join(10)
    lost = re.search(r'"event":"LOG_DROPPED","lines":([1-9][0-9]*)}\n', stalled.text)
    assert lost, stalled.text[-2000:]
    print("lines lost:", lost[1])
    assert "NODE_STOPPING" in stalled.text[lost.end():] or "NODE_ENDED" in stalled.text[lost.end():], "it logs on"


def pid_of(cluster, name):
    answer = cluster.dure("call", "status", "--node", name, "--json")
    found = re.search(r'"pid":\s*(\d+)', answer.stdout)
    return int(found[1]) if answer.returncode == 0 and found else None


def dure_up_that_nobody_reads_keeps_its_nodes_up_and_ends(cluster):
    sets = cluster.environment["DURE_SET"] + ";log_level=debug"
    cluster.environment = dict(cluster.environment, DURE_SET=sets)
    stalled = Stalled(cluster, "dure", "up", cluster.config)
    until_true("all nodes up and linked", cluster.is_linked, 20)
    ping_for_a_while(cluster, 2500)  # past its own mebibyte
    for _ in range(2):
        before = pid_of(cluster, "game-2")
        os.kill(before, signal.SIGKILL)
        until_true("game-2 is started again", lambda: pid_of(cluster, "game-2") not in (None, before), 20)
    until_true("all nodes up and linked again", cluster.is_linked, 20)
    assert stalled.end() == 0


TALKS = """#!%s
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
for number in range(60000):
    sys.stdout.write("a line of a node that says more than dure up keeps, %%d\\n" %% number)
sys.stdout.flush()
open(__file__ + ".done", "w").close()
while True:
    signal.pause()
""" % sys.executable


def what_dure_up_lost_is_told_when_it_is_read_again(cluster):
    program = os.path.join(cluster.data, "talks")
    with open(program, "w") as file:
        file.write(TALKS)
    os.chmod(program, 0o700)
    stalled = Stalled(cluster, "dure", "up", cluster.config, "--set", "roles.db.program=" + program)
    until_true("it has said three mebibytes, so that dure up had to lose some", lambda: os.path.exists(program + ".done"), 20)
    thread = stalled.read()
    until_true("the lost lines are told", lambda: re.search(r"^dure +\| -- LOG_DROPPED lines=[1-9]", stalled.text, re.M), 20)
    assert stalled.end() == 0
    thread.join(10)
    assert "db-1         | -- ended with exit code 0" in stalled.text, "it tells on"


def a_service_manager_that_does_not_read_stops_no_node(cluster):
    path = os.path.join(cluster.data, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        manager.bind(path)
        other.setblocking(False)
        try:
            while True:
                other.sendto(b"STATUS=busy", path)
        except BlockingIOError:
            pass  # its queue is full
        cluster.environment = dict(cluster.environment, NOTIFY_SOCKET=path)
        cluster.start("db-1")
        until_true("db-1 answers", lambda: pid_of(cluster, "db-1"), 10)
        since = time.monotonic()
        assert cluster.stop("db-1") == 0
        assert time.monotonic() - since < END_SECONDS


for story in (a_node_that_nobody_reads_serves_and_ends, what_a_node_lost_is_told_when_it_is_read_again,
              dure_up_that_nobody_reads_keeps_its_nodes_up_and_ends, what_dure_up_lost_is_told_when_it_is_read_again,
              a_service_manager_that_does_not_read_stops_no_node):
    since = time.monotonic()
    run(story, BIN)
    print("%s passed, %.1f s" % (story.__name__, time.monotonic() - since))
