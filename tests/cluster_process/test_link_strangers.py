#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What strangers can do at the ports of nodes: no frame of theirs ends a process, and those who hold places at a link
port for nothing, each renewed as soon as it is cut, keep no honest node out.

usage: test_link_strangers.py BIN_FOLDER [--long]"""

import json
import multiprocessing
import os
import resource
import select
import socket
import sys
import time

from cluster import NODES, run
from link_peer import GOAWAY, LinkPeer, Refused, frame, hello, refused
from rpc_py import SLACK, until_true

LINK_S_MAX = 3.0 * SLACK
REDIAL_S = 0.25  # redial_first_ms
SECRET = "a secret of thirty-two characters"
LOSER = refused(20, "DUPLICATE_ID", "you lose")


def settings(cluster):
    shown = cluster.dure("check", "--show").stdout
    return dict(line.split()[:2] for line in shown.splitlines() if len(line.split()) == 3)


def link_ports(cluster):
    shown = settings(cluster)
    return {json.loads(shown["nodes[%d].id" % i]): int(shown["nodes[%d].link_port" % i]) for i in range(len(NODES))}


def admin_port(cluster, node):
    with open(os.path.join(cluster.data, node, "admin.json")) as file:
        return json.load(file)["port"]


def say(port, data):
    """Says it and waits until the port has nothing more to say."""
    with socket.create_connection(("127.0.0.1", port), 5 * SLACK) as stranger:
        stranger.sendall(data)
        stranger.shutdown(socket.SHUT_WR)
        try:
            while stranger.recv(4096):
                pass
        except ConnectionResetError:
            pass


def no_frame_ends_a_node(cluster, secret):
    """The refusal that says to a process that it is one too many, from those who may not say so."""
    assert len(LOSER) == 56
    goaway = frame(GOAWAY, ["DUPLICATE_ID", "you lose", 0])
    ports = link_ports(cluster)
    ways = [LOSER, hello() + LOSER, hello("demo", "game-2", "game") + LOSER, goaway, LOSER * 50]
    for node in NODES:
        for port in (ports[node], admin_port(cluster, node), cluster.client_port):
            for way in ways:
                say(port, way)
    # a peer that is up, and knows the secret where there is one
    peer = LinkPeer(ports["db-1"], "demo", "gateway-1", "gateway", "db-1", secret)
    peer.socket.sendall(goaway)
    peer.close()
    peer = LinkPeer(ports["db-1"], "demo", "gateway-1", "gateway", "db-1", secret)
    peer.socket.sendall(LOSER)
    peer.close()
    until_true("all nodes are linked", cluster.is_linked, 10)
    assert all(process.poll() is None for process in cluster.processes.values())
    assert '"event":"DUPLICATE_ID"' not in cluster.log_text()


def hold_places(port, count, results, stop):
    """So many connections, each renewed as soon as it is cut: silent, of garbage, or stopping after hello."""
    words = (None, b"GET / HTTP/1.1\r\n\r\n", hello("demo", "gateway-1", "gateway"))
    poll = select.poll()
    held = {}
    opened = 0
    is_full = False
    while not stop.is_set():
        while len(held) < count:
            hog = socket.socket()
            hog.setblocking(False)
            hog.connect_ex(("127.0.0.1", port))
            word = words[opened % len(words)] if opened % 4 else None
            held[hog.fileno()] = (hog, word)
            poll.register(hog, select.POLLIN | (select.POLLOUT if word else 0))
            opened += 1
        if not is_full:
            is_full = True
            results.put(None)  # all places are held
        for number, event in poll.poll(20):
            hog, word = held[number]
            try:
                if event & select.POLLOUT and not event & (select.POLLERR | select.POLLHUP):
                    hog.send(word)
                    poll.modify(hog, select.POLLIN)
                    continue
                if hog.recv(4096):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            poll.unregister(number)
            held.pop(number)[0].close()
    results.put(opened)


def link_up(port, secret, source):
    """Dials as gateway-1 until the link is up, as a node would; how often it took, and how long."""
    began = time.monotonic()
    for tries in range(1, 40):
        try:
            peer = LinkPeer(port, "demo", "gateway-1", "gateway", "game-1", secret, source=source)
            seconds = time.monotonic() - began
            peer.close()
            return tries, seconds
        except Refused as refusal:
            if refusal.args[1] not in ("DUPLICATE_ID", "REPLACED", "OVERLOADED"):
                raise
        except (OSError, EOFError):
            pass
        time.sleep(REDIAL_S)
    raise AssertionError("no link")


def strangers_keep_no_node_out(cluster, source):
    port = link_ports(cluster)["game-1"]
    results, stop = multiprocessing.Queue(), multiprocessing.Event()
    hogs = [multiprocessing.Process(target=hold_places, args=(port, HOGS // 2, results, stop)) for _ in range(2)]
    for hog in hogs:
        hog.start()
    for _ in hogs:
        results.get(timeout=30 * SLACK)
    links = [link_up(port, SECRET, source) for _ in range(LINKS)]
    stop.set()
    opened = results.get() + results.get()
    for hog in hogs:
        hog.join()
    first = sum(tries == 1 for tries, _ in links)
    longest = max(seconds for _, seconds in links)
    print("%d places held %d times; %d of %d links at the first try, the longest after %.0f ms" % (
        HOGS, opened, first, len(links), longest * 1000))
    assert longest < LINK_S_MAX, longest
    assert all(process.poll() is None for process in cluster.processes.values())


def without_a_secret(cluster):
    cluster.start_all()
    no_frame_ends_a_node(cluster, None)


def with_a_secret(cluster):
    cluster.environment["DURE_SECRET"] = SECRET
    cluster.start_all()
    no_frame_ends_a_node(cluster, SECRET)


def crowd(cluster, sets, source=None):
    # The node is no part of the test's session: the scheduler shares out time by session, and a crowd of the same one
    # would starve it before it could look at anybody.
    cluster.launcher = ["setsid"]
    cluster.environment["DURE_SECRET"] = SECRET
    cluster.environment["DURE_SET"] += ";" + ";".join(sets)
    for node in ("game-1", "db-1"):
        cluster.start(node)
    until_true("game-1 is there", lambda: os.path.exists(os.path.join(cluster.data, "game-1", "admin.json")), 20)
    strangers_keep_no_node_out(cluster, source)


def crowd_of_an_exempt_address(cluster):
    """The port is full again and again, and the oldest strangers go."""
    crowd(cluster, PLACES)


def crowd_at_the_default_places(cluster):
    crowd(cluster, [])


def crowd_of_the_same_address(cluster):
    """Nobody is exempt: the address has half of the places, and the crowd shares them with the honest."""
    crowd(cluster, [*PLACES, "address_exempt=[]"])


def crowd_of_another_address(cluster):
    """Nobody is exempt, and the honest comes from elsewhere."""
    crowd(cluster, [*PLACES, "address_exempt=[]"], "127.0.0.2")


if __name__ == "__main__":
    IS_LONG = "--long" in sys.argv
    # More than the port has room for in all, and no time limit that would end them: somebody has to give way.
    HOGS, LINKS, PLACES = (2000, 60, ["link_strangers_max=1000", "handshake_ms=60000"]) if IS_LONG else (1000, 15, ["link_strangers_max=600", "handshake_ms=60000"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    BIN = os.path.abspath(sys.argv[1])
    STORIES = [without_a_secret, with_a_secret, crowd_of_an_exempt_address, crowd_of_the_same_address]
    STORIES += [crowd_of_another_address, crowd_at_the_default_places] if IS_LONG else []
    NAMES = [name for name in sys.argv[2:] if not name.startswith("--")]
    for story in STORIES:
        if not NAMES or story.__name__ in NAMES:
            began = time.monotonic()
            run(story, BIN)
            print("%s passed in %.1f s" % (story.__name__, time.monotonic() - began))
