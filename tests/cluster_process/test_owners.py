#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""One owner a player, on real processes: game nodes that are stopped past their lease, logins from many places at once,
and moves between game nodes in the middle of which a process is killed or stopped.

usage: test_owners.py BIN_FOLDER SEED [LAUNCHER...]"""

import random
import sys
import threading
import time

import msgpack

from two_gateways import run
from rpc_py import RpcError, until_true
from two_gateways import check, closed_with


ENDS_OF_THE_OLDER = ("TAKEN_OVER", "OUTCOME_UNKNOWN")


def try_call(client, method, *params):
    """The result, or None for one of the errors that pass."""
    try:
        return client.call(method, *params)
    except RpcError as error:
        assert error.name in ("UNAVAILABLE", "OUTCOME_UNKNOWN", "DEADLINE", "FENCED"), error
        return None


def ask(client, method, *params):
    """Sends a call and waits for nothing."""
    client.next_id += 1
    client.socket.sendall(msgpack.packb([0, client.next_id, method, list(params)]))


def answer_of_last(client):
    """The outcome of what ask sent last: a result, an error's name, or EOF."""
    until = time.monotonic() + client.timeout
    try:
        while True:
            message = client._read(until)
            if message[0] == 2:
                client._keep(message)
            elif message[1] == client.next_id:
                return message[3] if message[2] is None else message[2][1]
    except (EOFError, OSError):
        return "EOF"


def session_of(row):
    return row["epoch"] >> 32


def a_paused_game_node_finds_itself_fenced(cluster):
    old, bob = cluster.login("ada"), cluster.login("bob")
    room = cluster.room_on(old, "game-1")
    bob.call("join", room)
    check("a move", old.call("move", 3, 4), {"x": 3, "y": 4})
    until_true("saved", lambda: cluster.row("ada")["x"] == 3)
    cluster.pause("game-1")
    ask(old, "chat", "from the dead")  # stands before game-1 when it goes on
    new = cluster.client("gateway-2")
    since = time.monotonic()
    check("a login while its node hangs", new.call("login", "ada")["player"], "ada")
    took = time.monotonic() - since
    assert took < 5, took
    check("the older is told", closed_with(old), "TAKEN_OVER")
    other = cluster.room_on(new, "game-2")
    check("in another room", new.call("move", 5, 6), {"x": 5, "y": 6})
    until_true("saved", lambda: cluster.row("ada")["x"] == 5)
    cluster.go_on("game-1")
    until_true("bob is back", lambda: try_call(bob, "whoami"), 8)
    check("counted", until_true("LEASE_LOST", lambda: cluster.log_count("LEASE_LOST", "game-1")) >= 1, True)
    until_true("alone", lambda: bob.call("join", room)["players"] == ["bob"])
    check("nothing of the older was applied", [n for n in bob.notifications if n[0] == "chat"], [])
    row = cluster.row("ada")
    check("nor saved", (row["room"], row["x"], row["node"]), (other, 5, "game-2"))
    check("the newer goes on", new.call("whoami")["room"], other)


def a_short_pause_costs_nothing(cluster):
    ada, bob = cluster.login("ada"), cluster.login("bob")
    room = cluster.room_on(ada, "game-1")
    bob.call("join", room)
    lost = cluster.log_count("LEASE_LOST")
    for i in range(5):
        cluster.pause("game-1")
        ask(ada, "chat", str(i))
        threading.Timer(0.1, cluster.go_on, ["game-1"]).start()
        check("chat %d" % i, answer_of_last(ada), 1)
    check("leases lost", cluster.log_count("LEASE_LOST"), lost)


def silent_players_come_back_by_themselves(cluster):
    """Nobody calls anything: the game node tells the gateway whom it has let go of."""
    ada, bob = cluster.login("ada"), cluster.login("bob", "gateway-2")
    room = cluster.room_on(ada, "game-1")
    bob.call("join", room)
    ada.call("move", 7, 8)
    cluster.pause("game-1")
    until_true("the lease is over", paused_for(1.6), 5)
    cluster.go_on("game-1")
    observer = cluster.login("eve")
    until_true("all are back", lambda: observer.call("join", room)["players"] == ["ada", "bob", "eve"])
    check("they hear", observer.call("chat", "hello"), 2)
    check("a move before the pause", until_true("saved", lambda: cluster.row("ada")["x"]), 7)


def paused_for(seconds):
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def db_that_hangs_takes_the_leases(cluster):
    ada = cluster.login("ada")
    cluster.room_on(ada, "game-2")
    ada.call("move", 1, 1)
    until_true("saved", lambda: cluster.row("ada")["x"] == 1)
    ada.call("move", 2, 2)
    cluster.pause("db-1")
    until_true("no lease", lambda: ada.error("move", 3, 3) == "UNAVAILABLE")
    cluster.go_on("db-1")
    since = time.monotonic()
    until_true("back", lambda: try_call(ada, "whoami"), 5)
    print("back after db in %.2f s" % (time.monotonic() - since))
    check("what was acknowledged", until_true("saved", lambda: cluster.row("ada")["x"] >= 2), True)


def nothing_of_the_older_comes_after_the_newer(cluster):
    """Each login elsewhere is answered when nothing of the session before can act any more."""
    bob = cluster.login("bob")
    older = cluster.login("ada")
    room = cluster.room_on(older, "game-1")
    bob.call("join", room)
    ends = []
    for turn in range(12):
        stop = threading.Event()

        def flood(client, name):
            try:
                while not stop.is_set():
                    for call in (("chat", name), ("whoami",)):
                        try:
                            client.call(*call)
                        except RpcError as error:
                            if error.name != "OVERLOADED":  # a client may call only so often
                                ends.append(error.name)
                                return
            except (EOFError, OSError):
                pass

        thread = threading.Thread(target=flood, args=(older, "turn %d" % (turn - 1)))
        thread.start()
        newer = cluster.client("gateway-%d" % (turn % 2 + 1))
        check("login", newer.call("login", "ada")["player"], "ada")
        check("first words", newer.call("chat", "turn %d" % turn), 1)
        stop.set()
        thread.join()
        check("the older has ended", lives(older), False)
        older = newer
        bob.call("ping")
    heard = [int(params[1].split()[1]) for name, params in bob.notifications if name == "chat"]
    check("no word of an older session after a newer one's", heard, sorted(heard))
    check("all turns heard", set(range(12)) <= set(heard), True)
    check("nothing untrue", [end for end in ends if end not in ENDS_OF_THE_OLDER], [])


def concurrent_logins_leave_one(cluster):
    referee = cluster.login("referee")
    for turn in range(3):
        name = "racer%d" % turn
        clients = [cluster.client("gateway-%d" % (i % 2 + 1)) for i in range(24)]
        epochs = []
        stop = threading.Event()

        def watch():
            while not stop.is_set():
                row = cluster.row(name)
                if row:
                    epochs.append(row["epoch"])

        thread = threading.Thread(target=watch)
        thread.start()
        for client in clients:
            client.socket.sendall(msgpack.packb([0, 1, "login", [name]]))
            client.next_id = 1
        outcomes = [answer_of_last(client) for client in clients]
        alive = lambda: [c for c in clients if lives(c)]
        until_true("one is left", lambda: len(alive()) == 1)
        stop.set()
        thread.join()
        check("epochs never fall", epochs, sorted(epochs))
        check("a session a login", session_of(cluster.row(name)), len(clients))
        check("one in the room", referee.call("join", "lobby")["players"].count(name), 1)
        odd = [o for o in outcomes if not isinstance(o, dict) and o not in ("TAKEN_OVER", "CANCELLED", "EOF")]
        check("outcomes", odd, [])
        survivor = alive()[0]
        survivor.call("logout")
        for client in clients:
            client.close()


def lives(client):
    try:
        return client.call("whoami") is not None
    except RpcError as error:
        assert error.name in ("NOT_LOGGED_IN", *ENDS_OF_THE_OLDER), error
        return False
    except (EOFError, OSError):
        return False


def in_flight_calls_of_the_older_end(cluster):
    older = cluster.login("ada")
    bob = cluster.login("bob", "gateway-2")
    cluster.room_on(older, "game-1")
    cluster.pause("game-1")
    ask(older, "whoami")
    first = older.next_id
    ask(older, "give", "bob", "gold", 1)
    newer = cluster.client("gateway-2")
    newer.call("login", "ada")
    seen = {}
    until = time.monotonic() + 5
    while len(seen) < 2:
        message = older._read(until)
        if message[0] == 1:
            seen[message[1]] = message[2][1]
    check("answers", seen, {first: "TAKEN_OVER", first + 1: "OUTCOME_UNKNOWN"})
    cluster.go_on("game-1")
    until_true("back", lambda: try_call(newer, "whoami"), 8)
    check("the gift came too late", (newer.call("inventory"), bob_has(bob)), ({"gold": 100}, {"gold": 100}))


def bob_has(bob):
    return until_true("bob", lambda: try_call(bob, "inventory"))


def a_gateway_that_hung_finds_its_sessions_taken_over(cluster):
    older = cluster.login("ada", "gateway-1")
    bob = cluster.login("bob", "gateway-2")
    room = cluster.room_on(older, "game-1")
    bob.call("join", room)
    cluster.pause("gateway-1")
    ask(older, "chat", "too late")
    newer = cluster.client("gateway-2")
    since = time.monotonic()
    newer.call("login", "ada")
    assert time.monotonic() - since < 5
    check("newer", newer.call("chat", "newer"), 1)
    cluster.go_on("gateway-1")
    check("the older is told", closed_with(older), "TAKEN_OVER")
    check("newer still", newer.call("chat", "newer still"), 1)
    bob.call("ping")
    check("heard", [p[1] for n, p in bob.notifications if n == "chat"], ["newer", "newer still"])


def where_is(cluster, observer, name, rooms):
    """The rooms that a player is in, as those who are in them see it."""
    return [room for room in rooms if name in until_true(room, lambda: try_call(observer, "join", room), 10)["players"]]


def one_owner_at_every_kill_point(cluster):
    """Moves between game nodes; at a random moment of each a process is killed, or stopped for longer than a lease."""
    chance = random.Random(cluster.seed)
    ada, observer = cluster.login("ada", "gateway-1"), cluster.login("observer", "gateway-2")
    rooms = [cluster.room_on(ada, "game-1"), cluster.room_on(ada, "game-2")]
    ada.call("join", rooms[0])
    at = 0
    for step in range(12):
        x = step + 1
        until_true("a move", lambda: try_call(ada, "move", x, 0), 10)
        victim = ("game-1", "game-2", "db-1", "gateway-1")[step % 4]
        is_kill = step < 4 or chance.random() < 0.5
        delay = chance.random() * 0.006
        ask(ada, "join", rooms[1 - at])
        until_true("the moment", paused_for(delay), 1)
        if is_kill:
            cluster.kill(victim)
        else:
            cluster.pause(victim)
            until_true("the lease is over", paused_for(1.3 + chance.random()), 5)
        outcome = answer_of_last(ada)
        if is_kill:
            cluster.start(victim)
        else:
            cluster.go_on(victim)
        if chance.random() < 0.5:
            ada.close()
        ada = cluster.login("ada", chance.choice(("gateway-1", "gateway-2")))
        seen = until_true("whoami", lambda: try_call(ada, "whoami"), 10)
        what = "step %d, %s %s after %.1f ms, join %r" % (
            step, victim, "killed" if is_kill else "stopped", delay * 1000, outcome)
        if isinstance(outcome, dict):
            check(what + ": the last acknowledged room", seen["room"], rooms[1 - at])
        at = rooms.index(seen["room"])
        check(what + ": its node", seen["node"], "game-%d" % (at + 1))
        check(what + ": in one room", where_is(cluster, observer, "ada", rooms), [seen["room"]])
        row = cluster.row("ada")
        check(what + ": the row", (row["room"], row["node"]), (seen["room"], seen["node"]))
        # A move is saved at most 1 s later; one that a kill of its game node swallowed was younger.
        if victim not in ("game-1", "game-2") or not is_kill:
            check(what + ": the place", row["x"], x)
        until_true("observer", lambda: try_call(observer, "join", "lobby"), 10)


STORIES = (
    a_paused_game_node_finds_itself_fenced,
    a_short_pause_costs_nothing,
    silent_players_come_back_by_themselves,
    db_that_hangs_takes_the_leases,
    nothing_of_the_older_comes_after_the_newer,
    concurrent_logins_leave_one,
    in_flight_calls_of_the_older_end,
    a_gateway_that_hung_finds_its_sessions_taken_over,
    one_owner_at_every_kill_point,
)

if __name__ == "__main__":
    def with_seed(story):
        def seeded(cluster):
            cluster.seed = int(sys.argv[2])
            story(cluster)
        seeded.__name__ = story.__name__
        return seeded
    sys.exit(run([with_seed(story) for story in STORIES], sys.argv[1], sys.argv[3:]))
