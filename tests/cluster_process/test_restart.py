#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""dure restart on real processes under `dure up`: every node is drained and started again, one after the other, while
players give gold away under request keys. No gift that was acknowledged is lost, none is given twice, and clients of a
gateway are told before they are let go. What does not come back ends it, and the others run on.

usage: test_restart.py BIN_FOLDER [STORY...]
"""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

from two_gateways import TwoGateways, check
from programs import command_of, stop_gracefully
from rpc_py import SLACK, RpcError, process_of, until_true

BIN = sys.argv[1]
GIVERS = 6
GOLD = 100  # that everyone begins with
WHOLE_S = 10  # for five nodes; measured 1.1
GIFT_S = 4  # for one gift, as long as calls wait for a node that starts again; measured 0.4


class Giver:
    """Gives gold away, a piece at a time, under the same key until it is acknowledged; goes to the other gateway when it
    is told to."""

    def __init__(self, cluster, index):
        self.cluster, self.index = cluster, index
        self.name = "giver%d" % index
        self.given = 0
        self.told = 0
        self.errors = []
        self.longest = 0.0
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

    def _hear(self):
        """Whether it was told to go; then it goes."""
        told = [params[0] for name, params in self.client.notifications if name == "closing"]
        if told:
            check("why it is to go", told, ["STOPPING"])
            self.told += 1
            self.index += 1
            self.client.close()
            self.client = None
        return bool(told)

    def _give(self):
        while True:
            try:
                if self.client is None:
                    self.client = self._connect()
                self.client.call("give", "taker", "gold", 1, "%s-%d" % (self.name, self.given))
                self._hear()
                return
            except RpcError as error:
                self.errors.append(str(error))
                check("an error that passes", error.name in ("UNAVAILABLE", "OUTCOME_UNKNOWN", "DEADLINE"), True)
                time.sleep(0.02)
            except (EOFError, OSError) as error:
                check("told before %r" % error, self._hear(), True)

    def _run(self):
        try:
            while not self.stop.is_set() and self.given < GOLD:
                since = time.monotonic()
                self._give()
                self.longest = max(self.longest, time.monotonic() - since)
                self.given += 1
                time.sleep(0.05)
        except AssertionError as error:
            self.failures.append(str(error))


def dure(cluster, *arguments, **environment):
    return subprocess.run([*command_of(os.path.join(BIN, "dure")), *arguments], env={**cluster.environment, **environment},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120 * SLACK)


def restart(cluster, *options):
    """The exit code, each node's outcome, and all texts."""
    answer = dure(cluster, "restart", cluster.config, *options, "--json")
    nodes = json.loads(answer.stdout)["nodes"]
    return answer.returncode, [(node["id"], node["outcome"]) for node in nodes], \
        " ".join(node["text"] for node in nodes) + answer.stderr


def end(cluster, exit_code=0):
    stop_gracefully(cluster.processes["dure up"])
    check("exit code of dure up", cluster.processes["dure up"].wait(60 * SLACK), exit_code)


def pids(cluster):
    answer = json.loads(dure(cluster, "status", cluster.config, "--json").stdout)
    return {node["id"]: node["status"]["pid"] if node["up"] else None for node in answer["nodes"]}


def lines(cluster, node, text):
    return sum(line.startswith(node + " ") and text in line for line in cluster.log_text().splitlines())


def rows(cluster, query, *values):
    """What stands in the database's file."""
    path = os.path.join(cluster.data, "db-1", "dure.sqlite")
    with sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=5) as db:
        return db.execute(query, values).fetchall()


def without_supervisor_nothing_is_stopped(cluster):
    cluster.start_all()
    before = pids(cluster)
    code, outcomes, text = restart(cluster, "--role", "db")
    check("outcome", (code, outcomes), (1, [("db-1", "failed")]))
    check("told", "nobody would start it again" in text, True)
    check("no such role", dure(cluster, "restart", cluster.config, "--role", "bard").returncode, 2)
    elsewhere = dure(cluster, "restart", cluster.config, "--node", "game-2", "--set", "nodes[3].host=192.0.2.1",
                     DURE_SECRET="a secret of thirty-two characters")
    check("on another machine", (elsewhere.returncode, "no such node on this machine" in elsewhere.stderr), (1, True))
    check("all run on", pids(cluster), before)
    for node in list(cluster.processes):
        cluster.stop(node)


def a_rolling_restart_loses_nothing(cluster):
    cluster.up()
    before = pids(cluster)
    taker = cluster.login("taker", "gateway-2")
    start_gold = taker.call("inventory").get("gold", 0)
    taker.close()
    givers = [Giver(cluster, index) for index in range(GIVERS)]
    until_true("gifts", lambda: all(giver.given > 1 for giver in givers), 10)
    since = time.monotonic()
    answer = dure(cluster, "restart", cluster.config)
    seconds = time.monotonic() - since
    given = sum(giver.given for giver in givers)
    until_true("gifts go on", lambda: sum(giver.given for giver in givers) > given + GIVERS, 10)
    for giver in givers:
        giver.stop.set()
    for giver in givers:
        giver.thread.join(30)
    print(answer.stdout + answer.stderr, end="")
    print("%.1f s; %d gifts, the longest took %.2f s; %d times told to go" % (
        seconds, sum(giver.given for giver in givers), max(giver.longest for giver in givers),
        sum(giver.told for giver in givers)))
    print("answers but results:", [error for giver in givers for error in giver.errors])
    check("exit code", answer.returncode, 0)
    check("lines", [line.split()[0] for line in answer.stdout.splitlines()], [node for node in before for _ in (1, 2)])
    check("within its time", seconds < WHOLE_S * SLACK, True)
    check("no gift that hangs", [giver.longest for giver in givers if giver.longest > GIFT_S * SLACK], [])
    check("failures", [giver.failures for giver in givers if giver.failures], [])
    check("never told to go", [giver.name for giver in givers if giver.told == 0], [])
    after = pids(cluster)
    check("every node is another process", [node for node in before if before[node] == after[node]], [])
    check("a crash", [node for node in before if lines(cluster, node, "-- will be started again")], [])
    check("restarted once", [lines(cluster, node, "-- starts again, as it was asked to") for node in before], [1] * 5)
    end(cluster)
    gold = dict(rows(cluster, "SELECT player, count FROM items WHERE item = 'gold'"))
    check("gold that arrived", gold["taker"] - start_gold, sum(giver.given for giver in givers))
    for giver in givers:
        check("gold left to " + giver.name, gold.get(giver.name, 0), GOLD - giver.given)
        keys = rows(cluster, "SELECT key, receiver, count FROM request_keys WHERE player = ?", giver.name)
        check("gifts of " + giver.name, sorted(keys),
              sorted(("%s-%d" % (giver.name, i), "taker", 1) for i in range(giver.given)))


def one_that_does_not_come_back_ends_it(cluster):
    program = os.path.join(cluster.data, "dure-game")
    os.symlink(os.path.join(BIN, "dure-game"), program)
    with open(cluster.config) as file:
        text = json.load(file)
    text["roles"]["game"]["program"] = program
    text.update({"drain_ms": 1000, "drain_clients_ms": 0})
    with open(cluster.config, "w") as file:
        json.dump(text, file)
    cluster.up()
    before = pids(cluster)
    broken = program + ".broken"
    os.symlink(shutil.which("false"), broken)
    os.replace(broken, program)
    code, outcomes, text = restart(cluster, "--role", "game", "--timeout", "1000")
    check("outcome", (code, outcomes), (1, [("game-1", "failed")]))
    check("told", "does not answer after 2 s" in text and "ended at game-1" in text, True)
    check("the others run on", pids(cluster), {**before, "game-1": None})
    code, outcomes, text = restart(cluster)
    check("not begun", (code, outcomes, "not begun" in text), (1, [("game-1", "failed")], True))
    check("none was touched", pids(cluster), {**before, "game-1": None})
    os.symlink(os.path.join(BIN, "dure-game"), broken)
    os.replace(broken, program)
    until_true("it comes back by itself", cluster.is_linked, 20)
    check("all of the role", restart(cluster, "--role", "game")[:2],
          (0, [("game-1", "restarted"), ("game-2", "restarted")]))
    after = pids(cluster)
    check("those of other roles", [node for node in before if before[node] == after[node]],
          ["gateway-1", "gateway-2", "db-1"])
    end(cluster)


def one_without_its_links_ends_it(cluster):
    with open(cluster.config) as file:
        text = json.load(file)
    text.update({"drain_ms": 1000, "drain_clients_ms": 0})
    with open(cluster.config, "w") as file:
        json.dump(text, file)
    cluster.up()
    before = pids(cluster)
    db = process_of(cluster.data, "db-1")
    os.kill(db, signal.SIGSTOP)  # it takes no new link, and is not known to be down before this is over
    try:
        code, outcomes, text = restart(cluster, "--node", "game-2", "--timeout", "2000")
    finally:
        os.kill(db, signal.SIGCONT)
    check("outcome", (code, outcomes), (1, [("game-2", "failed")]))
    check("told: " + text, "up after 3 s, but with " in text and " links instead of 3" in text, True)
    until_true("it has its link", cluster.is_linked, 20)
    check("the others run on", [node for node, pid in pids(cluster).items() if pid != before[node]], ["game-2"])
    end(cluster)


@contextlib.contextmanager
def a_gift_that_waits_for_db(cluster):
    """Within it, gateway-1 has a call that it cannot answer; afterwards the answer has come."""
    client = cluster.login("giver")
    cluster.login("taker", "gateway-2")
    db = process_of(cluster.data, "db-1")
    answers = []
    caller = threading.Thread(target=lambda: answers.append(client.call("give", "taker", "gold", 1, "k")))
    os.kill(db, signal.SIGSTOP)
    try:
        caller.start()
        until_true("the gift is on its way", lambda: status(cluster, "gateway-1")["outstanding"] > 0, 10)
        yield
    finally:
        os.kill(db, signal.SIGCONT)
    caller.join(10)
    check("what was in flight", answers, [{"balance": GOLD - 1}])


def a_stop_wins_over_a_restart(cluster):
    cluster.up()
    with a_gift_that_waits_for_db(cluster):
        check("restart", dure(cluster, "call", cluster.config, "restart", "--node", "gateway-1").returncode, 0)
        check("stop", dure(cluster, "call", cluster.config, "stop", "--node", "gateway-1").returncode, 0)
        again = dure(cluster, "call", cluster.config, "restart", "--node", "gateway-1")
        check("restart of what stops", (again.returncode, "REFUSED" in again.stdout + again.stderr), (1, True))
    until_true("it stays away", lambda: lines(cluster, "gateway-1", "-- ended with exit code 0") == 1, 10)
    check("started again", lines(cluster, "gateway-1", "-- starts again"), 0)
    check("down", pids(cluster)["gateway-1"], None)
    end(cluster)


def a_second_one_at_the_same_time_is_refused(cluster):
    cluster.up()
    before = pids(cluster)
    with a_gift_that_waits_for_db(cluster):
        first = subprocess.Popen([*command_of(os.path.join(BIN, "dure")), "restart", cluster.config, "--node", "gateway-1"],
                                 env=cluster.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        check("the first begins", first.stdout.readline().split(), ["gateway-1", "drains", "..."])
        second = dure(cluster, "restart", cluster.config, "--node", "game-2")
        check("the second", (second.returncode, "another one is under way" in second.stderr), (1, True))
    first.communicate(timeout=60 * SLACK)
    check("the first ends well", first.returncode, 0)
    after = pids(cluster)
    check("restarted", [node for node in after if after[node] != before[node]], ["gateway-1"])
    check("one later", restart(cluster, "--node", "game-2")[0], 0)
    end(cluster)


def status(cluster, node):
    return json.loads(dure(cluster, "call", cluster.config, "status", "--node", node).stdout)


STORIES = (without_supervisor_nothing_is_stopped, a_rolling_restart_loses_nothing, one_that_does_not_come_back_ends_it,
           one_without_its_links_ends_it,
           a_stop_wins_over_a_restart, a_second_one_at_the_same_time_is_refused)
for story in [story for story in STORIES if len(sys.argv) == 2 or story.__name__ in sys.argv[2:]]:
    nodes = TwoGateways(BIN)
    failed = True
    try:
        story(nodes)
        failed = False
        print("ok: " + story.__name__.replace("_", " "), flush=True)
    finally:
        nodes.close(failed)
