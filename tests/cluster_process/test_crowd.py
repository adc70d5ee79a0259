#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A crowd in one room: logins by the hundred at once, joins by the hundred at once, and the game node of the room
killed. No link may be cut for what others are owed, no login may fail, and all must be back soon; players in a room
of the other game node, behind another gateway, must hardly notice. Prints one line of JSON: times in ms or s, and of
the players elsewhere the middle and the 99th percentile of what they waited.

usage: test_crowd.py BIN_FOLDER [--players N] [--outstanding N] [--joins N] [--back SECONDS]"""

import argparse
import json
import multiprocessing
import os
import resource
import select
import socket
import sys
import time

import msgpack

from two_gateways import check, run
from rpc_py import SLACK

CROWD_ROOM = "lobby"  # where everybody begins
NAMES_MAX = 100
NOISE_MS = 2 * SLACK  # of a machine with other work
HANGUL = [chr(c) for c in range(0xAC00, 0xAC00 + 7)]


def long_name(number, width):
    """Distinct, of mostly Hangul: 5 bytes of digits and three a letter; 26 bytes where width is 7, the longest at 19."""
    return "%05d" % number + "".join(HANGUL[(number + i) % 7] for i in range(width))


class Player:
    """One connection: bytes in, bytes out, one call outstanding."""

    def __init__(self, crowd, name):
        self.crowd, self.name = crowd, name
        self.unpacker = msgpack.Unpacker(raw=False)
        self.next_id = 0
        self.pending = None
        self.socket = None
        self.out = b""

    def log_in(self, on_answer):
        """Over a connection of this moment: a stranger that says nothing is cut."""
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", self.crowd.port))
        self.crowd.by_fd[self.socket.fileno()] = self
        self.crowd.poll.register(self.socket.fileno(), select.EPOLLIN)
        self.call(on_answer, "login", self.name)

    def call(self, on_answer, method, *params):
        """on_answer(player, error, result, seconds)."""
        self.next_id += 1
        self.pending = (self.next_id, on_answer, time.monotonic())
        self.out += msgpack.packb([0, self.next_id, method, list(params)])
        self.write()

    def write(self):
        try:
            self.out = self.out[self.socket.send(self.out):]
        except (BlockingIOError, ConnectionError):
            pass  # it connects still; a connection that failed is told by the poll
        flags = select.EPOLLIN | (select.EPOLLOUT if self.out else 0)
        self.crowd.poll.modify(self.socket.fileno(), flags)

    def read(self):
        try:
            data = self.socket.recv(262144)
        except BlockingIOError:
            return
        if not data:
            raise AssertionError("%s: the gateway has closed the connection" % self.name)
        self.unpacker.feed(data)
        for message in self.unpacker:
            if message[0] == 2:
                self.crowd.notified += 1
            elif self.pending is not None and message[1] == self.pending[0]:
                _, on_answer, began = self.pending
                self.pending = None
                on_answer(self, message[2], message[3], time.monotonic() - began)


class Crowd:
    def __init__(self, port):
        self.port = port
        self.poll = select.epoll()
        self.by_fd = {}
        self.notified = 0

    def turn(self, timeout=0.05):
        for fd, flags in self.poll.poll(timeout, 4096):
            player = self.by_fd[fd]
            if flags & select.EPOLLOUT:
                player.write()
            if flags & ~select.EPOLLOUT:
                player.read()

    def all_at_once(self, what, players, outstanding, start, limit_s):
        """Has start(player, on_answer) begin one call for each, so many outstanding; their answers, and the time."""
        waiting, answers, began = list(reversed(players)), [], time.monotonic()
        state = {"running": 0}

        def on_answer(player, error, result, seconds):
            state["running"] -= 1
            answers.append((player, error, result, seconds))

        while len(answers) < len(players):
            while waiting and state["running"] < outstanding:
                state["running"] += 1
                start(waiting.pop(), on_answer)
            self.turn()
            if time.monotonic() - began > limit_s * SLACK:
                raise AssertionError("%s: %d of %d answered within %d s" % (what, len(answers), len(players), limit_s))
        return answers, time.monotonic() - began

    def close(self):
        for player in self.by_fd.values():
            player.socket.close()


class Witness:
    """A player in a room of the node that the crowd is not on, which asks again and again, from a process of its own:
    what it waits is the cluster's time, not that of the crowd's program."""

    def __init__(self, nodes, name, gateway, node):
        self.client = nodes.login(name, gateway)
        nodes.room_on(self.client, node)
        self.ours, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=self.ask, args=(theirs,), daemon=True)
        self.process.start()
        self.begin()

    def ask(self, pipe):
        times = []
        while True:
            began = time.monotonic()
            self.client.call("whoami")
            times.append((time.monotonic() - began) * 1000)
            if pipe.poll(0.005):
                pipe.recv()
                pipe.send(times)
                times = []

    def begin(self):
        """Forgets what was before, and gives the middle and the 99th percentile of it, in ms."""
        self.ours.send(None)
        times = sorted(self.ours.recv())
        return times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]

    def end(self):
        self.process.kill()
        self.process.join()


def no_error(what, answers):
    wrong = [answer[1] for answer in answers if answer[1] is not None]
    assert not wrong, "%s: %d of %d failed: %r" % (what, len(wrong), len(answers), wrong[:3])


def count_links_down(cluster, node):
    """What the log says of links that went down: all, those that were cut as slow, those of other nodes."""
    lines = [json.loads(line) for line in cluster.log_text().splitlines() if line.startswith("{")]
    lines = [line for line in lines if line.get("event") == "LINK_DOWN"]
    slow = [line for line in lines if line["cause"] == "SLOW"]
    others = [line for line in lines if node not in (line["peer"], line["node"])]
    return lines, slow, others


def log_in(crowd, players, outstanding, row):
    answers, row["login_s"] = crowd.all_at_once("login", players, outstanding, Player.log_in, 120)
    no_error("login", answers)
    times = sorted(seconds for _, _, _, seconds in answers)
    row["login_p99_ms"] = times[len(times) * 99 // 100] * 1000


def tenth_times(crowd, players):
    """How long the first and the last tenth of the crowd took to log in, with the same number outstanding."""
    tenth = max(1, len(players) // 10)
    times = []
    for at in range(0, len(players), tenth):
        some = players[at:at + tenth]
        answers, seconds = crowd.all_at_once("login", some, 100, Player.log_in, 120)
        no_error("login", answers)
        times.append(seconds / len(some))
    return times[1], times[-1]


def join_at_once(crowd, players, joins, row):
    answers, row["joins_s"] = crowd.all_at_once(
        "join", players[:joins], joins, lambda p, done: p.call(done, "join", CROWD_ROOM), 60)
    no_error("join", answers)
    row["joins_longest_ms"] = max(seconds for _, _, _, seconds in answers) * 1000
    for _, _, result, _ in answers:
        assert result["total"] >= len(players), result["total"]
        assert len(result["players"]) == min(NAMES_MAX, result["total"]), len(result["players"])


def until_all_play(crowd, players, limit_s):
    """Each asks until it is answered by its room; the time until the last one was."""
    began = time.monotonic()
    missing = players
    while missing:
        answers, _ = crowd.all_at_once("whoami", missing, 1000, lambda p, done: p.call(done, "whoami"), limit_s)
        missing = [answer[0] for answer in answers if answer[1] is not None]
        if time.monotonic() - began > limit_s * SLACK:
            raise AssertionError("%d of %d do not play after %d s" % (len(missing), len(players), limit_s))
        crowd.turn()
    return time.monotonic() - began


def story_of(options):
    def a_crowd_comes_in_and_its_node_is_killed(nodes):
        row = {"players": options.players, "outstanding": options.outstanding}
        with_crowd = nodes.login("first")
        node = with_crowd.call("whoami")["node"]
        check("the room of the first login", with_crowd.call("whoami")["room"], CROWD_ROOM)
        other = "game-1" if node == "game-2" else "game-2"
        witnesses = {gateway: Witness(nodes, "witness-" + gateway, gateway, other) for gateway in nodes.ports}
        crowd = Crowd(nodes.ports["gateway-1"])

        players = [Player(crowd, long_name(i, 7)) for i in range(options.players // 2)]
        row["login_first_ms"], row["login_last_ms"] = (s * 1000 for s in tenth_times(crowd, players))
        until = time.monotonic() + options.quiet
        for witness in witnesses.values():
            witness.begin()
        while time.monotonic() < until:
            crowd.turn()
        for gateway, witness in witnesses.items():
            row["quiet_" + gateway] = witness.begin()
        more = [Player(crowd, long_name(i, 19)) for i in range(options.players // 2, options.players)]
        log_in(crowd, more, options.outstanding, row)
        players += more
        join_at_once(crowd, players, options.joins, row)
        for gateway, witness in witnesses.items():
            row["crowd_" + gateway] = witness.begin()
        before, during = row["quiet_gateway-2"][0], row["crowd_gateway-2"][0]
        assert during < 2 * before + NOISE_MS, "elsewhere the middle was %.2f ms and is %.2f" % (before, during)

        down, _, _ = count_links_down(nodes, node)
        check("links that went down", down, [])
        nodes.kill(node)
        nodes.start(node)
        row["back_s"] = until_all_play(crowd, players, options.back)
        for gateway, witness in witnesses.items():
            row["back_" + gateway] = witness.begin()
            witness.end()
        down, slow, others = count_links_down(nodes, node)
        row["links_down"], row["links_slow"], row["links_down_beside"] = len(down), len(slow), len(others)
        print(json.dumps({key: shown(value) for key, value in row.items()}), flush=True)
        assert down, "nobody has heard that %s was killed" % node
        check("links cut as slow", slow, [])
        check("links of other nodes that went down", others, [])
        crowd.close()

    return a_crowd_comes_in_and_its_node_is_killed


def shown(value):
    return [shown(one) for one in value] if isinstance(value, tuple) else round(value, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bin_folder")
    parser.add_argument("--players", type=int, default=10000)
    parser.add_argument("--outstanding", type=int, default=1000)
    parser.add_argument("--joins", type=int, default=600)
    parser.add_argument("--back", type=float, default=15)
    parser.add_argument("--quiet", type=float, default=2)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return run([story_of(options)], os.path.abspath(options.bin_folder), lease_ms=3000)


if __name__ == "__main__":
    sys.exit(main())
