#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A db node on a disk that is full, slow and broken by turns, and the cluster around it.

usage: test_storage.py BIN_FOLDER FAULTY_DB"""

import json
import os
import subprocess
import sys
import threading
import time

import msgpack

from cluster import NODES, run
from rpc_py import SLACK, Client, RpcError, until_true

FAULTY_DB = os.path.abspath(sys.argv[2])


def check(what, got, expected):
    if got != expected:
        raise AssertionError("%s: got %r, expected %r" % (what, got, expected))


class Disk:
    """What the db node's disk obeys from its next write on."""

    def __init__(self, cluster):
        self.path = os.path.join(cluster.data, "disk")
        cluster.environment["DURE_TEST_DISK"] = self.path
        self.order("none")

    def order(self, what):
        with open(self.path + ".new", "w") as file:
            file.write(what)
        os.replace(self.path + ".new", self.path)


def full(cluster, disk, alice, port):
    """STORAGE, with the reason, which the log has too, once; reading goes on; when there is room again so does
    writing."""
    disk.order("full")
    for i in range(3):
        try:
            alice.call("give", "bob", "gold", 1, "full-%d" % i)
            raise AssertionError("a gift was acknowledged on a full disk")
        except RpcError as error:
            check("error", error.name, "STORAGE")
            assert "the disk is full" in error.text, error.text
    check("reading", alice.call("inventory"), {"gold": 100})
    stranger = Client(port)
    check("login", stranger.error("login", "carol"), "STORAGE")
    told = [line for line in cluster.log_text().splitlines() if "STORE_FAILED" in line]
    check("the log", ["the disk is full" in line for line in told], [True])
    disk.order("none")
    check("login", stranger.call("login", "carol")["player"], "carol")
    check("a gift", alice.call("give", "bob", "gold", 1, "full-0"), {"balance": 99})
    stranger.close()


def slow(cluster, disk, alice):
    """An fsync of three seconds, with a heartbeat of 200 ms and peers that are down after a second."""
    lost = cluster.log_text().count("LINK_DOWN")
    given = []
    disk.order("slow")
    began = time.monotonic()
    giver = threading.Thread(target=lambda: given.append(alice.call("give", "bob", "gold", 1, "slow")))
    giver.start()
    looks = 0
    while giver.is_alive() and looks < 200:
        began_look = time.monotonic()
        assert cluster.is_linked(), "a link went down while the disk was slow"
        took = time.monotonic() - began_look
        assert took < 2 * SLACK, "status took %g s" % took
        looks += 1
        giver.join(0.1)
    disk.order("none")
    giver.join(30)
    check("the gift", given, [{"balance": 98}])
    assert time.monotonic() - began >= 3, "the disk was not slow"
    assert looks >= 5, looks
    check("links lost", cluster.log_text().count("LINK_DOWN"), lost)


def db_status(cluster):
    nodes = json.loads(cluster.dure("status", "--json").stdout)["nodes"]
    return next(node["status"] for node in nodes if node["id"] == "db-1")


def given_up(cluster, disk, alice, port):
    """A gift that waits behind a slow commit is not begun once its giver has broken off."""
    eve = Client(port)
    eve.call("login", "eve")
    before = db_status(cluster)["links"]["not_begun"]
    disk.order("slow")
    giver = threading.Thread(target=lambda: alice.call("give", "bob", "gold", 1, "before"))
    giver.start()
    # The question itself is one that is served.
    until_true("the first gift is at the db node", lambda: db_status(cluster)["serving"] >= 2)
    eve.socket.sendall(msgpack.packb([0, 99, "give", ["bob", "gold", 7, "left"]]))
    until_true("the second one waits there", lambda: db_status(cluster)["serving"] >= 3)
    eve.reset()
    disk.order("none")
    giver.join(30)
    until_true("it was not begun", lambda: db_status(cluster)["links"]["not_begun"] == before + 1)
    again = Client(port)
    again.call("login", "eve")
    check("eve's", again.call("inventory"), {"gold": 100})
    check("alice's", alice.call("inventory"), {"gold": 97})
    again.close()


def broken(cluster, disk, alice, port):
    """Not acknowledged, and the node has ended with 1; with a disk that works it is as before."""
    disk.order("broken")
    name = alice.error("give", "bob", "gold", 1, "broken")
    assert name in ("OUTCOME_UNKNOWN", "UNAVAILABLE"), name
    check("exit code", cluster.processes["db-1"].wait(20), 1)
    assert "NODE_FAILED" in cluster.log_text()
    assert alice.error("inventory") in ("UNAVAILABLE", "NOT_SENT")
    disk.order("none")
    cluster.start("db-1")
    until_true("the db node is back", lambda: alice.call("inventory"), 20)
    check("once", alice.call("give", "bob", "gold", 1, "broken"), {"balance": 96})
    check("afterwards", alice.call("inventory"), {"gold": 96})


def refused(cluster):
    """A damaged file: the node ends and names it; the file is as it was."""
    cluster.stop("db-1")
    path = os.path.join(cluster.data, "db-1", "dure.sqlite")
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"Z" * 64)
    with open(path, "rb") as file:
        before = file.read()
    cluster.start("db-1")
    check("exit code", cluster.processes["db-1"].wait(20), 1)
    with open(path, "rb") as file:
        check("the file", file.read() == before, True)
    log = cluster.log_text()
    assert "STORE_REFUSED" in log and path in log and "it is damaged" in log, log[-1000:]


def mode(path):
    return os.stat(path).st_mode & 0o777


def private(cluster):
    """The data folder and all in it are the user's alone, also what SQLite makes."""
    folder = os.path.join(cluster.data, "db-1")
    check("mode of the folder", mode(folder), 0o700)
    files = os.listdir(folder)
    assert {"dure.sqlite", "dure.sqlite-wal", "dure.sqlite-shm", "admin.json", "lock"} <= set(files), files
    for name in files:
        check("mode of " + name, mode(os.path.join(folder, name)), 0o600)


def made_private(cluster):
    """A database that others may read, as earlier releases made it, is its user's alone after a start."""
    cluster.stop("db-1")
    path = os.path.join(cluster.data, "db-1", "dure.sqlite")
    os.chmod(path, 0o644)
    cluster.start("db-1")
    until_true("it runs", cluster.is_linked, 20)
    private(cluster)


def open_to_all(cluster):
    """A folder that others get at is refused with the command to type, and is used when that has been typed."""
    folder = os.path.join(cluster.data, "game-1")
    cluster.stop("game-1")
    os.chmod(folder, 0o755)
    cluster.start("game-1")
    check("exit code", cluster.processes["game-1"].wait(20), 1)
    line = [line for line in cluster.log_text().splitlines() if "DATA_REFUSED" in line][-1]
    command = json.loads(line)["text"].split(": ", 1)[1]
    check("command", command, "chmod 700 '%s'" % folder)
    subprocess.run(command, shell=True, check=True)
    cluster.start("game-1")
    until_true("it runs", cluster.is_linked, 20)


def story(cluster):
    disk = Disk(cluster)
    cluster.environment["DURE_SET"] += ";heartbeat_ms=200;peer_timeout_ms=1000;call_deadline_ms=15000"
    NODES["db-1"] = FAULTY_DB
    cluster.start_all()
    if not FAULTY_DB.endswith(".exe"):  # Windows keeps lists of rights instead
        private(cluster)
        made_private(cluster)
        open_to_all(cluster)
    port = cluster.client_port
    alice = Client(port, timeout=20)
    bob = Client(port, timeout=20)
    alice.call("login", "alice")
    bob.call("login", "bob")
    full(cluster, disk, alice, port)
    slow(cluster, disk, alice)
    given_up(cluster, disk, alice, port)
    broken(cluster, disk, alice, port)
    refused(cluster)


if __name__ == "__main__":
    sys.exit(run(story, os.path.abspath(sys.argv[1])))
