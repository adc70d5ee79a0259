#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dure restart under load: every node of a cluster under `dure up` is drained and started again, one after the other,
while players give gold away under request keys. No gift that was acknowledged is lost, none is given twice.

usage: test_restart.py BIN_FOLDER
"""

import json
import os
import subprocess
import sys
import threading
import time

from two_gateways import TwoGateways, check
from programs import command_of, stop_gracefully
from rpc_py import SLACK, RpcError, until_true

BIN = sys.argv[1]
GIVERS = 6
GOLD = 100  # that everyone begins with


class Giver:
    """Gives gold away, a piece at a time, at whichever gateway takes it; the same key until it is acknowledged."""

    def __init__(self, cluster, index):
        self.cluster, self.index = cluster, index
        self.name = "giver%d" % index
        self.given = 0
        self.client = None
        self.failures = []
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _connect(self):
        for turn in range(200):
            try:
                client = self.cluster.client("gateway-%d" % ((self.index + turn) % 2 + 1))
                client.call("login", self.name)
                return client
            except (RpcError, EOFError, OSError):
                time.sleep(0.05)
        raise AssertionError("%s can log in nowhere" % self.name)

    def _give(self):
        while True:
            try:
                if self.client is None:
                    self.client = self._connect()
                self.client.call("give", "taker", "gold", 1, "%s-%d" % (self.name, self.given))
                return
            except RpcError as error:
                check("an error that passes", error.name in ("UNAVAILABLE", "OUTCOME_UNKNOWN", "DEADLINE"), True)
                time.sleep(0.02)
            except (EOFError, OSError):
                self.client = None

    def _run(self):
        try:
            while not self.stop.is_set() and self.given < GOLD:
                self._give()
                self.given += 1
                time.sleep(0.05)
        except AssertionError as error:
            self.failures.append(str(error))


def dure(cluster, *arguments):
    return subprocess.run([*command_of(os.path.join(BIN, "dure")), *arguments], env=cluster.environment,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120 * SLACK)


def pids(cluster):
    answer = json.loads(dure(cluster, "status", cluster.config, "--json").stdout)
    return {node["id"]: node["status"]["pid"] if node["up"] else None for node in answer["nodes"]}


def gold_of(cluster, name):
    return cluster.login(name, "gateway-2").call("inventory").get("gold", 0)


def without_supervisor_nothing_is_stopped(cluster):
    cluster.start_all()
    before = pids(cluster)
    answer = dure(cluster, "restart", cluster.config, "--role", "db")
    check("exit code", answer.returncode, 1)
    check("told", "nobody would start it again" in answer.stdout, True)
    check("runs on", pids(cluster), before)
    check("no such role", dure(cluster, "restart", cluster.config, "--role", "bard").returncode, 2)
    for node in list(cluster.processes):
        cluster.stop(node)


def a_rolling_restart_loses_nothing(cluster):
    supervisor = subprocess.Popen([*command_of(os.path.join(BIN, "dure")), "up", cluster.config],
                                  env=cluster.environment, stdin=subprocess.DEVNULL, stdout=cluster.log,
                                  stderr=cluster.log)
    cluster.processes["dure up"] = supervisor
    until_true("all linked", cluster.is_linked, 20)
    before = pids(cluster)
    start_gold = gold_of(cluster, "taker")
    givers = [Giver(cluster, index) for index in range(GIVERS)]
    until_true("gifts", lambda: sum(giver.given for giver in givers) > GIVERS, 10)
    since = time.monotonic()
    answer = dure(cluster, "restart", cluster.config)
    print(answer.stdout + answer.stderr, end="")
    print("%.1f s, %d gifts by then" % (time.monotonic() - since, sum(giver.given for giver in givers)))
    check("exit code", answer.returncode, 0)
    for giver in givers:
        giver.stop.set()
    for giver in givers:
        giver.thread.join(30)
    check("failures", [giver.failures for giver in givers if giver.failures], [])
    after = pids(cluster)
    check("every node is another process", [node for node in before if before[node] == after[node]], [])
    given = sum(giver.given for giver in givers)
    check("gold that arrived", gold_of(cluster, "taker") - start_gold, given)
    check("gold that left", sum(gold_of(cluster, giver.name) for giver in givers), GIVERS * GOLD - given)
    one = dure(cluster, "restart", cluster.config, "--node", "game-2", "--json")
    check("one node", [(node["id"], node["back"]) for node in json.loads(one.stdout)["nodes"]], [("game-2", True)])
    stop_gracefully(supervisor)
    check("dure up ends well", supervisor.wait(60 * SLACK), 0)


for story in (without_supervisor_nothing_is_stopped, a_rolling_restart_loses_nothing):
    nodes = TwoGateways(BIN)
    failed = True
    try:
        story(nodes)
        failed = False
        print("ok: " + story.__name__.replace("_", " "))
    finally:
        nodes.close(failed)
