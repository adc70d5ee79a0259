# SPDX-License-Identifier: MIT
"""A cluster of two gateways, two game nodes and a db node with a short lease, whose database a test may look into."""

import json
import os
import signal
import sqlite3

import cluster
from cluster import Cluster, free_ports
from rpc_py import Client, RpcError, until_true

NODES = ("gateway-1", "gateway-2", "game-1", "game-2", "db-1")


class TwoGateways(Cluster):
    def __init__(self, bin_folder, launcher=(), lease_ms=1000, resume_ms=1500):
        super().__init__(bin_folder, launcher)
        cluster.NODES["gateway-2"] = "dure-gateway"
        ports = free_ports(7)
        self.ports = {"gateway-1": ports[0], "gateway-2": ports[1]}
        nodes = []
        for index, name in enumerate(NODES):
            node = {"id": name, "role": name[:-2], "host": "127.0.0.1", "link_port": ports[2 + index]}
            if name in self.ports:
                node["client_port"] = self.ports[name]
            nodes.append(node)
        text = {
            "cluster": "two-gateways", "data": self.data,
            "roles": {
                "gateway": {"program": "dure-gateway", "dials": ["game"], "resume_ms": resume_ms, "resume_max": 8},
                "game": {"program": "dure-game", "dials": ["db"]},
                "db": {"program": "dure-db", "lease_ms": lease_ms},
            },
            "nodes": nodes,
        }
        self.config = os.path.join(self.data, "cluster.json")
        with open(self.config, "w") as file:
            json.dump(text, file)
        self.environment.pop("DURE_SET")
        self.rooms = {}

    def start_all(self, order=NODES):
        super().start_all(order)

    def signal(self, node, number):
        self.processes[node].send_signal(number)

    def pause(self, node):
        self.signal(node, signal.SIGSTOP)

    def go_on(self, node):
        self.signal(node, signal.SIGCONT)

    def client(self, gateway="gateway-1", timeout=8.0):
        return until_true(gateway, lambda: Client(self.ports[gateway], timeout=timeout))

    def login(self, name, gateway="gateway-1"):
        """A client of that player; waits for nodes that are on their way."""
        def try_it():
            client = self.client(gateway)
            try:
                client.call("login", name)
                return client
            except (RpcError, EOFError, OSError):
                client.close()
                return None
        return until_true("login of " + name, try_it, 15)

    def room_on(self, client, node):
        """Joins a room that lives on a node, and gives its name."""
        for i in range(64):
            room = "room-%d" % i
            if self.rooms.get(room, node) != node:
                continue
            client.call("join", room)
            self.rooms[room] = client.call("whoami")["node"]
            if self.rooms[room] == node:
                return room
        raise AssertionError("no room lives on " + node)

    def row(self, name):
        """What the database says of a player: room, x, y, epoch, node."""
        path = os.path.join(self.data, "db-1", "dure.sqlite")
        with sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=5) as db:
            found = db.execute("SELECT room, x, y, epoch, node FROM players WHERE player = ?", (name,)).fetchone()
        return dict(zip(("room", "x", "y", "epoch", "node"), found)) if found else None

    def log_count(self, event, node=None):
        lines = (line for line in self.log_text().splitlines() if '"event":"%s"' % event in line)
        return sum(1 for line in lines if node is None or '"node":"%s"' % node in line)


def check(what, got, expected):
    if got != expected:
        raise AssertionError("%s: got %r, expected %r" % (what, got, expected))


def closed_with(client):
    """The name that a client was told when its connection was closed."""
    name = client.wait_for("closing")[0]
    try:
        client.call("ping")
    except (EOFError, OSError):
        return name
    raise AssertionError("closed with %s, and still served" % name)


def run(stories, bin_folder, launcher=(), **settings):
    """Runs each story with a cluster of its own; the exit code of a test."""
    for story in stories:
        nodes = TwoGateways(bin_folder, launcher, **settings)
        failed = True
        try:
            nodes.start_all()
            story(nodes)
            failed = False
            print("ok: " + story.__name__.replace("_", " "), flush=True)
        finally:
            nodes.close(failed)
    return 0
