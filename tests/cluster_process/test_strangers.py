#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Crowds that hold a gateway's places for nothing, each connection renewed as soon as it is cut: whoever wants to log in
gets a place, and no player loses one.

usage: test_strangers.py BIN_FOLDER [--long]"""

import json
import multiprocessing
import os
import resource
import select
import socket
import sys
import time

from cluster import run
from rpc_py import SLACK, Client

LOGIN_S_MAX = 3.0 * SLACK


def hold_places(port, count, seconds, results):
    """So many connections that say nothing, or ping once, each renewed as soon as it is cut; how many there were."""
    poll = select.poll()
    held = {}
    opened = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        while len(held) < count:
            hog = socket.socket()
            hog.setblocking(False)
            hog.connect_ex(("127.0.0.1", port))
            held[hog.fileno()] = hog
            # A connection that is being made is writable when it is there.
            poll.register(hog, select.POLLIN | (select.POLLOUT if opened % 2 else 0))
            opened += 1
        for number, event in poll.poll(20):
            hog = held[number]
            try:
                if event & select.POLLOUT and not event & (select.POLLERR | select.POLLHUP):
                    hog.send(b"\x94\x00\x01\xa4ping\x90")
                    poll.modify(hog, select.POLLIN)
                    continue
                if hog.recv(4096):
                    continue
            except BlockingIOError:
                continue
            except OSError:
                pass
            poll.unregister(number)
            held.pop(number).close()
    results.put(opened)


def login_from_elsewhere(port, name):
    """Logs in from an address of its own and asks something; how often it was cut before, and how long that took."""
    began = time.monotonic()
    for tries in range(1000):
        try:
            client = Client(port, source="127.0.0.2")
            assert client.call("login", name)["player"] == name
        except (OSError, EOFError):
            continue  # many came between its connect and its call
        assert client.call("whoami")["player"] == name
        client.close()
        return tries, time.monotonic() - began
    raise AssertionError("%s cannot log in" % name)


def strangers_hold_no_place(cluster, sets, count, seconds):
    """Whoever holds places for nothing keeps nobody out, and no player goes for it."""
    cluster.environment["DURE_SET"] += ";" + ";".join(sets)
    cluster.start_all()
    port = cluster.client_port
    witness = Client(port, source="127.0.0.2")
    witness.call("login", "witness")
    results = multiprocessing.Queue()
    hogs = multiprocessing.Process(target=hold_places, args=(port, count, seconds, results))
    hogs.start()
    times, cut = [], 0
    while hogs.is_alive() and results.empty():
        tries, took = login_from_elsewhere(port, "p%d" % (len(times) % 50))
        times.append(took)
        cut += tries > 0
        assert witness.call("whoami")["player"] == "witness"
    opened = results.get()
    hogs.join()
    status = json.loads(cluster.dure("status", "--json").stdout)["nodes"][0]["status"]
    print("%d places held %d times, %d logins, %d of them not at the first try, the longest %.0f ms, %s" % (
        count, opened, len(times), cut, max(times) * 1000, status["refused"]))
    assert opened > count, opened
    assert len(times) >= seconds, times
    assert max(times) < LOGIN_S_MAX, max(times)
    assert cluster.is_linked()
    return status["refused"]


def a_full_port(cluster):
    """The loopback is exempt from limits by address: the port is full, and the oldest stranger goes."""
    refused = strangers_hold_no_place(cluster, ["clients_max=%d" % PLACES], HOGS, HOG_SECONDS)
    assert refused["full"] > HOGS / 2 and refused["rate"] == 0 and refused["address"] == 0, refused


def one_address(cluster):
    """Nobody is exempt: the address may have so many strangers and connect so often, and others do not feel it."""
    refused = strangers_hold_no_place(
        cluster, ["address_exempt=[]", "strangers_per_address=100", "connects_per_s=1000"], HOGS, HOG_SECONDS)
    assert refused["address"] > 100 and refused["full"] == 0, refused


if __name__ == "__main__":
    HOGS, PLACES, HOG_SECONDS = (2000, 384, 20) if "--long" in sys.argv else (400, 200, 1.5)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    BIN = os.path.abspath(sys.argv[1])
    sys.exit(run(a_full_port, BIN) or run(one_address, BIN))
