#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demo's story on real processes, called by a client that no one here wrote: every client method, every error that
the page promises, and kill -9 of each node in turn.

usage: test_story.py BIN_FOLDER [--elsewhere BIN_FOLDER NODE,NODE...] [LAUNCHER...]

The nodes named after --elsewhere run the programs of that other folder, which may be those of another system."""

import os
import socket
import sys
import time

import msgpack

from cluster import run
from rpc_py import Client, RpcError, until_true


def check(what, got, expected):
    if got != expected:
        raise AssertionError("%s: got %r, expected %r" % (what, got, expected))


def before_login(port):
    client = Client(port)
    check("ping", client.call("ping"), "pong")
    for value in (None, True, 7, -3, 2.5, "text", b"bytes", [1, [2]], {"a": {"b": 1}}):
        check("echo", client.call("echo", value), value)
    assert abs(client.call("time") - time.time() * 1000) < 5000
    for method in ("whoami", "join", "move", "chat", "inventory", "give"):
        check(method + " before login", client.error(method, "x"), "NOT_LOGGED_IN")
    check("unknown", client.error("no_such_method"), "UNKNOWN_METHOD")
    check("echo of nothing", client.error("echo"), "BAD_REQUEST")
    for name in ("", "two words", "x" * 25, "tab\t", 7):
        check("login %r" % (name,), client.error("login", name), "BAD_REQUEST")
    client.close()


def everyday(cluster):
    port = cluster.client_port
    alice, bob = Client(port), Client(port)
    seen = alice.call("login", "alice")
    check("login", (seen["player"], bool(seen["resume"])), ("alice", True))
    check("second login", alice.error("login", "alice"), "ALREADY_LOGGED_IN")
    check("whoami", alice.call("whoami")["room"], "lobby")
    check("new player", alice.call("inventory"), {"gold": 100})
    check("give to nobody", alice.error("give", "bob", "gold", 1), "NOT_FOUND")
    bob.call("login", "bob")
    check("join", alice.call("join", "arena"), {"room": "arena", "players": ["alice"], "total": 1})
    check("join", bob.call("join", "arena"), {"room": "arena", "players": ["alice", "bob"], "total": 2})
    check("move", alice.call("move", 1, 2.5), {"x": 1, "y": 2.5})
    check("moved", bob.wait_for("moved"), ["alice", 1, 2.5])
    check("chat", alice.call("chat", "hello"), 1)
    check("chat heard", bob.wait_for("chat"), ["alice", "hello"])
    for params in (["x", 1], [1], [1, 2, 3], [float("nan"), 1], []):
        check("move %r" % (params,), alice.error("move", *params), "BAD_REQUEST")
    for params in (["alice", "gold", 1], ["bob", "gold", 0], ["bob", "gold", -1], ["bob", "gold", 1.5],
                   ["bob", "", 1], ["bob", "gold"], ["bob", "gold", "1"]):
        check("give %r" % (params,), alice.error("give", *params), "BAD_REQUEST")
    check("give", alice.call("give", "bob", "gold", 30, "key-1"), {"balance": 70})
    check("give again", alice.call("give", "bob", "gold", 30, "key-1"), {"balance": 70})
    check("other payload", alice.error("give", "bob", "gold", 31, "key-1"), "MISMATCH")
    check("too much", alice.error("give", "bob", "gold", 71), "NOT_ENOUGH")
    check("what there is not", alice.error("give", "bob", "sword", 1), "NOT_ENOUGH")
    check("inventories", (alice.call("inventory"), bob.call("inventory")), ({"gold": 70}, {"gold": 130}))
    try:
        alice.call("move", "x", 1)
    except RpcError as error:
        assert "x" in error.text and error.code == 1, error
    return alice, bob


def many_rooms(alice):
    """Rooms live on both game nodes; joining moves the player."""
    nodes = set()
    for i in range(20):
        room = "room-%d" % i
        check("join " + room, alice.call("join", room)["room"], room)
        seen = alice.call("whoami")
        check("whoami room", seen["room"], room)
        nodes.add(seen["node"])
    check("nodes of rooms", nodes, {"game-1", "game-2"})
    alice.call("join", "arena")


def neighbours(port):
    """Players who leave others behind in a room, and come to others: each join names who is there."""
    clients = {"n%d" % i: Client(port) for i in range(4)}
    where = {}
    for name, client in clients.items():
        client.call("login", name)
    for step in range(60):
        name, room = "n%d" % (step % 4), "hall-%d" % (step * 7 % 5)
        where[name] = room
        there = sorted(other for other, its_room in where.items() if its_room == room)
        check("join %d" % step, clients[name].call("join", room)["players"], there)
        check("chat %d" % step, clients[name].call("chat", "hello"), len(there) - 1)
    for client in clients.values():
        client.close()


def taken_over(port, alice):
    again = Client(port)
    check("login elsewhere", again.call("login", "alice")["player"], "alice")
    check("closing", alice.wait_for("closing")[0], "TAKEN_OVER")
    try:
        alice.call("ping")
        raise AssertionError("the older connection still lives")
    except (EOFError, ConnectionError):
        pass
    check("room after takeover", again.call("whoami")["room"], "arena")
    return again


def login_race(port):
    """Many connections that log in as one player at the same moment: one of them stays."""
    for step in range(3):
        name = "racer%d" % step
        clients = [Client(port) for _ in range(20)]
        for client in clients:
            client.socket.sendall(msgpack.packb([0, 0, "login", [name]]))
        seen = Client(port)
        seen.call("login", "referee")
        until_true("one is left", lambda: living(clients) == 1)
        check("names in the room", seen.call("join", "lobby")["players"].count(name), 1)
        for client in clients:
            client.close()
        until_true("nobody stays behind", lambda: name not in seen.call("join", "lobby")["players"])
        seen.close()


def living(clients):
    count = 0
    for client in clients:
        try:
            count += client.call("whoami") is not None
        except (EOFError, OSError, RpcError):
            pass
    return count


def is_back(client):
    try:
        return client.call("whoami") and client.call("inventory")
    except RpcError as error:
        assert error.name in ("UNAVAILABLE", "OUTCOME_UNKNOWN", "DEADLINE"), error
        return None


def kill_each(cluster, alice, bob):
    for node in ("db-1", "game-1", "game-2"):
        cluster.kill(node)
        if node == "db-1":
            check("inventory without db", until_true("UNAVAILABLE", lambda: alice.error("inventory")),
                  "UNAVAILABLE")
        time.sleep(0.3)
        cluster.start(node)
        since = time.monotonic()
        until_true("alice after " + node, lambda: is_back(alice), 15)
        until_true("bob after " + node, lambda: is_back(bob), 15)
        print("back after the kill of %s in %.1f s" % (node, time.monotonic() - since))
        check("gold after " + node, (alice.call("inventory"), bob.call("inventory")),
              ({"gold": 70}, {"gold": 130}))
        check("room after " + node, alice.call("whoami")["room"], "arena")
        check("chat after " + node, until_true("chat", lambda: alice.call("chat", "still here")), 1)
    cluster.kill("gateway-1")
    for client in (alice, bob):
        client.timeout = 2  # Wine may keep a connection of the dead, silent
        try:
            client.call("ping")
            raise AssertionError("a killed gateway answers")
        except (EOFError, OSError):
            pass
    cluster.start("gateway-1")
    alice = until_true("gateway-1", lambda: Client(cluster.client_port))
    until_true("login after gateway-1", lambda: alice.call("login", "alice"))
    check("the repeat after all kills", alice.call("give", "bob", "gold", 30, "key-1"), {"balance": 70})
    check("all survived", (alice.call("inventory"), alice.call("whoami")["room"]), ({"gold": 70}, "arena"))
    return alice


def garbage(cluster):
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\xc1", b"\xdd\x1f\xff\xff\xff", b"\x94\x05\x01\xa1m\x90", b"\x91" * 40):
        with socket.create_connection(("127.0.0.1", cluster.client_port), 5) as stranger:
            stranger.sendall(data)
            stranger.settimeout(5)
            seen = b""
            while True:
                more = stranger.recv(4096)
                if not more:
                    break
                seen += more
            assert b"closing" in seen, (data, seen)
    check("after garbage", Client(cluster.client_port).call("ping"), "pong")


def half_closed(port):
    """One that says all it wants, ends its sending side and then reads gets every answer."""
    client = Client(port)
    client.socket.sendall(b"".join(msgpack.packb([0, i, "echo", ["x" * 100]]) for i in range(2000)))
    client.socket.shutdown(socket.SHUT_WR)
    answers = 0
    while True:
        data = client.socket.recv(65536)
        if not data:
            break
        client.unpacker.feed(data)
        answers += sum(1 for _ in client.unpacker)
    check("answers to a half-closed client", answers, 2000)
    client = Client(port)
    calls = ("login", ["nina"]), ("whoami", []), ("inventory", [])
    client.socket.sendall(b"".join(msgpack.packb([0, i, *call]) for i, call in enumerate(calls)))
    client.socket.shutdown(socket.SHUT_WR)
    while data := client.socket.recv(65536):
        client.unpacker.feed(data)
    seen = {message[1]: message[2] for message in client.unpacker if message[0] == 1}
    check("errors of login, whoami, inventory", seen, {0: None, 1: None, 2: None})


def admin(cluster):
    answer = cluster.dure("call", "log_level", '["debug"]', "--node", "game-1")
    check("log_level", (answer.returncode, answer.stdout.strip()), (0, '"info"'))
    answer = cluster.dure("call", "status", "--node", "nobody")
    check("unknown node", answer.returncode, 78)
    answer = cluster.dure("call", "echo", '["x"]', "--json")
    check("dure call", answer.stdout.strip(), '{"result":"x"}')
    answer = cluster.dure("call", "whoami", "--login", "carol")
    check("dure call --login", (answer.returncode, "carol" in answer.stdout), (0, True))


def second_process(cluster):
    """The same node started twice says what is taken, and the first goes on."""
    first = cluster.processes["game-1"]
    cluster.start("game-1")
    check("second game-1", cluster.processes["game-1"].wait(10), 1)
    cluster.processes["game-1"] = first
    assert "another process uses this folder" in cluster.log_text()


def started_again(cluster):
    """A cluster that comes back numbers its clients anew: nobody is taken for a session of before."""
    names = ["p%d" % i for i in range(8)]
    clients = [Client(cluster.client_port) for _ in names]
    for client, name in zip(clients, names):
        client.call("login", name)
    for node in cluster.processes:
        cluster.stop(node)
    cluster.start_all()
    clients = [Client(cluster.client_port) for _ in names]
    for client, name in zip(clients, reversed(names)):
        check("login after a restart", client.call("login", name)["player"], name)
    for client, name in zip(clients, reversed(names)):
        check("whoami after a restart", client.call("whoami")["player"], name)


def story(cluster):
    cluster.start_all()
    started_again(cluster)
    before_login(cluster.client_port)
    alice, bob = everyday(cluster)
    many_rooms(alice)
    neighbours(cluster.client_port)
    alice = taken_over(cluster.client_port, alice)
    login_race(cluster.client_port)
    garbage(cluster)
    half_closed(cluster.client_port)
    admin(cluster)
    second_process(cluster)
    alice = kill_each(cluster, alice, bob)
    alice.call("move", 8, 9)
    for node in ("gateway-1", "game-1", "game-2", "db-1"):
        since = time.monotonic()
        check("graceful stop of " + node, cluster.stop(node), 0)
        print("%s stopped in %.2f s" % (node, time.monotonic() - since))


def main(bin_folder, *rest):
    elsewhere = {}
    if rest[:1] == ("--elsewhere",):
        folder, nodes = rest[1:3]
        if not os.path.isdir(folder):
            print("%s is not there: build it first" % folder)
            return 77
        elsewhere = dict.fromkeys(nodes.split(","), folder)
        rest = rest[3:]
    return run(story, bin_folder, rest, elsewhere)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
