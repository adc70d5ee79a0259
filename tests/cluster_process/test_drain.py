#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Nodes that are stopped gracefully and started again, on real processes: what they have begun is finished, players wait
for their node instead of failing, clients are told to go, and nothing acknowledged is lost.

usage: test_drain.py BIN_FOLDER [LAUNCHER...]"""

import json
import signal
import sys
import threading
import time

import two_gateways
from programs import stop_gracefully
from rpc_py import SLACK, RpcError, until_true
from two_gateways import check, closed_with

PLAYERS = 12


def stop_and_time(cluster, node):
    since = time.monotonic()
    check("exit code of " + node, cluster.stop(node), 0)
    return time.monotonic() - since


def restart(cluster, node):
    seconds = stop_and_time(cluster, node)
    cluster.start(node)
    return seconds


class Callers:
    """Players that call without a pause, each on a thread of its own, and what they were answered."""

    def __init__(self, clients, call):
        self.failures = []
        self.count = 0
        self.longest = 0.0
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(client, call)) for client in clients]
        for thread in self.threads:
            thread.start()

    def _run(self, client, call):
        turn = 0
        while not self.stop.is_set():
            turn += 1
            since = time.monotonic()
            try:
                call(client, turn)
                self.count += 1
            except (AssertionError, RpcError, EOFError, OSError) as error:
                self.failures.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - since)

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)


def idle_nodes_stop_at_once(cluster):
    for node in ("gateway-1", "gateway-2", "game-1", "game-2", "db-1"):
        seconds = stop_and_time(cluster, node)
        print("%s stopped in %.2f s" % (node, seconds))
        assert seconds < 1 * SLACK, (node, seconds)


def players_wait_for_their_game_node(cluster):
    clients = [cluster.login("p%d" % i, "gateway-%d" % (i % 2 + 1)) for i in range(PLAYERS)]
    rooms = [cluster.room_on(client, "game-%d" % (i % 2 + 1)) for i, client in enumerate(clients)]

    def call(client, turn):
        check("a move", client.call("move", turn, turn), {"x": turn, "y": turn})

    callers = Callers(clients, call)
    for _ in range(2):
        for node in ("game-1", "game-2"):
            before = callers.count
            restart(cluster, node)
            until_true("calls go on", lambda: callers.count > before + 20 * PLAYERS, 10)
            until_true("all are in their rooms", lambda: None not in [client_room(cluster, i) for i in range(PLAYERS)], 10)
    callers.end()
    print("%d calls, the longest %.2f s" % (callers.count, callers.longest))
    check("calls that failed", callers.failures, [])
    check("still in their rooms", [client.call("whoami")["room"] for client in clients], rooms)


def client_room(cluster, index):
    row = cluster.row("p%d" % index)
    return row and row["room"]


def gifts_are_given_once_while_db_restarts(cluster):
    giver, taker = cluster.login("giver"), cluster.login("taker", "gateway-2")
    for client in (giver, taker):
        client.call("whoami")
    answered = [0]
    outcomes = {}

    def call(client, turn):
        while True:
            try:
                client.call("give", "taker", "gold", 1, "k%d" % turn)
                answered[0] += 1
                time.sleep(0.02)
                return
            except RpcError as error:
                check("what may happen to a gift", error.name, "UNAVAILABLE")
                outcomes[str(error)] = outcomes.get(str(error), 0) + 1
            time.sleep(0.02)

    before = gold_of(taker)
    callers = Callers([giver], call)
    for _ in range(3):
        so_far = answered[0]
        restart(cluster, "db-1")
        until_true("gifts go on", lambda: answered[0] > so_far + 10, 10)
    callers.end()
    print("%d gifts; meanwhile %s" % (answered[0], outcomes))
    check("failures", callers.failures, [])
    check("gold that arrived", gold_of(taker) - before, answered[0])


def gold_of(client):
    return client.call("inventory").get("gold", 0)


def clients_of_a_gateway_are_told_to_go(cluster):
    clients = [cluster.login("p%d" % i) for i in range(PLAYERS)]
    seconds = stop_and_time(cluster, "gateway-1")
    print("a gateway with %d clients stopped in %.2f s" % (PLAYERS, seconds))
    assert seconds < 3 * SLACK, seconds
    check("told", [closed_with(client) for client in clients], ["STOPPING"] * PLAYERS)
    elsewhere = [cluster.login("p%d" % i, "gateway-2") for i in range(PLAYERS)]
    check("at the other", [client.call("whoami")["player"] for client in elsewhere], ["p%d" % i for i in range(PLAYERS)])


def a_second_signal_ends_at_once(cluster):
    client = cluster.login("giver")
    cluster.login("taker", "gateway-2")
    answers = []

    def give():
        try:
            answers.append(client.call("give", "taker", "gold", 1, "k"))
        except (EOFError, OSError):
            answers.append("no answer")

    cluster.pause("db-1")
    caller = threading.Thread(target=give)
    try:
        caller.start()
        until_true("the gift is on its way", lambda: outstanding(cluster, "gateway-1") > 0)
        stop_gracefully(cluster.processes["gateway-1"])
        until_true("it drains", lambda: cluster.log_count("NODE_STOPPING", "gateway-1") == 1)
        check("waits for its answer", cluster.processes["gateway-1"].poll(), None)
        since = time.monotonic()
        cluster.signal("gateway-1", signal.SIGINT)
        check("exit code", cluster.processes["gateway-1"].wait(20), 130)
        seconds = time.monotonic() - since
        print("ended %.2f s after the second signal" % seconds)
        assert seconds < 2, seconds  # a thread sanitizer waits for one at its end; the gift would take five
    finally:
        cluster.go_on("db-1")
    caller.join(10)
    check("the gift", answers, ["no answer"])
    cluster.start("gateway-1")
    check("served again", cluster.login("giver").call("whoami")["player"], "giver")


def outstanding(cluster, node):
    return json.loads(cluster.dure("call", "status", "--node", node).stdout)["outstanding"]


if __name__ == "__main__":
    sys.exit(two_gateways.run(
        [idle_nodes_stop_at_once, players_wait_for_their_game_node, gifts_are_given_once_while_db_restarts,
         clients_of_a_gateway_are_told_to_go, a_second_signal_ends_at_once], sys.argv[1], sys.argv[2:]))
