#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dure up, status, down and node with processes: all nodes come up, one that is killed is started again, each way of
stopping ends all of them, and none outlives the command that started it.

    up_and_down.py BIN_FOLDER ROOT
"""
import json
import os
import signal
import socket
import subprocess
import sys

BIN, ROOT = sys.argv[1:3]
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "cluster_process"))
from cluster import NODES, run  # noqa: E402
from programs import WINE_RUN, command_of, stop_gracefully  # noqa: E402
from rpc_py import SLACK, until_true  # noqa: E402


def start(cluster, *arguments):
    """dure with arguments, in the background; what it writes goes to the cluster's log. close() ends it."""
    process = subprocess.Popen([*command_of(os.path.join(BIN, "dure")), *arguments], env=cluster.environment,
                               stdin=subprocess.DEVNULL, stdout=cluster.log, stderr=cluster.log)
    cluster.processes[process.pid] = process
    return process


def status(cluster):
    return {node["id"]: node for node in json.loads(cluster.dure("status", "--json").stdout)["nodes"]}


def is_all_down(cluster):
    return cluster.dure("status").returncode == 1 and not any(pid_of(cluster, node) for node in NODES)


def pid_of(cluster, node):
    """The process that a node's admin.json names; None when it has not written one, or has removed it at its end."""
    try:
        with open(os.path.join(cluster.data, node, "admin.json")) as file:
            return json.load(file)["pid"]
    except (FileNotFoundError, ValueError):
        return None


def system_pids(cluster, node):
    """This system's numbers of a node's processes; they differ from the program's own under Wine."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line, open(f"/proc/{pid}/environ", "rb") as environment:
                # Wine leaves room behind the last argument.
                if line.read().rstrip(b"\0").endswith(b"--node\0" + node.encode()) and cluster.data.encode() in environment.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


def is_wine():
    return command_of(os.path.join(BIN, "dure"))[0] == WINE_RUN


def crash(cluster, node):
    if os.name == "nt":
        os.kill(pid_of(cluster, node), 3)  # there that is TerminateProcess with this exit code
        return
    # One that is killed under Wine looks to its parent as if it had ended well.
    (pid,) = system_pids(cluster, node)
    os.kill(pid, signal.SIGSEGV if is_wine() else signal.SIGKILL)


def end_of(process):
    return process.wait(30 * SLACK)


def lines(cluster, node, text):
    return sum(1 for line in cluster.log_text().splitlines() if line.startswith(f"{node} ") and text in line)


def a_node_that_crashes_is_started_again(cluster):
    process = cluster.up()
    before = pid_of(cluster, "game-2")
    crash(cluster, "game-2")
    until_true("game-2 starts again", lambda: pid_of(cluster, "game-2") not in (None, before), 20)
    until_true("all nodes up and linked again", cluster.is_linked, 20)
    assert lines(cluster, "game-2", "-- ended with exit code") + lines(cluster, "game-2", "-- was ended by") == 1
    assert lines(cluster, "gateway-1", "-- ") == 0, "one node's end is not another's"
    assert lines(cluster, "db-1", "NODE_") > 0, "the nodes' lines come out behind their ids"
    # Nodes that ended well stay ended, and with the last one the command does.
    down = cluster.dure("down", "--json")
    assert down.returncode == 0, down
    assert [node["outcome"] for node in json.loads(down.stdout)["nodes"]] == ["stopped"] * len(NODES), down
    assert end_of(process) == 0
    assert all(lines(cluster, node, "-- ended with exit code 0") == 1 for node in NODES)


def ctrl_c_stops_all_in_their_order(cluster):
    process = cluster.up()
    stop_gracefully(process)
    assert end_of(process) == 0
    ends = [line.split()[0] for line in cluster.log_text().splitlines() if "-- ended with exit code 0" in line]
    assert ends == list(NODES), ends


def nodes_die_with_the_command(cluster):
    process = cluster.up()
    pids = {node: pid_of(cluster, node) for node in NODES}
    process.kill()
    process.wait(10)
    until_true("no node answers", lambda: not any(node.get("up") for node in status(cluster).values()), 20)
    # Their folders are free again.
    process = cluster.up()
    assert all(pid_of(cluster, node) != pid for node, pid in pids.items())
    stop_gracefully(process)
    assert end_of(process) == 0


def a_node_that_cannot_start_is_given_up(cluster):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", cluster.client_port))
        taken.listen(1)
        process = start(cluster, "up", cluster.config)
        until_true("gateway-1 ends", lambda: lines(cluster, "gateway-1", "-- ended with exit code 1"), 20)
        until_true("the others are up", lambda: pid_of(cluster, "game-1") and pid_of(cluster, "db-1"), 20)
    stop_gracefully(process)
    assert end_of(process) == 1, "it tells that one failed"
    assert lines(cluster, "gateway-1", "will be started again") == 0
    assert lines(cluster, "db-1", "-- ended with exit code 0") == 1


def a_node_that_keeps_crashing_is_started_later_each_time(cluster):
    program = os.path.join(cluster.data, "crashes")
    with open(program, "w") as file:
        file.write("#!/bin/sh\nexit 9\n")
    os.chmod(program, 0o700)
    process = start(cluster, "up", cluster.config, "--set", "roles.db.program=" + program)
    until_true("three crashes", lambda: lines(cluster, "db-1", "will be started again") >= 3, 20)
    pauses = [int(line.rsplit(":", 1)[1]) for line in cluster.log_text().splitlines()
              if line.startswith("db-1 ") and "will be started again in milliseconds:" in line]
    assert pauses[:3] == [250, 500, 1000], pauses
    stop_gracefully(process)
    assert end_of(process) == 0


def a_second_ctrl_c_waits_for_nobody(cluster):
    process = cluster.up()
    (hanging,) = system_pids(cluster, "gateway-1")
    os.kill(hanging, signal.SIGSTOP)
    stop_gracefully(process)
    try:
        process.wait(1)
        raise AssertionError("it did not wait for the node that hangs")
    except subprocess.TimeoutExpired:
        stop_gracefully(process)
    assert process.wait(10 * SLACK) in (1, 130)
    until_true("no node is left", lambda: not any(system_pids(cluster, node) for node in NODES), 10)


def node_runs_one_in_the_foreground(cluster):
    process = start(cluster, "node", cluster.config, "db-1")
    until_true("db-1 is up", lambda: cluster.dure("call", "status", "--node", "db-1").returncode == 0, 20)
    assert lines(cluster, "db-1", "") == 0, "its lines are its own"
    stop_gracefully(process)
    assert end_of(process) == 0
    assert pid_of(cluster, "db-1") is None
    assert end_of(start(cluster, "node", cluster.config, "no-such-node")) == 78


STORIES = [a_node_that_crashes_is_started_again, ctrl_c_stops_all_in_their_order, a_node_that_cannot_start_is_given_up,
           node_runs_one_in_the_foreground]
if not is_wine():
    STORIES.append(nodes_die_with_the_command)  # Wine's server does not bear that many deaths at once
if not is_wine() and os.name != "nt":
    STORIES.append(a_node_that_keeps_crashing_is_started_later_each_time)  # a program that is a script
    STORIES.append(a_second_ctrl_c_waits_for_nobody)  # with SIGSTOP, which can hold up all of a Wine session

for story in STORIES:
    run(story, BIN)
    print(story.__name__, "passed")
