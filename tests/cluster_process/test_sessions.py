#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Sessions that outlive their connections, on real processes: what was missed comes once and in order, a token works
once, and a player whose client does not come back goes.

usage: test_sessions.py BIN_FOLDER [LAUNCHER...]"""

import sys
import time

import msgpack

from two_gateways import run
from rpc_py import RpcError, until_true
from two_gateways import check, closed_with


def texts(client):
    return [params[1] for name, params in client.notifications if name == "chat"]


def pair(cluster, room="arena"):
    ada, bob = cluster.login("ada"), cluster.login("bob", "gateway-2")
    ada.call("join", room)
    bob.call("join", room)
    return ada, bob


def what_was_missed_comes_once_and_in_order(cluster):
    ada, bob = pair(cluster)
    for i in range(3):
        check("heard by", bob.call("chat", "before %d" % i), 1)
    ada.wait_for("chat")
    until_true("three heard", lambda: ada.call("ping") and ada.received == 3)
    first = ada.token
    for round_number in range(3):
        ada.close()
        for i in range(10):
            # The player stays in its room, so the others still speak to it.
            check("heard while away", bob.call("chat", "%d/%d" % (round_number, i)), 1)
        again = cluster.client()
        check("missed", again.resume(ada)["missed"], 10)
        check("player", again.call("whoami")["player"], "ada")
        check("in order, once", texts(again), ["%d/%d" % (round_number, i) for i in range(10)])
        check("live again", bob.call("chat", "live %d" % round_number), 1)
        check("next", until_true("live", lambda: again.call("ping") and texts(again))[-1], "live %d" % round_number)
        check("count", again.received, 3 + 11 * (round_number + 1))
        ada = again
    check("a used token", cluster.client().error("resume", first, 0), "REFUSED")
    check("the player goes on", ada.call("chat", "still here"), 1)
    check("a token in the log", first in cluster.log_text() or ada.token in cluster.log_text(), False)


def a_client_that_counted_less_gets_those_again(cluster):
    ada, bob = pair(cluster)
    for i in range(5):
        bob.call("chat", str(i))
    ada.close()
    ada.received = 2  # three were on their way when the connection broke
    again = cluster.client()
    check("missed", again.resume(ada)["missed"], 3)
    again.call("ping")
    check("again", texts(again), ["2", "3", "4"])


def wrong_tokens_are_refused(cluster):
    ada, bob = pair(cluster)
    for token in ("", "x", "0" * 48, ada.token[:-1], ada.token + "0", ada.token.upper() + " ",
                  ada.token[:-1] + ("0" if ada.token[-1] != "0" else "1")):
        check("token %r" % token, cluster.client().error("resume", token, 0), "REFUSED")
    check("foreign", cluster.client("gateway-2").error("resume", ada.token, 0), "REFUSED")
    check("logged in already", bob.error("resume", ada.token, 0), "ALREADY_LOGGED_IN")
    check("more than there were", cluster.client().error("resume", ada.token, 1000), "BAD_REQUEST")
    for params in ([], [ada.token], [ada.token, -1], [5, 0]):
        check("params %r" % params, cluster.client().error("resume", *params), "BAD_REQUEST")
    check("ada is untouched", ada.call("whoami")["player"], "ada")
    ada.close()
    check("nor used up", cluster.client().resume(ada)["player"], "ada")


def a_half_open_connection_is_taken_over(cluster):
    ada, bob = pair(cluster)
    again = cluster.client()
    again.resume(ada)
    check("the older is told", closed_with(ada), "TAKEN_OVER")
    check("the newer goes on", again.call("chat", "here"), 1)
    check("bob hears", bob.wait_for("chat"), ["ada", "here"])
    third = cluster.client()
    check("the token of the older", third.error("resume", ada.token, 0), "REFUSED")
    check("and the newer still goes on", again.call("whoami")["player"], "ada")


def one_who_does_not_come_back_goes(cluster):
    ada, bob = pair(cluster)
    ada.close()
    check("stays at first", bob.call("join", "arena")["players"], ["ada", "bob"])
    until_true("gone", lambda: bob.call("join", "arena")["players"] == ["bob"])
    check("late", cluster.client().error("resume", ada.token, 0), "REFUSED")
    again = cluster.login("ada")
    check("logs in as ever", again.call("whoami")["room"], "arena")


def more_than_is_kept_ends_the_session(cluster):
    ada, bob = pair(cluster)
    for i in range(257):
        bob.call("chat", str(i))
    again = cluster.client()
    check("257 missed", again.error("resume", ada.token, 0), "TOO_OLD")
    check("the half-open one", closed_with(ada), "TOO_OLD")
    check("gone", until_true("alone", lambda: bob.call("join", "arena")["players"] == ["bob"]), True)
    check("ended", again.error("resume", ada.token, 257), "REFUSED")
    check("a login on the same connection", again.call("login", "ada")["player"], "ada")
    again.call("join", "arena")
    for i in range(256):
        bob.call("chat", str(i))
    again.close()
    last = cluster.client()
    again.received = 0
    check("256 missed", last.resume(again)["missed"], 256)
    last.call("ping")
    check("all of them", texts(last), [str(i) for i in range(256)])


def logout_and_login_elsewhere_end_a_session(cluster):
    ada, bob = pair(cluster)
    ada.call("logout")
    check("left at once", until_true("alone", lambda: bob.call("join", "arena")["players"] == ["bob"], 1), True)
    check("a stranger's", ada.error("whoami"), "NOT_LOGGED_IN")
    check("out", cluster.client().error("resume", ada.token, 0), "REFUSED")
    check("in again", ada.call("login", "ada")["player"], "ada")
    check("where it was", ada.call("whoami")["room"], "arena")
    ada.close()
    elsewhere = cluster.login("ada", "gateway-2")
    check("taken over while away", cluster.client().error("resume", ada.token, 0), "REFUSED")
    check("one of it", elsewhere.call("join", "arena")["players"], ["ada", "bob"])


def only_so_many_are_waited_for(cluster):
    observer = cluster.login("observer")
    clients = [cluster.login("p%d" % i) for i in range(10)]  # resume_max is 8
    for client in clients:
        client.close()
    waited_for = ["observer"] + ["p%d" % i for i in range(2, 10)]
    until_true("p0 and p1 are gone, long before their time",
               lambda: observer.call("join", "lobby")["players"] == waited_for, 1)
    check("p0", cluster.client().error("resume", clients[0].token, 0), "REFUSED")
    check("p9 is waited for", cluster.client().resume(clients[9])["player"], "p9")


def the_death_of_the_gateway_ends_the_session(cluster):
    ada, bob = pair(cluster)
    cluster.kill("gateway-1")
    until_true("gone", lambda: bob.call("join", "arena")["players"] == ["bob"])
    cluster.start("gateway-1")
    check("refused", cluster.client().error("resume", ada.token, 0), "REFUSED")
    cluster.login("ada").call("whoami")


def a_session_outlives_its_game_node_and_db_too(cluster):
    ada, bob = pair(cluster)
    node = ada.call("whoami")["node"]
    ada.close()
    cluster.kill(node)
    cluster.kill("db-1")
    again = cluster.client()
    again.resume(ada)
    check("away", until_true("an error", lambda: again.error("whoami")), "UNAVAILABLE")
    cluster.start("db-1")
    cluster.start(node)

    def is_back():
        try:
            return again.call("whoami")["player"] == "ada"
        except RpcError as error:
            assert error.name in ("UNAVAILABLE", "OUTCOME_UNKNOWN"), error
            return False

    until_true("back without a login", is_back, 6)


def pipelined(client, *calls):
    """Sends calls in one packet; the error's name of each, or its result."""
    first = client.next_id + 1
    client.next_id += len(calls)
    client.socket.sendall(b"".join(msgpack.packb([0, first + i, call[0], list(call[1:])])
                                   for i, call in enumerate(calls)))
    until = time.monotonic() + client.timeout
    answers = {}
    while len(answers) < len(calls):
        message = client._read(until)
        if message[0] == 1:
            answers[message[1]] = message[3] if message[2] is None else message[2][1]
    return [answers[first + i] for i in range(len(calls))]


def calls_in_one_packet_meet_what_stands_before_them(cluster):
    """Each client method behind login, resume, join and logout, and behind a login and a resume that fail."""
    calls = {
        "ping": (), "echo": (1,), "time": (), "login": ("other",), "join": ("arena",), "resume": ("x", 0), "logout": (),
        "whoami": (), "move": (1, 2), "chat": ("hello",), "inventory": (), "give": ("bob", "gold", 1),
    }
    for_all = ("ping", "echo", "time")
    bob = cluster.login("bob")
    bob.call("join", "lobby")
    for number, (method, params) in enumerate(calls.items()):
        name = "p%d" % number
        for first in ("login", "resume", "join", "logout", "no login", "no resume"):
            client = cluster.client()
            before = {"login": ("login", name), "join": ("join", "hall"), "logout": ("logout",),
                      "no login": ("login", "two words"), "no resume": ("resume", "0" * 48, 0)}.get(first)
            if first in ("join", "logout"):
                client.call("login", name)
            elif first == "resume":
                lost = cluster.login(name)
                lost.close()
                before = ("resume", lost.token, 0)
            answer, behind = pipelined(client, before, (method, *params))
            what = "%s behind %s" % (method, first)
            is_in = first in ("login", "resume", "join")
            check(what, isinstance(answer, dict), is_in or first == "logout")
            if method in for_all:
                check(what, type(behind), {"ping": str, "echo": int, "time": int}[method])
            elif method == "login":
                check(what, behind if is_in else behind["player"], "ALREADY_LOGGED_IN" if is_in else "other")
            elif method == "resume":
                check(what, behind, "ALREADY_LOGGED_IN" if is_in else "REFUSED")
            elif not is_in:
                check(what, behind, "NOT_LOGGED_IN")
            elif method == "whoami":
                check(what, behind["room"], "hall" if first == "join" else "lobby")
            elif method == "join":
                check(what, (behind["room"], name in behind["players"]), ("arena", True))
            elif method == "logout":
                check(what, (behind, client.error("whoami")), ({}, "NOT_LOGGED_IN"))
            elif method == "move":
                check(what, behind, {"x": 1, "y": 2})
            elif method == "chat":
                check(what, type(behind), int)  # how many have heard it
            elif method == "inventory":
                check(what, behind["gold"], 100)
            else:
                check(what, behind["balance"] < 100, True)
            client.close()


STORIES = (
    calls_in_one_packet_meet_what_stands_before_them,
    what_was_missed_comes_once_and_in_order,
    a_client_that_counted_less_gets_those_again,
    wrong_tokens_are_refused,
    a_half_open_connection_is_taken_over,
    one_who_does_not_come_back_goes,
    more_than_is_kept_ends_the_session,
    logout_and_login_elsewhere_end_a_session,
    only_so_many_are_waited_for,
    the_death_of_the_gateway_ends_the_session,
    a_session_outlives_its_game_node_and_db_too,
)

if __name__ == "__main__":
    sys.exit(run(STORIES, sys.argv[1], sys.argv[2:]))
