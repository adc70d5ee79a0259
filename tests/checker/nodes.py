# SPDX-License-Identifier: MIT
"""The cluster under the checker: two gateways, two game nodes and a db node as processes, the faults that are done to
them, and what can be seen of them from outside."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "cluster_process"))
import cluster  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402

NODES = ("gateway-1", "gateway-2", "game-1", "game-2", "db-1")
LINKS = tuple((dialer, listener) for dialer in NODES for listener in NODES
              if (dialer[:-2], listener[:-2]) in (("gateway", "game"), ("game", "db")))
LEASE_MS = 1000
RESUME_MS = 4000


class Nodes(cluster.Cluster):
    def __init__(self, bin_folder, programs=None):
        super().__init__(bin_folder)
        cluster.NODES.update({"gateway-2": "dure-gateway", **(programs or {})})
        ports = cluster.free_ports(len(NODES) + 2 + len(LINKS))
        self.ports = {"gateway-1": ports[-1], "gateway-2": ports[-2]}
        self.config = os.path.join(self.data, "cluster.json")
        text = {"cluster": "soak", "data": self.data, "roles": {
            "gateway": {"program": "dure-gateway", "dials": ["game"], "resume_ms": RESUME_MS},
            "game": {"program": "dure-game", "dials": ["db"]},
            "db": {"program": "dure-db", "lease_ms": LEASE_MS}}, "nodes": []}
        for name, port in zip(NODES, ports):
            node = {"id": name, "role": name[:-2], "host": "127.0.0.1", "link_port": port}
            if name in self.ports:
                node["client_port"] = self.ports[name]
            text["nodes"].append(node)
        with open(self.config, "w") as file:
            json.dump(text, file, indent=1)
        del self.environment["DURE_SET"]
        at = dict(zip(NODES, ports))
        self.proxies = {link: FaultProxy(bin_folder, "127.0.0.1:%d" % at[link[1]], port)
                        for link, port in zip(LINKS, ports[len(NODES):])}

    def start_all(self, order=NODES):
        super().start_all(order)

    def start(self, node):
        """Each node finds those that it dials behind the fault proxies of its links. Two may start at once, each on a
        thread of its own: what one is given must not pass through what they share, or a node dials past its proxies."""
        sets = ["nodes[%d].link_port=%d" % (NODES.index(link[1]), proxy.port) for link, proxy in self.proxies.items()
                if link[0] == node]
        super().start(node, dict(self.environment, DURE_SET=";".join(sets)))

    def connections(self):
        """How many connections each link has at this moment: [[dialer, listener, connections]]."""
        return [[*link, proxy.say("stats")["connections"]] for link, proxy in self.proxies.items()]

    def dead(self):
        """Nodes that have ended without being told to: (node, exit code)."""
        return [(node, process.returncode) for node, process in list(self.processes.items())  # other threads change it
                if process.poll() is not None]

    def status(self):
        """What each node says of itself; nothing where that takes too long."""
        try:
            answer = self.dure("status", "--json")
            return [node["status"] for node in json.loads(answer.stdout)["nodes"] if node.get("status")]
        except (subprocess.TimeoutExpired, ValueError, KeyError):
            return []

    def database(self):
        path = os.path.join(self.data, "db-1", "dure.sqlite")
        return sqlite3.connect("file:%s?mode=ro" % path, uri=True, timeout=5)

    def sample(self):
        """One look into the database: every player's row, and all the gold."""
        db = self.database()
        try:
            db.execute("BEGIN")
            players = db.execute("SELECT player, room, x, epoch, node, owner_epoch FROM players").fetchall()
            gold = db.execute("SELECT coalesce(sum(count), 0) FROM items").fetchone()[0]
            return {"players": players, "gold": gold}
        finally:
            db.close()

    def final(self):
        found = self.sample()
        db = self.database()
        try:
            found["items"] = db.execute("SELECT player, item, count FROM items").fetchall()
            found["keys"] = db.execute("SELECT player, key, receiver, item, count, balance FROM request_keys").fetchall()
            found["integrity"] = db.execute("PRAGMA integrity_check").fetchone()[0]
            return found
        finally:
            db.close()

    def leave(self, keep):
        """Ends what still runs, and removes the folder or keeps it."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait(10)
        for proxy in self.proxies.values():
            proxy.end()
        self.log.close()
        if not keep:
            shutil.rmtree(self.data, ignore_errors=True)


NODE_FAULTS = {"kill": (5, 0.05, 2.0), "stop": (2, 0.1, 0.7), "pause": (3, 1.3, 3.0), "silence": (1, 7.0, 12.0)}
LINK_FAULTS = {"cut": (2, 0.3, 4.0), "cut_there": (1, 0.3, 12.0), "cut_back": (1, 0.3, 12.0), "delay": (1, 1.0, 4.0),
               "reset": (2, 0.05, 0.3)}

WORDS = {"cut": "silent", "cut_there": "one-way to-server", "cut_back": "one-way to-client", "delay": "delay 100",
         "reset": "reset"}


def plan(seed, seconds):
    """The faults of a run, from its seed: [{at, kind, on, for}], one after the other, now and then two at once. `on` is
    the node, or the two of a link."""
    chance = random.Random("faults:%d" % seed)
    kinds = {**NODE_FAULTS, **LINK_FAULTS}
    found, at = [], 2.0
    while True:
        # Long pauses are for the rules that look at what no fault touches.
        at += chance.uniform(9.0, 14.0) if seconds >= 60 and chance.random() < 0.25 else chance.uniform(0.5, 6.0)
        kind = chance.choices(list(kinds), [0 if seconds < 60 and name == "silence" else weight
                                            for name, (weight, _, _) in kinds.items()])[0]
        last = chance.uniform(*kinds[kind][1:])
        if at + last > seconds - 1:
            return found
        places = [[name] for name in NODES] if kind in NODE_FAULTS else [list(link) for link in LINKS]
        for place in chance.sample(places, 2 if chance.random() < 0.2 else 1):
            found.append({"at": round(at, 2), "kind": kind, "on": place, "for": round(last, 2)})
        at += last


def begin(nodes, fault):
    node = fault["on"][0]
    if fault["kind"] in LINK_FAULTS:
        nodes.proxies[tuple(fault["on"])].say(WORDS[fault["kind"]])
    elif fault["kind"] == "kill":
        nodes.kill(node)
        del nodes.processes[node]
    else:
        nodes.processes[node].send_signal(signal.SIGSTOP)


def end(nodes, fault):
    node = fault["on"][0]
    if fault["kind"] in LINK_FAULTS:
        nodes.proxies[tuple(fault["on"])].say("heal")
    elif fault["kind"] == "kill":
        nodes.start(node)
    else:
        nodes.processes[node].send_signal(signal.SIGCONT)
